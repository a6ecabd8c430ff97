"""Tells what made the scores of a folder, and whether a run may go on in it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.review.score_folder import LISTING


def check(folder: Path, made_by: Mapping[str, Any], names: Collection[str] | None = None) -> None:
    """Refuse a folder that holds something else, or the scores of something else.

    Args:
        folder: where scores are to lie; it need not be there.
        made_by: what decides its bytes.
        names: of the values that are known already; None for all.

    Raises:
        UserError: it is one.
    """
    record = folder / LISTING
    if record.is_file():
        _check_same(record, made_by, names)
    elif folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            f"{folder}: holds files that are no scores (no {LISTING}); give another out=…"
        )


def _check_same(record: Path, made_by: Mapping[str, Any], names: Collection[str] | None) -> None:
    try:
        earlier = json.loads(record.read_text(encoding="utf-8"))
        told = {*earlier, *made_by} if names is None else names
        other = [
            difference
            for name in sorted(told)
            if earlier.get(name) != made_by.get(name)
            for difference in _differences(name, earlier.get(name), made_by.get(name))
        ]
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{record}: damaged ({error}); give another out=…") from error
    if other:
        raise UserError(
            f"{record.parent}: holds scores of another {', '.join(other)} (see {LISTING} there); "
            "give another out=…, or delete that folder"
        )


def _differences(name: str, before: Any, now: Any) -> list[str]:
    """Return what differs, in words: of values by name each of them, with both."""
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return [name]
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    shown = ((key, json.dumps(before.get(key)), json.dumps(now.get(key))) for key in keys)
    return [f"{name}: {key} ({there} there, {here} now)" for key, there, here in shown]
