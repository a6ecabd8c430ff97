"""Where a film's camera stands, how it moves, and when the picture cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.kernels import PEOPLE
from pipeline.engines.render.people.actors import Actor, Role
from pipeline.engines.render.raytrace import Traced
from pipeline.engines.render.world.lighting import LitWorld

Vector = NDArray[np.float64]

MOST_TRIES = 40
"""Draws of a set-up, after which none is taken to show what it should."""
_PREVIEW_WIDTH = 64
_NUM_CUTS_ODDS = (0.3, 0.4, 0.3)
_SHORTEST_S = 1.1
_CLEAR_OF_DISCHARGE_S = 0.15
_CHEST_M = 1.35
_CROUCH_M, _CROUCH_FIELD = 0.2, 1.3
_ROOM_LEFT = 0.88
_UP = np.array((0.0, 0.0, 1.0))
_FEWEST_PEOPLE, _FEW_PEOPLE, _MANY_PEOPLE = 0.012, 0.05, 0.6
_NEAR_SHARE = 0.06
_BODY = np.array(((0, 0, 0.75), (0, 0, 1.25), (0, 0, 1.6)))
_BODY_DEPTH_M = 0.5


class Filmed(Protocol):
    """Somebody whom a set-up films."""

    @property
    def role(self) -> Role:
        """What the person does."""
        ...

    def place(self, time_s: float) -> Vector:
        """Return the point between the feet, (3,)."""
        ...


@dataclass(frozen=True)
class SetUpRanges:
    """The ranges of one kind of set-up, relative to a person who faces ahead; metres, degrees.

    `bearing` is measured from where the person faces, to either side; the camera looks at the
    point `ahead` of the person at the height `look_at`, and focuses `focus_ahead` of it.
    """

    name: str
    bearing: tuple[float, float]
    distance: tuple[float, float]
    height: tuple[float, float]
    ahead: float
    look_at: float
    focus_ahead: float
    fov: tuple[float, float]
    aperture_mm: tuple[float, float]


FRONT = SetUpRanges("front", (18, 40), (1.9, 2.9), (1.25, 1.6), 0.15, 1.35, 0.1, (32, 46), (14, 42))
SIDE = SetUpRanges("side", (55, 110), (1.8, 2.7), (1.15, 1.55), 0.25, 1.32, 0.0, (38, 52), (14, 42))
SHOULDER = SetUpRanges(
    "shoulder", (150, 166), (0.8, 1.3), (1.5, 1.75), 2.5, 1.4, 0.5, (44, 58), (10, 30)
)
WEAPON = SetUpRanges("weapon", (28, 65), (1.1, 1.7), (1.2, 1.5), 0.5, 1.38, 0.5, (24, 34), (12, 32))
LOW = SetUpRanges("low", (25, 75), (1.5, 2.4), (0.35, 0.8), 0.1, 1.25, 0.1, (46, 60), (10, 32))
WIDE = SetUpRanges("wide", (40, 170), (3.3, 5.5), (1.1, 2.1), 0.8, 1.1, 0.2, (48, 64), (8, 20))
EYES = SetUpRanges("eyes", (0, 0), (-0.2, -0.17), (1.5, 1.56), 4.0, 1.2, 1.2, (62, 80), (4, 10))
ARMED: tuple[SetUpRanges, ...] = (FRONT, SIDE, SHOULDER, WEAPON, LOW, WIDE, EYES)
UNARMED: tuple[SetUpRanges, ...] = (FRONT, SIDE, SHOULDER, LOW, WIDE)


@dataclass(frozen=True)
class SetUp:
    """One camera position from `start_s` on; places (3,) at that time, velocities in m/s.

    `wobble` (3, 3) holds the handheld sway's amplitude in metres, rate and phase by axis.
    """

    kind: SetUpRanges
    start_s: float
    place: Vector
    velocity: Vector
    target: Vector
    target_velocity: Vector
    focus: Vector
    focus_velocity: Vector
    fov_deg: float
    aperture_m: float
    roll: float
    wobble: Vector

    def poses(self, times_s: ArrayLike) -> tuple[Vector, Vector]:
        """Return the camera's rotations (N, 3, 3) and places (N, 3) at (N,) times."""
        times = np.atleast_1d(np.asarray(times_s, float))
        since = (times - self.start_s)[:, None]
        amplitude, rate_hz, phase = self.wobble
        angle = 2 * np.pi * rate_hz * times[:, None] + phase
        sway = amplitude * (np.sin(angle) + 0.4 * np.sin(2.3 * angle + 1))
        place = self.place + self.velocity * since + sway
        target = self.target + self.target_velocity * since - 0.5 * sway[:, [1, 2, 0]]
        return look_at(place, target, self.roll), place

    def focus_m(self, time_s: float) -> float:
        """Return the distance of the plane of focus along the camera's axis."""
        (turn,), (place,) = self.poses([time_s])
        point = self.focus + self.focus_velocity * (time_s - self.start_s)
        return max(0.3, float(turn[:, 2] @ (place - point)))

    def lens(self, width: int, height: int) -> PinholeLens:
        """Fit the field, drawn for 16:9, to another shape with the same height."""
        across = np.tan(np.radians(self.fov_deg) / 2) * width / height * 9 / 16
        return PinholeLens(width, height, float(np.degrees(2 * np.arctan(across))))


