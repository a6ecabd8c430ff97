"""The page of a review for one person: text first, and pictures once they are asked for.

What others decided is told only once somebody has decided, so that people decide for themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.config import IngestConfig, Run
from pipeline.errors import UserError
from pipeline.live.guarding import Guard, RefusedRequest, file, json_body
from pipeline.review import agreement, showing
from pipeline.review.agreement import Votes
from pipeline.review.collection import at_hand
from pipeline.review.record import Record
from pipeline.review.showing import CLEAR, PROTECTED, SOUND, STILLS, NotShown
from pipeline.review.tasks import (
    ALERT,
    ANSWERS,
    FILE,
    LONGEST_S,
    PAGE,
    VERDICTS,
    Decision,
    QueuePlace,
    ReviewTask,
    is_text,
)
from pipeline.store import storage
from pipeline.system.visible_text import plain

NEEDED = ("starlette", "uvicorn")
"""Packages that the page is served with."""
_PAGE = Path(__file__).parent / "page"
_MAX_TEXT, _MAX_NOTE, _MAX_TIMES = 200, 500, 200
# Of some fifty thousand tasks that somebody skipped.
_MAX_BODY = 2**20
_HIGH = 0.5


@dataclass(frozen=True)
class DisplaySettings:
    """Holds what showing a video takes: pictures a second, what a file may cost, and how to run.

    `root` is where relative paths of a listing begin, and `work` a folder for what is fetched.
    """

    fps: float
    ingest: IngestConfig
    run: Run
    root: Path
    work: Path


class ReviewPage:
    """Answers what a browser asks."""

    def __init__(
        self, record: Record, assumed_error: float, means: DisplaySettings, token: str | None
    ):
        self._record, self._error, self._means = record, assumed_error, means
        self._guard = Guard(token)
        # Decoders are heavy: one at a time.
        self._decoding = asyncio.Lock()

    def application(self) -> Any:
        """Return what a server of ASGI runs."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        routes = [
            Route("/", file(_PAGE / "review.html", "text/html")),
            Route("/review.css", file(_PAGE / "review.css", "text/css")),
            Route("/review.js", file(_PAGE / "review.js", "text/javascript")),
            *self._guard.routes(),
            Route("/next", self._answering(self._next), methods=["POST"]),
            Route("/tasks/{task}", self._answering(self._again), methods=["POST"]),
            Route("/tasks/{task}/decision", self._answering(self._decide), methods=["POST"]),
            *(
                Route(f"/tasks/{{task}}/{name}", self._showing(kind), methods=["POST"])
                for name, kind in (
                    ("stills", STILLS),
                    ("protected", PROTECTED),
                    ("clear", CLEAR),
                    ("sound", SOUND),
                )
            ),
        ]
        return self._guard.wrapped(Starlette(routes=routes))

    def _answering(
        self, does: Callable[[str, Mapping[str, Any], str], dict[str, Any]]
    ) -> Callable[[Any], Any]:
        """Return what answers with JSON, in a thread."""
        from starlette.responses import JSONResponse

        async def answer(request: Any) -> Any:
            try:
                given, who = await json_body(request, _MAX_BODY)
                name = request.path_params.get("task", "")
                return JSONResponse(await asyncio.to_thread(does, name, given, who))
            except RefusedRequest as error:
                return JSONResponse({"error": str(error)}, error.status)

        return answer

    def _showing(self, kind: str) -> Callable[[Any], Any]:
        from starlette.responses import JSONResponse

        async def answer(request: Any) -> Any:
            try:
                given, who = await json_body(request)
                task = self._task(request.path_params["task"])
                async with self._decoding:
                    told = await asyncio.to_thread(self._show, task, kind, given, who)
                return JSONResponse(told)
            except RefusedRequest as error:
                return JSONResponse({"error": str(error)}, error.status)

        return answer

    def _next(self, _: str, given: Mapping[str, Any], who: str) -> dict[str, Any]:
        """The first task that somebody is asked of, and that this person has not decided."""
        votes = Votes.of(self._record, self._error)
        skipped = given.get("skipped")
        left = [
            place
            for _, place in self._record.standing()
            if votes.is_open(place)
            and all(one.who != who for one in votes.of_task(place.task))
            and not (isinstance(skipped, list) and place.task in skipped)
        ]
        brief = _brief(left[0], self._task(left[0].task)) if left else None
        return {"left": len(left), "shown": self._shown(who), "task": brief}

    def _again(self, name: str, _: Mapping[str, Any], who: str) -> dict[str, Any]:
        task = self._task(name)
        place = next(one for _, one in self._record.standing() if one.task == name)
        return {"task": _brief(place, task), "shown": self._shown(who)}

    def _decide(self, name: str, given: Mapping[str, Any], who: str) -> dict[str, Any]:
        task = self._task(name)
        origin, answer = given.get("origin"), given.get("discharge")
        times_s, note = given.get("discharges_s", []), given.get("note", "")
        if origin not in VERDICTS or not isinstance(answer, str) or answer not in ANSWERS:
            raise RefusedRequest("say of the origin and of the discharge what they are, or unsure")
        if not isinstance(times_s, list) or len(times_s) > _MAX_TIMES:
            raise RefusedRequest("give times of discharges as a list")
        most_s = (task.seconds or LONGEST_S) + 1
        for time_s in times_s:
            is_number = isinstance(time_s, (int, float)) and not isinstance(time_s, bool)
            if not (is_number and 0 <= time_s <= most_s):
                raise RefusedRequest("a time of a discharge is no second of the video")
        if times_s and not ANSWERS[answer]:
            raise RefusedRequest("there are times, and no discharge: take them away, or say yes")
        if not isinstance(note, str) or len(note) > _MAX_NOTE or not is_text(note):
            raise RefusedRequest(f"write a note of at most {_MAX_NOTE} characters")
        times = tuple(sorted(round(float(time_s), 4) for time_s in times_s))
        decision = Decision(name, origin, ANSWERS[answer], times, who, PAGE, note)
        self._record.decide([decision])
        others = [one for one in self._record.decisions()[name] if one.who != who]
        said = [
            plain(f"{one.who}: {agreement.decision_in_words(one)}", _MAX_TEXT) for one in others
        ]
        return {"others": said, "shown": self._shown(who)}

    def _show(
        self, task: ReviewTask, kind: str, given: Mapping[str, Any], who: str
    ) -> dict[str, Any]:
        number = given.get("moment", 0)
        num = len(showing.moments_of(task))
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < num:
            raise RefusedRequest("there is no such moment")
        if task.kind == ALERT:
            if kind != STILLS or task.stills is None:
                raise RefusedRequest(
                    "an alert has no more than its stills; look at the stream", 404
                )
            self._record.expose(task.name, who, STILLS, 0.0)
            return {"pictures": [task.stills], "shown": self._shown(who)}
        means = self._means
        try:
            with at_hand(task, means.root, means.work) as path:
                found = showing.show(path, task, kind, number, means.fps, means.ingest, means.run)
        except (OSError, UserError) as error:
            said = getattr(error, "strerror", None) or str(error)
            told = f"the file cannot be read here ({said})"
            if not (storage.is_remote(task.uri) or Path(task.uri).is_absolute()):
                told += "; give discern review serve root=FOLDER, the folder of its listing"
            raise RefusedRequest(plain(told, _MAX_TEXT), 404) from error
        except NotShown as error:
            raise RefusedRequest(plain(str(error), _MAX_TEXT), 404) from error
        if kind == SOUND and found.sound is None:
            raise RefusedRequest("nothing is heard there", 404)
        seconds = 0.0 if kind == STILLS else found.seconds
        self._record.expose(task.name, who, kind, seconds)
        return {
            "start_s": found.start_s,
            "fps": found.fps,
            "pictures": found.pictures,
            "sound": found.sound,
            "shown": self._shown(who),
        }

    def _task(self, name: str) -> ReviewTask:
        task = self._record.task(name)
        if task is None:
            raise RefusedRequest("there is no such task", 404)
        return task

    def _shown(self, who: str) -> str:
        """Return what somebody was shown today, in words."""
        today = datetime.now(UTC).date().isoformat()
        parts = [
            f"{kind} {times} times{f', {seconds:.0f} s' if seconds else ''}"
            for kind, (times, seconds) in self._record.exposures(who, today).items()
        ]
        return f"Shown to you today: {'; '.join(parts) or 'nothing yet'}."


