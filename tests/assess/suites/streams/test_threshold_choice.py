from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.settings import JudgingSettings
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites.streams import threshold_choice
from pipeline.assess.suites.streams.outcome import Rate
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.config import OperatingConfig
from pipeline.detect import operating_point
from pipeline.detect.alarm import Choice
from pipeline.detect.files import first_alerts
from pipeline.detect.operating_point import OperatingPoint
from pipeline.errors import UserError
from tests.assess.files import CLIP_S, File, scored, table

BOOTSTRAP = Bootstrap(200, 0.95, 0)


def config(**changes: Any) -> OperatingConfig:
    values: dict[str, Any] = {
        "false_alerts_per_1000_h": 10.0,
        "reviewer_minutes_per_day": None,
        "streams": 100,
        "minutes_per_alert": 3.0,
        "refractory_s": 60.0,
    }
    return OperatingConfig(**values | changes)


def validation(hours: int = 20, skill: float = 4.0, seed: int = 0) -> JudgedSet:
    """Hours of play in files of 5 minutes, and 30 shootings of 10 s; scores overlap."""
    rng = np.random.default_rng(seed)

    def squashed(logit: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-logit))

    files = [
        File(f"game/{i}", "game", squashed(rng.normal(-skill, 1.3, 300))) for i in range(hours * 12)
    ]
    files += [
        File(f"real/{i}", "real", squashed(rng.normal(1, 1, 10)), [1] * 10) for i in range(30)
    ]
    return scored(*files, name="val")


VALIDATION = validation()


def test_exactly_one_cost_is_stated() -> None:
    for both in ((None, None), (1.0, 2.0)):
        wrong = config(false_alerts_per_1000_h=both[0], reviewer_minutes_per_day=both[1])
        with pytest.raises(UserError, match=r"conf/evaluate.yaml: operating.*give one of them"):
            operating_point.cost_of(wrong)
        with pytest.raises(UserError, match="give one of them"):
            JudgingSettings(BOOTSTRAP, 10, 8, "protected", wrong)


def test_minutes_of_reviewers_are_a_rate() -> None:
    stated = config(false_alerts_per_1000_h=None, reviewer_minutes_per_day=36.0)
    # 12 alerts a day over 100 streams of 24 hours.
    assert operating_point.cost_of(stated).false_alerts_per_1000_h == pytest.approx(
        12 / 2400 * 1000
    )
    assert "36 minutes a day" in operating_point.cost_of(stated).stated


def test_a_rate_has_the_bounds_of_its_exposure() -> None:
    found = Rate.of(0, 0.5, 0.95).measured
    assert found.value == 0.0
    assert found.high == pytest.approx(-np.log(0.025) * 2000, abs=1e-5)
    assert Rate.of(0, 0.0, 0.95).measured.value is None


def test_a_rate_is_written_with_the_counts_behind_it() -> None:
    found = Rate.of(2, 1000.0, 0.95, num_recordings=1).to_json()
    assert list(found) == ["value", "low", "high", "num_events", "hours", "num_recordings"]
    assert (found["value"], found["hours"], found["num_recordings"]) == (2.0, 1000.0, 1)
    assert Rate.of(0, 0.0, 0.95).to_json() == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no footage without real gunfire",
        "num_events": 0,
        "hours": 0.0,
    }


@pytest.mark.parametrize("cost", [400.0, 1_000.0, 5_000.0])
def test_the_threshold_keeps_within_the_cost_and_is_the_lowest_that_does(cost: float) -> None:
    point = threshold_choice.choose(
        VALIDATION, None, CLIP_S, config(false_alerts_per_1000_h=cost), BOOTSTRAP
    )
    assert isinstance(point, OperatingPoint)
    assert point.supported
    assert point.record["bounds"]["false_alerts_per_1000_h"][1] <= cost
    reel = PlayedClips.of(VALIDATION.clips, CLIP_S, 0).reel
    levels = reel.levels(point.choice.smoothing)
    lower = levels[levels < point.choice.threshold].max()
    more = reel.alerts(dataclasses.replace(point.choice, threshold=float(lower))).size
    high = Rate.of(more, reel.hours, 0.95).measured.high
    assert high is not None
    assert high > cost


