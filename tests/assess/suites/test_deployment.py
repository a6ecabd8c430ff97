from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.assess import deployment_report as reports
from pipeline.assess.deployment_report import Agreement, Deployed, Drift, StratumCounts
from pipeline.assess.evidence import Section, Table, Verdict
from pipeline.assess.suites.deployment import deployment
from pipeline.errors import UserError
from tests import deployed
from tests.assess import toy


def run(known: Deployed | None, weights: str = deployed.WEIGHTS) -> Section:
    made = toy.evidence()
    return deployment.run(replace(made, deployed=known, weights_sha256=weights))


def verdicts(known: Deployed | None, **rest: Any) -> dict[str, Verdict]:
    return {one.name: one for one in run(known, **rest).verdicts}


def states(known: Deployed | None, **rest: Any) -> dict[str, str]:
    return {name: one.state for name, one in verdicts(known, **rest).items()}


def strata(*, decided: int, num_rest: int) -> dict[str, StratumCounts]:
    return {
        "alerted": StratumCounts(50, 40, decided),
        "rest": StratumCounts(9950, num_rest, num_rest),
    }


def test_without_a_file_nothing_is_known_and_how_to_know_is_told() -> None:
    (only,) = run(None).verdicts
    assert only.state == "grey"
    assert "run discern review report SCORES out=deployment/report.json" in only.says
    assert not run(None).panels
    assert run(None).plots["drift.csv"][1] == []


def test_what_is_known_is_judged() -> None:
    assert states(deployed.known()) == {
        "decided_file": "green",
        "false_alerts_file": "amber",
        "found_file": "green",
        "agreement": "green",
        "drift": "amber",
    }
    told = verdicts(deployed.known())
    # 60 alerts with copies in 1,000 hours, of which 0.1 to 0.3 are false.
    assert "in 1,000 hours (12, 6 to 18) are not shown to keep to" in told["false_alerts_file"].says
    assert "75 % found (60 to 85 %)" in told["found_file"].says
    assert "height, sources" in told["drift"].says


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"precision": deployed.estimate(0.99, 0.95, 1.0)}, "false_alerts_file", "green"),
        ({"precision": deployed.estimate(0.5, 0.4, 0.6)}, "false_alerts_file", "red"),
        ({"recall": deployed.estimate(0.3, 0.2, 0.45)}, "found_file", "red"),
        ({"recall": deployed.estimate(0.5, 0.2, 0.8)}, "found_file", "amber"),
        ({"recall": deployed.estimate(None, 0.2, 0.8)}, "found_file", "grey"),
        ({"recall": None}, "found_file", "grey"),
        ({"strata": strata(decided=39, num_rest=40)}, "decided_file", "amber"),
        ({"strata": strata(decided=0, num_rest=0)}, "decided_file", "grey"),
    ],
)
def test_a_verdict_follows_the_interval(changes: dict[str, Any], name: str, state: str) -> None:
    assert states(deployed.known(deployed.deployment(**changes)))[name] == state


def test_reviewers_who_do_not_agree_and_scores_that_nobody_compared_are_told() -> None:
    few = Agreement((9,), 0, 0, None, 0.05, 0)
    assert states(deployed.known(agreement=few, drift=None)).items() >= {
        ("agreement", "grey"),
        ("drift", "grey"),
    }
    apart = Agreement((9, 9), 9, 4, 0.1, 0.3, 4)
    assert states(deployed.known(agreement=apart))["agreement"] == "amber"
    same = Drift(deployed.WEIGHTS, "training", (deployed.shift("height", 0.1),), (), None)
    assert states(deployed.known(drift=same))["drift"] == "green"


