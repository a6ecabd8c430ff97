from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline import app

READY = "print('ready', flush=True)"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def start(*lines: str, **environment: str) -> subprocess.Popen[str]:
    """Run lines of a program that is called `work` in a process of its own, until it is ready."""
    head = ["import os, signal, subprocess, sys, time", "from pipeline.system import interrupts"]
    program = "\n".join([*head, "interrupts.start('work')", *lines])
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=app.PROJECT,
        env={**os.environ, **environment},
        # A shell that starts tests in the background has SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_signal_during_the_first_imports_ends_the_command_without_a_traceback() -> None:
    program = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pipeline.system":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from pipeline.__main__ import main
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=app.PROJECT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    assert (result.returncode, result.stderr) == (-signal.SIGINT, "")


def told(process: subprocess.Popen[str], *numbers: int) -> tuple[int, str]:
    """Exit status and error output after signals."""
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.05)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def is_running(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ended_in_time(process_ids: Sequence[int]) -> bool:
    until_s = time.monotonic() + 120
    while any(map(is_running, process_ids)) and time.monotonic() < until_s:
        time.sleep(0.05)
    return not any(map(is_running, process_ids))


def body(*lines: str) -> list[str]:
    """Lines of a work that can be stopped, as `app.run` does it."""
    return [
        "try:",
        "  with interrupts.raised():",
        *(f"    {line}" for line in lines),
        "except BaseException:",
        "  if interrupts.due(): interrupts.leave()",
        "  raise",
    ]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("lines", [[READY, "time.sleep(20)"], body(READY, "time.sleep(20)")])
def test_a_signal_ends_with_its_status_and_one_sentence(
    number: signal.Signals, lines: Sequence[str]
) -> None:
    status, errors = told(start("interrupts.keeps('all is kept')", *lines), number)
    assert status == 128 + number
    assert errors == f"work: stopped by {number.name}; all is kept\n"


def test_what_is_cleaned_up_is_not_broken_by_more_signals() -> None:
    lines = ["try:", "  print('ready', flush=True); time.sleep(20)", "finally:", "  time.sleep(1)"]
    process = start(*body(*lines, "  os.write(2, b'clean ')"))
    status, errors = told(process, signal.SIGTERM, signal.SIGINT, signal.SIGTERM)
    assert status == 128 + signal.SIGTERM
    assert errors.startswith("clean work: stopped by SIGTERM; ")


def test_a_failure_that_follows_from_the_signal_is_not_told() -> None:
    lines = ["try:", "  print('ready', flush=True); time.sleep(20)", "finally:"]
    process = start(*body(*lines, "  raise RuntimeError('a worker is gone')"))
    status, errors = told(process, signal.SIGTERM)
    assert status == 143
    assert errors.count("\n") == 1


def test_a_finaliser_that_swallows_it_does_not_stop_the_end() -> None:
    lines = ["class A:", "  def __del__(self):", f"    {READY}", "    time.sleep(20)"]
    status, errors = told(start(*lines, *body("A()", "time.sleep(3)")), signal.SIGTERM)
    assert status == 143
    assert "Traceback" not in errors


def test_a_work_that_does_not_react_is_ended_by_force() -> None:
    lines = ["interrupts.GRACE_S = 0.5", *body("interrupts.postpone()", READY, "time.sleep(20)")]
    status, errors = told(start(*lines), signal.SIGTERM)
    assert status == 143
    assert errors.startswith("work: stopped by SIGTERM; ")


def test_what_is_postponed_waits_until_it_is_resumed() -> None:
    lines = ["interrupts.postpone()", READY, "time.sleep(0.5)", "os.write(2, b'saved ')"]
    process = start(*body(*lines, "interrupts.resume()", "time.sleep(20)"))
    status, errors = told(process, signal.SIGTERM)
    assert status == 143
    assert errors.startswith("saved work: stopped by SIGTERM; ")


def test_a_signal_that_is_too_late_ends_nothing_early() -> None:
    lines = ["interrupts.too_late('in place')", READY, "time.sleep(0.5)"]
    status, errors = told(start(*body(*lines)), signal.SIGTERM)
    assert (status, errors) == (0, "")


def test_what_was_ignored_stays_ignored() -> None:
    lines = ["signal.signal(signal.SIGHUP, signal.SIG_IGN)", "interrupts.listen()"]
    status, errors = told(start(*lines, *body(READY, "time.sleep(0.5)")), signal.SIGHUP)
    assert (status, errors) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_no_process_that_it_started_outlives_it(tmp_path: Path) -> None:
    told_of = f"echo $! > {tmp_path}"
    shell = f"sleep 300 & {told_of}/1; setsid sleep 300 & {told_of}/2; echo > {tmp_path}/3; wait"
    waits = f"while not os.path.exists('{tmp_path}/3'): time.sleep(0.01)"
    lines = [f"subprocess.Popen(['sh', '-c', {shell!r}])", waits, READY]
    status, _ = told(start(*body(*lines, "time.sleep(20)")), signal.SIGTERM)
    assert status == 143
    children = [int((tmp_path / name).read_text()) for name in "12"]
    assert ended_in_time(children)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
@pytest.mark.parametrize("shell", ["{}", "sh -c '{}; exit $?'"])
def test_a_stage_ends_with_the_dvc_that_started_it(tmp_path: Path, shell: str) -> None:
    program = tmp_path / "stage.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(app.PROJECT)!r})\n"
        "import os, time, pathlib\nfrom pipeline.system import interrupts\n"
        "interrupts.start('work')\n"
        f"pathlib.Path({str(tmp_path / 'id')!r}).write_text(str(os.getpid()))\ntime.sleep(300)\n"
    )
    command = shell.format(f"{sys.executable} {program}")
    dvc = f"import subprocess; subprocess.run({command.split(' ', 2)!r})"
    if shell != "{}":
        dvc = f"import subprocess; subprocess.run({command!r}, shell=True)"
    with (tmp_path / "errors").open("w") as errors:
        environment = {**os.environ, "DVC_STAGE": "split"}
        parent = subprocess.Popen([sys.executable, "-c", dvc], stderr=errors, env=environment)
    while not (tmp_path / "id").exists() or not (tmp_path / "id").read_text():
        assert parent.poll() is None, (tmp_path / "errors").read_text()
        time.sleep(0.05)
    time.sleep(0.5)
    parent.send_signal(signal.SIGTERM)
    parent.wait()
    stage = int((tmp_path / "id").read_text())
    assert ended_in_time([stage])
    assert (tmp_path / "errors").read_text().startswith("work: stopped by SIGTERM; ")
