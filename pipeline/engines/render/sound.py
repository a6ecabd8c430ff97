"""What a script sounds like, from its own truth, to whoever listens."""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.acoustics import microphone, surroundings
from pipeline.engines.acoustics.microphone import Family
from pipeline.engines.acoustics.scene import FilmMix, Microphone, Position, SoundEvent, SoundScene
from pipeline.engines.acoustics.sources import BLANK, DISCHARGE
from pipeline.engines.acoustics.weapons import WEAPONS
from pipeline.engines.render.episodes import LongScript
from pipeline.engines.render.people.weapons import HeldWeapon
from pipeline.engines.render.script import Script
from pipeline.engines.render.world.location import PLACES
from pipeline.engines.render.world.scene import ScenePlan

Vector = NDArray[np.float64]

_SOUNDS_OF = {
    "pistol": ("pistol_9mm", "pistol_45"),
    "carbine": ("carbine_556", "rifle_762x39"),
}
_RANGES = ("indoor_range", "outdoor_range")
_STRIKE_SHARE = 0.5
_MOUTH_M = 1.55
_RUN_M_S = 1.8
_LOWEST_M = 0.1
_BUFFER_SHARE = 0.04
_BEFORE_DISCHARGE_S = 0.1
_LONGEST_BUFFER_S = 30.0
_STANDING: tuple[Family, ...] = ("fixed", "fixed", "camcorder", "phone")


def _as_it_is(time_s: float) -> float:
    return time_s


@dataclass(frozen=True)
class Listener:
    """Who or what hears a script: a camera's microphone, a film's boom, a player."""

    capture: Microphone | FilmMix
    place: Callable[[float], Vector]
    """Of the microphone in the world at a time of the script, (3,)."""
    muzzle: Callable[[float], tuple[Vector, Vector]] | None
    """Position and direction of the wearer's weapon in the world; None without one."""
    steps_s: tuple[float, ...]
    """When steps are heard from nearby."""
    level_db: float = 0.0
    """Of the file, as `SoundScene` has it."""
    has_voice: bool = True
    """Whether who talks to others is near the microphone."""
    fires_blanks: bool = False
    recorded_s: Callable[[float], float] = _as_it_is
    """When a time of the script is in the recording: games stop while a menu is open."""


def camera_microphone(rng: np.random.Generator, where: str, duration_s: float) -> Microphone:
    """The microphone of a camera, by what it is mounted on (`motion.Mount.where`).

    Some body cameras keep pictures from before they were switched on, without sound.
    """
    if where == "hand":
        return microphone.draw(rng, "phone")
    if where == "fixed":
        return microphone.draw(rng, _STANDING[rng.integers(len(_STANDING))])
    drawn = microphone.draw(rng, "body")
    if rng.random() < _BUFFER_SHARE:
        buffer_s = min(rng.uniform(0.1, 0.9) * duration_s, _LONGEST_BUFFER_S)
        drawn = replace(drawn, buffer_s=buffer_s)
    return drawn


def sound_scene(script: Script, listener: Listener, duration_s: float) -> SoundScene:
    """What a listener hears of a script.

    Discharges, incidents and who talks have their times and places from the script, seen from
    where the microphone is at that time; the place, its voices and what else may be heard there
    are one draw for all listeners of a script.

    Args:
        script: what happens.
        listener: who hears it.
        duration_s: of the recording.
    """
    around = surroundings.draw(script.rng("sound around"), room_of(script.plan), duration_s)
    own = _own_events(script, listener)
    place = listener.place(0.0)
    return SoundScene(
        duration_s=duration_s,
        seed=(script.seed, script.index, zlib.crc32(script.engine.encode())),
        events=(*own, *around.events),
        capture=hearing(listener.capture, script.discharges_s),
        room=around.room,
        air=around.air,
        ambience=around.walked(listener.steps_s, script.movement.speed > _RUN_M_S),
        height_m=max(_LOWEST_M, float(place[2])),
        level_db=listener.level_db,
    )


def long_sound_scene(
    script: LongScript, listeners: Sequence[Listener], duration_s: float
) -> SoundScene:
    """What is heard of a long recording, as `sound_scene` has it.

    Args:
        script: what happens.
        listeners: who hears each episode; the first's capture and level are those of the recording.
        duration_s: of the recording.
    """
    first = listeners[0]
    place = script.place
    around = surroundings.draw_long(place.rng("sound around"), room_of(place.plan), duration_s)
    own: list[SoundEvent] = []
    steps_s: list[float] = []
    for episode, listener in zip(script.episodes, listeners, strict=True):
        then = replace(listener, recorded_s=partial(operator.add, episode.start_s))
        own += _own_events(episode.script, then)
        steps_s += [episode.start_s + time_s for time_s in listener.steps_s]
    return SoundScene(
        duration_s=duration_s,
        seed=(place.seed, place.index, zlib.crc32(place.engine.encode())),
        events=(*own, *around.events),
        capture=hearing(first.capture, script.discharges_s),
        room=around.room,
        air=around.air,
        ambience=around.walked(tuple(steps_s), running=False),
        height_m=max(_LOWEST_M, float(first.place(0.0)[2])),
        level_db=first.level_db,
    )


