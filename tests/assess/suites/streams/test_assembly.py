from __future__ import annotations

import numpy as np
import pytest

from pipeline.assess.suites.streams import assembly
from pipeline.assess.suites.streams.assembly import assemble, delay_quantiles
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.detect.alarm import SMOOTHINGS, Choice, replay, smooth
from tests.assess.files import CLIP_S, File, table

QUIET = File("game/a", "game", [0.1, 0.2, 0.3])
SHOOTING = File("real/s", "real", [0.4, 0.5, 0.9, 0.6], [0, 0, 1, 0])


def play(*files: File, seed: int = 0) -> PlayedClips:
    return PlayedClips.of(table(*files), CLIP_S, seed)


def test_time_to_alert_is_that_of_the_clock_over_gaps() -> None:
    shooting = File("real/s", "real", [0.1, 0.9], [1, 1], start_s=[5.0, 11.0])
    streams = assemble(play(QUIET, shooting), 0)
    assert set(streams.delays(Choice(0.5, "none", 60.0))) == {7.0}


def test_streams_play_background_for_so_long_and_then_a_shooting() -> None:
    rng = np.random.default_rng(5)
    files = [File(f"game/{i}", "game", rng.random(7)) for i in range(20)]
    streams = assemble(play(*files, SHOOTING), 0)
    assert streams.shooting.size == assembly.MIN_STREAMS
    low, high = assembly.BACKGROUND_S
    assert (streams.background_s >= low).all()
    assert (streams.background_s < high + 7).all()
    assert streams.onset_s == pytest.approx(streams.background_s + 2.0)
    reel = streams.played.reel
    seconds = np.add.reduceat(reel.covered_s, reel.first)
    for first, after, played in zip(
        streams.first_file[:20], streams.after_file[:20], streams.background_s[:20], strict=True
    ):
        assert played == pytest.approx(seconds[np.arange(first, after) % seconds.size].sum())


def test_alerts_before_a_shooting_are_counted_over_every_lap() -> None:
    files = [File(f"game/{i}", "game", [0.9 if i % 3 == 0 else 0.1]) for i in range(10)]
    streams = assemble(play(*files, SHOOTING), 0)
    reel = streams.played.reel
    rising = reel.alerts(Choice(0.5, "none", 60.0))
    counted = streams.alerts_before(rising)
    for i in range(30):
        files_played = np.arange(streams.first_file[i], streams.after_file[i]) % reel.first.size
        assert counted[i] == np.isin(files_played, reel.file[rising]).sum()


@pytest.mark.parametrize("smoothing", list(SMOOTHINGS))
def test_smoothing_runs_from_the_background_into_the_shooting(smoothing: str) -> None:
    rng = np.random.default_rng(6)
    files = [File(f"game/{i}", "game", rng.random(2)) for i in range(9)]
    shootings = [
        File(f"real/{i}", "real", rng.random(i + 1), [0] * min(i, 2) + [1] * (i + 1 - min(i, 2)))
        for i in range(5)
    ]
    streams = assemble(play(*files, *shootings), 0)
    reel, own = streams.played.reel, streams.played.shootings
    shown = replay(streams.recordings, Choice(0.5, smoothing, 60.0)).levels
    levels = np.split(shown, streams.first[1:])
    for i in range(50):
        k = streams.shooting[i]
        after = np.append(reel.first, reel.rows.size)[
            (streams.after_file[i] - 1) % reel.first.size + 1
        ]
        before = reel.scores[(after - np.array([2, 1])) % reel.rows.size]
        lead = own.lead[k][::-1][~np.isnan(own.lead[k][::-1])]
        shown = own.scores[own.first[k] : own.first[k] + own.lengths[k]]
        played = np.concatenate([before, lead, shown])
        expected = smooth(smoothing, played[2:], played[1:-1], played[:-2])[lead.size :]
        assert levels[i] == pytest.approx(expected)


def test_a_part_without_background_or_without_shootings_has_streams_that_say_nothing() -> None:
    only_shooting = assemble(play(File("real/s", "real", [0.9], [1])), 0)
    assert set(only_shooting.background_s) == {0.0}
    assert set(only_shooting.delays(Choice(0.5, "none", 60.0))) == {1.0}
    assert (only_shooting.alerts_before(np.zeros(0, np.int64)) == 0).all()
    only_quiet = assemble(play(QUIET), 0)
    assert only_quiet.delays(Choice(0.5, "mean_3", 60.0)).size == 0


def test_a_quantile_of_delays_is_never_between_two_and_may_be_never() -> None:
    delays = np.array([3.0, 1.0, np.inf, 2.0])
    ones = np.ones((1, 4))
    assert delay_quantiles(delays, ones, 0.5)[0] == 2.0
    assert delay_quantiles(delays, ones, 0.75)[0] == 3.0
    assert delay_quantiles(delays, ones, 0.9)[0] == np.inf
    assert delay_quantiles(delays, np.array([[0.0, 5.0, 1.0, 0.0]]), 0.8)[0] == 1.0