def test_numbers_of_other_weights_are_shown_and_judge_nothing() -> None:
    told = run(deployed.known(), weights="b" * 64)
    (only,) = told.verdicts
    assert only.state == "amber"
    assert "is of other weights (aaaaaaaaaaaa) than those that are judged here (bbbbbbbbbbbb)" in (
        only.says
    )
    (numbers,) = (one for one in told.panels if one.title == "Precision and recall")
    assert isinstance(numbers, Table)
    assert numbers.rows[0][1].soft == "other weights"
    both = deployed.known(deployed.deployment(weights_sha256="c" * 64), deployed.deployment())
    (numbers,) = (one for one in run(both).panels if one.title == "Precision and recall")
    assert isinstance(numbers, Table)
    assert [row[1].soft for row in numbers.rows] == ["judged here", "other weights"]


def test_alerts_of_streams_have_a_load_a_day_and_no_recall() -> None:
    alerts = deployed.deployment(kind="alert", hours=None, days=5, recall=None, shootings=None)
    assert states(deployed.known(alerts)).keys() >= {"decided_alert", "found_alert"}
    assert "false_alerts_alert" not in states(deployed.known(alerts))
    (load,) = (
        one for one in run(deployed.known(alerts)).panels if one.title == "The load of alerts"
    )
    assert isinstance(load, Table)
    shown = dict(zip(load.columns, (cell.text for cell in load.rows[0]), strict=True))
    # 50 alerts on five days, at two minutes each.
    assert (shown["A day"], shown["Minutes a day"], shown["In 1,000 hours"]) == ("10", "20", "–")


def test_every_number_stands_in_a_table_beside_the_report() -> None:
    rows = run(deployed.known()).rows
    assert rows["deployments.parquet"].to_pylist()[0]["recall_low"] == 0.6
    assert [row["decided"] for row in rows["audit.parquet"].to_pylist()] == [40, 40]
    assert rows["reviewers.parquet"]["decisions"].to_pylist() == [120, 40]
    assert rows["agreement.parquet"].to_pylist()[0]["kappa"] == 0.8
    assert rows["drift.parquet"]["index"].to_pylist() == [0.5, 0.1]
    assert rows["sources.parquet"].num_rows == 2
    told = json.loads(json.dumps(run(deployed.known()).metrics, allow_nan=False))
    assert told["deployments"][0]["recall"]["interval"]["high"] == 0.85


def test_a_file_says_what_was_written_and_none_is_nothing(tmp_path: Path) -> None:
    assert reports.read(tmp_path / "deployment") is None
    told = deployed.known(deployed.deployment(days=3, precision=None))
    deployed.write(tmp_path, told)
    assert reports.read(tmp_path) == told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.update(version=2), "version is 2 and not 1"),
        (lambda told: told.pop("agreement"), "the file does not hold version, confidence"),
        (lambda told: told.update(confidence=1.5), "confidence is 1.5, which cannot be"),
        (
            lambda told: told["deployments"][0].update(videos="many"),
            r"deployments\[0\].videos is 'many', which is no whole number",
        ),
        (
            lambda told: told["deployments"][0]["recall"].update(value=2.5),
            r"deployments\[0\].recall.value is 2.5 with an interval from 0.6 to 0.85, which",
        ),
        (
            lambda told: told["deployments"][0]["strata"]["rest"].update(decided=41),
            r"deployments\[0\].strata.rest.size, drawn, decided is \(9950, 40, 41\)",
        ),
        (
            lambda told: told["drift"]["shifts"][0].update(index=True),
            r"drift.shifts\[0\].index is True, which is no number",
        ),
        (lambda told: told.update(drift=[1]), "drift does not hold weights_sha256, against"),
        (lambda told: told.update(deployments=3), "deployments is 3, which is no list of values"),
        (lambda told: told["agreement"].update(error=float("nan")), "NaN is no number"),
        (
            lambda told: told["deployments"][0].update(hours=10**400),
            r"deployments\[0\].hours is a whole number of more than 9007199254740992",
        ),
        (
            lambda told: told["deployments"][0].update(hours=5e-324),
            r"deployments\[0\].hours is 5e-324, which cannot be",
        ),
        (
            lambda told: told["drift"].update(against="\ud800"),
            r"drift.against is '\\ud800', which is no text",
        ),
    ],
)
def test_a_bad_file_is_named_with_its_value_and_the_remedy(
    tmp_path: Path, change: Any, said: str
) -> None:
    path = deployed.write(tmp_path, deployed.known())
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(UserError, match=f"report.json: {said}.*; write it again: discern review"):
        reports.read(tmp_path)


