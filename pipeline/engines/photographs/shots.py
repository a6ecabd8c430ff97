"""Discharges of somebody who is not in the picture: they are heard, and nobody sees them."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from pipeline.engines.acoustics.render import arrivals
from pipeline.engines.acoustics.room import Room
from pipeline.engines.acoustics.scene import SoundEvent, SoundScene
from pipeline.engines.acoustics.sources import DISCHARGE
from pipeline.engines.acoustics.surroundings import draw_position
from pipeline.engines.acoustics.weapons import WEAPONS

_AWAY_M = 3.0, 90.0
_OFF_RAD = np.pi / 3
"""From the middle of the picture: no field of view reaches so far aside."""
_MOST, _MOST_LONG = 4, 8
_APART_S, _APART_LONG_S = (0.1, 0.6), (0.12, 1.6)
_FIRST_S, _QUIET_S = (12.0, 45.0), (20.0, 60.0)
_LEAST_S = 0.1
"""How much of a discharge is heard before its file ends, so that its label says that it is."""


def is_fired_at(seed: int, index: int, engine: str, share: float) -> bool:
    """Whether somebody fires near a recording.

    Of two recordings that share the draw of a track one does at most.

    Args:
        seed: of the collection.
        index: of the recording.
        engine: whose recordings are drawn.
        share: of all recordings, 0.5 at most.
    """
    pair = np.random.default_rng([seed, index // 2, zlib.crc32(f"{engine} shots".encode())])
    which, is_any = pair.integers(2), pair.random() < 2 * share
    return bool(is_any and which == index % 2)


def draw(rng: np.random.Generator, room: Room, duration_s: float) -> tuple[SoundEvent, ...]:
    """One discharge or a few in quick succession, at any time of a recording.

    Args:
        rng: draws them.
        room: in which they are heard, and in which they are fired.
        duration_s: of the recording.
    """
    start_s = rng.uniform(0.05, 0.8) * duration_s
    return _volley(rng, room, start_s, int(rng.integers(1, _MOST + 1)), _APART_S)


def draw_long(rng: np.random.Generator, room: Room, duration_s: float) -> tuple[SoundEvent, ...]:
    """Volleys from here and there in minutes, with tens of seconds of quiet before each."""
    found: list[SoundEvent] = []
    start_s = float(rng.uniform(*_FIRST_S))
    while start_s < duration_s:
        count = int(rng.integers(1, _MOST_LONG + 1))
        found += _volley(rng, room, start_s, count, _APART_LONG_S)
        start_s = found[-1].time_s + float(rng.uniform(*_QUIET_S))
    return tuple(found)


def heard_s(scene: SoundScene, events: tuple[SoundEvent, ...]) -> tuple[float, ...]:
    """When the first events of a scene are heard within it, in seconds, in order of time."""
    times_s = arrivals(scene)[: len(events)]
    return tuple(sorted(t for t in times_s if 0 <= t < scene.duration_s - _LEAST_S))


def _volley(
    rng: np.random.Generator, room: Room, start_s: float, count: int, apart_s: tuple[float, float]
) -> tuple[SoundEvent, ...]:
    across, ahead = draw_position(rng, room, _AWAY_M, (_OFF_RAD, 2 * np.pi - _OFF_RAD))
    aimed = rng.uniform(0, 2 * np.pi)
    first = SoundEvent(
        time_s=start_s,
        kind=DISCHARGE,
        offset_m=(across, ahead, float(rng.uniform(-0.4, 0.6))),
        aim=(float(np.sin(aimed)), float(np.cos(aimed)), float(rng.uniform(-0.1, 0.1))),
        weapon=str(rng.choice(list(WEAPONS))),
    )
    low, high = np.log(apart_s)
    apart = np.exp(rng.uniform(low, high, count))
    apart[0] = 0.0
    return tuple(replace(first, time_s=start_s + float(t)) for t in np.cumsum(apart))
