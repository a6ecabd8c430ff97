"""Things that strike, fall, break and crumple."""

from __future__ import annotations

import numpy as np

from pipeline.engines.acoustics.scene import SoundEvent
from pipeline.engines.acoustics.signals import (
    LEAD,
    RATE_HZ,
    add,
    burst,
    modes,
    num_samples,
    pascal,
    struck,
)
from pipeline.engines.acoustics.sources.emission import Emission, Vector


def door(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A door that slams: modes of its panel, the puff of air, latch and rattle after it."""
    peak = pascal(rng.uniform(98, 110))
    panel = struck(rng, 0.5, 55, 900, rng.uniform(0.008, 0.018), 40)
    knock = burst(rng, 0.5, 0.02, 100, 2500, 2e-3)
    puff = burst(rng, 0.5, 0.05, 30, 160, 0.01)
    emissions = [Emission(peak * (0.8 * panel + 0.45 * knock + 0.4 * puff))]
    delay = 0.0
    for share in (0.2, 0.1, 0.05):
        delay += rng.uniform(0.01, 0.045)
        latch = struck(rng, 0.06, 900, 6000, rng.uniform(4e-3, 9e-3), 14)
        emissions.append(Emission(peak * share * latch, delay))
    return emissions


def clap(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """Hands that are clapped once or some times: bursts of 3 to 8 ms around the cavity's resonance.

    They have no front as a blast has (Repp, 1987): the palms meet over a millisecond or so.
    """
    count, period = (1 if rng.random() < 0.25 else int(rng.integers(2, 5))), rng.uniform(0.2, 0.45)
    return [
        Emission(_palms(rng) * rng.uniform(0.7, 1.0), number * period * rng.uniform(0.95, 1.05))
        for number in range(count)
    ]


def _palms(rng: np.random.Generator) -> Vector:
    peak, cavity = pascal(rng.uniform(84, 98)), rng.uniform(600, 1800)
    soft, lasts = rng.uniform(1e-3, 2.5e-3), rng.uniform(3e-3, 7e-3)
    wave = burst(rng, 0.08, lasts, 0.6 * cavity, 1.8 * cavity, soft)
    wave += 0.35 * burst(rng, 0.08, 0.6 * lasts, 500, 5500, soft)
    return peak * wave


def applause(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """Some people who clap, each in a rhythm of his own."""
    total = np.zeros(num_samples(event.duration_s) + LEAD)
    for _ in range(int(rng.integers(12, 36))):
        time_s, period = rng.uniform(0, 0.4), rng.uniform(0.19, 0.33)
        away = rng.uniform(0.1, 0.7)
        while time_s < event.duration_s:
            wave = _palms(rng) * away * rng.uniform(0.6, 1.0)
            add(total, wave, round(time_s * RATE_HZ))
            time_s += period * rng.uniform(0.9, 1.1)
    return [Emission(total)]


def hammer(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A hammer that drives a nail into wood, or strikes steel, one to five times."""
    steel = rng.random() < 0.4
    low, high, lasts = (700, 9500, rng.uniform(0.03, 0.08)) if steel else (120, 4500, 0.01)
    body = struck(rng, 0.5, low, high, lasts, 26)
    peak = pascal(rng.uniform(98, 112))
    period = rng.uniform(0.28, 0.5)
    emissions = []
    for number in range(int(rng.integers(1, 6))):
        wave = 0.7 * body + 0.4 * burst(rng, 0.5, 0.003, 300, 8000, 4e-4)
        delay = number * period * rng.uniform(0.93, 1.07)
        emissions.append(Emission(peak * rng.uniform(0.6, 1.0) * wave, delay))
    return emissions


def book(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A book or a box that falls flat: a dull thud with the air that it presses out."""
    peak = pascal(rng.uniform(92, 104))
    thud = burst(rng, 0.25, rng.uniform(0.012, 0.03), 60, 900, 1.5e-3)
    slap = burst(rng, 0.25, rng.uniform(4e-3, 9e-3), 500, 3500)
    board = struck(rng, 0.25, 70, 700, 0.012)
    return [Emission(peak * (0.7 * thud + 0.3 * slap + 0.5 * board))]


def glass(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """Glass that breaks: the crack, then shards that ring as they fall."""
    peak = pascal(rng.uniform(96, 108))
    emissions = [Emission(peak * burst(rng, 0.2, rng.uniform(0.015, 0.04), 1800, 13000))]
    for _ in range(int(rng.integers(14, 40))):
        count = int(rng.integers(2, 5))
        decay = rng.uniform(6e-3, 6e-2, count)
        ring = modes(rng, 0.25, rng.uniform(2200, 12500, count), decay)
        share, delay = rng.uniform(0.04, 0.35), rng.exponential(0.2)
        emissions.append(Emission(peak * share * np.exp(-delay) * ring, float(delay)))
    return emissions


def plastic_bag(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A plastic bag that is crumpled."""
    crackle = crumpled(rng, event.duration_s)
    return [Emission(pascal(rng.uniform(82, 94)) * crackle)]


def crumpled(rng: np.random.Generator, lasts_s: float) -> Vector:
    """A sheet that is crumpled: 260 snaps a second, of peak 1 at most.

    Their energies follow a power law (Houle and Sethna, 1996).
    """
    total = np.zeros(num_samples(lasts_s) + LEAD)
    envelope = np.abs(np.interp(np.linspace(0, 1, 400), np.linspace(0, 1, 9), rng.random(9)))
    count = int(260 * lasts_s)
    places = rng.choice(400, count, p=envelope / envelope.sum())
    for place in places.tolist():
        start = round((place + rng.random()) / 400 * lasts_s * RATE_HZ)
        strength = min(0.08 * (1 + rng.pareto(1.6)), 1.0)
        frequency = rng.uniform(1500, 11000, 2)
        snap = modes(rng, 0.006, frequency, rng.uniform(2e-4, 1e-3, 2))
        add(total, strength * snap, start)
    return total


def keys(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """Keys or handcuffs that jingle."""
    emissions = []
    frequency = rng.uniform(2500, 11000, 12)
    peak = pascal(rng.uniform(80, 92))
    for delay in rng.uniform(0, event.duration_s, int(12 * event.duration_s)).tolist():
        some = rng.choice(12, 3, replace=False)
        ring = modes(rng, 0.15, frequency[some], rng.uniform(5e-3, 4e-2, 3))
        emissions.append(Emission(peak * rng.uniform(0.2, 1.0) * ring, delay))
    return emissions


def ricochet(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A bullet that strikes steel or earth at a target: a ping or a thud."""
    if rng.random() < 0.5:
        ring = struck(rng, 0.8, 500, 8000, rng.uniform(0.06, 0.25), 12)
        return [Emission(pascal(rng.uniform(94, 108)) * ring)]
    thud = burst(rng, 0.3, rng.uniform(0.012, 0.03), 100, 1600, 2.5e-3)
    dirt = 0.2 * burst(rng, 0.3, 0.06, 1500, 7000, 0.02)
    return [Emission(pascal(rng.uniform(84, 98)) * (thud + dirt))]
