"""Weapon meshes in their own frame (y along the barrel, z up) and where hands and flash go."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.world.geometry import Material, Mesh, MeshBuilder, rotation

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class HeldWeapon:
    """A held weapon; all points in its own frame, metres.

    `kick_deg` is the muzzle rise of one discharge, `gap_s` the mean time between two.
    """

    name: str
    muzzle: tuple[float, float, float]
    ejection: tuple[float, float, float]
    left_wrist: tuple[float, float, float]
    left_elbow_towards: tuple[float, float, float]
    left_fingers: tuple[float, float, float]
    low: tuple[float, float, float]
    raised: tuple[float, float, float]
    lowered_pitch_deg: float
    kick_deg: float
    gap_s: float


PISTOL = HeldWeapon(
    name="pistol",
    muzzle=(0, 0.165, 0.035),
    ejection=(0.015, 0.06, 0.04),
    left_wrist=(-0.055, -0.055, -0.055),
    left_elbow_towards=(-0.55, -0.15, -0.8),
    left_fingers=(0.45, 0.9, -0.05),
    low=(0.05, 0.36, 0.96),
    raised=(0.0, 0.5, 1.405),
    lowered_pitch_deg=-38,
    kick_deg=9.0,
    gap_s=0.45,
)
CARBINE = HeldWeapon(
    name="carbine",
    muzzle=(0, 0.62, 0.045),
    ejection=(0.025, 0.09, 0.045),
    left_wrist=(-0.02, 0.2, 0.0),
    left_elbow_towards=(-0.45, -0.1, -0.9),
    left_fingers=(0.2, 1, 0.25),
    low=(0.1, 0.22, 1.02),
    raised=(0.105, 0.245, 1.37),
    lowered_pitch_deg=-30,
    kick_deg=2.6,
    gap_s=0.35,
)
WEAPONS = (PISTOL, CARBINE)
RIGHT_WRIST = (0.012, -0.075, -0.035)
RIGHT_ELBOW_TOWARDS = (0.55, -0.15, -0.8)
RIGHT_FINGERS = (-0.12, 1, -0.1)


@lru_cache(maxsize=len(WEAPONS))
def weapon_mesh(name: str) -> Mesh:
    """Return the mesh of a weapon by name; kept in memory for the process."""
    return {"pistol": _pistol, "carbine": _carbine}[name]()


@lru_cache(maxsize=2)
def held_thing(name: str) -> Mesh:
    """Return the mesh of a camera or torch that somebody holds; kept in memory."""
    builder = MeshBuilder(tessellation=9.0)
    black = Material("paint", (0.03, 0.03, 0.032), gloss=0.1)
    if name == "camera":
        builder.box((0, 0, 0), (0.065, 0.03, 0.042), black)
        builder.cylinder((0, 0.03, -0.005), (0, 0.09, -0.005), (0.032, 0.034), black, 10)
        builder.box((0, 0, 0.055), (0.025, 0.025, 0.02), black)
        return builder.build()
    builder.cylinder((0, -0.1, 0), (0, 0.05, 0), (0.014, 0.014), black, 8)
    builder.cylinder((0, 0.05, 0), (0, 0.09, 0), (0.016, 0.024), black, 8)
    return builder.build()


def _pistol() -> Mesh:
    builder = MeshBuilder(tessellation=9.0)
    steel = Material("paint", (0.035, 0.035, 0.038), gloss=0.12)
    polymer = Material("paint", (0.028, 0.028, 0.03), gloss=0.05)
    grip = Material("rubber", (1.2, 1.2, 1.2))
    builder.box((0, 0.065, 0.036), (0.0135, 0.095, 0.015), steel)
    builder.box((0, 0.06, 0.014), (0.0125, 0.08, 0.010), polymer)
    builder.box((0, -0.025, -0.045), (0.0145, 0.022, 0.058), grip, rotation(pitch=0.28))
    builder.cylinder((0, 0.14, 0.036), (0, 0.165, 0.036), (0.007, 0.007), steel, 6)
    builder.box((0, 0.05, -0.012), (0.003, 0.028, 0.002), steel)
    builder.box((0, 0.075, 0), (0.003, 0.002, 0.014), steel)
    builder.box((0, 0.155, 0.054), (0.0018, 0.004, 0.004), Material("paint", (0.5, 0.5, 0.45)))
    builder.box((0, -0.02, 0.054), (0.01, 0.004, 0.004), steel)
    return builder.build()


def _carbine() -> Mesh:
    builder = MeshBuilder(tessellation=9.0)
    steel = Material("paint", (0.04, 0.04, 0.043), gloss=0.1)
    handguard = Material("paint", (0.048, 0.048, 0.05), gloss=0.05)
    rubber = Material("rubber")
    builder.box((0, 0.08, 0.035), (0.019, 0.115, 0.03), steel)
    builder.box((0, 0.32, 0.045), (0.022, 0.145, 0.022), handguard)
    builder.cylinder((0, 0.46, 0.045), (0, 0.62, 0.045), (0.009, 0.011), steel, 8)
    builder.box((0, -0.16, 0.035), (0.016, 0.13, 0.022), steel)
    builder.box((0, -0.28, 0.015), (0.017, 0.02, 0.055), rubber)
    builder.box((0, -0.02, -0.055), (0.014, 0.02, 0.055), rubber, rotation(pitch=0.35))
    builder.box((0, 0.12, -0.07), (0.012, 0.03, 0.08), steel, rotation(pitch=-0.12))
    builder.box((0, 0.1, 0.095), (0.018, 0.035, 0.022), steel)
    builder.cylinder((0, 0.065, 0.095), (0, 0.135, 0.095), (0.016, 0.016), steel, 8)
    builder.box((0, 0.43, 0.085), (0.003, 0.006, 0.02), steel)
    return builder.build()
