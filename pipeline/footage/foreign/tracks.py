"""Opening a foreign file, and which of its tracks is the video.

A track is what FFmpeg calls a stream of a file; a stream is what comes live.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.footage.foreign.refusals import DecodeError, DecodingLimits, hostile_errors

# Demuxers of one self-contained file. Not here: playlists (hls, dash, concat, imf), numbered
# images (image2), text that names files (subtitles, ffmetadata), devices, and raw samples.
CONTAINERS = (
    "aiff,apng,asf,avi,dv,flac,flv,gif,gxf,h261,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp3,"
    "mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,wav,webm,wtv,yuv4mpegpipe"
)
_PLAYLISTS = {"hls", "concat", "dash", "imf", "image2", "sdp", "rtsp"}
_MAX_READ_ERRORS = 64
# Packets in which a track has to show a picture, where a file has several.
_MAX_TRIED = 300


def open_file(path: Path, limits: DecodingLimits) -> Any:
    """Open a file of `CONTAINERS` as an `av.container.InputContainer`.

    Raises:
        DecodeError: a playlist, or another container.
    """
    import av

    options = {
        "protocol_whitelist": "file",
        "format_whitelist": CONTAINERS,
        "max_pixels": str(limits.max_pixels),
        "threads": "1",
    }
    with av.logging.Capture() as logs:
        try:
            return av.open(str(path), options=options)
        except hostile_errors() as error:
            raise (
                _refused_container(logs)
                or DecodeError("decode_error", f"{type(error).__name__}: {error}")
            ) from error


def _refused_container(logs: list[tuple[int, str, str]]) -> DecodeError | None:
    for _, name, text in logs:
        if "m3u8/hls" in text:
            return DecodeError("playlist", "hls can open other files")
        if text.startswith("Format not on whitelist") and name in _PLAYLISTS:
            return DecodeError("playlist", f"{name} can open other files")
        if text.startswith("Format not on whitelist"):
            return DecodeError("container", f"{name} is no container of video")
    return None


def heed_warnings() -> None:
    """Have `av.logging.Capture` told of FFmpeg's warnings; where nothing captures, of errors alone.

    Without a level PyAV drops FFmpeg's log, and repeated lines would hide damage. What filters warn
    of, as that colours are guessed, would else stand in the log once a frame.
    """
    import av

    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)
    logging.getLogger("libav").setLevel(logging.ERROR)


def choose(file: Any, path: Path, limits: DecodingLimits) -> tuple[int, bool]:
    """Number of the video track that a player shows, and whether there are several.

    Pictures attached to a file, such as covers and thumbnails, are none. Of several tracks that
    show pictures, one that the file flags as its default is preferred, then the first.

    Raises:
        DecodeError: no track, or none of a codec that can be decoded.
    """
    import av

    attached = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [stream for stream in file.streams.video if not stream.disposition & attached]
    if not streams:
        what = "only a picture attached to it" if file.streams.video else "no video track"
        raise DecodeError("no_video", f"the file holds {what}")
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise DecodeError("no_decoder", "no decoder for the codec of the video track")
    preferred = by_preference(decodable)
    if len(preferred) > 1:
        shown = {one.index: _num_pictures(path, one.index, limits) for one in preferred}
        # Of one picture alone nothing moves: a cover that is not flagged as one.
        for least in (2, 1):
            for number, num_pictures in shown.items():
                if num_pictures >= least:
                    return number, True
    return preferred[0].index, len(streams) > 1


def by_preference(streams: Iterable[Any]) -> list[Any]:
    """Tracks as a player prefers them: those that the file flags as its default first."""
    import av

    default = av.stream.Disposition.default
    return sorted(streams, key=lambda stream: not stream.disposition & default)


@dataclass(frozen=True, slots=True)
class Read:
    """Holds what one attempt to read a packet gave.

    Attributes:
        packet: the `av.Packet`; None at the end of the file, and where a part cannot be read.
        logs: lines of FFmpeg's log.
        is_lost: a part could not be read.
    """

    packet: Any | None
    logs: Sequence[tuple[int, str, str]]
    is_lost: bool


def is_empty(packet: Any) -> bool:
    """Return whether a packet holds nothing, and is not the one that ends a track.

    Encoders of Theora write one where the picture before stays, and decoders take none.
    """
    return not packet.size and packet.dts is not None


def read_packets(file: Any, *streams: Any) -> Iterator[Read]:
    """Yield the packets of a file, or of some of its tracks, as they lie in it, and its end.

    After a part that cannot be read, reading goes on, but not for ever.
    """
    import av

    num_errors = 0
    packets = file.demux(*streams)
    while num_errors <= _MAX_READ_ERRORS:
        packet, is_lost = None, False
        with av.logging.Capture() as logs:
            try:
                packet = next(packets, None)
            except MemoryError:
                raise
            except hostile_errors():
                is_lost = True
        yield Read(packet, logs, is_lost)
        if is_lost:
            num_errors += 1
            packets = file.demux(*streams)
        elif packet is None:
            return


def _num_pictures(path: Path, index: int, limits: DecodingLimits) -> int:
    """Return how many pictures the first packets of a track give: 0, 1, or 2 for more."""
    found = 0
    with open_file(path, limits) as file:
        stream = file.streams[index]
        stream.thread_count = 1
        packets = file.demux(stream)
        for _ in range(_MAX_TRIED):
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                found += len(packet.decode())
            except MemoryError:
                raise
            except hostile_errors():
                continue
            if found > 1:
                break
    return min(found, 2)
