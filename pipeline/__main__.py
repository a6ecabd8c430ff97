"""Runs one data stage by hand, or asks about the data: `python -m pipeline …`."""

from __future__ import annotations

import sys

from pipeline.system import entry

if __name__ == "__main__":
    entry.begin(" ".join(sys.argv[1:2]) or "pipeline")

from importlib import import_module
from pathlib import Path

from pipeline import app
from pipeline.store import workdir

STAGES = ("synthesize", "ingest", "split", "augment", "pack", "embed", "probe")
COMMANDS: dict[str, tuple[str, ...]] = {
    "explain": ("<file or clip id>",),
    "forget": ("<collection>/<recording>",),
    "catalogue": (),
    "verify": ("[root]",),
    "adapt": ("<collection>",),
    "compare": ("[revision …]",),
    "export": (),
    "find-lr": (),
    "overfit": (),
}
"""What each of them is told first; what stands in brackets may be left out or repeated."""
_CONFIG = {
    "adapt": "adapt",
    "compare": "compare",
    "export": "export",
    "find-lr": "train",
    "overfit": "train",
}
"""Whose keys a command takes; those of ingest where it is not named."""
_WRITING = {
    "forget": "footage/forgotten.csv",
    "catalogue": "the catalogue",
    "adapt": "the adapted weights",
    "export": "the export",
    "find-lr": "the plot of find-lr",
}
"""What only one process at a time may write, by the command that writes it."""
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
    elif name in COMMANDS and len(sys.argv) > 1 + _num_needed(name):
        _command(name, sys.argv[2:])
    elif name in ("-h", "--help"):
        print(f"usage: {_USAGE}")
    else:
        known = not name or name in COMMANDS
        sys.exit(f"{'' if known else f'{name}: there is no such command; '}usage: {_USAGE}")


def _num_needed(name: str) -> int:
    return sum(not what.startswith("[") for what in COMMANDS[name])


def _command(name: str, arguments: list[str]) -> None:
    num_subjects = _num_needed(name)
    if num_subjects < len(COMMANDS[name]):
        num_subjects = sum("=" not in argument for argument in arguments)
    subjects, overrides = arguments[:num_subjects], arguments[num_subjects:]

    def work() -> None:
        cfg = app.compose(_CONFIG.get(name, "ingest"), *overrides)
        command = import_module(f"pipeline.commands.{name.replace('-', '_')}")
        if name not in _WRITING:
            command.run(*subjects, cfg=cfg)
            return
        with workdir.claimed(_WRITING[name], Path(cfg.paths.work)):
            command.run(*subjects, cfg=cfg)

    app.run(name, work, kept="nothing was changed; run it again, which starts anew")


if __name__ == "__main__":
    main()
