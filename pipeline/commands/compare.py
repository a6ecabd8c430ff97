"""Prints runs side by side, over their seeds: `python -m pipeline compare [revision …]`."""

from __future__ import annotations

import fnmatch
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from pipeline.commands import dvc_runs, tables, wandb_runs
from pipeline.commands.seed_table import FORMATS, TrainingRun, group, merge, render
from pipeline.config import CompareApp
from pipeline.errors import UserError
from pipeline.store.output_files import HEADLINE, METRICS


def run(*revs: str, cfg: CompareApp) -> None:
    """Print one row for all runs that differ in nothing but a seed: mean and interval.

    Args:
        revs: Git revisions to take DVC experiments from; without any, the current commit.
        cfg: `wandb` names a folder of W&B runs to take instead.

    Raises:
        UserError: no run, or an unknown revision, metric, parameter or format.
    """
    if cfg.format not in FORMATS:
        raise UserError(f"format: '{cfg.format}' is none of {', '.join(FORMATS)}")
    if cfg.wandb is not None:
        if revs:
            raise UserError(f"'{revs[0]}' beside wandb={cfg.wandb}: give one of them")
        runs, notes = wandb_runs.read_runs(Path(cfg.wandb))
    else:
        main = [
            f"{cfg.paths.models}/{METRICS}",
            f"{cfg.paths.reports}/{HEADLINE}",
        ]
        runs, notes = dvc_runs.read_runs(Path.cwd(), revs, main)
    for note in notes:
        print(f"compare: {note}", file=sys.stderr)
    if not runs:
        where = cfg.wandb or " ".join(revs) or "this commit"
        raise UserError(f"{where}: no finished run with metrics; run dvc exp run or discern train")
    _check_seeds(cfg.over, runs)
    metrics = select(cfg.metrics, runs)
    rows = group(merge(runs), cfg.over, cfg.confidence)
    print(render(rows, metrics, cfg.format, shutil.get_terminal_size((120, 40)).columns))


def select(patterns: Sequence[str], runs: Iterable[TrainingRun]) -> list[str]:
    """Metrics that `patterns` name, in their order; all that go by bare names without any.

    Raises:
        UserError: a pattern that names none.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.metrics))
    if not patterns:
        return [name for name in known if ":" not in name] or known
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = fnmatch.filter(known, pattern)
        if not found:
            raise UserError(f"metrics: none is '{pattern}'; {tables.nearest(pattern, known)}")
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _check_seeds(over: Collection[str], runs: Iterable[TrainingRun]) -> None:
    known = {name for run in runs for name in run.parameters}
    for name in over:
        if name not in known:
            raise UserError(f"over: no parameter '{name}'; {tables.nearest(name, known)}")
