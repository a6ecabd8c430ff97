"""The bytes of a stream divided where its track of sound begins, or another one takes its place.

FFmpeg finds the tracks of a stream when it opens it, and PyAV knows of no others. From where the
tables of MPEG-TS (ISO/IEC 13818-1, 2.4.4), or the tags of FLV (Adobe's Video File Format 10.1,
annex E), name sound that was not there, the bytes are therefore opened anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Part = tuple[bool, bytes]
"""Whether a track begins here, and bytes."""

_PACKET = 188
_SYNC = 0x47
_MAX_SECTION = 1024
_PROGRAMS, _PROGRAM = 0, 2
# Stream types that are sound (ISO/IEC 13818-1, table 2-34, and ATSC A/53).
_SOUNDS = frozenset({0x03, 0x04, 0x0F, 0x11, 0x1C, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87})
_PRIVATE, _REGISTERED = 0x06, 0x05
# Descriptors of sound in private streams (ETSI EN 300 468), and formats that are registered.
_DESCRIPTORS = frozenset({0x6A, 0x7A, 0x7B, 0x7C, 0x81})
_FORMATS = frozenset({b"AC-3", b"EAC3", b"Opus", b"BSSD"})

_FLV, _FLV_HEAD = b"FLV", 9
_AUDIO, _VIDEO = 8, 9
_TAG_HEAD, _TAG_SIZE = 11, 4
_NAMED = 9
_TOLD = 5
"""Bytes of a tag that say what it holds."""
_MAX_SETUP = 2**16
_PROBED_MS = 1000
"""Sound that begins so soon is found where the stream is opened."""


class Cutter(Protocol):
    """Divides bytes; all of them come out again, with what a reader needs to begin there."""

    def cut(self, data: bytes) -> Iterator[Part]:
        """Take what comes next."""
        ...

    def rest(self) -> bytes:
        """Return what is left at the end."""
        ...


class UnchangedTracks:
    """Leaves the bytes of a container as they are whose tracks are all named at its beginning."""

    def cut(self, data: bytes) -> Iterator[Part]:
        """Take what comes next."""
        yield False, data

    def rest(self) -> bytes:
        """Return what is left at the end."""
        return b""


def cutter_of(begin: bytes) -> Cutter:
    """Say what divides a stream that begins with these bytes, of which a packet should be there."""
    if begin.startswith(_FLV):
        return Tags()
    return Packets() if set(begin[::_PACKET][:2]) == {_SYNC} else UnchangedTracks()


class Packets:
    """Divides MPEG-TS where a table names sound, and none of the sound that was named before."""

    def __init__(self) -> None:
        self._held = b""
        self._sections: dict[int, bytes] = {}
        self._open: dict[int, bytearray] = {}
        self._programs: dict[int, frozenset[tuple[int, int]] | None] = {}
        """What sound each programme has, by the number of the packets of its table."""
        self._named: frozenset[tuple[int, int]] | None = None
        self._table = b""
        """The packet of the last table of programmes."""

    def cut(self, data: bytes) -> Iterator[Part]:
        """Take what comes next."""
        data = self._held + data
        done = at = 0
        while (num := (len(data) - at) // _PACKET) > 0:
            packets = np.frombuffer(data, np.uint8, num * _PACKET, at).reshape(num, _PACKET)
            is_odd = packets[:, 0] != _SYNC
            num_good = int(is_odd.argmax()) if is_odd.any() else num
            numbers = (packets[:num_good, 1].astype(np.int64) & 0x1F) << 8 | packets[:num_good, 2]
            for place in self._tables(numbers):
                start = at + place * _PACKET
                if self._takes(int(numbers[place]), data[start : start + _PACKET]):
                    if start > done:
                        yield False, data[done:start]
                    yield True, self._table
                    done = start
            at += num_good * _PACKET
            if num_good < num:
                # Out of step; the next packet begins at a byte that may be its first.
                found = data.find(bytes([_SYNC]), at + 1)
                at = len(data) if found < 0 else found
        self._held = data[at:]
        if at > done:
            yield False, data[done:at]

    def rest(self) -> bytes:
        """Return what is left at the end."""
        return self._held

    def _tables(self, numbers: NDArray[np.int64]) -> Iterator[int]:
        """Places of packets of tables, of which the first names the others."""
        place = 0
        while (found := np.isin(numbers[place:], [0, *self._programs])).any():
            place += int(found.argmax())
            yield place
            place += 1

    def _takes(self, number: int, packet: bytes) -> bool:
        """Take a packet of a table; returns whether another track of sound begins with it."""
        section = self._section(number, packet)
        if number == 0 and packet[1] & 0x40:
            self._table = packet
        if section is None or self._sections.get(number) == section or _crc(section):
            return False
        self._sections[number] = section
        if number == 0:
            programs = _programs(section)
            self._programs = {one: self._programs.get(one) for one in programs}
            kept = {0, *programs}
            self._sections = {one: text for one, text in self._sections.items() if one in kept}
            return False
        if section[0] != _PROGRAM:
            return False
        self._programs[number] = _sounds(section)
        now = frozenset[tuple[int, int]]().union(*(one for one in self._programs.values() if one))
        before = self._named
        if before is None or now:
            self._named = now
        return before is not None and bool(now) and not before & now

    def _section(self, number: int, packet: bytes) -> bytes | None:
        """A section that ends with a packet, if one does."""
        has_more, has_payload = packet[3] & 0x20, packet[3] & 0x10
        payload = packet[5 + packet[4] if has_more else 4 :] if has_payload else b""
        if packet[1] & 0x40 and payload:
            payload = payload[1 + payload[0] :]
            self._open[number] = bytearray()
        elif number not in self._open:
            return None
        held = self._open[number]
        held += payload
        if len(held) < 3:
            return None
        length = 3 + ((held[1] & 0x0F) << 8 | held[2])
        if length > _MAX_SECTION or len(held) >= length:
            del self._open[number]
        return bytes(held[:length]) if 12 <= length <= min(_MAX_SECTION, len(held)) else None


def _programs(section: bytes) -> list[int]:
    """Numbers of the packets that hold the tables of programmes."""
    found = []
    for at in range(8, len(section) - 4 - 3, 4):
        is_program = section[at] or section[at + 1]
        found += [(section[at + 2] & 0x1F) << 8 | section[at + 3]] if is_program else []
    return [one for one in found if one]


def _sounds(section: bytes) -> frozenset[tuple[int, int]]:
    """The number of the packets, and the type, of each track of sound of a programme."""
    found = set()
    at, end = 12 + ((section[10] & 0x0F) << 8 | section[11]), len(section) - 4
    while at + 5 <= end:
        kind, number = section[at], (section[at + 1] & 0x1F) << 8 | section[at + 2]
        size = (section[at + 3] & 0x0F) << 8 | section[at + 4]
        described = section[at + 5 : min(end, at + 5 + size)]
        if kind in _SOUNDS or (kind == _PRIVATE and _is_sound(described)):
            found.add((number, kind))
        at += 5 + size
    return frozenset(found)


def _is_sound(described: bytes) -> bool:
    at = 0
    while at + 2 <= len(described):
        tag, size = described[at], described[at + 1]
        if tag in _DESCRIPTORS:
            return True
        if tag == _REGISTERED and described[at + 2 : at + 6] in _FORMATS:
            return True
        at += 2 + size
    return False


def _crc(section: bytes) -> int:
    """The remainder of CRC-32/MPEG-2, which is 0 of a section that is whole."""
    value = 0xFFFFFFFF
    for byte in section:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


class Tags:
    """Divides FLV at the first tag of sound that comes late, or is of another codec."""

    def __init__(self) -> None:
        self._held = b""
        self._left = _FLV_HEAD
        """Bytes of what is being passed on that are still to come."""
        self._first_ms: int | None = None
        self._last_ms = 0
        self._codec: bytes | None = None
        self._setup = b""
        """The tag that says how the pictures are to be decoded."""

    def cut(self, data: bytes) -> Iterator[Part]:
        """Take what comes next."""
        data = self._held + data
        done = at = 0
        while at < len(data):
            passed = min(self._left, len(data) - at)
            at, self._left = at + passed, self._left - passed
            head = data[at + _TAG_SIZE : at + _TAG_SIZE + _TAG_HEAD]
            if self._left or len(head) < _TAG_HEAD:
                break
            body, size = at + _TAG_SIZE + _TAG_HEAD, int.from_bytes(head[1:4])
            told = data[body : body + min(size, _TOLD)]
            is_setup = head[0] == _VIDEO and size <= _MAX_SETUP and _is_setup(told)
            if len(data) < body + (size if is_setup else min(size, _TOLD)):
                break
            if is_setup:
                self._setup = data[at + _TAG_SIZE : body + size]
            elif self._begins(head, told):
                if at > done:
                    yield False, data[done:at]
                yield True, self._head()
                done = at + _TAG_SIZE
            self._left = _TAG_SIZE + _TAG_HEAD + size
        self._held = data[at:]
        if at > done:
            yield False, data[done:at]

    def rest(self) -> bytes:
        """Return what is left at the end."""
        return self._held

    def _begins(self, head: bytes, told: bytes) -> bool:
        at_ms = head[7] << 24 | int.from_bytes(head[4:7])
        if head[0] == _VIDEO:
            self._first_ms = at_ms if self._first_ms is None else self._first_ms
            self._last_ms = at_ms
        if head[0] != _AUDIO or not told:
            return False
        # Codecs that came later are named by four letters.
        codec = told[1:] if told[0] >> 4 == _NAMED else bytes([told[0] >> 4])
        before, self._codec = self._codec, codec
        if before is not None:
            return codec != before
        # What tells of a track has no time of its own.
        return self._first_ms is not None and self._last_ms - self._first_ms > _PROBED_MS

    def _head(self) -> bytes:
        """Return what a reader needs before the tag with which it begins."""
        begin = _FLV + bytes([1, 5 if self._setup else 4]) + _FLV_HEAD.to_bytes(4) + bytes(4)
        return begin + (self._setup + len(self._setup).to_bytes(4) if self._setup else b"")


def _is_setup(told: bytes) -> bool:
    if len(told) < 2:
        return False
    # In the extended form the first byte names the kind of the packet.
    is_extended = told[0] & 0x80
    return not told[0] & 0x0F if is_extended else (told[0] & 0x0F, told[1]) == (7, 0)
