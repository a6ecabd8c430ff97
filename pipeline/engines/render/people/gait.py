"""How bodies stand, talk, walk, run, crouch: turns of the joints over time.

Joint angles over the gait cycle follow the curves of Winter, "Biomechanics and Motor Control of
Human Movement" (4th ed., 2009, walking) and Novacheck, "The biomechanics of running" (1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.people.skeleton import SIDES, Turns
from pipeline.engines.render.world.geometry import rotation

Vector = NDArray[np.float64]

WALK_CYCLE_M, RUN_CYCLE_M = 1.4, 2.5
_THIGH_M, _SHANK_M = 0.42, 0.41


@dataclass(frozen=True)
class Gait:
    """Angles in degrees at the shares `at` of a cycle that starts with the heel's strike."""

    at: tuple[float, ...]
    hip: tuple[float, ...]
    knee: tuple[float, ...]
    ankle: tuple[float, ...]
    arm_swing: float
    elbow: float
    lean: float
    flight_m: float

    def leg(self, phase: float) -> tuple[float, float, float]:
        """Return hip, knee and ankle in radians at a phase in radians."""
        share = phase / (2 * np.pi) % 1.0
        hip, knee, ankle = (
            float(np.interp(share, self.at, np.radians(curve), period=1.0))
            for curve in (self.hip, self.knee, self.ankle)
        )
        return hip, knee, ankle


WALK = Gait(
    at=(0.0, 0.08, 0.15, 0.25, 0.38, 0.5, 0.56, 0.62, 0.7, 0.77, 0.86, 0.94),
    hip=(29, 27, 22, 12, -1, -10, -10, -4, 10, 22, 31, 31),
    knee=(5, 14, 19, 15, 7, 9, 20, 37, 58, 60, 34, 7),
    ankle=(0, -6, -2, 4, 9, 9, -2, -17, -10, -2, 1, 1),
    arm_swing=0.42,
    elbow=0.35,
    lean=-0.07,
    flight_m=0.0,
)
RUN = Gait(
    at=(0.0, 0.08, 0.16, 0.26, 0.36, 0.45, 0.55, 0.66, 0.76, 0.86, 0.95),
    hip=(38, 36, 26, 8, -6, -8, 6, 32, 50, 52, 44),
    knee=(18, 34, 42, 32, 18, 28, 66, 104, 98, 58, 20),
    ankle=(4, 14, 22, 12, -18, -22, -10, 0, 6, 6, 4),
    arm_swing=0.75,
    elbow=1.45,
    lean=-0.2,
    flight_m=0.04,
)


@dataclass(frozen=True)
class Habit:
    """What makes one person's movements uneven, each about 0: left against right, and timing."""

    arm: float = 0.0
    leg: float = 0.0
    delay: float = 0.0
    lean: float = 0.0


def draw_habit(rng: np.random.Generator) -> Habit:
    """Draw a person's unevenness."""
    return Habit(rng.normal(0, 0.2), rng.normal(0, 0.05), rng.normal(0, 0.12), rng.normal(0, 0.04))


def striding(gait: Gait, phase: float, habit: Habit) -> tuple[Turns, float]:
    """Return the turns at a phase in radians and the rise of the body in metres."""
    tilt = 0.04 * np.sin(phase + 0.3) + 0.015 * np.sin(2 * phase + habit.delay * 4)
    twist = 0.1 * np.cos(phase) + 0.02 * np.cos(3 * phase + 1)
    lean = gait.lean + habit.lean + 0.02 * np.cos(2 * phase - 0.4)
    turns = {
        "pelvis": rotation(0, tilt, twist),
        "chest": rotation(lean, -0.6 * tilt, -1.9 * twist),
        "neck": rotation(-0.5 * lean, 0, 0.8 * twist + habit.arm * 0.2),
    }
    reach = 0.0
    for side, x in SIDES:
        own = phase + (np.pi + habit.delay if x > 0 else 0.0)
        hip, knee, ankle = gait.leg(own)
        hip *= 1 + x * habit.leg
        extent = _THIGH_M * np.cos(hip) + _SHANK_M * np.cos(hip - knee)
        reach = max(reach, extent + 0.06 * max(0.0, -np.sin(hip - knee + ankle)))
        swing = gait.arm_swing * (1 + x * habit.arm)
        arm = -np.cos(own - 0.25) - 0.12 * np.cos(2 * own)
        bend = gait.elbow * (1 + 0.35 * np.cos(own - 0.5) * -1) + 0.1
        turns |= {
            f"hip{side}": rotation(pitch=hip),
            f"knee{side}": rotation(pitch=-knee),
            f"ankle{side}": rotation(pitch=ankle),
            f"shoulder{side}": rotation(0.04 + swing * arm, x * 1.3),
            f"elbow{side}": rotation(yaw=x * bend),
        }
    return turns, reach - _THIGH_M - _SHANK_M + gait.flight_m * (1 - np.cos(2 * phase - 1))


