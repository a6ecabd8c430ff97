"""Holds dvc.yaml, conf/, the stage modules and their real imports together."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import grimp
import pytest
import yaml
from packaging.specifiers import SpecifierSet

from pipeline import app
from pipeline.commands import experiment, line
from pipeline.config import STAGES, Paths, Run
from pipeline.stages import synthesize

ROOT = app.PROJECT
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
EXPERIMENTS = sorted((ROOT / "conf" / experiment.FOLDER).glob("*.yaml"))
SCRIPTS = {"train": "train.py", "evaluate": "evaluate.py"}
CANNOT_CHANGE_OUTPUT = {
    "pipeline",
    "pipeline.__main__",
    "pipeline.app",
    "pipeline.config",
    "pipeline.copies",
    "pipeline.design",
    "pipeline.errors",
    "pipeline.footage",
    "pipeline.stages",
    "pipeline.store",
    "pipeline.store.cache",
    "pipeline.store.contents",
    "pipeline.store.executor",
    "pipeline.store.finished_work",
    "pipeline.store.locks",
    "pipeline.store.output_files",
    "pipeline.store.reuse",
    "pipeline.store.storage",
    "pipeline.store.tracking",
    "pipeline.store.workdir",
    "pipeline.system",
    "pipeline.system.disk",
    "pipeline.system.entry",
    "pipeline.system.interrupts",
    "pipeline.system.project",
    "pipeline.system.sandbox",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("pipeline", cache_dir=None)


def entry(stage: str) -> Path:
    return ROOT / SCRIPTS.get(stage, f"pipeline/stages/{stage}.py")


def file_of(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return str(
        (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).relative_to(ROOT)
    )


def direct_imports(script: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline"):
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("pipeline")}
    return found


def imported_files(stage: str, graph: grimp.ImportGraph) -> set[str]:
    start = direct_imports(entry(stage))
    if stage == "synthesize":
        start |= {f"pipeline.engines.{engine}" for engine in synthesize.ENGINES}
    modules = {m for m in start if m in graph.modules}
    modules |= {child for m in modules for child in _inside(m, graph)}
    reached: set[str] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        if module in reached or module in CANNOT_CHANGE_OUTPUT:
            continue
        reached.add(module)
        queue += graph.find_modules_directly_imported_by(module)
    return {file_of(module) for module in reached}


def _inside(module: str, graph: grimp.ImportGraph) -> set[str]:
    return graph.find_descendants(module) if "engines." in module else set()


def code_deps(stage: str) -> set[str]:
    return {dep for dep in DVC["stages"][stage]["deps"] if not dep.startswith("${")}


def test_stage_module_config_and_dvc_stage_share_one_name() -> None:
    assert list(DVC["stages"]) == list(STAGES)
    leaves = {path.stem for path in (ROOT / "conf").glob("*.yaml")} - {"paths", "run"}
    assert leaves == set(STAGES)
    assert all(entry(stage).is_file() for stage in STAGES)
    assert set(line.RECIPES) == set(SCRIPTS)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_its_own_command_on_its_own_params(stage: str) -> None:
    command = f"python {SCRIPTS[stage]}" if stage in SCRIPTS else f"python -m pipeline {stage}"
    assert DVC["stages"][stage]["cmd"] == command
    assert f"conf/{stage}.yaml" in [key for item in DVC["stages"][stage]["params"] for key in item]


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_the_real_imports(stage: str, graph: grimp.ImportGraph) -> None:
    imported, deps = imported_files(stage, graph), code_deps(stage)
    imported.add(str(entry(stage).relative_to(ROOT)))
    missing = {f for f in imported if not any(f == dep or f.startswith(f"{dep}/") for dep in deps)}
    assert not missing, f"dvc.yaml: {stage} imports these but does not depend on them"
    idle = {dep for dep in deps if not any(f == dep or f.startswith(f"{dep}/") for f in imported)}
    assert not idle, f"dvc.yaml: {stage} depends on these but does not import them"


@pytest.mark.parametrize("stage", STAGES)
def test_what_records_runs_makes_no_stage_run_again(stage: str) -> None:
    file = file_of("pipeline.store.tracking")
    assert (ROOT / file).is_file()
    assert not [dep for dep in code_deps(stage) if file == dep or file.startswith(f"{dep}/")]


@pytest.mark.parametrize("stage", STAGES)
def test_every_config_file_fits_its_types(stage: str) -> None:
    assert isinstance(app.compose(stage), STAGES[stage])


def test_no_error_names_a_script_that_new_projects_lack() -> None:
    told = [
        (path.name, part.value)
        for path in (ROOT / "pipeline").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    assert told
    assert not [one for one in told if any(name in one[1] for name in SCRIPTS.values())]


def test_every_config_key_is_read_somewhere() -> None:
    code = [*(ROOT / "pipeline").rglob("*.py"), ROOT / "train.py", ROOT / "evaluate.py"]
    read = {
        node.attr
        for path in code
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    read |= set(synthesize.ENGINES)
    assert not {key for stage in STAGES.values() for key in _keys(stage)} - read


def _keys(kind: type) -> set[str]:
    hints: dict[str, Any] = get_type_hints(kind)
    keys = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    for name in list(keys):
        if is_dataclass(hints[name]):
            keys |= _keys(hints[name])
    return keys


def test_paths_are_written_in_one_file_only() -> None:
    paths = yaml.safe_load((ROOT / "conf" / "paths.yaml").read_text())
    assert set(paths) == {f.name for f in fields(Paths)}
    assert DVC["vars"] == ["conf/paths.yaml"]
    text = (ROOT / "dvc.yaml").read_text()
    for name, path in paths.items():
        if name in ("work", "adapted", "banks", "review", "collection_reports", "compared_reports"):
            continue
        assert f"${{{name}}}" in text
        assert f"- {path}" not in text


def test_how_to_run_is_not_tracked() -> None:
    assert "run.yaml" not in (ROOT / "dvc.yaml").read_text()
    assert set(yaml.safe_load((ROOT / "conf" / "run.yaml").read_text())) == {
        f.name for f in fields(Run)
    }


@pytest.mark.parametrize("stage", STAGES)
def test_tracked_files_hold_no_interpolation_and_no_gap(stage: str) -> None:
    text = (ROOT / "conf" / f"{stage}.yaml").read_text()
    assert "${" not in text
    assert "???" not in text


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_folder_that_is_no_git_repository_is_told_the_remedy(tmp_path: Path) -> None:
    command = ["make", "--file", str(ROOT / "Makefile"), "repro"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert "run: git init && git add -A && git commit" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("minor", [10, 11, 13, 14])
def test_make_takes_the_pythons_that_the_package_allows(minor: int, tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    told = f"import sys; sys.version_info = (3, {minor}, 0); exec(sys.argv[1])"
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{told}' \"$2\"\n")
    python.chmod(0o755)
    command = ["make", "setup", f"PYTHON={python}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode != 0, "a python that makes no environment"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = SpecifierSet(project["requires-python"])
    assert ("Discern needs Python" in done.stdout) == (f"3.{minor}.0" not in allowed)
    classifier = f"Programming Language :: Python :: 3.{minor}"
    assert (classifier in project["classifiers"]) == (f"3.{minor}.0" in allowed)


@pytest.mark.parametrize("name", [path.stem for path in EXPERIMENTS])
def test_every_experiment_file_fits_the_types_of_the_stages_that_it_sets(name: str) -> None:
    assert experiment.arguments(ROOT / "conf", name)


def test_the_full_profile_draws_from_every_engine() -> None:
    printed = make("repro", "PROFILE=full").stdout
    assert "python -m pipeline experiment full" in printed
    told = experiment.arguments(ROOT / "conf", "full")
    for engine in synthesize.ENGINES:
        (drawn,) = [one for one in told if f"yaml:{engine}.num_recordings=" in one]
        assert int(drawn.rpartition("=")[2]) > 0


def test_with_own_footage_alone_no_engine_renders_and_no_source_of_theirs_is_held_out() -> None:
    told = experiment.arguments(ROOT / "conf", "own")[1::2]
    values = [one.removeprefix("conf/synthesize.yaml:") for one in told if "synthesize" in one]
    cfg = app.compose("synthesize", *values)
    for engine in synthesize.ENGINES:
        settings = getattr(cfg, engine)
        assert settings.num_recordings == 0, engine
        assert not hasattr(settings, "long") or settings.long.num_recordings == 0, engine
    assert "conf/split.yaml:unseen_sources=[]" in told


def test_the_makefile_repeats_no_setting() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert not re.search(r"num_recordings|rates_fps", makefile)
    assert not [engine for engine in synthesize.ENGINES if re.search(rf"{engine}=", makefile)]


def test_an_unknown_profile_is_an_error_that_names_the_known_ones() -> None:
    done = make("repro", "PROFILE=large")
    assert done.returncode != 0
    assert "PROFILE=large is none of:" in done.stderr
    assert all(path.stem in done.stderr for path in EXPERIMENTS)


def test_the_games_that_make_installs_are_debian_packages() -> None:
    assert "apt-get install -y --no-install-recommends openarena" in make("games").stdout
