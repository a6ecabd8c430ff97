"""Alerts of `discern watch`, from its file of alerts or from its events, as a queue of review."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import QueueConfig
from pipeline.errors import UserError
from pipeline.live import decisions
from pipeline.live.events import ALERT_CLOSED, ALERT_OPENED, ALERT_UPDATED
from pipeline.review import drawing, ordering
from pipeline.review.calibration import PlattCalibration
from pipeline.review.population import Population, numbers
from pipeline.review.queueing import AS_IT_IS, Audit, NewQueue
from pipeline.review.tasks import ALERT, COST, LONGEST_S, Moment, ReviewTask, task_name
from pipeline.system.visible_text import plain

_MOST_SHOWN = 80
_DAY = len("2026-01-31")
_HEARD = ("present", "incomplete", "quiet", "damaged")


def is_of_watch(path: Path) -> bool:
    """Return whether a path is of alerts, and not of scores."""
    return path.is_file() or (path / decisions.FILE).is_file()


@dataclass(frozen=True)
class DetectorAlerts:
    """Alerts that one detector raised.

    Attributes:
        name: of the file or folder that they are in.
        tasks: one an alert.
        days: of each the day on which it was opened.
        dismissed: whether somebody dismissed it on the page of the watch, and nobody took that
            back.
    """

    name: str
    tasks: Sequence[ReviewTask]
    days: Sequence[str]
    dismissed: Sequence[bool]

    @property
    def weights_sha256(self) -> str:
        """The hash of the detector's weights."""
        return self.tasks[0].weights_sha256


def read(path: Path) -> list[DetectorAlerts]:
    """Read the alerts of a watch, by detector.

    Args:
        path: `alerts.sqlite`, its folder, or a file with an event a line.

    Raises:
        UserError: it is none, or holds no alert.
    """
    found: dict[str, list[tuple[ReviewTask, str, bool]]] = defaultdict(list)
    for one in _read(path):
        task = _task(one, path)
        found[task.weights_sha256].append((task, one["day"], one["dismissed"]))
    if not found:
        raise UserError(f"{path}: no alert there; give a file with some, or a folder of scores")
    return [
        DetectorAlerts(path.name, *zip(*found[weights], strict=True)) for weights in sorted(found)
    ]


def make(
    alerts: DetectorAlerts,
    settings: QueueConfig,
    decided: Iterable[ReviewTask] = (),
    calibration: PlattCalibration = AS_IT_IS,
) -> NewQueue:
    """Make a queue of alerts of one detector: all are flagged, and none has copies.

    What was dismissed comes after all else, and is drawn for the audit as all else is.

    Args:
        alerts: that it raised.
        settings: how.
        decided: tasks that nobody has to look at any more.
        calibration: what a level means here.
    """
    tasks = alerts.tasks
    made_of = hashlib.sha256("\n".join(one.name for one in tasks).encode()).hexdigest()
    done = {one.name for one in decided}
    score = np.array([task.score or 0.0 for task in tasks])
    review_s = settings.setup_s + np.array([max(1.0, task.seconds or 0.0) for task in tasks])
    every, single = np.ones(len(tasks), bool), np.ones(len(tasks), np.int64)
    audit = Audit.of(made_of, score, every, single, review_s, settings, calibration)
    drawn = audit.drawn
    by_value = ordering.by_value(audit.values).tolist()
    ranked = sorted(by_value, key=lambda one: alerts.dismissed[one])
    todo = [one for one in ranked if tasks[one].name not in done and not drawn[one]]
    by_cost = {*todo[: max(0, settings.num - int(drawn.sum()))]}
    order = [one for one in ranked if drawn[one] or one in by_cost]
    about = {
        "kind": ALERT,
        "scores": alerts.name,
        "scores_sha256": made_of,
        "weights_sha256": alerts.weights_sha256,
        "threshold": tasks[0].threshold,
        "calibration": asdict(calibration),
        "counts": {},
        "videos": len(tasks),
        "hours": None,
        "alerts": len(tasks),
        "alerts_with_copies": len(tasks),
        "strata": {drawing.STRATA[drawing.ALERTED]: [len(tasks), int(drawn.sum())]},
    }
    population = Population(
        numbers([task.name for task in tasks]),
        np.arange(len(tasks)),
        audit.stratum,
        np.zeros(len(tasks)),
        np.array(alerts.days),
    )
    reasons = dict.fromkeys(order, (COST,))
    return audit.made(about, reasons, [tasks[one] for one in order], population, settings)


