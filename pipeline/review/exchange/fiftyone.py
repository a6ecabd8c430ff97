"""Tasks and decisions as temporal detections in the `labels.json` of FiftyOne.

The origin and the discharge are labels over the whole video, and each discharge is one of its own.
`timestamps` are seconds; `support` is frames counted from 1 with both ends in, of the canonical
rate. `data.json` says where the video of each id is.
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
    Terms,
    careful,
    is_frame,
    read_json,
)
from pipeline.review.tasks import ANSWERS, VERDICTS, Decision, Task, answer_of

NAME = "fiftyone"
LABELS, DATA = "labels.json", "data.json"
_ANSWERS = {f"{DISCHARGE}_{word}": word for word in ANSWERS}
_ORIGINS = {f"origin_{word}": word for word in VERDICTS}
CLASSES = (DISCHARGE, *_ANSWERS, *_ORIGINS)
_LEAST_S = 1.0


def write(path: Path, entries: Sequence[Entry], terms: Terms) -> None:
    """Write a folder: what was decided last of each task, else what the detector says of it."""
    path.mkdir(parents=True, exist_ok=True)
    labels = {entry.task.name: _labels(entry, terms.fps) for entry in entries}
    files = {entry.task.name: terms.address(entry.task) for entry in entries}
    for name, told in ((LABELS, {"classes": list(CLASSES), "labels": labels}), (DATA, files)):
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
    verdicts = (f"origin_{last.origin}", f"{DISCHARGE}_{answer_of(last.discharge)}")
    return [
        *({"label": name, "timestamps": whole, "attributes": {}} for name in verdicts),
        *(
            {"label": DISCHARGE, "timestamps": [time_s, time_s + 1 / fps], "attributes": {}}
            for time_s in last.discharges_s
        ),
    ]


def read(path: Path, tasks: Mapping[str, Task], terms: Terms) -> list[Decision]:
    """Read `labels.json`, or that of a folder; what the detector predicted decides nothing.

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
    for one in detections or ():
        label = one["label"]
        if label in _ORIGINS:
            chosen["origin"].add(_ORIGINS[label])
        elif label in _ANSWERS:
            chosen[DISCHARGE].add(_ANSWERS[label])
        elif label != DISCHARGE:
            raise ValueError(f"label {label}, which is none of {', '.join(CLASSES)}")
        elif "model_version" not in (one.get("attributes") or {}):
            times_s.append(_start_s(one, fps))
    if not any(chosen.values()) and not times_s:
        return
    for what, words in chosen.items():
        if len(words) > 1:
            raise ValueError(f"{what} is {' and '.join(sorted(words))}")
    origin, answer = (next(iter(words), None) for words in chosen.values())
    check.add(name, name, origin, answer, times_s, None)


def _start_s(one: Mapping[str, Any], fps: float) -> float:
    if one.get("timestamps") is not None:
        start_s, end_s = map(float, one["timestamps"])
        if not 0 <= start_s <= end_s < float("inf"):
            raise ValueError(f"timestamps {start_s} to {end_s}")
        return start_s
    first, last = one["support"]
    if not (is_frame(first) and is_frame(last) and first <= last):
        raise ValueError(f"support {first} to {last}, which counts from 1")
    return frames.times_of(first, last, fps)[0]
