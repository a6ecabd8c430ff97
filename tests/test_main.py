from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

import pipeline
from pipeline import app
from pipeline.commands import bank, exchange, line, review
from pipeline.config import COMMANDS, STAGES
from tests.command_line import run, run_apart


@pytest.mark.parametrize(
    "arguments", [("match",), ("split", "sed=1"), ("split", "paths.clips=nowhere"), ("--help",)]
)
def test_a_process_of_its_own_ends_as_the_command_line_does_here(
    arguments: tuple[str, ...],
) -> None:
    assert run_apart(*arguments) == run(*arguments)


@pytest.mark.parametrize("arguments", [(), ("nonsense",)])
def test_the_usage_lists_stages_and_commands(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 1
    assert (
        "{synthesize,ingest,split,augment,pack,embed,probe,train,evaluate} [key=value …]"
        in result.stderr
    )
    assert "init <folder>\n" in result.stderr
    assert "explain <file or clip id> [key=value …]" in result.stderr
    assert "forget <collection>/<recording> [key=value …]" in result.stderr
    assert "catalogue [key=value …]" in result.stderr
    assert "compare [revision …] [key=value …]" in result.stderr
    assert "export [key=value …]" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("gone.mp4",), ("gone.mp4", "no_such_key=1")])
def test_no_failure_of_a_command_looks_like_an_answer(arguments: tuple[str, ...]) -> None:
    result = run("match", *arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr != ""


def test_a_bug_does_not_look_like_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: str, cfg: object) -> None:
        raise RuntimeError(given)

    monkeypatch.chdir(app.PROJECT)
    monkeypatch.setattr("pipeline.commands.match.run", fails)
    monkeypatch.setattr("pipeline.commands.explain.run", fails)
    with pytest.raises(SystemExit) as ended:
        line.main(["match", "a.mp4"])
    assert ended.value.code == 2
    with pytest.raises(RuntimeError):
        line.main(["explain", "a.mp4"])


@pytest.mark.parametrize(
    "arguments",
    [("review", "out=x"), ("score", "out=x"), ("bank",), ("join", "a"), ("init",), ("experiment",)],
)
def test_a_command_that_is_told_too_little_says_its_own_usage(arguments: tuple[str, ...]) -> None:
    name = arguments[0]
    said = run(*arguments).stderr
    assert said.startswith(f"{name}: is told too little; usage: python -m pipeline {name} ")
    assert said.count("\n") == 1


def test_init_makes_one_project_at_a_time() -> None:
    assert run("init", "a", "b").stderr.startswith("init: is told too much; usage: ")


def test_output_that_nobody_reads_on_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*_: object, cfg: object) -> None:
        print("a line\n" * 10_000)

    monkeypatch.setattr(review, "run", told)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            line.main(["review", "list", f"paths.review={tmp_path}"])
    assert ended.value.code == 128 + 13


def test_keys_may_stand_before_files(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, ...]] = []
    monkeypatch.chdir(app.PROJECT)
    monkeypatch.setattr(
        "pipeline.commands.score.run", lambda *files, cfg: given.append((cfg.out, *files))
    )
    line.main(["score", "out=x", "./a=b.mp4", "c.mp4"])
    assert given == [("x", "./a=b.mp4", "c.mp4")]


def test_an_unknown_command_is_named() -> None:
    assert run("judge", "a.mp4").stderr.startswith("judge: there is no such command; usage: ")


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_is_no_error(asked: str) -> None:
    result = run(asked)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: python -m pipeline NAME ")
    assert re.search(r"^  score +Scores listings of files, or prints", result.stdout, re.MULTILINE)
    assert re.search(r"^  evaluate +Say how good the detector is", result.stdout, re.MULTILINE)
    told = re.findall(r"^  ([a-z-]+) +[A-Z]", result.stdout, re.MULTILINE)
    assert told == ["synthesize", *list(STAGES)[1:], "init", *line.COMMANDS, "experiment"]
    assert "one with conf/ and dvc.yaml" in result.stdout
    assert "python -m pipeline --version" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("name", [*line.COMMANDS, "init", "experiment"])
