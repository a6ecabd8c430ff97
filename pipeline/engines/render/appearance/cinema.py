"""A film camera's lens, stock and grade: linear radiance in, display pictures out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines import damage
from pipeline.engines.render.appearance.camera import LUMA
from pipeline.engines.take import UnusableDraw

Array = NDArray[np.float32]

SHUTTER_SHARE = 0.5
"""Of the time between frames, in which the shutter is open: that of 180 degrees."""
_BLANK_DEVIATION = 6.0
_REFERENCE = 0.3
_HIGHEST = 0.8
_PEOPLE_BLUR_PX, _PEOPLE_BLUR_SHARE = 0.9, np.float32(0.7)
_HIGHLIGHT = np.float32(1.2)
_BRIGHTEST = np.float32(14)
_HALATION = np.array((1.0, 0.34, 0.1), np.float32)
_NUM_GRAIN_FIELDS = 4
_FOCUSED_PX = 0.6
_DEEPEST_BLUR_PX = 4.0


@dataclass(frozen=True)
class Style:
    """The appearance of one production: display RGB offsets of shadows and lights, and ranges.

    `key` and `rim` are the colours of its lamps, `streak` that of its lens flares.
    """

    name: str
    shadows: tuple[float, float, float]
    lights: tuple[float, float, float]
    key: tuple[float, float, float]
    rim: tuple[float, float, float]
    streak: tuple[float, float, float]
    grade: tuple[float, float]
    saturation: tuple[float, float]
    bleach: tuple[float, float]
    contrast: tuple[float, float]
    grain: tuple[float, float]


STYLES = (
    Style(
        name="amber",
        shadows=(-0.055, 0.02, 0.06),
        lights=(0.075, 0.02, -0.075),
        key=(1.0, 0.74, 0.48),
        rim=(0.55, 0.82, 1.0),
        streak=(0.4, 0.6, 1.0),
        grade=(0.5, 1.3),
        saturation=(0.85, 1.2),
        bleach=(0.0, 0.1),
        contrast=(-0.3, 0.25),
        grain=(0.003, 0.017),
    ),
    Style(
        name="cobalt",
        shadows=(-0.03, 0.0, 0.07),
        lights=(-0.03, 0.01, 0.03),
        key=(0.72, 0.86, 1.0),
        rim=(1.0, 0.8, 0.58),
        streak=(0.3, 0.55, 1.0),
        grade=(0.4, 1.2),
        saturation=(0.6, 0.95),
        bleach=(0.0, 0.25),
        contrast=(-0.3, 0.2),
        grain=(0.003, 0.017),
    ),
    Style(
        name="silver",
        shadows=(-0.01, 0.005, 0.02),
        lights=(0.02, 0.012, -0.015),
        key=(1.0, 0.95, 0.88),
        rim=(0.92, 0.96, 1.0),
        streak=(0.9, 0.85, 0.8),
        grade=(0.3, 1.0),
        saturation=(0.55, 0.85),
        bleach=(0.35, 0.75),
        contrast=(-0.2, 0.4),
        grain=(0.003, 0.02),
    ),
)


@dataclass(frozen=True)
class Stock:
    """One recording's lens and film: shares in [0, 1], `ratio` of the picture between the bars.

    `level` is the mean radiance after exposure, `adaptation` how far a dark scene is lifted to
    it, `haze_per_m` the smoke in the set's air.
    """

    ratio: float | None
    level: float
    adaptation: float
    softness_px: float
    haze_per_m: float
    vignette: float
    bloom: float
    halation: float
    streak: float
    grade: float
    saturation: float
    bleach: float
    contrast: float
    lift: float
    grain: float
    grain_px: float


def draw_stock(rng: np.random.Generator, style: Style) -> Stock:
    """Draw the lens and film of one recording of a production."""
    return Stock(
        ratio=damage.draw_ratio(rng),
        level=rng.uniform(0.07, 0.19),
        adaptation=rng.uniform(0.7, 0.97),
        softness_px=rng.uniform(0.4, 0.65),
        haze_per_m=rng.uniform(0.004, 0.02) if rng.random() < 0.5 else 0.0,
        vignette=rng.uniform(0.0, 0.2),
        bloom=rng.uniform(0.02, 0.08),
        halation=rng.uniform(0.0, 0.12),
        streak=rng.uniform(0.3, 1.2) if rng.random() < 0.5 else 0.0,
        grade=rng.uniform(*style.grade),
        saturation=rng.uniform(*style.saturation),
        bleach=rng.uniform(*style.bleach),
        contrast=rng.uniform(*style.contrast),
        lift=rng.uniform(0.0, 0.06),
        grain=rng.uniform(*style.grain),
        grain_px=rng.uniform(0.45, 0.8),
    )


def picture_height(stock: Stock, width: int, height: int) -> int:
    """Return the height in pixels between the letterbox bars, even and at most `height`."""
    return height if stock.ratio is None else damage.picture_height(stock.ratio, width, height)


def expose(stock: Stock, picture: Array, people: NDArray[np.bool_]) -> float:
    """Return the factor on radiance that suits a (H, W, 3) picture of `people` (H, W).

    People weigh as much as everything else; a dark scene stays partly dark.
    """
    luma = np.einsum("yxc,c->yx", picture, LUMA)
    luma = np.minimum(luma, np.percentile(luma, 95))
    mean = float(np.sqrt(luma.mean() * luma[people].mean())) + 1e-5
    wanted = stock.level / float(mean**stock.adaptation * _REFERENCE ** (1 - stock.adaptation))
    return min(wanted, _HIGHEST / (float(np.percentile(luma, 85)) + 1e-5))


def clear_sparks(radiance: Array, people: NDArray[np.bool_]) -> Array:
    """Calm the noise of few samples: odd pixels, glints, and lamp light on `people` (H, W)."""
    around = cv2.medianBlur(np.ascontiguousarray(radiance), 3)
    calm = np.clip(radiance, np.float32(0.6) * around, np.float32(1.7) * around)
    wider = np.float32(2) * cv2.medianBlur(np.ascontiguousarray(calm), 5)
    calm = np.where(people[..., None], calm, np.minimum(calm, wider))
    share = people[..., None].astype(np.float32)
    soft = cv2.GaussianBlur(calm * share, (0, 0), _PEOPLE_BLUR_PX)
    weight = np.maximum(cv2.GaussianBlur(share, (0, 0), _PEOPLE_BLUR_PX), 1e-4)[..., None]
    return np.asarray(calm + share * _PEOPLE_BLUR_SHARE * (soft / weight - calm), np.float32)


def confusion(depth: Array, aperture_m: float, focus_m: float, pixels_per_radian: float) -> Array:
    """Return the (H, W) radius in pixels of the circle of confusion of a thin lens."""
    radius = np.abs(1 / np.float32(focus_m) - 1 / np.maximum(depth, np.float32(0.05)))
    return np.asarray(radius * np.float32(aperture_m * pixels_per_radian), np.float32)


def smooth_defocus(radiance: Array, circle: Array) -> Array:
    """Blur what the lens has blurred already, so that few samples suffice.

    Pixels in focus neither change nor leak into their surroundings.
    """
    calm = cv2.blur(cv2.medianBlur(np.ascontiguousarray(circle), 3), (3, 3))
    share = np.clip((calm - np.float32(_FOCUSED_PX)) / np.float32(1.2), 0, 1)[..., None]
    if not share.any():
        return radiance
    sigma = float(np.clip(0.5 * np.percentile(calm, 80), 0.7, _DEEPEST_BLUR_PX / 2))
    soft = cv2.GaussianBlur(radiance * share, (0, 0), sigma)
    weight = cv2.GaussianBlur(share, (0, 0), sigma)[..., None]
    return np.asarray(
        radiance * (1 - share) + share * soft / np.maximum(weight, np.float32(1e-4)), np.float32
    )


def add_haze(radiance: Array, depth: Array, per_m: float, light: NDArray[np.float64]) -> Array:
    """Mix in the light (3,) that smoke in the air scatters, more with distance."""
    share = 1 - np.exp(-np.minimum(depth, 30) * np.float32(per_m))[..., None]
    return np.asarray(radiance * (1 - share) + share * light.astype(np.float32), np.float32)


class FilmLab:
    """Develops frames of (H, W, 3) linear radiance on one stock, graded in one style."""

    def __init__(
        self, rng: np.random.Generator, style: Style, stock: Stock, width: int, height: int
    ) -> None:
        self._rng, self._style, self._stock = rng, style, stock
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        radius = np.hypot(x - width / 2, y - height / 2) / (width / 2)
        self._vignette = ((1 + stock.vignette * radius**2) ** -2)[..., None].astype(np.float32)
        self._grain = [self._grain_field(width, height) for _ in range(_NUM_GRAIN_FIELDS)]

    def _grain_field(self, width: int, height: int) -> Array:
        field = self._rng.standard_normal((height, width, 3), np.float32)
        grey = field.mean(2, keepdims=True) * np.float32(np.sqrt(3))
        mixed = np.float32(0.75) * grey + np.float32(0.25) * field
        mixed = cv2.GaussianBlur(mixed, (0, 0), self._stock.grain_px)
        return np.asarray(mixed / mixed.std(), np.float32)

    def develop(self, radiance: Array, exposure: float) -> Array:
        """Return the display picture (H, W, 3) in [0, 1]."""
        image = self._optics(radiance * np.float32(exposure))
        # The curve of Narkowicz, "ACES filmic tone mapping curve", 2016.
        a, b, c, d, e = (np.float32(x) for x in (2.51, 0.03, 2.43, 0.59, 0.14))
        toned = np.clip(image * (a * image + b) / (image * (c * image + d) + e), 0, 1)
        display = np.asarray(toned ** np.float32(1 / 2.2), np.float32)
        return np.clip(self._add_grain(self._grade(display)), 0, 1)

    def _optics(self, image: Array) -> Array:
        """Soften, and let highlights glow, redden the film's back and streak sideways."""
        stock, width = self._stock, image.shape[1]
        image = cv2.GaussianBlur(image, (0, 0), stock.softness_px) * self._vignette
        bright = np.clip(image - _HIGHLIGHT, 0, _BRIGHTEST)
        if bright.any():
            glow = cv2.GaussianBlur(bright, (0, 0), 0.012 * width)
            image = image + glow * _HALATION * np.float32(stock.halation)
            if stock.streak > 0:
                hottest = np.clip(bright - np.float32(3), 0, 7).mean(2, keepdims=True)
                streak = cv2.GaussianBlur(hottest, (0, 0), sigmaX=0.1 * width, sigmaY=0.7)
                colour = np.array(self._style.streak, np.float32) * np.float32(stock.streak)
                image = image + streak[..., None] * colour
        bloom = cv2.GaussianBlur(np.minimum(image, _BRIGHTEST), (0, 0), 0.03 * width)
        return np.asarray(image + (bloom - image) * np.float32(stock.bloom), np.float32)

    def _grade(self, picture: Array) -> Array:
        stock, style = self._stock, self._style
        luma = np.einsum("yxc,c->yx", picture, LUMA)[..., None]
        colour = np.float32(stock.saturation * (1 - stock.bleach))
        picture = luma + (picture - luma) * colour
        middle = picture - np.float32(0.5)
        contrast = np.float32(stock.contrast + 0.4 * stock.bleach)
        picture = picture + contrast * middle * (1 - np.abs(2 * middle))
        shadows, lights = (np.array(x, np.float32) for x in (style.shadows, style.lights))
        split = shadows * (1 - luma) ** 2 + lights * 4 * luma * (1 - luma)
        picture = picture + split * np.float32(stock.grade)
        return np.asarray(picture * np.float32(1 - stock.lift) + np.float32(stock.lift), np.float32)

    def _add_grain(self, picture: Array) -> Array:
        rng, (height, width) = self._rng, picture.shape[:2]
        field = self._grain[rng.integers(_NUM_GRAIN_FIELDS)]
        field = np.roll(field, (int(rng.integers(height)), int(rng.integers(width))), (0, 1))
        field = field[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        luma = np.einsum("yxc,c->yx", picture, LUMA)[..., None]
        strength = np.float32(self._stock.grain) * (np.float32(0.4) + 2.4 * luma * (1 - luma))
        return np.asarray(picture + field * strength, np.float32)


def letterbox(picture: Array, height: int) -> Array:
    """Centre a picture between black bars."""
    spare = height - len(picture)
    return np.pad(picture, ((spare // 2, spare - spare // 2), (0, 0), (0, 0)))


def refuse_blank(frames: NDArray[np.uint8]) -> None:
    """Check that a film, uint8 (T, H, W, 3), shows something.

    Raises:
        UnusableDraw: `blank`, where nearly all is dark, or of one grey.
    """
    if float(frames.std(axis=(1, 2, 3)).mean()) < _BLANK_DEVIATION:
        raise UnusableDraw("blank")
