"""Blasts and shocks of what is no firearm."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipeline.engines.acoustics.blast import blast, friedlander
from pipeline.engines.acoustics.bullet import n_wave
from pipeline.engines.acoustics.scene import SoundEvent
from pipeline.engines.acoustics.signals import (
    LEAD,
    RATE_HZ,
    add,
    band,
    burst,
    modes,
    normalised,
    num_samples,
    pascal,
    sample_pressure,
    shaped_noise,
    slow_noise,
    struck,
    times,
)
from pipeline.engines.acoustics.sources.emission import Emission, Vector
from pipeline.engines.acoustics.sources.impacts import crumpled

_SWING_S = 0.3
"""How long the thong of a whip is heard before it cracks."""


def balloon(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A balloon that bursts, 120 to 134 dB: an N-wave, blurred by the time that its skin needs.

    A sphere under pressure that is gone at once sends an N-wave of length 2 a / c (Deihl and
    others, 1968). Cracks run through latex at 570 m/s at most, one around a slack balloon, some
    forty through a tight one (Moulinet and Adda-Bedia, 2015), so that the front takes 0.05 to 0.9
    ms; then what is left of the skin flutters. Balloons of 9 and 15 inches are below and above
    137 dB at 0.5 m (Gomez-Agustina and others, 2025).
    """
    radius, peak = rng.uniform(0.1, 0.17), pascal(rng.uniform(120, 134))
    opens = rng.uniform(0.1, 1.0) * np.pi * radius / 570
    flutter = peak * rng.uniform(0.02, 0.05) * burst(rng, 0.12, rng.uniform(0.01, 0.03), 700, 6000)
    return [Emission(_opened(2 * radius / 343, opens, peak)), Emission(flutter, opens)]


