from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pipeline import app
from pipeline.config import STAGES, EvaluateApp, SplitApp, SplitConfig, WatchApp, tracked
from pipeline.errors import UserError
from pipeline.store import workdir
from tests.command_line import run

RUNNABLE = ["run.num_workers=1", "run.devices=1", "run.cache_gb=1", "run.accelerator=cpu"]


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("sed=1", "Could not override 'sed'"),
        ("seed=abc", "seed: Value 'abc' of type 'str' could not be converted to Integer"),
        ("seed=abc", "; give a whole number"),
        ("val_fraction=much", "; give a number"),
        ("find_parts=maybe", "; give true or false"),
        ("spilts=3", "there is no such key; see conf/ for the keys"),
        ("seed=???", "no value for seed"),
        ("paths.work=null", "field 'paths.work' is not Optional"),
        ("run.executor=threads", "run.executor=threads must be one of serial, processes, ray"),
        ("+foo=1", "'+foo=1': no key can be added"),
        ("++foo=1", "'++foo=1': no key can be added"),
        ("~seed", "'~seed': no key can be left out"),
        ("=3", "'=3' names no key"),
        ("foo", "'foo' is no key=value"),
        ("unseen_sources=[a", "'unseen_sources=[a' is no key=value"),
        ("--config-name=x", "'--config-name=x' is no option"),
        ("hydra.run.dir=x", "there is no such key"),
        ("-m", "dvc exp run --queue"),
        ("seed=1,2", "dvc exp run --queue"),
        ("val_fraction=1.5", "val_fraction=1.5 must be at least 0 and at most 1"),
        ("run.num_workers=-1", "run.num_workers=-1 must be at least 0"),
    ],
)
def test_a_wrong_override_fails_at_once_with_its_full_name(override: str, named: str) -> None:
    result = run("split", override)
    assert result.returncode == 1
    assert named in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["https://h.example/a?k=v&n=1", "http://u:p@h.example:80/a"])
def test_an_address_needs_no_quotes(address: str) -> None:
    cfg = app.compose("watch", f"webhook={address}")
    assert isinstance(cfg, WatchApp)
    assert cfg.webhook == address


@pytest.mark.parametrize(
    "overrides",
    [
        ("webhook=https://u:seCret@h.example/a,b?k=seCret",),
        ("webhook=https://u:seCret@h.example/(a?k=[seCret",),
        ("webhok=https://u:seCret@h.example/?k=seCret",),
        ("+webhook=https://u:seCret@h.example/?k=seCret",),
        ("--webhook=https://u:seCret@h.example/?k=seCret",),
        ("https://u:seCret@h.example/?k",),
        ("webhook=https://u:seCret@h.example/?k=seCret", "timeout_s=soon"),
        ("timeout_s=https://u:seCret@h.example/?k=seCret",),
    ],
)
def test_what_is_said_of_a_wrong_override_holds_no_secret_of_an_address(
    overrides: tuple[str, ...],
) -> None:
    with pytest.raises(UserError) as told:
        app.compose("watch", *overrides)
    assert "seCret" not in str(told.value)


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("NUM_WORKERS", "", "NUM_WORKERS= (run.num_workers) is no whole number"),
        ("NUM_WORKERS", "abc", "NUM_WORKERS=abc (run.num_workers) is no whole number"),
        ("NUM_WORKERS", "-1", "NUM_WORKERS=-1 (run.num_workers) must be at least 0"),
        ("DEVICES", "auto", "DEVICES=auto (run.devices) is no whole number"),
        ("CACHE_GB", "x", "CACHE_GB=x (run.cache_gb) is no number"),
        ("EXECUTOR", "", "EXECUTOR= (run.executor) must be one of serial"),
        ("ACCELERATOR", "abacus", "ACCELERATOR=abacus (run.accelerator) must be one of cpu"),
    ],
)
def test_a_wrong_variable_of_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError) as told:
        app.compose("split")
    assert named in str(told.value)
    assert isinstance(app.compose("split", "run.executor=serial", *RUNNABLE), SplitApp)


def test_a_refusal_of_the_disk_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def work() -> None:
        raise OSError(errno.EROFS, "Read-only file system", "data/splits")

    monkeypatch.setattr("pipeline.system.entry.begin", lambda name: None)
    monkeypatch.chdir(app.PROJECT)
    with pytest.raises(SystemExit) as told:
        app.run("split", work, kept="")
    assert str(told.value).startswith("split: data/splits: its file system is read-only; mount it")


