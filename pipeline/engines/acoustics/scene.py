"""What is to be heard: the typed description that `render.render` makes sound of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.engines.acoustics.air import Air
from pipeline.engines.acoustics.room import ROOMS, Room

Position = tuple[float, float, float]
Surface = Literal["concrete", "gravel", "grass", "wood", "carpet"]


@dataclass(frozen=True)
class SoundEvent:
    """Something that sounds, at a time and a place."""

    time_s: float
    """When it happens at its source, from the start of the scene; it is heard later."""
    kind: str
    """A name of `sources.KINDS`."""
    offset_m: Position
    """Seen from the microphone at that time: right, ahead, up."""
    aim: Position = (0.0, 1.0, 0.0)
    """Line of fire of what is fired, of any length, in the same directions."""
    weapon: str = "pistol_9mm"
    """A name of `weapons.WEAPONS`, for the kinds that have one."""
    gain_db: float = 0.0
    """Beside the usual level of the kind: a suppressor takes 17 to 28 dB, for one."""
    duration_s: float = 1.5
    """Of kinds that last, such as speech."""


@dataclass(frozen=True)
class Footsteps:
    """Steps of who wears the microphone."""

    times_s: tuple[float, ...] = ()
    """When a foot strikes the ground."""
    surface: Surface = "concrete"
    running: bool = False


@dataclass(frozen=True)
class Ambience:
    """What is heard without any event."""

    hush_db: float = 45.0
    """Level of the place when nothing happens, 25 (a room at night) to 75 (traffic) dB."""
    wind_m_s: float = 0.0
    """Speed of the wind at the microphone, 0 to 12."""
    hum_db: float = 0.0
    """Level of machines and mains, 0 for none."""
    babble_db: float = 0.0
    """Level of voices that cannot be told apart, 0 for none."""
    cloth: float = 0.0
    """How much of its wearer's clothes a microphone hears, 0 to 1; in step with the gait."""
    gait: Footsteps = field(default_factory=Footsteps)


@dataclass(frozen=True)
class Microphone:
    """A microphone with the electronics behind it."""

    overload_db: float = 124.0
    """Peak level that it can take, 110 to 140 dB: what is louder is cut off before any gain."""
    soft: bool = False
    """Whether it bends before it cuts."""
    noise_db: float = 32.0
    """Its own noise as a level of sound, 20 to 40 dB(A)."""
    high_pass_hz: float = 100.0
    low_pass_hz: float = 12_000.0
    """Of cloth, a case or a membrane before it: 1,500 (buried) to 18,000 (free)."""
    agc: AutomaticGain | None = None
    gain_db: float = 30.0
    """Fixed gain where there is no automatic one."""
    noise_reduction_db: float = 0.0
    """Most that the processing for speech takes from what sounds steadily, 0 to 25."""
    band_hz: tuple[float, float] | None = None
    """Of a telephone call, 300 to 3,400."""
    buffer_s: float = 0.0
    """Seconds at the start that a device keeps from before it was switched on: without sound."""


@dataclass(frozen=True)
class AutomaticGain:
    """A gain that follows the level."""

    target_dbfs: float = -20.0
    """Level that it aims at, re full scale."""
    most_db: float = 30.0
    """Highest gain."""
    attack_s: float = 0.007
    """In which it falls by 63 % of the way: 1 to 125 ms."""
    release_s: float = 0.5
    """In which it rises by 8.7 dB: 0.15 to 3 s, the hush after what was loud for long enough."""
    hold_s: float = 0.0
    """How long it waits before it recovers, 0 to 1.4 s."""
    least_db: float = -60.0
    """Lowest gain; that of amplifiers before converters is -12 to 0."""


@dataclass(frozen=True)
class FilmMix:
    """Sound as a film is mixed: nothing overloads, all is layered, compressed, and under music."""

    layers: bool = True
    """Whether a low thump, a bright crack and a long tail are laid under each discharge."""
    ratio: float = 6.0
    """By how much levels above the threshold are compressed, 2 to 20."""
    music_db: float | None = None
    """Level of the music, -20 to 10 dB re -27 dBFS, until it gives way; None for none."""
    tempo_bpm: float = 90.0
    """Of the music, 50 to 170."""
    peak_dbfs: float = -1.0
    """Ceiling of the limiter."""
    gain_db: float = 0.0
    """Of everything before it is compressed, 0 to 40: mixes leave little between quiet and loud."""
    band_hz: tuple[float, float] = (30.0, 20_000.0)
    """What is left of it by equalisers, old copies and small loudspeakers."""


@dataclass(frozen=True)
class SoundScene:
    """One recording's sound; the same scene is always the same bytes."""

    duration_s: float
    seed: tuple[int, ...]
    """Of all that is drawn: integers, such as the seed and index of a recording."""
    events: tuple[SoundEvent, ...]
    capture: Microphone | FilmMix = field(default_factory=Microphone)
    room: Room = ROOMS["street"]
    air: Air = field(default_factory=Air)
    ambience: Ambience = field(default_factory=Ambience)
    height_m: float = 1.35
    """Of the microphone above the ground."""
    level_db: float = 0.0
    """By which the file is turned up or down after all; what then is over full scale is cut off."""
