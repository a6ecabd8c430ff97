"""What happens in a recording: scene, people, wearer, discharges; each appearance films it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.appearance.lights import Shining
from pipeline.engines.render.incidents.draw import draw_incident, draw_kinds
from pipeline.engines.render.incidents.incident import Incident, Setting
from pipeline.engines.render.motion import Movement
from pipeline.engines.render.people import weapons
from pipeline.engines.render.people.actors import Actor, Crowd
from pipeline.engines.render.people.handling import Handling, Routine
from pipeline.engines.render.people.weapons import HeldWeapon
from pipeline.engines.render.staging import draw_roles, draw_wearer, overlap
from pipeline.engines.render.world.interiors import car_park, corridor
from pipeline.engines.render.world.lighting import LitWorld
from pipeline.engines.render.world.location import PLACES, location
from pipeline.engines.render.world.ranges import indoor_range, outdoor_range
from pipeline.engines.render.world.scene import ScenePlan
from pipeline.engines.render.world.urban import room, street
from pipeline.engines.render.world.vehicle import vehicle

Vector = NDArray[np.float64]

Scene = Callable[[np.random.Generator], ScenePlan]
SCENES: tuple[Scene, ...] = (
    indoor_range,
    outdoor_range,
    room,
    street,
    corridor,
    car_park,
    vehicle,
)
LOCATIONS: tuple[Scene, ...] = tuple(partial(location, place) for place in PLACES)
"""Scenes before photographs of real places: a multiple of SCENES, or some were met more."""
ALL_ROUND: tuple[Scene, ...] = (*SCENES[:-1], street)
"""Scenes that can be seen from all sides, for long recordings: the van has no rear."""
NUM_CELLS = 2 * len(SCENES)
_FIRING_ACTIONS = {"fire": 0.5, "others_fire": 0.5}
_QUIET_ACTIONS = {
    "hold": 0.4,
    "others_hold": 0.32,
    "talk": 0.06,
    "walk": 0.07,
    "look": 0.05,
    "run": 0.05,
    "cover": 0.05,
}
_WATCHED_INSTEAD = {"fire": "others_fire", "hold": "others_hold"}
# The share of wearers who carry a weapon, by what they do: as many in quiet as in firing
# recordings, as far as can be.
_ARMED_SHARE = {"fire": 1.0, "hold": 1.0, "talk": 0.0, "others_fire": 0.25}
_ARMED_OTHERWISE = 0.35
_STARTLED_BY_OTHERS, _STARTLED_BY_NOTHING = 0.15, 0.06


@dataclass(frozen=True)
class DesignCell:
    """The place of an index in the balanced design; each fleet and skin meets every cell.

    `block` counts rounds over all NUM_CELLS combinations of scene and discharge.
    """

    scene: int
    firing: bool
    block: int

    @classmethod
    def of(cls, index: int) -> DesignCell:
        """Return the cell of an index."""
        place = index % NUM_CELLS
        return cls(place % len(SCENES), place < len(SCENES), index // NUM_CELLS)

    def pick(self, scenes: Sequence[Scene]) -> Scene:
        """Pick a scene, of more than SCENES others in every block."""
        return scenes[(self.scene + self.block * len(SCENES)) % len(scenes)]

    def rotate(self, num_choices: int) -> int:
        """Pick one of several choices so that scene and discharge tell nothing about it."""
        return (self.scene + self.block) % num_choices


@dataclass(frozen=True)
class Script:
    """One recording's truth; times in seconds from its start.

    `weapon` is what the wearer carries, None for empty hands; `held_up` whether it is raised
    when nothing is fired; `own_discharges_s` the wearer's, `discharges_s` everybody's. `incidents`
    are no discharges, though they may look like some.
    """

    engine: str
    seed: int
    index: int
    cell: DesignCell
    plan: ScenePlan
    world: LitWorld
    actors: list[Actor]
    duration_s: float
    action: str
    movement: Movement
    weapon: HeldWeapon | None
    held_up: bool
    own_discharges_s: tuple[float, ...]
    incidents: tuple[Incident, ...] = ()

    @property
    def discharges_s(self) -> tuple[float, ...]:
        """Start times of all discharges, in order."""
        others = [t for actor in self.actors for t in actor.role.discharges_s]
        return tuple(sorted([*self.own_discharges_s, *others]))

    @property
    def recording(self) -> str:
        """The name that all appearances share, so that no split can part them."""
        return f"{self.engine}-{self.seed}-{self.index:05d}"

    @property
    def routine(self) -> Routine:
        """How the wearer's weapon is handled without firing."""
        return next((i.routine for i in self.incidents if i.routine.moves), Routine())

    @property
    def weapon_raised(self) -> bool:
        """Whether the wearer has a weapon and does not hold it low."""
        used = self.held_up or bool(self.own_discharges_s) or bool(self.routine.moves)
        return self.weapon is not None and used

    def handling_at(self, time_s: float) -> Handling:
        """Return what handling adds to the pose of the wearer's weapon."""
        return self.routine.at(time_s)

    def crowd(self) -> Crowd:
        """Return everything that moves before the camera."""
        return Crowd(self.actors, [i.door for i in self.incidents if i.door is not None])

    def shining(
        self, frame_s: float, readout_s: float, exposure_s: float, height: int
    ) -> list[Shining]:
        """Return the lights of incidents that shine in an exposure of `height` rows."""
        lights = [light for incident in self.incidents for light in incident.lights]
        return [
            one for light in lights for one in light.shining(frame_s, readout_s, exposure_s, height)
        ]

    def room_light(self, times_s: ArrayLike) -> Vector:
        """Return the factor (N,) on what the scene's own lamps light, as somebody switches them."""
        factor = np.ones(len(np.atleast_1d(times_s)))
        for incident in self.incidents:
            if incident.switching is not None:
                factor = factor * incident.switching.at(times_s)
        return factor

    def blank(self, frames: NDArray[np.uint8], fps: float) -> None:
        """Replace frames (T, H, W, 3) that a glitch swallows by one grey, in place."""
        for incident in self.incidents:
            for gap in incident.blanks:
                first = round(gap.start_s * fps)
                frames[first : first + gap.num_frames] = gap.level

    def rng(self, name: str) -> np.random.Generator:
        """Return the random generator of one concern, independent of all others."""
        return _rng(self.engine, self.seed, self.index, name)


