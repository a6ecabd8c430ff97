"""Where somebody looks over minutes, and how the heading follows."""

import numpy as np
import pytest

from pipeline.engines.render.gaze import LONGEST_TURN_S, Gaze, shorter
from pipeline.engines.render.motion import BodyMotion, Movement, Turn, draw_mount, turned


def test_turns_follow_each_other_with_rest_between_and_end_in_time() -> None:
    gaze = Gaze(np.random.default_rng(1), 0.0, 0.9)
    gaze.around(120.0)
    starts = np.array([turn.start_s for turn in gaze.turns])
    ends = np.array([turn.end_s for turn in gaze.turns])
    assert len(gaze.turns) > 8
    assert (starts[1:] - ends[:-1] >= 3).all()
    assert (ends - starts >= 0.7 - 1e-9).all()
    assert (ends - starts <= LONGEST_TURN_S + 1e-9).all()
    assert ends[-1] <= 120


def test_looks_with_a_home_stay_near_it() -> None:
    gaze = Gaze(np.random.default_rng(2), 0.0, 0.1)
    gaze.around(1000.0, home=0.0)
    headings = np.cumsum([turn.angle for turn in gaze.turns])
    assert np.abs(headings).max() < 0.5


def test_the_shorter_way_is_at_most_half_a_turn() -> None:
    assert shorter(1.5 * np.pi) == pytest.approx(-0.5 * np.pi)
    assert shorter(-1.5 * np.pi) == pytest.approx(0.5 * np.pi)


def test_a_heading_changes_in_turns_alone() -> None:
    time = np.arange(0, 10, 0.001)
    angles = turned(time, [Turn(1.0, 2.0, 1.5), Turn(4.0, 6.0, -0.5)])
    assert angles[time < 1].max() == 0
    assert angles[(time > 2) & (time < 4)] == pytest.approx(1.5)
    assert angles[time > 6] == pytest.approx(1.0)
    assert np.abs(np.diff(angles)).max() < 0.003


def test_a_camera_that_pivots_stays_where_it_is_and_turns() -> None:
    rng = np.random.default_rng(3)
    movement = Movement((1.0, 2.0), 0.3, turns=(Turn(2.0, 3.0, 1.2),), pivots=True)
    motion = BodyMotion(rng, movement, draw_mount(rng, "chest"), 8.0)
    axes, places = motion.camera(np.linspace(0, 8, 50))
    assert np.ptp(places, axis=0) == pytest.approx(np.zeros(3))
    before, after = -axes[5, :, 2], -axes[-1, :, 2]
    assert np.arccos(before @ after) == pytest.approx(1.2, abs=0.4)


def test_steps_are_heard_in_walks_alone() -> None:
    rng = np.random.default_rng(4)
    movement = Movement((0.0, 0.0), 0.0, speed=1.3, walks_s=((5.0, 12.0), (20.0, 26.0)))
    motion = BodyMotion(rng, movement, draw_mount(rng, "head"), 30.0)
    steps = np.array(motion.steps_s())
    assert 15 < len(steps) < 35
    assert (((steps > 5) & (steps < 12)) | ((steps > 20) & (steps < 26))).all()