def _own_events(script: Script, listener: Listener) -> list[SoundEvent]:
    return [*_discharges(script, listener), *_noises(script, listener), *_talk(script, listener)]


def hearing(capture: Microphone | FilmMix, discharges_s: tuple[float, ...]) -> Microphone | FilmMix:
    """A capture that has sound from before the first discharge on, whose label says it is heard."""
    if isinstance(capture, FilmMix) or not discharges_s:
        return capture
    most_s = max(0.0, discharges_s[0] - _BEFORE_DISCHARGE_S)
    return replace(capture, buffer_s=min(capture.buffer_s, most_s))


def room_of(plan: ScenePlan) -> str:
    """The name among `acoustics.room.ROOMS` of a scene."""
    if plan.backdrop is not None:
        return _photographed_rooms()[plan.backdrop.place]
    return "street" if plan.kind == "car_park" and plan.outdoors else plan.kind


@cache
def _photographed_rooms() -> dict[str, str]:
    return {place.name: place.room for place in PLACES}


def _discharges(script: Script, listener: Listener) -> list[SoundEvent]:
    """Everybody's discharges, the wearer's first, and what bullets strike on a range."""
    rng = script.rng("sound weapons")
    strikes = script.plan.kind in _RANGES and bool(rng.random() < _STRIKE_SHARE)
    strikes = strikes and not listener.fires_blanks
    own = _sound_of(rng, script.weapon)
    events: list[SoundEvent] = []
    shots: list[tuple[float, tuple[Vector, Vector], str]] = []
    for time_s in script.own_discharges_s:
        assert listener.muzzle is not None
        shots.append((time_s, listener.muzzle(time_s), own))
    for actor in script.actors:
        name = _sound_of(rng, actor.role.weapon)
        shots += [(t, actor.muzzle(t), name) for t in actor.role.discharges_s]
    kind = BLANK if listener.fires_blanks else DISCHARGE
    for time_s, (muzzle, axis), name in shots:
        aim = _triple(axis)
        shot = _heard(listener, time_s, kind, muzzle)
        events.append(replace(shot, aim=aim, weapon=name))
        if strikes:
            reach = (script.plan.backstop_y - muzzle[1]) / max(float(axis[1]), 0.3)
            struck_s = time_s + reach / WEAPONS[name].speed_m_s
            events.append(_heard(listener, struck_s, "ricochet", muzzle + reach * axis))
    return events


def _noises(script: Script, listener: Listener) -> list[SoundEvent]:
    events = []
    for incident in script.incidents:
        for noise in incident.noises:
            place = noise.place
            if place is None:
                assert listener.muzzle is not None
                place = listener.muzzle(noise.time_s)[0]
            event = _heard(listener, noise.time_s, noise.kind, place)
            last = noise.duration_s or event.duration_s
            events.append(replace(event, gain_db=noise.gain_db, duration_s=last))
    return events


def _talk(script: Script, listener: Listener) -> list[SoundEvent]:
    """The voices of people who talk, and of the wearer who answers."""
    rng = script.rng("sound voices")
    events = [
        _voice(rng, script, listener, actor.place(script.duration_s / 2))
        for actor in script.actors
        if actor.role.activity == "talk"
    ]
    if script.action == "talk" and listener.has_voice:
        events.append(_voice(rng, script, listener, np.array((*script.movement.start, 0.0))))
    return events


def _voice(
    rng: np.random.Generator, script: Script, listener: Listener, feet: Vector
) -> SoundEvent:
    start_s = rng.uniform(-0.5, 0.5) * script.duration_s
    event = _heard(listener, start_s, "speech", feet + np.array((0, 0, _MOUTH_M)))
    return replace(event, duration_s=rng.uniform(0.5, 1.2) * script.duration_s)


def _heard(listener: Listener, time_s: float, kind: str, place: Vector) -> SoundEvent:
    offset = place - listener.place(time_s)
    return SoundEvent(listener.recorded_s(time_s), kind, _triple(offset))


def _sound_of(rng: np.random.Generator, weapon: HeldWeapon | None) -> str:
    names = _SOUNDS_OF[weapon.name if weapon is not None else "pistol"]
    return names[rng.integers(len(names))]


def _triple(vector: Vector) -> Position:
    x, y, z = vector.tolist()
    return x, y, z
