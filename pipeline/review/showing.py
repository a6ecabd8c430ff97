"""Shows a reviewer stills and seconds of a video, protected or clear, and their sound.

It is decoded in the sandbox, and nothing but pictures and samples of it leaves it.
"""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.assess import previews
from pipeline.config import IngestConfig, Run
from pipeline.footage import foreign, pictures
from pipeline.footage.conversion import Unusable
from pipeline.footage.foreign.sound import Sound
from pipeline.footage.remedies import remedy
from pipeline.footage.sound import clip_sounds
from pipeline.review.tasks import Moment, ReviewTask
from pipeline.store import executor
from pipeline.store.sound import SOUND_HZ
from pipeline.system import sandbox

STILLS, PROTECTED, CLEAR, SOUND = KINDS = ("stills", "protected seconds", "clear seconds", "sound")
"""What may be asked for."""
AROUND_S, MOST_S = 0.5, 12.0
"""What is shown before and after the seconds that matter, and how much at most."""
_WALL_S = 120.0
_CLEAR_HEIGHT = 270


@dataclass(frozen=True)
class ShowTask:
    """One file, and what is to be shown of it."""

    path: Path
    kind: str
    moments: tuple[Moment, ...]
    fps: float
    limits: foreign.DecodingLimits


@dataclass(frozen=True)
class Playback:
    """Holds what came of it.

    Attributes:
        start_s: of the first picture, or of the sound.
        fps: pictures a second.
        pictures: data URIs of JPEG; of stills a strip a moment, else those of one moment.
        sound: a data URI of WAV; None where there is none, or it was not asked for.
    """

    start_s: float
    fps: float
    pictures: tuple[str, ...] = ()
    sound: str | None = None

    @property
    def seconds(self) -> float:
        """Return how long the pictures are shown, once."""
        return len(self.pictures) / self.fps


class NotShown(Exception):
    """Nothing of a file can be shown; the text says why, and what helps."""


def moments_of(task: ReviewTask) -> tuple[Moment, ...]:
    """The parts of a task that matter; its beginning where nobody knows of any."""
    if task.moments:
        return task.moments
    return (Moment(0.0, min(MOST_S - 2 * AROUND_S, task.seconds or 2.0)),)


def show(
    path: Path, task: ReviewTask, kind: str, number: int, fps: float, cfg: IngestConfig, run: Run
) -> Playback:
    """Decode what is asked for.

    Args:
        path: of the file.
        task: that it is of.
        kind: one of `KINDS`.
        number: of the moment, from 0; of stills all are shown.
        fps: pictures a second.
        cfg: what a file may cost.
        run: how to run.

    Raises:
        OSError: there is no such file.
        NotShown: it cannot be decoded.
    """
    moments = moments_of(task)
    wanted = moments if kind == STILLS else moments[number : number + 1]
    limits = foreign.DecodingLimits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    asked = ShowTask(path.resolve(strict=True), kind, wanted, fps, limits)
    ((result,),) = executor.map_blocks(
        decode_task,
        [[asked]],
        replace(run, executor="serial", progress=False),
        title="review",
        num_items=1,
        limits=sandbox.ResourceLimits(
            cfg.max_memory_mb, cfg.max_cpu_s, min(cfg.timeout_s, _WALL_S)
        ),
    )
    if isinstance(result, Playback):
        return result
    raise NotShown(f"{result.reason} ({result.detail}); {remedy(result.reason)}")


def decode_task(task: ShowTask) -> Playback | Unusable:
    """Decode what a task asks for; in the sandbox."""
    try:
        if task.kind == STILLS:
            return Playback(task.moments[0].start_s, task.fps, tuple(_strips(task)))
        first, last = _span(task.moments[0], task.fps)
        frames, zeros_s = _frames(task, [(first, last)])
        if task.kind == SOUND:
            return Playback(first / task.fps, task.fps, sound=_sound(task, first, last, zeros_s))
        jpegs = tuple(_jpeg(image, task.kind) for image in frames[0])
        return Playback(first / task.fps, task.fps, jpegs)
    except foreign.DecodeError as error:
        return Unusable(error.reason, str(error).replace(str(task.path), "…"))


def _span(moment: Moment, fps: float) -> tuple[int, int]:
    """Places of the first and last picture of a moment on the grid of times."""
    start_s = max(0.0, moment.start_s - AROUND_S)
    end_s = min(moment.end_s + AROUND_S, start_s + MOST_S)
    return _places(start_s, end_s, fps)


def _places(start_s: float, end_s: float, fps: float) -> tuple[int, int]:
    first = floor(start_s * fps)
    return first, max(first, ceil(end_s * fps) - 1)


def _strips(task: ShowTask) -> Iterator[str]:
    spans = [_places(one.start_s, one.end_s, task.fps) for one in task.moments]
    for frames in _frames(task, spans)[0]:
        yield previews.strip(frames, "protected")


def _frames(
    task: ShowTask, spans: Sequence[tuple[int, int]]
) -> tuple[list[NDArray[np.uint8]], tuple[float, ...]]:
    """Pictures of each span, (T, H, W, 3), and where the clock of a player begins."""
    held: list[list[NDArray[np.uint8]]] = [[] for _ in spans]
    scaler, last_index = pictures.Scaler(), max(last for _, last in spans)
    with foreign.Video(task.path, task.limits) as source:
        image: NDArray[np.uint8] | None = None
        for picture in source.pictures(task.fps):
            for span, frames in zip(spans, held, strict=True):
                if span[0] <= picture.index <= span[1]:
                    image = _upright(picture, source.aspect, scaler)
                    frames.append(image)
            if picture.index >= last_index:
                break
        zeros_s = source.zeros_s
    if not any(held):
        raise foreign.DecodeError("too_short", "it ends before the seconds that matter")
    # Pictures may change their size on the way.
    return [_alike(frames) for frames in held if frames], zeros_s


def _upright(
    picture: foreign.ScreenFrame, aspect: float, scaler: pictures.Scaler
) -> NDArray[np.uint8]:
    frame = picture.frame
    height = min(_CLEAR_HEIGHT, frame.height)
    width = max(2, round(frame.width * aspect * height / frame.height))
    with foreign.refusing():
        image = scaler.convert(frame, (0, 0, frame.width, frame.height), width, height)
        return pictures.orientation(frame).show(image[None])[0]


def _alike(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    height, width = frames[0].shape[:2]
    return np.stack(
        [
            one
            if one.shape == frames[0].shape
            else np.asarray(Image.fromarray(one).resize((width, height)))
            for one in frames
        ]
    )


def _jpeg(image: NDArray[np.uint8], kind: str) -> str:
    clear = Image.fromarray(image)
    return previews.data_uri(clear if kind == CLEAR else previews.as_preview(image, "protected"))


def _sound(task: ShowTask, first: int, last: int, zeros_s: Sequence[float]) -> str | None:
    start, end = (round(place * SOUND_HZ / task.fps) for place in (first, last + 1))
    with Sound(task.path, task.limits, zeros_s) as track:
        (heard,) = clip_sounds(track.heard(), track.damaged, [start], end - start)
    if not heard.samples.any():
        return None
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_HZ)
        file.writeframes(heard.samples.astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()
