"""What a microphone and the electronics behind it make of pressure."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import signal

from pipeline.engines.acoustics.dynamics import automatic, reduce_noise
from pipeline.engines.acoustics.scene import AutomaticGain, Microphone
from pipeline.engines.acoustics.signals import RATE_HZ, Vector, pascal

Family = Literal["body", "phone", "fixed", "camcorder"]
FAMILIES: tuple[Family, ...] = ("body", "phone", "fixed", "camcorder")
_ATTACK_S = 1e-3, 0.125


def record(rng: np.random.Generator, microphone: Microphone, pressure_pa: Vector) -> Vector:
    """Samples in [-1, 1] at `RATE_HZ` of pressure in pascal, (N,) to (N,).

    Cloth and case come first, then the capsule, which cuts off what is too loud before any gain
    and adds its own noise; then the high-pass, noise reduction, gain, and full scale.

    Args:
        rng: draws the capsule's own noise.
        microphone: what records.
        pressure_pa: where the microphone is.
    """
    wave = _first_order(pressure_pa, microphone.low_pass_hz)
    overload = pascal(microphone.overload_db)
    wave = wave / overload
    wave = np.tanh(wave) if microphone.soft else np.clip(wave, -1, 1)
    wave = wave + pascal(microphone.noise_db) / overload * rng.standard_normal(len(wave))
    wave = _filtered(wave, microphone.high_pass_hz, "highpass")
    wave = reduce_noise(wave, microphone.noise_reduction_db)
    if microphone.agc is not None:
        wave = automatic(wave, microphone.agc)
    else:
        wave = wave * 10 ** (microphone.gain_db / 20)
    if microphone.band_hz is not None:
        low, high = microphone.band_hz
        wave = _filtered(_filtered(wave, low, "highpass"), high, "lowpass", order=6)
    wave = np.clip(wave, -1, 1)
    wave[: round(microphone.buffer_s * RATE_HZ)] = 0.0
    return wave


def draw(rng: np.random.Generator, family: Family) -> Microphone:
    """A microphone of a family; what all have in common is drawn from the same ranges.

    Body cameras are covered and overloaded, telephones take speech for what matters, fixed cameras
    are poor, and camcorders are free and loud. `buffer_s` stays 0, since only its user knows
    whether a recording begins before it was switched on.

    Automatic gain is that of converters in such devices, as their data sheets have it. In which the
    gain falls by 63 % of the way: 1.1 ms (MAX9814 with 0.47 µF), 2, 7.2, 31 or 123 ms (MAX98088),
    4.8 ms (WM8976, which falls by 6 dB in 3.3 ms unless told otherwise). It holds for 0.05 to 0.4 s
    before it recovers (MAX98088), and makes nothing quieter than by 12 dB (WM8976) or at all
    (TLV320AIC3104).
    """
    low_pass = {"body": (2_500, 12_000), "phone": (7_000, 17_000), "fixed": (4_000, 10_000)}
    overload = {"body": (116, 132), "phone": (118, 130), "fixed": (110, 124)}
    reduction = {"body": 0.35, "phone": 0.6, "fixed": 0.15}
    agc = None
    if rng.random() < 0.75:
        agc = AutomaticGain(
            target_dbfs=rng.uniform(-22, -14),
            most_db=rng.uniform(20, 38),
            attack_s=float(np.exp(rng.uniform(*np.log(_ATTACK_S)))),
            release_s=float(np.exp(rng.uniform(np.log(0.25), np.log(3.0)))),
            hold_s=float(np.exp(rng.uniform(np.log(0.05), np.log(0.4)))),
            least_db=rng.uniform(-12, 0),
        )
    return Microphone(
        overload_db=rng.uniform(*overload.get(family, (122, 138))),
        soft=bool(rng.random() < 0.5),
        noise_db=rng.uniform(26, 38),
        high_pass_hz=rng.uniform(40, 180),
        low_pass_hz=rng.uniform(*low_pass.get(family, (10_000, 18_000))),
        agc=agc,
        gain_db=rng.uniform(8, 32),
        noise_reduction_db=rng.uniform(6, 18) if rng.random() < reduction.get(family, 0) else 0.0,
        band_hz=(300.0, 3400.0) if family == "phone" and rng.random() < 0.1 else None,
    )


def _filtered(
    wave: Vector, edge_hz: float, kind: Literal["highpass", "lowpass"], order: int = 2
) -> Vector:
    sections = signal.butter(order, edge_hz, kind, fs=RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sections, wave))


def _first_order(wave: Vector, edge_hz: float) -> Vector:
    return _filtered(wave, edge_hz, "lowpass", order=1)
