"""Sound that begins, or changes, within a connection: real containers through two pipes."""

from __future__ import annotations

import io
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.live.addresses import Rules
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.fetcher import Bounds, Fetch, Twin, _fetched
from pipeline.live.messages import DecoderEnd, Heading, StreamClip
from pipeline.live.tracks import Packets, Tags, cutter_of
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS
from tests.live.servers import chunked, serving
from tests.live.test_decoder import through_pipes
from tests.made import scene, write_with_sound

_NUM_FRAMES = 96


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of some seconds with noise as their sound, by its codec."""
    folder = tmp_path_factory.mktemp("files")
    sound = np.random.default_rng(0).normal(0, 0.1, (1, 48_000 * _NUM_FRAMES // 30))
    return {
        codec: write_with_sound(folder / f"{codec}.mp4", scene(0, _NUM_FRAMES), sound, codec=codec)
        for codec in ("aac", "mp3")
    }


def muxed(path: Path, container: str, begins_s: float = 0.0, *, sound: bool = True) -> bytes:
    """The packets of a file, some seconds later, in a container that can be appended to another."""
    data = io.BytesIO()
    options = {"flvflags": "no_sequence_end+no_metadata"} if container == "flv" else {}
    with av.open(str(path)) as source, av.open(data, "w", container, options=options) as target:
        kept = [*source.streams.video, *(source.streams.audio if sound else ())]
        copies = {one.index: target.add_stream_from_template(one) for one in kept}
        for packet in source.demux(*kept):
            if packet.dts is None or packet.pts is None:
                continue
            later = round(begins_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + later, packet.dts + later
            packet.stream = copies[packet.stream.index]
            target.mux(packet)
    return data.getvalue()


def of_packets(files: dict[str, Path], *codecs: str | None) -> bytes:
    """MPEG-TS of some seconds with each of these codecs of sound; None stands for no sound."""
    return b"".join(parted(files, "mpegts", codecs))


def of_tags(files: dict[str, Path], *codecs: str | None) -> bytes:
    """The same as FLV, whose head says that there is sound."""
    tags = [part[13:] for part in parted(files, "flv", codecs)]
    return b"FLV\x01\x05\x00\x00\x00\x09" + bytes(4) + b"".join(tags)


def parted(
    files: dict[str, Path], container: str, codecs: tuple[str | None, ...]
) -> Iterator[bytes]:
    for number, codec in enumerate(codecs):
        begins_s = number * _NUM_FRAMES / 30
        yield muxed(files[codec or "aac"], container, begins_s, sound=codec is not None)


def presences(data: bytes) -> list[str]:
    found = through_pipes(data)
    assert isinstance(found[-1], DecoderEnd)
    assert found[-1].reason == "end"
    return [one.presence for one in found if isinstance(one, StreamClip)]


@pytest.mark.parametrize("container", [of_packets, of_tags])
@pytest.mark.parametrize("codecs", [(None, "aac"), ("aac", "mp3"), ("mp3", None, "aac")])
def test_sound_that_begins_or_changes_within_a_connection_is_heard(
    files: dict[str, Path], container: Callable[..., bytes], codecs: tuple[str | None, ...]
) -> None:
    found = presences(container(files, *codecs))
    num = len(found) // len(codecs)
    for number, codec in enumerate(codecs):
        # Of the window in which it changes a part is heard.
        within = found[num * number + 1 : num * (number + 1) - 1]
        assert within == ["present" if codec else "absent"] * (num - 2)


def parts_of(data: bytes, size: int) -> list[tuple[bool, bytes]]:
    """What a stream is divided into, told by what begins there, that comes in pieces."""
    cutter = cutter_of(data)
    found: list[tuple[bool, bytes]] = [(False, b"")]
    for start in range(0, len(data), size):
        for begins, part in cutter.cut(data[start : start + size]):
            found = [*found, (True, part)] if begins else [*found[:-1], join(found[-1], part)]
    return [*found[:-1], join(found[-1], cutter.rest())]


def join(before: tuple[bool, bytes], part: bytes) -> tuple[bool, bytes]:
    return before[0], before[1] + part


@pytest.mark.parametrize(("container", "kind"), [(of_packets, Packets), (of_tags, Tags)])
def test_a_stream_is_divided_wherever_its_bytes_are(
    files: dict[str, Path], container: Callable[..., bytes], kind: type
) -> None:
    data = container(files, None, "aac", None, "mp3", "mp3")
    assert isinstance(cutter_of(data), kind)
    whole = parts_of(data, len(data))
    assert [one[0] for one in whole] == [False, True, True]
    assert all(parts_of(data, size) == whole for size in (1000, 4099, 2**16))
    # Each part can be read by itself, and nothing of it is left out.
    size = sum(len(part) for _, part in whole)
    assert 0 < size - len(data) < 500
    least = 48_000 * (_NUM_FRAMES - 6) // 30
    for (_, part), codec in zip(whole[1:], ("aac", "mp3float"), strict=True):
        with av.open(io.BytesIO(part), "r") as file:
            assert [one.codec_context.name for one in file.streams.audio] == [codec]
            assert sum(frame.samples for frame in file.decode(audio=0)) > least


@pytest.mark.parametrize("container", [of_packets, of_tags])
def test_what_is_hostile_comes_out_as_it_came(
    files: dict[str, Path], container: Callable[..., bytes]
) -> None:
    data = container(files, None, "aac")
    rng = np.random.default_rng(0)
    for _ in range(20):
        spoilt = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(300, len(data), 200)
        spoilt[places] = rng.integers(0, 256, len(places))
        given = spoilt.tobytes()
        found = parts_of(given, 5000)
        assert found[-1][1][-1000:] == given[-1000:]
        if len(found) == 1:
            assert found[0][1] == given


def test_sound_that_is_announced_and_does_not_come_is_not_waited_for(
    files: dict[str, Path],
) -> None:
    data, is_seen = of_tags(files, None, None), threading.Event()

    def parts() -> Iterator[bytes]:
        yield data
        is_seen.wait(60)

    ends = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
    twin = Twin((ends[0][1], ends[1][1]))
    with serving() as server:
        server.routes["/a.flv"] = chunked(parts, "video/x-flv")
        bounds = Bounds(timeout_s=60.0, max_segment_mb=1.0)
        fetch = Fetch(server.url("/a.flv"), Rules(allow_private=True), bounds)
        threading.Thread(target=_fetched, args=(fetch, twin), daemon=True).start()
        task = DecodingTask(None, FORMAT, LIMITS, 4096)
        messages = decoded(task, (ends[0][0], ends[1][0]))
        first = [next(messages) for _ in range(2)]
        was_open = not is_seen.is_set()
        is_seen.set()
        twin.close()
        rest = list(messages)
    assert was_open
    assert [type(one) for one in first] == [Heading, StreamClip]
    assert sum(isinstance(one, StreamClip) for one in rest) > 10
