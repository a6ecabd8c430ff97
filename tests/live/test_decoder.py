"""Bytes through two pipes to a decoder, without the processes around them."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.live import fetcher
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.fetcher import ReaderGone, Twin
from pipeline.live.messages import DecoderEnd, Faults, Message, StreamClip
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, write_footage
from tests.live.servers import remuxed
from tests.made import scene, write_video, write_with_sound

_PADDING = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 20_000
"""Of MPEG-TS, which holds nothing: more than two pipes do."""


def drifting(data: bytes, num_late: int) -> list[StreamClip]:
    """What is decoded of a stream whose sound falls behind by some windows in the middle."""
    ends = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
    found: list[StreamClip] = []
    pipes = ends[0][0], ends[1][0]
    task = DecodingTask(None, FORMAT, LIMITS, 4096)

    def decode() -> None:
        found.extend(one for one in decoded(task, pipes) if isinstance(one, StreamClip))

    decoder = threading.Thread(target=decode, daemon=True)
    decoder.start()
    half, deadline = len(data) // 2, time.monotonic() + 120

    def write(number: int) -> None:
        with suppress(OSError):
            os.write(ends[number][1].fileno(), data[:half])
            is_late = number == 1
            while is_late and time.monotonic() < deadline:
                is_late = sum(one.sound_is_late for one in found) < num_late
                time.sleep(0.05)
            os.write(ends[number][1].fileno(), data[half:])
        ends[number][1].close()

    for number in range(2):
        threading.Thread(target=write, args=(number,), daemon=True).start()
    decoder.join(240)
    return found


def test_pictures_do_not_wait_for_sound_that_drifts_away_from_them(tmp_path: Path) -> None:
    shown = drifting(remuxed(write_footage(tmp_path / "a.mp4", 180), "ts"), num_late=3)
    assert len(shown) == 12
    late = [one for one in shown if one.sound_is_late]
    assert len(late) >= 3
    assert {one.presence for one in late} == {"absent"}
    assert [(one.presence, one.sound_is_late) for one in shown[:2]] == [("present", False)] * 2


def through_pipes(data: bytes, timeout_s: float = 120.0) -> list[Message]:
    """What is decoded of bytes that come through two pipes."""
    ends = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
    found: list[Message] = []
    task = DecodingTask(None, FORMAT, LIMITS, 4096)
    pipes = ends[0][0], ends[1][0]
    decoder = threading.Thread(target=lambda: found.extend(decoded(task, pipes)), daemon=True)
    decoder.start()
    twin = Twin((ends[0][1], ends[1][1]))

    def write() -> None:
        with suppress(ReaderGone):
            for start in range(0, len(data), 2**16):
                twin.write(data[start : start + 2**16])
        twin.close()

    threading.Thread(target=write, daemon=True).start()
    decoder.join(timeout_s)
    return found


def silent(folder: Path) -> bytes:
    """A stream with pictures alone."""
    data = remuxed(write_footage(folder / "a.mp4", 120), "ts", sound=False)
    half = len(data) // 2 // 188 * 188
    return data[:half] + _PADDING + data[half:]


def refused(folder: Path) -> bytes:
    """A stream whose sound is of a rate that is not read."""
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 1_200_000))
    path = folder / "a.mkv"
    return write_with_sound(path, scene(0, 120), sound, codec="flac", rate=300_000).read_bytes()


def late(folder: Path) -> bytes:
    """A stream that holds nothing for long, and pictures with sound after that."""
    return _PADDING + remuxed(write_footage(folder / "a.mp4", 120), "ts")


def test_a_stream_whose_pictures_begin_late_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher, "_MAX_WAITING", 2**20)
    monkeypatch.setattr(fetcher, "_STUCK_S", 0.1)
    found = through_pipes(late(tmp_path))
    assert found
    assert isinstance(found[-1], DecoderEnd)
    assert found[-1].reason == "end"
    presences = [one.presence for one in found if isinstance(one, StreamClip)]
    assert presences[:-1] == ["present"] * 7


def test_pictures_that_nobody_reads_for_a_while_are_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetcher, "_MAX_WAITING", 2**18)
    monkeypatch.setattr(fetcher, "_STUCK_S", 0.05)
    ends = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
    data, found = np.random.default_rng(0).bytes(2**21), [b"", b""]

    def read(number: int, wait_s: float) -> None:
        time.sleep(wait_s)
        with open(ends[number][0].fileno(), "rb", closefd=False) as file:
            found[number] = file.read()

    readers = [threading.Thread(target=read, args=one) for one in ((0, 0.5), (1, 0.0))]
    for reader in readers:
        reader.start()
    twin = Twin((ends[0][1], ends[1][1]))
    for start in range(0, len(data), 2**14):
        twin.write(data[start : start + 2**14])
    twin.close()
    for reader in readers:
        reader.join()
    assert found == [data, data]


@pytest.mark.parametrize("made", [silent, refused])
def test_a_stream_whose_sound_nobody_hears_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Path], bytes]
) -> None:
    monkeypatch.setattr(fetcher, "_MAX_WAITING", 2**21)
    found = through_pipes(made(tmp_path))
    assert isinstance(found[-1], DecoderEnd)
    assert found[-1].reason == "end"
    assert sum(isinstance(one, StreamClip) for one in found) == 8


def crc(data: bytes) -> bytes:
    """CRC-32 of sections of MPEG-2 systems (ISO/IEC 13818-1, annex A)."""
    value = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            top = (value >> 31) ^ (byte >> (7 - bit) & 1)
            value = (value << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    return value.to_bytes(4, "big")


def of_another_codec(folder: Path) -> bytes:
    """H.264 that the table of its stream says is HEVC."""
    data = bytearray(remuxed(write_footage(folder / "a.mp4", 60), "ts", sound=False))
    for start in range(0, len(data), 188):
        packet = data[start : start + 188]
        # A table of a programme in a packet of its own.
        if packet[1] & 0x40 and packet[4:6] == b"\0\x02":
            length = 3 + (packet[6] & 0x0F) * 256 + packet[7]
            section = packet[5 : 5 + length].replace(b"\x1b\xe1\x00", b"\x24\xe1\x00")
            section[-4:] = crc(section[:-4])
            data[start + 5 : start + 5 + length] = section
    return bytes(data)


def without_pictures(folder: Path) -> bytes:
    """A stream of sound alone."""
    data = io.BytesIO()
    with (
        av.open(str(write_footage(folder / "a.mp4", 60))) as source,
        av.open(data, "w", format="mpegts") as target,
    ):
        copied = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    return data.getvalue()


def spoilt(folder: Path) -> bytes:
    """A stream whose packets are those of H.264, with noise in place of what they hold."""
    data = bytearray(remuxed(write_footage(folder / "a.mp4", 60), "ts", sound=False))
    rng = np.random.default_rng(0)
    for start in range(188 * 3, len(data), 188):
        data[start + 30 : start + 188] = rng.bytes(158)
    return bytes(data)


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4"])
def test_a_stream_that_goes_on_in_another_codec_is_given_up(tmp_path: Path, codec: str) -> None:
    parts = []
    for name, begins in (("libx264", "0"), (codec, "2")):
        path = tmp_path / f"{name}.ts"
        options = {"output_ts_offset": begins}
        write_video(
            path, scene(1, 60 if begins == "0" else 300), codec=name, container_options=options
        )
        parts.append(path.read_bytes())
    found = through_pipes(b"".join(parts))
    ended = found[-1]
    assert isinstance(ended, DecoderEnd)
    assert ended.reason == "decode_error"
    assert "packets gave no picture" in ended.detail
    codes = Counter[str]()
    for one in found:
        codes.update(one.codes if isinstance(one, Faults) else {})
    # It is given up after two seconds of ten.
    assert set(codes) == {"InvalidDataError"}
    assert 48 < codes["InvalidDataError"] < 90
    whole = Counter[str]()
    for one in through_pipes(parts[0]):
        whole.update(one.codes if isinstance(one, Faults) else {})
    assert not whole


@pytest.mark.parametrize("made", [of_another_codec, without_pictures, spoilt])
def test_a_stream_of_a_wrong_codec_ends_with_a_reason(
    tmp_path: Path, made: Callable[[Path], bytes]
) -> None:
    found = through_pipes(made(tmp_path))
    assert not any(isinstance(one, StreamClip) for one in found)
    assert isinstance(found[-1], DecoderEnd)
    assert found[-1].reason in ("decode_error", "no_video", "no_frames", "no_decoder")
