"""Runs all stages with the settings of an experiment: `discern experiment <name>`.

An experiment is a file of `conf/experiment/`: below the name of each file of `conf/` stands what it
sets there. DVC writes that into `conf/` and keeps the run as an experiment of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from pipeline import app
from pipeline.config import STAGES
from pipeline.errors import UserError
from pipeline.store.provenance import git

FOLDER = "experiment"


def run(name: str, options: Sequence[str]) -> NoReturn:
    """Become `dvc exp run` with the settings of an experiment.

    Args:
        name: of the experiment.
        options: further ones of `dvc exp run`, such as `--queue`.

    Raises:
        UserError: there is no such experiment, it sets what there is not, or nothing is committed.
    """
    told = arguments(app.CONF, name)
    _check_committed(app.PROJECT)
    os.execv(sys.executable, [sys.executable, "-m", "dvc", "exp", "run", *told, *options])


def arguments(conf: Path, name: str) -> list[str]:
    """Return what `dvc exp run` is told to set the values of an experiment.

    Raises:
        UserError: there is no such experiment, or it sets what there is not.
    """
    file = conf / FOLDER / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.yaml"))) or "none"
        raise UserError(f"{file}: no such experiment; there are: {known}")
    told: list[str] = []
    for stage, values in _mapping(yaml.safe_load(file.read_text(encoding="utf-8")), file).items():
        if stage not in STAGES:
            raise UserError(f"{file}: {stage}: no file of conf/ with the keys of a stage")
        overrides = [f"{key}={value}" for key, value in _leaves(_mapping(values, file))]
        try:
            app.compose(stage, *overrides)
        except UserError as error:
            raise UserError(f"{file}: {stage}: {error}") from error
        told += [argument for one in overrides for argument in ("-S", f"conf/{stage}.yaml:{one}")]
    return told


def _check_committed(project: Path) -> None:
    """Raise `UserError` where a project has no commit, beside which DVC keeps experiments."""
    if git(project, "rev-parse", "--quiet", "--verify", "HEAD") is None:
        raise UserError(
            f"{project}: nothing is committed, and DVC keeps an experiment beside a commit; "
            "install git and run git init && dvc init where that is still to be done, then "
            'git add -A && git commit -m "Begin"'
        )


def _mapping(values: Any, file: Path) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise UserError(f"{file}: {values!r}: give key: value lines below the name of a stage")
    return values


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Full name and value, as YAML in one line, of each key that holds no further keys."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            flow = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
            text = flow.removesuffix("...\n").strip().replace(", ", ",")
            yield f"{prefix}{key}", text
