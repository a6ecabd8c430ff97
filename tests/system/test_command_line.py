from __future__ import annotations

import os
import subprocess
import sys

from pipeline import app

PROGRAM = """
import sys
from pathlib import Path
from pipeline.system.command_line import hide
hide([*sys.argv[1:3], "", "not there"])
print(Path("/proc/self/cmdline").read_bytes().decode().rstrip(chr(0)).split(chr(0))[-3:])
print(sys.argv[1:])
"""


def test_secrets_are_overwritten_for_all_but_the_process_itself() -> None:
    given = ["pass:w\u00f6rt@host/key", "tok", "a=tok,b=tok open"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *given],
        env=os.environ | {"PYTHONPATH": str(app.PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    size = len(given[0].encode())
    assert done.stdout.splitlines() == [f"{['x' * size, 'xxx', 'a=xxx,b=xxx open']}", f"{given}"]
