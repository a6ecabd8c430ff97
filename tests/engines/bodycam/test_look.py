import numpy as np
import pytest

from pipeline.engines.bodycam.look.camera import AutoExposure, SensorCamera
from pipeline.engines.bodycam.look.effects import Flash, row_overlap
from pipeline.engines.bodycam.look.fleet import FLEETS, draw_camera
from pipeline.engines.bodycam.look.hud import SKINS, Hud, HudState
from pipeline.engines.bodycam.look.overlay import CameraText

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


@pytest.mark.parametrize("corner", range(4))
def test_text_stays_in_its_corner(corner):
    mask = CameraText(1_600_000_000, "UNIT12", 0, corner, logo=False).mask(256, 144, 3.0)
    rows, columns = np.nonzero(mask > 0.5)
    assert len(rows) > 50
    assert (rows.mean() > 72) == (corner in (2, 3))
    assert (columns.mean() > 128) == (corner in (0, 3))


@pytest.mark.parametrize("skin", SKINS, ids=lambda skin: skin.name)
def test_the_display_changes_with_the_ammunition_and_leaves_the_view_open(skin):
    hud = Hud(np.random.default_rng(0), skin, 256, 144)
    _, full = hud.draw(HudState(0.0, 12, 0, hit=False, spread=0.0, heading=0.0))
    colour, fewer = hud.draw(HudState(0.0, 11, 0, hit=False, spread=0.0, heading=0.0))
    assert (full != fewer).any()
    assert colour.shape == (144, 256, 3)
    assert 0.005 < (fewer > 0.2).mean() < 0.3
