import numpy as np
import pytest

from pipeline.engines.render.appearance import arcade
from pipeline.engines.render.appearance.effects import CameraPose
from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.motion import CAMERA_IN_BODY

WIDTH, HEIGHT = 64, 36
VIEW = CameraPose(CAMERA_IN_BODY, np.zeros(3), PinholeLens(WIDTH, HEIGHT, 60))
AHEAD, BEHIND = np.array((0.0, 4.0, 0.0)), np.array((0.0, -4.0, 0.0))
FAR = np.full((HEIGHT, WIDTH), 50.0, np.float32)
NEAR = np.full_like(FAR, 2.0)
MIDDLE = HEIGHT // 2, WIDTH // 2


def grey() -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != 0.5).any(-1)


def test_an_outline_runs_along_edges_of_depth_and_of_people_and_nowhere_else():
    depth, surface = FAR.copy(), np.zeros(FAR.shape, np.int8)
    depth[:, 20:] = 30
    surface[10:, :] = 1
    picture = grey()
    arcade.outline(picture, depth, surface)
    expected = np.zeros(FAR.shape, np.bool_)
    expected[:, 19] = expected[9] = True
    assert (changed(picture) == expected).all()
    assert picture[expected] == pytest.approx(0.15)


def test_a_slope_has_no_outline():
    picture = grey()
    slope = np.tile(np.linspace(2, 6, WIDTH, dtype=np.float32), (HEIGHT, 1))
    arcade.outline(picture, slope, np.zeros(FAR.shape, np.int8))
    assert not changed(picture).any()


def test_a_hit_leaves_a_dark_spot_that_nearer_things_hide():
    for mark, depth, seen in ((AHEAD, FAR, True), (AHEAD, NEAR, False), (BEHIND, FAR, False)):
        picture = grey()
        arcade.hit_marks(picture, depth, VIEW, [mark])
        assert changed(picture)[MIDDLE] == changed(picture).any() == seen
        assert changed(picture).sum() < 20
    picture = grey()
    arcade.hit_marks(picture, FAR, VIEW, [])
    assert not changed(picture).any()


def test_a_tracer_is_a_bright_line_from_muzzle_to_hit():
    start, end = np.array((0.3, 1.0, -0.3)), np.array((0.0, 20.0, 0.0))
    picture = grey()
    arcade.tracer(picture, FAR, VIEW, start, end)
    lit = changed(picture)
    assert picture[lit].min() > 0.5
    row, column = np.nonzero(lit)
    assert lit[MIDDLE]
    assert column.min() >= WIDTH // 2
    assert row.min() >= HEIGHT // 2
    assert np.corrcoef(row, column)[0, 1] > 0.95
    hidden = grey()
    arcade.tracer(hidden, np.full_like(FAR, 0.5), VIEW, start, end)
    assert not changed(hidden).any()


def star(frame: int, place: np.ndarray = AHEAD) -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    arcade.flash_star(picture, VIEW, place, 0.3, 7, frame)
    return picture


def test_the_star_of_a_flash_stands_at_the_muzzle_and_fades():
    first = star(0)
    row, column = np.unravel_index(first.sum(-1).argmax(), FAR.shape)
    assert abs(row - MIDDLE[0]) <= 1
    assert abs(column - MIDDLE[1]) <= 1
    assert first.max() > 1.2 * star(1).max() > 1.2 * star(2).max()
    assert first[0, 0].max() < 0.01 * first.max()
    assert star(0, BEHIND).max() == 0
