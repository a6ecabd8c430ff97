"""People in view: what they do, how they move, and the surface they form each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.kernels import SurfaceArrays
from pipeline.engines.render.people import gait, weapons
from pipeline.engines.render.people.humanoid import Build, body
from pipeline.engines.render.people.skeleton import JOINT, SIDES, Posture, Turns, pose
from pipeline.engines.render.people.surface import Moved, MovingSurface, cube_light, move_rigid
from pipeline.engines.render.people.wardrobe import dress
from pipeline.engines.render.people.weapons import HeldWeapon, held_thing, weapon_mesh
from pipeline.engines.render.world.doors import Door
from pipeline.engines.render.world.embree import Accelerator
from pipeline.engines.render.world.geometry import rotation, unit
from pipeline.engines.render.world.lighting import LitWorld

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_HELD = {"photograph": "camera", "shine": "torch"}
HELD_HEIGHT_M = {"photograph": 1.58, "shine": 1.42}
_HELD_AHEAD_M = 0.36
_STRIDES = {"walk": (gait.WALK, gait.WALK_CYCLE_M), "run": (gait.RUN, gait.RUN_CYCLE_M)}


def hold(
    posture: Posture,
    weapon: HeldWeapon,
    turn: Vector,
    place: Vector,
    left_hand: Vector | None = None,
) -> None:
    """Bring both hands of a posture to a weapon with axes `turn` at `place`.

    `left_hand` (3,) moves the left one from its grip, in the weapon's frame.
    """
    left_wrist = np.array(weapon.left_wrist) + (0 if left_hand is None else left_hand)
    posture.reach(
        "R",
        place + turn @ np.array(weapons.RIGHT_WRIST),
        turn @ np.array(weapons.RIGHT_ELBOW_TOWARDS),
        turn @ np.array(weapons.RIGHT_FINGERS),
    )
    posture.reach(
        "L",
        place + turn @ left_wrist,
        turn @ np.array(weapon.left_elbow_towards),
        turn @ np.array(weapon.left_fingers),
    )


@dataclass(frozen=True)
class Role:
    """What a person does.

    `activity` is idle, talk, walk, run, aim, cover, photograph or shine; `speed` in m/s along
    `yaw`; with `duck_s` (down, up) the person crouches between two times.
    """

    activity: str
    place: tuple[float, float]
    yaw: float
    weapon: HeldWeapon | None = None
    discharges_s: tuple[float, ...] = ()
    speed: float = 0.0
    duck_s: tuple[float, float] | None = None


class Actor:
    """One person of a scene."""

    def __init__(self, rng: np.random.Generator, role: Role, world: LitWorld) -> None:
        self.role = role
        uniform = rng.random() < 0.5
        self._body = body(
            Build(
                girth=float(rng.choice([0.93, 1.0, 1.1])),
                vest=uniform,
                cap=bool(rng.random() < 0.5),
                fists=role.weapon is not None or role.activity in _HELD,
            )
        )
        self._phase, self._tempo = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.15)
        self._habit, self._duck_s = gait.draw_habit(rng), rng.uniform(0.35, 0.7)
        self._scale = float(rng.uniform(0.94, 1.05))
        self._cube = world.light_cube((*role.place, 1.1))
        self.parts = [dress(rng, self._body, uniform)]
        if role.weapon is not None:
            self.parts.append(weapon_mesh(role.weapon.name))
        elif role.activity in _HELD:
            self.parts.append(held_thing(_HELD[role.activity]))

    def place(self, time_s: float) -> Vector:
        """Return the point between the feet."""
        heading = np.array((-np.sin(self.role.yaw), np.cos(self.role.yaw), 0))
        return np.asarray(np.array((*self.role.place, 0.0)) + heading * self.role.speed * time_s)

    def steps_s(self, duration_s: float) -> tuple[float, ...]:
        """Return when a foot strikes the ground within a duration, two in a cycle."""
        if self.role.activity not in _STRIDES:
            return ()
        metres = _STRIDES[self.role.activity][1] * self._scale
        half = metres / 2 / self.role.speed
        first = -self._phase / np.pi % 1 * half
        return tuple(np.arange(first, duration_s, half).tolist())

    def weapon_pose(self, time_s: float) -> tuple[Vector, Vector]:
        """Return axes (3, 3) and position of the aimed weapon."""
        assert self.role.weapon is not None
        sway = 2 * np.pi * self._tempo * time_s + self._phase
        since = [time_s - t for t in self.role.discharges_s if t <= time_s]
        kick = sum(0.1 * np.exp(-9 * dt) * np.sin(min(40 * dt, np.pi / 2)) for dt in since)
        ahead = 0.5 if self.role.weapon is weapons.PISTOL else 0.24
        height = 1.38 * self._scale + 0.004 * np.sin(sway) + 0.3 * kick
        height += gait.crouching({}, self._depth(time_s)) * 0.9
        facing = rotation(yaw=self.role.yaw)
        turn = facing @ rotation(
            pitch=1.3 * kick + 0.006 * np.sin(1.3 * sway), yaw=0.006 * np.sin(0.9 * sway)
        )
        return turn, self.place(time_s) + facing @ np.array([0.02, ahead, height])

    def muzzle(self, time_s: float) -> tuple[Vector, Vector]:
        """Return the muzzle's position and direction."""
        assert self.role.weapon is not None
        turn, place = self.weapon_pose(time_s)
        return place + turn @ np.array(self.role.weapon.muzzle), turn[:, 1]

    def moved(self, time_s: float) -> list[Moved]:
        """Return this person's parts at a time, in the order of `parts`."""
        turns, rise = self._turns(time_s)
        place = self.place(time_s) + np.array((0, 0, rise))
        posture = pose(turns, place, self.role.yaw, self._scale)
        things = []
        if self.role.weapon is not None:
            turn, weapon_place = self.weapon_pose(time_s)
            hold(posture, self.role.weapon, turn, weapon_place)
            things = [move_rigid(self.parts[1], turn, weapon_place, self._cube)]
        elif self.role.activity in _HELD:
            things = [self._present(posture, place, time_s)]
        elif self.role.activity == "cover":
            self._shield_head(posture, self._depth(time_s))
        vertices, normals = posture.skin(self._body)
        normals = unit(normals)
        ambient = cube_light(normals, self._cube) * self._body.openness[:, None]
        return [Moved(vertices, normals, ambient), *things]

    def _present(self, posture: Posture, place: Vector, time_s: float) -> Moved:
        """Hold a camera or torch before the face with both hands or one."""
        sway = 2 * np.pi * self._tempo * time_s + self._phase
        facing = rotation(yaw=self.role.yaw)
        turn = facing @ rotation(pitch=0.03 * np.sin(0.7 * sway), yaw=0.04 * np.sin(0.5 * sway))
        height = HELD_HEIGHT_M[self.role.activity] * self._scale + 0.006 * np.sin(sway)
        thing = place + facing @ np.array((0.0, _HELD_AHEAD_M, height))
        both = ("R", "L") if self.role.activity == "photograph" else ("R",)
        for side in both:
            x = 1.0 if side == "R" else -1.0
            posture.reach(
                side,
                thing + turn @ np.array((0.07 * x, -0.05, -0.02)),
                turn @ np.array((0.5 * x, 0, -0.9)),
                turn @ np.array((-0.3 * x, 0.9, 0.2)),
            )
        return move_rigid(self.parts[1], turn, thing, self._cube)

    def _shield_head(self, posture: Posture, depth: float) -> None:
        if depth < 0.1:
            return
        facing, head = rotation(yaw=self.role.yaw), posture.positions[JOINT["head"]]
        for side, x in SIDES:
            wrist = posture.positions[JOINT[f"wrist{side}"]]
            goal = head + facing @ np.array((0.13 * x, 0.08, 0.04))
            reach = wrist + (goal - wrist) * min(1.0, 1.6 * depth)
            posture.reach(
                side, reach, facing @ np.array((x, 0.4, -0.5)), facing @ np.array((-x, 0.2, 0.8))
            )

    def _depth(self, time_s: float) -> float:
        """Return how deep the person crouches, in [0, 1]."""
        if self.role.duck_s is None:
            return 0.0
        down, up = self.role.duck_s
        share = np.clip((time_s - down) / self._duck_s, 0, 1)
        share -= np.clip((time_s - up) / (1.4 * self._duck_s), 0, 1)
        return float(share * share * (3 - 2 * share))

    def _turns(self, time_s: float) -> tuple[Turns, float]:
        clock, role = 2 * np.pi * self._tempo * time_s + self._phase, self.role
        if role.activity in ("walk", "run"):
            cycle, metres = _STRIDES[role.activity]
            phase = 2 * np.pi * role.speed * time_s / (metres * self._scale) + self._phase
            return gait.striding(cycle, phase, self._habit)
        turns, rise = gait.standing(clock), 0.0
        if role.activity == "talk":
            gait.gesture(turns, clock)
        elif role.activity == "aim":
            rise = gait.aiming(turns)
        depth = self._depth(time_s)
        if depth > 0:
            rise = gait.crouching(turns, depth)
        return turns, rise * self._scale