def of(place: str, **values: object) -> Callable[[dict[str, Any]], None]:
    """Have other values where a place of the file is."""

    def change(told: Any) -> None:
        for name in place.split("."):
            told = told[int(name) if name.isdigit() else name]
        told |= values

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            of("deployments.0.precision", value=0.95),
            r"deployments\[0\].precision.value is 0.95 with an interval from 0.7 to 0.9",
        ),
        (
            of("deployments.0.shootings", value=10.0),
            r"deployments\[0\].shootings.value is 10.0 with an interval from 45.0 to 70.0",
        ),
        (of("deployments.0.recall.interval", low=0.99), "interval is from 0.99 to 0.85"),
        (of("deployments.0.recall.interval", num_skipped=-1), "num_skipped is -1"),
        (of("deployments.0.recall.interval", high=1.5), r"recall is \(0.6, 1.5, 0.75\)"),
        (of("deployments.0.precision.interval", low=-0.5), r"precision is \(-0.5, 0.9, 0.8\)"),
        (of("deployments.0.shootings.interval", low=-3.0), "shootings is from -3.0 to 70.0 of"),
        (of("deployments.0.shootings.interval", high=1e5), "to 100000.0 of 10000 videos"),
        (of("deployments.0", alerts=20_000), "alerts is 20000 of 10000 videos"),
        (of("deployments.0", alerts=-1), r"deployments\[0\].alerts is -1"),
        (of("deployments.0", alerts=49), "strata is of 50 videos with an alert where alerts is 49"),
        (of("deployments.0", alerts_with_copies=49), "alerts_with_copies is 49 where"),
        (of("deployments.0", videos=9_999), "strata is of 10000 videos where videos is 9999"),
        (of("deployments.0.strata.rest", size=40), "strata is of 90 videos where videos is 10000"),
        (of("deployments.0.strata.rest", decided=-1), r"rest.size, drawn, decided is .*-1"),
        (of("deployments.0", queues=[1, 1]), r"queues is \[1, 1\]"),
        (of("deployments.0", queues=[0]), r"queues is \[0\]"),
        (of("deployments.0", hours=-1.0), r"deployments\[0\].hours is -1.0"),
        (of("deployments.0", kind="alert"), "recall is told of alerts of streams"),
        (of("agreement", decisions=[-4, 9]), r"agreement.decisions is \[-4, 9\]"),
        (of("agreement", num_pairs=-1, num_different=-1), "num_different is -1 of -1"),
        (of("agreement", num_disputed=81), "num_disputed is 81 of 160 decisions"),
        (of("agreement", num_disputed=-1), "num_disputed is -1 of"),
        (of("agreement", error=1.5), "agreement.error is 1.5"),
        (of("drift.shifts.0", index=-0.1), r"drift.shifts\[0\].index is -0.1"),
        (of("drift.shifts.0", distance=1.1), r"drift.shifts\[0\].distance is 1.1"),
        (of("drift.sources.0", before=-0.5), r"drift.sources\[0\].before is -0.5"),
        (of("drift.sources.0", after=0.5), "drift.sources is 1.25 after in all"),
        (of("drift", sources_index=-1.0), "drift.sources_index is -1.0"),
        (lambda told: told["deployments"].append(told["deployments"][0]), "deployments is twice"),
    ],
)
def test_a_file_that_cannot_be_true_is_named_with_its_value_and_the_remedy(
    tmp_path: Path, change: Any, said: str
) -> None:
    path = deployed.write(tmp_path, deployed.known())
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(UserError, match=f"report.json: .*{said}.*which cannot be.*; write it agai"):
        reports.read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]"])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / reports.REPORT).write_bytes(data)
    with pytest.raises(UserError, match=r"report\.json: .*; write it again: discern review report"):
        reports.read(tmp_path)
