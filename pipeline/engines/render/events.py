"""What a script leaves in the air: flash, smoke, dust and brass of discharges; incidents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.appearance.effects import Brass, CameraPose, Flash, Puff, draw_puffs
from pipeline.engines.render.appearance.lights import Shining, draw_sparks
from pipeline.engines.render.script import Script
from pipeline.engines.render.weapon_motion import WeaponMotion

Array = NDArray[np.float32]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class DischargeTraces:
    """Everything that the discharges of a script leave behind."""

    flashes: list[Flash]
    puffs: list[Puff]
    cases: list[Brass]


def draw_events(
    script: Script, weapon: WeaponMotion | None, rng: np.random.Generator
) -> DischargeTraces:
    """Draw flash, smoke, dust and brass of every discharge."""
    events = DischargeTraces([], [], [])
    suppressed = 0.25 if rng.random() < 0.2 else 1.0
    power = rng.uniform(1.5, 7) * suppressed
    outdoors = 0.8 if script.plan.bounce < 0.2 else 1.3
    muzzles = []
    if weapon is not None:
        muzzles += [(t, *weapon.muzzle(t), 5) for t in script.own_discharges_s]
    for actor in script.actors:
        muzzles += [(t, *actor.muzzle(t), 3) for t in actor.role.discharges_s]
    for start_s, place, axis, num_puffs in muzzles:
        size = rng.uniform(0.4, 1.8)
        events.flashes.append(
            Flash(
                start_s,
                rng.uniform(0.0012, 0.004),
                place + 0.05 * axis,
                axis,
                power * size,
                size,
                int(rng.integers(1 << 30)),
            )
        )
        for _ in range(num_puffs):
            events.puffs.append(_smoke(rng, start_s, place, axis, outdoors))
        if script.plan.bounce < 0.06:
            events.puffs.extend(_dust(rng, script, start_s, place, axis))
    if weapon is not None and script.weapon is not None:
        for start_s in script.own_discharges_s:
            axes, place = weapon.in_world(start_s + 0.03)
            throw = (rng.uniform(1.4, 2.6), rng.uniform(-0.8, 0.2), rng.uniform(1.0, 2.2))
            port = place + axes @ np.array(script.weapon.ejection)
            events.cases.append(Brass(start_s + 0.03, port, axes @ np.array(throw)))
    return events


def draw_incidents(
    script: Script,
    shining: list[Shining],
    image: Array,
    depth: Array,
    view: CameraPose,
    time_s: float,
    exposure_s: float,
    light: Vector,
) -> None:
    """Draw lamps that shine, sparks and smoke of incidents into a radiance image, in place.

    `light` (3,) is what smoke scatters.
    """
    for incident in script.incidents:
        draw_puffs(image, depth, view, list(incident.puffs), time_s, light)
        draw_sparks(image, depth, view, incident.sparks, time_s, exposure_s)
    for one in shining:
        one.draw(image, depth, view)


def _smoke(
    rng: np.random.Generator, start_s: float, place: Vector, axis: Vector, density: float
) -> Puff:
    return Puff(
        start_s=start_s + 0.004,
        place=place + rng.normal(0, 0.02, 3),
        velocity=axis * rng.uniform(0.8, 2.6) + rng.normal(0, 0.25, 3),
        radius=0.02,
        growth=rng.uniform(0.12, 0.3),
        opacity=rng.uniform(0.06, 0.26) * density,
        life_s=rng.uniform(0.25, 0.9),
        colour=np.array((0.8, 0.8, 0.82)),
        seed=rng.random(),
    )


def _dust(
    rng: np.random.Generator, script: Script, start_s: float, place: Vector, axis: Vector
) -> list[Puff]:
    reach = (script.plan.backstop_y - place[1]) / max(float(axis[1]), 0.3)
    return [
        Puff(
            start_s=start_s + 0.03,
            place=place + axis * reach + rng.normal(0, 0.1, 3),
            velocity=np.array((rng.normal(0, 0.5), -0.8, 1.6)),
            radius=0.06,
            growth=rng.uniform(0.4, 0.8),
            opacity=0.7,
            life_s=rng.uniform(0.3, 0.7),
            colour=np.array(script.plan.dust) * 1.4,
            seed=rng.random(),
        )
        for _ in range(3)
    ]
