"""A draw of minutes: quiet stretches, engagements, and what may be taken for gunfire."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.engines.vizdoom.scene import (
    BULLET_SLOTS,
    FISTS,
    FUSED_BARREL,
    ITEMS,
    MENUS,
    PLASMA,
    QUIET_SLOTS,
    ROCKETS,
    TIC_HZ,
    WEAPONS,
    GameScene,
    draw_scene,
    spending,
)

if TYPE_CHECKING:
    from pipeline.engines.take import VideoFormat

_OTHER_SLOTS = (FISTS, ROCKETS, PLASMA)
"""Fists and chainsaw, rockets and plasma, which are no firearms."""

_FIRST_S, _ENGAGED_S, _CALM_S = (3.0, 25.0), (2.0, 8.0), (8.0, 45.0)
_INCIDENT_EVERY_S = (5.0, 18.0)
_MENU_S, _MAP_S = (1.0, 4.0), (1.0, 5.0)
# Whoever fires needs ammunition, has his hands free for it, and picks none up meanwhile.
_APART_S = 4.0
_FIREBALLS, _ATTACKS_OTHERWISE = 0.6, 0.6


def draw_long_scene(
    rng: np.random.Generator, form: VideoFormat, duration_s: float, *, shoots: bool
) -> GameScene:
    """Draw a scene of minutes.

    With `shoots` the player engages several times with firearms, between stretches of tens of
    seconds without. Of the others more than half do the same with what is no firearm, in the parts
    of the recording in which they hold it. All else is drawn alike for both: monsters without
    firearms that throw fireballs or do not, items that are picked up, barrels that explode, menus,
    the map. Weapons are picked up, and taken in hand, only by players who fire no firearm.
    """
    scene = draw_scene(rng, form, duration_s, shoots=shoots)
    num_tics = scene.num_tics
    attacks = shoots or rng.random() < _ATTACKS_OTHERWISE
    engagements = _draw_engagements(rng, num_tics) if attacks else ()
    commands, map_tics = _draw_incidents(
        rng, num_tics, engagements, scene.ammo_share, shoots=shoots
    )
    return replace(
        scene,
        engagements=engagements,
        fired_slots=BULLET_SLOTS if shoots else _OTHER_SLOTS,
        fires_blindly=True,
        fireballs=bool(rng.random() < _FIREBALLS),
        slots=_draw_slots(rng, shoots=shoots, attacks=attacks),
        commands=commands,
        map_tics=map_tics,
    )


def _draw_engagements(rng: np.random.Generator, num_tics: int) -> tuple[tuple[int, int], ...]:
    found = []
    start_s = rng.uniform(*_FIRST_S)
    while (start := int(start_s * TIC_HZ)) < num_tics:
        stop_s = start_s + rng.uniform(*_ENGAGED_S)
        found.append((start, min(num_tics, int(stop_s * TIC_HZ))))
        start_s = stop_s + rng.uniform(*_CALM_S)
    return tuple(found)


def _draw_slots(rng: np.random.Generator, *, shoots: bool, attacks: bool) -> tuple[int, ...]:
    """Two to four weapons, for equal parts; of who attacks otherwise every second is no firearm."""
    num_weapons = int(rng.integers(2, 5))
    if shoots:
        return tuple(int(slot) for slot in rng.choice(BULLET_SLOTS, num_weapons))
    slots = [int(slot) for slot in rng.choice(QUIET_SLOTS, num_weapons)]
    if attacks:
        slots[::2] = (int(slot) for slot in rng.choice(_OTHER_SLOTS, len(slots[::2])))
    return tuple(slots)


def _draw_incidents(
    rng: np.random.Generator,
    num_tics: int,
    engagements: tuple[tuple[int, int], ...],
    ammo_share: float,
    *,
    shoots: bool,
) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, int], ...]]:
    """Draw what happens between engagements, none of which it comes near, and looks at the map."""
    apart = int(_APART_S * TIC_HZ)
    commands = [
        (max(0, start - apart), command)
        for start, _ in engagements
        for command in ("give ammo", *spending(ammo_share))
    ]
    looks: list[tuple[int, int]] = []
    tic = 0
    while True:
        tic += int(rng.uniform(*_INCIDENT_EVERY_S) * TIC_HZ)
        kind = rng.random()
        lasts = int(rng.uniform(*(_MENU_S if kind < 0.6 else _MAP_S)) * TIC_HZ)
        if tic + lasts >= num_tics:
            break
        if any(tic < stop and tic + lasts > start - apart for start, stop in engagements):
            continue
        if kind < 0.2:
            commands.append((tic, f"summon {rng.choice(ITEMS)}"))
        elif kind < 0.45:
            commands.append((tic, f"summon {FUSED_BARREL}"))
        elif kind < 0.6:
            commands += [(tic, str(rng.choice(MENUS))), (tic + lasts, "closemenu")]
        elif kind < 0.75:
            looks.append((tic, tic + lasts))
        elif not shoots:
            weapon = rng.choice(WEAPONS)
            commands += [(tic, f"take {weapon}"), (tic, f"summon {weapon}")]
    return tuple(commands), tuple(looks)
