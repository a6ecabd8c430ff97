"""Deployment: what people found of the detector where it runs, from a random sample.

Nothing is scored here: `discern review report` writes what it knows, and this section presents it.
What is known of other weights is shown and judges nothing. False alerts are held against the cost
that the configuration states; of the share that is found, a half is what a verdict asks for, since
whoever misses more than they find should not be rested on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.assess import deployment_report, wording
from pipeline.assess.deployment_report import Deployed, Deployment, Drift, Estimate
from pipeline.assess.evidence import Evidence, Section, State, Verdict
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.suites.deployment import panels, rows
from pipeline.detect.operating_point import PER_HOURS, Cost, cost_of
from pipeline.system.visible_text import plain

TITLE = "Deployment"
LEAST_FOUND = 0.5
"""The share of real shootings beyond which more are found than missed."""
AGREED = 0.6
"""A kappa from which on agreement is usually called substantial (Landis and Koch, 1977)."""
_REMEDY = f"discern review report SCORES out=deployment/{deployment_report.REPORT}"
_MAX_NAME = 40


def run(evidence: Evidence) -> Section:
    """Judge what is known of the weights that are evaluated; no clip is read."""
    known, weights = evidence.deployed, evidence.weights_sha256
    own = [] if known is None else deployment_report.of_weights(known, weights)
    return Section(
        lead=(
            "How good a detector is on test says nothing of where it runs. There people look at a "
            "random sample of what it scored, whatever it thinks of it, and what they decide tells "
            "of all of it, with intervals; they err, which is taken into account. Beside that, "
            "what is scored now is compared with what training had."
        ),
        verdicts=[*_verdicts(evidence, known, own)],
        panels=[] if known is None else panels.panels(known, weights, evidence.settings.operating),
        metrics={} if known is None else as_json(known),
        plots={"drift.csv": rows.shifts(known)},
        rows={} if known is None else rows.rows(known),
        tables=(),
        beyond=(
            ""
            if known is None
            else f"All of it is told by deployment/{deployment_report.REPORT}, whose hash is in "
            "lineage.json, and which decisions of people are counted into."
        ),
    )


def _verdicts(
    evidence: Evidence, known: Deployed | None, own: Sequence[Deployment]
) -> Iterator[Verdict]:
    if known is None or not known.deployments:
        yield Verdict(
            "known",
            "grey",
            "Nothing is known of what the detector does where it runs; review what it scored, and "
            f"run {_REMEDY}.",
        )
        return
    if not own:
        others = ", ".join(sorted({one.weights_sha256[:12] for one in known.deployments}))
        yield Verdict(
            "known",
            "amber",
            f"What is known of a deployment is of other weights ({plain(others, _MAX_NAME)}) than "
            f"those that are judged here ({evidence.weights_sha256[:12]}): the numbers below are "
            f"not of this detector. Review what it scored, and run {_REMEDY}.",
        )
        return
    cost = cost_of(evidence.settings.operating)
    for one in own:
        yield _audit(one)
        yield from _false_alerts(one, cost)
        yield _found(one)
    yield _agreement(known)
    yield _drift(known.drift, evidence.weights_sha256)


def _audit(one: Deployment) -> Verdict:
    """Return how far the random sample is decided, on which all numbers rest."""
    drawn = sum(stratum.drawn for stratum in one.strata.values())
    decided = sum(stratum.decided for stratum in one.strata.values())
    says = (
        f"{panels.subject(one)}: of {wording.count(drawn, 'video')} drawn at random {decided:,} "
        "were decided"
    )
    state: State = "green" if drawn and decided == drawn else "amber" if decided else "grey"
    rest = {
        "green": ".",
        "amber": "; the others are taken to be like these.",
        "grey": ", so that nothing is known of how good it is there.",
    }
    return Verdict(f"decided_{one.kind}", state, says + rest[state])


def _false_alerts(one: Deployment, cost: Cost) -> Iterator[Verdict]:
    """Yield what alerts cost, where it is known in how many hours they were raised."""
    rate = panels.false_alerts(one)
    if rate is None:
        return
    low, high = rate.interval.low, rate.interval.high
    state: State = "amber"
    if high <= cost.false_alerts_per_1000_h:
        state = "green"
    elif low > cost.false_alerts_per_1000_h:
        state = "red"
    words = {"green": "keep to", "red": "exceed", "amber": "are not shown to keep to"}
    value = "" if rate.value is None else f"{panels.amount(rate.value)}, "
    yield Verdict(
        f"false_alerts_{one.kind}",
        state,
        f"{panels.subject(one)}: false alerts in {PER_HOURS:,} hours ({value}"
        f"{panels.amount(low)} to {panels.amount(high)}) {words[state]} what is allowed, "
        f"{cost.stated}.",
    )


def _found(one: Deployment) -> Verdict:
    name, subject = f"found_{one.kind}", panels.subject(one)
    if one.recall is None or one.recall.value is None:
        why = (
            "what raised no alert was not drawn from, or holds no shooting"
            if one.recall is None
            else "of a part of what was drawn too little is decided"
        )
        return Verdict(name, "grey", f"{subject}: what share is found cannot be told, since {why}.")
    ends = one.recall.interval
    state: State = "amber"
    says = "whether more real shootings are found than missed is not shown"
    if ends.low > LEAST_FOUND:
        state, says = "green", "more real shootings are found than missed"
    elif ends.high < LEAST_FOUND:
        state, says = "red", "more real shootings are missed than found"
    return Verdict(name, state, f"{subject}: {says}, {_shares(one.recall)}.")


def _shares(found: Estimate) -> str:
    low, high = (wording.percent(end) for end in (found.interval.low, found.interval.high))
    assert found.value is not None
    return f"{wording.percent(found.value)} found ({low.removesuffix(' %')} to {high})"


def _agreement(known: Deployed) -> Verdict:
    one = known.agreement
    if one.kappa is None:
        return Verdict(
            "agreement",
            "grey",
            "How far reviewers agree cannot be told: of "
            f"{wording.count(one.num_pairs, 'video')} that two decided as they were to, no two "
            "answers can differ beyond chance.",
        )
    says = (
        f"Of {wording.count(one.num_pairs, 'video')} that two were to decide, reviewers differ on "
        f"{one.num_different:,} (kappa {one.kappa:.2f})"
    )
    if one.kappa >= AGREED:
        return Verdict("agreement", "green", f"{says}.")
    return Verdict(
        "agreement",
        "amber",
        f"{says}, so that numbers rest on the model of how people err: the audit should be "
        "decided by more.",
    )


def _drift(drift: Drift | None, weights_sha256: str) -> Verdict:
    if drift is None or drift.weights_sha256 != weights_sha256:
        return Verdict(
            "drift",
            "grey",
            "Whether what is scored now is like what training had is not known; name the scores "
            f"in {_REMEDY}.",
        )
    moved = [one.name for one in drift.shifts if one.index > deployment_report.SHIFTED]
    if drift.sources_index is not None and drift.sources_index > deployment_report.SHIFTED:
        moved.append("sources")
    against = plain(drift.against, _MAX_NAME)
    if not moved:
        return Verdict("drift", "green", f"Nothing that was compared with {against} has shifted.")
    names = ", ".join(plain(name, _MAX_NAME) for name in moved)
    return Verdict(
        "drift",
        "amber",
        f"Against {against} these have shifted (stability index above "
        f"{deployment_report.SHIFTED:g}): {names}; what was found on test says less of them.",
    )
