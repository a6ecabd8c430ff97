"""RTMP, whose packets are passed on in another container."""

from __future__ import annotations

from urllib.parse import urlsplit

from pipeline.live.addresses import check, resolve
from pipeline.live.fetcher import Fetch, FetchFailure, SessionEnd, Twin
from pipeline.live.remux import remuxed

# What tells of the tracks is waited for as long (in microseconds; FFmpeg waits 5 s by default).
_ANALYSED_US = 1_000_000


def follow(fetch: Fetch, twin: Twin) -> SessionEnd:
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
            return remuxed(source, twin, fetch.num_late)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, av.error.ExitError):
            return SessionEnd("timeout", f"nothing came for {timeout_s:g} s")
        raise FetchFailure(
            "unreachable", getattr(error, "strerror", None) or type(error).__name__
        ) from (None)


def _by_address(fetch: Fetch) -> tuple[str, str]:
    """The address with the host as it was resolved, and what the server is told of its name."""
    parts = check(fetch.url, fetch.rules)
    endpoint = resolve(parts, fetch.rules)
    # FFmpeg connects once more, to the address that answers here.
    with endpoint.connect(fetch.bounds.timeout_s) as reached:
        address = str(reached.getpeername()[0])
    host = f"[{address}]" if ":" in address else address
    secrets, at, name = parts.netloc.rpartition("@")
    there = parts._replace(netloc=f"{secrets}{at}{host}:{endpoint.port}").geturl()
    app = urlsplit(fetch.url).path.lstrip("/").rpartition("/")[0]
    return there, f"rtmp://{name}/{app}"
