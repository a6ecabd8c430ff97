"""Holds what is exported, and what an import is checked against, whatever the format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.footage import csvfile
from pipeline.live.guarding import RefusedRequest, person_name
from pipeline.review.tasks import (
    ANSWERS,
    FILE,
    LONGEST_S,
    VERDICTS,
    Decision,
    QueuePlace,
    ReviewTask,
    is_text,
)
from pipeline.store import storage
from pipeline.system.visible_text import plain

DISCHARGE = "discharge"
"""The label of a stretch in which a firearm is fired."""
_BEYOND_S = 0.5
_MOST_SHOWN = 80


@dataclass(frozen=True)
class Entry:
    """A task with its place, what was decided of it, and how many people are still asked."""

    queue: int
    place: QueuePlace
    task: ReviewTask
    decisions: Sequence[Decision] = ()
    num_asked: int = 0


@dataclass(frozen=True)
class ExchangeTerms:
    """Holds what an exchange hangs on.

    Attributes:
        fps: frames a second that frames are counted in.
        media: what stands before the path of a file.
        by: who decided what a file does not name anybody for, or whom an export is for; None where
            nobody is named.
        key: file of the public key that decisions are signed with.
    """

    fps: float
    media: str = ""
    by: str | None = None
    key: Path | None = None

    def address(self, task: ReviewTask) -> str:
        """Return where others find the video of a task."""
        return task.uri if storage.is_remote(task.uri) else f"{self.media}{task.uri}"


@dataclass(frozen=True)
class ExchangeFormat:
    """Tells how a tool's files are written and read; `asks` where it is given to ask people."""

    write: Callable[[Path, Sequence[Entry], ExchangeTerms], None]
    read: Callable[[Path, Mapping[str, ReviewTask], ExchangeTerms], list[Decision]]
    asks: bool


@dataclass
class Checked:
    """Decisions of a file that is imported, and all that is wrong with it.

    Attributes:
        path: of the file.
        tasks: that may be decided, by their name.
        by: as in `ExchangeTerms`.
        form: name of the format.
    """

    path: Path
    tasks: Mapping[str, ReviewTask]
    by: str | None
    form: str
    found: list[Decision] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def wrong(self, where: str, what: str) -> None:
        """Note a mistake, with its remedy."""
        self.mistakes.append(f"{plain(where, _MOST_SHOWN)}: {what}")

    def add(
        self,
        where: str,
        task: object,
        origin: object,
        discharge: object,
        times_s: Sequence[float],
        who: str | None,
        note: str = "",
        at: str = "",
    ) -> None:
        """Add a decision, or note all that is wrong with it.

        Args:
            where: in the file.
            task: its name.
            origin: one of `VERDICTS`.
            discharge: one of `ANSWERS`; None where only times tell.
            times_s: of discharges.
            who: decided; None where the file does not say.
            note: anything else.
            at: when, as `stamp` tells it; empty where the file does not say.
        """
        before = len(self.mistakes)
        known = self.tasks.get(str(task))
        if known is None:
            self.wrong(
                where,
                f"'{_shown(task)}' is no task; import into the review that it came from",
            )
        if origin not in VERDICTS:
            self.wrong(
                where,
                f"origin '{_shown(origin)}' is none of {', '.join(VERDICTS)}",
            )
        answer = ("yes" if times_s else None) if discharge is None else discharge
        if answer not in ANSWERS:
            self.wrong(
                where,
                f"discharge '{_shown(answer)}' is none of {', '.join(ANSWERS)}",
            )
        elif times_s and not ANSWERS[str(answer)]:
            self.wrong(where, f"has times, and discharge is {answer}; mend one of them")
        if known is not None and times_s:
            last_s = max(times_s)
            if not 0 <= min(times_s) <= last_s <= LONGEST_S:
                self.wrong(where, "has times that are no seconds; mend them")
            elif known.kind == FILE and known.seconds and last_s > known.seconds + _BEYOND_S:
                self.wrong(
                    where,
                    f"{last_s:.2f} s is after the end of the file ({known.seconds:.2f} s); are its "
                    "frames of another rate?",
                )
        name = (who or self.by or "").strip()
        try:
            name = person_name(name) if name else ""
        except RefusedRequest as error:
            self.wrong(where, f"who decided is '{plain(name, _MOST_SHOWN)}': {error}")
        else:
            if not name:
                self.wrong(where, "does not say who decided; give by=NAME")
        if not is_text(note):
            self.wrong(where, "its note is no text that can be kept; write it again")
        if len(self.mistakes) == before:
            self.found.append(
                Decision(
                    str(task),
                    str(origin),
                    ANSWERS[str(answer)],
                    tuple(sorted(round(time_s, 4) for time_s in times_s)),
                    name,
                    self.form,
                    note,
                    at,
                )
            )

    def decisions(self) -> list[Decision]:
        """Return all decisions that were read.

        Raises:
            UserError: anything is wrong, or nothing was decided.
        """
        if self.mistakes:
            raise UserError(
                f"{csvfile.mistakes_in_words(self.path, self.mistakes)}\n  nothing was imported"
            )
        if not self.found:
            raise UserError(f"{self.path}: holds no decision; decide something there first")
        return self.found


def read_json(path: Path, of: type) -> Any:
    """Return what a file of JSON holds.

    Args:
        path: of the file.
        of: what is outermost in it.

    Raises:
        UserError: it is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no JSON in UTF-8 ({error}); export it again") from error
    if not isinstance(found, of):
        noun = "list" if of is list else "object"
        raise UserError(
            f"{path}: its JSON is no {noun}; export it again, in the format of the tool"
        )
    return found


def careful(check: Checked, where: str, read: Callable[[], None]) -> None:
    """Have something read that may have any form, and note where it has none that is known."""
    try:
        read()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # What is wrong with a value is told in words; of others the kind says more.
        told = plain(str(error) if type(error) is ValueError else repr(error), 3 * _MOST_SHOWN)
        check.wrong(
            where, f"is not as the tool writes it ({told}); mend it there, and export it again"
        )


def _shown(given: object) -> str:
    return plain(str(given or ""), _MOST_SHOWN)
