"""What happens in a recording: scene, people, wearer, discharges. Both looks film one script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.bodycam.motion import Movement
from pipeline.engines.bodycam.people import weapons
from pipeline.engines.bodycam.people.actors import Actor, Role
from pipeline.engines.bodycam.people.weapons import Weapon
from pipeline.engines.bodycam.world.lighting import LitWorld
from pipeline.engines.bodycam.world.ranges import indoor_range, outdoor_range
from pipeline.engines.bodycam.world.scene import Plan
from pipeline.engines.bodycam.world.urban import room, street

Vector = NDArray[np.float64]

SCENES: tuple[Callable[[np.random.Generator], Plan], ...] = (
    indoor_range,
    outdoor_range,
    room,
    street,
)
NUM_CELLS = 2 * len(SCENES)
_QUIET_ACTIONS = ("hold", "hold", "talk", "walk", "look")
_OTHERS_FIRE_SHARE = 0.35
_FASTEST_WALK = 1.3
_LAST_DISCHARGE_S = 0.25
_STREAMS = ("scene", "people", "motion", "camera", "game")


@dataclass(frozen=True)
class Cell:
    """The place of an index in the balanced design; each fleet and skin meets every cell.

    `block` counts rounds over all NUM_CELLS combinations of scene and discharge.
    """

    scene: int
    firing: bool
    block: int

    @classmethod
    def of(cls, index: int) -> Cell:
        """Return the cell of an index."""
        place = index % NUM_CELLS
        return cls(place % len(SCENES), place < len(SCENES), index // NUM_CELLS)

    def rotate(self, num_choices: int) -> int:
        """Pick one of several choices so that scene and discharge tell nothing about it."""
        return (self.scene + self.block) % num_choices

    def has_game(self, share: float) -> bool:
        """Tell whether this cell's turn for a game look has come, `share` of the time."""
        turn = self.block + self.scene + int(self.firing)
        return int((turn + 1) * share) > int(turn * share)


@dataclass(frozen=True)
class Script:
    """One recording's truth; times in seconds from its start.

    `weapon` is what the wearer carries, None for empty hands; `held_up` whether it is raised
    when nothing is fired; `own_discharges_s` the wearer's, `discharges_s` everybody's.
    """

    seed: int
    index: int
    cell: Cell
    plan: Plan
    world: LitWorld
    actors: list[Actor]
    duration_s: float
    action: str
    movement: Movement
    weapon: Weapon | None
    held_up: bool
    own_discharges_s: tuple[float, ...]

    @property
    def discharges_s(self) -> tuple[float, ...]:
        """Start times of all discharges, in order."""
        others = [t for actor in self.actors for t in actor.role.discharges_s]
        return tuple(sorted([*self.own_discharges_s, *others]))

    @property
    def recording(self) -> str:
        """The name that both looks share, so that no split can part them."""
        return f"bodycam-{self.seed}-{self.index:05d}"

    def stream(self, name: str) -> np.random.Generator:
        """Return the independent random stream of one concern."""
        return _stream(self.seed, self.index, name)


def _stream(seed: int, index: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, index, _STREAMS.index(name)])


def write_script(seed: int, index: int, duration_s: float) -> Script:
    """Draw the recording of an index: a pure function of its arguments."""
    cell = Cell.of(index)
    scene_rng = _stream(seed, index, "scene")
    plan = SCENES[cell.scene](scene_rng)
    world = plan.bake(scene_rng)
    rng = _stream(seed, index, "people")
    if cell.firing:
        action = "others_fire" if rng.random() < _OTHERS_FIRE_SHARE else "fire"
    else:
        action = _QUIET_ACTIONS[rng.integers(len(_QUIET_ACTIONS))]
    weapon = weapons.PISTOL if rng.random() < 0.65 else weapons.CARBINE
    movement, own = _wearer(rng, plan, action, weapon, duration_s)
    roles = _roles(rng, plan, action, movement, duration_s)
    armed = action in ("fire", "hold")
    return Script(
        seed=seed,
        index=index,
        cell=cell,
        plan=plan,
        world=world,
        actors=[Actor(rng, role, world) for role in roles],
        duration_s=duration_s,
        action=action,
        movement=movement,
        weapon=weapon if armed else None,
        held_up=bool(rng.random() < 0.75),
        own_discharges_s=own,
    )


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


