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
    sampled,
    shaped_noise,
    slow_noise,
    struck,
    times,
)
from pipeline.engines.acoustics.sources.emission import Emission, Vector


def balloon(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A balloon that bursts: a weak N-shaped blast as long as sound needs across it, 120 to 132 dB.

    A burst sphere of pressure sends an N-wave of length 2 a / c (Deihl and others, 1968).
    """
    length, peak = 2 * rng.uniform(0.1, 0.17) / 343, pascal(rng.uniform(120, 132))
    # The skin tears along a line, in about a millisecond.
    front = length * rng.uniform(0.03, 0.1)
    wave = normalised(sampled(partial(n_wave, length_s=length, rise_s=front), 0.01), peak)
    flap = 0.03 * peak * burst(rng, 0.06, 0.008, 1000, 9000)
    return [Emission(wave), Emission(flap)]


def burst_bag(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A paper or plastic bag that is blown up and struck: a slower, weaker blast with a tear."""
    length, peak = rng.uniform(1e-3, 2.5e-3), pascal(rng.uniform(112, 124))
    front = length * rng.uniform(0.06, 0.12)
    wave = normalised(sampled(partial(n_wave, length_s=length, rise_s=front), 0.015), peak)
    tear = 0.15 * peak * burst(rng, 0.15, rng.uniform(0.01, 0.03), 600, 8000)
    return [Emission(wave), Emission(tear)]


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
        wave = sampled(partial(friedlander, positive_s=length, decay=decay, rise_s=front), 0.2)
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
    """A whip: a loop that outruns sound sends a short N-wave, after the swish of the thong."""
    length, peak = rng.uniform(0.08e-3, 0.25e-3), pascal(rng.uniform(102, 116))
    crack = normalised(sampled(partial(n_wave, length_s=length, rise_s=1e-5), 0.005), peak)
    swish = burst(rng, 0.35, 0.2, 500, 5000, 0.2)
    swish = pascal(82) * np.flip(swish) * np.linspace(0, 1, len(swish)) ** 2
    # The loop runs on and cracks once more, weaker, before the thong falls slack.
    again = Emission(crack * rng.uniform(0.2, 0.5), rng.uniform(2e-3, 9e-3))
    return [Emission(swish, -0.3), Emission(crack), again]


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
        wave = sampled(partial(n_wave, length_s=length, rise_s=front), 0.04)
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
