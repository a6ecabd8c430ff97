"""What a place, the wind and who wears a microphone sound like while nothing happens."""

from __future__ import annotations

import numpy as np

from pipeline.engines.acoustics.room import Room
from pipeline.engines.acoustics.scene import Ambience, Footsteps, SoundScene
from pipeline.engines.acoustics.signals import (
    RATE_HZ,
    Vector,
    add,
    band,
    burst,
    generator,
    modes,
    num_samples,
    pascal,
    rms,
    shaped_noise,
    slow_noise,
)
from pipeline.engines.acoustics.sources.voice import babble

_WIND_HZ = 200.0
_WIND_DB, _WIND_DB_DOUBLING = 62.0, 12.0
"""Level of the wind at 1 m/s, and by how much it rises when the speed doubles."""
_LONGEST_BABBLE_S, _FADE_S = 20.0, 0.5
"""Of voices that nobody can follow so much is made, and repeated: it costs more than all else."""
_RUSTLE_DB = 82.0
_STEP_CREST_DB = 18.0
_SURFACES = {
    "concrete": (56.0, 90.0, 2600.0, 0.018),
    "gravel": (64.0, 800.0, 7000.0, 0.09),
    "grass": (48.0, 300.0, 4500.0, 0.08),
    "wood": (60.0, 70.0, 1300.0, 0.03),
    "carpet": (44.0, 60.0, 700.0, 0.025),
}
"""Level of a step in dB at the microphone, its band in Hz and its decay in seconds."""


def ambience(scene: SoundScene) -> Vector:
    """Pressure at the microphone (N,) without any event."""
    said, seed, count = scene.ambience, scene.seed, num_samples(scene.duration_s)
    total = pascal(said.hush_db) * hush(generator(seed, "hush"), count)
    if said.wind_m_s > 0:
        total += wind(generator(seed, "wind"), count, said.wind_m_s)
    if said.hum_db > 0:
        total += pascal(said.hum_db) * hum(generator(seed, "hum"), count)
    if said.babble_db > 0:
        voices = babble(generator(seed, "babble"), min(scene.duration_s, _LONGEST_BABBLE_S))
        total += pascal(said.babble_db) * _repeated(voices, count)
    total += steps(generator(seed, "steps"), count, said.gait)
    if said.cloth > 0:
        total += cloth(generator(seed, "cloth"), count, said)
    return total


def _repeated(wave: Vector, count: int) -> Vector:
    """A sound (N,) over and over, each time faded into the next, as (count,)."""
    if len(wave) >= count:
        return wave[:count]
    fade = round(_FADE_S * RATE_HZ)
    rise = np.sin(np.linspace(0, np.pi / 2, fade))
    part = wave.copy()
    part[:fade] *= rise
    part[-fade:] *= rise[::-1]
    total = np.zeros(count)
    for start in range(0, count, len(wave) - fade):
        add(total, part, start)
    return total


def draw(rng: np.random.Generator, room: Room, gait: Footsteps | None = None) -> Ambience:
    """What a room or an open place may sound like, of 30 to 65 dB, in half of the open with wind.

    Args:
        rng: draws it.
        room: indoors nothing blows, machines hum in half of the rooms.
        gait: of who wears the microphone; in four of ten their clothes are heard.
    """
    indoors = room.size_m is not None
    return Ambience(
        hush_db=rng.uniform(30, 55) if indoors else rng.uniform(40, 65),
        wind_m_s=0.0 if indoors or rng.random() < 0.5 else rng.uniform(0.5, 4),
        hum_db=rng.uniform(30, 50) if indoors and rng.random() < 0.5 else 0.0,
        babble_db=rng.uniform(40, 55) if rng.random() < 0.2 else 0.0,
        cloth=rng.uniform(0, 0.6) if rng.random() < 0.4 else 0.0,
        gait=gait or Footsteps(),
    )


