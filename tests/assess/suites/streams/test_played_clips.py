from __future__ import annotations

import numpy as np
import pytest

from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.detect.alarm import Choice
from tests.assess.files import CLIP_S, File, table

QUIET = File("game/a", "game", [0.1, 0.2, 0.3])
SHOOTING = File("real/s", "real", [0.4, 0.5, 0.9, 0.6], [0, 0, 1, 0])


def play(*files: File, seed: int = 0) -> PlayedClips:
    return PlayedClips.of(table(*files), CLIP_S, seed)


def test_a_shooting_begins_with_its_first_discharge_and_what_precedes_is_background() -> None:
    made = play(QUIET, SHOOTING)
    assert sorted(made.reel.scores) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert made.reel.hours * 3600 == pytest.approx(5.0)
    assert list(made.shootings.scores) == [0.9, 0.6]
    assert list(made.shootings.delays_s) == [1.0, 2.0]
    assert list(made.shootings.lead[0]) == [0.5, 0.4]
    assert list(made.shootings.lead_s) == [2.0]


def test_play_with_discharges_is_no_shooting() -> None:
    made = play(File("game/a", "game", [0.9, 0.8], [1, 1]), File("film/b", "film", [0.7], [1]))
    assert made.shootings.first.size == 0
    assert made.reel.rows.size == 3


def test_real_clips_without_a_label_count_as_nothing() -> None:
    made = play(File("real/a", "real", [0.1, 0.9, 0.2, 0.8], [0, None, None, None]))
    assert made.num_unlabelled == 3
    assert list(made.reel.scores) == [0.1]


def test_after_the_first_discharge_no_label_is_needed() -> None:
    made = play(File("real/a", "real", [0.1, 0.9, 0.2], [None, 1, None]))
    assert made.num_unlabelled == 1
    assert list(made.shootings.scores) == [0.9, 0.2]


def test_rows_may_come_in_any_order_and_lead_back_to_the_table() -> None:
    whole = table(QUIET, SHOOTING, File("film/c", "film", [0.7, 0.8]))
    shuffled = whole.take(np.random.default_rng(1).permutation(whole.num_rows))
    one, other = (PlayedClips.of(rows, CLIP_S, 0) for rows in (whole, shuffled))
    assert (one.reel.scores == other.reel.scores).all()
    assert (shuffled["score"].to_numpy()[other.reel.rows] == other.reel.scores).all()
    assert (shuffled["score"].to_numpy()[other.shootings.rows] == other.shootings.scores).all()


def test_overlaps_and_gaps_count_no_second_twice_and_none_that_was_not_seen() -> None:
    made = play(File("game/a", "game", [0, 0, 0, 0], start_s=[0.0, 0.5, 0.5, 9.0]))
    assert made.reel.hours * 3600 == pytest.approx(0.5 + 0.0 + 1.0 + 1.0)


def test_twins_of_one_recording_are_files_apart() -> None:
    real = File("real/t", "real", [0.9], [1], recording="twin")
    made = play(real, File("game/t", "game", [0.2], [1], recording="twin"))
    assert (made.shootings.first.size, made.reel.first.size) == (1, 1)
    assert np.unique(made.recording).size == 1


def test_a_stream_was_quiet_before_it_began() -> None:
    reel = play(File("game/a", "game", [0.9, 0.9, 0.9])).reel
    assert reel.levels("mean_3") == pytest.approx([0.3, 0.6, 0.9])
    assert reel.levels("two_of_three") == pytest.approx([0.0, 0.9, 0.9])


@pytest.mark.parametrize(("refractory_s", "expected"), [(0, 8), (2, 4), (3, 3), (60, 1)])
def test_an_alert_covers_what_follows(refractory_s: float, expected: int) -> None:
    reel = play(File("game/a", "game", [0.9] * 8)).reel
    assert reel.alerts(Choice(0.5, "none", refractory_s)).size == expected


def test_an_alert_covers_no_other_file() -> None:
    reel = play(*(File(f"game/{i}", "game", [0.9, 0.9]) for i in range(5))).reel
    rising = reel.alerts(Choice(0.5, "none", 60.0))
    assert list(rising) == list(reel.first)


def test_alerts_are_those_of_a_loop_over_clips() -> None:
    rng = np.random.default_rng(3)
    files = [File(f"game/{i}", "game", rng.random(rng.integers(1, 40))) for i in range(30)]
    reel = play(*files).reel
    for threshold in (0.3, 0.7, 0.95, 1.1):
        expected, last = [], (-1, -np.inf)
        for i, (file, end, level) in enumerate(
            zip(reel.file, reel.ends_s, reel.scores, strict=True)
        ):
            if level >= threshold and (file != last[0] or end - last[1] >= 5):
                expected.append(i)
                last = (file, end)
        assert list(reel.alerts(Choice(threshold, "none", 5.0))) == expected


def test_lower_thresholds_never_raise_fewer_alerts() -> None:
    rng = np.random.default_rng(4)
    reel = play(*(File(f"game/{i}", "game", rng.random(50)) for i in range(8))).reel
    levels = reel.levels("mean_3")
    counts = [reel.alerts(Choice(float(x), "mean_3", 7.0)).size for x in np.sort(levels)]
    assert (np.diff(counts) <= 0).all()
    assert counts[0] > counts[-1]
