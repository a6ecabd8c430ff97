"""Fireworks: rockets, fountains and firecrackers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.effects import Puff
from pipeline.engines.render.appearance.lights import Light, Pulse, Sparks
from pipeline.engines.render.incidents.incident import Incident, Noise, Setting
from pipeline.engines.render.world.geometry import unit

Vector = NDArray[np.float64]

_SPARK_COLOURS = (
    (1.0, 0.72, 0.38),
    (1.0, 0.15, 0.1),
    (0.2, 1.0, 0.25),
    (0.3, 0.45, 1.0),
    (1.0, 0.95, 0.9),
    (1.0, 0.5, 0.1),
)
_UP = np.array((0.0, 0.0, 1.0))
_FLAME = 0.15 * _UP
_SMOKE = np.array((0.8, 0.8, 0.82))


def fireworks(rng: np.random.Generator, setting: Setting) -> Incident:
    """Draw rockets in the sky, a fountain of sparks or firecrackers near the ground."""
    kind = rng.integers(3)
    if kind == 0:
        return _rockets(rng, setting)
    place = setting.spot(rng, (2.5, 8.0), (0.05, 0.3))
    if place is None:
        place = setting.ahead(3.0, 0.0, 0.3)
    return _fountain(rng, setting, place) if kind == 1 else _bangers(rng, setting, place)


def _rockets(rng: np.random.Generator, setting: Setting) -> Incident:
    lights, sparks, noises = [], [], []
    times = np.sort(rng.uniform(0.03, 0.9, rng.integers(1, 6))) * setting.duration_s
    for time_s in times:
        away = rng.uniform(16, 45)
        place = setting.ahead(away, rng.uniform(-0.45, 0.45) * away, away * rng.uniform(0.2, 0.5))
        colour = np.array(_SPARK_COLOURS[rng.integers(len(_SPARK_COLOURS))])
        count = int(rng.integers(50, 140))
        out = (
            unit(rng.normal(size=(count, 3))) * rng.uniform(7, 16) * rng.uniform(0.8, 1, (count, 1))
        )
        lives = rng.uniform(0.7, 1.6) * rng.uniform(0.7, 1.1, count)
        sparks.append(Sparks(float(time_s), place, out, lives, colour * 60, 1.8, 0.16))
        lights.append(_fading(time_s, place, colour * rng.uniform(150, 900), 0.25, 0.8, 0.0))
        noises.append(Noise("rocket", float(time_s), place))
    return Incident(
        "fireworks", float(times[0]), tuple(lights), tuple(sparks), noises=tuple(noises)
    )


def _fading(
    start_s: float, place: Vector, colour: Vector, life_s: float, radius_m: float, spill: float
) -> Light:
    """Return a light that falls off over `life_s`, in steps."""
    step = life_s / 4
    pulses = [Pulse(start_s, 0.012, colour * 2)]
    pulses += [Pulse(start_s + k * step, step, colour * np.exp(-0.6 * k)) for k in range(8)]
    return Light(place, tuple(pulses), radius_m, _UP[None], spill=spill)


def _fountain(rng: np.random.Generator, setting: Setting, place: Vector) -> Incident:
    start_s = 0.0 if rng.random() < 0.5 else rng.uniform(0.05, 0.5) * setting.duration_s
    end_s = setting.duration_s if rng.random() < 0.6 else start_s + rng.uniform(0.8, 2.0)
    colour = np.array(_SPARK_COLOURS[rng.integers(len(_SPARK_COLOURS))])
    rate_hz, speed = 30.0, rng.uniform(3, 7)
    times = np.arange(start_s, min(end_s, setting.duration_s), 1 / rate_hz)
    sparks = []
    for time_s in times:
        count = int(rng.integers(8, 22))
        out = np.array((0, 0, 1)) + rng.normal(0, 0.22, (count, 3))
        velocities = out * speed * rng.uniform(0.5, 1.1, (count, 1))
        lives = rng.uniform(0.2, 0.7, count)
        sparks.append(Sparks(float(time_s), place, velocities, lives, colour * 40, 1.2, 0.012))
    strength = np.exp(rng.uniform(np.log(0.5), np.log(4)))
    pulses = tuple(
        Pulse(float(t), 1 / rate_hz, colour * strength * rng.uniform(0.6, 1.4)) for t in times
    )
    light = Light(place + _FLAME, pulses, 0.04, _UP[None])
    puffs = tuple(_cloud(rng, float(t), place) for t in times[::6])
    last_s = min(end_s, setting.duration_s) - start_s
    hiss = Noise("fountain", start_s, place, duration_s=float(last_s))
    return Incident("fireworks", start_s, (light,), tuple(sparks), puffs, noises=(hiss,))


def _bangers(rng: np.random.Generator, setting: Setting, place: Vector) -> Incident:
    """Draw firecrackers: each a flash of milliseconds near the ground, sparks and smoke."""
    gaps = 0.04 + rng.gamma(2, rng.choice([0.06, 0.3]), int(rng.integers(1, 14)))
    times = rng.uniform(0.05, 0.5) * setting.duration_s + np.cumsum(gaps) - gaps[0]
    lights, sparks, puffs, noises = [], [], [], []
    for time_s in times[times < setting.duration_s]:
        spot = place + rng.normal(0, 0.12, 3) * (1, 1, 0.3)
        colour = np.array((1.0, 0.85, 0.6)) * np.exp(rng.uniform(np.log(6), np.log(60)))
        pulse = Pulse(float(time_s), rng.uniform(0.002, 0.008), colour)
        lights.append(Light(spot, (pulse,), 0.07, _UP[None]))
        noises.append(Noise("firecracker", float(time_s), spot))
        count = int(rng.integers(6, 25))
        out = unit(rng.normal(size=(count, 3))) * rng.uniform(1, 7, (count, 1))
        lives = rng.uniform(0.05, 0.25, count)
        glow = np.array((1.0, 0.7, 0.35)) * 40
        sparks.append(Sparks(float(time_s), spot, out, lives, glow, 3.0, 0.012))
        puffs += [_cloud(rng, float(time_s), spot) for _ in range(3)]
    startles = (float(times[0]),) if rng.random() < 0.6 else ()
    return Incident(
        "fireworks",
        float(times[0]),
        tuple(lights),
        tuple(sparks),
        tuple(puffs),
        startles_s=startles,
        noises=tuple(noises),
    )


def _cloud(rng: np.random.Generator, start_s: float, place: Vector) -> Puff:
    return Puff(
        start_s=start_s + 0.004,
        place=place + rng.normal(0, 0.04, 3),
        velocity=rng.normal(0, 0.5, 3) + 0.5 * _UP,
        radius=0.04,
        growth=rng.uniform(0.2, 0.5),
        opacity=rng.uniform(0.1, 0.4),
        life_s=rng.uniform(0.4, 1.2),
        colour=_SMOKE,
        seed=rng.random(),
    )