def _rng(engine: str, seed: int, index: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, index, zlib.crc32(f"{engine} {name}".encode())])


def write_script(
    engine: str,
    seed: int,
    index: int,
    duration_s: float,
    *,
    bystander: bool = False,
    scenes: Sequence[Scene] = SCENES,
    place_of: DesignCell | None = None,
) -> Script:
    """Draw the recording of an engine's index: a pure function of its arguments.

    Args:
        engine: its name, by which its draws differ from those of others.
        seed: of all recordings.
        index: of the recording.
        duration_s: its length.
        bystander: whether who holds the camera carries nothing and watches what others do, as a
            camera on a wall does.
        scenes: what scenes are drawn from, a multiple of the number of SCENES.
        place_of: the cell of a long recording that the script is to give a place, whose door is
            shut; None for a recording of its own, of the cell of the index.
    """
    cell = place_of or DesignCell.of(index)
    scene_rng = _rng(engine, seed, index, "scene")
    plan = cell.pick(scenes)(scene_rng)
    rng, incident_rng = (_rng(engine, seed, index, name) for name in ("people", "incidents"))
    act = _draw_act(rng, incident_rng, plan, cell.firing, bystander, duration_s)
    if place_of is not None:
        act = replace(act, incident_kinds=())
    if "door" not in act.incident_kinds:
        plan = plan.shut()
    world = plan.bake(scene_rng)
    return _written(rng, incident_rng, (engine, seed, index), cell, plan, world, duration_s, act)


