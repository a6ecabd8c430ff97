"""Firearms by the numbers that their sound depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FirearmSound:
    """A firearm with its usual round."""

    name: str
    level_db: float
    """Peak of the muzzle blast at 1 m, 90 degrees off the line of fire, in dB re 20 µPa."""
    positive_s: float
    """Duration of the blast's positive phase at 1 m."""
    speed_m_s: float
    """Speed of the bullet at the muzzle."""
    calibre_m: float
    length_m: float
    """Length of the bullet."""
    action_s: float
    """How long after the discharge its own action is heard at most; 0 where nothing moves."""
    is_revolver: bool = False
    """Whether gas escapes between cylinder and barrel before the bullet has left."""
    is_pumped: bool = False
    """Whether the next round is loaded by hand."""
    ejects: bool = True
    """Whether cases fall to the ground."""


_ALL = (
    FirearmSound("pistol_9mm", 157, 0.35e-3, 365, 9.0e-3, 15e-3, 0.06),
    FirearmSound("pistol_45", 155, 0.45e-3, 258, 11.5e-3, 17e-3, 0.07),
    FirearmSound(
        "revolver_38", 155, 0.35e-3, 245, 9.1e-3, 17e-3, 0.0, is_revolver=True, ejects=False
    ),
    FirearmSound("carbine_556", 163, 0.50e-3, 920, 5.7e-3, 23e-3, 0.08),
    FirearmSound("rifle_762x39", 163, 0.60e-3, 715, 7.9e-3, 27e-3, 0.10),
    FirearmSound("rifle_308", 165, 0.75e-3, 830, 7.8e-3, 31e-3, 0.12),
    FirearmSound("shotgun_12", 160, 0.90e-3, 400, 18.5e-3, 18e-3, 0.15, is_pumped=True),
    FirearmSound("rifle_22", 141, 0.25e-3, 345, 5.6e-3, 11e-3, 0.04),
)
WEAPONS = {weapon.name: weapon for weapon in _ALL}
"""By name; levels and speeds are the middles of published ranges (Beck and others, 2011)."""
