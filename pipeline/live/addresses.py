"""Addresses of streams: which may be connected to, and what of them may be told.

An address holds secrets: a password, a token in its query, the key of an RTMP stream as its path.
So nothing but scheme and host of it is ever told. Of what a name resolves to, the very address
that was looked at is connected to, so that a second look-up cannot lead elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from pipeline.errors import UserError

SCHEMES = {"http": 80, "https": 443, "rtmp": 1935, "rtsp": 554}
"""Schemes that are fetched, with their ports."""
_MAX_LENGTH = 8192
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s,;]+")


class ForbiddenAddress(Exception):
    """An address must not be connected to; the text holds no more of it than scheme and host."""


@dataclass(frozen=True)
class Rules:
    """Tells which addresses may be connected to.

    Attributes:
        schemes: of `SCHEMES`.
        hosts: the only names of hosts; all where there is none. `.example.org` stands for all
            hosts below it.
        allow_private: whether loopback, link-local and private addresses, and all that are not of
            the public internet, may be connected to.
    """

    schemes: Sequence[str] = tuple(SCHEMES)
    hosts: Sequence[str] = ()
    allow_private: bool = False


@dataclass(frozen=True)
class Endpoint:
    """Where to connect to: addresses that were looked at, of which any will do, and the port."""

    addresses: tuple[str, ...]
    port: int

    def connect(self, timeout_s: float) -> socket.socket:
        """Connect to the first address that can be reached.

        Raises:
            OSError: none of them can.
        """
        for address in self.addresses[:-1]:
            # A name may have an address of IPv6 where nobody listens.
            with suppress(OSError):
                return socket.create_connection((address, self.port), timeout_s)
        return socket.create_connection((self.addresses[-1], self.port), timeout_s)


def public_part(url: str) -> str:
    """Return what may be said of an address: scheme and host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    host = f"[{host}]" if ":" in host else host
    printable = "".join(letter if letter.isprintable() else "?" for letter in host)
    return f"{parts.scheme}://{printable}{port}/…"


def redacted(text: str) -> str:
    """A text in which every address is what may be told of it."""
    return _ADDRESS.sub(lambda found: public_part(found[0]), text)


def is_address(text: str) -> bool:
    """Return whether a text is an address of a scheme, and no path of a file."""
    return "://" in text


def secret_of(url: str) -> str:
    """Return what may hold secrets in an address that a user gave: all but its scheme."""
    return url.partition("://")[2]


def check(url: str, rules: Rules) -> SplitResult:
    """The parts of an address of an allowed scheme and host.

    Raises:
        Refused: it is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenAddress("an address that cannot be read") from error
    if parts.scheme not in rules.schemes:
        raise ForbiddenAddress(
            f"{public_part(url)}: the scheme is none of {', '.join(rules.schemes)}"
        )
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if not parts.hostname or len(url) > _MAX_LENGTH or not is_plain or port == 0:
        raise ForbiddenAddress(f"{public_part(url)}: no host, or letters that no address has")
    host = parts.hostname.rstrip(".")
    if rules.hosts and not any(_matches(host, one) for one in rules.hosts):
        raise ForbiddenAddress(f"{public_part(url)}: a host that hosts= does not name")
    return parts


def led_to(url: str, given: str) -> str:
    """Return where a server leads that names an address in an answer for another one.

    Raises:
        Refused: what it names cannot be read.
    """
    try:
        return urljoin(url, given)
    except ValueError as error:
        raise ForbiddenAddress(
            f"{public_part(url)}: leads to an address that cannot be read"
        ) from error


def _matches(host: str, rule: str) -> bool:
    rule = rule.lower()
    return host.endswith(rule) if rule.startswith(".") else host == rule


def resolve(parts: SplitResult, rules: Rules) -> Endpoint:
    """Return where an address that was checked leads.

    Raises:
        Refused: to an address that is not of the public internet, if any of them is not, or by a
            name that nobody can look up.
        OSError: nowhere.
    """
    assert parts.hostname
    port = parts.port or SCHEMES[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise ForbiddenAddress(
            f"{public_part(parts.geturl())}: a name that no host can have"
        ) from error
    addresses = tuple(dict.fromkeys(str(one[4][0]) for one in found))
    if not rules.allow_private:
        for address in addresses:
            if not is_public(address):
                raise ForbiddenAddress(
                    f"{public_part(parts.geturl())}: leads to an address that is not of the public "
                    "internet; allow_private=true connects to it"
                )
    return Endpoint(addresses, port)


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, that of one machine."""
    one = ipaddress.ip_address(address.partition("%")[0])
    # An IPv4 address may come in the dress of IPv6, or inside 6to4, Teredo and NAT64.
    inner = None
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour
        # `is_global` knows nothing of the local addresses that sites had once (fec0::/10).
        is_nat64 = one in ipaddress.ip_network("64:ff9b::/96")
        if one.teredo or one.is_site_local or is_nat64:
            return False
    if inner is not None:
        return is_public(str(inner))
    return one.is_global and not (one.is_multicast or one.is_reserved or one.is_unspecified)


def check_given(url: str, rules: Rules) -> None:
    """Raise `UserError` unless an address that a user gave is of an allowed scheme and host."""
    try:
        check(url, rules)
    except ForbiddenAddress as error:
        raise UserError(f"{error}; give another address") from error
