"""Tasks and decisions as temporal detections in the `labels.json` of FiftyOne.

The origin and the discharge are labels over the whole video, and each discharge is one of its own.
`timestamps` are seconds; `support` is frames counted from 1 with both ends in, of the canonical
rate. What was decided before is marked, so that nobody takes it over unawares. `data.json` says
where the video of each id is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.review.exchange import frames
from pipeline.review.exchange.entries import (
    DISCHARGE,
    Checked,
    Entry,
    ExchangeTerms,
    careful,
    read_json,
)
from pipeline.review.tasks import ANSWERS, VERDICTS, Decision, ReviewTask, answer_of

NAME = "fiftyone"
LABELS, DATA = "labels.json", "data.json"
_ANSWERS = {f"{DISCHARGE}_{word}": word for word in ANSWERS}
_ORIGINS = {f"origin_{word}": word for word in VERDICTS}
FIFTYONE_CLASSES = (DISCHARGE, *_ANSWERS, *_ORIGINS)
_DECIDED = "decided"
_LEAST_S = 1.0
# Of a frame: FiftyOne keeps frames of the video's own rate, and moves times to the nearest.
_MOVED = 0.5


def write(path: Path, entries: Sequence[Entry], terms: ExchangeTerms) -> None:
    """Write a folder: what was decided last of each task, else what the detector says of it."""
    path.mkdir(parents=True, exist_ok=True)
    labels = {entry.task.name: _labels(entry, terms.fps) for entry in entries}
    files = {entry.task.name: terms.address(entry.task) for entry in entries}
    for name, told in (
        (LABELS, {"classes": list(FIFTYONE_CLASSES), "labels": labels}),
        (DATA, files),
    ):
        text = json.dumps(told, indent=1, ensure_ascii=False)
        (path / name).write_text(text + "\n", encoding="utf-8")


def _labels(entry: Entry, fps: float) -> list[dict[str, Any]]:
    task = entry.task
    if not entry.decisions:
        return [
            {
                "label": DISCHARGE,
                "timestamps": [moment.start_s, moment.end_s],
                "confidence": moment.score,
                "attributes": {"model_version": f"discern-{task.weights_sha256[:12]}"},
            }
            for moment in task.moments
        ]
    last = entry.decisions[-1]
    whole = [0.0, task.seconds or _LEAST_S]
    answer = answer_of(last.discharge)
    times = [f"{time_s:.4f}" for time_s in last.discharges_s]
    mark = {"attributes": {_DECIDED: " ".join([last.origin, answer, *times])}}
    return [
        {"label": f"origin_{last.origin}", "timestamps": whole, **mark},
        {"label": f"{DISCHARGE}_{answer}", "timestamps": whole, **mark},
        *(
            {"label": DISCHARGE, "timestamps": [time_s, time_s + 1 / fps], **mark}
            for time_s in last.discharges_s
        ),
    ]


def read(path: Path, tasks: Mapping[str, ReviewTask], terms: ExchangeTerms) -> list[Decision]:
    """Read `labels.json`, or that of a folder.

    What the detector predicted decides nothing, nor does a decision that is as it was exported.

    Raises:
        UserError: with every mistake, each with its video.
    """
    path = path / LABELS if path.is_dir() else path
    if not terms.by:
        raise UserError(f"{path}: does not say who decided; give by=NAME")
    check = Checked(path, tasks, terms.by, NAME)
    labels = read_json(path, dict).get("labels")
    if not isinstance(labels, dict):
        raise UserError(f"{path}: has no labels by video; export temporal detections from FiftyOne")
    for name, detections in labels.items():
        careful(check, name, partial(_read_video, check, name, detections, terms.fps))
    return check.decisions()


def _read_video(
    check: Checked, name: str, detections: Sequence[Mapping[str, Any]] | None, fps: float
) -> None:
    chosen: dict[str, set[str]] = {"origin": set(), DISCHARGE: set()}
    times_s = []
    marks = set()
    for one in detections or ():
        marks.add((one.get("attributes") or {}).get(_DECIDED))
        label = one["label"]
        if label in _ORIGINS:
            chosen["origin"].add(_ORIGINS[label])
        elif label in _ANSWERS:
            chosen[DISCHARGE].add(_ANSWERS[label])
        elif label != DISCHARGE:
            raise ValueError(f"label {label}, which is none of {', '.join(FIFTYONE_CLASSES)}")
        elif "model_version" not in (one.get("attributes") or {}):
            times_s.append(_start_s(one, fps))
    if not any(chosen.values()) and not times_s:
        return
    for what, words in chosen.items():
        if len(words) > 1:
            raise ValueError(f"{what} is {' and '.join(sorted(words))}")
    origin, answer = (next(iter(words), None) for words in chosen.values())
    if not any(_is_as_marked(mark, origin, answer, times_s, fps) for mark in marks if mark):
        check.add(name, name, origin, answer, times_s, None)


def _is_as_marked(
    mark: str, origin: str | None, answer: str | None, times_s: Sequence[float], fps: float
) -> bool:
    """Return whether a decision is the one that was exported."""
    before_origin, before_answer, *before_s = mark.split()
    if (before_origin, before_answer, len(before_s)) != (origin, answer, len(times_s)):
        return False
    both = zip(sorted(map(float, before_s)), sorted(times_s), strict=True)
    return all(abs(before - after) <= _MOVED / fps + 1e-3 for before, after in both)


def _start_s(one: Mapping[str, Any], fps: float) -> float:
    if one.get("timestamps") is not None:
        start_s, end_s = map(float, one["timestamps"])
        if not 0 <= start_s <= end_s < float("inf"):
            raise ValueError(f"timestamps {start_s} to {end_s}")
        return start_s
    first, last = one["support"]
    return frames.start_of(first, last, fps)