def _wearer(
    rng: np.random.Generator, plan: Plan, action: str, weapon: Weapon, duration_s: float
) -> tuple[Movement, tuple[float, ...]]:
    x, y = plan.start
    target = plan.targets[rng.integers(len(plan.targets))]
    steadiness = float(rng.uniform(0.8, 1.3))
    if action == "others_fire":
        x, y = x + rng.normal(0, 0.2), y - min(plan.back_m, 1.8) * rng.uniform(0.5, 0.95)
        look = np.array(plan.shooting_places[0]) * 0.7 + target[:2] * 0.3
        heading = _heading((x, y), look)
        speed = 0.0
        if rng.random() < 0.4:
            speed = 0.4 * min(plan.back_m, 1.8) / duration_s
        return Movement((x, y), heading, speed, None, rng.uniform(0, 4), steadiness), ()
    if action == "walk":
        y -= plan.back_m
        speed = min(_FASTEST_WALK * rng.uniform(0.8, 1.0), (plan.back_m + plan.room_m) / duration_s)
        return Movement((x, y), rng.normal(0, 0.1), speed, None, 4.0, steadiness), ()
    if action == "talk":
        return Movement((x, y - 0.4), rng.normal(0, 0.15), look_deg=3.0, steadiness=steadiness), ()
    if action == "look":
        look_deg = rng.uniform(15, 40)
        return Movement(
            (x, y - 0.5), rng.normal(0, 0.2), look_deg=look_deg, steadiness=steadiness
        ), ()
    speed, stop_s = 0.0, None
    if plan.room_m > 1 and rng.random() < 0.4:
        stop_s = rng.uniform(0.9, 1.4) * min(1.0, duration_s / 4)
        speed, y = 0.9, y - 0.5
    heading = _heading((x, y + speed * (stop_s or 0)), target)
    movement = Movement((x, y), heading, speed, stop_s, 0.0, steadiness)
    if action == "hold":
        return movement, ()
    first_s = (stop_s or 0.0) + rng.uniform(0.3, 0.8) * min(1.0, duration_s / 2)
    return movement, _discharge_times(rng, first_s, duration_s, weapon.gap_s)


def _roles(
    rng: np.random.Generator, plan: Plan, action: str, movement: Movement, duration_s: float
) -> list[Role]:
    """Draw the other people; nobody stands where a weapon points."""
    if action in ("talk", "walk", "look"):
        return _bystanders(rng, plan, action, movement)
    roles = []
    line = plan.shooting_places
    chosen = [0] if action == "others_fire" else []
    chosen += [k for k in range(1, len(line)) if rng.random() < 0.3]
    for k in chosen:
        place = (line[k][0] + rng.normal(0, 0.05), line[k][1] + rng.normal(0, 0.08))
        if action != "others_fire" and _near_line_of_fire(movement, place):
            continue
        target = min(plan.targets, key=lambda t: abs(t[0] - place[0]))
        if k == 0 or rng.random() < 0.5:
            weapon = weapons.PISTOL if rng.random() < 0.6 else weapons.CARBINE
            times: tuple[float, ...] = ()
            if k == 0:
                times = _discharge_times(rng, rng.uniform(0.2, 0.7), duration_s, weapon.gap_s)
            roles.append(Role("aim", place, _heading(place, target), weapon, times))
        else:
            roles.append(Role("idle", (place[0], place[1] - 0.6), rng.uniform(-0.6, 0.6)))
    return roles


def _near_line_of_fire(movement: Movement, place: tuple[float, float]) -> bool:
    dx, dy = place[0] - movement.start[0], place[1] - movement.start[1]
    ahead = -dx * np.sin(movement.heading) + dy * np.cos(movement.heading)
    aside = dx * np.cos(movement.heading) + dy * np.sin(movement.heading)
    return bool(ahead > 0.3 and abs(aside) < max(1.1, 0.7 * ahead))


def _bystanders(
    rng: np.random.Generator, plan: Plan, action: str, movement: Movement
) -> list[Role]:
    roles = []
    if action == "talk":
        aside, ahead = rng.uniform(-0.35, 0.35), rng.uniform(1.1, 1.7)
        x, y = movement.start
        place = (x + aside, y + ahead)
        roles.append(Role("talk", place, np.pi + rng.normal(0, 0.25)))
    for place in plan.places[: int(rng.integers(1, 4))]:
        if action == "walk" and abs(place[0] - movement.start[0]) < 0.55:
            continue
        spot = (place[0] + rng.normal(0, 0.12), place[1] + rng.normal(0, 0.12))
        if rng.random() < 0.3 and plan.room_m > 2:
            yaw = rng.choice([0.0, np.pi]) + rng.normal(0, 0.15)
            roles.append(Role("walk", spot, yaw, speed=rng.uniform(0.9, 1.4)))
        else:
            activity = ("idle", "talk")[rng.integers(2)]
            roles.append(Role(activity, spot, np.pi + rng.normal(0, 0.8)))
    return roles
