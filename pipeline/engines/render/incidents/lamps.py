"""Lamps that somebody lights: a camera's flash, a torch, a beacon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.lights import Light, Pulse
from pipeline.engines.render.incidents.incident import Incident, Setting
from pipeline.engines.render.people.actors import HELD_HEIGHT_M, Role
from pipeline.engines.render.world.geometry import unit

Vector = NDArray[np.float64]

_BULB_AHEAD_M = 0.47
_FLASH_BULB = np.array((0.96, 1.0, 1.07))
_TORCHES = ((1.0, 1.0, 1.08), (1.0, 0.86, 0.6))
_BEACONS = (
    ((0.06, 0.12, 1.0),),
    ((1.0, 0.06, 0.04), (0.06, 0.12, 1.0)),
    ((1.0, 0.95, 0.9),),
    ((1.0, 0.45, 0.05),),
    ((1.0, 0.05, 0.03), (1.0, 0.95, 0.95), (0.06, 0.12, 1.0)),
)
_UP = np.array((0.0, 0.0, 1.0))


def _bearer(
    rng: np.random.Generator, setting: Setting, activity: str
) -> tuple[Vector, tuple[Role, ...]]:
    """Draw who holds a light: somebody in view when nobody is armed, else out of view."""
    plan = setting.plan
    if not setting.armed and plan.places and rng.random() < 0.65:
        x, y = plan.places[rng.integers(len(plan.places))]
        foot = np.array((x + rng.normal(0, 0.15), y + rng.normal(0, 0.15)))
        offset = foot - setting.movement.start
        yaw = float(np.arctan2(offset[0], -offset[1]) + rng.normal(0, 0.25))
        role = Role(activity, (float(foot[0]), float(foot[1])), yaw)
        hand = np.array((-np.sin(yaw), np.cos(yaw))) * _BULB_AHEAD_M
        return np.array((*(foot + hand), HELD_HEIGHT_M[activity])), (role,)
    side = rng.choice([-1.0, 1.0])
    return setting.ahead(rng.uniform(-0.9, -0.1), side * rng.uniform(0.5, 0.9), 1.6), ()


def camera_flash(rng: np.random.Generator, setting: Setting) -> Incident:
    """Draw one to five flashes of a xenon bulb, some with a weaker one before."""
    place, people = _bearer(rng, setting, "photograph")
    start_s = rng.uniform(0.05, 0.85) * setting.duration_s
    times = start_s + np.cumsum([0, *rng.uniform(0.3, 1.3, rng.integers(0, 5))])
    pulses = []
    energy = np.exp(rng.uniform(np.log(0.08), np.log(0.9)))
    before_s = rng.uniform(0.07, 0.15) if rng.random() < 0.35 else 0.0
    for time_s in times[times < setting.duration_s]:
        length = rng.uniform(0.0003, 0.002)
        pulses.append(Pulse(time_s, length, _FLASH_BULB * energy / length))
        if before_s:
            pulses.append(Pulse(time_s - before_s, length, _FLASH_BULB * 0.25 * energy / length))
    towards = unit(setting.eye - place) if people else unit(setting.ahead(4, 0, 1.2) - place)
    light = Light(
        place,
        tuple(pulses),
        0.025,
        towards[None],
        cosines=(0.7, 0.1),
        spill=0.05 * setting.plan.bounce,
    )
    return Incident("camera_flash", float(times[0]), (light,), people=people)


def torch(rng: np.random.Generator, setting: Setting) -> Incident:
    """Draw a torch that sweeps over the scene and, held by somebody in view, into the lens."""
    place, people = _bearer(rng, setting, "shine")
    count = int(rng.integers(5, 9))
    towards_eye = unit(setting.eye - place)
    aims = [unit(setting.ahead(rng.uniform(3, 9), rng.normal(0, 2.5), 0.8) - place)]
    for _ in range(count):
        if people and rng.random() < 0.45:
            aims.append(unit(towards_eye + rng.normal(0, 0.08, 3)))
        else:
            goal = setting.ahead(rng.uniform(2, 8), rng.normal(0, 2.5), rng.uniform(0, 1.8))
            aims.append(unit(goal - place))
    colour = np.array(_TORCHES[rng.integers(2)]) * np.exp(rng.uniform(np.log(3), np.log(25)))
    start_s = 0.0 if rng.random() < 0.4 else rng.uniform(0.05, 0.6) * setting.duration_s
    light = Light(
        place,
        (Pulse(start_s, setting.duration_s, colour),),
        0.02,
        np.array(aims),
        (0.0, setting.duration_s),
        (rng.uniform(0.96, 0.99), rng.uniform(0.75, 0.9)),
        0.01 * setting.plan.bounce,
    )
    return Incident("torch", start_s, (light,), people=people)


def strobe(rng: np.random.Generator, setting: Setting) -> Incident:
    """Draw a beacon that flashes four to twelve times a second, in one to three colours."""
    place = setting.spot(rng, (2.5, 11.0), (1.0, 2.4))
    if place is None:
        place = setting.ahead(-1.0, rng.choice([-1.0, 1.0]), 2.0)
    colours = np.array(_BEACONS[rng.integers(len(_BEACONS))])
    rate_hz, on_share = rng.uniform(4, 12), rng.uniform(0.15, 0.5)
    period = 1 / rate_hz
    in_group = int(rng.integers(1, 4))
    xenon = bool(rng.random() < 0.35)
    length = 0.001 if xenon else on_share * period
    strength = rng.uniform(0.03, 0.3) / length if xenon else rng.uniform(3, 30)
    start_s = 0.0 if rng.random() < 0.6 else rng.uniform(0.05, 0.5) * setting.duration_s
    times = np.arange(start_s + rng.uniform(0, period), setting.duration_s, period)
    pulses = tuple(
        Pulse(float(time_s), length, strength * colours[k // in_group % len(colours)])
        for k, time_s in enumerate(times)
        if len(colours) > 1 or k // in_group % 2 == 0 or in_group == 1
    )
    light = Light(place, pulses, 0.06, _UP[None], spill=0.05 * setting.plan.bounce)
    return Incident("strobe", start_s, (light,))
