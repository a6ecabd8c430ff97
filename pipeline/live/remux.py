"""Packets as they come, in another container (MPEG-TS), none of which is decoded."""

from __future__ import annotations

import re
import time
from typing import Any

from pipeline.live.fetcher import FetchFailure, SessionEnd, Twin

_PICTURES = ("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video")
_SOUNDS = ("aac", "aac_latm", "mp3", "mp2", "ac3", "eac3", "opus")
"""Codecs of pictures and of sound that MPEG-TS holds."""
_JUMP_S = 1.0
_FIRST_LOOK_S, _LONGEST_LOOK_S, _LOOK_EVERY_S = 10.0, 600.0, 1.0
# As FFmpeg tells of a track; lines of what a publisher says of itself begin with more spaces.
_TRACK = re.compile(r"^  Stream #0:(\d+)[^\n]*?: Audio: (\w+)", re.MULTILINE)
# Packets wait for those of the other track for so long (in microseconds). FFmpeg waits 10 s, by
# which the pictures would lag once the sound has gone.
_INTERLEAVED_US = 100_000


def remuxed(source: Any, twin: Twin, num_late: int = 0) -> SessionEnd:
    """Pass on the first track of pictures, and the first of sound that the container can hold.

    A track that begins later, PyAV cannot read: the source is to be opened anew. As one that is
    there may not be found then either, that is waited for longer each time.

    Args:
        source: that PyAV has opened.
        twin: takes the bytes.
        num_late: how often it was opened anew for that.

    Raises:
        Failed: there are no pictures, or such as the container cannot hold.
    """
    import av

    if not source.streams.video:
        raise FetchFailure("no_video", "the stream holds no pictures")
    pictures = source.streams.video[0]
    if (
        pictures.codec_context is None
        or pictures.codec_context.codec.canonical_name not in _PICTURES
    ):
        raise FetchFailure("no_decoder", "its pictures are of a codec that is not passed on")
    heard = [one for one in source.streams.audio if one.codec_context is not None]
    kept = [pictures, *[one for one in heard if _is_held(one)][:1]]
    look_at = time.monotonic() + min(_LONGEST_LOOK_S, _FIRST_LOOK_S * 2**num_late)
    options = {"flush_packets": "1", "max_interleave_delta": str(_INTERLEAVED_US)}
    with av.open(_Writer(twin), "w", format="mpegts", options=options) as target:
        copies = {one.index: target.add_stream_from_template(one) for one in kept}
        last_s: dict[int, float] = {}
        for packet in source.demux(*kept):
            if packet.dts is None:
                # A camera that stamps when pictures are shown alone sends them in that order.
                packet.dts = packet.pts
            if packet.dts is None or not packet.size:
                continue
            number, at_s = packet.stream.index, float(packet.dts * packet.time_base)
            if number in last_s and at_s <= last_s[number]:
                if last_s[number] - at_s > _JUMP_S:
                    return SessionEnd("clock", "its clock began anew")
                continue
            if (now := time.monotonic()) > look_at:
                look_at = now + _LOOK_EVERY_S
                if _num_sounds(source) > len(source.streams.audio):
                    return SessionEnd("tracks", "a track of sound has begun", num_late=num_late + 1)
            last_s[number] = at_s
            packet.stream = copies[number]
            target.mux(packet)
    return SessionEnd("end")


def _is_held(sound: Any) -> bool:
    # Decoders have names of their own.
    return sound.codec_context.codec.canonical_name in _SOUNDS


def _num_sounds(source: Any) -> int:
    """How many tracks of sound there are by now that the container can hold, or were at first."""
    import av

    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        told = _TRACK.findall(source.dumps_format())
    finally:
        av.logging.set_level(level)
    known = {one.index for one in source.streams}
    return sum(int(number) in known or codec in _SOUNDS for number, codec in told)


class _Writer:
    """Holds what PyAV takes for a file that can be written and not sought."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def write(self, data: bytes) -> int:
        """Write bytes to the twin, and return how many it took."""
        return self._twin.write(data)
