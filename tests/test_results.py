"""Holds docs/results.md to what `make results` writes, and its inputs to the run that is locked."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UserError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import outcome
import results

AGAIN = "run: make results"


def test_the_page_is_what_the_command_makes_of_the_committed_files() -> None:
    assert results.PAGE.read_text() == results.render(results.INPUTS), AGAIN


@pytest.mark.parametrize("output", results.COPIED)
def test_the_committed_files_are_those_of_the_locked_run(output: str) -> None:
    listing = (results.INPUTS / f"{output}.dir.json").read_bytes()
    assert hashlib.md5(listing).hexdigest() + ".dir" == results.locked(output), AGAIN
    listed = {entry["relpath"]: entry["md5"] for entry in json.loads(listing)}
    copies = {
        path.relative_to(results.INPUTS / output).as_posix(): path
        for path in (results.INPUTS / output).rglob("*")
        if path.is_file()
    }
    assert copies.keys() == set(results.COPIED[output]), AGAIN
    for name, path in copies.items():
        assert hashlib.md5(path.read_bytes()).hexdigest() == listed[name], f"{path}: {AGAIN}"


def test_the_draw_is_that_of_the_locked_run() -> None:
    assert json.loads((results.INPUTS / results.DRAW).read_text()) == results.draw(), AGAIN


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose outputs are the committed files alone, and a lock that names them."""
    outs = []
    for output in results.COPIED:
        shutil.copytree(results.INPUTS / output, tmp_path / output)
        md5 = hashlib.md5(results.listing(tmp_path / output)).hexdigest()
        outs.append({"path": output, "md5": f"{md5}.dir"})
    params = {
        "conf/synthesize.yaml": {"seed": 1, "bodycam": {"num_recordings": 3}},
        "conf/split.yaml": {"unseen_sources": []},
    }
    lock = {"stages": {"all": {"outs": outs, "params": params}}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock))
    return tmp_path


def test_the_draw_is_read_where_a_lock_names_single_keys(tmp_path: Path) -> None:
    params = {"conf/synthesize.yaml": {"film.num_recordings": 2, "film.duration_s": 1.0}}
    held = {"conf/split.yaml": {"seed": 1, "unseen_sources": ["far"]}}
    (tmp_path / "dvc.lock").write_text(
        yaml.safe_dump({"stages": {"one": {"params": params}, "other": {"params": held}}})
    )
    drawn = results.draw(tmp_path / "dvc.lock")
    assert drawn == {"engines": {"film": 2}, "unseen_sources": ["far"]}


def test_what_is_collected_makes_the_page(project: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "docs"
    results.collect(project, inputs, project / "dvc.lock")
    page = results.render(inputs)
    assert "bodycam 3. Sources held out whole: none." in page
    committed = results.render(results.INPUTS)
    scores = page[page.index("## Scores") :]
    # What benchmarks wrote stands below.
    assert committed[committed.index("## Scores") :].startswith(scores)


def test_another_number_makes_another_page(project: Path, tmp_path: Path) -> None:
    path = project / "reports" / "headline.json"
    headline = json.loads(path.read_text())
    headline["test"]["brier"] = 0.9876
    path.write_text(json.dumps(headline))
    with pytest.raises(UserError, match=r"reports: is not what .*dvc\.lock names; run: dvc repro"):
        results.collect(project, tmp_path / "docs", project / "dvc.lock")
    shutil.copytree(results.INPUTS, tmp_path / "inputs")
    shutil.copy(path, tmp_path / "inputs" / "reports" / "headline.json")
    assert "| 0.988 |" in results.render(tmp_path / "inputs")


def test_outputs_that_are_not_there_are_named(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / "probes")
    with pytest.raises(UserError, match=r"probes: no such folder; run: make repro, or dvc pull"):
        results.collect(project, tmp_path / "docs", project / "dvc.lock")
    with pytest.raises(UserError, match=r"dvc\.lock: names no output elsewhere"):
        results.locked("elsewhere", project / "dvc.lock")


def test_what_a_benchmark_writes_becomes_a_section(tmp_path: Path) -> None:
    shutil.copytree(results.INPUTS, tmp_path, dirs_exist_ok=True)
    table = outcome.Table("Speed of all", ("clips", "s"), [(10_000, 0.25), (20_000, None)])
    written = outcome.Outcome("speed.py", "On two cores.", [table])
    outcome.write(tmp_path / "benchmarks" / "speed.json", written)
    page = results.render(tmp_path)
    assert "## Speed of all\n\n`benchmarks/speed.py`. On two cores.\n" in page
    assert "| 10,000 | 0.25 |\n| 20,000 | – |\n" in page
