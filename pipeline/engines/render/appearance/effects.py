"""What a discharge leaves in the picture: flash, smoke, dust, brass, tracer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.lens import Lens
from pipeline.engines.render.world.textures import turbulence

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

FLASH_COLOUR = np.array((1.0, 0.72, 0.38))
_BRASS = np.array((0.85, 0.62, 0.25))
_GRAVITY = np.array((0, 0, -9.8))
_BRASS_LIFE_S = 0.8
_LINGER = 4.0


@dataclass(frozen=True)
class Flash:
    """The light of one discharge at a muzzle; `power` scales its radiance, `size` its sprite."""

    start_s: float
    duration_s: float
    place: Vector
    axis: Vector
    power: float
    size: float
    seed: int


@dataclass(frozen=True)
class Puff:
    """A cloud of smoke or dust that rises, grows and thins out."""

    start_s: float
    place: Vector
    velocity: Vector
    radius: float
    growth: float
    opacity: float
    life_s: float
    colour: Vector
    seed: float


@dataclass(frozen=True)
class Brass:
    """An ejected case."""

    start_s: float
    place: Vector
    velocity: Vector


@dataclass(frozen=True)
class CameraPose:
    """Where the camera stands in one frame: axes (3, 3), place (3,), and its lens."""

    turn: Vector
    place: Vector
    lens: Lens

    def project(self, points: Vector) -> tuple[Vector, Vector, Vector]:
        """Return x, y in pixels and depth in metres of world points (N, 3)."""
        return self.lens.project(
            np.einsum("ni,ij->nj", np.atleast_2d(points) - self.place, self.turn)
        )


class Timed(Protocol):
    """Whatever shines from a time on for a while."""

    @property
    def start_s(self) -> float:
        """Seconds from the recording's start."""
        ...

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        ...


def row_overlap(
    flash: Timed, frame_s: float, readout_s: float, exposure_s: float, height: int
) -> Vector:
    """Return (H,) shares of each row's exposure during which the flash shines."""
    start = frame_s + readout_s * np.arange(height) / height
    shared = np.minimum(flash.start_s + flash.duration_s, start + exposure_s)
    return np.asarray(np.clip(shared - np.maximum(flash.start_s, start), 0, None) / exposure_s)


def clip_window(
    x: float, y: float, reach: float, width: int, height: int
) -> tuple[slice, slice] | None:
    """Return the rows and columns within `reach` pixels of a place, None outside the image."""
    left, right = int(max(0, x - reach)), int(min(width, x + reach + 1))
    top, bottom = int(max(0, y - reach)), int(min(height, y + reach + 1))
    return None if right <= left or bottom <= top else (slice(top, bottom), slice(left, right))


def pixels(window: tuple[slice, slice]) -> tuple[Vector, Vector]:
    """Return the x and y of the centres of a window's pixels."""
    y, x = np.mgrid[window]
    return x + 0.5, y + 0.5


def draw_puffs(
    image: Array, depth: Array, view: CameraPose, puffs: list[Puff], time_s: float, light: Vector
) -> None:
    """Blend puffs over a radiance image in place; `light` (3,) is what they scatter."""
    height, width = depth.shape
    noise = turbulence()
    for puff in puffs:
        age = time_s - puff.start_s
        if not 0 <= age <= puff.life_s * _LINGER:
            continue
        drift = puff.velocity * (1 - np.exp(-4 * age)) / 4 + np.array((0, 0, 0.15)) * age
        (x,), (y,), (away,) = view.project(puff.place + drift)
        if away < 0.15:
            continue
        radius = (puff.radius + puff.growth * age**0.6) / away * view.lens.pixels_per_radian
        window = clip_window(x, y, 2.4 * radius, width, height)
        if window is None or radius < 0.5:
            continue
        across, down = pixels(window)
        across, down = (across - x) / radius, (down - y) / radius
        row = (down * 30 + puff.seed * 97).astype(int) % len(noise)
        column = (across * 30 + puff.seed * 31 + age * 20).astype(int) % len(noise)
        opacity = puff.opacity * np.exp(-age / puff.life_s) * min(1, age / 0.02 + 0.3)
        share = opacity * np.exp(-1.3 * (across**2 + down**2))
        share *= np.clip(0.25 + 1.3 * noise[row, column], 0, 1.3)
        share *= np.clip((depth[window] - away + 0.3 * puff.growth + 0.1) / 0.3, 0, 1)
        share = np.clip(share, 0, 0.95)[..., None]
        image[window] = image[window] * (1 - share) + share * puff.colour * light


