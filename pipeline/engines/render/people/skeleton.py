"""The skeleton of a body, forward and inverse kinematics.

Axes of the body: x right, y forward, z up, metres, arms stretched out at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.kernels import skin_vertices
from pipeline.engines.render.world.geometry import rotation

if TYPE_CHECKING:
    from pipeline.engines.render.people.humanoid import Body

Array = NDArray[np.float32]
Vector = NDArray[np.float64]
Turns = dict[str, NDArray[np.float64]]

SIDES = (("L", -1.0), ("R", 1.0))


def _skeleton() -> dict[str, tuple[tuple[float, float, float], str | None]]:
    joints: dict[str, tuple[tuple[float, float, float], str | None]] = {
        "pelvis": ((0, 0, 0.96), None),
        "spine": ((0, 0, 1.10), "pelvis"),
        "chest": ((0, 0, 1.26), "spine"),
        "neck": ((0, -0.015, 1.47), "chest"),
        "head": ((0, 0, 1.56), "neck"),
    }
    for side, x in SIDES:
        joints |= {
            f"clavicle{side}": ((x * 0.04, 0, 1.43), "chest"),
            f"shoulder{side}": ((x * 0.185, -0.01, 1.42), f"clavicle{side}"),
            f"elbow{side}": ((x * 0.47, -0.02, 1.42), f"shoulder{side}"),
            f"wrist{side}": ((x * 0.72, 0, 1.42), f"elbow{side}"),
            f"hip{side}": ((x * 0.10, 0, 0.92), "pelvis"),
            f"knee{side}": ((x * 0.11, 0.01, 0.50), f"hip{side}"),
            f"ankle{side}": ((x * 0.115, -0.01, 0.09), f"knee{side}"),
        }
    return joints


_JOINTS = _skeleton()
JOINT = {name: index for index, name in enumerate(_JOINTS)}
PARENT = [JOINT[parent] if parent else -1 for _, parent in _JOINTS.values()]
REST = np.array([position for position, _ in _JOINTS.values()])


def bone_ends() -> dict[str, tuple[Vector, Vector]]:
    """Return start and end of the bone behind every joint, at rest."""
    tips = {"pelvis": REST[JOINT["spine"]], "spine": REST[JOINT["chest"]]}
    tips |= {"chest": REST[JOINT["neck"]], "neck": REST[JOINT["head"]]}
    tips["head"] = np.array((0, 0, 1.72))
    for side, x in SIDES:
        chain = ("clavicle", "shoulder", "elbow", "wrist")
        tips |= {f"{a}{side}": REST[JOINT[f"{b}{side}"]] for a, b in pairwise(chain)}
        tips[f"wrist{side}"] = np.array((x * 0.86, 0, 1.41))
        tips[f"hip{side}"] = REST[JOINT[f"knee{side}"]]
        tips[f"knee{side}"] = REST[JOINT[f"ankle{side}"]]
        tips[f"ankle{side}"] = np.array((x * 0.12, 0.15, 0.03))
    return {name: (REST[JOINT[name]], tip) for name, tip in tips.items()}


@dataclass
class Posture:
    """World rotation (J, 3, 3) and position (J, 3) of every joint; `scale` of the body."""

    rotations: NDArray[np.float64]
    positions: NDArray[np.float64]
    scale: float = 1.0

    def skin(self, mesh: Body) -> tuple[Array, Array]:
        """Return the posed (V, 3) vertices and unnormalised normals."""
        offsets = self.positions - self.scale * np.einsum("jkm,jm->jk", self.rotations, REST)
        vertices, normals = np.empty_like(mesh.vertices), np.empty_like(mesh.normals)
        skin_vertices(
            mesh.vertices,
            mesh.normals,
            mesh.joints,
            mesh.weights,
            (self.scale * self.rotations).astype(np.float32),
            offsets.astype(np.float32),
            vertices,
            normals,
        )
        return vertices, normals

    def reach(
        self, side: str, target: ArrayLike, elbow_towards: ArrayLike, fingers: ArrayLike
    ) -> None:
        """Bend the arm of `side` so that the wrist reaches `target` (two-bone IK, analytic)."""
        shoulder, elbow, wrist = (JOINT[f"{name}{side}"] for name in ("shoulder", "elbow", "wrist"))
        origin = self.positions[shoulder]
        upper = self.scale * float(np.linalg.norm(REST[elbow] - REST[shoulder]))
        lower = self.scale * float(np.linalg.norm(REST[wrist] - REST[elbow]))
        offset = np.asarray(target) - origin
        length = min(float(np.linalg.norm(offset)), (upper + lower) * 0.995)
        along = offset / np.linalg.norm(offset)
        cosine = (upper**2 + length**2 - lower**2) / (2 * upper * length)
        bend = np.arccos(np.clip(cosine, -1, 1))
        pole = np.asarray(elbow_towards, float)
        pole = pole - along * (along @ pole)
        pole /= np.linalg.norm(pole)
        elbow_at = origin + upper * (np.cos(bend) * along + np.sin(bend) * pole)
        wrist_at = origin + length * along
        parent = self.rotations[PARENT[shoulder]]
        first = _turn_onto(parent @ (REST[elbow] - REST[shoulder]), elbow_at - origin) @ parent
        second = _turn_onto(first @ (REST[wrist] - REST[elbow]), wrist_at - elbow_at) @ first
        outward = np.array([1.0 if side == "R" else -1.0, 0, 0])
        third = _turn_onto(second @ outward, np.asarray(fingers, float)) @ second
        self.rotations[[shoulder, elbow, wrist]] = first, second, third
        self.positions[[elbow, wrist]] = elbow_at, wrist_at


def pose(
    turns: Turns, place: ArrayLike = (0, 0, 0), yaw: float = 0.0, scale: float = 1.0
) -> Posture:
    """Forward kinematics: local turns by joint name, feet at `place`, facing `yaw` from +y."""
    rotations, positions = np.empty((len(JOINT), 3, 3)), np.empty((len(JOINT), 3))
    heading = rotation(yaw=yaw)
    for joint, (name, parent) in enumerate(zip(JOINT, PARENT, strict=True)):
        turn = turns.get(name, np.eye(3))
        if parent < 0:
            rotations[joint] = heading @ turn
            positions[joint] = np.asarray(place) + np.array([0, 0, REST[joint][2] * scale])
        else:
            rotations[joint] = rotations[parent] @ turn
            step = scale * (REST[joint] - REST[parent])
            positions[joint] = positions[parent] + rotations[parent] @ step
    return Posture(rotations, positions, scale)


def _turn_onto(old: Vector, new: Vector) -> NDArray[np.float64]:
    a, b = old / np.linalg.norm(old), new / np.linalg.norm(new)
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine < -0.9999:
        return -np.eye(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))
