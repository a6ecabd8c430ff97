"""The process that decodes a stream: it has no network, and nothing but its bytes.

It reads a file, or two pipes through which the same bytes come twice, once for the pictures and
once for the sound, and sends canonical clips. What makes them is what ingest makes clips with.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.config import ClipFormat
from pipeline.footage import foreign
from pipeline.live.hearing import WindowSound
from pipeline.live.messages import (
    DecoderEnd,
    Faults,
    Heading,
    Message,
    SkippedPictures,
    StreamClip,
    send,
)
from pipeline.live.pictures import Pictures, Undecodable
from pipeline.live.printing import StreamPrinter
from pipeline.live.windows import StreamWindow, divided
from pipeline.store import video
from pipeline.store.sound import num_samples
from pipeline.system import sandbox

SOUND_WAIT_S = 2.0
"""How long the pictures of a stream wait for its sound."""


@dataclass(frozen=True)
class DecodingTask:
    """What to decode, and how.

    Attributes:
        path: of a file; None for a stream, whose bytes come through pipes.
        clip: the format of the clips.
        limits: of a picture, and of the length that is decoded.
        memory_mb: what the process may take.
        prints: whether to tell what banks are searched by.
    """

    path: Path | None
    clip: ClipFormat
    limits: foreign.DecodingLimits
    memory_mb: int
    prints: bool = False


def main(
    task: DecodingTask, out: Connection, pipes: tuple[Connection, Connection] | None, parent: int
) -> None:
    """Decode until the bytes end; what becomes of it goes to `out`."""
    # Ctrl-C is the main process's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sandbox.die_with(parent)
    threadpool_limits(1)
    sandbox.enter(sandbox.ResourceLimits(task.memory_mb, 0.0, 0.0))
    with suppress(OSError):
        for message in decoded(task, pipes):
            send(out, message)


def decoded(task: DecodingTask, pipes: tuple[Connection, Connection] | None) -> Iterator[Message]:
    """Yield what a stream shows, and at last why it ended."""
    faults: Counter[str] = Counter()
    ended = DecoderEnd("end", "")
    try:
        for message in _clips(task, pipes, faults):
            yield message
            yield from _told(faults)
    except _ClockJumped:
        ended = DecoderEnd("clock", "its clock began anew")
    except Undecodable as error:
        ended = DecoderEnd("decode_error", str(error))
    except foreign.DecodeError as error:
        ended = DecoderEnd(error.reason, str(error))
    except MemoryError:
        ended = DecoderEnd("out_of_memory", f"more than {task.memory_mb} MB of memory")
    yield from _told(faults)
    yield ended


def _told(faults: Counter[str]) -> Iterator[Faults]:
    if faults:
        yield Faults(dict(faults))
        faults.clear()


class _ClockJumped(Exception):
    """Pictures go on by another clock, by which the sound that is being read cannot be placed."""


def _clips(
    task: DecodingTask, pipes: tuple[Connection, Connection] | None, faults: Counter[str]
) -> Iterator[Message]:
    clip, path, heard_path = task.clip, task.path, task.path
    if pipes is not None:
        path, heard_path = (Path(f"/dev/fd/{pipe.fileno()}") for pipe in pipes)
    assert path is not None and heard_path is not None
    wait_s = None if pipes is None else SOUND_WAIT_S
    length = num_samples(clip.num_frames, clip.fps)
    ear, num_zeros = None, 0
    printer = StreamPrinter(clip.fps) if task.prints else None
    see, listen = (printer.see, printer.hear) if printer else (None, None)
    source = Pictures(path, task.limits, faults, is_live=pipes is not None)
    with source:
        yield Heading(source.container, source.codec, source.width, source.height, source.fps)
        for one in divided(source, clip, see):
            zeros_s = source.zeros_s
            if ear is None or (len(zeros_s) > num_zeros and pipes is None):
                if ear is not None:
                    ear.close()
                ear = WindowSound(heard_path, task.limits, zeros_s, length, wait_s, listen)
                num_zeros = len(zeros_s)
            if one.begins == "clock" and pipes is not None:
                raise _ClockJumped
            # How a file lays its tracks out tells nothing of when they were taken.
            drift_s = None if pipes is None else source.skew.late_s
            yield _message(one, ear, clip, drift_s)
            if printer and (prints := printer.taken()):
                yield prints


def _message(
    one: StreamWindow, ear: WindowSound, clip: ClipFormat, drift_s: float | None
) -> Message:
    # Windows that show nothing are asked for too, or their sound would fill the pipe.
    heard = ear.hear(num_samples(one.start_frame, clip.fps))
    start_s = one.start_frame / clip.fps
    if one.window is None:
        return SkippedPictures(start_s + clip.num_frames / clip.fps, one.reason)
    # What the detector has learned from are clips as their encoding gives them back.
    frames = np.asarray(video.decode(one.window.mp4))
    marks, begins = one.window.marks, one.begins
    samples, presence = heard.samples, heard.presence
    return StreamClip(start_s, frames, samples, presence, marks, begins, ear.is_late, drift_s)
