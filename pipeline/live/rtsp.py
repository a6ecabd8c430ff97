"""RTSP of cameras (RFC 2326), over one connection of TCP, whose packets are passed on.

FFmpeg speaks it, and would follow a server that redirects to anywhere. So it connects to this
process, which connects to the address that was looked at, reads along, and hands on whole messages
of a server, none of which redirects.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import SplitResult

from pipeline.live.addresses import ForbiddenAddress, check, public_part, resolve
from pipeline.live.fetcher import Fetch, FetchFailure, SessionEnd, Twin
from pipeline.live.remux import remuxed

_READ_BYTES = 65536
_MAX_HEAD, _MAX_BODY = 2**14, 2**16
# As for RTMP: what tells of the tracks is waited for as long (in microseconds).
_ANALYSED_US = 1_000_000
_STATUS = re.compile(rb"RTSP/1\.[01] ([1-5]\d\d)[ \r\n]")
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,6})[ \t]*\r?$", re.IGNORECASE | re.M)


def follow(fetch: Fetch, twin: Twin) -> SessionEnd:
    """Fetch a stream until nothing more comes.

    Raises:
        Failed, Refused, OSError: it cannot be fetched.
    """
    import av

    parts, timeout_s = check(fetch.url, fetch.rules), fetch.bounds.timeout_s
    with resolve(parts, fetch.rules).connect(timeout_s) as server:
        relay = TcpRelay(server, timeout_s)
        options = {
            "rtsp_transport": "tcp",
            "protocol_whitelist": "rtsp,tcp",
            "format_whitelist": "rtsp",
            "codec_whitelist": "none",
            "analyzeduration": str(_ANALYSED_US),
        }
        url = _through(parts, relay.port)
        try:
            with av.open(url, timeout=(timeout_s, timeout_s), options=options) as source:
                report = remuxed(source, twin)
            relay.check(fetch.url)
            return report
        except (av.FFmpegError, ValueError) as error:
            relay.check(fetch.url)
            return _why(error, timeout_s)
        finally:
            relay.close()


def _why(error: Exception, timeout_s: float) -> SessionEnd:
    import av

    if isinstance(error, av.error.ExitError | av.error.TimeoutError):
        return SessionEnd("timeout", f"nothing came for {timeout_s:g} s")
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return SessionEnd("no_access", is_final=True)
    if isinstance(error, av.error.HTTPNotFoundError):
        return SessionEnd("not_found")
    raise FetchFailure(
        "unreachable", getattr(error, "strerror", None) or type(error).__name__
    ) from None


def _through(parts: SplitResult, port: int) -> str:
    """An address with its secrets, and this machine in place of its host."""
    secrets, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{secrets}{at}127.0.0.1:{port}").geturl()


class TcpRelay:
    """Hands bytes on between a server and the first who connects to a port of this machine."""

    def __init__(self, server: socket.socket, timeout_s: float) -> None:
        """Begin to wait; `close` ends it.

        Args:
            server: that is connected.
            timeout_s: how long it may say nothing.
        """
        self._is_refused = False
        server.settimeout(timeout_s)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listening.settimeout(timeout_s)
        self.port = int(self._listening.getsockname()[1])
        self._ends = [server]
        threading.Thread(target=self._run, daemon=True).start()

    def check(self, url: str) -> None:
        """Raise `ForbiddenAddress` where the server redirected, or sent what is no answer."""
        if self._is_refused:
            raise ForbiddenAddress(
                f"{public_part(url)}: redirects, which is not followed, or speaks no RTSP"
            )

    def close(self) -> None:
        """End both connections."""
        for one in (self._listening, *self._ends):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _run(self) -> None:
        with suppress(OSError):
            client, _ = self._listening.accept()
            self._ends.append(client)
            # Nobody else, and the same one not again.
            self._listening.close()
            threading.Thread(target=self._ask, args=(client,), daemon=True).start()
            try:
                for message in _messages(self._read()):
                    client.sendall(message)
            except ValueError:
                self._is_refused = True
            client.shutdown(socket.SHUT_RDWR)

    def _read(self) -> Iterator[bytes]:
        with suppress(OSError):
            while data := self._ends[0].recv(_READ_BYTES):
                yield data

    def _ask(self, client: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_READ_BYTES):
                self._ends[0].sendall(data)


def _messages(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Whole answers, and packets between them, of a server.

    Raises:
        ValueError: one of them redirects, or is none.
    """
    data = b""
    for part in parts:
        data += part
        while size := _size(data):
            yield data[:size]
            data = data[size:]


def _size(data: bytes) -> int:
    """Bytes of the message that some begin with; 0 while it is not whole."""
    if data[:1] == b"$":
        size = 4 + int.from_bytes(data[2:4], "big")
        return size if 4 <= size <= len(data) and len(data) >= 4 else 0
    head, end, _ = data[:_MAX_HEAD].partition(b"\r\n\r\n")
    if not end:
        if len(data) >= _MAX_HEAD:
            raise ValueError("no end of what an answer begins with")
        return 0
    status, lengths = _STATUS.match(head + end), _LENGTH.findall(head)
    if status is None or status[1].startswith(b"3") or b"\n\n" in head or len(lengths) > 1:
        raise ValueError("an answer that redirects, or is none")
    size = len(head) + len(end) + (int(lengths[0]) if lengths else 0)
    if size > _MAX_HEAD + _MAX_BODY:
        raise ValueError("an answer that is too large")
    return size if size <= len(data) else 0
