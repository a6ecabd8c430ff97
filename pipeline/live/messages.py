"""Takes what a decoder says of a stream from its process to the one that listens.

The decoder handles bytes that nobody trusts, so nothing that it sends is unpickled: a line of JSON
says what follows, and arrays are of the size that the format of clips gives them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from pipeline.config import ClipFormat
from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.store.manifest import PRESENCES
from pipeline.store.sound import num_samples

_MAX_HEAD = 2**16
_MAX_TEXT = 500
_MAX_PRINTS = 400
_MAX_CODES = 40
_WORD = 2**32 - 1
# What a head says of a clip; the rest follows it.
_TOLD = ("start_s", "presence", "marks", "begins", "sound_is_late", "drift_s")


@dataclass(frozen=True)
class Heading:
    """Holds what a stream is, which is sent before anything else; the names are FFmpeg's."""

    container: str
    codec: str
    width: int
    height: int
    fps: float | None


@dataclass(frozen=True)
class StreamClip:
    """A canonical clip of a stream.

    Attributes:
        start_s: of its first picture, on the clock of a player that began with this decoder.
        frames: uint8 (T, H, W, 3) RGB, as the canonical encoding gives them back.
        sound: int16 (n,) at `store.sound.SOUND_HZ`, as long as the pictures.
        presence: one of `manifest.PRESENCES`.
        marks: as `footage.windows.Window` has them.
        begins: why it does not go on from the clip before: "gap", "size" or "clock"; empty where it
            does, cuts included.
        sound_is_late: whether it is without sound since that has not come yet.
        drift_s: as `live.skew.Skew.late_s` has it.
    """

    start_s: float
    frames: NDArray[np.uint8]
    sound: NDArray[np.int16]
    presence: str
    marks: tuple[str, ...]
    begins: str
    sound_is_late: bool = False
    drift_s: float | None = None


@dataclass(frozen=True)
class SkippedPictures:
    """Pictures that became no clip, since they are black or do not move; a sign of life."""

    end_s: float
    reason: str


@dataclass(frozen=True)
class Prints:
    """Holds what banks are searched by.

    Attributes:
        pictures: second of the session, and PDQ in 32 bytes; a picture with black bars is there
            twice, with them and without.
        sounds: second of the session, and an item of Chromaprint.
        narrow: the same of a narrow band of the sound.
    """

    pictures: tuple[tuple[float, bytes], ...]
    sounds: tuple[tuple[float, int], ...]
    narrow: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Faults:
    """Tells how often the decoder of the pictures has failed since it was told last, by code."""

    codes: Mapping[str, int]


@dataclass(frozen=True)
class DecoderEnd:
    """A decoder has come to its end: `reason` is "end" where its bytes did, or a short code."""

    reason: str
    detail: str


Message = Heading | StreamClip | SkippedPictures | Prints | Faults | DecoderEnd


class BrokenDecoder(Exception):
    """A decoder sent what no decoder sends."""


def send(out: Connection, message: Message) -> None:
    """Send a message of a decoder.

    Raises:
        OSError: nobody listens any more.
    """
    if isinstance(message, Prints):
        # A head has room for what a stream shows in minutes.
        longest = max(map(len, (message.pictures, message.sounds, message.narrow)))
        for first in range(0, longest, _MAX_PRINTS):
            part = slice(first, first + _MAX_PRINTS)
            seen = [(at_s, one.hex()) for at_s, one in message.pictures[part]]
            heard = {"sounds": message.sounds[part], "narrow": message.narrow[part]}
            _send_head(out, "Prints", {"pictures": seen, **heard})
        return
    if not isinstance(message, StreamClip):
        _send_head(out, type(message).__name__, message.__dict__)
        return
    told = {name: value for name, value in message.__dict__.items() if name in _TOLD}
    _send_head(out, "StreamClip", told)
    out.send_bytes(np.ascontiguousarray(message.frames).tobytes())
    out.send_bytes(np.ascontiguousarray(message.sound).tobytes())


def _send_head(out: Connection, kind: str, values: Mapping[str, object]) -> None:
    out.send_bytes(json.dumps({"kind": kind, **values}).encode())


def receive(source: Connection, clip: ClipFormat) -> Message:
    """Receive what `send` sent.

    Args:
        source: the end of a pipe.
        clip: the format of the clips.

    Raises:
        EOFError, OSError: the decoder is gone.
        BrokenDecoder: it sent something else.
    """
    head = source.recv_bytes(_MAX_HEAD)
    try:
        values = json.loads(head)
        kind = values.pop("kind")
        if kind == "Heading":
            fps = values["fps"]
            return Heading(
                str(values["container"])[:_MAX_TEXT],
                str(values["codec"])[:_MAX_TEXT],
                int(values["width"]),
                int(values["height"]),
                None if fps is None else _finite(fps),
            )
        if kind == "Prints":
            return Prints(
                tuple((_finite(at_s), _hash(text)) for at_s, text in values["pictures"]),
                *(
                    tuple((_finite(at_s), int(item) & _WORD) for at_s, item in values[band])
                    for band in ("sounds", "narrow")
                ),
            )
        if kind == "SkippedPictures":
            return SkippedPictures(_finite(values["end_s"]), str(values["reason"])[:_MAX_TEXT])
        if kind == "Faults":
            codes = {str(code): int(num) for code, num in values["codes"].items()}
            are_names = all(code.isidentifier() and code.isascii() for code in codes)
            if len(codes) > _MAX_CODES or not are_names:
                raise ValueError("codes that are none")
            if min(codes.values(), default=0) < 0:
                raise ValueError("fewer than no errors")
            return Faults({code[:_MAX_TEXT]: num for code, num in codes.items()})
        if kind == "DecoderEnd":
            return DecoderEnd(str(values["reason"])[:_MAX_TEXT], str(values["detail"])[:_MAX_TEXT])
        if kind != "StreamClip":
            raise ValueError(f"a message of kind {kind!r}")
        shape = (clip.num_frames, clip.size, clip.size, 3)
        # Bytes cannot be written to, which torch wants of what it takes.
        frames = np.frombuffer(source.recv_bytes(math.prod(shape)), np.uint8).reshape(shape).copy()
        length = num_samples(clip.num_frames, clip.fps)
        sound = np.frombuffer(source.recv_bytes(2 * length), np.int16).copy()
        if sound.size != length or values["presence"] not in PRESENCES:
            raise ValueError("sound of another length, or of an unknown presence")
        marks = tuple(str(mark)[:_MAX_TEXT] for mark in values["marks"])
        start_s, begins = _finite(values["start_s"]), str(values["begins"])[:_MAX_TEXT]
        is_late, drift_s = bool(values["sound_is_late"]), values["drift_s"]
        drift_s = None if drift_s is None else _finite(drift_s)
        return StreamClip(
            start_s, frames, sound, values["presence"], marks, begins, is_late, drift_s
        )
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise BrokenDecoder(f"{type(error).__name__}: {error}") from error


def _hash(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != HASH_BYTES:
        raise ValueError(f"a hash of {len(found)} bytes")
    return found


def _finite(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no time")
    return float(value)
