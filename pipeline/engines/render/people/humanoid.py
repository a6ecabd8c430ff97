"""A procedural human body: signed-distance capsules, meshed by marching cubes.

Axes of the body: x right, y forward, z up, metres, arms stretched out at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.measure import marching_cubes

from pipeline.engines.render.people.skeleton import JOINT, PARENT, SIDES, bone_ends

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

SKIN, SHIRT, TROUSERS, BOOTS, HAIR, VEST, BELT, CAP, GLOVE = range(9)
_NUM_BONES_PER_VERTEX = 4


class Capsule(NamedTuple):
    """A round cone of flesh or cloth that follows one joint."""

    start: Vector
    end: Vector
    radius_start: float
    radius_end: float
    material: int
    joint: int

    def distance(self, points: Vector) -> Vector:
        """Return the signed distance of (N, 3) points to the surface."""
        axis = self.end - self.start
        share = ((points - self.start) * axis).sum(1) / max(float((axis * axis).sum()), 1e-9)
        share = np.clip(share, 0, 1)
        offset = points - self.start - share[:, None] * axis
        radius = self.radius_start + (self.radius_end - self.radius_start) * share
        return np.asarray(np.sqrt((offset * offset).sum(1)) - radius)


@dataclass(frozen=True)
class Build:
    """What changes a body's shape; each distinct build is meshed once per process."""

    girth: float = 1.0
    vest: bool = False
    cap: bool = False
    hair: bool = True
    gloves: bool = False
    fists: bool = False
    arms_only: bool = False
    resolution_m: float = 0.026


