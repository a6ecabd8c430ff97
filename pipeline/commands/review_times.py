"""Asks when a firearm is fired in files of which only that is known, and writes what was decided.

An index may say `discharge` and no time. `discern review propose` lets the detector say when, and
asks people; `discern review times` writes the index anew with what they decided.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from pipeline.assess.wording import count
from pipeline.commands.printed_files import digests_of
from pipeline.commands.review_report import writing
from pipeline.commands.score import cost, rows
from pipeline.commands.score.cost import Costs
from pipeline.commands.score.file_access import FileAccess
from pipeline.commands.score.listing import ListingRow
from pipeline.commands.score.lookup import FileLookups
from pipeline.commands.score.part import PartScoring
from pipeline.commands.score.printout import on_one_machine, remedy_of
from pipeline.commands.score.rows import Row
from pipeline.commands.score.scorer import DecodedClips, why_not
from pipeline.config import ReviewApp, ScoreApp
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.footage import csvfile
from pipeline.footage.canonical import Canonical
from pipeline.footage.collection import COLUMNS, INDEX, IndexRow, read_index
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.tombstones import forgotten
from pipeline.learn.devices import device_of
from pipeline.review import population, queueing
from pipeline.review.agreement import Votes, consensus
from pipeline.review.population import Population
from pipeline.review.proposing import Finder
from pipeline.review.record import Record
from pipeline.review.tasks import FILE, TIMES, Decision, Moment, QueuePlace, ReviewTask, task_name
from pipeline.store import storage
from pipeline.system.visible_text import plain

_MOST = 5
"""Moments that are proposed of a file."""
_MOST_SHOWN = 120
_MOST_TOLD = 10
_TIMES, _WHO = "discharges_s", "reviewed_by"


class _MomentFinder:
    """Asks a finder about files, as a scorer is asked."""

    def __init__(self, detector: Detector) -> None:
        self._form, self.device = detector.card.clip, detector.device
        self._finder = Finder(detector)

    def row(
        self, given: ListingRow, task: FileTask, made: Canonical | Unusable, costs: Costs
    ) -> Row:
        """The moments that are likeliest, or why there are none."""
        refused = why_not(given, task, made, rows.FULL)
        if refused is not None:
            return refused
        assert isinstance(made, Canonical)
        with costs.timed(cost.DECODING):
            clips = DecodedClips(made.windows, task, self._form)
        with costs.timed(cost.DETECTOR):
            found = self._finder.proposals([*self._curves(clips)], _MOST)
        shown_s = 1 / self._form.fps
        return {
            "id": given.id,
            "status": rows.SCORED,
            "sha256": made.sha256,
            "seconds": made.duration_s,
            "is_silent": not clips.sounds.any(),
            "moments": tuple(
                Moment(one.time_s, one.time_s + shown_s, one.confidence, one.confidence, one.heard)
                for one in found
            ),
        }

    def _curves(self, clips: DecodedClips) -> Iterator[Any]:
        """Yield what is seen and heard of each stretch of clips that follow each other.

        The last clip of a scene begins within the one before, or ends with frames that nothing
        has shown. To show frames twice would be a jump in time, which what looks for flashes
        could take for one.
        """
        fps, length = self._form.fps, self._form.num_frames
        samples_a_frame = clips.sounds.shape[1] / length
        starts = np.rint(clips.start_s * fps).astype(np.int64)
        to_next = np.diff(starts, append=starts[-1] + length)
        # Of each clip, the frames before the next one begins.
        num = np.minimum(to_next, length)
        for part in np.split(np.arange(len(starts)), np.flatnonzero(to_next > length) + 1):
            yield self._finder.curves(
                np.concatenate([clips.frames[clip, : num[clip]] for clip in part]),
                np.concatenate(
                    [clips.sounds[clip, : round(num[clip] * samples_a_frame)] for clip in part]
                ),
                np.concatenate([starts[clip] + np.arange(num[clip]) for clip in part]) / fps,
            )


def propose(cfg: ReviewApp, record: Record, votes: Votes, collection: str) -> None:
    """Keep a queue of the files of a collection with a discharge at a time that nobody told.

    Args:
        cfg: where everything is.
        record: of queues.
        votes: of that record.
        collection: a folder with an index.

    Raises:
        UserError: it has none, or no such file, or the detector does not tell when.
    """
    with storage.fetched_index(collection, Path(cfg.paths.work)) as root:
        wanted = [row for row in read_index(root) if _is_untimed(row)]
    if not wanted:
        raise UserError(
            f"{collection}/{INDEX}: every file with a discharge has times; there is nothing to ask"
        )
    detector = Detector.load(Path(cfg.paths.models), device_of(cfg.run))
    detector.check_format("conf/ingest.yaml", cfg.ingest.clip)
    torch.set_num_threads(1)
    terms = ScoreApp(paths=cfg.paths, run=cfg.run, ingest=cfg.ingest)
    scoring = PartScoring(
        FileAccess(Path().resolve(), terms),
        FileLookups.open(terms),
        _MomentFinder(detector),
        forgotten(Path(cfg.paths.footage)),
    )
    run = on_one_machine(cfg.run)
    given = (ListingRow(row.path, _address(collection, row.path)) for row in wanted)
    known = {name for name, of in votes.by_task.items() if any(one.discharges_s for one in of)}
    tasks, refused, num_known = list[ReviewTask](), list[Row](), 0
    for row in scoring.rows(given, run):
        if row["status"] != rows.SCORED:
            refused.append(row)
            continue
        task = _task(collection, row, detector.sha256)
        is_known = not known.isdisjoint((task.name, task_name(row["sha256"], task.uri)))
        num_known += is_known
        if not is_known:
            tasks.append(task)
    for row in refused:
        told = plain(row["detail"] or "", _MOST_SHOWN)
        print(
            f"{plain(row['id'], _MOST_SHOWN)}: {row['reason']} ({told}); {remedy_of(row['reason'])}"
        )
    if num_known:
        print(f"{count(num_known, 'file')} left out, of which somebody told the times")
    if not tasks:
        raise UserError(f"{collection}: there is no file left to ask about")
    tasks = sorted({task.name: task for task in tasks}.values(), key=_order)
    number = _keep(record, collection, detector.sha256, tasks)
    num_moments = sum(len(task.moments) for task in tasks)
    print(
        f"queue {number}: {count(len(tasks), 'file')} with a discharge at a time that nobody told; "
        f"{count(num_moments, 'moment')} proposed"
    )


def _is_untimed(row: IndexRow) -> bool:
    return row.discharge and not row.discharges_s and not row.heard_s


def _address(collection: str, path: str) -> str:
    if storage.is_remote(collection):
        return f"{collection.rstrip('/')}/{path}"
    return str((Path(collection) / path).absolute())


def _task(collection: str, row: Row, weights_sha256: str) -> ReviewTask:
    uri = f"{collection.rstrip('/')}/{row['id']}"
    return ReviewTask(
        name=_name_of_times(row["sha256"]),
        kind=FILE,
        id=row["id"],
        uri=uri,
        sha256=row["sha256"],
        seconds=row["seconds"],
        score=None,
        p_real=None,
        p_discharge=None,
        predicted=None,
        alert_s=None,
        moments=row["moments"],
        copies=(),
        num_copies=1,
        weights_sha256=weights_sha256,
        threshold=0.5,
        is_silent=row["is_silent"],
        asks_times=True,
    )


def _order(task: ReviewTask) -> tuple[float, str]:
    """The surest first."""
    return -max((moment.score or 0.0 for moment in task.moments), default=0.0), task.id


def _keep(record: Record, collection: str, weights_sha256: str, tasks: Sequence[ReviewTask]) -> int:
    about = {
        "kind": TIMES,
        "scores": storage.name(collection),
        "weights_sha256": weights_sha256,
        "proposed": [[task.name, *(moment.start_s for moment in task.moments)] for task in tasks],
    }
    places = [
        QueuePlace(number, task.name, (TIMES,), TIMES, None, False, -_order(task)[0])
        for number, task in enumerate(tasks, 1)
    ]
    nothing = np.zeros(0, np.int64)
    none_of = Population(
        population.numbers([]), nothing, nothing, np.zeros(0), np.zeros(0, np.str_)
    )
    key = queueing.key_of(about, [task.name for task in tasks])
    return record.add_queue(key, about, tasks, places, none_of)[0]


def write(cfg: ReviewApp, record: Record, votes: Votes, collection: str) -> None:
    """Write the index of a collection anew, with the times that people decided.

    Nothing else in it changes. A file that people decided to be something else than the index says
    stays as it is, and is told.

    Raises:
        UserError: there is no index, `out` is not given, or nothing was decided of its files.
    """
    if cfg.out is None:
        raise UserError(f"{collection}: give out=FILE, where the index with times is written")
    folder = Path(collection)
    index = {row.path: row for row in read_index(folder)}
    asked = {
        task.name: votes.of_task(task.name)
        for _, place, task in record.places()
        if task.kind == FILE and not votes.is_open(place)
    }
    found: dict[str, Decision] = {}
    others = []
    for row in filter(_is_untimed, index.values()):
        about_times, about_scores = _names(folder / row.path)
        agreed = consensus(asked.get(about_times, ())) or consensus(asked.get(about_scores, ()))
        if agreed is None:
            continue
        if agreed.origin != row.origin or not agreed.discharge:
            others.append(row.path)
        elif agreed.discharges_s:
            found[row.path] = agreed
    for path in others[:_MOST_TOLD]:
        print(
            f"{plain(path, _MOST_SHOWN)}: decided to be something else than the index says; mend it"
        )
    if not found:
        raise UserError(
            f"{collection}: of no file without times people have decided any; ask them with "
            f"discern review propose {collection}, and see discern review list"
        )
    with writing(cfg.out):
        _write(folder / INDEX, Path(cfg.out), found)
    left = sum(map(_is_untimed, index.values())) - len(found)
    print(
        f"{cfg.out}: times of {count(len(found), 'file')}; {left} still have none. "
        f"Put it in the place of {folder / INDEX}"
    )


def _names(path: Path) -> tuple[str, str]:
    """Names of the tasks that ask about a file: when, and what it is."""
    sha256, _ = digests_of(path)
    if not sha256:
        return "", ""
    return _name_of_times(sha256), task_name(sha256, "")


def _name_of_times(sha256: str) -> str:
    # Who said what a file is was not asked when, so that this is another task.
    return task_name(None, f"times:{sha256}")


def _write(index: Path, out: Path, found: Mapping[str, Decision]) -> None:
    """Write the rows of an index as they are, but for the times of some."""
    written = csvfile.read(index, COLUMNS)
    header = [*next(written).cells]
    columns = header + [name for name in (_TIMES, _WHO) if name not in header]
    lines = []
    for row in written:
        cell = dict(zip(header, row.cells, strict=True))
        decided = found.get(str(PurePosixPath(cell["path"])))
        if decided is not None:
            cell[_TIMES] = ";".join(f"{time_s:.4f}" for time_s in decided.discharges_s)
            cell[_WHO] = decided.who
        lines.append([cell.get(name, "") for name in columns])
    out.parent.mkdir(parents=True, exist_ok=True)
    # It may be the index itself, which a kill should not cut.
    part = out.with_name(f".{out.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, *lines])
    part.replace(out)
