"""Gains that follow a signal: automatic gain, compression, limiting, noise reduction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from pipeline.engines.acoustics.scene import AutomaticGain
from pipeline.engines.acoustics.signals import RATE_HZ

Vector = NDArray[np.float64]

BLOCK = 48
"""Samples of a block, 1 ms, in which levels are taken."""
_SETTLED_S = 0.05
_WINDOW, _HOP = 960, 480
_FLOOR_RISE_DB_S = 4.0
_OVER = 3.0
"""By how much more is taken than the floor, which follows the quiet moments."""


def envelope(wave: Vector, attack_s: float, release_s: float) -> Vector:
    """Level of a signal in blocks of 1 ms, (N / 48,), by rise and fall of first order from 0.

    Args:
        wave: any signal.
        attack_s: in which the level rises by 63 %.
        release_s: in which it falls by as much.
    """
    levels = _levels(wave)
    rise = -np.expm1(-BLOCK / RATE_HZ / attack_s)
    fall = -np.expm1(-BLOCK / RATE_HZ / release_s)
    held, out = 0.0, np.empty(len(levels))
    for number, level in enumerate(levels.tolist()):
        held += (rise if level > held else fall) * (level - held)
        out[number] = held
    return out


def automatic(wave: Vector, agc: AutomaticGain) -> Vector:
    """A signal under automatic gain, settled on what is heard at first.

    What follows is the gain, as data sheets define it, and not a level that is far over the target
    within a millisecond: too high, it falls by 63 % of the way in `attack_s`, which is 8.7 dB at
    most, so that a bang is over before an attack of some milliseconds has pulled it far down. It
    stays for `hold_s` after it last fell, and rises by 8.7 dB in `release_s`. Below its lowest it
    cannot go: what is louder stays so, and leaves no longer hush.
    """
    target = 10 ** (agc.target_dbfs / 20)
    lowest, highest = 10 ** (agc.least_db / 20), 10 ** (agc.most_db / 20)
    levels = _levels(wave)
    wanted = np.clip(target / levels, lowest, highest)
    first = levels[: round(_SETTLED_S * RATE_HZ / BLOCK)]
    gain = float(np.clip(target / np.median(first), lowest, highest))
    fall, rise = -np.expm1(-BLOCK / RATE_HZ / agc.attack_s), np.exp(BLOCK / RATE_HZ / agc.release_s)
    waits = left = round(agc.hold_s * RATE_HZ / BLOCK)
    out = np.empty(len(levels))
    for number, aim in enumerate(wanted.tolist()):
        if aim < gain:
            gain += fall * (aim - gain)
            left = waits
        elif left > 0:
            left -= 1
        else:
            gain = min(aim, gain * rise)
        out[number] = gain
    return wave * _spread(out, len(wave))


def compress(
    wave: Vector, threshold: float, ratio: float, attack_s: float, release_s: float
) -> Vector:
    """A signal whose level above a threshold rises `ratio` times more slowly."""
    level = envelope(wave, attack_s, release_s)
    gain = np.maximum(level / threshold, 1.0) ** (1 / ratio - 1)
    return wave * _spread(gain, len(wave))


def limit(wave: Vector, ceiling: float, look_s: float = 0.004, release_s: float = 0.12) -> Vector:
    """A signal that stays below a ceiling: the gain falls before a peak, and recovers after it."""
    reach = max(1, int(look_s * RATE_HZ))
    peak = ndimage.maximum_filter1d(np.abs(wave), 2 * reach + 1)
    count = -(-len(wave) // BLOCK)
    tops = np.pad(peak, (0, count * BLOCK - len(wave))).reshape(count, BLOCK).max(axis=1)
    fall = np.exp(-BLOCK / RATE_HZ / release_s)
    held, out = 0.0, np.empty(count)
    for number, top in enumerate(tops.tolist()):
        held = max(top, held * fall)
        out[number] = held
    gain = np.minimum(1.0, ceiling / np.maximum(out, 1e-12))
    return np.clip(wave * _spread(gain, len(wave)), -ceiling, ceiling)


def reduce_noise(wave: Vector, most_db: float) -> Vector:
    """A signal without what sounds steadily, as processing for speech leaves it.

    In each frequency of windows of 20 ms the level of what is steady falls with the signal at once
    and rises by 4 dB a second; a Wiener gain of that takes `most_db` at most. It keeps the onsets
    of discharges and eats their echoes.
    """
    if most_db <= 0 or len(wave) < _WINDOW:
        return wave
    window = np.hanning(_WINDOW + 1)[:-1]
    transform = signal.ShortTimeFFT(window, _HOP, RATE_HZ)
    spectrum = transform.stft(wave)
    power = ndimage.uniform_filter1d(np.abs(spectrum) ** 2, 5, axis=0, mode="nearest")
    steady = signal.lfilter([0.15], [1, -0.85], power, axis=1, zi=0.85 * power[:, :1])[0]
    rise = 10 ** (_FLOOR_RISE_DB_S * _HOP / RATE_HZ / 10)
    floor, floors = np.median(power[:, :10], axis=1), np.empty_like(power)
    for number in range(power.shape[1]):
        floor = np.minimum(np.maximum(steady[:, number], 1e-20), floor * rise)
        floors[:, number] = floor
    gain = np.maximum(1 - _OVER * floors / np.maximum(power, 1e-20), 10 ** (-most_db / 20))
    gain[:, 1:] = np.maximum(gain[:, 1:], 0.6 * gain[:, :-1])
    return np.asarray(transform.istft(spectrum * gain, k1=len(wave)).real)


def _levels(wave: Vector) -> Vector:
    """RMS in blocks, (N / 48,), above 0."""
    count = -(-len(wave) // BLOCK)
    blocks = np.pad(wave, (0, count * BLOCK - len(wave))).reshape(count, BLOCK)
    return np.asarray(np.sqrt(np.mean(blocks**2, axis=1)) + 1e-9)


def _spread(gain: Vector, count: int) -> Vector:
    """Gains of blocks at every sample."""
    return np.interp(np.arange(count), np.arange(len(gain)) * BLOCK, gain)
