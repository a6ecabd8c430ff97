from __future__ import annotations

import socket
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.live import addresses
from pipeline.live.addresses import (
    Endpoint,
    ForbiddenAddress,
    Rules,
    check,
    is_public,
    public_part,
    resolve,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtmp://user:secret@example.org/live/key", "rtmp://example.org/…"),
        ("https://example.org:8443/a/token/b.m3u8?sig=secret#x", "https://example.org:8443/…"),
        ("http://[::1]:80/a", "http://[::1]:80/…"),
        ("http://example.org:99999/secret", "an address that cannot be read"),
        ("http://a\x1bb/secret", "http://a?b/…"),
    ],
)
def test_nothing_but_scheme_and_host_is_told(url: str, shown: str) -> None:
    assert public_part(url) == shown
    assert "secret" not in public_part(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "the scheme is none of"),
        ("gopher://example.org/", "the scheme is none of"),
        ("http://", "no host"),
        ("http://exa mple.org/", "letters that no address has"),
        ("http://example.org/\r\nX: y", "letters that no address has"),
        ("http://example.org:0/", "no host"),
        ("http://evil.org/", "a host that hosts= does not name"),
        ("http://badexample.org/", "a host that hosts= does not name"),
    ],
)
def test_what_is_refused_before_any_look_up(url: str, says: str) -> None:
    rules = Rules(hosts=("example.org", ".example.org"))
    with pytest.raises(ForbiddenAddress, match=says):
        check(url, rules)


def test_hosts_may_be_named_with_all_below_them() -> None:
    rules = Rules(hosts=(".example.org",))
    assert check("https://a.b.example.org/x", rules).hostname == "a.b.example.org"
    with pytest.raises(UserError, match="give another address"):
        addresses.check_given("https://example.org/x", rules)


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", ("93.184.216.34", port)), (2, 1, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    parts = check("http://example.org/token", Rules())
    with pytest.raises(
        ForbiddenAddress, match="not of the public internet; allow_private=true"
    ) as caught:
        resolve(parts, Rules())
    assert "token" not in str(caught.value)
    assert resolve(parts, Rules(allow_private=True)) == Endpoint(("93.184.216.34", "10.0.0.7"), 80)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".org", "."])
def test_a_name_that_cannot_be_looked_up_is_refused(host: str) -> None:
    parts = check(f"http://{host}/token", Rules())
    with pytest.raises(ForbiddenAddress, match="a name that no host can have") as caught:
        resolve(parts, Rules())
    assert "token" not in str(caught.value)


def test_a_name_is_reached_at_any_of_its_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # Nobody listens at the first one.
        with Endpoint(("127.0.0.9", "127.0.0.1"), port).connect(5.0) as reached:
            assert reached.getpeername() == ("127.0.0.1", port)
        with pytest.raises(OSError, match="refused"):
            Endpoint(("127.0.0.9", "127.0.0.8"), port).connect(5.0)
