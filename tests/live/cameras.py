"""A camera that speaks RTSP: as little of it as FFmpeg asks for, over one connection."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av


def description(path: Path) -> str:
    """What a camera says of its tracks, as SDP."""
    with av.open(str(path)) as source:
        extra = bytes(source.streams.video[0].codec_context.extradata or b"")
        sounds = [one.codec_context for one in source.streams.audio]
        heard = [(one.sample_rate, bytes(one.extradata or b"").hex()) for one in sounds]
    # avcC: one set of parameters of the sequence, one of the picture.
    length = int.from_bytes(extra[6:8], "big")
    first, rest = extra[8 : 8 + length], extra[8 + length + 1 :]
    second = rest[2 : 2 + int.from_bytes(rest[:2], "big")]
    sets = ",".join(base64.b64encode(one).decode() for one in (first, second))
    lines = [
        *("v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=-", "c=IN IP4 0.0.0.0", "t=0 0"),
        *("m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:track0"),
        f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}",
    ]
    for rate_hz, config in heard:
        form = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
        lines += [
            *("m=audio 0 RTP/AVP 97", f"a=rtpmap:97 MPEG4-GENERIC/{rate_hz}/1", "a=control:track1"),
            f"a=fmtp:97 profile-level-id=1;{form};config={config}",
        ]
    return "".join(f"{line}\r\n" for line in lines)


def packets(path: Path, send: Callable[[int, bytes], None]) -> None:
    """Hand on what is sent by RTP of each track, when a camera would, with its channel."""
    receivers, begun = [], time.monotonic()
    with av.open(str(path)) as source:
        targets = {}
        for number, stream in enumerate(source.streams):
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)
            receivers.append((2 * number, receiver))
            url = f"rtp://127.0.0.1:{receiver.getsockname()[1]}?pkt_size=1200"
            options = {"payload_type": str(96 + number)}
            target = av.open(url, "w", format="rtp", options=options)
            targets[stream.index] = target, target.add_stream_from_template(stream)
        for packet in source.demux():
            if packet.dts is None:
                continue
            due = begun + float(packet.dts * packet.time_base)
            time.sleep(max(0.0, due - time.monotonic()))
            target, packet.stream = targets[packet.stream.index]
            target.mux(packet)
            for channel, receiver in receivers:
                with suppress(BlockingIOError):
                    while True:
                        send(channel, receiver.recv(2048))
        for target, _ in targets.values():
            target.close()


class Camera:
    """Shows a recording to each who asks; `asked` holds methods and addresses."""

    def __init__(self, path: Path, location: str | None = None) -> None:
        """Begin to listen; where there is a location, it redirects there."""
        self._path, self._location = path, location
        self.asked: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listening.getsockname()[1]}/seCret"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError), client, client.makefile("rb") as lines:
            while line := lines.readline().decode():
                method, url, _ = line.split()
                self.asked.append(f"{method} {url}")
                given = {}
                while (header := lines.readline().decode().strip()) != "":
                    name, _, value = header.partition(":")
                    given[name.lower()] = value.strip()
                client.sendall(self._said(method, given).encode())
                if method == "PLAY":
                    packets(self._path, lambda channel, data: _send(client, channel, data))
                    return

    def _said(self, method: str, given: dict[str, str]) -> str:
        more, body, status = "Session: 1;timeout=60\r\n", "", "200 OK"
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE" and self._location is not None:
            status, more = "302 Found", f"Location: {self._location}\r\n"
        elif method == "DESCRIBE":
            body = description(self._path)
            more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            more += f"Transport: {given['transport']}\r\n"
        return f"RTSP/1.0 {status}\r\nCSeq: {given['cseq']}\r\n{more}\r\n{body}"


def _send(client: socket.socket, channel: int, data: bytes) -> None:
    client.sendall(b"$" + bytes([channel]) + len(data).to_bytes(2, "big") + data)


@contextmanager
def showing(path: Path, location: str | None = None) -> Iterator[Camera]:
    camera = Camera(path, location)
    try:
        yield camera
    finally:
        camera.close()
