"""People in view: what they do, how they move, and the surface they form each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.bodycam.kernels import SurfaceArrays
from pipeline.engines.bodycam.people import weapons
from pipeline.engines.bodycam.people.humanoid import Build, body
from pipeline.engines.bodycam.people.skeleton import Posture, Turns, pose
from pipeline.engines.bodycam.people.wardrobe import dress
from pipeline.engines.bodycam.people.weapons import Weapon, weapon_mesh
from pipeline.engines.bodycam.world.embree import Accelerator
from pipeline.engines.bodycam.world.geometry import Mesh, concatenate, rotation, unit
from pipeline.engines.bodycam.world.lighting import LitWorld

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

WALK_CYCLE_HZ = 0.95


class Moved(NamedTuple):
    """One part of a moving surface at one time: (V, 3) each."""

    vertices: Array
    normals: Array
    ambient: Array


class MovingSurface:
    """Parts that keep their triangles and materials while their vertices move."""

    def __init__(self, parts: list[Mesh]) -> None:
        self._mesh = concatenate(parts)
        self._dark = np.zeros_like(self._mesh.vertices)

    def place(self, parts: list[Moved]) -> tuple[SurfaceArrays, Accelerator]:
        """Return shading arrays and rays' tree of the parts, in the order of the constructor."""
        vertices, normals, ambient = (np.concatenate(column) for column in zip(*parts, strict=True))
        mesh = self._mesh
        arrays = SurfaceArrays(
            mesh.triangles,
            normals,
            mesh.uv,
            ambient,
            self._dark,
            mesh.layer,
            mesh.tint,
            mesh.emission,
            mesh.gloss,
            mesh.tiles_per_m,
        )
        return arrays, Accelerator(vertices, mesh.triangles)


def cube_light(normals: Array, cube: Array) -> Array:
    """Return the (N, 3) irradiance on unit normals from a (6, 3) light cube."""
    positive, negative = np.maximum(normals, 0) ** 2, np.maximum(-normals, 0) ** 2
    return np.asarray(
        np.einsum("ij,jk->ik", positive, cube[:3]) + np.einsum("ij,jk->ik", negative, cube[3:]),
        np.float32,
    )


def move_rigid(mesh: Mesh, turn: Vector, place: ArrayLike, cube: Array) -> Moved:
    """Turn and place a rigid mesh."""
    matrix = turn.astype(np.float32)
    vertices = np.einsum("ij,nj->ni", matrix, mesh.vertices) + np.asarray(place, np.float32)
    normals = np.einsum("ij,nj->ni", matrix, mesh.normals)
    return Moved(vertices, normals, cube_light(normals, cube) * np.float32(0.8))


def hold(posture: Posture, weapon: Weapon, turn: Vector, place: Vector) -> None:
    """Bring both hands of a posture to a weapon with axes `turn` at `place`."""
    posture.reach(
        "R",
        place + turn @ np.array(weapons.RIGHT_WRIST),
        turn @ np.array(weapons.RIGHT_ELBOW_TOWARDS),
        turn @ np.array(weapons.RIGHT_FINGERS),
    )
    posture.reach(
        "L",
        place + turn @ np.array(weapon.left_wrist),
        turn @ np.array(weapon.left_elbow_towards),
        turn @ np.array(weapon.left_fingers),
    )


@dataclass(frozen=True)
class Role:
    """What a person does: `activity` is idle, talk, walk or aim; speed in m/s along `yaw`."""

    activity: str
    place: tuple[float, float]
    yaw: float
    weapon: Weapon | None = None
    discharges_s: tuple[float, ...] = ()
    speed: float = 0.0


