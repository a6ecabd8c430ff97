"""From the description of a scene's sound to pressure at the microphone, and to samples."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from pipeline.engines.acoustics.ambience import ambience
from pipeline.engines.acoustics.bullet import Passage, passage
from pipeline.engines.acoustics.microphone import record
from pipeline.engines.acoustics.mix import mix
from pipeline.engines.acoustics.propagation import SoundSource, Space
from pipeline.engines.acoustics.scene import FilmMix, SoundEvent, SoundScene
from pipeline.engines.acoustics.signals import (
    LEAD,
    RATE_HZ,
    Vector,
    add,
    generator,
    num_samples,
)
from pipeline.engines.acoustics.sources import BLANK, DISCHARGE, KINDS
from pipeline.engines.acoustics.weapons import WEAPONS
from pipeline.store.pcm import LARGEST, samples_of

_SPEED_SPREAD = 0.012
_NEAREST_M = 0.15


def render(scene: SoundScene, rate_hz: int = 24_000) -> NDArray[np.int16]:
    """Mono samples (N,) of a scene, N = duration_s · rate_hz, rounded.

    Args:
        scene: what is to be heard.
        rate_hz: 8,000 to 96,000; resampled in float64 and rounded once.
    """
    wave = resampled(capture(scene), RATE_HZ, rate_hz)
    count = round(scene.duration_s * rate_hz)
    wave = np.pad(wave, (0, max(0, count - len(wave))))[:count]
    return samples_of(LARGEST * np.clip(wave, -1, 1))


def capture(scene: SoundScene) -> Vector:
    """What the microphone or the mix makes of a scene: (N,) in [-1, 1] at `RATE_HZ`."""
    heard = pressure(scene)
    return np.clip(10 ** (scene.level_db / 20) * _captured(scene, heard), -1, 1)


def _captured(scene: SoundScene, heard: Vector) -> Vector:
    if isinstance(scene.capture, FilmMix):
        kinds = [event.kind for event in scene.events]
        bangs = [
            time_s
            for time_s, kind in zip(arrivals(scene), kinds, strict=True)
            if kind in (DISCHARGE, BLANK)
        ]
        return mix(scene.seed, scene.capture, heard, bangs)
    return record(generator(scene.seed, "capsule"), scene.capture, heard)


def pressure(scene: SoundScene) -> Vector:
    """Pressure at the microphone in pascal, (N,) at `RATE_HZ`."""
    total = ambience(scene)
    space = Space.of(scene.room, scene.air, scene.height_m, generator(scene.seed, "room"))
    for number, event in enumerate(scene.events):
        _add_event(total, scene, space, number, event)
    return total


def arrivals(scene: SoundScene) -> list[float]:
    """When each event of a scene is first heard, in seconds from its start, in their order.

    That is later than the event by r / c, or, down range of a muzzle, by as long as the bullet's
    shock takes.
    """
    found = []
    for number, event in enumerate(scene.events):
        delay = _distance(event) / scene.air.speed_m_s
        shock = _passage(scene, number, event)
        found.append(event.time_s + min(delay, shock.delay_s if shock else delay))
    return found


def resampled(wave: Vector, rate_hz: int, wanted_hz: int) -> Vector:
    """Samples (N,) at one rate brought to another, in float64."""
    ratio = Fraction(wanted_hz, rate_hz)
    return np.asarray(signal.resample_poly(wave, ratio.numerator, ratio.denominator), np.float64)


def _add_event(
    total: Vector, scene: SoundScene, space: Space, number: int, event: SoundEvent
) -> None:
    """Add an event's pressure at the microphone, in place."""
    rng = generator(scene.seed, "event", number, event.kind)
    gain, offset = 10 ** (event.gain_db / 20), np.array(event.offset_m, np.float64)
    alike: dict[tuple[bool, bool], list[tuple[int, Vector]]] = {}
    for emission in KINDS[event.kind](rng, event, _distance(event)):
        start = round((event.time_s + emission.delay_s) * RATE_HZ) - LEAD
        alike.setdefault((emission.directed, emission.is_shock), []).append((start, emission.wave))
    for (directed, is_shock), parts in alike.items():
        first = min(start for start, _ in parts)
        left = len(total) - first
        if left <= 0:
            continue
        # One convolution for all that goes the same way, and no longer than the scene is.
        sent = np.zeros(min(left, max(start + len(wave) for start, wave in parts) - first))
        for start, wave in parts:
            add(sent, wave, start - first)
        source = SoundSource(offset, _aim(event) if directed else None, is_shock)
        response = space.response(source)[:left]
        add(total, gain * np.asarray(signal.fftconvolve(sent, response)), first)
    shock = _passage(scene, number, event)
    if shock is not None:
        wave = _shock_in(space, shock)
        add(total, wave, round((event.time_s + shock.delay_s) * RATE_HZ) - LEAD)


def _shock_in(space: Space, shock: Passage) -> Vector:
    """A bullet's shock at the microphone, with what the ground sends back and what scatters.

    The ground's comes from the path's mirror image, which is further away by the height; the cone
    sweeps along walls, so that the late part is fed as by a source at the path's distance.
    """
    direct = shock.wave()
    height = 2 * space.height_m
    below = float(np.hypot(shock.miss_m, height))
    delay = (below - shock.miss_m) / space.air.speed_m_s
    ground = 0.7 * (shock.miss_m / below) ** 0.75 * direct
    wave = np.zeros(len(direct) + len(space.late) + num_samples(0.1))
    add(wave, direct, 0)
    add(wave, ground, round(delay * RATE_HZ))
    if len(space.late):
        share = space.scattered(max(shock.miss_m, 1.0))
        add(wave, np.asarray(signal.fftconvolve(direct, share * space.late)), LEAD)
    return wave


def _passage(scene: SoundScene, number: int, event: SoundEvent) -> Passage | None:
    if event.kind != DISCHARGE:
        return None
    weapon = WEAPONS[event.weapon]
    rng = generator(scene.seed, "bullet", number)
    speed = weapon.speed_m_s * rng.normal(1, _SPEED_SPREAD)
    listener = -np.array(event.offset_m, np.float64)
    return passage(weapon, _aim(event), listener, float(speed), scene.air.speed_m_s)


def _aim(event: SoundEvent) -> Vector:
    aim = np.array(event.aim, np.float64)
    return np.asarray(aim / np.linalg.norm(aim))


def _distance(event: SoundEvent) -> float:
    return max(float(np.linalg.norm(event.offset_m)), _NEAREST_M)