class SwingingDoor:
    """A door leaf that falls shut or flies open, accelerating, and bounces a little."""

    def __init__(
        self,
        door: Door,
        world: LitWorld,
        start_s: float,
        duration_s: float,
        widest: float,
        slams: bool,
    ) -> None:
        self._door, self._start_s, self.duration_s = door, start_s, duration_s
        self._widest, self._slams = widest, slams
        self._cube = world.light_cube((*(np.array(door.hinge) + np.array(door.into)), 1.1))
        self.parts = [door.leaf()]

    def angle(self, time_s: float) -> float:
        """Return how far it is open in radians."""
        since = max(time_s - self._start_s, 0.0) / self.duration_s
        gone = min(since, 1.0) ** 2
        ring = 0.05 * np.exp(-2 * (since - 1)) * abs(np.sin(4 * (since - 1))) if since > 1 else 0.0
        return float(self._widest * ((1 - gone if self._slams else gone) + ring))

    def moved(self, time_s: float) -> list[Moved]:
        """Return the leaf at a time."""
        return [move_rigid(self.parts[0], *self._door.pose(self.angle(time_s)), self._cube)]


class Crowd:
    """Everything of a scene that moves, as one surface: people and doors."""

    def __init__(self, actors: list[Actor], doors: Sequence[SwingingDoor] = ()) -> None:
        self._actors = actors
        self._movers: list[Actor | SwingingDoor] = [*actors, *doors]
        parts = [part for mover in self._movers for part in mover.parts]
        self._surface = MovingSurface(parts) if parts else None

    def at(self, time_s: float) -> tuple[tuple[SurfaceArrays, Accelerator] | None, Array]:
        """Return the surface at a time, None when nothing moves, and people's feet (P, 2)."""
        if self._surface is None:
            return None, np.zeros((0, 2), np.float32)
        moved = [part for mover in self._movers for part in mover.moved(time_s)]
        feet = [actor.place(time_s)[:2] for actor in self._actors]
        return self._surface.place(moved), np.array(feet, np.float32).reshape(-1, 2)
