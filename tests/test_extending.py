"""Applies the examples of docs/extending.md to a copy of the project, and runs their commands."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "extending.md"
COPIED = ("pipeline", "conf", "dvc.yaml", "train.py", "evaluate.py")
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(heading: str) -> Iterator[tuple[str, str, str]]:
    """The language, the file name and the text of the blocks below a heading of the page."""
    section = PAGE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    yield from _BLOCK.findall(section)


def changed(text: str, difference: str) -> str:
    """Apply a difference without line numbers: its lines are in the text just once."""
    lines = difference.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(before) == 1, f"not there, or more than once:\n{before}"
    return text.replace(before, after)


def apply(folder: Path, heading: str) -> str:
    """Write the files of a section, and give its commands."""
    commands = []
    for language, name, text in blocks(heading):
        if language == "sh":
            commands.append(text)
        elif language == "diff":
            (folder / name).write_text(changed((folder / name).read_text(), text))
        else:
            (folder / name).write_text(text)
    return "".join(commands)


def run(folder: Path, commands: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WANDB_MODE": "disabled",
        "NUM_WORKERS": "0",
        "EXECUTOR": "serial",
    }
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.jpg")
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_difference_that_does_not_fit_is_found() -> None:
    assert changed("a\nb\nc\n", " a\n-b\n+B\n") == "a\nB\nc\n"
    with pytest.raises(AssertionError, match="not there"):
        changed("a\nb\n", " b\n+c\n c\n")
    with pytest.raises(AssertionError, match="more than once"):
        changed("a\na\n", " a\n+c\n")


@pytest.mark.parametrize("heading", ["An engine", "A transform", "A network", "A suite"])
def test_the_example_fits_the_code_as_it_is(project: Path, heading: str) -> None:
    assert apply(project, heading)


def test_an_engine(project: Path) -> None:
    run(project, apply(project, "An engine"))
    synthetic = project / "data" / "synthetic"
    assert [path.name for path in synthetic.iterdir() if path.is_dir()] == ["ball"]
    with (synthetic / "ball" / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {row["origin"] for row in rows} == {"generated"}
    assert all((synthetic / "ball" / row["path"]).stat().st_size > 500 for row in rows)


@pytest.mark.slow
def test_a_transform(project: Path) -> None:
    run(project, apply(project, "A transform"))
    page = (project / ".work" / "catalogue" / "catalogue.html").read_text()
    assert page.count("scratch") >= len(("mild", "medium", "severe"))


@pytest.mark.slow
def test_a_network_and_a_suite(project: Path) -> None:
    from tests.packing import write_no_features
    from tests.test_evaluate import write_packed

    write_packed(project / "data" / "packed", ("train", "val", "test"))
    write_no_features(project / "data" / "features")
    run(project, apply(project, "A network"))
    card = json.loads((project / "models" / "model.json").read_text())
    assert card["architecture"]["name"] == "colours"
    assert (project / "reports" / "report.html").is_file()

    run(project, apply(project, "A suite"))
    metrics = json.loads((project / "reports" / "metrics.json").read_text())
    assert metrics["suites"]["sureness"].keys() == {"verdicts", "num_sure", "num_wrong"}
    assert "Sureness" in (project / "reports" / "report.html").read_text()
