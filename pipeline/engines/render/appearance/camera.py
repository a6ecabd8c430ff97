"""Optics, sensor and image processor of a body camera: linear radiance in, 8-bit frames out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.fleet import CameraProfile

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

LUMA = np.array((0.25, 0.6, 0.15), np.float32)
_SHORTEST_EXPOSURE_MS = 0.15
_UNIT_EXPOSURE = 0.0125
_AE_DELAY_FRAMES = 2
_NUM_NOISE_FIELDS = 4
_NUM_GHOSTS = 4


def _luma(image: Array) -> Array:
    return np.asarray(np.einsum("yxc,c->yx", image, LUMA), np.float32)


def _mean(image: Array) -> Array:
    """Mean of the three channels, several times as fast as numpy's over a short axis."""
    total = image[..., 0] + image[..., 1] + image[..., 2]
    return np.asarray(total / np.float32(3), np.float32)


def _blur(image: Array, sigma: float) -> Array:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def _resize(image: Array, size: tuple[int, int]) -> Array:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _draw_ghost(rng: np.random.Generator, width: int, height: int) -> tuple[Vector, Array]:
    """Draw how a ghost maps the picture about its centre, and its RGB share."""
    scale = rng.choice([-1.0, 1.0], p=[0.7, 0.3]) * np.exp(rng.uniform(np.log(0.3), np.log(1.6)))
    matrix = np.array(
        [[scale, 0, width / 2 * (1 - scale)], [0, scale, height / 2 * (1 - scale)]], np.float64
    )
    tint = rng.uniform(0.2, 1.0, 3) * rng.uniform(0.3, 1.0) / scale**2
    return matrix, tint.astype(np.float32)


class AutoExposure:
    """Follows the scene a few frames late: exposure lengthens first, then gain rises."""

    def __init__(self, profile: CameraProfile, width: int, height: int, first: Array) -> None:
        self._profile = profile
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        across, down = (x - width / 2) / (width * 0.38), (y - height * 0.55) / (height * 0.42)
        self._weight = np.exp(-(across**2) - down**2)
        self._limit = np.log(_UNIT_EXPOSURE * profile.longest_exposure_ms * profile.largest_gain)
        wanted = self._wanted(_resize(first, (width, height)))
        self._value = min(wanted + profile.exposure_bias, self._limit)
        self._pending = [wanted] * (_AE_DELAY_FRAMES + 1)

    def _wanted(self, radiance: Array) -> float:
        luma = _luma(radiance)
        bright, brightest = np.percentile(luma, (90, 97))
        mean = float((np.minimum(luma, brightest) * self._weight).sum() / self._weight.sum())
        wanted = min(
            np.log(self._profile.target_level / (mean + 1e-6)), np.log(0.62 / (bright + 1e-6))
        )
        return float(min(wanted, self._limit))

    def settings(self) -> tuple[float, float]:
        """Return the exposure in ms and the gain for the next frame."""
        total = float(np.exp(self._value)) / _UNIT_EXPOSURE
        exposure = float(np.clip(total, _SHORTEST_EXPOSURE_MS, self._profile.longest_exposure_ms))
        return exposure, max(total / exposure, 1.0)

    def observe(self, radiance: Array, frame_s: float) -> None:
        """Take a frame's radiance into account."""
        self._pending = [*self._pending[1:], self._wanted(radiance)]
        wanted = self._pending[0]
        speed = 0.6 if wanted < self._value else 1.3
        share = 1 - np.exp(-frame_s / (self._profile.adaptation_s * speed))
        self._value = min(self._value + (wanted - self._value) * share, self._limit)


