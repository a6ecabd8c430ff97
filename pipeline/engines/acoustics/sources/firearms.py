"""Sounds of firearms: discharges, blanks, and handling without any."""

from __future__ import annotations

import dataclasses

import numpy as np

from pipeline.engines.acoustics.blast import muzzle
from pipeline.engines.acoustics.scene import SoundEvent
from pipeline.engines.acoustics.signals import burst, modes, struck
from pipeline.engines.acoustics.sources.emission import Emission, Vector
from pipeline.engines.acoustics.weapons import WEAPONS, FirearmSound

_HEARD_ACTION_M = 8.0
_BLANK_DB, _BLANK_SHARE = -4.0, 0.75


def discharge(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A round that is fired: muzzle blast, then action, case and, by hand, the next round."""
    return _fired(rng, WEAPONS[event.weapon], distance_m)


def blank(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A blank cartridge: a weaker, shorter blast, and no bullet."""
    weapon = WEAPONS[event.weapon]
    weaker = dataclasses.replace(
        weapon,
        level_db=weapon.level_db + _BLANK_DB,
        positive_s=weapon.positive_s * _BLANK_SHARE,
    )
    return _fired(rng, weaker, distance_m)


def dry_fire(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A hammer or striker that falls on nothing."""
    return [Emission(_click(rng, rng.uniform(0.6, 2.0)))]


def rack(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A slide or bolt that is drawn back and let go."""
    return _rack(rng, 0.0)


def magazine(rng: np.random.Generator, event: SoundEvent, distance_m: float) -> list[Emission]:
    """A magazine that is taken out and another pushed in."""
    out = Emission(_click(rng, 0.12))
    slid = Emission(0.03 * burst(rng, 0.4, 0.06, 900, 5000, 0.03), rng.uniform(0.05, 0.2))
    pushed = Emission(_click(rng, rng.uniform(0.15, 0.5)), rng.uniform(0.5, 1.1))
    return [out, slid, pushed]


def _fired(rng: np.random.Generator, weapon: FirearmSound, distance_m: float) -> list[Emission]:
    emissions = [Emission(muzzle(rng, weapon, distance_m), directed=True, is_shock=True)]
    if distance_m > _HEARD_ACTION_M:
        return emissions
    if weapon.action_s:
        for _ in range(int(rng.integers(2, 5))):
            delay = rng.uniform(0.012, weapon.action_s)
            emissions.append(Emission(_click(rng, rng.uniform(0.5, 4.0)), delay))
    if weapon.is_pumped:
        emissions += _rack(rng, rng.uniform(0.25, 0.45))
    if weapon.ejects:
        emissions += _case(rng, rng.uniform(0.3, 0.7))
    return emissions


def _click(rng: np.random.Generator, peak_pa: float) -> Vector:
    """Steel on steel in a hand: modes of 1.2 to 8 kHz, soon damped, after a dull knock."""
    ring = struck(rng, 0.1, 1200, 8000, rng.uniform(8e-3, 2e-2), 16)
    knock = burst(rng, 0.1, rng.uniform(1.5e-3, 4e-3), 350, 4000, rng.uniform(8e-4, 2e-3))
    return peak_pa * (0.7 * ring + 0.4 * knock)


def _rack(rng: np.random.Generator, delay_s: float) -> list[Emission]:
    back, forth = rng.uniform(0.1, 0.35), rng.uniform(0.15, 0.5)
    between = rng.uniform(0.09, 0.22)
    slide = 0.05 * burst(rng, 0.3, 0.05, 1200, 6000, 0.03)
    return [
        Emission(_click(rng, back), delay_s),
        Emission(slide, delay_s + 0.3 * between),
        Emission(_click(rng, forth), delay_s + between),
    ]


def _case(rng: np.random.Generator, delay_s: float) -> list[Emission]:
    """Brass that falls: three to six rings, sooner after each other and weaker."""
    frequency = rng.uniform(3000, 9000, 3)
    emissions, gap, peak = [], rng.uniform(0.08, 0.16), rng.uniform(0.15, 0.6)
    for _ in range(int(rng.integers(3, 7))):
        wave = peak * modes(rng, 0.08, frequency, rng.uniform(0.005, 0.02, 3))
        emissions.append(Emission(wave, delay_s))
        delay_s, gap, peak = delay_s + gap, gap * 0.7, peak * 0.65
    return emissions
