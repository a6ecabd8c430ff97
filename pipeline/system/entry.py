"""First steps of every command line, before imports that take seconds."""

from __future__ import annotations

import locale
import os
import sys
from io import TextIOWrapper

from pipeline.system import interrupts


def begin(name: str) -> None:
    """Take over signals, and read and write text as UTF-8 whatever the locale says.

    Args:
        name: of the stage or command.
    """
    interrupts.start(name)
    _in_utf8()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # PYTHONIOENCODING may ask for less than names of files hold.
            stream.reconfigure(errors="backslashreplace")


def _in_utf8() -> None:
    """Start again in UTF-8 mode where names of files and text would be in another encoding."""
    encodings = (sys.getfilesystemencoding(), locale.getpreferredencoding(False))
    is_utf8 = all(one.lower().replace("-", "") == "utf8" for one in encodings)
    if not is_utf8 and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
