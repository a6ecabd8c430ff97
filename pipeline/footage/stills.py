"""Files of one picture, photographs above all: what banks know them by.

They are looked up in banks and put into them. Ingest makes no clips of them and refuses them
(`image`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.copies.hash_lists import MIN_QUALITY
from pipeline.footage import foreign, printing
from pipeline.footage.canonical import digests
from pipeline.footage.conversion import Unusable
from pipeline.footage.foreign import damage, tracks
from pipeline.footage.foreign.refusals import hostile_errors
from pipeline.footage.printing import PictureHasher, Printed, PrintTask

REMEDIES = {"still_format": "save the picture as PNG or JPEG"}
"""What to do about reasons that only stills are refused for."""

# What FFmpeg reads each kind with: none of these opens another file.
_DEMUXERS = (
    (b"\xff\xd8\xff", "jpeg_pipe"),
    (b"\x89PNG\r\n\x1a\n", "png_pipe"),
    (b"RIFF", "webp_pipe"),
    (b"II*\0", "tiff_pipe"),
    (b"MM\0*", "tiff_pipe"),
    (b"BM", "bmp_pipe"),
)
_HEAD_BYTES = 1 << 16
_ANIMATED = 0x02
# An entry of HEIF's table of items (ISO 23008-12) for a picture that is made of others.
_MADE_OF_OTHERS = re.compile(rb"infe[\x02\x03].{7,9}(?:grid|iovl|iden)", re.DOTALL)
# What FFmpeg takes a file for that is none of these, or has but the name of a still.
_OF_A_STILL = re.compile(r"(?:image2|ico|\w+_pipe) ")
# Tag of TIFF, and its values for JPEG within it, of which FFmpeg makes a black picture.
_COMPRESSION, _JPEGS = 259, (6, 7)
_NOT_READ = re.compile(r"not (?:supported|implemented)|[Uu]nsupported|Unknown compression")
_HEIF = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")
_SIZE = re.compile(r"Picture size (\d{1,10})x(\d{1,10})")
# PyAV knows no Exif and reads no side data of a frame that has it; a profile of colours that it has
# read ends the process.
_HARMFUL = ("mode=delete:type=31", "mode=delete:type=ICC_PROFILE")


def hash_still_or_video(task: PrintTask) -> Printed | Unusable:
    """Hash a file as `printing.hash_file` does, and a still by its one picture; in the sandbox.

    A still has a whole picture at the time 0, turned as its Exif says, and no parts: of one picture
    alone these are near others too often (docs/copies.md).
    """
    head = _head(task.path)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF and _MADE_OF_OTHERS.search(head):
        return Unusable("still_format", "a HEIF or AVIF picture in tiles, of which one would show")
    found = printing.hash_file(task)
    if not isinstance(found, Unusable):
        return found
    if found.reason in ("container", "playlist") and _OF_A_STILL.match(found.detail):
        return Unusable("still_format", "by its bytes or its name a still, of a kind not read")
    if found.reason != "image":
        return found
    demuxer = next((name for start, name in _DEMUXERS if head.startswith(start)), None)
    if demuxer is None:
        return Unusable("still_format", found.detail)
    if demuxer == "webp_pipe" and head[12:16] == b"VP8X" and head[20] & _ANIMATED:
        return Unusable("still_format", "an animated WebP image")
    try:
        return _printed(task, demuxer)
    except foreign.DecodeError as error:
        return Unusable(error.reason, str(error))
    except OSError as error:
        return Unusable("unreadable", error.strerror or "not readable", is_lasting=False)


def _head(path: Path) -> bytes:
    try:
        # To open a pipe would wait for ever.
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        # Who decodes it will say why.
        return b""


def _printed(task: PrintTask, demuxer: str) -> Printed:
    sha256, md5 = digests(task.path)
    frame = _decoded(task.path, demuxer, task.limits)
    with foreign.refusing():
        hashed = PictureHasher().hashed(_readable(frame))
    kept = [one for one in hashed if one.quality >= MIN_QUALITY]
    none = np.zeros(0, np.uint32)
    return Printed(
        sha256=sha256,
        md5=md5,
        duration_s=0.0,
        times_ms=np.zeros(len(kept), np.uint32),
        hashes=np.array([one.hashes for one in kept], np.uint8).reshape(-1, 2, HASH_BYTES),
        quality=np.array([one.quality for one in kept], np.uint8),
        sound_times_ms=none,
        sounds=none,
        narrow_times_ms=none,
        narrow_sounds=none,
        part_times_ms=none,
        part_hashes=np.zeros((0, 1, HASH_BYTES), np.uint8),
        part_kinds=np.zeros(0, np.uint8),
    )


def _decoded(path: Path, demuxer: str, limits: foreign.DecodingLimits) -> Any:
    """The picture of a file as an `av.VideoFrame`.

    Raises:
        foreign.DecodeError: it is over the limits, or a part of it is missing or wrong.
        OSError: it cannot be read.
    """
    import av

    tracks.heed_warnings()
    max_pixels = str(limits.max_pixels)
    frame: Any = None
    told = ""
    with path.open("rb") as file, av.logging.Capture() as logs:
        if demuxer == "tiff_pipe" and _tiff_tag(file, _COMPRESSION) in _JPEGS:
            raise foreign.DecodeError("still_format", "a TIFF image that holds a JPEG")
        file.seek(0)
        try:
            options = {"max_pixels": max_pixels, "threads": "1"}
            # A file that is open has no name by which FFmpeg could take it for a row of pictures.
            with av.open(file, "r", format=demuxer, options=options) as container:
                stream = container.streams.video[0]
                stream.thread_count = 1
                stream.codec_context.options = {
                    "err_detect": damage.ERROR_CHECKS,
                    "max_pixels": max_pixels,
                }
                frame = next(container.decode(stream), None)
        except MemoryError:
            raise
        except hostile_errors() as error:
            told = f": {type(error).__name__}"
    _check_size(logs, limits)
    if frame is None and any(_NOT_READ.search(text) for _, _, text in logs):
        raise foreign.DecodeError("still_format", "its colours or its compression are not read")
    if frame is None:
        raise foreign.DecodeError("damaged", f"its picture cannot be decoded{told}")
    limits.check_pixels(frame.width, frame.height)
    # The decoder of TIFF goes on after all that it calls an error.
    is_wrong = any(level <= av.logging.ERROR and name == "tiff" for level, name, _ in logs)
    if frame.is_corrupt or is_wrong or damage.tells_of_pictures(logs):
        raise foreign.DecodeError("damaged", "a part of its picture is missing or wrong")
    return frame


def _tiff_tag(file: BinaryIO, tag: int) -> int | None:
    """A short number that the first page of a TIFF image is told by; None where it is not there."""
    order = "<" if file.read(4).startswith(b"II") else ">"
    try:
        file.seek(*struct.unpack(f"{order}I", file.read(4)))
        (num_entries,) = struct.unpack(f"{order}H", file.read(2))
        entries = struct.iter_unpack(f"{order}HHIHH", file.read(12 * num_entries))
        return next((value for found, _, _, value, _ in entries if found == tag), None)
    except struct.error:
        # It ends before.
        return None


def _check_size(logs: Iterable[damage.Log], limits: foreign.DecodingLimits) -> None:
    """Raise `foreign.DecodeError` where a decoder refused a picture for its size."""
    for _, _, text in logs:
        if size := _SIZE.search(text):
            limits.check_pixels(int(size[1]), int(size[2]))


def _readable(frame: Any) -> Any:
    """A frame without the side data that PyAV cannot have."""
    import av

    graph = av.filter.Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
        ),
        *(graph.add("sidedata", one) for one in _HARMFUL),
        graph.add("buffersink"),
    ).configure()
    graph.vpush(frame)
    return graph.vpull()
