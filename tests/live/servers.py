"""Servers on this machine, good ones and hostile ones, from which streams are fetched."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av

Handler = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by the path that is asked for; `asked` holds all paths, with their authorization."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.routes: dict[str, Handler] = {}
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Authorization")))
                route = outer.routes.get(self.path.partition("?")[0])
                self.close_connection = True
                if route is None:
                    self.send_error(404)
                    return
                with suppress(OSError):
                    route(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.port = self._http.server_port

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    server = Server(certificate)
    try:
        yield server
    finally:
        server.close()


def body(data: bytes, content_type: str = "video/mp2t", **headers: str) -> Handler:
    """Answers with bytes, and says how many."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", content_type)
        request.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return answer


def chunked(parts: Callable[[], Iterator[bytes]], content_type: str = "video/mp2t") -> Handler:
    """Answers with what comes, without saying how long that is."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", content_type)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for part in parts():
            request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            request.wfile.flush()
        request.wfile.write(b"0\r\n\r\n")

    return answer


def redirect(to: str) -> Handler:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def paced(data: bytes, seconds: float, num_parts: int = 20) -> Iterator[bytes]:
    """Bytes in parts, over some seconds."""
    size = max(1, len(data) // num_parts)
    for start in range(0, len(data), size):
        yield data[start : start + size]
        time.sleep(seconds / num_parts)


def playlist(
    segments: list[str], *, first: int = 0, ends: bool = True, extra: dict[int, str] | None = None
) -> bytes:
    """A media playlist of segments of two seconds, with lines before some of them."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
    for number, segment in enumerate(segments):
        if extra and number in extra:
            lines.append(extra[number])
        lines += ["#EXTINF:2.0,", segment]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ends else []), ""]).encode()


def remuxed(path: Path, container: str, *, sound: bool = True) -> bytes:
    """The packets of a file in another container, a few bytes of which come with each."""
    target = path.with_suffix(f".remuxed.{container}")
    _copy(path, str(target), sound=sound, flush_packets="1")
    return target.read_bytes()


def segmented(path: Path, folder: Path) -> list[bytes]:
    """The segments of HLS that are made of a file, a new one about every second at key frames."""
    folder.mkdir()
    _copy(path, str(folder / "%03d.ts"), format="segment", segment_time="0.9")
    return [one.read_bytes() for one in sorted(folder.glob("*.ts"))]


def _copy(
    path: Path, target: str, *, sound: bool = True, format: str | None = None, **options: str
) -> None:
    with av.open(str(path)) as source, av.open(target, "w", format, options=options) as written:
        kept = [*source.streams.video, *(source.streams.audio if sound else ())]
        copies = {one.index: written.add_stream_from_template(one) for one in kept}
        for packet in source.demux(*kept):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                written.mux(packet)