def standing(clock: float) -> Turns:
    """Return the turns of somebody who waits, at a clock in radians."""
    breath = 0.5 + 0.5 * np.sin(0.28 * clock)
    shift = np.sin(0.19 * clock) + 0.4 * np.sin(0.47 * clock + 1.1)
    turns = {
        "chest": rotation(-0.02 + 0.015 * breath, 0.02 * np.sin(0.31 * clock)),
        "neck": rotation(
            0.05 * np.sin(0.37 * clock),
            0,
            0.22 * np.sin(0.29 * clock) + 0.12 * np.sin(0.83 * clock),
        ),
        "pelvis": rotation(roll=0.018 * shift),
    }
    for (side, x), wave in zip(SIDES, (0.4, 0.33), strict=True):
        swing = 0.05 * np.sin(wave * clock)
        slack = max(0.0, x * shift) * 0.12
        turns |= {
            f"hip{side}": rotation(0.03 + slack, -x * 0.06 - 0.018 * shift),
            f"knee{side}": rotation(pitch=-0.05 - 2 * slack),
            f"ankle{side}": rotation(pitch=slack),
            f"shoulder{side}": rotation(0.06 + swing, x * 1.36),
            f"elbow{side}": rotation(yaw=x * (0.3 + swing)),
        }
    return turns


def gesture(turns: Turns, clock: float) -> None:
    """Let somebody who stands talk with the hands, in place."""
    wave = np.sin(1.3 * clock) * np.sin(0.37 * clock + 1)
    turns |= {
        "shoulderR": rotation(0.25 + 0.2 * wave, 1.28),
        "elbowR": rotation(0, -0.2, 1.35 + 0.45 * np.sin(1.7 * clock)),
        "shoulderL": rotation(0.15 - 0.2 * wave, -1.3),
        "elbowL": rotation(0, 0.2, -(0.8 + 0.5 * np.sin(1.1 * clock + 2))),
        "neck": rotation(0.06 * np.sin(1.1 * clock), 0, 0.15 * np.sin(0.5 * clock)),
    }


def aiming(turns: Turns) -> float:
    """Set the legs and chest of somebody who aims, in place; returns the rise of the body."""
    turns |= {
        "chest": rotation(pitch=-0.1),
        "neck": rotation(pitch=0.02),
        "hipL": rotation(0.3, 0.08, 0.1),
        "kneeL": rotation(pitch=-0.3),
        "hipR": rotation(-0.12, -0.08, -0.1),
        "kneeR": rotation(pitch=-0.12),
    }
    return -0.05


def crouching(turns: Turns, depth: float) -> float:
    """Bend a posture's legs and back, in place; `depth` in [0, 1]; returns the rise."""
    hip, knee = 1.3 * depth, 2.45 * depth
    for side, x in SIDES:
        apart = 0.12 * depth * x
        turns |= {
            f"hip{side}": rotation(hip, -x * 0.06, -apart),
            f"knee{side}": rotation(pitch=-knee),
            f"ankle{side}": rotation(pitch=knee - hip),
        }
    turns["chest"] = rotation(pitch=-0.02 - 0.55 * depth)
    turns["neck"] = rotation(pitch=0.3 * depth) @ turns.get("neck", np.eye(3))
    extent = _THIGH_M * np.cos(hip) + _SHANK_M * np.cos(hip - knee)
    return float(extent - _THIGH_M - _SHANK_M)