def write_episode(
    script: Script, number: int, duration_s: float, *, firing: bool, bystander: bool
) -> Script:
    """Draw what happens for a while at the place of a long recording.

    Args:
        script: the place.
        number: of the episode, of which each has draws of its own.
        duration_s: its length; lamps that are switched in it shine again at its end.
        firing: whether somebody fires.
        bystander: whether who holds the camera stands where the script has it and watches.
    """
    engine, seed, index = f"{script.engine} {number}", script.seed, script.index
    rng, incident_rng = (_rng(engine, seed, index, name) for name in ("people", "incidents"))
    plan, world = script.plan, script.world
    act = _draw_act(rng, incident_rng, plan, firing, bystander, duration_s)
    if bystander:
        heading = act.movement.heading
        act = replace(act, movement=replace(script.movement, heading=heading, speed=0.0))
    cell, names = replace(script.cell, firing=firing), (engine, seed, index)
    found = _written(rng, incident_rng, names, cell, plan, world, duration_s, act)
    incidents = tuple(
        one
        if one.switching is None
        else replace(one, switching=one.switching.undone_at(duration_s))
        for one in found.incidents
    )
    return replace(found, incidents=incidents)


def _draw_action(rng: np.random.Generator, firing: bool, bystander: bool) -> str:
    odds = _FIRING_ACTIONS if firing else _QUIET_ACTIONS
    action = str(rng.choice(list(odds), p=list(odds.values())))
    return _WATCHED_INSTEAD.get(action, action) if bystander else action


@dataclass(frozen=True)
class Act:
    """What the wearer does, and which incidents there are."""

    action: str
    movement: Movement
    weapon: HeldWeapon | None
    own_discharges_s: tuple[float, ...]
    incident_kinds: tuple[str, ...]


def _draw_act(
    rng: np.random.Generator,
    incident_rng: np.random.Generator,
    plan: ScenePlan,
    firing: bool,
    bystander: bool,
    duration_s: float,
) -> Act:
    """Draw what the wearer does, and the kinds of incidents."""
    action = _draw_action(rng, firing, bystander)
    kinds = draw_kinds(incident_rng, plan, firing, action == "hold")
    armed = bool(rng.random() < _ARMED_SHARE.get(action, _ARMED_OTHERWISE)) and not bystander
    weapon = weapons.PISTOL if rng.random() < 0.65 else weapons.CARBINE
    movement, own = draw_wearer(rng, plan, action, weapon, duration_s)
    return Act(action, movement, weapon if armed else None, own, kinds)


def _written(
    rng: np.random.Generator,
    incident_rng: np.random.Generator,
    names: tuple[str, int, int],
    cell: DesignCell,
    plan: ScenePlan,
    world: LitWorld,
    duration_s: float,
    act: Act,
) -> Script:
    """Draw everybody else, and the incidents."""
    action, movement = act.action, act.movement
    roles = draw_roles(rng, plan, action, movement, duration_s)
    some_armed = act.weapon is not None or any(role.weapon for role in roles)
    setting = Setting(plan, world, movement, some_armed, duration_s)
    incidents = tuple(draw_incident(incident_rng, kind, setting) for kind in act.incident_kinds)
    brought = [role for incident in incidents for role in incident.people]
    roles = [role for role in roles if not any(overlap(role, other) for other in brought)]
    roles += brought
    heard = [r.discharges_s[0] for r in roles if r.discharges_s]
    heard = heard if rng.random() < _STARTLED_BY_OTHERS else []
    if rng.random() < _STARTLED_BY_NOTHING:
        heard.append(rng.uniform(0, duration_s))
    heard += [time for incident in incidents for time in incident.startles_s]
    engine, seed, index = names
    return Script(
        engine=engine,
        seed=seed,
        index=index,
        cell=cell,
        plan=plan,
        world=world,
        actors=[Actor(rng, role, world) for role in roles],
        duration_s=duration_s,
        action=action,
        movement=replace(movement, startles_s=tuple(sorted(heard))),
        weapon=act.weapon,
        held_up=action in ("fire", "hold") and bool(rng.random() < 0.8),
        own_discharges_s=act.own_discharges_s,
        incidents=incidents,
    )