def _brief(place: QueuePlace, task: ReviewTask) -> dict[str, Any]:
    """Return what a page tells of a task before anything is shown, without the names of others."""
    moments = showing.moments_of(task)
    return {
        "name": task.name,
        "kind": task.kind,
        "id": plain(task.id, _MAX_TEXT),
        "brief": _expected(place, task),
        "seconds": task.seconds,
        "is_silent": bool(task.is_silent),
        "can_play": task.kind == FILE,
        "has_stills": task.kind == FILE or task.stills is not None,
        "moments": [{"start_s": one.start_s, "end_s": one.end_s} for one in moments],
    }


def _expected(place: QueuePlace, task: ReviewTask) -> list[str]:
    """Brief sentences on what to expect."""
    what = "An alert of a stream" if task.kind == ALERT else "A video"
    length = "" if task.seconds is None else f" of {task.seconds:.0f} s"
    said = [f"{what}{length}."]
    if task.score is not None:
        with_alert = "raised an alert" if place.flagged else "raised no alert"
        said.append(f"The detector {with_alert}; its score is {task.score:.2f}.")
    if task.p_discharge is not None and task.p_discharge >= _HIGH:
        heard = any(moment.heard for moment in task.moments)
        said.append(f"It expects a firearm to be fired{', which can be heard' * heard}.")
    if task.asks_times:
        moments = (f"{one.start_s:.2f} s ({one.score or 0:.0%})" for one in task.moments)
        said.append(
            f"A firearm is fired somewhere; the question is when. Proposed: {', '.join(moments)}."
        )
    if task.num_copies > 1:
        said.append(f"{task.num_copies - 1} copies of it are settled with it.")
    return said
