import numpy as np
import pytest

from pipeline.engines.render.appearance.effects import CameraPose
from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.appearance.lights import Light, Pulse, Sparks, draw_sparks
from pipeline.engines.render.motion import CAMERA_IN_BODY

WIDTH, HEIGHT = 64, 36
VIEW = CameraPose(CAMERA_IN_BODY, np.zeros(3), PinholeLens(WIDTH, HEIGHT, 60))
AHEAD = np.array((0.0, 4.0, 0.0))
FAR = np.full((HEIGHT, WIDTH), 50.0, np.float32)


def light(*pulses: Pulse, aim=(0.0, -1.0, 0.0), cosines=(0.9, 0.6)) -> Light:
    return Light(AHEAD, pulses, 0.05, np.array([aim]), cosines=cosines)


def test_a_pulse_shines_only_in_the_exposure_that_holds_it():
    lamp = light(Pulse(1.0, 0.002, np.ones(3)))
    assert lamp.shining(0.9, 0.0, 0.05, 4) == []
    (one,) = lamp.shining(0.99, 0.0, 0.02, 4)
    assert one.light.row_weight == pytest.approx(0.1)


def test_a_rolling_shutter_sees_a_short_pulse_in_some_rows():
    (one,) = light(Pulse(1.010, 0.001, np.ones(3))).shining(1.0, 0.02, 0.002, 100)
    lit = np.flatnonzero(one.light.row_weight)
    assert 35 < lit.min() < lit.max() < 60


def test_a_lamp_shows_at_its_place_brighter_head_on_and_hidden_by_what_is_nearer():
    pulse = Pulse(0.0, 1.0, np.array((1.0, 0.5, 0.5)))
    peaks = []
    for lamp, depth in (
        (light(pulse), FAR),
        (light(pulse, aim=(1.0, 0.0, 0.0)), FAR),
        (light(pulse), np.full_like(FAR, 2.0)),
    ):
        image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        (one,) = lamp.shining(0.0, 0.0, 0.02, HEIGHT)
        one.draw(image, depth, VIEW)
        peaks.append(image.max())
        assert image[:, :20].max() == 0
    assert peaks[0] > 10 * peaks[1] > 0
    assert peaks[2] == 0


def test_a_game_sees_a_short_pulse_for_the_whole_frame_but_is_not_blinded():
    (one,) = light(Pulse(0.01, 0.001, np.full(3, 500.0))).shining(0.0, 0.0, 0.05, HEIGHT)
    assert one.full().light.row_weight == pytest.approx(1)
    assert one.full().light.intensity.max() < 10


def test_an_aim_passes_through_its_directions():
    aims = np.array([(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)])
    sweep = Light(AHEAD, (), 0.02, aims, (0.0, 2.0))
    assert sweep.aim(1.0) == pytest.approx((0, 1, 0))
    assert sweep.aim(0.5) == pytest.approx((0.7071, 0.7071, 0), abs=1e-3)
    assert sweep.aim(9.0) == pytest.approx((0, 0, 1))


def test_sparks_fall_fade_and_die():
    still = np.zeros((3, 3))
    sparks = Sparks(0.0, AHEAD, still, np.full(3, 0.8), np.full(3, 50.0), 1.0, 0.02)
    assert sparks.at(0.5)[0, 2] == pytest.approx(-0.5 * 9.8 * 0.25, rel=0.2)
    light_of = []
    for time_s in (0.05, 0.2, 0.9):
        image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        draw_sparks(image, FAR, VIEW, [sparks], time_s, 0.01)
        light_of.append(float(image.sum()))
    assert light_of[0] > light_of[1] > 0
    assert light_of[2] == 0
