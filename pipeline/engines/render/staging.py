"""Who is there and what they do: the wearer's movement, other people's roles, discharges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.motion import Movement
from pipeline.engines.render.people import weapons
from pipeline.engines.render.people.actors import Role
from pipeline.engines.render.people.weapons import HeldWeapon
from pipeline.engines.render.world.scene import ScenePlan

_DUCKING_SHARE = {"walk": 0.0, "run": 0.0}
_FASTEST_WALK, _FASTEST_RUN = 1.3, 3.2
_LAST_DISCHARGE_S = 0.25
_ARM_LENGTH_M, _STRAIGHT_AHEAD = 0.7, 0.15


def _discharge_times(
    rng: np.random.Generator, first_s: float, duration_s: float, gap_s: float
) -> tuple[float, ...]:
    """Draw strings of discharges with pauses between, the last well inside the recording."""
    times = [min(first_s, 0.5 * duration_s)]
    while True:
        gap = 0.11 + rng.gamma(4, gap_s / 4)
        if rng.random() < 0.15:
            gap += rng.uniform(0.4, 1.0)
        if times[-1] + gap > duration_s - _LAST_DISCHARGE_S:
            return tuple(round(float(t), 4) for t in times)
        times.append(times[-1] + gap)


def _heading(start: tuple[float, float], target: NDArray[np.float64]) -> float:
    return float(-np.arctan2(target[0] - start[0], target[1] - start[1]))


def _target_ahead(rng: np.random.Generator, plan: ScenePlan) -> NDArray[np.float64]:
    """Draw a target that stands roughly straight ahead of the start."""
    aside = [abs(t[0] - plan.start[0]) / (t[1] - plan.start[1]) for t in plan.targets]
    near = [t for t, share in zip(plan.targets, aside, strict=True) if share < _STRAIGHT_AHEAD]
    return near[rng.integers(len(near))] if near else plan.targets[int(np.argmin(aside))]


def draw_wearer(
    rng: np.random.Generator, plan: ScenePlan, action: str, weapon: HeldWeapon, duration_s: float
) -> tuple[Movement, tuple[float, ...]]:
    """Draw how the wearer moves, and the times in seconds of the wearer's own discharges."""
    x, y = plan.start
    target = _target_ahead(rng, plan)
    steadiness = float(rng.uniform(0.35, 1.2))
    duck_s = None
    if not plan.seated and (action == "cover" or rng.random() < _DUCKING_SHARE.get(action, 0.12)):
        duck_s = _duck(rng, duration_s)
    if action in ("others_fire", "others_hold"):
        x, y = (
            x + rng.normal(0, 0.0 if plan.seated else 0.2),
            y - min(plan.back_m, 1.8) * rng.uniform(0.5, 0.95),
        )
        look = np.array(plan.shooting_places[0]) * 0.7 + target[:2] * 0.3
        heading = _heading((x, y), look)
        speed, look_deg = 0.0, 0.0
        if rng.random() < 0.45:
            speed = rng.uniform(0.3, 0.6) * min(plan.back_m, 1.8) / duration_s
        elif rng.random() < 0.3:
            look_deg = rng.uniform(6, 16)
        phase_s = rng.uniform(0.8, 4)
        return Movement((x, y), heading, speed, phase_s, look_deg, steadiness, duck_s), ()
    if action in ("walk", "run"):
        y -= plan.back_m
        fastest = _FASTEST_WALK if action == "walk" else _FASTEST_RUN
        ahead = plan.back_m + plan.room_m
        speed = fastest * rng.uniform(0.75, 1.0)
        end_s = None if speed * duration_s < ahead else ahead / speed
        return Movement((x, y), rng.normal(0, 0.1), speed, end_s, 4.0, steadiness), ()
    if action == "talk":
        heading = rng.normal(0, 0.15)
        return Movement(
            (x, y - min(plan.back_m, 0.4)), heading, 0.0, None, 3.0, steadiness, duck_s
        ), ()
    if action in ("look", "cover"):
        look_deg = rng.uniform(15, 40) if action == "look" else rng.uniform(3, 12)
        heading = rng.normal(0, 0.2)
        return Movement(
            (x, y - min(plan.back_m, 0.5)), heading, 0.0, None, look_deg, steadiness, duck_s
        ), ()
    speed, stop_s = 0.0, None
    if plan.room_m > 1 and rng.random() < 0.4:
        stop_s = rng.uniform(0.9, 1.4) * min(1.0, duration_s / 4)
        speed, y = rng.uniform(0.8, 1.2), y - 0.5
        if plan.back_m > 2.5 and rng.random() < 0.3:
            speed, y = 2.0, y - 1.8
    heading = _heading((x, y + speed * (stop_s or 0)), target)
    movement = Movement((x, y), heading, speed, stop_s, 0.0, steadiness, duck_s)
    if action == "hold":
        return movement, ()
    first_s = (stop_s or 0.0) + rng.uniform(0.3, 0.8) * min(1.0, duration_s / 2)
    return movement, _discharge_times(rng, first_s, duration_s, weapon.gap_s)


