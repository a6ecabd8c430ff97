"""Bytes of servers that a fetcher brings, or refuses, without a decoder behind it."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.live.addresses import Rules
from pipeline.live.fetcher import Bounds, Fetch, SessionEnd, Twin, _fetched
from pipeline.live.repeats import STEPS, Beginning
from tests.live.servers import Server, body, chunked, playlist, redirect, serving

BOUNDS = Bounds(timeout_s=60.0, max_segment_mb=1.0)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def fetched(
    url: str,
    *,
    go_on_at: int | None = None,
    begins: tuple[str, ...] = (),
    bounds: Bounds = BOUNDS,
    **rules: Any,
) -> tuple[SessionEnd, bytes, bytes]:
    """Why a fetcher ended, and what came out of both pipes."""
    given = Rules(**{"allow_private": True, **rules})
    ends = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
    found: list[bytes] = [b"", b""]

    def read(number: int) -> None:
        with open(ends[number][0].fileno(), "rb", closefd=False) as file:
            found[number] = file.read()

    readers = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    twin = Twin((ends[0][1], ends[1][1]))
    report = _fetched(Fetch(url, given, bounds, go_on_at, begins), twin)
    twin.close()
    for reader in readers:
        reader.join()
    return report, found[0], found[1]


def refused(url: str, **rules: Any) -> SessionEnd:
    report, *got = fetched(url, **rules)
    assert got == [b"", b""]
    assert report.is_final
    return report


def test_bytes_come_twice_and_end(server: Server) -> None:
    data = bytes(range(256)) * 20_000
    server.routes["/a.ts"] = body(data)
    assert fetched(server.url("/a.ts")) == (SessionEnd("end", is_final=True), data, data)


def test_a_stream_without_a_length_may_only_have_been_cut_off(server: Server) -> None:
    server.routes["/a.ts"] = chunked(lambda: iter([b"a" * 1000, b"b" * 1000]))
    report, got, _ = fetched(server.url("/a.ts"))
    assert report == replace(SessionEnd("end"), begins=report.begins)
    assert got == b"a" * 1000 + b"b" * 1000


@pytest.mark.parametrize("size", [1, 4096, 5000, 3_000_000])
def test_a_recording_that_is_given_anew_is_not_watched_again(server: Server, size: int) -> None:
    data = np.random.default_rng(0).bytes(size)
    longer, other = data + b"more", b"x" + data[1:]
    answers = iter([data, data, other, data, longer, longer])
    server.routes["/a.ts"] = lambda request: chunked(lambda: iter([next(answers)]))(request)
    url = server.url("/a.ts")
    first, got, _ = fetched(url)
    assert (first.reason, got) == ("end", data)
    again, *got_again = fetched(url, begins=first.begins)
    assert (again.reason, again.is_final, got_again) == ("repeats", False, [b"", b""])
    assert fetched(url, begins=first.begins)[:2] == (
        replace(SessionEnd("end"), begins=fetched_marks(other)),
        other,
    )
    # One that goes on where it ended is no repetition, as far as that is looked at.
    assert fetched(url)[0].begins == first.begins
    reason = "repeats" if size > STEPS[-1] else "end"
    assert fetched(url, begins=first.begins)[0].reason == reason
    assert fetched(url, begins=fetched_marks(longer))[0].reason == "repeats"


def fetched_marks(data: bytes) -> tuple[str, ...]:
    beginning = Beginning(())
    assert beginning.take(data) + beginning.end() == data
    return tuple(beginning.marks)


def test_segments_come_in_order_and_once_each(server: Server) -> None:
    segments = [f"/{n}.ts" for n in range(6)]
    for name in segments:
        server.routes[name] = body(name.encode())
    states = iter(
        [
            playlist(segments[:3], ends=False),
            playlist(segments[1:4], first=1, ends=False),
            playlist(segments[3:], first=3, ends=True),
        ]
    )
    server.routes["/live.m3u8"] = lambda request: body(next(states), "audio/mpegurl")(request)
    # The first state tells that it is a playlist, and is read once more from there.
    states = iter([playlist(segments[:3], ends=False), *states])
    report, got, _ = fetched(server.url("/live.m3u8"))
    assert report == SessionEnd("end", is_final=True)
    assert got == b"/1.ts/2.ts/3.ts/4.ts/5.ts"


@pytest.mark.parametrize("num_old", [1, 3])
def test_a_playlist_may_be_older_than_the_one_before(server: Server, num_old: int) -> None:
    segments = [f"/{n}.ts" for n in range(5)]
    for name in segments:
        server.routes[name] = body(name.encode())
    old, new = playlist(segments[:3], ends=False), playlist(segments[1:4], first=1, ends=False)
    end = playlist(segments[2:], first=2, ends=True)
    states = iter([new, new, *[old] * num_old, end])
    server.routes["/live.m3u8"] = lambda request: body(next(states), "audio/mpegurl")(request)
    report, got, _ = fetched(server.url("/live.m3u8"))
    assert report == SessionEnd("end", is_final=True)
    assert got == b"/2.ts/3.ts/4.ts"


def test_a_server_that_begins_to_count_anew_is_told(server: Server) -> None:
    segments = [f"/{n}.ts" for n in range(3)]
    for name in segments:
        server.routes[name] = body(name.encode())
    for first, num_asked in ((1, 6), (100, 3)):
        states = itertools.chain(
            [playlist(segments, first=first, ends=False)] * 2,
            itertools.repeat(playlist(segments[:1], ends=False)),
        )
        server.routes["/a.m3u8"] = lambda request, of=states: body(next(of), "audio/mpegurl")(
            request
        )
        server.asked.clear()
        report, *_ = fetched(server.url("/a.m3u8"))
        assert report == SessionEnd("discontinuity")
        assert sum(path == "/a.m3u8" for path, _ in server.asked) == num_asked


def test_all_of_a_playlist_that_has_ended_is_fetched(server: Server) -> None:
    server.routes["/a.m3u8"] = body(playlist(["0.ts", "gone.ts", "1.ts"]), "audio/mpegurl")
    for number in range(2):
        server.routes[f"/{number}.ts"] = body(b"%d" % number)
    assert fetched(server.url("/a.m3u8"))[:2] == (SessionEnd("end", is_final=True), b"01")


def test_a_discontinuity_ends_the_bytes_and_tells_where_to_go_on(server: Server) -> None:
    text = playlist(["0.ts", "1.ts", "2.ts"], first=7, extra={1: "#EXT-X-DISCONTINUITY"})
    server.routes["/a.m3u8"] = body(text, "audio/mpegurl")
    for number in range(3):
        server.routes[f"/{number}.ts"] = body(b"%d" % number)
    assert fetched(server.url("/a.m3u8"))[:2] == (SessionEnd("discontinuity", go_on_at=8), b"0")
    after = fetched(server.url("/a.m3u8"), go_on_at=8)
    assert after[:2] == (SessionEnd("end", is_final=True), b"12")


def test_the_smallest_variant_that_is_large_enough_is_taken(server: Server) -> None:
    variants = [(6000, 1080, "high"), (800, 360, "low"), (200, 144, "tiny")]
    lines = ["#EXTM3U"]
    for rate, height, name in variants:
        size = f"{height * 16 // 9}x{height}"
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={rate}000,RESOLUTION={size}", f"{name}.m3u8"]
        server.routes[f"/{name}.m3u8"] = body(playlist([f"{name}.ts"]), "audio/mpegurl")
        server.routes[f"/{name}.ts"] = body(name.encode())
    server.routes["/all.m3u8"] = body("\n".join(lines).encode(), "application/x-mpegURL")
    assert fetched(server.url("/all.m3u8"))[1] == b"low"


def test_private_addresses_are_refused_from_the_start(server: Server) -> None:
    server.routes["/a.ts"] = body(b"secret")
    report = refused(server.url("/a.ts"), allow_private=False)
    assert report.reason == "refused"
    assert not server.asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "2130706433"])
def test_loopback_is_refused_whatever_it_is_called(server: Server, host: str) -> None:
    assert refused(server.url("/a.ts", host), allow_private=False).reason in (
        "refused",
        "unreachable",
    )
    assert not server.asked


LEADS_AWAY: dict[str, Callable[[str], Any]] = {
    "redirect": lambda to: redirect(to),
    "playlist": lambda to: body(playlist([to]), "audio/mpegurl"),
    "variant": lambda to: body(
        f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{to}\n".encode(), "audio/mpegurl"
    ),
    "map": lambda to: body(
        playlist(["0.ts"], extra={0: f'#EXT-X-MAP:URI="{to}"'}), "audio/mpegurl"
    ),
}


@pytest.mark.parametrize("way", LEADS_AWAY)
@pytest.mark.parametrize("to", ["http://127.0.0.2:{port}/secret", "http://169.254.169.254/secret"])
def test_no_server_can_lead_to_another_host(server: Server, way: str, to: str) -> None:
    with serving() as other:
        # It answers for all addresses of loopback that lead to its port.
        other.routes["/secret"] = body(b"secret")
        server.routes["/a.m3u8"] = LEADS_AWAY[way](to.format(port=other.port))
        report = refused(server.url("/a.m3u8"), hosts=("127.0.0.1",))
        assert report.reason == "refused"
        assert "secret" not in report.detail
        assert not other.asked


@pytest.mark.parametrize("way", LEADS_AWAY)
def test_no_server_can_lead_to_a_private_address(
    server: Server, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first server stands for one of the public internet.
    from pipeline.live import addresses

    public = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda one: one == "127.0.0.1" or public(one))
    server.routes["/a.m3u8"] = LEADS_AWAY[way]("http://10.1.2.3/secret")
    assert (
        "not of the public internet" in refused(server.url("/a.m3u8"), allow_private=False).detail
    )


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/a", "concat:a|b"])
@pytest.mark.parametrize("way", LEADS_AWAY)
def test_no_server_can_lead_to_another_scheme(server: Server, way: str, to: str) -> None:
    server.routes["/a.m3u8"] = LEADS_AWAY[way](to)
    report, got, _ = fetched(server.url("/a.m3u8"))
    # What is no address by itself is one of the same server.
    assert report.reason in ("refused", "not_found", "end")
    assert got == b""


@pytest.mark.parametrize("way", LEADS_AWAY)
def test_no_server_can_lead_to_what_is_no_address(server: Server, way: str) -> None:
    server.routes["/a.m3u8"] = LEADS_AWAY[way]("http://[/secret")
    report = refused(server.url("/a.m3u8"))
    assert "cannot be read" in report.detail
    assert "secret" not in report.detail


def test_redirects_end(server: Server) -> None:
    server.routes["/a"] = redirect("/a")
    assert "more than 5 redirects" in refused(server.url("/a")).detail
    assert len(server.asked) == 6


def test_a_password_is_told_to_its_own_host_alone(server: Server) -> None:
    url = server.url("/a.ts").replace("http://", "http://me:p%40ss@")
    server.routes["/a.ts"] = body(b"1")
    fetched(url)
    assert server.asked == [("/a.ts", "Basic bWU6cEBzcw==")]
    server.asked.clear()
    server.routes["/b.ts"] = redirect(server.url("/a.ts", "localhost"))
    fetched(url.replace("/a.ts", "/b.ts"))
    assert server.asked == [("/b.ts", "Basic bWU6cEBzcw=="), ("/a.ts", None)]


def endless(part: bytes) -> Iterator[bytes]:
    while True:
        yield part


HOSTILE: dict[str, tuple[Any, str]] = {
    "an endless playlist": (
        chunked(lambda: endless(b"#EXTM3U\n" + b"a.ts\n" * 10_000), "audio/mpegurl"),
        "too_large",
    ),
    "a segment of 1 GB": (body(playlist(["big.ts"]), "audio/mpegurl"), "too_large"),
    "gzip": (body(b"\x1f\x8b" * 100, "video/mp2t", Content_Encoding="gzip"), "compressed"),
    "no playlist": (body(b"<html>", "audio/mpegurl"), "playlist"),
    "binary": (body(b"#EXTM3U\xff\xfe", "audio/mpegurl"), "playlist"),
    "numbers": (
        body(b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:nan\n#EXTINF:x,\na.ts\n", "audio/mpegurl"),
        "playlist",
    ),
    "encrypted": (
        body(playlist(["0.ts"], extra={0: '#EXT-X-KEY:METHOD=AES-128,URI="k"'}), "audio/mpegurl"),
        "encrypted",
    ),
    "lists of lists": (
        body(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", "audio/mpegurl"),
        "playlist",
    ),
    "an error": (lambda request: request.send_error(500), "http_status"),
    "no access": (lambda request: request.send_error(403), "no_access"),
    "silence": (lambda request: time.sleep(3), "timeout"),
    "no HTTP": (lambda request: request.wfile.write(b"\0" * 100_000), "no_http"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_hostile_is_cut_off(server: Server, what: str) -> None:
    route, reason = HOSTILE[what]
    server.routes["/a.m3u8"] = route
    server.routes["/big.ts"] = chunked(lambda: endless(b"\0" * 2**16))
    bounds = replace(BOUNDS, timeout_s=1.0) if what == "silence" else BOUNDS
    report, got, _ = fetched(server.url("/a.m3u8"), bounds=bounds)
    assert report.reason == reason
    assert len(got) <= 1_000_000


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path / "both.pem"
    public = certificate.public_bytes(encoding)
    path.write_bytes(key.private_bytes(encoding, *plain) + public)
    with serving(path) as server:
        server.routes["/a.ts"] = body(b"1")
        url = server.url("/a.ts", "localhost").replace("http:", "https:")
        report, *got = fetched(url)
        assert (report.reason, got) == ("unreachable", [b"", b""])
        (tmp_path / "known.pem").write_bytes(public)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "known.pem"))
        assert fetched(url) == (SessionEnd("end", is_final=True), b"1", b"1")
        # Another name than the certificate has.
        assert fetched(url.replace("localhost", "127.0.0.1"))[0].reason == "unreachable"


def test_a_name_that_is_no_host_is_unreachable() -> None:
    report, *_ = fetched("http://no-such-host.invalid/secret")
    assert report.reason == "unreachable"
    assert "secret" not in report.detail


def test_secrets_are_in_no_text_of_what_is_fetched() -> None:
    fetch = Fetch("rtmp://me:secret@example.org/live/secret", Rules(), BOUNDS)
    assert "secret" not in repr(replace(fetch, go_on_at=3))