def _read(path: Path) -> list[dict[str, Any]]:
    """Alerts in order of their ids.

    Each has its `stream`, its `day`, `opened` and `latest` data, and whether it was `dismissed`.
    """
    file = path / decisions.FILE if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            is_database = opened.read(6) == b"SQLite"
        found = _of_database(file) if is_database else _of_events(file)
    except (
        OSError,
        UnicodeDecodeError,
        sqlite3.Error,
        ValueError,
        LookupError,
        TypeError,
    ) as error:
        raise UserError(
            f"{file}: no alerts of discern watch ({error}); give its {decisions.FILE}, or the file "
            "of events=…"
        ) from error
    return [found[name] for name in sorted(found)]


def _of_database(file: Path) -> dict[str, dict[str, Any]]:
    # Whoever opens it as the watch does closes the alerts of one that still runs.
    address = f"{file.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=30)) as database:
        rows = database.execute(
            "SELECT alert, stream, opened_at, opened, latest FROM alerts"
        ).fetchall()
        # The last decision on each counts.
        decided = dict(
            database.execute("SELECT alert, decision FROM decisions ORDER BY number").fetchall()
        )
    return {
        alert: {
            "stream": stream,
            "day": at[:_DAY],
            "opened": json.loads(opened),
            "latest": json.loads(latest),
            "dismissed": decided.get(alert) == decisions.DISMISSED,
        }
        for alert, stream, at, opened, latest in rows
    }


def _of_events(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    *lines, last = file.read_bytes().split(b"\n")
    for line in filter(bytes.strip, [*lines, *_whole(last)]):
        event = json.loads(line)
        data = event["data"]
        if event["type"] == ALERT_OPENED:
            day, stream = event["time"][:_DAY], data["stream"]
            about = {"stream": stream, "day": day, "opened": data, "latest": data}
            found[data["alert"]] = {**about, "dismissed": False}
        elif event["type"] in (ALERT_UPDATED, ALERT_CLOSED) and data["alert"] in found:
            found[data["alert"]]["latest"] = data
    return found


def _whole(last: bytes) -> list[bytes]:
    """The last line of a file, where a watch that runs has written it to its end."""
    try:
        json.loads(last)
    except ValueError:
        return []
    return [last]


def _level(told: Mapping[str, Any], name: str, most: float = 1.0) -> float:
    level = float(told[name])
    if not 0 <= level <= most:
        raise ValueError(f"{name} {level:g} is not from 0 to {most:g}")
    return level


def _task(alert: Mapping[str, Any], path: Path) -> ReviewTask:
    opened, latest = alert["opened"], alert["latest"]
    try:
        clip = opened["last_clip"]
        start_s = _level(opened, "opened_s", LONGEST_S)
        ended = next((name for name in ("closed_s", "at_s") if name in latest), None)
        end_s = start_s if ended is None else _level(latest, ended, LONGEST_S)
        return ReviewTask(
            name=task_name(None, f"alert:{opened['alert']}"),
            kind=ALERT,
            id=opened["alert"],
            uri=str(alert["stream"]),
            sha256=None,
            seconds=max(0.0, end_s - start_s),
            score=_level(latest, "highest_level"),
            p_real=_level(clip["seen_and_heard"], "p_real"),
            p_discharge=_level(clip["seen_and_heard"], "p_discharge"),
            predicted=None,
            alert_s=start_s,
            moments=(Moment(start_s, max(start_s, end_s), _level(opened, "score")),),
            copies=(),
            num_copies=1,
            weights_sha256=str(opened["weights_sha256"]),
            threshold=_level(opened["operating_point"], "threshold"),
            is_silent=clip["sound"] not in _HEARD,
            stills=opened.get("stills"),
        )
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: alert {plain(str(opened.get('alert')), _MOST_SHOWN)}: "
            f"{plain(str(error), _MOST_SHOWN)}; the watch writes no such value, so mend the alert, "
            "or take it out"
        ) from error
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path}: alert {opened.get('alert')} lacks {error}; review takes alerts of this "
            "version of discern watch"
        ) from error
