"""What tests of the ray-traced engines share."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable

from pipeline.engines.take import Take, UnusableDraw


def first_kept(record: Callable[[int], list[Take]], indices: Iterable[int]) -> list[Take]:
    """The first recording that is not dropped."""
    for index in indices:
        try:
            return record(index)
        except UnusableDraw:
            continue
    raise AssertionError("every recording was dropped")


def digest(takes: list[Take]) -> str:
    """Hash of all that a take says, shows and sounds like."""
    data = hashlib.sha256()
    for take in takes:
        data.update(f"{take.name}{take.format}{take.source}{take.discharges_s}".encode())
        data.update(take.frames.tobytes())
        assert take.sound is not None
        data.update(take.sound.tobytes())
    return data.hexdigest()


def digest_of_another_process(module: str, takes: str) -> str:
    """`digest` of an expression over a test module's names, in a process with one thread."""
    code = (
        "import cv2; cv2.setNumThreads(1);"
        "from tests.engines.rendered import digest;"
        f"from {module} import *;"
        f"print(digest({takes}))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return other.stdout.strip()
