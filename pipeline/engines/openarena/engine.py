"""`record`: draw a match, let bots play it, film it, and cut what its events can label."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines import damage, display, loudspeaker
from pipeline.engines.openarena import game
from pipeline.engines.openarena.events import FrameEvents, long_windows, read, windows
from pipeline.engines.openarena.scene import MatchScene, draw_long_scene, draw_scene
from pipeline.engines.take import Take, UnusableDraw, VideoFormat, draw_format
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.config import GameSettings

_MIN_BRIGHTNESS = 14.0
_MIN_DETAIL = 6.0
_MIN_CHANGE = 3.0
_PART_S = 20.0
_MAX_DULL_SHARE = 1 / 6
# The game begins another file where its film, of uncompressed frames, comes to 2 GiB, and loses
# the frame at which it does.
_MAX_FILM_BYTES = 2e9


def record(seed: int, index: int, settings: GameSettings) -> list[Take]:
    """Record one take, deterministic in its arguments on one kind of processor.

    A match without a part that can be labelled, or whose part shows nothing worth watching, is
    replaced by the next of at most `settings.max_attempts`. Even indices are meant to shoot.

    Raises:
        UnusableDraw: the last match's problem; or `engine_crashed`, `engine_timed_out`,
            `film_incomplete` at once.
        UserError: the film would be too large, or has no sound.
    """
    kind = _Kind("openarena", draw_scene, windows, problem, settings.timeout_s)
    return _record(kind, seed, index, settings)


def record_long(seed: int, index: int, settings: GameSettings) -> list[Take]:
    """Record one take of minutes as `record` does, from one match.

    Each of the two processes that play and film it may run for longer than `settings.timeout_s`,
    by twice what the take lasts.
    """
    timeout_s = settings.timeout_s + 2 * settings.duration_s
    kind = _Kind("openarena-long", draw_long_scene, long_windows, problem_of_long, timeout_s)
    return _record(kind, seed, index, settings)


@dataclass(frozen=True)
class _Kind:
    """How long and short takes differ."""

    name: str
    draw: Callable[..., MatchScene]
    windows: Callable[..., NDArray[np.int64]]
    problem: Callable[[NDArray[np.uint8], float], str]
    timeout_s: float


def _record(kind: _Kind, seed: int, index: int, settings: GameSettings) -> list[Take]:
    assert settings.max_attempts > 0
    form = draw_format(seed, index, kind.name, settings.heights, settings.rates_fps)
    shoots = index % 2 == 0
    num_frames = form.num_frames(settings.duration_s)
    for attempt in range(settings.max_attempts):
        rng = np.random.default_rng([seed, index, attempt, zlib.crc32(kind.name.encode())])
        scene = kind.draw(rng, settings.duration_s, shoots=shoots)
        with tempfile.TemporaryDirectory(prefix="openarena-") as name:
            timeline, film = play(scene, form, Path(name), kind.timeout_s)
            starts = kind.windows(timeline, form.fps, num_frames, shoots=shoots)
            if len(starts) == 0:
                reason = "nobody_fired" if shoots else "somebody_fired"
                continue
            start = int(rng.choice(starts))
            frames = _read_film(film, start, num_frames, form)
            sound = _read_sound(film, start, num_frames, form.fps)
        reason = kind.problem(frames, form.fps)
        if reason == "":
            fired = timeline.discharge[start : start + num_frames]
            stored = damage.suffer(display.show(frames, rng), form.fps, rng.spawn(1)[0])
            num_samples = form.num_samples(num_frames)
            heard = loudspeaker.record(sound, game.SOUND_HZ, num_samples, rng.spawn(1)[0])
            return [_take(f"{kind.name}-{index:05d}", form, scene, stored, heard, fired)]
    raise UnusableDraw(reason)


def play(
    scene: MatchScene, form: VideoFormat, folder: Path, timeout_s: float
) -> tuple[FrameEvents, Path]:
    """Play and film a match in the empty folder `folder`; returns its events and the film.

    Raises:
        UnusableDraw: `engine_crashed` or `engine_timed_out`.
        UserError: the film would be too large.
    """
    size = film_size(scene, form)
    game.record_match(scene, folder, timeout_s)
    printed, film = game.film_match(scene, folder, size, form.fps, timeout_s)
    return read(printed), film


def film_size(scene: MatchScene, form: VideoFormat) -> tuple[int, int]:
    """Width and height to film in: the scene's, or the file's where that film were too large.

    Raises:
        UserError: a film of the file's size is too large too.
    """
    small_bytes = 3 * form.width * form.height * form.fps * scene.match_s
    if small_bytes > _MAX_FILM_BYTES:
        raise UserError(
            f"conf/synthesize.yaml: openarena: a match of {scene.match_s:.0f} s in "
            f"{form.width}x{form.height} at {form.fps:g} frames a second would be a film of "
            f"{small_bytes / 1e9:.1f} GB, and the game makes none above "
            f"{_MAX_FILM_BYTES / 1e9:g} GB; set duration_s, heights or rates_fps to less"
        )
    scale = scene.scale if small_bytes * scene.scale**2 <= _MAX_FILM_BYTES else 1
    return scale * form.width, scale * form.height


def problem(frames: NDArray[np.uint8], _fps: float) -> str:
    """Why frames (T,H,W,3) are not worth watching, as a reason code; empty when they are."""
    grey = frames[:, ::4, ::4].astype(np.float32).mean(axis=3)
    if grey.mean() < _MIN_BRIGHTNESS:
        return "too_dark"
    if np.median(grey.std(axis=(1, 2))) < _MIN_DETAIL:
        return "faces_a_wall"
    if np.abs(grey[len(grey) // 2] - grey[0]).mean() < _MIN_CHANGE:
        return "stands_still"
    return ""


def problem_of_long(frames: NDArray[np.uint8], fps: float) -> str:
    """`problem` of a take of minutes, at `fps` frames a second: of its parts of 20 s.

    One of six may be dull.
    """
    part = round(_PART_S * fps)
    starts = range(0, max(1, len(frames) - part // 2), part)
    found = [problem(frames[start : start + part], fps) for start in starts]
    dull = [reason for reason in found if reason]
    return dull[0] if len(dull) > len(found) * _MAX_DULL_SHARE else ""


def _read_film(path: Path, start: int, num_frames: int, form: VideoFormat) -> NDArray[np.uint8]:
    """The frames of a film from a number on, uint8 (T,H,W,3) of the file's size.

    They are shrunk as they come, since those of minutes are many.
    """
    size, num_read = (form.width, form.height), 0
    frames = np.empty((num_frames, form.height, form.width, 3), np.uint8)
    with av.open(str(path)) as film:
        for picture in islice(film.decode(video=0), start, start + num_frames):
            image = picture.to_ndarray(format="rgb24")
            frames[num_read] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            num_read += 1
    if num_read < num_frames:
        raise UnusableDraw("film_incomplete")
    return frames


def _read_sound(path: Path, start: int, num_frames: int, fps: float) -> NDArray[np.int16]:
    """The sound of frames of a film, int16 (N, 2) at `game.SOUND_HZ`.

    The mixer begins a frame before the pictures, and keeps what is less than a frame to itself at
    the end of the film.
    """
    with av.open(str(path)) as film:
        if not film.streams.audio:
            raise UserError(
                f"openarena: the film of {game.ENGINE} has no sound; install the game by "
                "make games, or set openarena.num_recordings=0 in conf/synthesize.yaml"
            )
        parts = [heard.to_ndarray().reshape(-1, 2) for heard in film.decode(audio=0)]
    sound = np.concatenate(parts).astype(np.int16, copy=False)
    first, last = (
        int((number + 1) * game.SOUND_HZ / fps) for number in (start, start + num_frames)
    )
    if len(sound) < last - 2 * game.SOUND_HZ / fps:
        raise UnusableDraw("film_incomplete")
    return sound[first:last]


def _take(
    name: str,
    form: VideoFormat,
    scene: MatchScene,
    frames: NDArray[np.uint8],
    sound: NDArray[np.int16],
    fired: NDArray[np.bool_],
) -> Take:
    return Take(
        name=name,
        frames=frames,
        sound=sound,
        format=form,
        origin="game",
        source="openarena",
        recording=name,
        discharges_s=tuple(float(frame) / form.fps for frame in np.flatnonzero(fired)),
        viewpoint="first-person",
        licence="GPL-2.0-or-later",
        authority="played by bots and filmed by the OpenArena game; no real people",
        notes=f"{scene.game_map} {'teams' if scene.game_type else 'free-for-all'}",
    )