def preview_size(width: int, height: int) -> tuple[int, int]:
    """Return width and height of the small picture by which a set-up is judged."""
    return _PREVIEW_WIDTH, round(_PREVIEW_WIDTH * height / width)


def look_at(places: Vector, targets: Vector, roll: float = 0.0) -> Vector:
    """Return camera axes (N, 3, 3), x right, y up, z backwards, that look from (N, 3) to (N, 3)."""
    back = places - targets
    back = back / np.linalg.norm(back, axis=1, keepdims=True)
    right = np.cross(_UP, back)
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(back, right)
    cosine, sine = np.cos(roll), np.sin(roll)
    return np.stack([right * cosine + up * sine, up * cosine - right * sine, back], -1)


def draw_cuts(
    rng: np.random.Generator, discharges_s: tuple[float, ...], duration_s: float, fps: float
) -> tuple[float, ...]:
    """Draw none to two cuts, each the start of a frame and well away from any discharge.

    A cut at a discharge could be mistaken for its flash. Recordings with too many discharges
    get fewer cuts.
    """
    shortest = min(_SHORTEST_S, duration_s / 2)
    wanted = rng.choice(len(_NUM_CUTS_ODDS), p=_NUM_CUTS_ODDS)
    cuts: list[float] = []
    for _ in range(wanted):
        ends = (0.0, *cuts, duration_s)
        free = [
            time
            for time in np.arange(1, int(duration_s * fps)) / fps
            if min(abs(time - end) for end in ends) >= shortest
            and all(abs(time - t) >= _CLEAR_OF_DISCHARGE_S for t in discharges_s)
        ]
        if not free:
            break
        cuts.append(float(free[rng.integers(len(free))]))
    return tuple(sorted(cuts))


