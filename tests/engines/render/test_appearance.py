from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render.appearance.camera import AutoExposure, SensorCamera
from pipeline.engines.render.appearance.effects import CameraPose, Flash, draw_sun, row_overlap
from pipeline.engines.render.appearance.fleet import FLEETS, draw_camera
from pipeline.engines.render.appearance.hud import SKINS, Hud, HudState
from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.motion import CAMERA_IN_BODY

WIDTH, HEIGHT = 64, 36


def flash(start_s: float, duration_s: float) -> Flash:
    return Flash(start_s, duration_s, np.zeros(3), np.array((0, 1, 0)), 1.0, 1.0, 0)


def profile(rng):
    return draw_camera(rng, FLEETS[0], 20, indoors=True)


def test_a_flash_lights_only_the_rows_that_are_exposed_meanwhile():
    weight = row_overlap(flash(0.110, 0.002), 0.1, 0.020, 0.004, 100)
    lit = np.flatnonzero(weight)
    assert lit.min() == pytest.approx((0.110 - 0.1 - 0.004) / 0.020 * 100, abs=1)
    assert lit.max() == pytest.approx((0.112 - 0.1) / 0.020 * 100, abs=1)
    assert weight.max() == pytest.approx(0.5)


def test_a_short_flash_falls_between_frames():
    assert not row_overlap(flash(0.090, 0.002), 0.1, 0.020, 0.004, 100).any()


def test_exposure_darkens_after_the_scene_brightens_but_not_at_once():
    rng = np.random.default_rng(0)
    dim = np.full((HEIGHT, WIDTH, 3), 0.05, np.float32)
    exposure = AutoExposure(profile(rng), WIDTH, HEIGHT, dim)
    totals = []
    for frame in range(40):
        length, gain = exposure.settings()
        totals.append(length * gain)
        exposure.observe(dim if frame < 5 else dim * 20, 0.05)
    assert totals[6] == pytest.approx(totals[4], rel=1e-6)
    assert totals[-1] < totals[4] / 5


def test_darkness_is_noisier_than_light():
    rng = np.random.default_rng(0)
    camera = SensorCamera(rng, profile(rng), WIDTH, HEIGHT)
    flat = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    quiet = camera.expose(flat, 10.0, 1.0, 0.0, 0.02)
    noisy = camera.expose(flat / 40, 10.0, 40.0, 0.0, 0.02)
    assert noisy[..., 1].std() > 2 * quiet[..., 1].std()


def test_develop_keeps_the_order_of_brightness():
    rng = np.random.default_rng(0)
    camera = SensorCamera(rng, profile(rng), WIDTH, HEIGHT)
    ramp = np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None], (HEIGHT, 1, 3))
    luma = camera.develop(ramp, 1.0).mean(axis=(0, 2))
    assert (np.diff(luma) > -0.01).all()
    assert luma[-1] - luma[0] > 0.7


def test_ghosts_mirror_a_bright_lamp_and_leave_darkness_dark():
    rng = np.random.default_rng(3)
    camera = SensorCamera(rng, replace(profile(rng), flare=0.02, veil=0, bloom=0, dirt=0), 128, 72)
    dark = np.zeros((72, 128, 3), np.float32)
    assert camera.optics(dark).max() == 0
    dark[10:14, 16:20] = 500
    ghosts = camera.optics(dark)
    ghosts[:36, :64] = 0
    assert ghosts.max() > 0.02


def test_a_wrong_white_balance_settles():
    rng = np.random.default_rng(0)
    wrong = replace(profile(rng), balance_error=(0.4, -0.4), balance_s=0.5, balance_hunt=0.0)
    camera = SensorCamera(rng, wrong, WIDTH, HEIGHT)
    grey = np.full((HEIGHT, WIDTH, 3), 0.4, np.float32)
    casts = []
    for time_s in (0.0, 4.0):
        picture = camera.develop(camera.expose(grey, 10.0, 2.0, time_s, 0.02), 2.0).mean((0, 1))
        casts.append(picture[0] / picture[2])
    assert casts[0] > 1.15 * casts[1]


def test_the_sun_shines_only_where_the_sky_is_bare():
    view = CameraPose(CAMERA_IN_BODY, np.zeros(3), PinholeLens(WIDTH, HEIGHT, 60))
    ahead, light = np.array((0, 1, 0), np.float32), np.full(3, 20, np.float32)
    for depth, bright in ((1e3, True), (5.0, False)):
        image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        draw_sun(image, np.full((HEIGHT, WIDTH), depth, np.float32), view, ahead, light, 900.0)
        assert (image[HEIGHT // 2, WIDTH // 2].min() > 100) == bright


@pytest.mark.parametrize("skin", SKINS, ids=lambda skin: skin.name)
def test_the_display_changes_with_the_ammunition_and_leaves_the_view_open(skin):
    hud = Hud(np.random.default_rng(0), skin, 256, 144)
    _, full = hud.draw(HudState(0.0, 12, 0, hit=False, spread=0.0, heading=0.0))
    colour, fewer = hud.draw(HudState(0.0, 11, 0, hit=False, spread=0.0, heading=0.0))
    assert (full != fewer).any()
    assert colour.shape == (144, 256, 3)
    assert 0.005 < (fewer > 0.2).mean() < 0.3
