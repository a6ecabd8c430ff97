"""Tells which pictures the decoder had to patch up, judged by what happened to pictures.

A decoder complains of much that no picture suffers from: metadata that says it is longer than it
is, units and segments of unknown types. What counts is that a packet gave no picture, that a
picture is flagged as concealed, or that a line of the log tells of picture data or of a missing
reference.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

ERROR_CHECKS = "crccheck+bitstream+buffer"
"""FFmpeg's `err_detect`: look closely; but, as players do, decode on (without `explode`)."""

Log = tuple[int, str, str]

_OF_PICTURES = re.compile(
    # Slices, macroblocks and coefficients.
    r"error while decoding|decode_slice|Error at MB|error count|error y=|lines with errors|damaged"
    r"|concealing|corrupted|bad vlc|overread \d|illegal (ac|dc|chroma|dct|mb|mv|vlc)"
    r"|(run|dc|ac) overflow|ignoring overflow|slice (end not reached|mismatch|below|CRC)"
    r"|end mismatch|invalid (cbp|mb|plane)|unavailable for requested"
    # Checksums and compressed planes.
    r"|CRC mismatch|[Cc]hecksum|MD5|LZW decode|inflate returned|[Dd]ecompress"
    # What pictures refer to.
    r"|[Mm]issing reference|reference picture missing|Could not find ref|co located POCs"
    r"|Frame num gap|constructing the frame RPS|mmco: unref short failure"
    # Parameter sets and units without which there is no picture.
    r"|non-existing [SP]PS|Invalid NAL unit size|splitting the input into NAL"
    r"|exceeds containing master|parsing (OBU data|frame header)"
)
# The unit that could not be read, by its type in H.264 (below 6) or HEVC (below 32).
_UNIT = re.compile(
    r"Failed to parse header of NALU \(type (?P<h264>\d+)\)|undecodable NALU: (?P<hevc>\d+)"
)
_NO_PICTURE_INSIDE = "no frame!"
_CUT_OFF = re.compile(r"ended prematurely|partial file")
# Their decoders tell of every picture in which something is missing.
_TELLING = {"flv", "h263", "h264", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3"}


def tells_of_pictures(logs: Iterable[Log]) -> bool:
    """Return whether a line of FFmpeg's log says that picture data are wrong or missing."""
    return any(_OF_PICTURES.search(text) or _is_picture_unit(text) for _, _, text in logs)


def _is_picture_unit(text: str) -> bool:
    unit = _UNIT.search(text)
    if unit is None:
        return False
    return int(unit["h264"]) < 6 if unit["h264"] else int(unit["hevc"]) < 32


def tells_of_the_end(logs: Iterable[Log]) -> bool:
    """Return whether a line of a demuxer's log says that the file has been cut off."""
    return any(_CUT_OFF.search(text) for _, _, text in logs)


def harms(packet: Any, codec: str) -> bool:
    """Return whether a packet that a demuxer flags as corrupt has to be taken for it.

    Demuxers also flag whole ones, before a jump of the counter where two files were joined.
    """
    return packet.is_corrupt and codec not in _TELLING


def is_empty_unit(logs: Iterable[Log]) -> bool:
    """Whether a packet was refused since it holds no picture, only what goes between pictures."""
    texts = [text for _, _, text in logs]
    return any(_NO_PICTURE_INSIDE in text for text in texts) and not tells_of_pictures(logs)


class Damage:
    """The pictures that are suspect: from the key frame before what went wrong to the next.

    An error shows late, or not at all, in the pictures that refer to the wrong one. Pictures are
    told by their number in the order in which they are shown.
    """

    def __init__(self) -> None:
        # First and end of each span; the last is open while its end is infinite.
        self._spans: list[list[float]] = []
        self._key_number = 0
        # Timestamp of the first clean key frame after the damage, once it is on its way.
        self._clean_key: tuple[int | None] | None = None
        self._has_begun = False

    @property
    def was_found(self) -> bool:
        """Return whether any picture is suspect."""
        return bool(self._spans)

    def note(self) -> None:
        """Something went wrong here.

        Before the first key frame nothing can be shown, so that nothing is lost there.
        """
        if self._has_begun:
            self._clean_key = None
            if not self._is_open:
                self._spans.append([self._key_number, math.inf])

    def pushed(self, *, is_key: bool, pts: int | None, is_bad: bool) -> None:
        """A packet went to the decoder, and something was wrong with it or not."""
        self._has_begun |= is_key
        if is_bad:
            self.note()
        elif is_key and self._is_open and self._clean_key is None:
            self._clean_key = (pts,)

    def shown(self, number: int, *, is_key: bool, pts: int | None, is_corrupt: bool) -> None:
        """The picture of a number comes out of the decoder."""
        self._has_begun = True
        if is_corrupt:
            self.note()
            return
        if not is_key:
            return
        if self._is_open and self._clean_key is not None and self._clean_key[0] in (None, pts):
            self._spans[-1][1] = number
            self._clean_key = None
        self._key_number = number

    def touches(self, first: int, last: int) -> bool:
        """Return whether a picture from `first` to `last` is suspect, as far as is known by now."""
        return any(start <= last and first < end for start, end in self._spans)

    @property
    def _is_open(self) -> bool:
        return bool(self._spans) and math.isinf(self._spans[-1][1])