def draw_set_up(
    rng: np.random.Generator,
    actor: Filmed,
    start_s: float,
    world: LitWorld,
    before: SetUpRanges | None = None,
) -> SetUp | None:
    """Draw a set-up that films one person, or None where the place leaves no room for it.

    It is of another kind than the one `before` it, as a cut between two that are alike would
    look like a fault.
    """
    kinds = UNARMED if actor.role.weapon is None else ARMED
    kinds = tuple(kind for kind in kinds if kind is not before)
    kind = kinds[rng.integers(len(kinds))]
    yaw, feet = actor.role.yaw, actor.place(start_s)
    facing = np.array((-np.sin(yaw), np.cos(yaw), 0))
    bearing = yaw + np.radians(rng.uniform(*kind.bearing)) * rng.choice([-1, 1])
    distance, height = rng.uniform(*kind.distance), rng.uniform(*kind.height)
    chest = feet + _UP * _CHEST_M
    if kind is EYES:
        place = feet + facing * -distance + _UP * height
    else:
        away = np.array((-np.sin(bearing), np.cos(bearing), 0)) * distance
        away[2] = height - _CHEST_M
        share = free_share(world, chest, away)
        if share < kind.distance[0] * 0.8 / distance:
            return None
        place = chest + away * min(1.0, share)
    walking = facing * actor.role.speed
    travels = actor.role.speed > 0 and (kind in (EYES, SHOULDER) or rng.random() < 0.6)
    dolly = np.array((*rng.normal(0, 0.12, 2), rng.normal(0, 0.03))) * (kind is not EYES)
    crouches = actor.role.duck_s is not None and kind is not EYES
    lower, wider = (_CROUCH_M, _CROUCH_FIELD) if crouches else (0.0, 1.0)
    target = feet + facing * kind.ahead + _UP * (kind.look_at - lower)
    aside = np.cross(target - place, _UP)
    aside /= np.linalg.norm(aside)
    target = target + aside * rng.uniform(-0.1, 0.1) * float(np.linalg.norm(target - place)) * 0.5
    follows = travels or actor.role.speed > 0
    handheld = rng.uniform(0.004, 0.014) if rng.random() < 0.45 else rng.uniform(0, 0.002)
    return SetUp(
        kind=kind,
        start_s=start_s,
        place=place,
        velocity=dolly + (walking if travels else 0),
        target=target,
        target_velocity=rng.normal(0, 0.03, 3) + (walking if follows else 0),
        focus=feet + facing * kind.focus_ahead + _UP * 1.5,
        focus_velocity=walking,
        fov_deg=wider * float(rng.uniform(*kind.fov)),
        aperture_m=float(rng.uniform(*kind.aperture_mm)) / 1000,
        roll=float(np.radians(rng.normal(0, 0.6))),
        wobble=np.stack([np.full(3, handheld), rng.uniform(0.3, 0.9, 3), rng.uniform(0, 6, 3)]),
    )


def free_share(world: LitWorld, start: Vector, away: Vector) -> float:
    """Return how much of the way `away` from `start` is free, with some room left."""
    length = float(np.linalg.norm(away))
    origin, direction = (np.asarray([x], np.float32) for x in (start, away / length))
    triangle, _, _, distance = world.accelerator.nearest(origin, direction)
    return np.inf if triangle[0] < 0 else _ROOM_LEFT * float(distance[0]) / length


def shows(person: Actor, set_up: SetUp, lens: PinholeLens, traced: Traced, time_s: float) -> bool:
    """Tell whether a preview shows its person unhidden, and nothing right before the lens."""
    height, width = traced.depth.shape
    share = float((traced.surface == PEOPLE).mean())
    crouches = person.role.duck_s is not None
    least = _FEWEST_PEOPLE if set_up.kind in (WIDE, EYES) or crouches else _FEW_PEOPLE
    if not least <= share <= _MANY_PEOPLE:
        return False
    if set_up.kind is EYES:
        return float((traced.depth < 0.2).mean()) < _NEAR_SHARE
    (turn,), (place,) = set_up.poses([time_s])
    points = person.place(time_s) + _BODY
    if set_up.kind is WEAPON:
        points = person.weapon_pose(time_s)[1][None]
    x, y, away = lens.project((points - place) @ turn)
    if float((traced.depth < 0.4 * away.min()).mean()) > _NEAR_SHARE:
        return False
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (away > 0)
    if not (inside[-1] or crouches):
        return False
    depth = traced.depth[y[inside].astype(int), x[inside].astype(int)]
    return bool((np.abs(depth - away[inside]) < _BODY_DEPTH_M).any())
