"""The benchmarks that prove something are run in small, so that they go on proving it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import app

pytestmark = pytest.mark.slow


def run(name: str, *arguments: str) -> str:
    script = app.PROJECT / "benchmarks" / name
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=app.PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_stages_killed_at_random_end_with_the_same_bytes() -> None:
    assert "8 kills, 0 with other bytes" in run("kill.py", "--kills", "8", "--files", "16")


def test_no_mutant_and_no_attack_stops_an_ingest_or_gets_lost() -> None:
    assert "faults: none" in run("fuzz_ingest.py", "--mutants", "96")
