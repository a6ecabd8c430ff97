"""The rows of a part of a listing: fetched, looked up in banks, decoded and scored, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from pipeline.commands.printed_files import digests_of
from pipeline.commands.score import cost, rows, twins
from pipeline.commands.score.cost import Costs
from pipeline.commands.score.file_access import FileAccess
from pipeline.commands.score.isolation import apart
from pipeline.commands.score.listing import ListingRow
from pipeline.commands.score.lookup import FileLookups
from pipeline.commands.score.rows import Row
from pipeline.commands.score.twins import RecentRows
from pipeline.config import Run
from pipeline.detect.side_by_side import side_by_side
from pipeline.footage import conversion
from pipeline.footage.canonical import Canonical, muted
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.tombstones import Tombstones

_FORGOTTEN = Unusable("forgotten", "the same bytes were to be forgotten")
_AHEAD_PER_WORKER = 2
Made = Canonical | Unusable
Timed = tuple[Made, float]


@dataclass
class _File:
    """A row of the listing on its way."""

    given: ListingRow
    task: FileTask | None
    """None of one that nobody has to have."""
    held: ExitStack
    """Has its file on this machine."""
    made_from: str = ""
    """A name of all that decides its row; empty where nobody could read its bytes."""
    twin: _File | None = None
    """One before it that is made from the same, and not known yet."""
    row: Row | None = None
    """What was found, once that is known."""
    made: Made | None = None
    is_lasting: bool = True
    """Whether it would be found again."""


class FileAnswers(Protocol):
    """Holds what is asked about files that were decoded."""

    @property
    def device(self) -> str:
        """That it computes on."""

    def row(self, given: ListingRow, task: FileTask, made: Made, costs: Costs) -> Row:
        """The row of a file; what it takes is added to `costs`."""


@dataclass(frozen=True)
class PartScoring:
    """All that scoring a part needs.

    Attributes:
        places: how files are had.
        lookup: in banks, and nothing where there is none.
        scorer: the detector.
        tombstones: what to refuse.
        costs: what it takes is added to these.
        known: files that were scored before.
    """

    places: FileAccess
    lookup: FileLookups
    scorer: FileAnswers
    tombstones: Tombstones
    costs: Costs = field(default_factory=Costs)
    known: RecentRows = field(default_factory=RecentRows)

    def rows(self, given: Iterable[ListingRow], run: Run) -> Iterator[Row]:
        """The row of every file, in order.

        Args:
            given: the rows of the listing.
            run: how to run on this machine; the executor is no cluster.
        """
        workers = max(1, run.num_workers) if run.executor == "processes" else 1
        # A GPU takes one file at a time.
        asked_at_once = workers if self.scorer.device == "cpu" else 1
        under_way: dict[int, _File] = {}
        try:
            files = self._arrived(given, workers, under_way)
            if self.lookup.banks:
                files = _through(files, partial(self._looked_up, run=run))
            started: dict[str, _File] = {}
            files = _through(self._told_apart(files, started), partial(self._decoded, run=run))
            for file in _through(files, partial(self._scored, workers=asked_at_once)):
                under_way.pop(id(file)).held.close()
                if file.twin is not None:
                    assert file.twin.row is not None
                    file.row = twins.of(file.given, file.twin.row)
                assert file.row is not None
                if started.get(file.made_from) is file:
                    del started[file.made_from]
                    # What the machine has done to the one need not happen to the next.
                    if file.is_lasting:
                        self.known.put(file.made_from, file.row)
                yield {**file.row, "source": file.given.source or None}
        finally:
            for file in under_way.values():
                file.held.close()

    def _arrived(
        self, given: Iterable[ListingRow], workers: int, under_way: dict[int, _File]
    ) -> Iterator[_File]:
        """Have a few files at hand ahead of what comes next."""
        waiting: deque[Future[_File]] = deque()

        def first() -> _File:
            file = waiting.popleft().result()
            under_way[id(file)] = file
            return file

        with ThreadPoolExecutor(workers) as threads:
            try:
                for one in given:
                    waiting.append(threads.submit(self._arrive, one))
                    if len(waiting) > _AHEAD_PER_WORKER * workers:
                        yield first()
                while waiting:
                    yield first()
            finally:
                for future in waiting:
                    if not future.cancel():
                        future.result().held.close()

    def _arrive(self, given: ListingRow) -> _File:
        with self.costs.timed(cost.HASHES), ExitStack() as stack:
            if (match := self.lookup.of_hashes(given.sha256, given.md5)) is not None:
                # Nobody has to fetch what is known.
                row = rows.matched(given, given.sha256, match, None, [])
                return _File(given, None, ExitStack(), row=row)
            task = stack.enter_context(self.places.at_hand(given))
            file = _File(given, task, stack.pop_all())
            if task.refused is not None:
                file.row = rows.rejected(given, task.refused, rows.HASH)
                return file
            sha256, md5 = digests_of(_local(file))
            if sha256:
                file.made_from = conversion.piece_name(task, sha256, [])
            if sha256 in self.tombstones.sha256s:
                file.row = rows.rejected(given, _FORGOTTEN, rows.HASH, sha256)
            elif (refused := _other_bytes(given, sha256, md5)) is not None:
                file.row = rows.rejected(given, refused, rows.HASH, sha256)
            elif (match := self.lookup.of_hashes(sha256, md5)) is not None:
                file.row = rows.matched(given, sha256, match, None, [])
            return file

    def _looked_up(self, files: Iterator[_File], run: Run) -> Iterator[_File]:
        started: deque[_File] = deque()
        paths = map(_local, _noted(files, started))
        for printed, seconds in self.lookup.printed(paths, run):
            file = started.popleft()
            self.costs.add(cost.HASHES, seconds)
            with self.costs.timed(cost.HASHES):
                file.row = self.lookup.row(file.given, printed)
            yield file

    def _told_apart(self, files: Iterator[_File], started: dict[str, _File]) -> Iterator[_File]:
        """Hand on files, and let none be decoded that is made from the same as another one."""
        for file in files:
            if file.row is None and file.made_from:
                file.row = self.known.get(file.made_from, file.given)
                if file.row is None:
                    first = started.setdefault(file.made_from, file)
                    file.twin = None if first is file else first
            if file.row is not None or file.twin is not None:
                # Many may wait for one that takes long, and what was fetched takes room.
                file.held.close()
            yield file

    def _decoded(self, files: Iterator[_File], run: Run) -> Iterator[_File]:
        started: deque[_File] = deque()
        for made, seconds in self._converted(_noted(files, started), run):
            file = started.popleft()
            self.costs.add(cost.DECODING, seconds)
            assert file.task is not None
            if (mark := conversion.muted_mark(file.task, made)) is not None:
                # As ingest does: its sound may be what ends the process that decodes it.
                task = replace(file.task, with_sound=False)
                made, seconds = next(self._converted(iter([replace(file, task=task)]), run))
                self.costs.add(cost.DECODING, seconds)
                made = muted(made, mark) if isinstance(made, Canonical) else made
            file.made = made
            file.is_lasting = not isinstance(made, Unusable) or made.is_lasting
            yield file

    def _converted(self, files: Iterator[_File], run: Run) -> Iterator[Timed]:
        tasks = (file.task for file in files if file.task is not None)
        yield from apart(conversion.convert, tasks, self.places.cfg, run)

    def _scored(self, files: Iterator[_File], workers: int) -> Iterator[_File]:
        jobs = ((file, partial(self._score, file)) for file in files)
        for file, row in side_by_side(jobs, workers):
            file.row, file.made = row, None
            yield file

    def _score(self, file: _File) -> Row:
        assert file.task is not None and file.made is not None
        return self.scorer.row(file.given, file.task, file.made, self.costs)


def _through(
    files: Iterator[_File], work: Callable[[Iterator[_File]], Iterator[_File]]
) -> Iterator[_File]:
    """Hand on files in order, and those without a row through `work`, which keeps the order."""
    waiting: deque[_File] = deque()

    def undecided() -> Iterator[_File]:
        for file in files:
            waiting.append(file)
            if file.row is None and file.twin is None:
                yield file

    for done in work(undecided()):
        while waiting[0] is not done:
            yield waiting.popleft()
        yield waiting.popleft()
    yield from waiting


def _noted(files: Iterator[_File], started: deque[_File]) -> Iterator[_File]:
    for file in files:
        started.append(file)
        yield file


def _local(file: _File) -> Path:
    assert file.task is not None and file.task.local is not None
    return file.task.local


def _other_bytes(given: ListingRow, sha256: str, md5: str) -> Unusable | None:
    """Return why a file is not the one that the listing means."""
    for name, wanted, found in (("sha256", given.sha256, sha256), ("md5", given.md5, md5)):
        if wanted and found and wanted != found:
            return Unusable("other_bytes", f"its {name} is {found}, and {wanted} in the listing")
    return None