def hush(rng: np.random.Generator, count: int) -> Vector:
    """The noise of a place (N,), of RMS 1: falling by 3 to 8 dB an octave, and never steady."""
    fall = rng.uniform(0.5, 1.3)

    def gain(frequency: Vector) -> Vector:
        f = np.maximum(frequency, 1.0)
        return np.asarray((f / 100) ** -fall / np.sqrt(1 + (30 / f) ** 4))

    wave = shaped_noise(rng, count, gain)
    wave *= np.clip(1 + 0.25 * slow_noise(rng, count, 0.05, 1.0), 0.3, 3)
    return wave / max(rms(wave), 1e-12)


def wind(rng: np.random.Generator, count: int, speed_m_s: float) -> Vector:
    """Turbulence at an unshielded microphone in pascal, (N,).

    Its power falls with f^(-5/3) up to 200 Hz and faster above, and gusts come 0.3 to 3 times a
    second; the level rises by 12 dB when the speed doubles (Strasberg, 1988).
    """

    def gain(frequency: Vector) -> Vector:
        f = np.maximum(frequency, 1.0)
        fall = (f / 20) ** (-5 / 6) / (1 + (f / _WIND_HZ) ** 1.5)
        return np.asarray(fall / np.sqrt(1 + (8 / f) ** 4))

    wave = shaped_noise(rng, count, gain)
    level = _WIND_DB + _WIND_DB_DOUBLING * np.log2(max(speed_m_s, 0.1))
    gusts = np.exp(0.6 * slow_noise(rng, count, 0.3, 3.0))
    return pascal(level) * gusts * wave / max(rms(wave), 1e-12)


def hum(rng: np.random.Generator, count: int) -> Vector:
    """Mains, fans and machines (N,), of RMS 1: harmonics of 50 or 60 Hz and a little noise."""
    time_s = np.arange(count) / RATE_HZ
    base = float(rng.choice([50.0, 60.0]))
    wave = 0.3 * shaped_noise(rng, count, band(80, 600))
    for harmonic in (1, 2, 3, 4, 6, 8):
        strength, phase = rng.uniform(0.1, 1) / harmonic**0.7, rng.uniform(0, 6.28)
        wave += strength * np.sin(2 * np.pi * base * harmonic * time_s + phase)
    return wave / max(rms(wave), 1e-12)


def steps(rng: np.random.Generator, count: int, gait: Footsteps) -> Vector:
    """Footsteps of the wearer in pascal, (N,): heel, then sole."""
    total = np.zeros(count)
    level, low, high, decay = _SURFACES[gait.surface]
    for time_s in gait.times_s:
        strength = pascal(level + _STEP_CREST_DB + (6 if gait.running else 0) + rng.normal(0, 2))
        heel = burst(rng, 0.2, decay * rng.uniform(0.7, 1.3), low, high, 1e-3)
        heel += 0.5 * modes(rng, 0.2, rng.uniform(60, 220, 3), rng.uniform(0.01, 0.03, 3))
        sole = 0.5 * burst(rng, 0.2, 1.6 * decay, 1.5 * low, 1.4 * high, 8e-3)
        start = round(time_s * RATE_HZ)
        add(total, strength * heel, start)
        add(total, strength * sole, start + round(rng.uniform(0.06, 0.13) * RATE_HZ))
    return total


def cloth(rng: np.random.Generator, count: int, said: Ambience) -> Vector:
    """Clothes that rub against a microphone in pascal, (N,), in step and now and then."""
    total = np.zeros(count)
    length_s = count / RATE_HZ
    now_and_then = rng.uniform(0, length_s, rng.poisson(0.8 * said.cloth * length_s)).tolist()
    for time_s in [*said.gait.times_s, *now_and_then]:
        for _ in range(int(rng.integers(1, 4))):
            lasts = rng.uniform(0.005, 0.08)
            rub = burst(rng, 4 * lasts, lasts, 200, rng.uniform(1500, 4000), 0.4 * lasts)
            level = pascal(_RUSTLE_DB + 12 * np.log10(max(said.cloth, 0.01)) + rng.normal(0, 4))
            delay = time_s + rng.uniform(-0.05, 0.15)
            add(total, level * rub, round(delay * RATE_HZ))
    return total
