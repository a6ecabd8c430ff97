"""HTTP Live Streaming (RFC 8216): the segments of a playlist one after the other, as they come.

Every address, those in playlists included, is checked as the first one is. What cannot be read is
said: encrypted segments, and sound that lies in a playlist of its own, without which the pictures
are watched.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from pipeline.live import web
from pipeline.live.addresses import led_to, public_part
from pipeline.live.fetcher import Fetch, FetchFailure, SessionEnd, Twin

MAGIC = b"#EXTM3U"
_MAX_PLAYLIST = 2**20
_BEHIND = 2
"""Segments from the end at which a stream that goes on is begun: fewer may not be there yet."""
_POLL_S = (0.5, 5.0)
_MAX_MISSING = 3
_MAX_OLD = 3
"""How often, and by how many segments, a playlist may be older than the one before."""
_LEAST_HEIGHT = 240
"""Least height of the pictures chosen, in pixels: little of larger ones reaches the detector."""


def is_playlist(content_type: str) -> bool:
    """Return whether a server says that what it answers with is a playlist."""
    return "mpegurl" in content_type.lower()


def follow(url: str, fetch: Fetch, twin: Twin) -> SessionEnd:
    """Fetch the segments of a playlist until it ends.

    Raises:
        Failed, Refused, OSError: they cannot be fetched, or not any more.
    """
    playlist = _load(url, fetch)
    if playlist.is_variant:
        url = led_to(url, _chosen(playlist))
        playlist = _load(url, fetch)
        if playlist.is_variant:
            raise FetchFailure(
                "playlist", f"{public_part(url)}: a list of lists of lists", is_final=True
            )
    way = _Way(fetch, twin)
    while True:
        over = way.take(url, playlist)
        if over is not None:
            return over
        shortest, longest = _POLL_S
        time.sleep(min(longest, max(shortest, (playlist.target_duration or 0) / 2)))
        playlist = _load(url, fetch)


def _load(url: str, fetch: Fetch) -> Any:
    import m3u8

    with web.get(url, fetch.rules, fetch.bounds.timeout_s) as answer:
        data = b"".join(answer.pieces(_MAX_PLAYLIST))
    try:
        if not data.startswith(MAGIC):
            raise ValueError("no playlist")
        return m3u8.loads(data.decode("utf-8"))
    except Exception as error:
        # What a parser of others raises on what is hostile nobody knows.
        raise FetchFailure("playlist", f"{public_part(url)}: {type(error).__name__}") from error


def _chosen(playlist: Any) -> str:
    """The smallest variant that is large enough, by the height or the rate that it states."""

    def size(one: Any) -> tuple[bool, int]:
        info = one.stream_info
        height = info.resolution[1] if info.resolution else _LEAST_HEIGHT
        return height < _LEAST_HEIGHT, info.bandwidth or 0

    if not playlist.playlists:
        raise FetchFailure("playlist", "a list without any variant")
    return str(min(playlist.playlists, key=size).uri)


@dataclass
class _Way:
    """Tells how far a playlist has been followed."""

    fetch: Fetch
    twin: Twin
    next: int | None = None
    init: str | None = None
    num_missing: int = 0
    num_old: int = 0

    def take(self, url: str, playlist: Any) -> SessionEnd | None:
        """Fetch what is new in a playlist; why it is over, if it is."""
        segments, first = playlist.segments, playlist.media_sequence or 0
        begun = self.next is not None
        if self.next is None:
            self.next = self.fetch.go_on_at
        if self.next is None:
            self.next = (
                first if playlist.is_endlist else max(first, first + len(segments) - _BEHIND)
            )
        num_behind = self.next - first - len(segments)
        if num_behind > 0:
            self.num_old += 1
            if begun and num_behind <= _MAX_OLD and self.num_old <= _MAX_OLD:
                # Of several machines of a server one may have an older state.
                return None
            # The server has begun to count anew.
            return SessionEnd("discontinuity")
        self.num_old = 0
        for number, segment in enumerate(segments, first):
            if number < self.next:
                continue
            init = getattr(segment.init_section, "uri", None)
            if begun and (segment.discontinuity or init != self.init):
                return SessionEnd("discontinuity", go_on_at=number)
            self._send(url, segment, init, is_first=not begun)
            begun, self.next, self.init = True, number + 1, init
        return SessionEnd("end", is_final=True) if playlist.is_endlist else None

    def _send(self, url: str, segment: Any, init: str | None, *, is_first: bool) -> None:
        if segment.key is not None and segment.key.method not in (None, "NONE"):
            raise FetchFailure(
                "encrypted", f"{public_part(url)}: its segments are encrypted", is_final=True
            )
        if segment.byterange or (segment.init_section and segment.init_section.byterange):
            raise FetchFailure(
                "playlist", f"{public_part(url)}: parts of files, which are not read", is_final=True
            )
        if is_first and init is not None:
            self.twin.write(self._get(led_to(url, init)))
        try:
            data = self._get(led_to(url, segment.uri))
        except FetchFailure as error:
            # A server may drop a segment before it is asked for.
            self.num_missing += 1
            if error.report.reason != "not_found" or self.num_missing > _MAX_MISSING:
                raise
            return
        self.num_missing = 0
        self.twin.write(data)

    def _get(self, url: str) -> bytes:
        bounds = self.fetch.bounds
        with web.get(url, self.fetch.rules, bounds.timeout_s) as answer:
            return b"".join(answer.pieces(int(bounds.max_segment_mb * 1e6)))
