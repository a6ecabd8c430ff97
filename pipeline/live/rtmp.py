"""RTMP: packets as they come, in another container (MPEG-TS), none of which is decoded."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pipeline.live.addresses import check, resolve
from pipeline.live.fetcher import Failed, Fetch, Report, Twin

# What tells of the tracks is waited for as long (in microseconds; FFmpeg waits 5 s by default).
_ANALYSED_US = 1_000_000
_JUMP_S = 1.0
# Packets wait for those of the other track for so long (in microseconds). FFmpeg waits 10 s, by
# which the pictures would lag once the sound has gone.
_INTERLEAVED_US = 100_000


def follow(fetch: Fetch, twin: Twin) -> Report:
    """Fetch a stream until nothing more comes: RTMP tells of no end.

    Raises:
        Failed, Refused, OSError: it cannot be fetched.
    """
    import av

    timeout_s = fetch.bounds.timeout_s
    try:
        url, tc_url = _by_address(fetch)
        options = {
            "rtmp_tcurl": tc_url,
            "rtmp_live": "live",
            "protocol_whitelist": "rtmp,tcp",
            "format_whitelist": "flv,live_flv",
            "codec_whitelist": "none",
            "analyzeduration": str(_ANALYSED_US),
        }
        with av.open(url, timeout=(timeout_s, timeout_s), options=options) as source:
            return _remuxed(source, twin)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, av.error.ExitError):
            return Report("timeout", f"nothing came for {timeout_s:g} s")
        raise Failed("unreachable", getattr(error, "strerror", None) or type(error).__name__) from (
            None
        )


def _by_address(fetch: Fetch) -> tuple[str, str]:
    """The address with the host as it was resolved, and what the server is told of its name."""
    parts = check(fetch.url, fetch.rules)
    place = resolve(parts, fetch.rules)
    # FFmpeg connects once more, to the address that answers here.
    with place.connect(fetch.bounds.timeout_s) as reached:
        address = str(reached.getpeername()[0])
    host = f"[{address}]" if ":" in address else address
    secrets, at, name = parts.netloc.rpartition("@")
    there = parts._replace(netloc=f"{secrets}{at}{host}:{place.port}").geturl()
    app = urlsplit(fetch.url).path.lstrip("/").rpartition("/")[0]
    return there, f"rtmp://{name}/{app}"


def _remuxed(source: Any, twin: Twin) -> Report:
    import av

    kept = [*source.streams.video[:1], *source.streams.audio[:1]]
    if not source.streams.video:
        raise Failed("no_video", "the stream holds no pictures")
    options = {"flush_packets": "1", "max_interleave_delta": str(_INTERLEAVED_US)}
    with av.open(_Writer(twin), "w", format="mpegts", options=options) as target:
        copies = {one.index: target.add_stream_from_template(one) for one in kept}
        last_s: dict[int, float] = {}
        for packet in source.demux(*kept):
            if packet.dts is None or not packet.size:
                continue
            number, at_s = packet.stream.index, float(packet.dts * packet.time_base)
            if number in last_s and at_s <= last_s[number]:
                if last_s[number] - at_s > _JUMP_S:
                    return Report("clock", "its clock began anew")
                continue
            last_s[number] = at_s
            packet.stream = copies[number]
            target.mux(packet)
    return Report("end")


class _Writer:
    """What PyAV takes for a file that can be written and not sought."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def write(self, data: bytes) -> int:
        """Write."""
        return self._twin.write(data)
