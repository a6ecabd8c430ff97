"""How a stream is fetched, by the scheme of its address and by what its server answers with."""

from __future__ import annotations

from pipeline.live import addresses, hls, rtmp, web
from pipeline.live.fetcher import Fetch, Report, Twin

_READ_BYTES = 65536


def follow(fetch: Fetch, twin: Twin) -> Report:
    """Fetch a stream until it ends.

    Raises:
        Failed, Refused, OSError: it cannot be fetched, or not any more.
    """
    if addresses.check(fetch.url, fetch.rules).scheme == "rtmp":
        return rtmp.follow(fetch, twin)
    with web.get(fetch.url, fetch.rules, fetch.bounds.timeout_s) as answer:
        first = answer.read(_READ_BYTES)
        if not (hls.is_playlist(answer.content_type) or first.startswith(hls.MAGIC)):
            while first:
                twin.write(first)
                first = answer.read(_READ_BYTES)
            # A stream that has a length ends; another one may only have been cut off.
            return Report("end", is_final=answer.length is not None)
    return hls.follow(answer.url, fetch, twin)
