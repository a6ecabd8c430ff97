from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import app
from pipeline.commands import experiment, init
from pipeline.errors import UserError
from pipeline.footage.collection import COLUMNS
from pipeline.system import project

REPOSITORY = yaml.safe_load((project.TEMPLATE / "dvc.yaml").read_text())


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    init.run(folder)
    return folder


@pytest.fixture
def dvc(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((made / "dvc.yaml").read_text())
    return found


def test_it_makes_a_project_with_the_settings_of_this_version(made: Path) -> None:
    assert project.find(made) == made
    shipped = project.TEMPLATE / "conf"
    names = sorted(path.relative_to(shipped) for path in shipped.rglob("*.yaml"))
    assert (
        sorted(path.relative_to(made / "conf") for path in (made / "conf").rglob("*.yaml")) == names
    )
    names.remove(Path("split.yaml"))
    assert all((made / "conf" / n).read_bytes() == (shipped / n).read_bytes() for n in names)
    assert len((made / "README.md").read_text().splitlines()) <= 12


def test_it_tells_where_collections_go_and_the_columns_of_their_index(made: Path) -> None:
    assert "`footage/README.md`" in (made / "README.md").read_text()
    about = (made / "footage" / "README.md").read_text()
    assert about.startswith("Put footage collections here")
    assert "\n## The index\n" in about
    assert [name for name in COLUMNS if f"`{name}`" not in about] == []
    assert about.count("\n## ") == 1
    # What it is taken from has pages beside it, and a new project has none.
    assert "](" not in about


def test_it_holds_out_no_source_that_it_may_not_have(made: Path) -> None:
    text = (made / "conf" / "split.yaml").read_text()
    shipped = yaml.safe_load((project.TEMPLATE / "conf" / "split.yaml").read_text())
    assert shipped["unseen_sources"]
    assert yaml.safe_load(text) == {**shipped, "unseen_sources": []}
    # They are named all the same, and so is the setting in the instructions.
    assert [name for name in shipped["unseen_sources"] if name not in text] == []
    assert "`unseen_sources`" in (made / "README.md").read_text()


def test_its_experiment_of_own_footage_can_be_run(made: Path) -> None:
    assert "discern experiment own" in (made / "README.md").read_text()
    told = experiment.arguments(made / "conf", "own")
    assert "conf/synthesize.yaml:vizdoom.long.num_recordings=0" in told


def test_the_stages_are_the_repository_s_but_for_commands_and_code(dvc: dict[str, Any]) -> None:
    stages = dict(dvc["stages"])
    assert stages.pop("version")["outs"] == [{init.VERSION: {"cache": False}}]
    assert list(stages) == list(REPOSITORY["stages"])
    for name, stage in stages.items():
        known = REPOSITORY["stages"][name]
        data = [dep for dep in known["deps"] if not dep.startswith("pipeline/")]
        scripts = [dep for dep in data if dep.endswith(".py")]
        assert stage["deps"] == [init.VERSION, *(dep for dep in data if dep not in scripts)]
        assert stage | {"cmd": "", "deps": []} == known | {"cmd": "", "deps": []}
        assert stage["cmd"].split()[:2] == ["discern", name]
    assert {k: v for k, v in dvc.items() if k != "stages"} == {
        k: v for k, v in REPOSITORY.items() if k != "stages"
    }


def test_arguments_of_a_script_stay(dvc: dict[str, Any]) -> None:
    one = {"cmd": "python evaluate.py a=1", "deps": ["evaluate.py", "pipeline/learn", "${clips}"]}
    stages = yaml.safe_load(init.stages({"stages": {"evaluate": one}}))["stages"]
    assert stages["evaluate"] == {
        "cmd": "discern evaluate a=1",
        "deps": [init.VERSION, "${clips}"],
    }


def test_git_sees_neither_the_work_folder_nor_a_report_nor_a_key(
    made: Path,
) -> None:
    ignored = (made / ".gitignore").read_text().splitlines()
    assert {"/.work/", "/reports-collections/", "/wandb/", "*.pem"} <= set(ignored)
    # DVC itself keeps its outputs out of git.
    assert "/reports/" not in ignored
    # `dvc add` puts a file beside each bank.
    assert "/banks/" not in ignored


def test_git_sees_no_output_that_the_docs_have_written(made: Path) -> None:
    pages = "".join(page.read_text() for page in (project.TEMPLATE / "docs").glob("*.md"))
    named = r"\b(?:out|paths\.\w+)=([a-z-]+)(?:/[a-z-]+)?(?![\w./])"
    folders = set(re.findall(named, pages)) - {"models"}
    files = set(re.findall(r"^discern review .* (\w+\.(?:csv|sqlite))\b", pages, re.MULTILINE))
    assert {"scores", "models-joined", "reports-joined"} <= folders
    assert files == {"alerts.sqlite", "tasks.csv"}
    ignored = (made / ".gitignore").read_text().splitlines()
    told = [*(f"/{name}/" for name in sorted(folders)), *(f"/{name}" for name in files)]
    assert [name for name in told if not any(fnmatch(name, one) for one in ignored)] == []


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_checkout_leaves_an_added_collection_where_it_is(made: Path) -> None:
    """`dvc exp run` begins with one, before any stage has run."""

    def run(*command: str) -> None:
        subprocess.run(command, cwd=made, check=True, capture_output=True)

    dvc = str(Path(sys.executable).with_name("dvc"))
    video = made / "footage" / "phone" / "a.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"pictures")
    run("git", "init", "-q")
    run(dvc, "init", "-q")
    run(dvc, "add", "-q", "footage/phone")
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "start")
    run(dvc, "checkout", "--allow-missing")
    assert video.read_bytes() == b"pictures"
    seen = subprocess.run(
        ["git", "ls-files", "footage"], cwd=made, check=True, capture_output=True, text=True
    ).stdout.split()
    assert seen == ["footage/.gitignore", "footage/README.md", "footage/phone.dvc"]


@pytest.mark.parametrize(
    "name",
    [
        "dvc.yaml",
        "conf/mine.yaml",
        "README.md",
        ".gitignore",
        "footage/README.md",
        "deployment/README.md",
    ],
)
def test_it_overwrites_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        init.run(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_with_footage_alone_becomes_a_project(tmp_path: Path) -> None:
    (tmp_path / "footage" / "phone").mkdir(parents=True)
    init.run(tmp_path)
    assert project.find(tmp_path) == tmp_path


def test_it_needs_neither_git_nor_a_project_and_says_what_comes_next(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "init", "mine"],
        cwd=tmp_path,
        env={**os.environ, "PATH": "", "PYTHONPATH": str(app.PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        "mine: a new project\nNext:\n  cd mine\n  install git, for example: apt-get install git\n"
        "  git init && dvc init\n  dvc repro, once there is a collection under footage/\n"
    )
    assert (tmp_path / "mine" / "dvc.yaml").is_file()


def test_nobody_is_sent_into_the_folder_that_they_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    init.run(Path())
    assert "  cd" not in capsys.readouterr().out


def test_dvc_reads_what_it_writes(made: Path) -> None:
    dvc = str(Path(sys.executable).with_name("dvc"))
    subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=made, check=True)
    listed = subprocess.run(
        [dvc, "stage", "list", "--name-only"], cwd=made, check=True, capture_output=True, text=True
    )
    assert listed.stdout.split() == ["version", *REPOSITORY["stages"]]
