"""The command line within the process of the tests, which has its imports behind it."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from pipeline import app
from pipeline.commands import line


@dataclass(frozen=True)
class Ended:
    """How a command line ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, folder: Path = app.PROJECT) -> Ended:
    """What `python -m pipeline` with these arguments does in a folder; `run_apart` is the same."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [str(app.PROJECT / "pipeline" / "__main__.py"), *arguments])
        # Signals are those of the tests; the log goes to stderr where nobody else listens.
        patch.setattr("pipeline.system.entry.begin", lambda name: None)
        patch.setattr(logging.getLogger(), "handlers", [])
        for name in {*line.RECIPES} & {*arguments[:1]}:
            # It is imported once more, which is not to be what other tests find.
            patch.setitem(sys.modules, name, import_module(name))
        try:
            line.main(arguments)
            status = 0
        except SystemExit as error:
            status = _status(error, err)
    return Ended(status, out.getvalue(), err.getvalue())


def _status(error: SystemExit, err: io.StringIO) -> int:
    """The exit status that Python makes of it, which prints whatever is no number."""
    if isinstance(error.code, str):
        err.write(f"{error.code}\n")
        return 1
    return error.code or 0


def run_apart(*arguments: str, folder: Path = app.PROJECT) -> Ended:
    """`python -m pipeline` with these arguments in a folder."""
    command = [sys.executable, "-m", "pipeline", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return Ended(done.returncode, done.stdout, done.stderr)
