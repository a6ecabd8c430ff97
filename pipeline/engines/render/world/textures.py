"""Procedural tiling albedo textures and their mip pyramid."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Colour = tuple[float, float, float]

SIZE = 128
NUM_PALETTES = 4
_ROW, _COLUMN = (np.mgrid[0:SIZE, 0:SIZE] / SIZE).astype(np.float32)


class Atlas(NamedTuple):
    """All textures of one palette, every mip level flattened one after the other.

    `texels` is (N, 3) linear albedo; level k holds len(NAMES) tiles of `sizes[k]` squared texels
    from `offsets[k]` on. `mean` is (len(NAMES), 3).
    """

    texels: Array
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    mean: Array


def tiling_noise(
    rng: np.random.Generator, slope: float, lowest: float = 1.0, stretch: float = 1.0
) -> Array:
    """Draw (SIZE, SIZE) noise in [0, 1] that tiles: spectrum 1/f^slope from `lowest` cycles on.

    `stretch` above 1 elongates the pattern along the columns (wood grain, streaks).
    """
    spectrum = np.fft.fft2(rng.standard_normal((SIZE, SIZE)))
    frequency_y = np.fft.fftfreq(SIZE, 1 / SIZE)[:, None] * stretch
    frequency_x = np.fft.fftfreq(SIZE, 1 / SIZE)[None, :] / stretch
    frequency = np.hypot(frequency_x, frequency_y)
    gain = np.where(frequency >= lowest * 0.5, np.maximum(frequency, 1e-6) ** -slope, 0.0)
    noise = np.fft.ifft2(spectrum * gain).real
    low, high = np.percentile(noise, (0.5, 99.5))
    return np.clip((noise - low) / (high - low), 0, 1).astype(np.float32)


def _rgb(red: float, green: float, blue: float) -> Array:
    return np.array((red, green, blue), np.float32)


def _blend(low: Colour, high: Colour, weight: Array) -> Array:
    start, end = _rgb(*low), _rgb(*high)
    return np.asarray(start + (end - start) * weight[..., None], np.float32)


def _grey(value: Array) -> Array:
    return np.repeat(value[..., None], 3, axis=2)


def _relief(colour: Array, height: Array, strength: float) -> Array:
    """Shade the texture by its own relief, as if lit from one upper corner."""
    slope = np.roll(height, 1, 1) - np.roll(height, -1, 1)
    slope = slope + np.roll(height, 1, 0) - np.roll(height, -1, 0)
    return colour * np.clip(1 + strength * slope, 0.4, 1.6)[..., None]


def _plaster(rng: np.random.Generator) -> Array:
    fine, stain = tiling_noise(rng, 0.8), tiling_noise(rng, 1.8, 1, 0.35)
    colour = _grey(0.9 + 0.08 * fine) * (1 - 0.22 * np.clip(3 * stain - 2, 0, 1))[..., None]
    return _relief(colour, fine, 0.12)


def _concrete(rng: np.random.Generator) -> Array:
    fine, broad = tiling_noise(rng, 0.9), tiling_noise(rng, 1.7)
    colour = _blend((0.36, 0.35, 0.33), (0.62, 0.61, 0.58), broad) * (0.78 + 0.4 * fine)[..., None]
    colour[np.abs(tiling_noise(rng, 1.8) - 0.5) < 0.006] *= 0.65
    return _relief(colour, fine, 0.2)


def _brick(rng: np.random.Generator) -> Array:
    course = np.floor(_ROW * 8)
    along = _COLUMN * 4 + 0.5 * (course % 2)
    mortar = ((along % 1 < 0.05) | (_ROW * 8 % 1 < 0.1))[..., None]
    tone = rng.random(32, np.float32)[(course * 4 + np.floor(along) % 4).astype(int)]
    colour = _blend((0.42, 0.17, 0.11), (0.62, 0.33, 0.22), tone)
    colour *= (0.7 + 0.5 * tiling_noise(rng, 0.8))[..., None]
    colour = np.where(mortar, _rgb(0.5, 0.47, 0.43), colour)
    return _relief(colour, 1 - mortar[..., 0].astype(np.float32), 0.25)


def _plywood(rng: np.random.Generator) -> Array:
    grain = tiling_noise(rng, 1.2, 3, 0.25)
    colour = _blend((0.5, 0.34, 0.19), (0.74, 0.56, 0.35), grain)
    for x, y in rng.random((5, 2)):
        knot = np.exp(-(((_COLUMN - x) / 0.015) ** 2) - ((_ROW - y) / 0.025) ** 2)
        colour = colour * (1 - 0.5 * knot)[..., None]
    colour[(_COLUMN % 0.5 < 0.008) | (_ROW < 0.008)] *= 0.4
    return colour.astype(np.float32)


def _ground(low: Colour, high: Colour, relief: float) -> Callable[..., Array]:
    def draw(rng: np.random.Generator) -> Array:
        fine, broad = tiling_noise(rng, 0.55, 8), tiling_noise(rng, 1.6)
        colour = _blend(low, high, 0.6 * fine + 0.4 * broad) * (0.75 + 0.45 * broad)[..., None]
        return _relief(colour, fine, relief)

    return draw


def _asphalt(rng: np.random.Generator) -> Array:
    fine, broad = tiling_noise(rng, 0.4, 16), tiling_noise(rng, 1.8)
    colour = _grey(0.07 + 0.1 * fine + 0.06 * broad)
    colour[np.abs(broad - 0.5) < 0.008] *= 0.5
    return colour


def _fabric(rng: np.random.Generator) -> Array:
    weave, fold = tiling_noise(rng, 0.35, 16), tiling_noise(rng, 1.8)
    return _relief(_grey(0.66 + 0.22 * weave + 0.16 * fold), fold, 0.9)


def _camouflage(rng: np.random.Generator) -> Array:
    first, second = tiling_noise(rng, 2, 2), tiling_noise(rng, 2, 3)
    colour = np.where((second > 0.52)[..., None], (0.3, 0.26, 0.17), (0.42, 0.38, 0.28))
    colour = np.where((first > 0.56)[..., None], (0.16, 0.17, 0.09), colour)
    return (colour * (0.8 + 0.3 * tiling_noise(rng, 0.8))[..., None]).astype(np.float32)


def _corrugated(rng: np.random.Generator) -> Array:
    wave = 0.5 + 0.5 * np.sin(_COLUMN * 2 * np.pi * 16)
    rust = np.clip(4 * tiling_noise(rng, 1.5, 2, 0.5) - 2.8, 0, 1)[..., None]
    base = _grey(0.72 + 0.16 * tiling_noise(rng, 1.5)) * (1 - rust)
    return _relief(base + rust * _rgb(0.35, 0.18, 0.09), wave, 0.35)


def _tile(rng: np.random.Generator) -> Array:
    joint = (_COLUMN * 4 % 1 < 0.035) | (_ROW * 4 % 1 < 0.035)
    colour = _grey(0.82 + 0.1 * tiling_noise(rng, 0.9) + 0.06 * tiling_noise(rng, 1.8))
    colour[joint] *= 0.45
    return colour


def _facade(rng: np.random.Generator) -> Array:
    colour = _grey(0.72 + 0.2 * tiling_noise(rng, 1.2)) * _rgb(0.95, 0.9, 0.85)
    across, up = _COLUMN * 2 % 1, _ROW * 2 % 1
    frame = (across > 0.22) & (across < 0.78) & (up > 0.22) & (up < 0.83)
    glass = (across > 0.25) & (across < 0.75) & (up > 0.25) & (up < 0.8)
    pane = (2 * np.floor(_ROW * 2) + np.floor(_COLUMN * 2)).astype(int)
    sheen = rng.random(4, np.float32)[pane] * tiling_noise(rng, 1.8) * 0.14
    colour[frame] = (0.8, 0.8, 0.78)
    colour = np.where(glass[..., None], _rgb(0.05, 0.06, 0.075) + _grey(sheen), colour)
    bars = glass & ((np.abs(across - 0.5) < 0.016) | (np.abs(up - 0.53) < 0.016))
    colour[bars] = 0.7
    return colour.astype(np.float32)


def _silhouette(rng: np.random.Generator) -> Array:
    height = 1 - _ROW
    taper = np.clip(1 - ((height - 0.3) / 0.62) ** 4, 0, 1)
    body = (np.abs(_COLUMN - 0.5) < 0.3 * taper) & (height > 0.05) & (height < 0.74)
    body |= ((_COLUMN - 0.5) / 0.105) ** 2 + ((height - 0.84) / 0.12) ** 2 < 1
    colour = _grey(0.84 + 0.06 * tiling_noise(rng, 1)) * _rgb(0.88, 0.76, 0.58)
    ink = ((0.045, 0.045, 0.05), (0.1, 0.22, 0.34), (0.3, 0.3, 0.3))[rng.integers(3)]
    colour[body] = ink
    for radius in (0.06, 0.12, 0.18):
        ring = np.abs(np.hypot(_COLUMN - 0.5, (height - 0.48) * 0.8) - radius) < 0.008
        colour[ring] = 0.75
    for _ in range(rng.integers(3, 14)):
        x, y = rng.normal((0.5, 0.48), (0.09, 0.1))
        colour[np.hypot(_COLUMN - x, height - y) < 0.012] = 0.75
    return colour[::-1].astype(np.float32)


def _bullseye(rng: np.random.Generator) -> Array:
    radius = np.hypot(_COLUMN - 0.5, _ROW - 0.5)
    dark = (radius * 14).astype(int) % 2 == 0
    colour = np.where(dark[..., None], (0.08, 0.08, 0.08), (0.9, 0.88, 0.84))
    colour[radius < 0.07] = (0.7, 0.08, 0.05)
    colour[radius > 0.47] = (0.9, 0.88, 0.84)
    return (colour * (0.9 + 0.1 * tiling_noise(rng, 1))[..., None]).astype(np.float32)


def _foliage(rng: np.random.Generator) -> Array:
    leaf = tiling_noise(rng, 0.6, 8)
    colour = _blend((0.02, 0.035, 0.012), (0.17, 0.22, 0.07), leaf**1.5)
    return _relief(colour * (0.5 + 0.9 * tiling_noise(rng, 1.6))[..., None], leaf, 0.5)


def _rubber(rng: np.random.Generator) -> Array:
    return _grey(0.045 + 0.06 * tiling_noise(rng, 0.6, 4))


def _acoustic(rng: np.random.Generator) -> Array:
    wedge = np.abs(_COLUMN * 8 % 1 - 0.5) + np.abs(_ROW * 8 % 1 - 0.5)
    return _relief(_grey(0.14 + 0.06 * tiling_noise(rng, 1)), wedge, 1.2)


def _door(rng: np.random.Generator) -> Array:
    colour = _grey(0.88 + 0.08 * tiling_noise(rng, 1.2))
    for bottom, top in ((0.08, 0.5), (0.56, 0.93)):
        inside = (np.abs(_COLUMN - 0.5) < 0.34) & (bottom < _ROW) & (top > _ROW)
        core = (np.abs(_COLUMN - 0.5) < 0.32) & (bottom + 0.015 < _ROW) & (top - 0.015 > _ROW)
        colour[inside & ~core] *= 0.5
    colour[np.hypot(_COLUMN - 0.9, 2 * (_ROW - 0.5)) < 0.03] = 0.2
    return colour


def _paint(rng: np.random.Generator) -> Array:
    return _grey(0.94 + 0.06 * tiling_noise(rng, 1.5))


def _road_marking(rng: np.random.Generator) -> Array:
    return _grey(0.72 * (0.6 + 0.4 * (tiling_noise(rng, 0.8) > 0.35).astype(np.float32)))


def _skin(rng: np.random.Generator) -> Array:
    return _grey(0.9 + 0.12 * tiling_noise(rng, 1.5)) * _rgb(1, 0.96, 0.94)


def _poster(rng: np.random.Generator) -> Array:
    colour = _blend((0.75, 0.74, 0.7), (0.85, 0.84, 0.8), tiling_noise(rng, 1.5))
    colour[(_ROW > 0.72) & (_ROW < 0.92)] = rng.uniform(0.05, 0.5, 3)
    lines = (_ROW < 0.6) & (_ROW * 14 % 1 < 0.4) & (np.abs(_COLUMN - 0.5) < 0.4)
    colour[lines] *= 0.45
    return colour


_PAINTERS: dict[str, Callable[[np.random.Generator], Array]] = {
    "plaster": _plaster,
    "concrete": _concrete,
    "brick": _brick,
    "plywood": _plywood,
    "gravel": _ground((0.26, 0.21, 0.16), (0.58, 0.5, 0.4), 0.5),
    "dirt": _ground((0.24, 0.18, 0.12), (0.48, 0.4, 0.3), 0.3),
    "grass": _ground((0.06, 0.09, 0.02), (0.25, 0.28, 0.1), 0.6),
    "carpet": _ground((0.5, 0.48, 0.46), (0.8, 0.78, 0.75), 0.3),
    "asphalt": _asphalt,
    "fabric": _fabric,
    "camouflage": _camouflage,
    "corrugated": _corrugated,
    "tile": _tile,
    "facade": _facade,
    "silhouette": _silhouette,
    "bullseye": _bullseye,
    "foliage": _foliage,
    "rubber": _rubber,
    "acoustic": _acoustic,
    "door": _door,
    "paint": _paint,
    "road_marking": _road_marking,
    "skin": _skin,
    "poster": _poster,
}
LAYER: dict[str, int] = {name: layer for layer, name in enumerate(_PAINTERS)}


def _wear(rng: np.random.Generator) -> Array:
    """Draw the dirt and wear that lie on everything, (SIZE, SIZE, 1)."""
    return (1.4 - 1.1 * tiling_noise(rng, 0.6, 4))[..., None]


@lru_cache(maxsize=NUM_PALETTES)
def atlas(palette: int) -> Atlas:
    """Paint every texture of one of NUM_PALETTES palettes; kept in memory for the process."""
    rng = np.random.default_rng([20, palette])
    level = np.stack([np.clip(paint(rng) * _wear(rng), 0.005, 1) for paint in _PAINTERS.values()])
    level = level.astype(np.float32)
    mean = level.mean(axis=(1, 2))
    flat, offsets, sizes, offset = [], [], [], 0
    while True:
        offsets.append(offset)
        sizes.append(level.shape[1])
        flat.append(level.reshape(-1, 3))
        offset += len(flat[-1])
        if level.shape[1] == 2:
            break
        level = 0.25 * (
            level[:, ::2, ::2] + level[:, 1::2, ::2] + level[:, ::2, 1::2] + level[:, 1::2, 1::2]
        )
    return Atlas(np.concatenate(flat), np.array(offsets), np.array(sizes), mean)


@lru_cache(maxsize=1)
def turbulence() -> Array:
    """Return the (256, 256) noise in [0, 1] behind clouds, smoke and flashes."""
    noise = tiling_noise(np.random.default_rng(21), 1.4, 2)
    return np.asarray(cv2.resize(noise, (256, 256), interpolation=cv2.INTER_LINEAR), np.float32)
