"""Tasks and decisions as a CSV file for a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.footage import csvfile
from pipeline.review.exchange.entries import Checked, Entry, ExchangeTerms
from pipeline.review.tasks import Decision, ReviewTask, answer_of
from pipeline.system.names import trimmed

NAME = "csv"
COLUMNS = (
    *("task", "queue", "position", "reasons", "id", "uri", "seconds", "score", "p_real"),
    *("p_discharge", "videos", "moments_s", "proposed_s", "confidence", "asked", "decided_by"),
    *("origin", "discharge", "discharges_s", "who", "note"),
)
_DECIDED = ("origin", "discharge", "discharges_s", "note")
_NEEDED = ("task", "origin", "discharge")
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# And a name of a task of digits, or with an e amid them, for a number, of which it keeps 15 digits.
_NUMBER = re.compile(r"[0-9]+(e[0-9]+)?")


def write(path: Path, entries: Sequence[Entry], terms: ExchangeTerms) -> None:
    """Write a row a decision, and an empty one for each person who is still asked.

    In the empty ones stands who is to decide, where the export is for one person.
    """
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        # A cell is quoted where it holds any of the letters that end a line.
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for entry in entries:
            for decision in (*entry.decisions, *[None] * entry.num_asked):
                row = {**_about(entry, terms), **_decided(decision, terms)}
                writer.writerow([_safe(row[column]) for column in COLUMNS])


def _about(entry: Entry, terms: ExchangeTerms) -> dict[str, str]:
    task, place = entry.task, entry.place
    proposed = task.moments if task.asks_times else ()
    return {
        "task": f"'{task.name}" if _NUMBER.fullmatch(task.name) else task.name,
        "queue": str(entry.queue),
        "position": str(place.position),
        "reasons": " ".join(place.reasons),
        "id": task.id,
        "uri": terms.address(task),
        "seconds": _number(task.seconds, 2),
        "score": _number(task.score, 6),
        "p_real": _number(task.p_real, 6),
        "p_discharge": _number(task.p_discharge, 6),
        "videos": str(task.num_copies),
        "moments_s": ";".join(f"{m.start_s:.2f} to {m.end_s:.2f}" for m in task.moments),
        "proposed_s": ";".join(f"{m.start_s:.4f}" for m in proposed),
        "confidence": ";".join(_number(m.score, 2) for m in proposed),
        "asked": str(entry.num_asked),
        "decided_by": "; ".join(one.who for one in entry.decisions),
    }


def _decided(decision: Decision | None, terms: ExchangeTerms) -> dict[str, str]:
    if decision is None:
        return {**dict.fromkeys(_DECIDED, ""), "who": terms.by or ""}
    return {
        "origin": decision.origin,
        "discharge": answer_of(decision.discharge),
        "discharges_s": ";".join(f"{time_s:.4f}" for time_s in decision.discharges_s),
        "who": decision.who,
        "note": decision.note,
    }


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _safe(text: str) -> str:
    # No reader of CSV takes a NUL, which an id of JSON may hold.
    text = text.replace("\0", "\ufffd")
    # A text that looks as if it were guarded is guarded too, so that each comes back as it was.
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def _plain(text: str) -> str:
    """Return what `_safe` was given."""
    guarded = text.startswith("'") and text.lstrip("'").startswith(_FORMULA)
    return text[1:] if guarded else text


def _answers(one: Decision) -> tuple[str, bool | None, tuple[float, ...]]:
    return one.origin, one.discharge, one.discharges_s


def read(path: Path, tasks: Mapping[str, ReviewTask], terms: ExchangeTerms) -> list[Decision]:
    """Read the decisions of a file; rows in which nothing is decided are read over.

    Raises:
        UserError: with every mistake, each with its row.
    """
    check = Checked(path, tasks, terms.by, NAME)
    first: dict[tuple[str, str], tuple[str, Decision]] = {}
    rows = csvfile.read(path, COLUMNS)
    header = next(rows).cells
    if missing := [column for column in _NEEDED if column not in header]:
        raise UserError(f"{path}: row 1: no column {', '.join(missing)}; export the file again")
    for row in rows:
        where = f"row {row.number}"
        if row.mistake:
            check.mistakes.append(row.mistake)
            continue
        cell = {name: _plain(trimmed(text)) for name, text in zip(header, row.cells, strict=True)}
        if not any(cell.get(column) for column in _DECIDED):
            continue
        parts = [trimmed(part) for part in cell.get("discharges_s", "").split(";")]
        wrong = [part for part in parts if part and not _SECONDS.fullmatch(part)]
        if wrong:
            check.wrong(where, f"discharges_s '{wrong[0]}' is no second such as 2.25")
            continue
        times_s = [float(part) for part in parts if part]
        answer = cell["discharge"].lower() or None
        who, note = (cell.get(column) or "" for column in ("who", "note"))
        num_found = len(check.found)
        name = cell["task"].removeprefix("'")
        check.add(where, name, cell["origin"].lower(), answer, times_s, who, note)
        for one in check.found[num_found:]:
            # No row tells its time, so that of two nobody knows which is the later.
            before, other = first.setdefault((one.task, one.who), (where, one))
            if _answers(one) != _answers(other):
                check.wrong(where, f"{one.who} says otherwise of it in {before}; leave one of them")
    return check.decisions()