def flash_sprite(flash: Flash, across: Vector, down: Vector, bore: Vector, stretch: float) -> Array:
    """Return the (h, w, 3) glow of burning gas: a turbulent core and two to five jets.

    `across` and `down` are pixel offsets in units of the flash's size, `bore` the projected
    direction of the barrel.
    """
    rng = np.random.default_rng(flash.seed)
    noise = turbulence()
    along, aside = across * bore[0] + down * bore[1], -across * bore[1] + down * bore[0]
    first, second = rng.integers(0, len(noise), 2)

    def rough(scale: float, row: int, column: int) -> Array:
        y = (down * scale + row).astype(int) % len(noise)
        return noise[y, (across * scale + column).astype(int) % len(noise)]

    turbulent = rough(26, first, second) + 0.5 * rough(60, second, first) - 0.75
    radius = np.hypot(along / stretch, aside) * (1 - 0.55 * turbulent)
    heat = 3 * np.exp(-((radius / 0.34) ** 2))
    for _ in range(rng.integers(2, 6)):
        sideways = rng.choice([-1, 1]) * rng.uniform(1.2, 1.9)
        angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else sideways
        length, width = rng.uniform(0.5, 1.5), rng.uniform(0.07, 0.18)
        out = along * np.cos(angle) + aside * np.sin(angle)
        off = -along * np.sin(angle) + aside * np.cos(angle)
        jet = np.exp(-((off / (width * (1 + 0.8 * np.maximum(out, 0)))) ** 2))
        jet *= np.exp(-np.abs(out - 0.3 * length) / (0.33 * length)) * (out > -0.1)
        heat = heat + jet * rng.uniform(0.3, 1.0) * np.clip(1 + 1.6 * turbulent, 0, 2)
    halo = 0.035 * np.exp(-1.5 * np.hypot(across, down))
    hot = np.clip(heat / 2.5, 0, 1)[..., None]
    colour = np.array((1.0, 0.55, 0.2)) * (1 - hot) + np.array((1.0, 0.86, 0.62)) * hot
    return np.asarray(heat[..., None] * colour + halo[..., None] * (1.0, 0.55, 0.22), np.float32)


def draw_flash(
    image: Array, depth: Array, view: CameraPose, flash: Flash, row_weight: Vector
) -> None:
    """Add a flash's glow to a radiance image in place."""
    height, width = depth.shape
    near, far = flash.place + flash.axis * 0.06, flash.place + flash.axis * 0.26
    x, y, away = view.project(np.stack([near, far]))
    if away[0] < 0.1:
        return
    scale = view.lens.pixels_per_radian / away[0]
    size = max(1.2, 0.11 * flash.size**0.5 * scale)
    window = clip_window(x[0], y[0], 4.5 * size, width, height)
    if window is None:
        return
    bore = np.array((x[1] - x[0], y[1] - y[0]))
    length = float(np.hypot(*bore))
    stretch = 1 + 0.9 * min(1.0, length / (0.2 * scale))
    bore = bore / length if length > 1e-3 else np.array((0, -1.0))
    visible = 1.0
    column, row = int(x[0]), int(y[0])
    if 0 <= column < width and 0 <= row < height and depth[row, column] < away[0] - 0.35:
        visible = 0.15
    across, down = pixels(window)
    glow = flash_sprite(flash, (across - x[0]) / size, (down - y[0]) / size, bore, stretch)
    strength = row_weight[window[0], None, None] * flash.power * FLASH_COLOUR.mean() * 14 * visible
    image[window] += glow * strength.astype(np.float32)


def draw_sun(
    image: Array, depth: Array, view: CameraPose, towards: Array, light: Array, sky_m: float
) -> None:
    """Add the sun's disc where the sky is bare, in place.

    `towards` (3,) points to it, `light` (3,) is its irradiance; beyond `sky_m` lies the sky.
    """
    (x,), (y,), (away,) = view.project(view.place + 100 * towards)
    height, width = depth.shape
    if away < 0 or not (0 <= x < width and 0 <= y < height) or depth[int(y), int(x)] < sky_m:
        return
    window = clip_window(x, y, 3, width, height)
    if window is None:
        return
    across, down = pixels(window)
    disc = np.clip(1.6 - np.hypot(across - x, down - y), 0, 1) * (depth[window] >= sky_m)
    area = (1.6 / view.lens.pixels_per_radian) ** 2 * np.pi
    image[window] += (disc[..., None] * np.minimum(light / area, 2e3)).astype(np.float32)


def draw_brass(
    image: Array,
    depth: Array,
    view: CameraPose,
    cases: list[Brass],
    time_s: float,
    blur_s: float,
    light: Vector,
) -> None:
    """Draw ejected cases as short streaks of `blur_s`, in place."""
    height, width = depth.shape
    for case in cases:
        age = time_s - case.start_s
        if not 0 <= age <= _BRASS_LIFE_S:
            continue
        ages = age + np.linspace(0, blur_s, 5)[:, None]
        points = case.place + case.velocity * ages + 0.5 * _GRAVITY * ages**2
        x, y, away = view.project(points)
        for column, row, distance in zip(x, y, away, strict=True):
            if distance < 0.1 or not (0 <= column < width and 0 <= row < height):
                continue
            radius = max(0.7, 0.011 / distance * view.lens.pixels_per_radian)
            window = clip_window(column, row, radius + 1, width, height)
            if window is None or depth[int(row), int(column)] < distance:
                continue
            across, down = pixels(window)
            share = np.clip(radius + 0.5 - np.hypot(across - column, down - row), 0, 1) / len(ages)
            share = share[..., None]
            image[window] = image[window] * (1 - share) + share * _BRASS * light * 1.5
