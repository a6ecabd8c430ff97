"""Tasks with predictions, and annotations, in the JSON of Label Studio.

Ranges of `timelinelabels` are frames, counted from 1 with both ends in, at the rate that the task
tells (`fps`, which the configuration of the project hands to the player).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
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
from pipeline.review.tasks import ANSWERS, VERDICTS, Decision, ReviewTask, stamp

NAME = "label_studio"
_TIMELINE, _VIDEO, _ORIGIN = "videoLabels", "video", "origin"
# What Label Studio says of a region that it had from a prediction and nobody changed.
_PREDICTED = "prediction"
_REAL = 0.5
_INTERFACE = ".xml"


def configuration() -> str:
    """The labelling interface that a project of Label Studio needs for these tasks."""

    def choices(name: str, values: Sequence[str]) -> str:
        listed = "".join(f'\n    <Choice value="{value}"/>' for value in values)
        return (
            f'  <Choices name="{name}" toName="{_VIDEO}" choice="single" required="true">'
            f"{listed}\n  </Choices>\n"
        )

    return (
        "<View>\n"
        f'  <TimelineLabels name="{_TIMELINE}" toName="{_VIDEO}">\n'
        f'    <Label value="{DISCHARGE}"/>\n  </TimelineLabels>\n'
        f'  <Video name="{_VIDEO}" value="$video" frameRate="$fps" muted="true"/>\n'
        f"{choices(_ORIGIN, VERDICTS)}{choices(DISCHARGE, tuple(ANSWERS))}</View>\n"
    )


def write(path: Path, entries: Sequence[Entry], terms: ExchangeTerms) -> None:
    """Write tasks with what the detector predicts, and the configuration beside them.

    Raises:
        UserError: the file is called as the configuration is.
    """
    if path.suffix.lower() == _INTERFACE:
        raise UserError(
            f"{path}: the labelling interface is called so; give a name that ends with .json"
        )
    tasks = [_task(entry, terms) for entry in entries]
    path.write_text(json.dumps(tasks, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(_INTERFACE).write_text(configuration(), encoding="utf-8")


def _task(entry: Entry, terms: ExchangeTerms) -> dict[str, Any]:
    task = entry.task
    stretches = [
        {
            "id": f"{task.name}-{number}",
            "from_name": _TIMELINE,
            "to_name": _VIDEO,
            "type": "timelinelabels",
            "origin": _PREDICTED,
            "score": moment.score,
            "value": {
                "ranges": [dict(zip(("start", "end"), span, strict=True))],
                "timelinelabels": [DISCHARGE],
            },
        }
        for number, moment in enumerate(task.moments)
        for span in [frames.range_of(moment.start_s, moment.end_s, terms.fps)]
    ]
    chosen = {}
    if task.p_real is not None and task.p_real >= _REAL:
        chosen[_ORIGIN] = "real"
    if task.p_discharge is not None:
        chosen[DISCHARGE] = "yes" if task.p_discharge >= _REAL else "no"
    choices = [
        {
            "id": f"{task.name}-{name}",
            "from_name": name,
            "to_name": _VIDEO,
            "type": "choices",
            "origin": _PREDICTED,
            "value": {"choices": [value]},
        }
        for name, value in chosen.items()
    ]
    return {
        "data": {
            "video": terms.address(task),
            "fps": terms.fps,
            "task": task.name,
            "position": entry.place.position,
            "score": task.score,
        },
        "predictions": [
            {
                "model_version": f"discern-{task.weights_sha256[:12]}",
                "score": task.score,
                "result": [*stretches, *choices],
            }
        ],
    }


def read(path: Path, tasks: Mapping[str, ReviewTask], terms: ExchangeTerms) -> list[Decision]:
    """Read the annotations of an export of Label Studio (JSON); those cancelled count as none.

    A stretch that the detector predicted is no time that a person told, unless it was changed.

    Raises:
        UserError: with every mistake, each with its task.
    """
    check = Checked(path, tasks, terms.by, NAME)
    given = read_json(path, list)
    if not any(isinstance(task, Mapping) and "annotations" in task for task in given):
        raise UserError(
            f"{path}: none of its tasks has annotations; give what Label Studio exports as JSON, "
            "which is neither what it was given nor JSON-MIN"
        )
    for number, task in enumerate(given, 1):
        careful(check, f"task {number}", partial(_read_task, check, number, task))
    return check.decisions()


def _read_task(check: Checked, number: int, task: Mapping[str, Any]) -> None:
    name, fps = task["data"]["task"], float(task["data"]["fps"])
    if isinstance(task["data"]["fps"], bool) or not 0 < fps < float("inf"):
        raise ValueError(f"fps {task['data']['fps']}")
    known = check.tasks.get(name)
    predicted = {
        frames.range_of(moment.start_s, moment.end_s, fps)
        # Where it is asked when, a proposal that is kept is an answer.
        for moment in (known.moments if known and not known.asks_times else ())
    }
    for one in task["annotations"]:
        if one.get("was_cancelled"):
            continue
        where = f"task {number} ({name}), annotation {one.get('id', '')}".rstrip()
        chosen: dict[str, str] = {}
        times_s = []
        for result in one["result"]:
            value = result["value"]
            if result["type"] == "choices":
                (chosen[result["from_name"]],) = value["choices"]
            elif result["type"] == "timelinelabels" and DISCHARGE in value["timelinelabels"]:
                told = [span for span in value["ranges"] if not _is_as(predicted, span)]
                if result.get("origin") != _PREDICTED or (known and known.asks_times):
                    times_s += [frames.start_of(span["start"], span["end"], fps) for span in told]
        answers = chosen.get(_ORIGIN), chosen.get(DISCHARGE)
        check.add(where, name, *answers, times_s, _who(one.get("completed_by")), at=_at(one))


def _is_as(predicted: Set[tuple[int, int]], span: Mapping[str, Any]) -> bool:
    return (span["start"], span["end"]) in predicted


def _at(annotation: Mapping[str, Any]) -> str:
    given = annotation.get("updated_at") or annotation.get("created_at")
    return stamp(datetime.fromisoformat(given)) if given else ""


def _who(given: object) -> str | None:
    """Return who annotated, which an export tells by a number, or by an address."""
    if isinstance(given, Mapping):
        given = given.get("email") or given.get("id")
    return None if given is None else f"{NAME}:{given}" if isinstance(given, int) else str(given)
