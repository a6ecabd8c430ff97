import numpy as np
import pytest

from pipeline.engines.render.appearance.lens import FisheyeLens, PinholeLens

LENSES = [
    FisheyeLens(256, 144, 120, -0.03),
    FisheyeLens(192, 144, 95, 0.01),
    PinholeLens(256, 144, 90),
]


@pytest.mark.parametrize("lens", LENSES)
def test_projecting_the_direction_of_a_pixel_finds_the_pixel(lens):
    x, y = np.array([3.5, 100.0, 128.0, 190.2]), np.array([2.0, 70.0, 72.0, 140.1])
    back_x, back_y, depth = lens.project(lens.directions(x, y) * 7)
    assert back_x == pytest.approx(x, abs=0.02)
    assert back_y == pytest.approx(y, abs=0.02)
    assert depth == pytest.approx(7)


@pytest.mark.parametrize("lens", LENSES)
def test_the_edge_sees_half_the_field_of_view(lens):
    left, right = lens.directions([0, 192 if lens is LENSES[1] else 256], [72, 72])
    angle = np.degrees(np.arccos(left @ right))
    assert angle == pytest.approx({0: 120, 1: 95, 2: 90}[LENSES.index(lens)], abs=0.1)


@pytest.mark.parametrize("lens", LENSES)
def test_points_behind_have_negative_depth(lens):
    assert lens.project(np.array([[0.1, 0, 5.0]]))[2][0] < 0
