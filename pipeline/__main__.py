"""Runs one data stage by hand, or asks about the data: `python -m pipeline …`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from pipeline import app
from pipeline.errors import UserError

STAGES = ("synthesize", "ingest", "split", "augment", "pack", "probe")
COMMANDS: dict[str, tuple[str, ...]] = {
    "explain": ("<file or clip id>",),
    "forget": ("<collection>/<recording>",),
    "catalogue": (),
}
"""What each of them is told first."""
_USAGE = "\n       ".join(
    [
        f"python -m pipeline {{{','.join(STAGES)}}} [key=value …]",
        *(
            " ".join(["python -m pipeline", name, *what, "[key=value …]"])
            for name, what in COMMANDS.items()
        ),
    ]
)


def main() -> None:
    """Run the stage or command that the command line names first."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in STAGES:
        sys.argv.pop(1)
        app.stage(name)(import_module(f"pipeline.stages.{name}").run)()
    elif name in COMMANDS and len(sys.argv) > 1 + len(COMMANDS[name]):
        _command(name, sys.argv[2:])
    else:
        sys.exit(f"usage: {_USAGE}")


def _command(name: str, arguments: list[str]) -> None:
    subjects = arguments[: len(COMMANDS[name])]
    overrides = arguments[len(subjects) :]
    try:
        if Path.cwd().resolve() != app.PROJECT:
            raise UserError(f"run it in the folder of the project: cd {app.PROJECT}")
        cfg = app.compose("ingest", *overrides)
        import_module(f"pipeline.commands.{name}").run(*subjects, cfg)
    except UserError as error:
        sys.exit(f"{name}: {error}")


if __name__ == "__main__":
    main()
