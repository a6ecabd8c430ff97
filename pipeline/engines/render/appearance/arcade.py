"""How a game draws a discharge and shades its picture: sprites, tracers, decals, outlines."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.camera import LUMA
from pipeline.engines.render.appearance.effects import CameraPose
from pipeline.engines.render.appearance.hud import Skin

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_REFERENCE = 0.3
_FLASH = np.array((1.0, 0.85, 0.35), np.float32)
_TRACER = np.array((1.0, 0.95, 0.6), np.float32)


@dataclass(frozen=True)
class Graphics:
    """What one player sees: field, tone and colour.

    `level` is the mean radiance after exposure, `adaptation` how far a dark scene is lifted to
    it, `tint` (3,) the colour of the level's light.
    """

    fov_deg: float
    level: float
    adaptation: float
    contrast: float
    saturation: float
    tint: tuple[float, float, float]


def draw_graphics(rng: np.random.Generator, skin: Skin) -> Graphics:
    """Draw a player's settings; brightness and contrast span what cameras show too."""
    warmth = rng.normal(0, 0.07)
    return Graphics(
        fov_deg=rng.uniform(*skin.fov_deg),
        level=float(np.exp(rng.uniform(*np.log((0.019, 0.105))))),
        adaptation=rng.uniform(0.75, 1.0),
        contrast=rng.uniform(-0.15, 0.5),
        saturation=rng.uniform(*skin.saturation),
        tint=(1 + warmth, 1.0, 1 - warmth),
    )


def expose(graphics: Graphics, picture: Array) -> float:
    """Return the factor on radiance that suits a (H, W, 3) picture, for a whole recording."""
    luma = np.einsum("yxc,c->yx", picture, LUMA)
    mean = max(float(np.minimum(luma, np.percentile(luma, 95)).mean()), 1e-5)
    share = graphics.adaptation
    return graphics.level / float(mean**share * _REFERENCE ** (1 - share))


def tone(radiance: Array, exposure: float, graphics: Graphics) -> Array:
    """Map linear radiance to display values in [0, 1]: a fixed curve and strong colours."""
    exposed = radiance * (np.float32(exposure) * np.array(graphics.tint, np.float32))
    luma = np.einsum("yxc,c->yx", exposed, LUMA)[..., None]
    vivid = np.maximum(luma + (exposed - luma) * np.float32(graphics.saturation), 0)
    curve = vivid * np.float32(1.25) / (vivid + np.float32(0.25))
    picture = np.sqrt(curve)
    middle = picture - np.float32(0.5)
    picture = picture + np.float32(graphics.contrast) * middle * (1 - np.abs(2 * middle))
    return np.clip(picture, 0, 1)


def outline(picture: Array, depth: Array, surface: NDArray[np.int8]) -> None:
    """Darken depth edges and the border of people and arms of a picture (H, W, 3), in place."""
    log_depth = np.log(np.maximum(depth, 0.05))
    edge = np.zeros(depth.shape, np.bool_)
    for axis in (0, 1):
        jump = np.abs(np.diff(log_depth, axis=axis)) > 0.25
        jump |= np.diff(surface, axis=axis) != 0
        edge |= np.pad(jump, [(0, 1) if k == axis else (0, 0) for k in range(2)])
    picture[edge] *= np.float32(0.3)


def flash_star(
    picture: Array, view: CameraPose, place: Vector, size_m: float, seed: int, frame: int
) -> None:
    """Paste the additive star sprite of a muzzle flash, in place; it fades over frames."""
    (x,), (y,), (away,) = view.project(place)
    if away < 0.05:
        return
    rng = np.random.default_rng([seed, frame])
    radius = max(2.0, size_m / away * view.lens.pixels_per_radian)
    height, width = picture.shape[:2]
    row, column = np.mgrid[0:height, 0:width]
    across, down = (column + 0.5 - x) / radius, (row + 0.5 - y) / radius
    angle, distance = np.arctan2(down, across), np.hypot(across, down)
    spikes = rng.integers(4, 8)
    edge = 0.45 + 0.5 * np.abs(np.cos(angle * spikes / 2 + rng.uniform(0, 6))) ** 3
    glow = np.clip(1.4 * (1 - distance / edge), 0, 1) + 0.25 * np.exp(-2 * distance)
    picture += (glow * 0.8**frame).astype(np.float32)[..., None] * _FLASH


def tracer(picture: Array, depth: Array, view: CameraPose, start: Vector, end: Vector) -> None:
    """Draw a bright line from muzzle to hit, hidden by nearer things, in place."""
    points = start + (end - start) * np.linspace(0.05, 1, 160)[:, None] ** 2
    x, y, away = view.project(points)
    height, width = depth.shape
    seen = (away > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    column, row = x[seen].astype(int), y[seen].astype(int)
    nearest = depth[row, column] > away[seen] - 0.3
    picture[row[nearest], column[nearest]] = _TRACER


def hit_marks(picture: Array, depth: Array, view: CameraPose, marks: list[Vector]) -> None:
    """Stamp a dark spot at every past hit, in place."""
    for mark in marks:
        (x,), (y,), (away,) = view.project(mark)
        height, width = depth.shape
        if not (away > 0 and 0 <= x < width and 0 <= y < height):
            continue
        if depth[int(y), int(x)] < away - 0.3:
            continue
        radius = max(1, round(0.05 / away * view.lens.pixels_per_radian))
        cv2.circle(picture, (int(x), int(y)), radius, (0.03, 0.03, 0.03), -1)


def pixelate(picture: Array, block: int) -> Array:
    """Repeat every pixel `block` times along both axes."""
    return np.repeat(np.repeat(picture, block, 0), block, 1)
