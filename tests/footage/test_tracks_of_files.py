"""Which track of a file is the video, and what of a decoder's complaints is damage."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.footage import foreign
from pipeline.footage.foreign import damage
from tests.conftest import moving_frames
from tests.made import grey, write_video

LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)


def seen(path: Path) -> tuple[list[foreign.ScreenFrame], set[str], int]:
    with foreign.Video(path, LIMITS) as source:
        pictures = list(source.pictures(30))
        return pictures, source.marks, source.width


def two_videos(path: Path, sizes: tuple[int, int], default: int, lengths: tuple[int, int]) -> Path:
    with av.open(str(path), "w") as container:
        streams = []
        for number, size in enumerate(sizes):
            stream = container.add_stream("libx264", rate=30)
            assert isinstance(stream, av.VideoStream)
            stream.width = stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.disposition = (
                av.stream.Disposition.default if number == default else av.stream.Disposition(0)
            )
            streams.append(stream)
        for stream, size, length in zip(streams, sizes, lengths, strict=True):
            for number, image in enumerate(moving_frames(0, length, size)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 30)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("default", "width"), [(0, 64), (1, 96)])
def test_the_stream_that_the_file_flags_as_its_default_is_taken(
    tmp_path: Path, default: int, width: int
) -> None:
    path = two_videos(tmp_path / "two.mkv", (64, 96), default, (30, 30))
    pictures, marks, found = seen(path)
    assert found == width
    assert len(pictures) == 30
    assert "several_videos" in marks


def test_a_stream_of_one_picture_is_passed_over_for_one_that_moves(tmp_path: Path) -> None:
    path = two_videos(tmp_path / "cover.mkv", (64, 96), 0, (1, 30))
    pictures, _, found = seen(path)
    assert found == 96
    assert len(pictures) == 30


def test_one_video_is_not_marked(tmp_path: Path) -> None:
    assert seen(write_video(tmp_path / "one.mp4", moving_frames(0, 30)))[1] == set()


def h264_units(folder: Path, frames: np.ndarray) -> list[bytes]:
    path = folder / "raw.h264"
    write_video(path, frames, options={"x264-params": "bframes=0:keyint=15:scenecut=0:slices=1"})
    units = re.split(b"\0\0\0?\1", path.read_bytes())
    return [unit for unit in units if unit]


def with_units(folder: Path, extra: bytes, before: str, name: str) -> Path:
    """An mp4 with `extra` before the unit of every picture, or of the first alone."""
    raw, count = b"", 0
    for unit in h264_units(folder, moving_frames(0, 45)):
        if unit[0] & 31 in (1, 5):
            raw += b"\0\0\0\1" + extra if before == "all" or count == 20 else b""
            count += 1
        raw += b"\0\0\0\1" + unit
    given = folder / "odd.h264"
    given.write_bytes(raw)
    path = folder / name
    with (
        av.open(str(given), options={"framerate": "30"}) as source,
        av.open(str(path), "w") as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.time_base = Fraction(1, 30)
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            packet.stream, packet.time_base = stream, Fraction(1, 30)
            packet.pts = packet.dts = number
            target.mux(packet)
    return path


SEI_TOO_LONG = bytes([6, 5, 162]) + b"\x5a" * 120 + b"\x80"
SEI_UNKNOWN = bytes([6, 240, 4]) + b"abcd\x80"
DELIMITER = bytes([9, 240])


@pytest.mark.parametrize("before", ["all", "one"])
@pytest.mark.parametrize("extra", [SEI_TOO_LONG, SEI_UNKNOWN, DELIMITER, SEI_TOO_LONG * 2])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_what_is_wrong_between_pictures_is_no_damage(
    tmp_path: Path, extra: bytes, before: str, name: str
) -> None:
    pictures, marks, _ = seen(with_units(tmp_path, extra, before, name))
    # Matroska rounds times to milliseconds.
    assert len(pictures) in (45, 46)
    assert not any(picture.damaged for picture in pictures)
    assert not marks & {"damaged", "ends_early"}


@pytest.mark.parametrize(
    "segment", [b"\xff\xef\x00\x04\x00\x00", b"\xff\xe1\x00\x03\x00", b"\xff\xfe\x00\x02"]
)
def test_short_segments_of_a_jpeg_are_no_damage(tmp_path: Path, segment: bytes) -> None:
    plain = tmp_path / "plain.avi"
    write_video(plain, moving_frames(0, 30), codec="mjpeg", pix_fmt="yuvj420p")
    path = tmp_path / "odd.avi"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                data = bytes(packet)
                odd = av.Packet(data[:2] + segment + data[2:] + bytes(300))
                odd.pts, odd.dts, odd.time_base = packet.pts, packet.dts, packet.time_base
                odd.is_keyframe, odd.stream = True, stream
                target.mux(odd)
    pictures, marks, _ = seen(path)
    assert len(pictures) == 30
    assert not marks & {"damaged", "ends_early"}


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("error while decoding MB 3 4, bytestream 12", True),
        ("Could not find ref with POC 8", True),
        ("Missing reference picture, default is 0", True),
        ("slice CRC mismatch 1A2B!", True),
        ("overread 8", True),
        ("Skipping invalid undecodable NALU: 1", True),
        ('Failed to parse header of NALU (type 5): "…". Skipping NALU.', True),
        ('Failed to parse header of NALU (type 6): "…". Skipping NALU.', False),
        ("Skipping invalid undecodable NALU: 40", False),
        ("SEI type 5 size 1296 truncated at 976", False),
        ("unable to decode APP fields: Invalid data found when processing input", False),
        ("EOI missing, emulating", False),
        ("Overread VUI by 8 bits", False),
        ("no frame!", False),
    ],
)
def test_only_lines_about_pictures_tell_of_damage(text: str, tells: bool) -> None:
    assert damage.tells_of_pictures([(16, "h264", text)]) is tells


def test_damage_lasts_from_the_key_frame_before_to_the_next_clean_one() -> None:
    found = damage.Damage()
    for number in range(12):
        is_key = number % 4 == 0
        found.pushed(is_key=is_key, pts=number, is_bad=number == 6)
        found.shown(number, is_key=is_key, pts=number, is_corrupt=False)
    assert [found.touches(number, number) for number in range(12)] == [
        4 <= number < 8 for number in range(12)
    ]


def test_what_comes_before_the_first_key_frame_is_no_damage() -> None:
    found = damage.Damage()
    found.pushed(is_key=False, pts=0, is_bad=True)
    assert not found.was_found
    found.pushed(is_key=True, pts=1, is_bad=True)
    assert found.was_found


def test_a_cover_of_a_song_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        assert isinstance(cover, av.VideoStream)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(grey([90])[0], format="rgb24")
        container.mux(cover.encode(frame))
        container.mux(cover.encode())
    with pytest.raises(foreign.DecodeError) as caught:
        seen(tmp_path / "song.mp4")
    assert caught.value.reason == "no_video"
