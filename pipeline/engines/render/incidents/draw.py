"""Which incidents a recording has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.engines.render.incidents.fireworks import fireworks
from pipeline.engines.render.incidents.incident import (
    Blank,
    Incident,
    Noise,
    Setting,
    Switching,
)
from pipeline.engines.render.incidents.lamps import camera_flash, strobe, torch
from pipeline.engines.render.people.actors import SwingingDoor
from pipeline.engines.render.people.handling import draw_routine
from pipeline.engines.render.world.scene import ScenePlan

KINDS = (
    "camera_flash",
    "torch",
    "strobe",
    "fireworks",
    "door",
    "handling",
    "blank",
    "switch",
)
_QUIET_SHARE, _FIRING_SHARE, _SECOND_SHARE = 0.55, 0.3, 0.2
_ODDS = {
    "camera_flash": 3.0,
    "torch": 2.0,
    "strobe": 3.0,
    "fireworks": 4.0,
    "door": 3.0,
    "handling": 10.0,
    "blank": 1.5,
    "switch": 2.0,
}
# When in a movement its sound begins; what follows of it, the acoustic kind has.
_HEARD_SHARE = {"rack": 0.5, "dry_fire": 0.5, "magazine": 0.15}
_FLUNG_OPEN_DB = -8.0
_BRIGHT = ("clear", "overcast")


def draw_kinds(
    rng: np.random.Generator, plan: ScenePlan, firing: bool, can_handle: bool
) -> tuple[str, ...]:
    """Draw none, one or two kinds of incident that suit a scene."""
    share = _FIRING_SHARE if firing else _QUIET_SHARE
    if rng.random() >= share:
        return ()
    suitable = [
        kind
        for kind in KINDS
        if (kind != "handling" or can_handle)
        and (kind != "door" or plan.door is not None)
        and (kind != "fireworks" or plan.outdoors)
        and (kind != "torch" or plan.light not in _BRIGHT)
        and (kind != "switch" or plan.switchable)
    ]
    odds = np.array([_ODDS[kind] for kind in suitable])
    count = 2 if rng.random() < _SECOND_SHARE else 1
    chosen = rng.choice(len(suitable), count, replace=False, p=odds / odds.sum())
    return tuple(suitable[k] for k in sorted(chosen))


def draw_incident(rng: np.random.Generator, kind: str, setting: Setting) -> Incident:
    """Draw one incident of a kind."""
    return _DRAW[kind](rng, setting)


def _door(rng: np.random.Generator, setting: Setting) -> Incident:
    assert setting.plan.door is not None
    start_s = rng.uniform(0.07, 0.8) * setting.duration_s
    duration_s, widest = rng.uniform(0.15, 0.45), np.radians(rng.uniform(45, 105))
    slams = bool(rng.random() < 0.75)
    door = setting.plan.door
    swing = SwingingDoor(door, setting.world, start_s, duration_s, widest, slams)
    end_s = start_s + duration_s
    startles = (end_s,) if rng.random() < 0.6 else ()
    middle = np.array(door.hinge) + door.width / 2 * np.array(door.along)
    gain_db = 0.0 if slams else _FLUNG_OPEN_DB
    noise = Noise("door", end_s, np.array((*middle, door.height / 2)), gain_db)
    return Incident("door", start_s, door=swing, startles_s=startles, noises=(noise,))


def _handling(rng: np.random.Generator, setting: Setting) -> Incident:
    routine = draw_routine(rng, setting.duration_s)
    noises = tuple(
        Noise(move.kind, move.start_s + _HEARD_SHARE[move.kind] * move.duration_s)
        for move in routine.moves
        if move.kind in _HEARD_SHARE
    )
    start_s = routine.moves[0].start_s if routine.moves else 0.0
    return Incident("handling", start_s, routine=routine, noises=noises)


def _blank(rng: np.random.Generator, setting: Setting) -> Incident:
    level = int(rng.choice([rng.integers(225, 256), rng.integers(60, 180), rng.integers(0, 18)]))
    times = np.sort(rng.uniform(0.05, 0.9, rng.integers(1, 3))) * setting.duration_s
    blanks = tuple(Blank(float(t), int(rng.integers(1, 4)), level) for t in times)
    return Incident("blank", blanks[0].start_s, blanks=blanks)


def _switch(rng: np.random.Generator, setting: Setting) -> Incident:
    """Draw lamps that go off, on or both; some start as a failing tube does, flashing."""
    dark = rng.uniform(0.01, 0.08)
    times, levels = [0.0], [1.0]
    if rng.random() < 0.5:
        times, levels = [rng.uniform(0.07, 0.5) * setting.duration_s], [dark]
    else:
        levels = [dark]
    on_s = times[-1] + rng.uniform(0.4, 1.8)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 5))):
            times += [on_s, on_s + rng.uniform(0.03, 0.12)]
            levels += [rng.uniform(0.3, 1.0), dark]
            on_s = times[-1] + rng.uniform(0.08, 0.35)
    if on_s < setting.duration_s:
        times.append(on_s)
        levels.append(1.0)
    return Incident("switch", times[0], switching=Switching(tuple(times), tuple(levels)))


_DRAW: dict[str, Callable[[np.random.Generator, Setting], Incident]] = {
    "camera_flash": camera_flash,
    "torch": torch,
    "strobe": strobe,
    "fireworks": fireworks,
    "door": _door,
    "handling": _handling,
    "blank": _blank,
    "switch": _switch,
}