class _Sculptor:
    """Collects capsules."""

    def __init__(self) -> None:
        self.capsules: list[Capsule] = []

    def add(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radii: tuple[float, float],
        material: int,
        joint: str,
    ) -> None:
        self.capsules.append(
            Capsule(
                np.asarray(start, float), np.asarray(end, float), *radii, material, JOINT[joint]
            )
        )

    def torso(self, build: Build) -> None:
        g = build.girth
        for x in (-0.075, 0, 0.075):
            self.add((x, 0, 0.95), (x * 0.9, 0, 1.08), (0.105 * g, 0.1 * g), TROUSERS, "pelvis")
        for x in (-0.06, 0, 0.06):
            self.add((x, 0.005, 1.04), (x * 1.2, 0, 1.18), (0.105 * g, 0.105 * g), SHIRT, "spine")
        for x in (-0.09, -0.03, 0.03, 0.09):
            self.add((x, 0.005, 1.16), (x, -0.005, 1.36), (0.11 * g, 0.1 * g), SHIRT, "chest")
        for x in (-0.1, -0.05, 0, 0.05, 0.1):
            self.add((x, 0, 1.015), (x, 0, 1.03), (0.118 * g, 0.118 * g), BELT, "pelvis")
        for side, x in SIDES:
            shoulder = (0.07, 0.066 * g)
            self.add(
                (x * 0.05, -0.01, 1.43),
                (x * 0.17, -0.01, 1.415),
                shoulder,
                SHIRT,
                f"clavicle{side}",
            )
        self.add((0, -0.02, 1.42), (0, -0.005, 1.53), (0.058, 0.052), SKIN, "neck")
        if build.vest:
            for x in (-0.1, -0.035, 0.035, 0.1):
                vest = (0.128 * g, 0.112 * g)
                self.add((x, 0.012, 1.13), (x * 0.9, 0.005, 1.36), vest, VEST, "chest")
            for x in (-0.09, 0, 0.09):
                self.add((x, 0.12, 1.14), (x, 0.125, 1.22), (0.042, 0.04), VEST, "chest")
            self.add((0.16, 0, 0.98), (0.165, 0.03, 0.86), (0.045, 0.035), BELT, "hipR")

    def head(self, build: Build) -> None:
        self.add((0, -0.015, 1.66), (0, 0, 1.60), (0.092, 0.075), SKIN, "head")
        self.add((0, 0, 1.62), (0, 0.04, 1.545), (0.075, 0.042), SKIN, "head")
        self.add((0, 0.085, 1.62), (0, 0.1, 1.585), (0.01, 0.016), SKIN, "head")
        if build.hair:
            self.add((0, -0.03, 1.68), (0, -0.045, 1.63), (0.093, 0.082), HAIR, "head")
            self.add((0, 0, 1.705), (0, 0.03, 1.70), (0.075, 0.06), HAIR, "head")
        if build.cap:
            self.add((0, -0.02, 1.69), (0, 0.01, 1.70), (0.1, 0.092), CAP, "head")
            for x in (-0.05, 0, 0.05):
                self.add((x, 0.08, 1.69), (x * 0.8, 0.155, 1.675), (0.014, 0.008), CAP, "head")

    def arm(self, build: Build, side: str, x: float) -> None:
        g, hand = build.girth, GLOVE if build.gloves else SKIN
        upper, lower, wrist = f"shoulder{side}", f"elbow{side}", f"wrist{side}"
        self.add(
            (x * 0.17, -0.01, 1.415), (x * 0.45, -0.02, 1.42), (0.062 * g, 0.05 * g), SHIRT, upper
        )
        self.add((x * 0.45, -0.02, 1.42), (x * 0.70, 0, 1.42), (0.048 * g, 0.036), SHIRT, lower)
        self.add((x * 0.69, 0, 1.42), (x * 0.72, 0, 1.42), (0.031, 0.03), hand, lower)
        if build.fists:
            self.add(
                (x * 0.735, -0.004, 1.42), (x * 0.79, 0.004, 1.415), (0.034, 0.036), hand, wrist
            )
            for y, z in ((0.032, 0.012), (0.034, -0.01), (0.028, -0.03), (0.01, -0.038)):
                knuckle = (x * 0.818, y, 1.415 + z)
                self.add(
                    (x * 0.775, y * 0.8, 1.417 + z * 0.8), knuckle, (0.0135, 0.0125), hand, wrist
                )
            for y, z in ((0.03, 0.01), (0.032, -0.012)):
                tip = (x * 0.822, y - 0.045, 1.415 + z)
                self.add((x * 0.818, y, 1.415 + z), tip, (0.0125, 0.011), hand, wrist)
            self.add(
                (x * 0.75, -0.03, 1.432), (x * 0.815, -0.02, 1.445), (0.015, 0.0115), hand, wrist
            )
            return
        for y in (-0.018, 0.018):
            self.add((x * 0.73, y, 1.42), (x * 0.80, y, 1.415), (0.024, 0.024), hand, wrist)
        for y in (-0.033, -0.011, 0.011, 0.033):
            self.add((x * 0.80, y, 1.415), (x * 0.87, y * 0.9, 1.40), (0.0125, 0.01), hand, wrist)
        self.add((x * 0.745, 0.035, 1.41), (x * 0.80, 0.06, 1.395), (0.016, 0.011), hand, wrist)

    def leg(self, build: Build, side: str, x: float) -> None:
        g, hip, knee, ankle = build.girth, f"hip{side}", f"knee{side}", f"ankle{side}"
        self.add(
            (x * 0.095, 0, 0.92), (x * 0.11, 0.01, 0.52), (0.098 * g, 0.066 * g), TROUSERS, hip
        )
        self.add(
            (x * 0.11, 0.01, 0.52), (x * 0.115, -0.012, 0.13), (0.064 * g, 0.052), TROUSERS, knee
        )
        self.add(
            (x * 0.112, -0.02, 0.36), (x * 0.113, -0.02, 0.3), (0.062 * g, 0.055), TROUSERS, knee
        )
        self.add((x * 0.115, -0.012, 0.16), (x * 0.115, -0.02, 0.07), (0.052, 0.05), BOOTS, ankle)
        self.add((x * 0.115, -0.03, 0.045), (x * 0.125, 0.15, 0.035), (0.046, 0.04), BOOTS, ankle)


