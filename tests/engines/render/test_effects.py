import numpy as np
import pytest

from pipeline.engines.render.appearance.effects import (
    Brass,
    CameraPose,
    Flash,
    Puff,
    draw_brass,
    draw_flash,
    draw_puffs,
)
from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.camera_take import BodyCameraTake
from pipeline.engines.render.motion import CAMERA_IN_BODY
from pipeline.engines.render.script import write_script
from pipeline.engines.render.staged_view import NUM_SAMPLES, row_times
from pipeline.engines.render.world import lighting
from pipeline.engines.take import VideoFormat

WIDTH, HEIGHT = 64, 36
VIEW = CameraPose(CAMERA_IN_BODY, np.zeros(3), PinholeLens(WIDTH, HEIGHT, 60))
AHEAD, BEHIND = np.array((0.0, 4.0, 0.0)), np.array((0.0, -4.0, 0.0))
STILL, WHITE = np.zeros(3), np.ones(3)
FAR = np.full((HEIGHT, WIDTH), 50.0, np.float32)
NEAR = np.full_like(FAR, 2.0)
ROWS = np.ones(HEIGHT)


def black() -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH, 3), np.float32)


def smoke(time_s: float, place=AHEAD, depth=FAR) -> np.ndarray:
    """A puff of a second's start, over black, lit white."""
    image = black()
    puff = Puff(1.0, place, STILL, 0.05, 0.3, 0.8, 0.4, WHITE, 0.3)
    draw_puffs(image, depth, VIEW, [puff], time_s, WHITE)
    return image


def test_smoke_comes_with_its_start_grows_thins_and_goes():
    early, later = smoke(1.05), smoke(1.6)
    assert smoke(0.99).max() == smoke(1.0 + 4.1 * 0.4).max() == 0
    assert early.max() > later.max() > 0
    assert (later > 0).sum() > (early > 0).sum()


def test_smoke_is_where_it_is_and_hidden_by_what_is_nearer():
    assert smoke(1.1)[:, :16].max() == 0 < smoke(1.1)[10:26, 24:40].max()
    assert smoke(1.1, depth=NEAR).max() == smoke(1.1, place=BEHIND).max() == 0


def test_smoke_in_the_dark_hides_what_is_behind():
    image = black() + 1
    puff = Puff(0.0, AHEAD, STILL, 0.3, 0.3, 0.9, 1.0, WHITE, 0.3)
    draw_puffs(image, FAR, VIEW, [puff], 0.1, 0 * WHITE)
    assert image[10:26, 24:40].min() < 0.7
    assert (image[:, :8] == 1).all()


def case(time_s: float, blur_s: float = 0.0, depth=FAR) -> np.ndarray:
    """A case thrown to the right at a second's start."""
    image = black()
    brass = Brass(1.0, AHEAD, np.array((2.0, 0.0, 1.0)))
    draw_brass(image, depth, VIEW, [brass], time_s, blur_s, WHITE)
    return image


def centre(image: np.ndarray) -> tuple[float, float]:
    """Row and column of the middle of what is drawn."""
    row, column = np.nonzero(image.max(-1))
    return row.mean(), column.mean()


def test_a_case_flies_aside_falls_and_is_gone():
    (first_row, first_column), (top, _) = centre(case(1.0)), centre(case(1.1))
    low, right = centre(case(1.4))
    assert first_column == pytest.approx(WIDTH / 2, abs=1)
    assert right > first_column + 5
    assert top < first_row < low
    assert case(0.99).max() == case(1.81).max() == case(1.1, depth=NEAR).max() == 0


def test_a_case_is_brass_and_a_streak_as_long_as_the_exposure():
    sharp, streak = case(1.05), case(1.05, blur_s=0.1)
    assert (streak > 0).any(-1).sum() > 2 * (sharp > 0).any(-1).sum()
    assert streak.max() < sharp.max()
    red, green, blue = sharp.max((0, 1))
    assert red > green > blue > 0


def glow(place=AHEAD, depth=FAR, rows=ROWS, seed=0, power=1.0) -> np.ndarray:
    image = black()
    flash = Flash(0.0, 0.002, place, np.array((0.0, 1.0, 0.0)), power, 1.0, seed)
    draw_flash(image, depth, VIEW, flash, rows)
    return image


def test_a_muzzle_flash_glows_at_the_muzzle_by_its_power_and_seed():
    image = glow()
    row, column = np.unravel_index(image.sum(-1).argmax(), FAR.shape)
    assert abs(row - HEIGHT / 2) < 4
    assert abs(column - WIDTH / 2) < 4
    assert image[:, :16].max() == image[:, -16:].max() == glow(BEHIND).max() == 0
    assert glow(power=2.0) == pytest.approx(2 * image, rel=1e-5)
    assert not np.array_equal(glow(seed=1), image)


def test_a_muzzle_flash_is_weak_behind_things_and_in_exposed_rows_only():
    assert glow(depth=NEAR) == pytest.approx(0.15 * glow(), rel=1e-4)
    upper = glow(rows=np.arange(HEIGHT) < HEIGHT // 2)
    assert upper[: HEIGHT // 2].max() > 0 == upper[HEIGHT // 2 :].max()


@pytest.fixture(scope="module")
def filmed() -> BodyCameraTake:
    """A body camera whose wearer fires."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lighting, "NUM_GATHER_RAYS", 1)
        for index in range(30):
            script = write_script("bodycam", 3, index, 1.5)
            if script.own_discharges_s:
                return BodyCameraTake(script, VideoFormat(64, 36, 10.0, 100, 30))
    raise AssertionError("nobody fires")


def test_each_discharge_leaves_a_flash_and_smoke_and_the_wearers_a_case(filmed):
    script, events = filmed.script, filmed._events
    assert sorted(flash.start_s for flash in events.flashes) == sorted(script.discharges_s)
    for flash in events.flashes:
        assert any(0 < puff.start_s - flash.start_s < 0.01 for puff in events.puffs)
    ejected = [case.start_s - 0.03 for case in events.cases]
    assert ejected == pytest.approx(list(script.own_discharges_s))


def test_sub_frames_fill_the_exposure_of_each_row_evenly():
    exposure_s = 0.03
    times = np.sort([row_times(0.2, 0.02, exposure_s, 36, k) for k in range(NUM_SAMPLES)], axis=0)
    starts = 0.2 + 0.02 * np.arange(36) / 36
    assert (times >= starts).all()
    assert (times <= starts + exposure_s).all()
    assert np.diff(times, axis=0) == pytest.approx(exposure_s / NUM_SAMPLES)