def burst_bag(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A paper or plastic bag that is blown up and struck, 112 to 124 dB.

    It crackles as it is pressed, bursts along a seam of 0.1 to 0.2 m at 100 to 200 m/s, breathes
    out as a Helmholtz resonator of 1 to 8 l does, and crackles as it is torn and falls slack.
    """
    peak = pascal(rng.uniform(112, 124))
    seam, litres = rng.uniform(0.1, 0.2), rng.uniform(1.0, 8.0)
    opens = seam / rng.uniform(100, 200)
    # An opening half as wide as it is long, with the mass of the air before and behind it.
    area = 0.5 * seam * seam
    resonance = 343 / (2 * np.pi) * np.sqrt(area / (1e-3 * litres * 1.7 * np.sqrt(area / np.pi)))
    breath = _breathed(resonance, rng.uniform(0.15, 0.3), opens, peak)
    before, after = rng.uniform(0.05, 0.2), rng.uniform(0.1, 0.4)
    crackle = pascal(rng.uniform(88, 100))
    tear = 0.1 * peak * burst(rng, 0.15, rng.uniform(0.01, 0.03), 600, 8000, 1e-3)
    return [
        Emission(crackle * crumpled(rng, before), -before),
        Emission(breath),
        Emission(tear),
        Emission(crackle * crumpled(rng, after), opens),
    ]


def firecracker(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A firecracker on the ground: a blast of 140 to 152 dB at 1 m."""
    return [Emission(_bang(rng, 140, 152, 0.2e-3, 0.5e-3, distance_m), is_shock=True)]


def firecrackers(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A string of ten to forty firecrackers, which set off each other."""
    delays = np.cumsum(rng.exponential(0.06, int(rng.integers(10, 41))) + 0.01)
    return [
        Emission(_bang(rng, 132, 148, 0.15e-3, 0.4e-3, distance_m), float(delay), is_shock=True)
        for delay in delays
    ]


def rocket(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A firework in the sky: it whistles as it climbs, reports, and some crackle after."""
    emissions = [Emission(_bang(rng, 148, 160, 1.2e-3, 3e-3, distance_m), is_shock=True)]
    if rng.random() < 0.7:
        climb = rng.uniform(0.5, 1.4)
        since = times(climb)
        pitch = np.interp(since, [0, climb], rng.uniform([2200, 1200], [4200, 2400]))
        whistle = np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ + rng.uniform(0, 6))
        hiss = shaped_noise(rng, len(since), band(800, 9000))
        fade = np.sin(np.pi * np.clip(since / climb, 0, 1)) ** 0.5
        wave = pascal(rng.uniform(100, 112)) * fade * (whistle + 0.4 * hiss)
        emissions.append(Emission(wave, -climb - rng.uniform(0.05, 0.3)))
    if rng.random() < 0.7:
        crackle = np.zeros(num_samples(1.8) + LEAD)
        for delay in rng.exponential(0.35, int(rng.integers(30, 120))).tolist():
            add(crackle, _bang(rng, 118, 134, 0.1e-3, 0.3e-3, distance_m), round(delay * RATE_HZ))
        emissions.append(Emission(crackle, rng.uniform(0.15, 0.6)))
    return emissions


def fountain(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A fountain of sparks: hiss that flickers, and small crackles."""
    count = num_samples(event.duration_s) + LEAD
    hiss = shaped_noise(rng, count, band(1200, 9000))
    hiss *= pascal(rng.uniform(72, 84)) * np.clip(1 + 0.35 * slow_noise(rng, count, 3, 25), 0.1, 3)
    for start in rng.integers(0, count, int(25 * event.duration_s)).tolist():
        add(hiss, _bang(rng, 96, 114, 0.05e-3, 0.2e-3, distance_m), start)
    return [Emission(_faded(hiss, 0.05))]


def backfire(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """An engine that idles and backfires: one to three long, dull blasts from its exhaust pipe."""
    idle = engine(rng, event, distance_m)[0]
    emissions = [Emission(idle.wave, -0.4 * event.duration_s)]
    resonance = rng.uniform(70, 190)
    delay = 0.0
    for _ in range(int(rng.integers(1, 4))):
        length = rng.uniform(1.5e-3, 4e-3)
        front, decay = rng.uniform(1.5e-4, 5e-4), rng.uniform(0.7, 1.2)
        peak = pascal(rng.uniform(118, 132))
        wave = sample_pressure(
            partial(friedlander, positive_s=length, decay=decay, rise_s=front), 0.2
        )
        pipe = modes(rng, 0.2, resonance * np.array([1, 2, 3.1]), (0.012, 0.008, 0.005))
        gas = burst(rng, 0.2, 0.02, 150, 2500, 1e-3)
        emissions.append(Emission(peak * (wave + 0.3 * pipe + 0.25 * gas), delay))
        delay += rng.uniform(0.12, 0.6)
    return emissions


def engine(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """An engine that idles: puffs of 20 to 45 a second through an exhaust, 75 to 88 dB."""
    since = times(event.duration_s)
    rate = rng.uniform(20, 45)
    phase = 2 * np.pi * np.cumsum(rate * (1 + 0.02 * slow_noise(rng, len(since), 0.5, 4))) / RATE_HZ
    puffs = np.exp(3 * np.cos(phase)) + 0.4 * np.exp(3 * np.cos(phase / 2 + 1))
    wave = puffs - puffs.mean() + 2.5 * puffs * shaped_noise(rng, len(since), band(60, 900))
    level = pascal(rng.uniform(75, 88)) / max(float(wave.std()), 1e-9)
    return [Emission(_faded(level * wave, 0.03))]


def whip(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A whip: the thong hisses faster and faster, until its tip outruns sound with an N-wave.

    The loop that runs along it speeds up to twice the speed of sound within its last hundredths of
    a second (Krehl and others, 1998), after which the tip swings back and falls slack. What hisses
    is its wake: dipoles of 0.2 v / d Hz (Phillips, 1956), 58 to 68 dB at 1 m while it runs at
    30 m/s. Their pressure rises with v³ and with the root of the length that moves so fast, which
    shrinks with v², so with v² in all, while the stretch is longer than its eddies. The crack is
    Whitham's shock of a cracker of 1.5 to 4 mm by 20 to 50 mm: 25 to 90 µs, and 116 to 130 dB of
    what is below 24 kHz.
    """
    length, peak = rng.uniform(0.025e-3, 0.09e-3), pascal(rng.uniform(116, 130))
    crack = normalised(sample_pressure(partial(n_wave, length_s=length, rise_s=3e-6), 0.005), peak)
    return [Emission(_hiss(rng), -_SWING_S), Emission(crack)]


def _hiss(rng: np.random.Generator) -> Vector:
    """The wake of a whip's thong, at 1 m, from `_SWING_S` before the crack until after it."""
    since = times(_SWING_S + 0.15) - _SWING_S
    gathers, slackens = rng.uniform(5e-3, 12e-3), rng.uniform(10e-3, 30e-3)
    speed = 300 / (1 - np.minimum(since, 0) / gathers) * np.exp(-np.maximum(since, 0) / slackens)
    thick = rng.uniform(3e-3, 8e-3)
    level = pascal(rng.uniform(58, 68)) * (np.minimum(speed, 100) / 30) ** 2
    wave = np.zeros(len(since))
    for centre in (500, 1000, 2000, 4000, 8000):
        # As loud in each octave as the frequency of the wake is near.
        share = np.exp(-0.5 * np.log2(0.2 * speed / thick / centre) ** 2)
        octave = shaped_noise(rng, len(since), band(centre / 1.4, centre * 1.4))
        wave += share * octave / octave.std()
    return _faded(level * wave, 0.02)


def nail_gun(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A pneumatic nail gun: the driver strikes wood, air escapes, the piston returns."""
    board = struck(rng, 0.2, 90, 2400, 0.014, 30)
    knock = burst(rng, 0.2, 0.006, 250, 2500, 2.5e-3)
    air = burst(rng, 0.3, rng.uniform(0.03, 0.07), 1500, 11000, 8e-3)
    peak = pascal(rng.uniform(102, 112))
    back = struck(rng, 0.08, 900, 6000, 5e-3, 14)
    return [
        Emission(peak * (0.7 * board + 0.3 * knock)),
        Emission(0.35 * peak * air, 0.01),
        Emission(0.2 * peak * back, rng.uniform(0.03, 0.06)),
    ]


def thunder(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """Lightning: some hundred shocks from along a crooked channel, far and near (Few, 1969).

    Each stretch of the channel sends an N-wave that has become longer on its way; what is further
    off arrives later. The waveform is that of 1 m, which the distance then thins.
    """
    lasts = rng.uniform(2.5, 5.0)
    total = np.zeros(num_samples(lasts + 1.0) + LEAD)
    count = int(rng.integers(120, 260))
    for delay in np.sort(rng.beta(1.2, 2.2, count) * lasts).tolist():
        length = rng.uniform(4e-3, 14e-3)
        front = length * rng.uniform(0.05, 0.12)
        wave = sample_pressure(partial(n_wave, length_s=length, rise_s=front), 0.04)
        add(total, wave * rng.exponential(1.0), round(delay * RATE_HZ))
    rumble = shaped_noise(rng, len(total), band(18, 110))
    since = np.arange(len(total)) / RATE_HZ
    rumble *= np.clip(1 + 0.6 * slow_noise(rng, len(total), 0.4, 3), 0, 3)
    rumble *= np.exp(-since / (0.45 * lasts)) * -np.expm1(-since / 0.2)
    total = normalised(total, 1.0) + 0.6 * normalised(rumble, 1.0)
    return [Emission(_faded(pascal(rng.uniform(158, 166)) * total, 0.4))]


def _bang(
    rng: np.random.Generator,
    low_db: float,
    high_db: float,
    shortest_s: float,
    longest_s: float,
    distance_m: float,
) -> Vector:
    return blast(rng, rng.uniform(low_db, high_db), rng.uniform(shortest_s, longest_s), distance_m)


def _faded(wave: Vector, fade_s: float) -> Vector:
    """A waveform whose ends are faded, since it neither begins nor ends there."""
    ramp = np.minimum(1, np.arange(len(wave)) / (fade_s * RATE_HZ))
    return np.asarray(wave * ramp * np.flip(ramp))


def _opened(length_s: float, opens_s: float, peak: float) -> Vector:
    """An N-wave of a peak, as what does not open at once sends it."""
    wave = sample_pressure(partial(n_wave, length_s=length_s, rise_s=1e-5), 0.01)
    kernel = np.hanning(max(num_samples(opens_s), 2) + 2)[1:-1]
    return normalised(np.convolve(wave, kernel), peak)


def _breathed(resonance_hz: float, damping: float, opens_s: float, peak: float) -> Vector:
    """A volume under pressure that opens within a time, and swings at its resonance, damped."""
    turn = 2 * np.pi * resonance_hz

    def pressure(since_s: Vector) -> Vector:
        after = np.maximum(since_s, 0)
        open_share = np.sin(0.5 * np.pi * np.clip(after / opens_s, 0, 1)) ** 2
        return np.asarray(open_share * np.exp(-damping * turn * after) * np.cos(turn * after))

    return normalised(sample_pressure(pressure, 0.06), peak)