def test_a_cost_that_validation_cannot_show_takes_the_lowest_threshold_without_a_false_alert() -> (
    None
):
    point = threshold_choice.choose(VALIDATION, None, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    assert not point.supported
    reel = PlayedClips.of(VALIDATION.clips, CLIP_S, 0).reel
    levels = reel.levels(point.choice.smoothing)
    assert point.choice.threshold == np.nextafter(levels.max(), 2.0)
    assert point.record["expected"]["false_alerts_per_1000_h"] == 0
    assert "validation holds 20 hours" in point.says
    assert "could be as high as 184 per 1,000" in point.says
    assert "369 hours" in point.says


def test_short_validation_is_said_in_minutes() -> None:
    val = scored(File("game/a", "game", [0.1] * 126), File("real/s", "real", [0.9], [1]))
    point = threshold_choice.choose(val, None, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    assert "2.1 minutes" in point.says


def test_a_generous_cost_lets_everything_alert() -> None:
    generous = config(false_alerts_per_1000_h=1e9)
    point = threshold_choice.choose(VALIDATION, None, CLIP_S, generous, BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    assert point.choice.threshold == 0.0
    assert point.record["expected"]["missed"] == 0.0


def test_a_false_alert_at_full_score_is_only_avoided_by_never_alerting() -> None:
    val = scored(File("game/a", "game", [1.0] * 5), File("real/s", "real", [1.0] * 5, [1] * 5))
    point = threshold_choice.choose(val, None, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    assert point.choice.threshold > 1
    assert point.record["expected"]["missed"] == 1.0


def test_the_smoothing_is_the_one_that_finds_most_at_the_cost() -> None:
    # Single false clips as high as shootings, which two of three clips tell apart.
    quiet = [0.1, 0.1, 0.95, 0.1, 0.1, 0.1] * 100
    lasting = [File(f"real/{i}", "real", [0.9] * 5, [1] * 5) for i in range(4)]
    val = scored(File("game/a", "game", quiet), *lasting)
    point = threshold_choice.choose(val, None, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    assert point.choice.smoothing != "none"
    assert point.record["expected"]["missed"] == 0.0
    # Shootings of a single clip are lost to smoothing, where nothing else is as high.
    brief = [File(f"real/{i}", "real", [0.9], [1]) for i in range(4)]
    calm = File("game/a", "game", [0.1, 0.5, 0.5] * 100)
    point = threshold_choice.choose(scored(calm, *brief), None, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    assert point.choice.smoothing == "none"


def test_without_other_footage_nothing_is_chosen() -> None:
    only = scored(File("real/s", "real", [0.9], [1]))
    found = threshold_choice.choose(only, None, CLIP_S, config(), BOOTSTRAP)
    assert found == "validation holds no clips without real gunfire"


@pytest.mark.parametrize(("minutes", "is_long"), [(9, False), (11, True)])
def test_false_alerts_are_counted_on_long_recordings_where_they_hold_minutes(
    minutes: int, is_long: bool
) -> None:
    short = [File(f"film/{n}", "film", [0.9, 0.9], [1, 1]) for n in range(5)]
    val = scored(*short, File("real/short", "real", [0.6, 0.7], [1, 1]), name="val")
    quiet = [File(f"game/{n}", "game", [0.1] * 60) for n in range(minutes)]
    long = scored(*quiet, File("real/long", "real", [0.1, 0.5, 0.5], [0, 1, 1]), name="val_long")
    point = threshold_choice.choose(val, long, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    chosen_on = point.record["chosen_on"]
    assert chosen_on["recordings"] == ("long" if is_long else "all")
    assert chosen_on["num_shootings"] == 2
    expected = minutes + 1 / 60 if is_long else minutes + (2 * 5 + 1) / 60
    assert chosen_on["minutes_without_real_gunfire"] == pytest.approx(expected, abs=1e-4)
    assert (point.choice.threshold < 0.2) == is_long
    assert (point.record["expected"]["missed"] == 0.0) == is_long
    assert ("the long recordings of validation hold" in point.says) == is_long


def test_a_perfect_detector_alarms_with_the_first_clip_and_a_dumb_one_never() -> None:
    shootings = [File(f"real/{i}", "real", [0.9, 0.9], [1, 1]) for i in range(5)]
    played = PlayedClips.of(table(File("game/a", "game", [0.1] * 50), *shootings), CLIP_S, 0)
    perfect = threshold_choice.apply(Choice(0.5, "none", 60.0), played, BOOTSTRAP).outcome
    assert perfect.missed.value == 0.0
    assert perfect.median_s.value == perfect.p90_s.value == CLIP_S
    assert perfect.false_alerts.num_events == 0
    dumb = threshold_choice.apply(Choice(0.95, "none", 60.0), played, BOOTSTRAP).outcome
    assert dumb.missed.value == 1.0
    assert dumb.missed.low == pytest.approx(0.025 ** (1 / 5), abs=1e-6)
    assert dumb.median_s.to_json() == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "fewer than 50 % alert",
    }


def test_footage_that_streams_repeat_is_exposure_once() -> None:
    shootings = [File(f"real/{i}", "real", [0.9], [1]) for i in range(3)]
    played = PlayedClips.of(table(File("game/a", "game", [0.9] * 60), *shootings), CLIP_S, 0)
    applied = threshold_choice.apply(Choice(0.5, "none", 10.0), played, BOOTSTRAP)
    assert applied.streams.background_s.sum() > 3600
    assert applied.outcome.false_alerts.hours == pytest.approx(1 / 60, abs=1e-6)
    assert applied.outcome.false_alerts.num_events == 6


def test_a_share_is_over_recordings_however_many_streams_they_end() -> None:
    found = [File(f"real/a{i}", "real", [0.9], [1], recording="a") for i in range(8)]
    lost = [File("real/b", "real", [0.2], [1]), File("real/c", "real", [0.2], [1])]
    played = PlayedClips.of(table(File("game/a", "game", [0.1] * 9), *found, *lost), CLIP_S, 0)
    outcome = threshold_choice.apply(Choice(0.5, "none", 60.0), played, BOOTSTRAP).outcome
    assert outcome.missed.value == pytest.approx(0.2)
    assert outcome.missed.high == 1.0
    assert (outcome.num_shootings, outcome.num_recordings) == (10, 3)


def test_the_interval_of_a_delay_may_reach_to_never() -> None:
    shootings = [File(f"real/{i}", "real", [0.9 if i < 6 else 0.1], [1]) for i in range(10)]
    played = PlayedClips.of(table(File("game/a", "game", [0.1] * 9), *shootings), CLIP_S, 0)
    median = threshold_choice.apply(Choice(0.5, "none", 60.0), played, BOOTSTRAP).outcome.median_s
    assert median.row == (CLIP_S, CLIP_S, None)


def test_the_point_survives_json_to_the_last_digit() -> None:
    point = threshold_choice.choose(VALIDATION, None, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    read = json.loads(json.dumps(point.record, allow_nan=False))
    assert read["threshold"] == point.choice.threshold
    assert read["supported"] is False
    assert read["bounds"]["false_alerts_per_1000_h"][0] == 0.0
    assert read["chosen_on"]["split"] == "val"
    assert read["cost"]["false_alerts_per_1000_h"] == 10.0


def test_the_order_of_rows_does_not_matter() -> None:
    order = np.random.default_rng(2).permutation(VALIDATION.clips.num_rows)
    shuffled = dataclasses.replace(VALIDATION, clips=VALIDATION.clips.take(order))
    cost = config(false_alerts_per_1000_h=1_000.0)
    one, other = (
        threshold_choice.choose(v, None, CLIP_S, cost, BOOTSTRAP) for v in (VALIDATION, shuffled)
    )
    assert isinstance(one, OperatingPoint)
    assert isinstance(other, OperatingPoint)
    assert one.record == other.record


@pytest.mark.parametrize("damaged", ["{", "[]", '{"weights_sha256": "a"}'])
def test_a_damaged_point_is_named_with_a_remedy(damaged: str, tmp_path: Path) -> None:
    (tmp_path / operating_point.FILE).write_text(damaged)
    with pytest.raises(UserError, match=r"operating_point\.json: no operating point .*; run dvc"):
        operating_point.read(tmp_path, "a")


def test_a_point_is_read_for_its_own_weights_and_cost_alone(tmp_path: Path) -> None:
    made_by = (
        "python evaluate.py, without a collection and with these weights, chooses one; with "
        "paths.reports=FOLDER, there and here, that of other weights stays"
    )
    absent = str(operating_point.read(tmp_path, "a"))
    assert "has left" in absent
    assert absent.endswith(made_by)
    point = threshold_choice.choose(VALIDATION, None, CLIP_S, config(), BOOTSTRAP)
    assert isinstance(point, OperatingPoint)
    text = json.dumps({**point.record, "weights_sha256": "a"})
    (tmp_path / operating_point.FILE).write_text(text)
    read = operating_point.read_for(tmp_path, "a", config())
    assert isinstance(read, OperatingPoint)
    assert read.choice == point.choice
    assert f"other weights; {made_by}" in str(operating_point.read(tmp_path, "b"))
    dearer = operating_point.read_for(tmp_path, "a", config(false_alerts_per_1000_h=20.0))
    assert "chosen for 10 false alerts" in str(dearer)
    longer = operating_point.read_for(tmp_path, "a", config(refractory_s=90.0))
    assert f"another refractory time; {made_by}" in str(longer)


@pytest.mark.parametrize(
    ("smoothing", "expected"),
    [
        ("none", {"home/a": 1.0, "home/b": 3.0}),
        ("mean_3", {"home/b": 4.0}),
        ("two_of_three", {"home/b": 4.0}),
    ],
)
def test_each_file_is_a_stream_of_its_own(smoothing: str, expected: dict[str, float]) -> None:
    clips = table(
        File("home/a", "game", [0.9, 0.1, 0.1]),
        File("home/b", "real", [0.1, 0.1, 0.8, 0.9]),
        File("home/c", "real", [0.5]),
    )
    order = np.random.default_rng(0).permutation(clips.num_rows)
    found = first_alerts(Choice(0.6, smoothing, 60.0), clips.take(order), CLIP_S)
    assert found == expected
