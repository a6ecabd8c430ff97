import numpy as np
import pytest

from pipeline.engines.render.people import gait
from pipeline.engines.render.people.gait import Habit
from pipeline.engines.render.people.humanoid import Build, body
from pipeline.engines.render.people.skeleton import JOINT, pose

PHASES = np.linspace(0, 2 * np.pi, 16, endpoint=False)


def lowest(turns, rise: float) -> float:
    vertices, _ = pose(turns, (0, 0, rise)).skin(body(Build()))
    return float(vertices[:, 2].min())


def test_a_walk_keeps_a_foot_on_the_ground():
    heights = [lowest(*gait.striding(gait.WALK, phase, Habit())) for phase in PHASES]
    assert np.abs(heights).max() < 0.07


def test_a_run_leaves_the_ground_and_comes_back():
    heights = [lowest(*gait.striding(gait.RUN, phase, Habit())) for phase in PHASES]
    assert max(heights) > 0.03
    assert min(heights) < 0.05


def test_the_knee_bends_while_its_leg_swings_forward():
    phases = np.linspace(0, 2 * np.pi, 100)
    hip, knee, _ = np.array([gait.WALK.leg(phase) for phase in phases]).T
    forward = np.gradient(hip) > 0.01
    assert knee[forward].mean() > 2 * knee[~forward].mean()


def test_left_and_right_take_turns_unless_habit_says_otherwise():
    turns, _ = gait.striding(gait.WALK, 1.0, Habit())
    later, _ = gait.striding(gait.WALK, 1.0 + np.pi, Habit())
    uneven, _ = gait.striding(gait.WALK, 1.0 + np.pi, Habit(leg=0.4, arm=0.3))
    assert later["hipL"] == pytest.approx(turns["hipR"])
    assert np.abs(uneven["hipL"] - turns["hipR"]).max() > 0.01


def test_crouching_lowers_the_head_and_leaves_the_feet():
    turns = gait.standing(0.0)
    rise = gait.crouching(turns, 1.0)
    posture = pose(turns, (0, 0, rise))
    assert posture.positions[JOINT["head"]][2] < 1.1
    assert lowest(turns, rise) == pytest.approx(0, abs=0.06)
