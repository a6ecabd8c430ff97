"""Tells those who explain files what people decided of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.review import agreement, record
from pipeline.review.record import Record
from pipeline.system.visible_text import plain

_MAX_SHOWN = 200


def decisions_of(sha256: str | None, folder: Path) -> Iterator[str]:
    """The decisions on files with such bytes, in words.

    Args:
        sha256: of a file; None where it is not known.
        folder: of reviews, which may not be there.
    """
    if sha256 is None or not (folder / record.FILE).is_file():
        return
    kept = Record(folder)
    by_task = kept.decisions()
    for task in kept.tasks_of([sha256], []):
        for one in by_task.get(task.name, ()):
            drawn = "" if one.inclusion is None else f", drawn with probability {one.inclusion:.3g}"
            asked = f"asked for weights {one.weights_sha256[:12]}{drawn}"
            note = f"; {one.note}" if one.note else ""
            yield plain(
                f"{one.who}: {agreement.decision_in_words(one)} ({one.at}; {asked}){note}",
                _MAX_SHOWN,
            )