def test_a_full_disk_is_that_of_a_folder_which_the_command_line_gives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = str(tmp_path / "elsewhere")

    def work() -> None:
        app.compose("bank", f"paths.banks={elsewhere}")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def usage(path: Path) -> Any:
        # Only the disk that the test names is full.
        return SimpleNamespace(free=0 if path == tmp_path else 10**12)

    monkeypatch.setattr("pipeline.system.entry.begin", lambda name: None)
    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.chdir(app.PROJECT)
    with pytest.raises(SystemExit) as told:
        app.run("bank", work, kept="")
    assert str(told.value).startswith(f"bank: {elsewhere}: no space left on the disk; free some")


def test_the_log_of_a_run_goes_to_stderr_and_tells_time_and_level() -> None:
    program = """
import logging
from pipeline import app
log = logging.getLogger("pipeline.anything")
app.run("split", lambda: [log.info("split: begun"), log.warning("split: odd")], kept="")
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=app.PROJECT)
    first, second = result.stderr.splitlines()
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(f"{time} INFO split: begun", first)
    assert re.fullmatch(f"{time} WARNING split: odd", second)
    assert result.stdout == ""


def test_a_locale_without_its_letters_does_not_matter() -> None:
    command = [sys.executable, "-m", "pipeline", "split", "paths.clips=Fläche"]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(
        command, capture_output=True, check=False, cwd=app.PROJECT, env={**os.environ, **ascii_only}
    )
    assert result.returncode == 1
    assert result.stderr.decode().startswith(
        f"split: {app.PROJECT}/Fläche/manifest.parquet: missing"
    )


def test_a_mistake_of_the_user_is_one_sentence_and_a_failure() -> None:
    result = run("split", "paths.clips=nowhere")
    assert result.returncode == 1
    assert result.stderr == (
        f"split: {app.PROJECT}/nowhere/manifest.parquet: missing; "
        "run the stage that writes it (dvc repro)\n"
    )


def test_another_working_folder_is_refused(tmp_path: Path) -> None:
    result = run("evaluate", folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"evaluate: {tmp_path}: no project")


def test_an_unknown_stage_lists_the_known_ones() -> None:
    result = run("nonsense")
    assert result.returncode == 1
    assert "{synthesize,ingest,split,augment,pack,embed,probe,train,evaluate}" in result.stderr


def test_tracked_keys_are_the_stage_s_own() -> None:
    cfg = app.compose("split", "seed=5")
    assert isinstance(cfg, SplitApp)
    assert tracked(cfg)["seed"] == 5
    assert set(tracked(cfg)) == {f.name for f in fields(SplitConfig)}


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_tracks_is_what_its_file_of_settings_holds(name: str) -> None:
    settings = yaml.safe_load((app.CONF / f"{name}.yaml").read_text())
    assert set(tracked(app.compose(name))) == set(settings)


@pytest.mark.parametrize("revision", ["HEAD~1", "HEAD^", "some/branch~2^", "a.b-c@x~"])
def test_a_revision_of_git_needs_no_quotes(revision: str) -> None:
    cfg = app.compose("evaluate", f"against={revision}")
    assert isinstance(cfg, EvaluateApp)
    assert cfg.against == revision


def test_nor_does_it_on_the_command_line() -> None:
    assert "nowhere~1/manifest.parquet: missing" in run("split", "paths.clips=nowhere~1").stderr


@pytest.mark.parametrize("name", [name for name in STAGES if name != "evaluate"])
def test_a_stage_refuses_a_folder_of_something_else_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    thesis = tmp_path / "mine" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    key = workdir.OUTPUTS[name].key
    arguments = [name, f"{key}={thesis.parent}", f"paths.work={tmp_path / 'work'}"]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr("pipeline.system.entry.begin", lambda name: None)
    monkeypatch.chdir(app.PROJECT)
    begun = []
    with pytest.raises(SystemExit) as told:
        app.stage(name)(begun.append)()
    assert str(told.value).startswith(
        f"{name}: {thesis.parent}: holds files that are no output of {name} (such as thesis.txt)"
    )
    assert not begun
    assert thesis.is_file()


@pytest.mark.parametrize("name", STAGES)
def test_an_output_on_a_store_is_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    key = workdir.OUTPUTS[name].key
    monkeypatch.setattr("pipeline.system.entry.begin", lambda name: None)
    monkeypatch.chdir(app.PROJECT)
    begun: list[object] = []
    with pytest.raises(SystemExit, match=r"a stage writes to a local folder.*dvc push"):
        app.stage(name)(begun.append)([f"{key}=s3://bucket/x", f"paths.work={tmp_path}"])
    assert not begun


def test_nor_does_a_path_that_no_folder_can_have_end_in_a_traceback() -> None:
    result = run("embed", "paths.features=README.md")
    assert result.returncode == 1
    assert result.stderr == (
        "embed: README.md: no folder; move it away, or give another paths.features=…\n"
    )


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("split", "sed: 1", r"conf/split.yaml: sed: there is no such key; did you mean seed\?"),
        ("split", "zzz: 1", r"conf/split.yaml: zzz: there is no such key; see conf/ for the keys"),
        ("paths", "wrk: x", r"conf/paths.yaml: paths.wrk: there is no such key; did you mean .*"),
        ("run", "num_workers: x", r"conf/run.yaml: run.num_workers: Value 'x' .*; give a whole .*"),
        ("split", "seed: [3", r"/.*/split.yaml: line 1: expected ',' .*; write it as YAML"),
        ("split", "seed: 1\nseed: 2", r"/.*/split.yaml: line 2: found duplicate key seed; .*"),
    ],
)
def test_what_is_wrong_in_a_file_of_the_configuration_is_named_with_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str, told: str
) -> None:
    shutil.copytree(app.CONF, tmp_path / "conf")
    monkeypatch.setattr(app, "CONF", tmp_path / "conf")
    (tmp_path / "conf" / f"{name}.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        app.compose("split")
    assert re.fullmatch(told, str(error.value))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"seed: 1 # caf\xe9\n", r"/.*/split.yaml: invalid continuation byte; save it as .*"),
        (b"seed: 1 # \x07\n", r"/.*/split.yaml: special characters are .*; save it as .*"),
        (None, r"conf/split.yaml: missing; put it back \(git checkout conf/split.yaml\)"),
    ],
)
def test_a_file_of_the_configuration_that_is_no_text_or_is_gone_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, told: str
) -> None:
    shutil.copytree(app.CONF, tmp_path / "conf")
    monkeypatch.setattr(app, "CONF", tmp_path / "conf")
    file = tmp_path / "conf" / "split.yaml"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(UserError) as error:
        app.compose("split")
    assert re.fullmatch(told, str(error.value))


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UserError, match="no_such_key"):
        app.compose("split", "no_such_key=5")


@pytest.fixture(scope="module")
def starter() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported the pipeline, and starts the stages that it reads the names of.

    For each it prints the number of the process once that is at work, and then its exit status.
    """
    program = """
import os, sys, time
from pathlib import Path
from pipeline import app
from pipeline.store import workdir
def main(cfg):
    with workdir.replacing(folder / "out", Path(cfg.paths.work), None) as fresh:
        (fresh / "new").write_text("2")
        print("at work:", os.getpid(), flush=True)
        time.sleep(60)
for asked in sys.stdin:
    name, place = asked.rstrip("\\n").split(" ", 1)
    folder = Path(place)
    if not (child := os.fork()):
        os.dup2(os.open(folder / "errors", os.O_WRONLY | os.O_CREAT), 2)
        sys.exit(app.stage(name)(main)([f"paths.work={folder / 'work'}"]))
    until_s = time.monotonic() + 120
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < until_s:
        time.sleep(0.01)
    print(os.waitstatus_to_exitcode(ended[1]) if ended[0] else "still there", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=app.PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", STAGES)
def test_a_signal_ends_every_stage_with_its_status_and_leaves_its_output(
    starter: subprocess.Popen[str], tmp_path: Path, name: str, number: signal.Signals
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "earlier").write_text("1")
    assert starter.stdin is not None
    assert starter.stdout is not None
    print(name, tmp_path, file=starter.stdin, flush=True)
    said, _, process = starter.stdout.readline().partition(": ")
    assert said == "at work"
    os.kill(int(process), number)
    assert int(starter.stdout.readline()) == 128 + number
    errors = (tmp_path / "errors").read_text()
    assert errors == f"{name}: stopped by {number.name}; {app.KEPT[name]}\n"
    assert [path.name for path in output.iterdir()] == ["earlier"]
    assert not list((tmp_path / "work").glob("out-*"))