class Actor:
    """One person of a scene."""

    def __init__(self, rng: np.random.Generator, role: Role, world: LitWorld) -> None:
        self.role = role
        uniform = rng.random() < 0.65
        self._body = body(
            Build(
                girth=float(rng.choice([0.93, 1.0, 1.1])),
                vest=uniform,
                cap=bool(rng.random() < 0.5),
                fists=role.weapon is not None,
            )
        )
        self._phase, self._tempo = rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.15)
        self._scale = float(rng.uniform(0.94, 1.05))
        self._cube = world.light_cube((*role.place, 1.1))
        self.parts = [dress(rng, self._body, uniform)]
        if role.weapon is not None:
            self.parts.append(weapon_mesh(role.weapon.name))

    def place(self, time_s: float) -> Vector:
        """Return the point between the feet."""
        heading = np.array((-np.sin(self.role.yaw), np.cos(self.role.yaw), 0))
        return np.asarray(np.array((*self.role.place, 0.0)) + heading * self.role.speed * time_s)

    def weapon_pose(self, time_s: float) -> tuple[Vector, Vector]:
        """Return axes (3, 3) and position of the aimed weapon."""
        assert self.role.weapon is not None
        sway = 2 * np.pi * self._tempo * time_s + self._phase
        since = [time_s - t for t in self.role.discharges_s if t <= time_s]
        kick = sum(0.1 * np.exp(-9 * dt) * np.sin(min(40 * dt, np.pi / 2)) for dt in since)
        ahead = 0.5 if self.role.weapon is weapons.PISTOL else 0.24
        height = 1.38 * self._scale + 0.004 * np.sin(sway) + 0.3 * kick
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
        weapon_parts = []
        if self.role.weapon is not None:
            turn, weapon_place = self.weapon_pose(time_s)
            hold(posture, self.role.weapon, turn, weapon_place)
            weapon_parts = [move_rigid(self.parts[1], turn, weapon_place, self._cube)]
        vertices, normals = posture.skin(self._body)
        normals = unit(normals)
        ambient = cube_light(normals, self._cube) * self._body.openness[:, None]
        return [Moved(vertices, normals, ambient), *weapon_parts]

    def _turns(self, time_s: float) -> tuple[Turns, float]:
        clock = 2 * np.pi * self._tempo * time_s + self._phase
        if self.role.activity == "walk":
            return walking(WALK_CYCLE_HZ * clock)
        turns = _standing(clock)
        if self.role.activity == "talk":
            _gesture(turns, clock)
        elif self.role.activity == "aim":
            turns |= {
                "chest": rotation(pitch=-0.1),
                "neck": rotation(pitch=0.02),
                "hipL": rotation(0.3, 0.08, 0.1),
                "kneeL": rotation(pitch=-0.3),
                "hipR": rotation(-0.12, -0.08, -0.1),
                "kneeR": rotation(pitch=-0.12),
            }
        return turns, -0.05 if self.role.activity == "aim" else 0.0


class Crowd:
    """All people of a scene as one moving surface."""

    def __init__(self, actors: list[Actor]) -> None:
        self._actors = actors
        parts = [part for actor in actors for part in actor.parts]
        self._surface = MovingSurface(parts) if parts else None

    def at(self, time_s: float) -> tuple[tuple[SurfaceArrays, Accelerator] | None, Array]:
        """Return the surface at a time, None when nobody is there, and feet (P, 2)."""
        if self._surface is None:
            return None, np.zeros((0, 2), np.float32)
        moved = [part for actor in self._actors for part in actor.moved(time_s)]
        feet = np.array([actor.place(time_s)[:2] for actor in self._actors], np.float32)
        return self._surface.place(moved), feet


def _standing(clock: float) -> Turns:
    breath = 0.5 + 0.5 * np.sin(0.28 * clock)
    turns = {
        "chest": rotation(-0.02 + 0.015 * breath, 0.02 * np.sin(0.31 * clock)),
        "neck": rotation(0.05 * np.sin(0.37 * clock), 0, 0.25 * np.sin(0.29 * clock)),
        "pelvis": rotation(roll=0.03 * np.sin(0.19 * clock)),
    }
    for (side, x), wave in zip((("L", -1), ("R", 1)), (0.4, 0.33), strict=True):
        swing = 0.05 * np.sin(wave * clock)
        turns |= {
            f"hip{side}": rotation(0.03, -x * 0.06),
            f"knee{side}": rotation(pitch=-0.05),
            f"shoulder{side}": rotation(0.06 + swing, x * 1.36),
            f"elbow{side}": rotation(yaw=x * (0.3 + swing)),
        }
    return turns


def _gesture(turns: Turns, clock: float) -> None:
    wave = np.sin(1.3 * clock) * np.sin(0.37 * clock + 1)
    turns |= {
        "shoulderR": rotation(0.25 + 0.2 * wave, 1.28),
        "elbowR": rotation(0, -0.2, 1.35 + 0.45 * np.sin(1.7 * clock)),
        "shoulderL": rotation(0.15 - 0.2 * wave, -1.3),
        "elbowL": rotation(0, 0.2, -(0.8 + 0.5 * np.sin(1.1 * clock + 2))),
        "neck": rotation(0.06 * np.sin(1.1 * clock), 0, 0.15 * np.sin(0.5 * clock)),
    }


def walking(phase: float) -> tuple[Turns, float]:
    """Return the turns of a walk at a stride phase in radians, and the rise of the body."""
    turns = {
        "pelvis": rotation(0, 0.04 * np.sin(phase), 0.08 * np.sin(phase)),
        "chest": rotation(-0.09, 0, -0.16 * np.sin(phase)),
    }
    for side, x, leg in (("L", -1, phase), ("R", 1, phase + np.pi)):
        hip = 0.42 * np.sin(leg) + 0.1
        knee = 0.15 + 0.88 * max(0.0, np.sin(leg - 1.3)) ** 1.5
        turns |= {
            f"hip{side}": rotation(pitch=hip),
            f"knee{side}": rotation(pitch=-knee),
            f"ankle{side}": rotation(pitch=0.25 * knee - 0.125 * hip),
            f"shoulder{side}": rotation(0.05 - 0.45 * np.sin(leg), x * 1.3),
            f"elbow{side}": rotation(yaw=x * (0.3 + 0.15 * np.sin(leg))),
        }
    return turns, 0.025 * (1 + np.cos(2 * phase)) - 0.045