def test_every_command_tells_its_keys_and_its_page(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line.main([name, "--help"])
    said = capsys.readouterr().out
    assert said.startswith("usage: ")
    assert f" {name} " in said.splitlines()[0]
    page = re.search(r"^docs/(\w+)\.md of the repository tells more\.$", said, re.MULTILINE)
    assert page is not None
    text = (app.PROJECT / "docs" / f"{page[1]}.md").read_text()
    assert re.search(rf"(discern|python -m pipeline) {name}\b", text)
    command = line.COMMANDS.get(name)
    if command is None:
        assert "=" not in said
    elif command.config in COMMANDS:
        for key in fields(COMMANDS[command.config]):
            assert re.search(rf"^  (.*, )?{key.name}(=|\.…)", said, re.MULTILINE)
    elif command.reads is None:
        assert f"conf/{command.config}.yaml" in said
    else:
        told = re.findall(r"^  (\w+)(?::|\.…)", said, re.MULTILINE)
        assert told == list(command.reads)


@pytest.mark.parametrize("name", [one for one in line.COMMANDS if line.COMMANDS[one].reads])
def test_help_tells_the_keys_that_a_command_reads_and_no_others(name: str) -> None:
    text = (app.PROJECT / "pipeline" / "commands" / f"{name}.py").read_text()
    read = set(re.findall(r"\bcfg\.(\w+)", text))
    read |= {"collections"} if "tables.collections(cfg)" in text else set()
    assert read == set(line.COMMANDS[name].reads or ())


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_tells_its_keys_and_its_page(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line.main([name, "--help"])
    said = capsys.readouterr().out
    assert said.startswith("usage: ")
    assert "Hydra" not in said
    page = re.search(r"^docs/(\w+)\.md of the repository tells more\.$", said, re.MULTILINE)
    assert page is not None
    text = (app.PROJECT / "docs" / f"{page[1]}.md").read_text()
    assert re.search(rf"`{name}`|{name}\.(py|yaml)|discern {name}\b", text)
    own = {key.name for key in fields(STAGES[name].own or object)}
    for key in own:
        assert re.search(rf"^  {key}:", said, re.MULTILINE)
    for key in {key.name for key in fields(STAGES[name])} - own:
        assert re.search(rf"^  (.*, )?{key}(=|\.…)", said, re.MULTILINE)


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_a_stage_that_is_run_by_its_own_file_gives_the_same_help(
    name: str, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line.main([name, "--help"])
    expected = capsys.readouterr().out
    app.stage(name)(lambda _: pytest.fail("it ran"))([asked])
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("name", "actions"),
    [("bank", bank.ACTIONS), ("exchange", exchange.ACTIONS), ("review", review.ACTIONS)],
)
def test_help_names_all_that_a_command_can_do(name: str, actions: Mapping[str, object]) -> None:
    assert sorted(line.COMMANDS[name].told[0].split("|")) == sorted(actions)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_of_every_key_what_it_means(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line.main([name, "--help"])
    said = capsys.readouterr().out
    assert re.findall(r"^  (\w+)=.*\n(?!      )", said, re.MULTILINE) == []


def test_help_names_the_choices_of_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    line.main(["review", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "What is exported or imported. One of csv, label_studio, fiftyone, coop." in said


def test_help_tells_the_value_of_a_key_and_what_it_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line.main(["watch", "--help"])
    said = capsys.readouterr().out
    assert "  timeout_s=15.0\n      A stream is lost once nothing came of it for so long.\n" in said
    assert "  webhook=null\n" in said
    assert "Puts the detector in front of streams.\n" in said


def test_help_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line.main(["init", "--help"])
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_the_one_in_the_package() -> None:
    assert run_apart("--version").stdout == f"discern {pipeline.__version__}\n"


@pytest.mark.parametrize("name", line.RECIPES)
def test_a_script_beside_the_package_is_a_command_too(name: str) -> None:
    result = run(name, "no_such_key=1")
    assert result.returncode == 1
    assert result.stderr.startswith(f"{name}: no_such_key=1: Could not override")


def test_hydra_shows_what_a_stage_would_run_with() -> None:
    result = run_apart("split", "--cfg", "job", "seed=12345")
    assert result.returncode == 0
    assert "seed: 12345\n" in result.stdout


def test_a_command_passes_overrides_on_and_fails_in_one_sentence() -> None:
    result = run("explain", "a=b.mp4", "paths.clips=nowhere")
    assert result.returncode == 1
    assert result.stderr == (
        "explain: nowhere/files.parquet: missing; run the stage that writes it (dvc repro)\n"
    )


def test_revisions_come_before_the_keys_of_a_command() -> None:
    result = run("compare", "HEAD", "main", "wandb=somewhere")
    assert result.returncode == 1
    assert result.stderr == "compare: 'HEAD' beside wandb=somewhere: give one of them\n"


def test_a_command_with_keys_of_its_own_refuses_others() -> None:
    result = run("compare", "seed=3")
    assert result.returncode == 1
    assert "Could not override 'seed'" in result.stderr


def test_a_command_refuses_another_working_folder(tmp_path: Path) -> None:
    result = run_apart("forget", "a/b", folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"forget: {tmp_path}: no project")
