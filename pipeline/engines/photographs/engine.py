"""`record`: one photograph and one camera; in some of the recordings shots are heard."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.config import RenderSettings
from pipeline.engines import damage
from pipeline.engines.acoustics import surroundings
from pipeline.engines.acoustics.render import render
from pipeline.engines.acoustics.room import Room
from pipeline.engines.acoustics.scene import SoundEvent, SoundScene
from pipeline.engines.acoustics.surroundings import Surroundings
from pipeline.engines.photographs import shots
from pipeline.engines.photographs.long_view import LongView
from pipeline.engines.photographs.pictures import SOURCES
from pipeline.engines.photographs.view import PhotographView
from pipeline.engines.render.appearance import recorder
from pipeline.engines.render.appearance.fleet import FLEETS, CameraProfile, draw_camera
from pipeline.engines.render.sound import camera_microphone, hearing
from pipeline.engines.take import SOUND_HZ, Take, draw_format

# Multiples of the golden ratio look in all directions evenly, however few recordings there are.
_GOLDEN = 0.6180339887498949
# Most uploads come from daylight and good cameras: of what is learned from dim and noisy pictures
# alone, less holds for files of other makers (docs/experiments.md).
_NOISY_EVERY = 3
_DIM_SHARE, _DIMMEST = 0.5, 0.05
# Recordings with shots count as rendered, from which the origin is not learned.
_FIRED_AT_SHARE, _LONG_FIRED_AT_SHARE = 0.25, 0.5


def record(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Film the photograph of an index: a pure function of its arguments.

    Indices take the photographs in turn. In a quarter of the recordings somebody fires whom nobody
    sees, unless the file has no sound.

    Raises:
        UserError: a height that cannot be encoded, or a photograph that is not installed.
        UnusableDraw: the camera sees nothing but one surface.
    """
    source = SOURCES[index % len(SOURCES)]
    name = f"photograph-{source.name}-{index:05d}"
    draws = surroundings.draw, shots.draw, _FIRED_AT_SHARE
    return [_filmed(seed, index, settings, "photographs", name, PhotographView, *draws)]


def record_long(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Film the photograph of an index for minutes, as `record` does for seconds.

    Somebody walks, stands and looks around, or a camera stands and pans; now and then something
    is heard that may be taken for a discharge, and in half of the recordings shots are.
    """
    name = f"photographs-long-{index:05d}"
    engine = "photographs long"
    draws = surroundings.draw_long, shots.draw_long, _LONG_FIRED_AT_SHARE
    return [_filmed(seed, index, settings, engine, name, LongView, *draws)]


def _filmed(
    seed: int,
    index: int,
    settings: RenderSettings,
    engine: str,
    name: str,
    make_view: type[PhotographView],
    draw_around: Callable[[np.random.Generator, str, float], Surroundings],
    draw_shots: Callable[[np.random.Generator, Room, float], tuple[SoundEvent, ...]],
    fired_at_share: float,
) -> Take:
    source, fleet = SOURCES[index % len(SOURCES)], FLEETS[index % len(FLEETS)]
    form = draw_format(seed, index, engine, settings.heights, settings.rates_fps)
    rng = np.random.default_rng([seed, index, zlib.crc32(engine.encode())])
    view = make_view(rng, source, fleet, heading(seed, index), form, settings.duration_s)
    profile = draw_camera(rng, fleet, form.fps, source.indoors)
    level = source.level * np.exp(rng.normal(0, 0.4))
    is_clean = index % _NOISY_EVERY != 0
    if is_clean:
        profile = _clean(profile)
    elif rng.random() < _DIM_SHARE:
        level *= np.exp(rng.uniform(np.log(_DIMMEST), 0))

    def radiance(start_s: float, exposure_s: float) -> NDArray[np.float32]:
        return view.radiance(start_s, exposure_s) * np.float32(level)

    frames, text = recorder.film(
        rng,
        profile,
        fleet.layouts,
        form,
        settings.duration_s,
        view.readout_s,
        radiance(0.0, 0.0),
        radiance,
    )
    words = f"clean={'yes' if is_clean else 'no'}, overlay={'timestamp' if text else 'none'}"
    duration_s, key = len(frames) / form.fps, (seed, index, zlib.crc32(f"{engine} sound".encode()))
    sound_rng = np.random.default_rng(key)
    around = draw_around(sound_rng, source.room, duration_s)
    fired: tuple[SoundEvent, ...] = ()
    is_heard = form.track is not None and not form.track.is_muted
    if is_heard and shots.is_fired_at(seed, index, engine, fired_at_share):
        # A generator of their own, so that what else is heard is the same without them.
        shot_rng = np.random.default_rng((seed, index, zlib.crc32(f"{engine} shots".encode())))
        fired = draw_shots(shot_rng, around.room, duration_s)
    scene = SoundScene(
        duration_s=duration_s,
        seed=key,
        events=(*fired, *around.events),
        capture=camera_microphone(sound_rng, view.where, duration_s),
        room=around.room,
        air=around.air,
        ambience=around.walked(view.steps_s, view.running),
        level_db=surroundings.draw_level_db(sound_rng),
    )
    heard_s = shots.heard_s(scene, fired)
    scene = replace(scene, capture=hearing(scene.capture, heard_s))
    return Take(
        name=name,
        frames=damage.suffer(frames, form.fps, rng.spawn(1)[0]),
        format=form,
        sound=render(scene, SOUND_HZ),
        origin="real",
        source=f"photograph-{source.name}",
        recording=name,
        discharges_s=(),
        heard_s=heard_s,
        rendered=bool(heard_s),
        viewpoint=view.viewpoint,
        licence=source.licence,
        authority=source.authority,
        notes=f"{view.notes}, {words}, shots heard={len(heard_s)}",
    )


def heading(seed: int, index: int) -> float:
    """Return about where to, in radians, a panorama's recording of an index looks."""
    source, turn = SOURCES[index % len(SOURCES)], index // len(SOURCES)
    start = np.random.default_rng([seed, zlib.crc32(source.name.encode())]).random()
    return float(2 * np.pi * (start + turn * _GOLDEN))


def _clean(profile: CameraProfile) -> CameraProfile:
    """Return a camera whose picture nobody would notice: little noise, no dirt, no flicker."""
    return replace(
        profile,
        vignette=0.3 * profile.vignette,
        aberration=0.3 * profile.aberration,
        veil=0.004,
        bloom=0.015,
        flare=5e-4,
        dirt=0.0,
        exposure_bias=0.0,
        flicker=0.0,
        cast=(1.0, 1.0, 1.0),
        balance=(1.0, 1.0, 1.0),
        balance_error=(0.0, 0.0),
        balance_hunt=0.0,
        full_well=5e6,
        read_noise=0.5,
        black_level=0.0,
    )
