"""Requests by HTTP to servers that nobody trusts: each hop is checked before it is connected to."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote

from pipeline.live.addresses import (
    Endpoint,
    ForbiddenAddress,
    Rules,
    check,
    led_to,
    public_part,
    resolve,
)
from pipeline.live.fetcher import FetchFailure

_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_AUTHENTICATION = (401, 403, 407)
_GONE = (404, 410)


class HttpResponse:
    """Holds what a server answers with.

    Attributes:
        url: that it answers for, after all redirects.
        content_type: as it says; empty where it does not.
        length: bytes that it says will come; None where it does not.
    """

    def __init__(self, url: str, response: http.client.HTTPResponse) -> None:
        self.url, self._response = url, response
        self.content_type = response.getheader("Content-Type", "")
        self.length = response.length

    def read(self, num_bytes: int) -> bytes:
        """Return what has come, up to a number of bytes; nothing at the end.

        Raises:
            TimeoutError: nothing came.
            Failed: it was cut off.
        """
        try:
            return self._response.read1(num_bytes)
        except http.client.HTTPException as error:
            raise FetchFailure("cut_off", "the answer ended before its end") from error

    def pieces(self, max_bytes: int) -> Iterator[bytes]:
        """All of it, as it comes.

        Raises:
            TimeoutError: nothing came.
            Failed: it was cut off, or is longer than it may be.
        """
        size = 0
        while piece := self.read(min(2**16, max_bytes + 1 - size)):
            size += len(piece)
            if size > max_bytes:
                raise FetchFailure(
                    "too_large", f"{public_part(self.url)}: more than {max_bytes / 1e6:g} MB"
                )
            yield piece
        if self.length is not None and size < self.length:
            raise FetchFailure(
                "cut_off", f"{public_part(self.url)}: the answer ended before its end"
            )


@contextmanager
def get(url: str, rules: Rules, timeout_s: float) -> Iterator[HttpResponse]:
    """Ask for an address, and follow where it redirects to.

    Raises:
        Refused: it, or where it redirects to, must not be connected to.
        Failed: the server refuses.
        OSError: it cannot be reached, or says nothing for `timeout_s`.
    """
    first = check(url, rules)
    for _ in range(_MAX_REDIRECTS + 1):
        parts = check(url, rules)
        connection = _Connection(parts, resolve(parts, rules), timeout_s)
        try:
            # What was given for one host is told to no other.
            is_same = (parts.scheme, parts.hostname) == (first.scheme, first.hostname)
            response = _ask(connection, parts, first if is_same else parts)
            if response.status in _REDIRECTS:
                url = led_to(url, response.getheader("Location", ""))
                continue
            _check(response, parts)
            yield HttpResponse(url, response)
            return
        except http.client.HTTPException as error:
            raise FetchFailure("no_http", f"{public_part(url)}: {type(error).__name__}") from error
        finally:
            connection.close()
    raise ForbiddenAddress(f"{public_part(url)}: more than {_MAX_REDIRECTS} redirects")


def post(url: str, rules: Rules, timeout_s: float, body: bytes, headers: Mapping[str, str]) -> int:
    """Send something, and return the status of the answer, whatever that is.

    `timeout_s` is for the connection to be made, and then for all that is sent and answered.

    Raises:
        Refused: the address must not be connected to.
        OSError, http.client.HTTPException: there is no answer.
    """
    parts = check(url, rules)
    connection = _Connection(parts, resolve(parts, rules), timeout_s, is_bounded=True)
    try:
        connection.request("POST", _path(parts), body, {**_headers(parts), **headers})
        return connection.getresponse().status
    finally:
        connection.close()


def _ask(
    connection: _Connection, parts: SplitResult, secrets: SplitResult
) -> http.client.HTTPResponse:
    connection.request("GET", _path(parts), headers=_headers(secrets))
    return connection.getresponse()


def _path(parts: SplitResult) -> str:
    return f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


def _headers(secrets: SplitResult) -> dict[str, str]:
    headers = {"User-Agent": "discern", "Accept": "*/*", "Accept-Encoding": "identity"}
    if secrets.username is not None:
        pair = f"{unquote(secrets.username)}:{unquote(secrets.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return headers


def _check(response: http.client.HTTPResponse, parts: SplitResult) -> None:
    where = public_part(parts.geturl())
    if response.status in _AUTHENTICATION:
        raise FetchFailure("no_access", f"{where}: HTTP {response.status}", is_final=True)
    if response.status in _GONE:
        raise FetchFailure("not_found", f"{where}: HTTP {response.status}")
    if response.status != 200:
        raise FetchFailure("http_status", f"{where}: HTTP {response.status}")
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        # What is small may be large once it is unpacked, and nobody asked for it.
        raise FetchFailure("compressed", f"{where}: an answer that is compressed")


class _Connection(http.client.HTTPConnection):
    """Connects to an address that was looked at, by the name that was asked for."""

    def __init__(
        self, parts: SplitResult, endpoint: Endpoint, timeout_s: float, *, is_bounded: bool = False
    ) -> None:
        """Get ready; the first request connects.

        Args:
            parts: of the address.
            endpoint: where it leads.
            timeout_s: for each thing that is waited for.
            is_bounded: whether it is for all of them together, once it is connected.
        """
        super().__init__(str(parts.hostname), endpoint.port, timeout=timeout_s)
        self._endpoint, self._timeout_s, self._is_bounded = endpoint, timeout_s, is_bounded
        self._is_secure = parts.scheme == "https"
        self.default_port = 443 if self._is_secure else 80
        self.sock: Any = None

    def connect(self) -> None:
        """Connect, without asking for the name again."""
        self.sock = self._endpoint.connect(self._timeout_s)
        until = time.monotonic() + self._timeout_s
        if self._is_secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
        if self._is_bounded:
            self.sock = _Bounded(self.sock, until)


class _Bounded(io.RawIOBase):
    """A socket of a request, which has until some moment for all that it sends and reads.

    The time limit of a socket begins anew with each byte that comes.
    """

    def __init__(self, inner: socket.socket, until: float) -> None:
        self._inner, self._until = inner, until

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._in_time().send(rest) :]

    def makefile(self, _: str) -> io.BufferedReader:
        """Return what is read."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._in_time().recv_into(buffer)

    def close(self) -> None:
        self._inner.close()
        super().close()

    def _in_time(self) -> socket.socket:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._inner.settimeout(left_s)
        return self._inner
