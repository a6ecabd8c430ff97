"""Fleets of cameras: each a range of lenses, sensors, processing and on-screen text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fleet:
    """The ranges from which a camera of one make is drawn; pairs are (low, high)."""

    name: str
    mounts: tuple[str, ...]
    fov_deg: tuple[float, float]
    k1: tuple[float, float]
    readout_ms: tuple[float, float]
    full_well: tuple[float, float]
    tone_shoulder: tuple[float, float]
    saturation: tuple[float, float]
    sharpening: tuple[float, float]
    layouts: tuple[int, ...]

    @property
    def is_worn(self) -> bool:
        """Whether somebody who may carry a weapon wears the cameras."""
        return any(mount != "fixed" for mount in self.mounts)


FLEETS = (
    Fleet(
        name="alpha",
        mounts=("chest", "chest", "shoulder"),
        fov_deg=(112, 128),
        k1=(-0.04, -0.015),
        readout_ms=(18, 28),
        full_well=(3e4, 7e4),
        tone_shoulder=(0.35, 0.7),
        saturation=(0.75, 0.95),
        sharpening=(0.5, 1.1),
        layouts=(0, 1),
    ),
    Fleet(
        name="bravo",
        mounts=("chest", "head"),
        fov_deg=(98, 114),
        k1=(-0.03, 0.005),
        readout_ms=(12, 20),
        full_well=(6e4, 2e5),
        tone_shoulder=(0.6, 1.3),
        saturation=(0.9, 1.15),
        sharpening=(0.2, 0.6),
        layouts=(0, 4, 3),
    ),
    Fleet(
        name="charlie",
        mounts=("head", "shoulder", "hand"),
        fov_deg=(92, 106),
        k1=(-0.02, 0.01),
        readout_ms=(10, 18),
        full_well=(3e4, 1e5),
        tone_shoulder=(0.4, 1.0),
        saturation=(0.8, 1.1),
        sharpening=(0.3, 0.9),
        layouts=(3, 1),
    ),
    Fleet(
        name="delta",
        mounts=("chest",),
        fov_deg=(104, 122),
        k1=(-0.035, 0.0),
        readout_ms=(14, 26),
        full_well=(4e4, 1.2e5),
        tone_shoulder=(0.5, 1.1),
        saturation=(0.8, 1.05),
        sharpening=(0.3, 1.0),
        layouts=(2, 4),
    ),
    # Cameras on walls, poles and desks, and phones: without them, all that shakes little or has
    # a clean picture would be a game or a film.
    Fleet(
        name="echo",
        mounts=("fixed",),
        fov_deg=(58, 96),
        k1=(-0.02, 0.01),
        readout_ms=(8, 20),
        full_well=(3e4, 2e5),
        tone_shoulder=(0.5, 1.3),
        saturation=(0.7, 1.1),
        sharpening=(0.1, 0.8),
        layouts=(0, 1),
    ),
    Fleet(
        name="foxtrot",
        mounts=("hand", "hand", "fixed", "head"),
        fov_deg=(62, 82),
        k1=(-0.01, 0.01),
        readout_ms=(8, 18),
        full_well=(3e4, 2e5),
        tone_shoulder=(0.6, 1.4),
        saturation=(0.9, 1.25),
        sharpening=(0.2, 0.8),
        layouts=(3,),
    ),
    Fleet(
        name="golf",
        mounts=("fixed",),
        fov_deg=(96, 136),
        k1=(-0.04, 0.0),
        readout_ms=(10, 24),
        full_well=(3e4, 2e5),
        tone_shoulder=(0.4, 1.2),
        saturation=(0.75, 1.15),
        sharpening=(0.2, 0.9),
        layouts=(1, 2),
    ),
)
# Of the pixels of a sensor of 480 to 2,160 lines, some make one of the picture.
_BINNING = (1.5, 25.0)


@dataclass(frozen=True)
class CameraProfile:
    """One camera; times in ms, `cast` and `balance` are RGB gains, shares in [0, 1].

    `balance_error` (red, blue) is what the white balance is off at first and loses over
    `balance_s`; `balance_hunt` how far it wanders. `flare` is the light in each of its ghosts.
    """

    vignette: float
    aberration: float
    psf_px: float
    veil: float
    bloom: float
    flare: float
    dirt: float
    target_level: float
    exposure_bias: float
    longest_exposure_ms: float
    largest_gain: float
    adaptation_s: float
    flicker: float
    mains_hz: float
    cast: tuple[float, float, float]
    balance: tuple[float, float, float]
    balance_error: tuple[float, float]
    balance_s: float
    balance_hunt: float
    full_well: float
    read_noise: float
    temporal_denoise: float
    tone_shoulder: float
    contrast: float
    black_level: float
    saturation: float
    sharpening: float


def draw_camera(rng: np.random.Generator, fleet: Fleet, fps: float, indoors: bool) -> CameraProfile:
    """Draw one camera of a fleet; mains flicker only under lamps."""
    low, high = np.log(fleet.full_well)
    error = rng.normal(0, 0.2, 2) if rng.random() < 0.3 else np.zeros(2)
    return CameraProfile(
        vignette=rng.uniform(0.1, 0.32),
        aberration=rng.uniform(0.0005, 0.0025),
        psf_px=rng.uniform(0.42, 0.62),
        veil=rng.uniform(0.004, 0.035),
        bloom=rng.uniform(0.015, 0.06),
        flare=np.exp(rng.uniform(np.log(5e-4), np.log(1.2e-2))),
        dirt=rng.uniform(0, 0.5) if rng.random() < 0.4 else 0.0,
        target_level=np.exp(rng.uniform(np.log(0.04), np.log(0.2))),
        exposure_bias=rng.normal(0, 0.5) if rng.random() < 0.5 else 0.0,
        longest_exposure_ms=min(1000 / fps, 33.3) * rng.choice([0.5, 1.0]),
        largest_gain=float(rng.choice([16, 28, 48])),
        adaptation_s=rng.uniform(0.18, 0.6),
        flicker=rng.uniform(0.05, 0.35) if indoors and rng.random() < 0.5 else 0.0,
        mains_hz=float(rng.choice([100, 120])),
        cast=(rng.uniform(0.85, 1.1), 1.0, rng.uniform(0.8, 1.1)),
        balance=(rng.normal(1, 0.08), 1.0, rng.normal(1, 0.08)),
        balance_error=(float(error[0]), float(error[1])),
        balance_s=rng.uniform(0.5, 2.5),
        balance_hunt=rng.uniform(0.0, 0.05) if rng.random() < 0.5 else 0.0,
        full_well=float(np.exp(rng.uniform(low, high)) * _binning(rng)),
        read_noise=rng.uniform(0.5, 1.7),
        temporal_denoise=rng.uniform(0.2, 0.9),
        tone_shoulder=rng.uniform(*fleet.tone_shoulder),
        contrast=rng.uniform(0.0, 1.0),
        black_level=rng.uniform(0, 0.04) if rng.random() < 0.5 else 0.0,
        saturation=rng.uniform(*fleet.saturation) * rng.uniform(0.7, 1.4),
        sharpening=rng.uniform(*fleet.sharpening),
    )


def _binning(rng: np.random.Generator) -> float:
    """Draw how many pixels of the sensor make one of the picture: scaling down averages noise."""
    low, high = np.log(_BINNING)
    return float(np.exp(rng.uniform(low, high)))