class SensorCamera:
    """One camera's optics, sensor and image processor, with its memory of the last frame."""

    def __init__(
        self, rng: np.random.Generator, profile: CameraProfile, width: int, height: int
    ) -> None:
        self._rng, self._profile, self._size = rng, profile, (width, height)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        radius = np.hypot(x - width / 2, y - height / 2) / (width / 2)
        self._vignette = ((1 + profile.vignette * radius**2) ** -2)[..., None].astype(np.float32)
        self._colour_maps = [
            ((x - width / 2) * (1 + k) + width / 2, (y - height / 2) * (1 + k) + height / 2)
            for k in (profile.aberration, -profile.aberration)
        ]
        smear = _blur(rng.random((height // 6 + 1, width // 6 + 1), np.float32), 2.0)
        smear = _resize(smear, self._size)
        smear = np.clip((smear - smear.mean()) / smear.std() - 1.2, 0, 1)
        self._dirt = (smear * profile.dirt)[..., None].astype(np.float32)
        self._fixed_rows = rng.standard_normal((height, 1, 1), np.float32)
        self._fixed_pixels = rng.standard_normal((height, width, 1), np.float32)
        self._noise_fields = [self._noise_field() for _ in range(_NUM_NOISE_FIELDS)]
        self._drift = np.zeros(2)
        self._hunt_hz, self._hunt_phase = rng.uniform(0.1, 0.5), rng.uniform(0, 6)
        self._ghosts = [_draw_ghost(rng, width // 4, height // 4) for _ in range(_NUM_GHOSTS)]
        self._error = self._balance_error(0.0)
        self._previous: Array | None = None

    def _noise_field(self) -> tuple[Array, Array]:
        """Draw fine and blotchy noise; frames use them rolled and flipped at random."""
        width, height = self._size
        fine = self._rng.standard_normal((height, width, 3), np.float32)
        coarse = self._rng.standard_normal((height // 3, width // 3, 3), np.float32)
        blotches = _resize(coarse, self._size)
        return _blur(fine, 0.55) * np.float32(1.6), blotches

    def optics(self, radiance: Array) -> Array:
        """Apply aberration, blur, flare, veiling glare, bloom, dirt and vignette."""
        profile, (width, height) = self._profile, self._size
        red, blue = (
            cv2.remap(
                np.ascontiguousarray(radiance[..., channel]),
                *self._colour_maps[channel // 2],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for channel in (0, 2)
        )
        image = _blur(np.dstack([red, radiance[..., 1], blue]), profile.psf_px)
        small = np.asarray(
            cv2.resize(image, (width // 4, height // 4), interpolation=cv2.INTER_AREA), np.float32
        )
        veil = cv2.resize(_blur(small, width / 4 * 0.07), self._size)
        glow = cv2.resize(_blur(small, width / 4 * 0.014), self._size)
        image = image * np.float32(1 - profile.veil - profile.bloom)
        image += cv2.resize(self._flare(small), self._size)
        image += veil * np.float32(profile.veil) + glow * np.float32(profile.bloom)
        image = image * (1 - np.float32(0.35) * self._dirt) + veil * (np.float32(0.5) * self._dirt)
        return np.asarray(image * self._vignette, np.float32)

    def _flare(self, small: Array) -> Array:
        """Return the ghosts that reflections between lenses make: the picture, mirrored."""
        size = small.shape[1], small.shape[0]
        total = np.zeros_like(small)
        for matrix, tint in self._ghosts:
            total += cv2.warpAffine(small, matrix, size, flags=cv2.INTER_LINEAR) * tint
        return _blur(total, 1.2) * np.float32(self._profile.flare)

    def expose(
        self, image: Array, exposure_ms: float, gain: float, start_s: float, readout_s: float
    ) -> Array:
        """Apply exposure, mains flicker, colour cast and noise; returns values in [0, 1]."""
        profile, rng, height = self._profile, self._rng, image.shape[0]
        signal = image * np.float32(exposure_ms * gain * _UNIT_EXPOSURE)
        if profile.flicker > 0:
            seconds = exposure_ms / 1000
            rows = start_s + readout_s * np.arange(height) / height + seconds / 2
            depth = profile.flicker * np.sinc(profile.mains_hz * seconds)
            wave = 1 + depth * np.cos(2 * np.pi * profile.mains_hz * rows)
            signal *= wave[:, None, None].astype(np.float32)
        self._drift += rng.normal(size=2) * 0.002 - 0.01 * self._drift
        self._error = self._balance_error(start_s)
        cast = np.array(profile.cast) * (1 + self._drift[0], 1, 1 + self._drift[1])
        signal *= cast.astype(np.float32)
        photon_noise = np.maximum(signal, 0) * np.float32(gain / profile.full_well)
        sigma = np.sqrt(
            photon_noise + np.float32((9 * profile.read_noise * gain / profile.full_well) ** 2)
        )
        level = float(sigma.mean())
        flicker_rows = rng.standard_normal((height, 1, 1), np.float32)
        banding = np.float32(0.1) * self._fixed_rows + np.float32(0.12) * flicker_rows
        pattern = banding + np.float32(0.12) * self._fixed_pixels
        noisy = signal + sigma * self._noise(gain) + pattern * np.float32(level)
        return np.clip(noisy, 0, 1)

    def _balance_error(self, time_s: float) -> Vector:
        """Return how far the white balance is off, as logarithms of the red and blue gain."""
        profile = self._profile
        settling = np.array(profile.balance_error) * np.exp(-time_s / profile.balance_s)
        hunt = np.sin(2 * np.pi * self._hunt_hz * time_s + self._hunt_phase)
        return np.asarray(settling + profile.balance_hunt * hunt * np.array((1, -1)))

    def _noise(self, gain: float) -> Array:
        rng, (width, height) = self._rng, self._size
        fine, blotches = self._noise_fields[rng.integers(_NUM_NOISE_FIELDS)]
        shift = int(rng.integers(height)), int(rng.integers(width))
        fine = np.roll(fine, shift, (0, 1))[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        blotches = np.roll(blotches, shift[::-1], (0, 1))
        grey = _mean(blotches)[..., None]
        colour = np.float32(0.75 * min(1.0, gain / 6))
        return np.asarray(
            fine * np.float32(0.75) + (blotches - grey) * colour + grey * np.float32(0.25)
        )

    def develop(self, signal: Array, gain: float) -> Array:
        """Denoise, balance, tone-map and sharpen; returns display values in [0, 1]."""
        profile = self._profile
        image = self._denoise_over_time(signal, gain)
        red, blue = np.exp(self._error)
        balance = np.array(profile.balance) / np.array(profile.cast) * (red, 1, blue)
        image = image * balance.astype(np.float32)
        luma = _luma(image)
        chroma = _blur(image - luma[..., None], min(2.2, 0.5 + gain / 14))
        softness = np.float32(0.5 * min(1.0, gain / 24))
        luma = luma * (1 - softness) + _blur(luma, 0.9) * softness
        saturation = profile.saturation * (1 - 0.55 * np.clip((gain - 10) / 40, 0, 1))
        image = np.maximum(luma[..., None] + chroma * np.float32(saturation), 0)
        shoulder = np.float32(profile.tone_shoulder)
        image = (image * (1 + shoulder) / (image + shoulder)) ** np.float32(1 / 2.2)
        middle = image - np.float32(0.5)
        image = image + np.float32(profile.contrast) * middle * (1 - np.abs(2 * middle))
        image = image * np.float32(1 - profile.black_level) + np.float32(profile.black_level)
        image += np.float32(profile.sharpening) * (image - _blur(image, 0.9))
        return np.clip(image, 0, 1)

    def _denoise_over_time(self, signal: Array, gain: float) -> Array:
        share = float(np.clip(self._profile.temporal_denoise * np.log2(gain + 1) / 5, 0, 0.6))
        previous, self._previous = self._previous, signal
        if previous is None or share < 0.02:
            return signal
        change = _blur(_mean(np.abs(signal - previous)), 1.2)
        tolerance = np.float32(0.02) + np.float32(0.04) * np.sqrt(_mean(previous))
        keep = (np.float32(share) * np.exp(-((change / tolerance) ** 2)))[..., None]
        self._previous = signal * (1 - keep) + previous * keep
        return self._previous
