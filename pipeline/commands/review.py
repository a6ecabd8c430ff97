"""Asks people what scores and alerts were worth: `discern review queue SCORES` and `ACTIONS`."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.assess.wording import count
from pipeline.commands import bank, review_report
from pipeline.commands.actions import Action, act
from pipeline.config import BankApp, ReviewApp
from pipeline.errors import UserError
from pipeline.footage.tombstones import forgotten
from pipeline.live import guarding
from pipeline.live.server import Server
from pipeline.review import (
    agreement,
    alerts,
    calibration,
    collection,
    queueing,
    score_folder,
    serving,
)
from pipeline.review.alerts import DetectorAlerts
from pipeline.review.calibration import PlattCalibration
from pipeline.review.exchange import coop, fiftyone, label_studio, spreadsheet
from pipeline.review.exchange.entries import Entry, ExchangeFormat, ExchangeTerms
from pipeline.review.queueing import NewQueue
from pipeline.review.record import Record
from pipeline.review.tasks import QueuePlace, ReviewTask
from pipeline.system.visible_text import plain

FORMATS = {
    spreadsheet.NAME: ExchangeFormat(spreadsheet.write, spreadsheet.read, asks=False),
    label_studio.NAME: ExchangeFormat(label_studio.write, label_studio.read, asks=True),
    fiftyone.NAME: ExchangeFormat(fiftyone.write, fiftyone.read, asks=False),
    coop.NAME: ExchangeFormat(coop.write, coop.read, asks=True),
}
_MAX_SHOWN = 80


def run(action: str, *arguments: str, cfg: ReviewApp) -> None:
    """Do what a command line says about reviews.

    Args:
        action: one of `ACTIONS`.
        arguments: what it is told.
        cfg: where reviews are kept, and how.

    Raises:
        UserError: a wrong action or number of arguments, or what the action says.
    """
    act("review", ACTIONS, action, arguments, cfg)


def _queue(cfg: ReviewApp, what: str) -> None:
    path = Path(what)
    if cfg.audit + cfg.uncertain > 1:
        raise UserError(
            f"audit={cfg.audit:g} uncertain={cfg.uncertain:g}: are shares of one queue; give such "
            "as add up to 1 at most"
        )
    # A wrong path is told at once, however much there is in the record.
    sources = alerts.read(path) if alerts.is_of_watch(path) else [score_folder.read(path)]
    record = _record(cfg)
    votes = agreement.Votes.of(record, cfg.reviewer_error)
    places = record.places()
    done = [task for _, place, task in places if not votes.is_open(place)]
    numbers = []
    # Each detector that raised alerts has a queue of its own.
    for source in sources:
        of_them = [task for _, _, task in places if task.weights_sha256 == source.weights_sha256]
        calibrated = _calibration(of_them, votes)
        if isinstance(source, DetectorAlerts):
            made = alerts.make(source, cfg, done, calibrated)
        else:
            made = queueing.make(source, cfg, done, calibrated)
        numbers.append(_keep(record, made, cfg.seed))
    if cfg.out is not None:
        entries = [one for number in numbers for one in record.places(number)]
        _write(cfg, cfg.out, entries, votes)


def _keep(record: Record, made: NewQueue, seed: int) -> int:
    """Keep a queue, and say what is in it; returns its number."""
    number, was_there = record.add_queue(
        made.key, made.about, made.tasks, made.places, made.population
    )
    print(f"queue {number}{', which was there already' * was_there}: {_said(made.about)}")
    strata = ", ".join(
        f"{drawn} of {members} {name}" for name, (members, drawn) in made.about["strata"].items()
    )
    print(f"  {count(len(made.places), 'task')}; the audit draws {strata} (seed {seed})")
    return number


def _calibration(tasks: Sequence[ReviewTask], votes: agreement.Votes) -> PlattCalibration:
    """Return what scores mean here, from what was decided of tasks with scores of one detector."""
    decided = [(task.score, *votes.counts(task.name)) for task in tasks if task.score is not None]
    told = [one for one in decided if one[1] + one[2]]
    score, found, denied = np.array(told, float).reshape(-1, 3).T
    return calibration.fit(score, found, denied, votes.error)


def _said(about: dict[str, object]) -> str:
    counts, num_videos = about["counts"], about["videos"]
    assert isinstance(counts, dict) and isinstance(num_videos, int)
    rows = ", ".join(f"{number} {status}" for status, number in counts.items())
    return (
        f"{_shown(str(about['scores']))}, {count(num_videos, 'video')} without copies, "
        f"{about['alerts']} of them with an alert{f' ({rows})' if rows else ''}"
    )


def _list(cfg: ReviewApp) -> None:
    record = _record(cfg)
    votes = agreement.Votes.of(record, cfg.reviewer_error)
    for queue, place, task in record.places():
        said = agreement.told_by_each(votes.of_task(task.name)) or "nobody has decided"
        score = "no score" if task.score is None else f"score {task.score:.4f}"
        print(
            f"{task.name}  queue {queue} place {place.position}  {_shown(task.uri)}  {score}  "
            f"{'+'.join(place.reasons)}  {count(task.num_copies, 'video')}  "
            f"asks {votes.num_asked(place)}  {said}"
        )


def _export(cfg: ReviewApp, out: str) -> None:
    record = _record(cfg)
    _write(cfg, out, record.places(), agreement.Votes.of(record, cfg.reviewer_error))


def _write(
    cfg: ReviewApp,
    out: str,
    places: Sequence[tuple[int, QueuePlace, ReviewTask]],
    votes: agreement.Votes,
) -> None:
    """Export places of queues; to tools that ask people, those alone that somebody is asked of.

    For one person (`by`), as on the page: what is left to decide, and nothing that others decided.
    """
    path, form = Path(out), FORMATS[cfg.format]
    reader = _by(cfg)
    entries = []
    for queue, place, task in places:
        decisions, is_open = votes.of_task(task.name), votes.is_open(place)
        if reader is not None:
            if is_open and all(one.who != reader for one in decisions):
                entries.append(Entry(queue, place, task, (), 1))
        elif is_open or not form.asks:
            entries.append(Entry(queue, place, task, decisions, votes.num_asked(place)))
    if not entries and reader is not None:
        raise UserError(
            f"{out}: there is nothing left that by={_shown(reader)} is asked about; leave by out "
            "for everything, or make a queue with discern review queue"
        )
    if not entries:
        raise UserError(
            f"{out}: there is nothing to export; make a queue with discern review queue"
        )
    with review_report.writing(out):
        path.parent.mkdir(parents=True, exist_ok=True)
        form.write(path, entries, _terms(cfg))
    print(f"{out}: {count(len(entries), 'task')}")


def _import(cfg: ReviewApp, what: str) -> None:
    if not Path(what).exists():
        raise UserError(f"{what}: no such file; give what a tool exported")
    record = _record(cfg)
    tasks = {task.name: task for _, _, task in record.places()}
    try:
        decisions = FORMATS[cfg.format].read(Path(what), tasks, _terms(cfg))
    except OSError as error:
        raise UserError(
            f"{what}: not readable ({error.strerror}); give what a tool exported, in its format"
        ) from error
    num_new = record.decide(decisions)
    num_known = len(decisions) - num_new
    known = f", {num_known} known already or older" if num_known else ""
    print(f"{what}: {count(num_new, 'decision')} imported{known}")


def _export_collection(cfg: ReviewApp, out: str) -> None:
    if not cfg.licence:
        raise UserError(
            f"{out}: an index names the licence of every file; give licence=…, and source=… where "
            "the listing has no column of that name"
        )
    record = _record(cfg)
    votes = agreement.Votes.of(record, cfg.reviewer_error)
    root, stones = Path(cfg.root), forgotten(Path(cfg.paths.footage))
    terms = collection.IndexTerms(cfg.source, cfg.licence, cfg.authority, root, stones.sha256s)
    with review_report.writing(out):
        found = collection.export(Path(out), record, votes, terms, Path(cfg.paths.work))
    for reason, number in sorted(found.left_out.items()):
        print(f"{count(number, 'task')} left out, which {collection.LEFT_OUT[reason]}")
    if not found.rows:
        raise UserError(f"{out}: nothing was decided that can be exported; see discern review list")
    drawn = sum(row.recording.startswith(collection.DRAWN) for row in found.rows)
    print(
        f"{out}: {count(len(found.rows), 'file')}, {drawn} of them drawn by the audit; the others "
        "are only trained on (train_only in conf/split.yaml)"
    )
    if found.num_untimed:
        print(f"  {found.num_untimed} with a discharge at a time that nobody told")
    if cfg.bank is not None and not found.false_alarms:
        print(f"  no false alarm among them, so that nothing is put into bank={cfg.bank}")
    elif cfg.bank is not None:
        told = BankApp(paths=cfg.paths, run=cfg.run, ingest=cfg.ingest, negative=True)
        bank.run("add", cfg.bank, *map(str, found.false_alarms), cfg=told)


def _report(cfg: ReviewApp, scores: str | None = None) -> None:
    review_report.tell(cfg, _record(cfg), scores)


def _propose(cfg: ReviewApp, what: str) -> None:
    # What scores takes seconds to load, and no other action needs it.
    from pipeline.commands import review_times

    record = _record(cfg)
    review_times.propose(cfg, record, agreement.Votes.of(record, cfg.reviewer_error), what)


def _times(cfg: ReviewApp, what: str) -> None:
    from pipeline.commands import review_times

    record = _record(cfg)
    review_times.write(cfg, record, agreement.Votes.of(record, cfg.reviewer_error), what)


def _serve(cfg: ReviewApp) -> None:
    guarding.check_installed(serving.NEEDED, "discern review serve")
    token = guarding.checked_token(cfg.serve_host, os.environ.get(guarding.TOKEN))
    folders = Path(cfg.root), Path(cfg.paths.work)
    means = serving.DisplaySettings(cfg.ingest.clip.fps, cfg.ingest, cfg.run, *folders)
    page = serving.ReviewPage(_record(cfg), cfg.reviewer_error, means, token)
    server = Server(page.application(), cfg.serve_host, cfg.serve_port, "review")
    try:
        print(f"the page is at {server.url}; Ctrl-C ends it", flush=True)
        threading.Event().wait()
    finally:
        server.stop()


def _by(cfg: ReviewApp) -> str | None:
    """The name of a person as decisions have it; None where none is given."""
    try:
        return None if cfg.by is None else guarding.person_name(cfg.by)
    except guarding.RefusedRequest as error:
        raise UserError(f"by={_shown(cfg.by or '')}: {error}") from error


def _terms(cfg: ReviewApp) -> ExchangeTerms:
    key = None if cfg.key is None else Path(cfg.key)
    return ExchangeTerms(cfg.ingest.clip.fps, cfg.media or "", _by(cfg), key)


def _record(cfg: ReviewApp) -> Record:
    return Record(Path(cfg.paths.review))


def _shown(text: str) -> str:
    return plain(text, _MAX_SHOWN)


ACTIONS = {
    "queue": Action("SCORES|ALERTS", _queue),
    "list": Action("", _list),
    "export": Action("FILE|FOLDER", _export),
    "import": Action("FILE|FOLDER", _import),
    "report": Action("[SCORES]", _report),
    "serve": Action("", _serve),
    "export-collection": Action("FOLDER", _export_collection),
    "propose": Action("COLLECTION", _propose),
    "times": Action("COLLECTION", _times),
}
"""What can be done with reviews."""
