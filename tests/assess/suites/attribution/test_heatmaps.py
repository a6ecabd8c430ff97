"""Pictures of what drove a mistake."""

import numpy as np
import pytest

from pipeline.assess.suites.attribution import heatmaps
from pipeline.assess.suites.attribution.occlusion import GRID, Effects

CLIP = np.full((4, 64, 64, 3), 128, np.uint8)
CLIP[2] = (200, 30, 30)


def effects(cells=(), frames=(0.1, 0.0, 0.0, 0.0)):
    grid = np.zeros((GRID, GRID))
    for (row, column), value in dict(cells).items():
        grid[row, column] = value
    return Effects(grid, np.array(frames), np.zeros(3))


def region(picture, row, column):
    side = heatmaps.SIZE // GRID
    cell = np.asarray(picture)[row * side : (row + 1) * side, column * side : (column + 1) * side]
    return cell[side // 3 : -side // 3].mean(axis=(0, 1))


def test_what_drove_is_orange_and_what_spoke_against_it_blue():
    picture = heatmaps.draw(CLIP, effects({(0, 0): 2.0, (7, 7): -2.0}), "protected")
    red, _, blue = region(picture, 0, 0)
    assert red > blue + 60
    red, _, blue = region(picture, 7, 7)
    assert blue > red + 60
    assert np.ptp(region(picture, 4, 2)) < 2


def test_the_frame_that_mattered_most_is_shown_and_marked():
    frames = (0.1, 0.0, -0.9, 0.2)
    clear = np.asarray(heatmaps.draw(CLIP, effects(frames=frames), "clear"))
    assert clear[50, 50].tolist() == [200, 30, 30]
    width = heatmaps.SIZE // 4
    marks = (clear[-2] == 255).all(axis=1)
    assert marks[2 * width + 5 : 3 * width - 5].all()
    assert not marks[: 2 * width].any()


@pytest.mark.parametrize(("value", "side"), [(1.0, slice(6, 22)), (-1.0, slice(28, 42))])
def test_bars_stand_up_for_and_hang_down_against(value, side):
    picture = np.asarray(heatmaps.draw(CLIP, effects(frames=(value, 0, 0, 0)), "protected"))
    bars = picture[heatmaps.SIZE :, 5 : heatmaps.SIZE // 4 - 5].astype(int)
    strong = np.ptp(bars, axis=2).min(axis=1) > 80
    assert strong[side].all()
    other = slice(28, 42) if value > 0 else slice(6, 22)
    assert not strong[other].any()


def test_protected_maps_show_no_colour_of_the_clip():
    picture = heatmaps.draw(CLIP, effects(frames=(0, 0, 1, 0)), "protected")
    assert np.ptp(np.asarray(picture)[: heatmaps.SIZE], axis=2).max() == 0


def test_no_effect_at_all_draws_the_preview():
    picture = heatmaps.draw(CLIP, effects(frames=(0, 0, 0, 0)), "protected")
    assert picture.size == (heatmaps.SIZE, heatmaps.SIZE + heatmaps.BARS)
