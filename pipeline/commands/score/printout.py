"""The scores of some files, printed: a line or a JSON object each."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.commands.printed_files import remedy
from pipeline.commands.score import rows
from pipeline.commands.score.file_access import REMEDIES
from pipeline.commands.score.listing import ListingRow
from pipeline.commands.score.rows import Row
from pipeline.commands.score.settings import ScoringSettings
from pipeline.config import Run, ScoreApp
from pipeline.detect.alarm import Choice
from pipeline.store import executor
from pipeline.system.visible_text import plain

log = logging.getLogger(__name__)

_MOST_SHOWN = 200
_NO_TEXT = ("pdq", "embedding")
"""Columns that nobody reads."""


def on_one_machine(run: Run) -> Run:
    """Return how to run where a few files are no work for a cluster."""
    return replace(run, executor="processes") if run.executor == executor.RAY else run


def score(paths: Sequence[Path], cfg: ScoreApp) -> bool:
    """Print what the detector says of files.

    Returns:
        Whether all of them could be scored.

    Raises:
        UserError: there is no detector.
    """
    settings = ScoringSettings.of(cfg, Path().resolve())
    for sentence in settings.says:
        log.info("score: %s", sentence)
    all_rows = (ListingRow(str(path), str(path.absolute())) for path in paths)
    run = on_one_machine(cfg.run)
    is_whole = True
    for path, row in zip(paths, settings.scoring().rows(all_rows, run), strict=True):
        is_whole &= row["status"] != rows.REJECTED
        if cfg.format == "json":
            print(json.dumps(_as_json(path, row)), flush=True)
        else:
            print(f"{plain(str(path), _MOST_SHOWN)}: {_in_words(row, settings.choice)}", flush=True)
    return is_whole


def _in_words(row: Row, choice: Choice | None) -> str:
    if row["status"] == rows.REJECTED:
        reason = row["reason"]
        return f"{reason} ({plain(row['detail'], _MOST_SHOWN)}); {remedy_of(reason)}"
    if row["status"] == rows.MATCHED:
        kind = "harmless" if row["negative"] else "known"
        return f"{kind}: bank {row['bank']} item {row['item']}, by {row['edit']}"
    told = [
        f"score {row['score']:.3f}",
        f"{row['predicted']} (real {row['p_real']:.3f}, discharge {row['p_discharge']:.3f})",
    ]
    best = row["moments"][0]
    told.append(f"highest at {best['start_s']:.1f} to {best['end_s']:.1f} s")
    if row.get("alert_s") is not None:
        told.append(f"alert at {row['alert_s']:.1f} s")
    elif choice is not None:
        told.append(f"no alert (threshold {choice.threshold:.3f})")
    return "; ".join(told)


def remedy_of(reason: str) -> str:
    """Return what to do about a row that was rejected for a reason."""
    return remedy(reason, REMEDIES)


def outcome_in_words(stats: Mapping[str, Any]) -> list[str]:
    """Return what became of the rows of a listing, a sentence a line."""
    by_status, by_step = stats["rows_by_status"], stats["rows_by_step"]
    found = [
        f"{stats['rows']:,} row{'s' * (stats['rows'] != 1)}: "
        + ", ".join(
            f"{by_status.get(s, 0):,} {s}" for s in (rows.SCORED, rows.MATCHED, rows.REJECTED)
        ),
        "last step that was needed: "
        + ", ".join(
            f"{step} {by_step.get(step, 0):,}" for step in (rows.HASH, rows.CHEAP, rows.FULL)
        ),
    ]
    found += [
        f"rejected, {reason}: {count:,}; {remedy_of(reason)}"
        for reason, count in stats["rows_by_reason"].items()
    ]
    return found


def _as_json(path: Path, row: Row) -> dict[str, Any]:
    every = {name: row.get(name) for name in rows.SCHEMA.names if name not in _NO_TEXT}
    return {"file": str(path), **every}
