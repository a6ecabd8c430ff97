"""A place with all that is heard there whatever a recording shows: one draw for every engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.engines.acoustics import ambience
from pipeline.engines.acoustics.air import Air
from pipeline.engines.acoustics.room import ROOMS, Room
from pipeline.engines.acoustics.scene import Ambience, Footsteps, SoundEvent, Surface

_LEVEL_DB = -12.0, 5.0
_CONFUSER_SHARE, _SECOND_SHARE = 0.25, 0.2
_VOICE_SHARE, _SHOUT_SHARE = 0.3, 0.35
_CONFUSER_EVERY_S, _VOICE_EVERY_S, _LASTS_S = 30.0, 45.0, (1.0, 8.0)
# Of rooms: what a wall is between.
_NEXT_DOOR_SHARE = 0.2
_WALLS = 0.45
"""How far from the middle of a room something may be, as a share of its size."""
_ANYWHERE = (
    "balloon",
    "burst_bag",
    "firecracker",
    "nail_gun",
    "hammer",
    "clap",
    "applause",
    "glass",
    "plastic_bag",
    "book",
    "door",
    "keys",
)
IN_THE_OPEN = ("whip", "thunder", "backfire", "engine", "firecrackers")
"""Kinds that are never drawn indoors."""
NEAR_M = (1.0, 12.0)
AWAY_M = {
    "firecracker": (4.0, 60.0),
    "firecrackers": (10.0, 90.0),
    "thunder": (400.0, 3000.0),
    "backfire": (4.0, 40.0),
    "engine": (3.0, 30.0),
}
"""How far away kinds are drawn that are not nearby."""
_SURFACES: dict[str, tuple[Surface, ...]] = {
    "field": ("grass", "gravel"),
    "wood": ("grass", "gravel"),
    "outdoor_range": ("gravel", "grass", "concrete"),
    "room": ("wood", "carpet"),
}
_HARD: tuple[Surface, ...] = ("concrete",)


@dataclass(frozen=True)
class Surroundings:
    """What a recording sounds like before anything of its own is heard."""

    room: Room
    air: Air
    ambience: Ambience
    """With a ground for steps, and without any step."""
    events: tuple[SoundEvent, ...]
    """Voices and what may be taken for a discharge, places seen from the microphone."""

    def walked(self, steps_s: tuple[float, ...], running: bool) -> Ambience:
        """The ambience with the steps of who wears the microphone."""
        gait = replace(self.ambience.gait, times_s=steps_s, running=running)
        return replace(self.ambience, gait=gait)


def draw(rng: np.random.Generator, room: str, duration_s: float) -> Surroundings:
    """What is heard somewhere, without a look at who records what.

    A fourth of recordings have a sound that may be taken for a discharge and is none, three of
    ten a voice.

    Args:
        rng: draws it.
        room: a name of `room.ROOMS`.
        duration_s: of the recording, in which what is drawn is heard.
    """
    place, said = _place(rng, room)
    events = []
    if rng.random() < _CONFUSER_SHARE:
        for _ in range(2 if rng.random() < _SECOND_SHARE else 1):
            events.append(_event(rng, _confuser(rng, place), place, duration_s))
    if rng.random() < _VOICE_SHARE:
        events.append(_event(rng, _voice(rng), place, duration_s))
    return Surroundings(place, _air(rng), said, tuple(events))


def draw_long(rng: np.random.Generator, room: str, duration_s: float) -> Surroundings:
    """What is heard somewhere over minutes, without a look at who records what.

    Sounds that may be taken for a discharge come one in half a minute, voices one in three quarters
    of a minute, each at any time, so that there are quiet stretches.

    Args:
        rng: draws it.
        room: a name of `room.ROOMS`.
        duration_s: of the recording.
    """
    place, said = _place(rng, room)
    kinds = [_confuser(rng, place) for _ in range(rng.poisson(duration_s / _CONFUSER_EVERY_S))]
    kinds += [_voice(rng) for _ in range(rng.poisson(duration_s / _VOICE_EVERY_S))]
    events = [
        replace(_event(rng, kind, place, duration_s), duration_s=rng.uniform(*_LASTS_S))
        for kind in kinds
    ]
    return Surroundings(place, _air(rng), said, tuple(events))


def _place(rng: np.random.Generator, room: str) -> tuple[Room, Ambience]:
    place = ROOMS[room].varied(rng)
    surfaces = _SURFACES.get(room, _HARD)
    gait = Footsteps(surface=surfaces[rng.integers(len(surfaces))])
    return place, ambience.draw(rng, place, gait)


def _air(rng: np.random.Generator) -> Air:
    return Air(rng.uniform(-5, 32), rng.uniform(25, 90))


def _confuser(rng: np.random.Generator, place: Room) -> str:
    kinds = _ANYWHERE if place.size_m is not None else _ANYWHERE + IN_THE_OPEN
    return kinds[rng.integers(len(kinds))]


def _voice(rng: np.random.Generator) -> str:
    return "shout" if rng.random() < _SHOUT_SHARE else "speech"


def draw_level_db(rng: np.random.Generator) -> float:
    """By how much a file is turned up or down on its way, alike for every origin."""
    return float(rng.uniform(*_LEVEL_DB))


def draw_position(
    rng: np.random.Generator,
    room: Room,
    away_m: tuple[float, float],
    turn_rad: tuple[float, float],
    next_door_share: float = 0.0,
) -> tuple[float, float]:
    """Draw where something is heard from: metres across and ahead, seen from the microphone.

    Args:
        rng: draws it.
        room: whose walls bring it nearer, where it has any.
        away_m: least and most distance.
        turn_rad: least and most bearing, clockwise from ahead.
        next_door_share: how often it is beyond the walls all the same.
    """
    away = float(np.exp(rng.uniform(*np.log(away_m))))
    turn = rng.uniform(*turn_rad)
    across, ahead = away * np.sin(turn), away * np.cos(turn)
    if room.size_m is not None and not (next_door_share and rng.random() < next_door_share):
        across = np.clip(across, -_WALLS * room.size_m[0], _WALLS * room.size_m[0])
        ahead = np.clip(ahead, -_WALLS * room.size_m[1], _WALLS * room.size_m[1])
    return float(across), float(ahead)


def _event(rng: np.random.Generator, kind: str, room: Room, duration_s: float) -> SoundEvent:
    """Something that is heard within a recording, in the same room in most."""
    away_m, turn_rad = AWAY_M.get(kind, NEAR_M), (0.0, 2 * np.pi)
    across, ahead = draw_position(rng, room, away_m, turn_rad, next_door_share=_NEXT_DOOR_SHARE)
    offset = (across, ahead, float(rng.uniform(-1.0, 0.6)))
    late_s = float(np.linalg.norm(offset)) / 340
    return SoundEvent(
        time_s=rng.uniform(0.02, 0.9) * duration_s - late_s,
        kind=kind,
        offset_m=offset,
        duration_s=rng.uniform(0.4, 1.0) * duration_s,
    )