def draw_roles(
    rng: np.random.Generator, plan: ScenePlan, action: str, movement: Movement, duration_s: float
) -> list[Role]:
    """Draw the other people; nobody stands where a weapon points."""
    if action not in ("fire", "hold", "others_fire", "others_hold"):
        return _bystanders(rng, plan, action, movement, duration_s)
    roles = []
    line = plan.shooting_places
    others = action in ("others_fire", "others_hold")
    chosen = [0] if others else []
    chosen += [k for k in range(1, len(line)) if rng.random() < 0.3]
    for k in chosen:
        place = (line[k][0] + rng.normal(0, 0.05), line[k][1] + rng.normal(0, 0.08))
        if not others and _near_line_of_fire(movement, place):
            continue
        target = min(plan.targets, key=lambda t: abs(t[0] - place[0]))
        first = k == 0
        if first or rng.random() < 0.5:
            weapon = weapons.PISTOL if rng.random() < 0.6 else weapons.CARBINE
            times = _discharge_times(rng, rng.uniform(0.2, 0.7), duration_s, weapon.gap_s)
            fires = first and action == "others_fire"
            duck_s = _duck(rng, duration_s) if not fires and rng.random() < 0.25 else None
            role = Role("aim", place, _heading(place, target), weapon, times if fires else ())
            roles.append(replace(role, duck_s=duck_s))
        elif rng.random() < 0.4:
            place = (place[0], place[1] - 0.6)
            roles.append(
                Role("cover", place, rng.uniform(-0.6, 0.6), duck_s=_duck(rng, duration_s))
            )
        else:
            activity = ("idle", "talk")[rng.integers(2)]
            roles.append(Role(activity, (place[0], place[1] - 0.6), rng.uniform(-0.6, 0.6)))
    return roles


def _duck(rng: np.random.Generator, duration_s: float) -> tuple[float, float]:
    down = rng.uniform(0.05, 0.55) * duration_s
    return down, down + rng.uniform(0.2, 0.6) * duration_s


def _beside(movement: Movement, place: tuple[float, float]) -> bool:
    return abs(place[0] - movement.start[0]) > _ARM_LENGTH_M


def overlap(role: Role, other: Role) -> bool:
    """Tell whether two people would stand within an arm's length."""
    return float(np.hypot(*(np.array(role.place) - other.place))) < _ARM_LENGTH_M


def _near_line_of_fire(movement: Movement, place: tuple[float, float]) -> bool:
    dx, dy = place[0] - movement.start[0], place[1] - movement.start[1]
    ahead = -dx * np.sin(movement.heading) + dy * np.cos(movement.heading)
    aside = dx * np.cos(movement.heading) + dy * np.sin(movement.heading)
    return bool(ahead > 0.3 and abs(aside) < max(1.1, 0.7 * ahead))


def _bystanders(
    rng: np.random.Generator, plan: ScenePlan, action: str, movement: Movement, duration_s: float
) -> list[Role]:
    roles = []
    if action == "talk":
        aside, ahead = rng.uniform(-0.35, 0.35), rng.uniform(1.1, 1.7)
        x, y = movement.start
        place = plan.places[0] if plan.seated else (x + aside, y + ahead)
        roles.append(Role("talk", place, np.pi + rng.normal(0, 0.25)))
    moving = action in ("walk", "run")
    free = [
        [place for place in places if not moving or _beside(movement, place)]
        for places in (plan.shelters, plan.places)
    ]
    if free[0] and rng.random() < 0.5:
        spot = free[0][rng.integers(len(free[0]))]
        yaw = np.pi + rng.normal(0, 0.7)
        roles.append(Role("cover", spot, yaw, duck_s=_duck(rng, duration_s)))
    for place in free[1][: int(rng.integers(0, 4))]:
        spot = (place[0] + rng.normal(0, 0.12), place[1] + rng.normal(0, 0.12))
        if rng.random() < 0.4 and (plan.room_m > 2 or plan.outdoors):
            yaw = rng.choice([0.0, np.pi]) + rng.normal(0, 0.15)
            if rng.random() < 0.4:
                roles.append(Role("run", spot, yaw, speed=rng.uniform(2.4, 3.8)))
            else:
                roles.append(Role("walk", spot, yaw, speed=rng.uniform(0.9, 1.5)))
        else:
            activity = ("idle", "talk", "cover")[rng.integers(3)]
            duck_s = _duck(rng, duration_s) if activity == "cover" else None
            roles.append(Role(activity, spot, np.pi + rng.normal(0, 0.8), duck_s=duck_s))
    return roles
