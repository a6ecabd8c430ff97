"""A cube of what surrounds a camera, looked up."""

import numpy as np
import pytest

from pipeline.engines.render.appearance.lens import FisheyeLens, Lens, PinholeLens
from pipeline.engines.render.motion import CAMERA_IN_BODY, rotations
from pipeline.engines.render.surround import Surround

WIDTH, HEIGHT = 64, 48


def shown(rays: np.ndarray) -> np.ndarray:
    """A smooth radiance that differs in every direction."""
    return np.asarray(np.exp(rays), np.float32)


def seen(lens: Lens, size: int, turn: np.ndarray) -> np.ndarray:
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    return shown(lens.directions(x, y) @ turn.T)


@pytest.mark.parametrize("lens", [FisheyeLens(WIDTH, HEIGHT, 120, -0.03), PinholeLens(64, 48, 70)])
@pytest.mark.parametrize("zoom", [1.0, 1.5])
def test_it_shows_what_is_there_in_every_direction(lens: Lens, zoom: float) -> None:
    surround = Surround(seen, lens, WIDTH, HEIGHT, 1.5)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = lens.directions((x - 32) / zoom + 32, (y - 24) / zoom + 24)
    for pitch, yaw, roll in ((0, 0, 0), (0.3, 2.0, 0.1), (1.5, -1.0, 0.5), (-1.5, 4.0, 0)):
        (turn,) = rotations(*np.array([[pitch], [yaw], [roll]], float)) @ CAMERA_IN_BODY
        found = surround.radiance([np.tile(turn, (HEIGHT, 1, 1))], [(0.5, 0.5)], zoom)
        assert np.abs(found - shown(rays @ turn.T)).max() < 0.01


def test_rows_turn_each_by_itself_and_samples_are_averaged() -> None:
    lens = PinholeLens(WIDTH, HEIGHT, 70)
    surround = Surround(seen, lens, WIDTH, HEIGHT)
    yaw = np.linspace(0, 0.5, HEIGHT)
    turns = rotations(0 * yaw, yaw, 0 * yaw) @ CAMERA_IN_BODY
    still = np.tile(turns[0], (HEIGHT, 1, 1))
    moving, standing = (surround.radiance([one], [(0.5, 0.5)]) for one in (turns, still))
    assert np.abs(moving[0] - standing[0]).max() < 1e-6
    assert np.abs(moving[-1] - standing[-1]).max() > 0.1
    both = surround.radiance([turns, still], [(0.5, 0.5)] * 2)
    assert both == pytest.approx((moving + standing) / 2, abs=1e-5)
