"""Makes a footage collection of what people decided, which the project ingests as any other.

Recordings that the detector had a hand in choosing are called `review-chosen/…`, which
`conf/split.yaml: train_only` keeps out of all that is judged by; those that the audit drew are
`review-audit/…`.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from pipeline.errors import UserError
from pipeline.footage.canonical import digests
from pipeline.footage.collection import INDEX, IndexRow, write_index
from pipeline.live.addresses import redacted
from pipeline.review.agreement import Votes, consensus
from pipeline.review.record import Record
from pipeline.review.tasks import FILE, Decision, ReviewTask
from pipeline.store import storage
from pipeline.system.visible_text import plain

CHOSEN, DRAWN = "review-chosen", "review-audit"
DECISIONS_FILE = "decisions.jsonl"
"""Every decision behind the index, a line each."""
_IN_STORE, _LOCAL = "s3", "file"
_MOST_SHOWN = 120
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_SUFFIX = 8
"""Characters of the end of a name that are taken for its kind, at most."""
LEFT_OUT = {
    "open": "another person is still asked about; discern review export FILE by=NAME gives them a "
    "sheet",
    "undecided": "have no decision that most agree on",
    "alert": "are alerts of streams, which have no file",
    "times": "were asked of for their times alone; discern review times writes these",
    "missing": "have a file that cannot be read here; give root=FOLDER, the folder of the listing, "
    "if its paths are relative, or put the file back",
    "elsewhere": "are at an address that a review does not fetch from; fetch the files, and score "
    "them from there",
    "changed": "have a file that has changed since it was scored",
    "forgotten": "have a file that was to be forgotten (forgotten.csv)",
    "unsourced": "come from a source that nobody named; give source=…, or a column source in the "
    "listing that is scored",
}
"""Why a task that somebody decided is in no collection."""


class NotFetched(UserError):
    """A file is where a review does not fetch from."""


@dataclass(frozen=True)
class IndexTerms:
    """Holds what an index says of every file: where they come from, and on what basis.

    `source` is that of files whose listing names none, and `root` where relative paths of a listing
    begin. Files whose SHA-256 is among `forgotten` are in no index.
    """

    source: str | None
    licence: str
    authority: str
    root: Path
    forgotten: Collection[str] = ()


@dataclass
class ExportResult:
    """Holds what became of the decisions.

    Attributes:
        rows: of the index.
        left_out: tasks that are in none, by their reason.
        num_untimed: files with a discharge at a time that nobody told.
        false_alarms: files that raised an alert and are no real shooting.
    """

    rows: list[IndexRow] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    num_untimed: int = 0
    false_alarms: list[Path] = field(default_factory=list)


def export(
    folder: Path, record: Record, votes: Votes, terms: IndexTerms, work: Path
) -> ExportResult:
    """Write decided files, an index of them, and the decisions behind it; others stay as they are.

    Args:
        folder: of the collection, which may be there from an earlier export.
        record: of tasks and decisions.
        votes: of that record.
        terms: of all files.
        work: a folder for what is fetched from object storage.

    Raises:
        UserError: the folder holds something else.
    """
    if (folder / INDEX).exists() and not (folder / DECISIONS_FILE).exists():
        raise UserError(f"{folder}: holds another collection; name a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {place.task for _, place in record.drawn()}
    found, behind = ExportResult(), list[Decision]()
    for _, place, task in record.places():
        decisions = votes.of_task(task.name)
        if not decisions:
            continue
        agreed = consensus(decisions)
        if votes.is_open(place) or agreed is None:
            found.left_out["open" if votes.is_open(place) else "undecided"] += 1
            continue
        if task.asks_times:
            found.left_out["times"] += 1
            continue
        if task.sha256 in terms.forgotten:
            found.left_out["forgotten"] += 1
            continue
        source = task.source or terms.source
        if source is None:
            found.left_out["unsourced"] += 1
            continue
        path, reason = _fetch(task, folder, terms.root, work)
        if path is None:
            found.left_out[reason] += 1
            continue
        row = _row(path.name, source, task, agreed, terms, is_drawn=task.name in drawn)
        found.rows.append(row)
        found.num_untimed += row.discharge and not row.discharges_s
        if place.flagged and agreed.is_real_shooting is False:
            found.false_alarms.append(path)
        behind += decisions
    found.rows.sort(key=lambda row: row.path)
    _write(folder, found.rows, behind)
    return found


def _row(
    name: str, source: str, task: ReviewTask, agreed: Decision, terms: IndexTerms, *, is_drawn: bool
) -> IndexRow:
    return IndexRow(
        path=name,
        origin=agreed.origin,
        source=source,
        discharge=bool(agreed.discharge),
        licence=terms.licence,
        recording=f"{DRAWN if is_drawn else CHOSEN}/{task.name}",
        discharges_s=agreed.discharges_s if agreed.discharge else (),
        authority=terms.authority,
        reviewed_by=agreed.who,
    )


def _fetch(task: ReviewTask, folder: Path, root: Path, work: Path) -> tuple[Path | None, str]:
    """The file of a task in the collection, which is copied there where it is not whole; or why
    there is none.
    """
    if task.kind != FILE:
        return None, "alert"
    suffix = PurePosixPath(task.uri).suffix[:_SUFFIX].lower()
    path = folder / f"{task.name}{suffix}"
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        if path.exists() and task.sha256 in (None, digests(path)[0]):
            return path, ""
        with at_hand(task, root, work) as local:
            shutil.copyfile(local, partial)
        if task.sha256 is not None and digests(partial)[0] != task.sha256:
            return None, "changed"
        partial.rename(path)
    except NotFetched:
        return None, "elsewhere"
    except UserError:
        return None, "missing"
    except OSError as error:
        if error.errno in _FULL:
            # The file is there, and the collection would be left without it.
            raise OSError(error.errno, error.strerror, str(folder)) from error
        return None, "missing"
    finally:
        partial.unlink(missing_ok=True)
    return path, ""


@contextmanager
def at_hand(task: ReviewTask, root: Path, work: Path) -> Iterator[Path]:
    """Have the file of a task on this machine for as long as the block runs.

    Servers are not asked: an address in a listing may lead to any, also to those inside.

    Args:
        task: of a file.
        root: where relative paths begin.
        work: a folder for what is fetched.

    Raises:
        OSError: it cannot be read.
        NotFetched: it is on a server.
        UserError: object storage does not give it.
    """
    if not storage.is_remote(task.uri):
        yield root / task.uri
        return
    scheme, _, rest = task.uri.partition("://")
    if scheme.lower() == _LOCAL:
        yield root / unquote(f"/{rest.partition('/')[2]}")
        return
    prefix, _, name = rest.rpartition("/")
    if scheme.lower() != _IN_STORE or not prefix:
        raise NotFetched(
            f"{plain(redacted(task.uri), _MOST_SHOWN)}: a review fetches from s3:// alone; fetch "
            "the file, and score it from there"
        )
    with storage.fetched(f"{_IN_STORE}://{prefix}", name, work) as local:
        yield local


def _write(folder: Path, rows: Sequence[IndexRow], decisions: Sequence[Decision]) -> None:
    fresh = folder / f".fresh-{os.getpid()}"
    fresh.mkdir()
    try:
        lines = [json.dumps(_told(one), ensure_ascii=False) for one in decisions]
        (fresh / DECISIONS_FILE).write_text(
            "".join(f"{line}\n" for line in lines), encoding="utf-8"
        )
        if rows:
            write_index(fresh, rows)
            (fresh / DECISIONS_FILE).replace(folder / DECISIONS_FILE)
            (fresh / INDEX).replace(folder / INDEX)
    finally:
        shutil.rmtree(fresh)


def _told(one: Decision) -> Mapping[str, object]:
    told = asdict(one)
    # Numbers of queues are of one machine.
    told.pop("queue")
    return told
