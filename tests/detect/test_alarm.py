from __future__ import annotations

import numpy as np
import pytest

from pipeline.detect.alarm import SMOOTHINGS, Alarm, Alert, Choice, Recordings, replay, smooth


def recordings(seed: int, num: int = 40, most: int = 30) -> Recordings:
    """Some of them one score long, in steps of a third of a second, with gaps."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, most, num)
    first = np.cumsum(lengths) - lengths
    at_s = np.concatenate([np.cumsum(rng.integers(0, 5, size)) / 3 for size in lengths])
    return Recordings(rng.random(at_s.size), at_s, first, rng.random((num, 2)))


def array_levels(played: Recordings, smoothing: str) -> np.ndarray:
    """Levels of all scores at once."""
    found = np.zeros(played.scores.size)
    for own, before in zip(
        np.split(np.arange(found.size), played.first[1:]), played.before, strict=True
    ):
        padded = np.concatenate([before[::-1], played.scores[own]])
        found[own] = smooth(smoothing, padded[2:], padded[1:-1], padded[:-2])
    return found


def array_alerts(played: Recordings, levels: np.ndarray, choice: Choice) -> np.ndarray:
    """Where alerts open, found by a search in the times of all levels above the threshold."""
    above = np.flatnonzero(levels >= choice.threshold)
    if not above.size:
        return above
    file = np.repeat(
        np.arange(played.first.size), np.diff(np.append(played.first, played.scores.size))
    )
    apart_s = float(played.at_s.max()) + 2 * choice.refractory_s + 1
    times = played.at_s[above] + file[above] * apart_s
    following = np.searchsorted(times, times + choice.refractory_s - 1e-6)
    following = np.maximum(following, np.arange(above.size) + 1)
    files = np.append(file[above], -1)
    rising = np.zeros(above.size, np.bool_)
    active = np.unique(file[above], return_index=True)[1]
    while active.size:
        rising[active] = True
        then = following[active]
        active = then[files[then] == files[active]]
    return above[rising]


@pytest.mark.parametrize("smoothing", list(SMOOTHINGS))
@pytest.mark.parametrize("refractory_s", [0.0, 1.0, 3.5, 60.0])
def test_a_replay_is_what_array_code_finds_over_all_scores(
    smoothing: str, refractory_s: float
) -> None:
    for seed in range(5):
        played = recordings(seed)
        levels = array_levels(played, smoothing)
        for threshold in (0.0, 0.3, 0.6, 0.9, 1.1):
            choice = Choice(threshold, smoothing, refractory_s)
            found = replay(played, choice)
            assert (found.levels == levels).all()
            assert list(np.flatnonzero(found.opened)) == list(array_alerts(played, levels, choice))


def test_streams_side_by_side_do_not_touch_each_other() -> None:
    scores, at_s = np.random.default_rng(0).random((20, 3)), np.arange(20.0)
    choice = Choice(0.6, "mean_3", 4.0)
    together, alone = Alarm(choice, 3), [Alarm(choice, 1) for _ in range(3)]
    for now, second in zip(scores, at_s, strict=True):
        step = together.push(now, np.full(3, second))
        for stream, one in enumerate(alone):
            own = one.push(now[[stream]], np.array([second]))
            assert own.levels[0] == step.levels[stream]
            assert own.opened[0] == step.opened[stream]


def told(scores: list[float], choice: Choice) -> list[tuple[str, float, float]]:
    alarm = Alarm(choice, 1)
    return [
        (one.state, one.opened_s, one.at_s)
        for second, score in enumerate(scores)
        for one in alarm.push(np.array([score]), np.array([float(second)])).alerts()
    ]


def test_an_alert_opens_goes_on_and_closes_after_the_refractory_time() -> None:
    scores = [0.1, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1]
    assert told(scores, Choice(0.5, "none", 4.0)) == [
        ("opened", 1.0, 1.0),
        ("continued", 1.0, 3.0),
        ("closed", 1.0, 5.0),
    ]


def test_one_that_closes_makes_room_for_the_next_at_once() -> None:
    assert told([0.9, 0.9, 0.9], Choice(0.5, "none", 2.0)) == [
        ("opened", 0.0, 0.0),
        ("continued", 0.0, 1.0),
        ("closed", 0.0, 2.0),
        ("opened", 2.0, 2.0),
    ]


def test_alerts_name_their_stream() -> None:
    step = Alarm(Choice(0.5, "none", 2.0), 3).push(np.array([0.1, 0.9, 0.1]), np.full(3, 7.0))
    assert step.alerts() == [Alert(1, "opened", 7.0, 7.0)]


def test_streams_that_end_leave_the_others_as_they_were() -> None:
    choice = Choice(0.5, "two_of_three", 60.0)
    alarm = Alarm(choice, 3)
    alarm.push(np.array([0.9, 0.1, 0.9]), np.zeros(3))
    alarm.keep(np.array([2, 1]))
    step = alarm.push(np.array([0.9, 0.9]), np.ones(2))
    assert list(step.opened) == [True, False]


def test_levels_of_a_threshold_are_those_of_their_definition() -> None:
    scores = np.random.default_rng(0).random((3, 200))
    mean, two = (smooth(kind, *scores) for kind in ("mean_3", "two_of_three"))
    assert mean == pytest.approx(scores.mean(axis=0))
    for threshold in (0.2, 0.5, 0.8):
        assert ((two >= threshold) == ((scores >= threshold).sum(axis=0) >= 2)).all()
    assert (smooth("none", *scores) == scores[0]).all()
