from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import app
from tests.commands.adapt.toy import rows, write_own

pytestmark = pytest.mark.slow
ADAPT = """
import sys, time
from pathlib import Path
from pipeline import app
from pipeline.store import workdir
from pipeline.commands.line import COMMANDS
from pipeline.commands import adapt
from pipeline.commands.adapt import footage
from pipeline.learn import encoders
from tests.commands.adapt.toy import Tiny, configured

folder = Path(sys.argv[1])
encoders.build = lambda pictures: Tiny()
encoders.rebuild = lambda architecture: Tiny()
features_of_views, num_left = footage.features_of_views, int(sys.argv[2])

def slowly(*args):
    global num_left
    if not num_left:
        time.sleep(300)
    num_left -= 1
    return features_of_views(*args)

footage.features_of_views = slowly
cfg = configured(folder, "run.num_workers=1")

def work():
    with workdir.claimed(COMMANDS["adapt"].writes, folder / "work"):
        adapt.run(str(folder / "own"), cfg=cfg)

app.run("adapt", work, kept="nothing was changed; run it again, which starts anew")
"""


def start(folder: Path, most_seen: int = -1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ADAPT, str(folder), str(most_seen)],
        cwd=app.PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )


def seen(folder: Path) -> dict[str, int]:
    """The inode of each of the features that are kept, by name: another one if written again."""
    found = (folder / "work" / "kept" / "adapt").glob("*/*")
    return {path.name: path.stat().st_ino for path in found if path.suffix != ".partial"}


def wait_until_some_are_seen(process: subprocess.Popen[str], folder: Path) -> None:
    until_s = time.monotonic() + 120
    while len(seen(folder)) < 2:
        assert process.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_while_it_sees_keeps_what_it_saw_and_nothing_half(
    detector: Path, number: signal.Signals
) -> None:
    write_own(detector / "own", rows("real", "game"))
    process = start(detector, most_seen=2)
    wait_until_some_are_seen(process, detector)
    os.kill(process.pid, number)
    printed, complaint = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert printed == ""
    assert complaint.splitlines()[-1] == (
        f"adapt: stopped by {number.name}; earlier weights are as they were, and what was decoded "
        "and seen of the collection is kept; run it again, which goes on from there"
    )
    assert "Traceback" not in complaint
    assert not (detector / "adapted" / "own").exists()
    kept = seen(detector)
    assert not list((detector / "work" / "kept" / "adapt").glob("*/*.partial"))

    again = start(detector)
    _, complaint = again.communicate(timeout=120)
    assert again.returncode == 0, complaint
    assert (detector / "adapted" / "own" / "report.html").is_file()
    found = seen(detector)
    assert len(found) > len(kept)
    assert {name: found[name] for name in kept} == kept


def test_a_second_run_beside_the_first_ends_with_one_sentence(detector: Path) -> None:
    write_own(detector / "own", rows("real", "game"))
    first = start(detector, most_seen=2)
    wait_until_some_are_seen(first, detector)
    _, complaint = start(detector).communicate(timeout=120)
    assert complaint == (
        f"adapt: the adapted weights: process {first.pid} is at work on it; wait until that has "
        "ended, or stop it, and run this again\n"
    )
    first.terminate()
    first.communicate(timeout=120)
