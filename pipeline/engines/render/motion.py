"""Motion of the wearer's body and camera, tabulated at 1 kHz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.engines.render.curves import TABLE_HZ, Vector, drift, ease, springs

# Camera axes (x right, y up, z backwards) in the axes of the body (x right, y forward, z up).
CAMERA_IN_BODY = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
_MARGIN_S = 0.3
_WALK_STEP_HZ = 1.75
_CROUCH_M = 0.5
_START_S = 0.6
_TURN, _LEAST_STRIDE = 2 * np.pi, 0.15
_PAN_SHARE, _TREMBLE_SHARE = 0.2, 0.4


@dataclass(frozen=True)
class Turn:
    """A turn by `angle` radians to the left, between two times in seconds."""

    start_s: float
    end_s: float
    angle: float


@dataclass(frozen=True)
class Movement:
    """What the wearer does with the body.

    `heading` is the yaw from +y in radians, `speed` in m/s, `stop_s` when a walk ends (None:
    never), `look_deg` how far the body turns to look around, `steadiness` above 1 shakes more,
    `duck_s` when the wearer crouches and rises again, `startles_s` what makes the wearer flinch.
    Of long recordings, `turns` are how the heading changes, `walks_s` starts and ends of walks
    (None: always walking), and a camera that `pivots` turns where it is and goes nowhere.
    """

    start: tuple[float, float]
    heading: float
    speed: float = 0.0
    stop_s: float | None = None
    look_deg: float = 0.0
    steadiness: float = 1.0
    duck_s: tuple[float, float] | None = None
    startles_s: tuple[float, ...] = ()
    turns: tuple[Turn, ...] = ()
    walks_s: tuple[tuple[float, float], ...] | None = None
    pivots: bool = False


@dataclass(frozen=True)
class Mount:
    """Where the camera sits on the body (metres) and how it points (degrees).

    `where` is chest, shoulder, head, hand or fixed: on a wall or a stand, where nobody wears it.
    """

    where: str
    place: tuple[float, float, float]
    pitch_deg: float
    yaw_deg: float
    roll_deg: float

    @property
    def angles_deg(self) -> tuple[float, float, float]:
        """Pitch, yaw and roll."""
        return self.pitch_deg, self.yaw_deg, self.roll_deg

    @property
    def on_chest(self) -> bool:
        """Whether hands held low before the body would cover the lens."""
        return self.where == "chest"

    @property
    def shows_arms(self) -> bool:
        """Whether empty arms that swing come into view."""
        return self.where in ("chest", "shoulder")


def draw_mount(rng: np.random.Generator, where: str) -> Mount:
    """Draw a mount on the chest, shoulder or head, in one hand, or on something that stands."""
    yaw, roll = rng.normal(0, 2.0), rng.normal(0, 2.2)
    sideways = float(rng.uniform(-0.07, 0.07))
    if where == "chest":
        place, pitch = (sideways, 0.15, float(rng.uniform(1.13, 1.25))), rng.uniform(1, 9)
    elif where == "shoulder":
        place, pitch = (float(rng.choice([-0.14, 0.14])), 0.08, 1.47), rng.uniform(-4, 3)
    elif where == "head":
        place, pitch = (sideways, 0.12, float(rng.uniform(1.58, 1.66))), rng.uniform(-9, -3)
    elif where == "fixed":
        height = float(rng.uniform(1.0, 2.2))
        place, pitch = (sideways, 0.1, height), rng.normal(0, 3.0) - 12 * max(0.0, height - 1.4)
        yaw = rng.normal(0, 8.0)
    else:
        place = (2 * sideways, float(rng.uniform(0.3, 0.5)), float(rng.uniform(1.3, 1.6)))
        pitch, roll = rng.uniform(-10, 2), rng.normal(0, 5.0)
    return Mount(where, place, pitch, yaw, roll)


def rotations(pitch: Vector, yaw: Vector, roll: Vector) -> Vector:
    """Return Rz(yaw) Rx(pitch) Ry(roll) of (N,) angles in radians as (N, 3, 3)."""
    cp, sp, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    cr, sr = np.cos(roll), np.sin(roll)
    rows = [
        [cy * cr - sy * sp * sr, -sy * cp, cy * sr + sy * sp * cr],
        [sy * cr + cy * sp * sr, cy * cp, sy * sr - cy * sp * cr],
        [-cp * sr, sp, cp * cr],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


class BodyMotion:
    """The wearer's body and camera over a recording.

    Times are seconds from the recording's start; a pose is a rotation to the world and a place.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        movement: Movement,
        mount: Mount,
        duration_s: float,
        recoil_s: tuple[float, ...] = (),
        recoil_scale: float = 1.0,
    ) -> None:
        length = int((duration_s + _MARGIN_S) * TABLE_HZ)
        time = self.time = np.arange(length) / TABLE_HZ
        speed = movement.speed * (1 + 0.12 * drift(rng, length, 0.7))
        if movement.stop_s is not None:
            speed = speed * (1 - ease(time, movement.stop_s - 0.5, movement.stop_s))
        if movement.walks_s is not None:
            speed = speed * _walking(time, movement.walks_s)
        stride = self.stride = np.clip(speed / 1.3, 0, 2.2)
        step_hz = _WALK_STEP_HZ + 0.5 * np.maximum(stride - 1, 0) + 0.12 * drift(rng, length, 0.5)
        step_hz = np.where(speed > 0.15, step_hz, 0.2)
        phase = 2 * np.pi * np.cumsum(step_hz) / TABLE_HZ + rng.uniform(0, 2 * np.pi)
        self.phase = phase
        self._angles = self._body_angles(rng, movement, stride, phase)
        if len(recoil_s):
            self._add_recoil(rng, recoil_s, recoil_scale)
        flinch = self._add_flinch(rng, movement.startles_s)
        yaw = self._angles[1]
        breath = np.sin(2 * np.pi * rng.uniform(0.22, 0.4) * time)
        sideways = stride * 0.016 * np.cos(phase / 2)
        back = -springs(time, recoil_s, 0.012 * recoil_scale, 5.0, 0.4)
        x = movement.start[0] + np.cumsum(-np.sin(movement.heading) * speed) / TABLE_HZ
        y = movement.start[1] + np.cumsum(np.cos(movement.heading) * speed) / TABLE_HZ
        self._pivot: Vector | None = None
        self._place = np.stack(
            [
                x + sideways * np.cos(yaw) - back * np.sin(yaw),
                y + sideways * np.sin(yaw) + back * np.cos(yaw),
                self._rise(movement, stride, phase) + 0.004 * breath - flinch,
            ],
            1,
        )
        self._mount_place = np.array(mount.place)
        self._mount_angles = self._mount_wobble(rng, mount, stride)
        if mount.where == "fixed":
            self._stand_still(rng, movement, mount)
        self._angles[1] += turned(time, movement.turns)
        if movement.pivots:
            self._pivot = self.camera([0.0])[1]

    def _body_angles(
        self, rng: np.random.Generator, movement: Movement, stride: Vector, phase: Vector
    ) -> Vector:
        """Return pitch, yaw and roll (3, N) in radians."""
        time, length = self.time, len(self.time)
        shake = movement.steadiness * rng.uniform(0.8, 1.3)
        breath = np.sin(2 * np.pi * rng.uniform(0.22, 0.4) * time + rng.uniform(0, 6))
        crossings = np.arange(phase[0] // (2 * np.pi) + 1, phase[-1] // (2 * np.pi) + 1)
        heel_strikes = (
            np.interp(crossings * 2 * np.pi, phase, time) if movement.speed else np.zeros(0)
        )
        pitch = 0.3 * drift(rng, length, 1.2) + 0.16 * drift(rng, length, 5) + 0.3 * breath
        second, third = rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.25)
        wave = 0.8 * np.sin(phase + 0.6) + second * np.sin(2 * phase + rng.uniform(0, 6))
        wave += third * np.sin(1.5 * phase + rng.uniform(0, 6))
        pitch += stride * (wave + 0.5 * drift(rng, length, 3))
        for foot in (0, 1):
            strength = rng.uniform(0.35, 0.8)
            pitch += springs(time, heel_strikes[foot::2], strength, rng.uniform(7, 11), 0.22)
        roll = 0.25 * drift(rng, length, 0.9) + 0.12 * drift(rng, length, 5)
        roll += stride * (1.2 * np.sin(phase / 2 + 0.3) + 0.5 * drift(rng, length, 3))
        yaw = 0.35 * drift(rng, length, 1.0) + 0.14 * drift(rng, length, 5)
        yaw += stride * (1.6 * np.sin(phase / 2 + 1.2) + 0.5 * drift(rng, length, 3))
        turn = rng.uniform(2, 5) * 0.5 * drift(rng, length, 0.5)
        turn += movement.look_deg * np.sin(
            2 * np.pi * rng.uniform(0.18, 0.35) * time + rng.uniform(0, 6)
        )
        angles = np.radians(np.stack([shake * pitch, shake * yaw + turn, shake * roll]))
        angles[1] += movement.heading
        return angles

    def _add_recoil(
        self, rng: np.random.Generator, discharges_s: tuple[float, ...], scale: float
    ) -> None:
        pitch, yaw, roll = self._angles
        side = rng.choice([-1.0, 1.0])
        kick = np.radians(1.0) * scale
        pitch += springs(self.time, discharges_s, 1.1 * kick, 5.5, 0.3)
        pitch += springs(self.time, discharges_s, 0.45 * kick, 17.0, 0.2)
        roll += springs(self.time, discharges_s, 0.5 * kick * side, 6.5, 0.3)
        yaw += springs(self.time, discharges_s, 0.35 * kick * side, 7.0, 0.3)

    def _rise(self, movement: Movement, stride: Vector, phase: Vector) -> Vector:
        """Return the rise of the body in metres: steps and crouching."""
        rise = stride * (0.02 * np.cos(phase) + 0.005 * np.cos(2 * phase + 0.8))
        if movement.duck_s is not None:
            down, up = movement.duck_s
            depth = ease(self.time, down, down + 0.6) - ease(self.time, up, up + 0.8)
            rise = rise - _CROUCH_M * depth
            self._angles[0] -= np.radians(7) * np.sin(np.pi * depth)
        return np.asarray(rise)

    def _add_flinch(self, rng: np.random.Generator, startles_s: tuple[float, ...]) -> Vector:
        """Turn the body as a startle does, and return how far it sinks (N,) in metres."""
        late, side = rng.uniform(0.05, 0.13), rng.choice([-1.0, 1.0])
        strength, heard = np.radians(rng.uniform(1.5, 6.0)), np.asarray(startles_s) + late
        self._angles[0] -= springs(self.time, heard, strength, 2.6, 0.45)
        self._angles[1] += springs(self.time, heard, 0.7 * side * strength, 1.9, 0.5)
        self._angles[2] += springs(self.time, heard, 0.5 * side * strength, 4.0, 0.35)
        return springs(self.time, heard, 0.03, 2.2, 0.5)

    def _mount_wobble(self, rng: np.random.Generator, mount: Mount, stride: Vector) -> Vector:
        length, loose = len(self.time), 0.2 * (0.4 + stride)
        pitch = mount.pitch_deg + loose * drift(rng, length, 7)
        yaw = mount.yaw_deg + loose * drift(rng, length, 6)
        roll = mount.roll_deg + loose * drift(rng, length, 6)
        if mount.where == "head":
            glance = 5 * drift(rng, length, 0.6) + 3 * drift(rng, length, 1.6)
            yaw = yaw + glance
            pitch = pitch + 2.5 * drift(rng, length, 0.6)
            roll = roll + 0.12 * glance
        elif mount.where == "hand":
            yaw = yaw + 4 * drift(rng, length, 0.5) + 0.7 * drift(rng, length, 4)
            pitch = pitch + 3 * drift(rng, length, 0.5) + 0.7 * drift(rng, length, 4)
            roll = roll + 2 * drift(rng, length, 0.4) + 0.4 * drift(rng, length, 6)
        return np.radians(np.stack([pitch, yaw, roll]))

    def _stand_still(self, rng: np.random.Generator, movement: Movement, mount: Mount) -> None:
        """Put the camera where the wearer would start; some pan, and some tremble in the wind."""
        length = len(self.time)
        self._place = np.tile((*movement.start, 0.0), (length, 1))
        pitch, yaw, roll = (np.full(length, angle) for angle in mount.angles_deg)
        if rng.random() < _PAN_SHARE and not movement.turns:
            reach, rate_hz = rng.uniform(4, 25), rng.uniform(0.04, 0.15)
            yaw += reach * np.sin(2 * np.pi * rate_hz * self.time + rng.uniform(0, 6))
        if rng.random() < _TREMBLE_SHARE:
            size = np.exp(rng.uniform(np.log(0.02), np.log(0.4)))
            pitch += size * drift(rng, length, 5)
            yaw += size * drift(rng, length, 5)
        self._angles = np.zeros((3, length))
        self._angles[1] = movement.heading
        self._mount_angles = np.radians(np.stack([pitch, yaw, roll]))

    def steps_s(self) -> tuple[float, ...]:
        """Return when a foot of the wearer strikes the ground, in seconds."""
        whole = np.arange(np.ceil(self.phase[0] / _TURN), self.phase[-1] / _TURN)
        times = np.interp(whole * _TURN, self.phase, self.time)
        moving = self.sample(self.stride, times) > _LEAST_STRIDE
        return tuple(times[moving].tolist())

    def sample(self, table: Vector, times_s: ArrayLike) -> Vector:
        """Interpolate a table whose last axis is time."""
        place = np.clip(np.asarray(times_s, float) * TABLE_HZ, 0, len(self.time) - 1.001)
        index = place.astype(int)
        share = place - index
        return np.asarray(table[..., index] * (1 - share) + table[..., index + 1] * share)

    def body(self, times_s: ArrayLike) -> tuple[Vector, Vector]:
        """Return the body's rotations (N, 3, 3) and places (N, 3) at (N,) times."""
        times = np.atleast_1d(times_s)
        return rotations(*self.sample(self._angles, times)), self.sample(self._place.T, times).T

    def camera(self, times_s: ArrayLike) -> tuple[Vector, Vector]:
        """Return the camera's rotations (N, 3, 3) and places (N, 3) at (N,) times."""
        turn, place = self.body(times_s)
        wobble = rotations(*self.sample(self._mount_angles, np.atleast_1d(times_s)))
        axes = np.einsum("nij,njk,kl->nil", turn, wobble, CAMERA_IN_BODY)
        if self._pivot is not None:
            return axes, np.repeat(self._pivot, len(axes), axis=0)
        return axes, place + np.einsum("nij,j->ni", turn, self._mount_place)


def turned(time: Vector, turns: Sequence[Turn]) -> Vector:
    """Return by how much turns have changed a heading at (N,) times of the table."""
    steps, partly = np.zeros(len(time)), np.zeros(len(time))
    for turn in turns:
        first, last = np.searchsorted(time, (turn.start_s, turn.end_s))
        partly[first:last] += turn.angle * ease(time[first:last], turn.start_s, turn.end_s)
        if last < len(time):
            steps[last] += turn.angle
    return np.asarray(partly + np.cumsum(steps))


def _walking(time: Vector, walks_s: Sequence[tuple[float, float]]) -> Vector:
    """Return the share of its speed that a walk has at (N,) times of the table."""
    share = np.zeros(len(time))
    for start_s, end_s in walks_s:
        first, last = np.searchsorted(time, (start_s, end_s))
        part = time[first:last]
        share[first:last] = ease(part, start_s, start_s + _START_S)
        share[first:last] *= 1 - ease(part, end_s - _START_S, end_s)
    return share
