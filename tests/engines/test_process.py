from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engines import process
from pipeline.engines.take import UnusableDraw

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def test_what_a_game_printed_is_returned(tmp_path: Path) -> None:
    assert process.play(["sh", "-c", "echo $GREETING"], tmp_path, 10, {"GREETING": "hi"}) == "hi\n"


@pytest.mark.parametrize("ending", ["exit 3", "kill -SEGV $$", "kill -KILL $$"])
def test_a_game_that_fails_is_dropped(ending: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableDraw, match="engine_crashed"):
        process.play(["sh", "-c", f"sh -c '{ending}'"], tmp_path, 10, {})


@pytest.mark.parametrize("has_namespaces", [True, False])
def test_what_a_game_started_ends_with_it(
    has_namespaces: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_namespaces:
        monkeypatch.setattr(process, "_sandbox", lambda: ())
    pipe = _open_pipe(tmp_path / "pipe")
    with pytest.raises(UnusableDraw, match="engine_timed_out"):
        process.play(["sh", "-c", "exec 3>pipe; sleep 60 & wait"], tmp_path, 0.5, {})
    assert _is_closed(pipe, within_s=5)


@pytest.mark.parametrize("has_namespaces", [True, False])
def test_a_game_does_not_outlive_a_parent_that_was_killed(
    has_namespaces: bool, tmp_path: Path
) -> None:
    if has_namespaces and not process._sandbox():
        pytest.skip("the kernel grants no namespaces")
    pipe = _open_pipe(tmp_path / "pipe")
    play = (
        "import sys; from pathlib import Path; from pipeline.engines import process;"
        f"{'' if has_namespaces else 'process._sandbox = lambda: ();'}"
        "process.play(['sh', '-c', 'exec 3>pipe; echo up >&3; sleep 60 & wait'],"
        f" Path(sys.argv[1]), {60 if has_namespaces else 1}, {{}})"
    )
    parent = subprocess.Popen([sys.executable, "-c", play, str(tmp_path)], cwd=PROJECT_ROOT)
    try:
        assert select.select([pipe], [], [], 30)[0]
        assert os.read(pipe, 9) == b"up\n"
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert _is_closed(pipe, within_s=5)


def _open_pipe(path: Path) -> int:
    """A named pipe that ends when the last process that writes to it does."""
    os.mkfifo(path)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def _is_closed(pipe: int, within_s: float) -> bool:
    ready = select.select([pipe], [], [], within_s)[0]
    return bool(ready) and os.read(pipe, 9) == b""
