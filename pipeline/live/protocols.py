"""Fetches a stream as the scheme of its address, and what its server answers with, want it."""

from __future__ import annotations

from pipeline.live import addresses, hls, rtmp, rtsp, web
from pipeline.live.fetcher import Fetch, SessionEnd, Twin
from pipeline.live.repeats import Beginning

_READ_BYTES = 65536
_FLV, _FLV_TRACKS = b"FLV", 4
"""How FLV begins, and where it says which tracks there are: the lowest bit stands for pictures."""
_OF_PACKETS = {"rtmp": rtmp.follow, "rtsp": rtsp.follow}


def follow(fetch: Fetch, twin: Twin) -> SessionEnd:
    """Fetch a stream until it ends.

    Raises:
        Failed, Refused, OSError: it cannot be fetched, or not any more.
    """
    scheme = addresses.check(fetch.url, fetch.rules).scheme
    if scheme in _OF_PACKETS:
        return _OF_PACKETS[scheme](fetch, twin)
    with web.get(fetch.url, fetch.rules, fetch.bounds.timeout_s) as answer:
        first = answer.read(_READ_BYTES)
        if not (hls.is_playlist(answer.content_type) or first.startswith(hls.MAGIC)):
            return _passed_on(answer, first, fetch, twin)
    return hls.follow(answer.url, fetch, twin)


def _passed_on(answer: web.HttpResponse, data: bytes, fetch: Fetch, twin: Twin) -> SessionEnd:
    beginning = Beginning(fetch.begins)
    if data.startswith(_FLV) and len(data) > _FLV_TRACKS:
        # Sound that is announced and does not come would be waited for, for ever.
        data = data[:_FLV_TRACKS] + b"\x01" + data[_FLV_TRACKS + 1 :]
    while data and not beginning.repeats:
        twin.write(beginning.take(data))
        data = answer.read(_READ_BYTES)
    twin.write(beginning.end())
    if beginning.repeats:
        return SessionEnd("repeats", "it is what came before, from its beginning")
    if answer.length is not None:
        return SessionEnd("end", is_final=True)
    # A stream without a length may only have been cut off.
    return SessionEnd("end", begins=tuple(beginning.marks))
