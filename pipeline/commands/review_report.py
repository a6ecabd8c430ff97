"""Tells what reviews say of a detector, of the people who review, and of what is scored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.assess import deployment_report
from pipeline.assess.deployment_report import Deployed, Deployment, Drift, Estimate
from pipeline.assess.wording import count, percent
from pipeline.config import ReviewApp
from pipeline.errors import UserError
from pipeline.review import agreement, drift, estimates, score_folder, training
from pipeline.review.deployment import deployments
from pipeline.review.record import Record
from pipeline.review.reviewers import Reviewers, reviewers
from pipeline.review.score_folder import Scores
from pipeline.system import disk
from pipeline.system.visible_text import plain

_MOST_SHOWN, _MAX_SHOWN = 10, 80
_TOO_FEW = (
    f"Whether anything has shifted is not known: fewer than {drift.FEWEST} files can be compared"
)


def tell(cfg: ReviewApp, record: Record, scores: str | None) -> None:
    """Print a report, and write it to `out` as JSON where that is given.

    Args:
        cfg: of the report.
        record: of queues and decisions.
        scores: a folder of scores that `against`, or what was trained on, is compared with.

    Raises:
        UserError: it is no such folder, or `out` cannot be written.
    """
    # A wrong path is told at once, however much there is in the record.
    compared = None if scores is None else _compared(cfg, score_folder.read(Path(scores)))
    votes = agreement.Votes.of(record, cfg.reviewer_error)
    people = reviewers(record, votes)
    found = Deployed(
        deployment_report.VERSION,
        cfg.confidence,
        tuple(deployments(record, votes, cfg.confidence)),
        people.agreement,
        compared,
    )
    lines = [
        *(line for one in found.deployments for line in _deployment(one, cfg.confidence)),
        *_people(people),
        *([] if compared is None else _drift(compared)),
        *([_TOO_FEW] if compared is None and scores is not None else []),
    ]
    print("\n".join(lines))
    if cfg.out is not None:
        with writing(cfg.out):
            Path(cfg.out).parent.mkdir(parents=True, exist_ok=True)
            Path(cfg.out).write_text(found.text(), encoding="utf-8")


@contextmanager
def writing(out: str) -> Iterator[None]:
    """Have something written, and say what is wrong with its name where it cannot be.

    Raises:
        UserError: a folder is where a file has to be, or the other way round.
    """
    try:
        yield
    except OSError as error:
        if error.errno in disk.REFUSALS:
            raise
        raise UserError(
            f"{out}: cannot be written ({error.strerror}); give another name, of a file or of a "
            "folder as what is written there is one"
        ) from error


def _compared(cfg: ReviewApp, now: Scores) -> Drift | None:
    if cfg.against is None:
        folders = Path(cfg.paths.clips), Path(cfg.paths.reports)
        against, before = "training", training.inputs(*folders, now.weights_sha256)
    else:
        earlier = score_folder.read(Path(cfg.against))
        # Folders may be called as people are, and the report names none.
        against, before = "earlier scores", drift.of_scores(earlier)
    found = drift.between(before, drift.of_scores(now), against, now.weights_sha256)
    # That nothing has shifted is not to be said of what was not compared.
    return found if found.shifts or found.sources_index is not None else None


def _deployment(one: Deployment, confidence: float) -> Iterator[str]:
    queues = ", ".join(map(str, one.queues))
    hours = "" if one.hours is None else f", {one.hours:.1f} h"
    kind = "files" if one.kind == deployment_report.FILE else "alerts of streams"
    yield f"Weights {one.weights_sha256[:12]}, {kind} (queue {queues}): {one.videos} videos{hours}"
    load = [f"{one.alerts} videos, {one.alerts_with_copies} with copies"]
    if one.hours:
        load.append(f"{1000 * one.alerts_with_copies / one.hours:,.1f} in 1,000 h")
    if one.days:
        load.append(f"{one.alerts / one.days:.1f} a day")
    yield f"  alerts: {'; '.join(load)}"
    strata = ", ".join(
        f"{name} {stratum.decided} of {stratum.drawn} drawn of {stratum.size}"
        for name, stratum in one.strata.items()
    )
    yield f"  decided of the audit: {strata}"
    for name, estimate in (
        ("precision", one.precision),
        ("recall", one.recall),
        ("real shootings", one.shootings),
    ):
        yield f"  {name}: {_estimate(estimate, confidence)}"


def _estimate(estimate: Estimate | None, confidence: float) -> str:
    if estimate is None:
        return "not known, since what raised no alert was not drawn from or holds no shooting"
    low, high = estimate.interval.low, estimate.interval.high
    if estimate.value is None:
        return (
            f"not known yet, from {low:.3g} to {high:.3g}, since of a stratum fewer than "
            f"{estimates.FEWEST} videos are decided, and not all"
        )
    return f"{estimate.value:.3g} ({100 * confidence:g} %: {low:.3g} to {high:.3g})"


def _people(one: Reviewers) -> Iterator[str]:
    told = one.agreement
    pairs = (
        f"of {count(told.num_pairs, 'task')} that two were to decide they differ on "
        f"{told.num_different}{'' if told.kappa is None else f' (kappa {told.kappa:.2f})'}"
        if told.num_pairs
        else "no task was decided by two who were to"
    )
    yield f"Reviewers: {pairs}; {100 * told.error:.1f} % of decisions are taken to be wrong"
    for who, num in one.decided.items():
        shown = ", ".join(
            f"{kind} {times} times ({seconds:.0f} s)"
            for kind, (times, seconds) in one.shown[who].items()
        )
        yield f"  {plain(who, _MAX_SHOWN)}: {count(num, 'decision')}; saw {shown or 'nothing here'}"
    for task, decisions in list(one.disagreements.items())[:_MOST_SHOWN]:
        yield f"  {task} is disputed: {agreement.told_by_each(decisions)}"


def _drift(found: Drift) -> Iterator[str]:
    if found.shifts:
        yield f"Against {plain(found.against, _MAX_SHOWN)}:"
    for one in found.shifts:
        remark = ", which has shifted" * (one.index > deployment_report.SHIFTED)
        yield (
            f"  {one.name}: {one.before:.3g} before, {one.after:.3g} now; stability index "
            f"{one.index:.2f}, Kolmogorov distance {one.distance:.2f}{remark}"
        )
    if found.sources_index is not None:
        remark = ", which has shifted" * (found.sources_index > deployment_report.SHIFTED)
        yield f"  sources: stability index {found.sources_index:.2f}{remark}"
    for source in deployment_report.most_changed(found.sources)[:_MOST_SHOWN]:
        yield (
            f"    {plain(source.name, _MAX_SHOWN)}: {percent(source.before)} before, "
            f"{percent(source.after)} now"
        )