@dataclass(frozen=True)
class Body:
    """A meshed build at rest: V vertices, F triangles, four weighted joints a vertex.

    `material` (F,) is the body part; `openness` (V,) in [0.25, 1] darkens folds.
    """

    vertices: Array
    normals: Array
    triangles: NDArray[np.int32]
    material: NDArray[np.int32]
    openness: Array
    joints: NDArray[np.int32]
    weights: Array


@lru_cache(maxsize=64)
def body(build: Build) -> Body:
    """Mesh a build; kept in memory for the process."""
    sculptor = _Sculptor()
    if not build.arms_only:
        sculptor.torso(build)
        sculptor.head(build)
    for side, x in SIDES:
        sculptor.arm(build, side, x)
        if not build.arms_only:
            sculptor.leg(build, side, x)
    capsules = sculptor.capsules
    vertices, normals, triangles = _surface(capsules, build)
    nearest = np.stack([capsule.distance(vertices) for capsule in capsules], 1)
    closest = nearest.argmin(1)
    part = np.array([capsule.material for capsule in capsules])[closest]
    owner = np.array([capsule.joint for capsule in capsules])[closest]
    lifted = vertices + 0.07 * normals
    gap = np.min([capsule.distance(lifted) for capsule in capsules], axis=0)
    joints, weights = _skin_weights(vertices, owner)
    return Body(
        vertices.astype(np.float32),
        normals.astype(np.float32),
        triangles.astype(np.int32),
        np.median(part[triangles], axis=1).astype(np.int32),
        np.clip(0.25 + 0.75 * gap / 0.07, 0.25, 1).astype(np.float32),
        joints,
        weights,
    )


def _surface(capsules: list[Capsule], build: Build) -> tuple[Vector, Vector, NDArray[np.int32]]:
    step = build.resolution_m
    low = np.array([-0.95, -0.25, 1.3 if build.arms_only else -0.02])
    high = np.array([0.95, 0.25, 1.54 if build.arms_only else 1.84])
    shape = np.ceil((high - low) / step).astype(int) + 1
    field = np.full(shape, 9.0)
    for capsule in capsules:
        reach = max(capsule.radius_start, capsule.radius_end) + 0.08
        start = ((np.minimum(capsule.start, capsule.end) - reach - low) / step).astype(int)
        stop = ((np.maximum(capsule.start, capsule.end) + reach - low) / step).astype(int) + 2
        start, stop = np.maximum(start, 0), np.minimum(stop, shape)
        axes = [low[k] + step * np.arange(start[k], stop[k]) for k in range(3)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        region = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        distance, old = capsule.distance(points).reshape(stop - start), field[region]
        hard = capsule.radius_start < 0.03 or capsule.material in (HAIR, VEST, BELT, CAP)
        blend = 0.008 if hard else 0.022
        share = np.clip(0.5 + 0.5 * (old - distance) / blend, 0, 1)
        field[region] = old * (1 - share) + distance * share - blend * share * (1 - share)
    vertices, triangles, normals, _ = marching_cubes(
        field, 0.0, spacing=(step,) * 3, gradient_direction="ascent"
    )
    return vertices + low, normals.astype(np.float64), triangles


def _skin_weights(vertices: Vector, owner: NDArray[np.int64]) -> tuple[NDArray[np.int32], Array]:
    weights = np.zeros((len(vertices), len(JOINT)))
    for name, (start, end) in bone_ends().items():
        away = Capsule(start, end, 0.0, 0.0, SKIN, JOINT[name]).distance(vertices)
        weights[:, JOINT[name]] = np.exp(-((np.maximum(away - 0.02, 0) / 0.035) ** 1.5))
    related = np.eye(len(JOINT), dtype=bool)
    for joint, parent in enumerate(PARENT):
        if parent >= 0:
            related[joint, parent] = related[parent, joint] = True
    weights *= related[owner]
    weights[np.arange(len(vertices)), owner] += 1e-3
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :_NUM_BONES_PER_VERTEX]
    best = np.take_along_axis(weights, joints, 1)
    best /= best.sum(1, keepdims=True)
    return joints.astype(np.int32), best.astype(np.float32)
