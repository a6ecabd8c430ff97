"""Headers of MP4 boxes (ISO/IEC 14496-12) and Matroska elements (RFC 9559), and nothing between.

Enough to tell encrypted pictures (ISO/IEC 23001-7, RFC 9559 section 5.1.4.1.31) and files that
lack a part. Sizes that files state are bounded by the file, and so is the number of headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

_MAX_HEADERS = 100_000
_MAX_BYTES = 1 << 16
_FIRST = ("ftyp", "styp", "moov", "moof", "mdat", "free", "skip", "wide", "sidx", "pdin", "uuid")
_PROTECTED = ("encv", "drmi")
# Bytes of a sample entry for pictures before the boxes in it.
_VISUAL_ENTRY = 78
_EBML, _SEGMENT, _CLUSTER, _TRACKS, _TRACK, _TRACK_TYPE = (
    *(0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B),
    *(0xAE, 0x83),
)
_ENCODINGS, _ENCODING, _ENCRYPTION = 0x6D80, 0x6240, 0x5035
_VIDEO = 1


@dataclass
class Headers:
    """What the headers of a file tell.

    Attributes:
        protected: of each kind of picture data in its video tracks, how it is encrypted, or "".
        has_index: there are headers that say what the tracks are.
        has_media, has_fragments: an MP4 holds data of pictures, or data with its own tables.
        missing_bytes: how much longer the file would be if it were whole.
    """

    protected: list[str] = field(default_factory=list)
    has_index: bool = False
    has_media: bool = False
    has_fragments: bool = False
    missing_bytes: int = 0

    @property
    def is_encrypted(self) -> bool:
        """Whether there are pictures, and all of them are encrypted."""
        return bool(self.protected) and all(self.protected)


@dataclass(frozen=True)
class _Box:
    """A box or an element: its kind, and the place of its content."""

    kind: str
    start: int
    end: int


def read_headers(file: BinaryIO) -> Headers:
    """Read the headers of a file that can be sought; a file of another kind tells nothing."""
    num_bytes = file.seek(0, 2)
    headers = Headers()
    file.seek(0)
    head = file.read(8)
    if head[4:8].decode("latin-1") in _FIRST:
        _read_boxes(file, num_bytes, headers)
    elif int.from_bytes(head[:4], "big") == _EBML:
        _read_elements(file, num_bytes, headers)
    return headers


def _read_boxes(file: BinaryIO, num_bytes: int, headers: Headers) -> None:
    for box in _boxes(file, 0, num_bytes):
        headers.has_media |= box.kind == "mdat"
        headers.has_fragments |= box.kind == "moof"
        if box.kind in ("mdat", "moov", "moof"):
            headers.missing_bytes = max(headers.missing_bytes, box.end - num_bytes)
        if box.kind == "moov":
            headers.has_index = True
            for track in _boxes(file, box.start, box.end):
                if track.kind == "trak":
                    _read_track(file, track, headers)


def _read_track(file: BinaryIO, track: _Box, headers: Headers) -> None:
    for media in _children(file, track, "mdia"):
        handlers = [_content(file, box)[8:12] for box in _children(file, media, "hdlr")]
        if b"vide" not in handlers:
            continue
        for box in _children(file, media, "minf", "stbl", "stsd"):
            for entry in _boxes(file, box.start + 8, box.end):
                headers.protected.append(_protection(entry.kind, _content(file, entry)))


def _protection(kind: str, entry: bytes) -> str:
    """How the pictures of a sample entry are encrypted; empty where they are not."""
    if kind not in _PROTECTED:
        return ""
    boxes = entry[_VISUAL_ENTRY:]
    at = boxes.find(b"tenc")
    # A track may be prepared for encryption and not be encrypted (default_isProtected).
    if at >= 0 and boxes[at + 10 : at + 11] == b"\0":
        return ""
    at = boxes.find(b"schm")
    scheme = "".join(c for c in boxes[at + 8 : at + 12].decode("latin-1") if c.isalnum())
    return f"{kind}, {scheme}" if at >= 0 and scheme else kind


def _read_elements(file: BinaryIO, num_bytes: int, headers: Headers) -> None:
    for segment in _elements(file, 0, num_bytes):
        if segment.kind != f"{_SEGMENT:x}":
            continue
        headers.missing_bytes = max(0, segment.end - num_bytes)
        for element in _elements(file, segment.start, min(segment.end, num_bytes)):
            if element.kind == f"{_TRACKS:x}":
                headers.has_index = True
                for track in _elements(file, element.start, element.end):
                    _read_matroska_track(file, track, headers)


def _read_matroska_track(file: BinaryIO, track: _Box, headers: Headers) -> None:
    if track.kind != f"{_TRACK:x}":
        return
    elements = list(_elements(file, track.start, track.end))
    kinds = [_content(file, element) for element in elements if element.kind == f"{_TRACK_TYPE:x}"]
    if [int.from_bytes(kind, "big") for kind in kinds] != [_VIDEO]:
        return
    encryptions = [
        element
        for encodings in elements
        if encodings.kind == f"{_ENCODINGS:x}"
        for encoding in _elements(file, encodings.start, encodings.end)
        if encoding.kind == f"{_ENCODING:x}"
        for element in _elements(file, encoding.start, encoding.end)
        if element.kind == f"{_ENCRYPTION:x}"
    ]
    headers.protected.append("ContentEncryption" if encryptions else "")


def _children(file: BinaryIO, box: _Box, *kinds: str) -> Iterator[_Box]:
    """The boxes at the end of a path of kinds inside a box."""
    for child in _boxes(file, box.start, box.end):
        if child.kind == kinds[0]:
            if len(kinds) == 1:
                yield child
            else:
                yield from _children(file, child, *kinds[1:])


def _content(file: BinaryIO, element: _Box) -> bytes:
    file.seek(element.start)
    return file.read(min(_MAX_BYTES, max(0, element.end - element.start)))


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    # A box may claim to end where no file can be sought.
    last = min(end, file.seek(0, 2))
    for _ in range(_MAX_HEADERS):
        if start + 8 > last:
            return
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        size, kind, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if size == 1:
            size, content = int.from_bytes(header[8:16], "big"), start + 16
        elif size == 0:
            size = end - start
        if start + size < content:
            return
        yield _Box(kind.decode("latin-1"), content, start + size)
        start += size


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    last = min(end, file.seek(0, 2))
    for _ in range(_MAX_HEADERS):
        if start >= last:
            return
        file.seek(start)
        header = file.read(12)
        id_length = _length(header)
        size_length = _length(header[id_length:]) if id_length else 0
        content = start + id_length + size_length
        if not size_length or len(header) < id_length + size_length:
            return
        kind = header[:id_length].hex()
        size = int.from_bytes(header[id_length : id_length + size_length], "big")
        size -= 1 << 7 * size_length
        # All ones: a live recording, whose size was not known. Its clusters follow one another.
        is_open = size == (1 << 7 * size_length) - 1
        if is_open and kind == f"{_CLUSTER:x}":
            return
        yield _Box(kind, content, end if is_open else content + size)
        start = end if is_open else content + size


def _length(header: bytes) -> int:
    """Bytes of the number of variable length that begins here; 0 where none can."""
    return 9 - header[0].bit_length() if header and header[0] else 0
