from __future__ import annotations

import contextlib
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.footage import foreign
from pipeline.footage.foreign import picture
from tests.conftest import moving_frames
from tests.made import grey, write_video

LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)
HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n"
SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5 RTP/AVP 96\n"
CODECS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "mpeg4", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("mkv", "libx265", "yuv420p10le"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("gif", "gif", "rgb8"),
    ("ts", "mpeg2video", "yuv420p"),
    ("mov", "prores_ks", "yuv422p10le"),
    ("flv", "flv", "yuv420p"),
]


def pictures(
    path: Path, fps: float = 15, limits: foreign.DecodingLimits = LIMITS
) -> list[foreign.ScreenFrame]:
    with foreign.Video(path, limits) as source:
        return list(source.pictures(fps))


def marks(path: Path) -> set[str]:
    with foreign.Video(path, LIMITS) as source:
        for _ in source.pictures(15):
            pass
        return source.marks


def levels(path: Path, fps: float = 15) -> list[int]:
    return [
        round(float(picture.frame.to_ndarray(format="gray").mean()), -1)
        for picture in pictures(path, fps)
    ]


def refusal(path: Path, limits: foreign.DecodingLimits = LIMITS) -> str:
    with pytest.raises(foreign.DecodeError) as caught:
        pictures(path, limits=limits)
    return caught.value.reason


@pytest.mark.parametrize(("container", "codec", "pix_fmt"), CODECS)
def test_every_container_and_codec_is_read_on_the_grid_of_15_fps(
    tmp_path: Path, container: str, codec: str, pix_fmt: str
) -> None:
    path = tmp_path / f"clip.{container}"
    write_video(path, moving_frames(0, 45), codec=codec, pix_fmt=pix_fmt)
    found = pictures(path)
    assert abs(len(found) - 22) <= 1
    assert [picture.index for picture in found] == list(range(len(found)))
    assert not any(picture.damaged for picture in found)
    assert marks(path) <= {"no_timestamps", "variable_rate"}


def test_variable_frame_rate_keeps_its_pace(tmp_path: Path) -> None:
    # Level 50 for one second, 100 for a tenth, 200 from then on.
    times = [*range(30), 30, 33, 36, 60]
    path = write_video(tmp_path / "v.mkv", grey([50] * 30 + [100, 200, 200, 200]), times)
    assert levels(path, 10)[:20] == [50] * 10 + [100] + [200] * 9
    assert "variable_rate" in marks(path)


def test_frames_without_timestamps_are_counted_by_rate(tmp_path: Path) -> None:
    path = tmp_path / "raw.m4v"
    write_video(path, grey([40, 80, 120, 160] * 10), codec="mpeg4", rate=25)
    found = pictures(path, 25)
    assert abs(len(found) - 40) <= 1


def test_a_jump_in_time_is_a_break_and_not_a_long_picture(tmp_path: Path) -> None:
    times = [*range(15), *range(30 * 300, 30 * 300 + 15)]
    path = write_video(tmp_path / "gap.mkv", moving_frames(0, 30), times)
    found = pictures(path)
    assert len(found) < 20
    after = [picture for picture in found if picture.after_break]
    assert [picture.index for picture in after] == [300 * 15]
    assert "gap" in marks(path)


def test_a_jump_beyond_the_longest_duration_is_a_break_that_takes_no_time(tmp_path: Path) -> None:
    times = [*range(30), *range(30 * 3600 * 100, 30 * 3600 * 100 + 30)]
    found = pictures(write_video(tmp_path / "far.mkv", moving_frames(0, 60), times))
    assert [picture.number for picture in found if picture.after_break] == [30]
    # Matroska rounds times to milliseconds.
    assert len(found) in (30, 31)
    assert found[-1].index == len(found) - 1


def test_what_lasts_beyond_the_longest_duration_is_refused(tmp_path: Path) -> None:
    times = [30 * 300 * number for number in range(4)]
    assert refusal(write_video(tmp_path / "long.mkv", moving_frames(0, 4), times)) == "too_long"


def test_times_that_go_back_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "back.nut"
    write_video(path, grey([50] * 6), codec="mjpeg", pix_fmt="yuvj420p", rate=30)
    data = bytearray(path.read_bytes())
    assert data
    with av.open(str(path)) as source, av.open(str(tmp_path / "back.avi"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert len(pictures(tmp_path / "back.avi", 30)) == 6


def test_a_stated_duration_of_years_is_marked_and_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "years.mkv", moving_frames(0, 30))
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", 1e12)
    path.write_bytes(data)
    assert len(pictures(path)) == 15
    assert "absurd_duration" in marks(path)


def test_absurd_pixel_shapes_are_taken_as_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "odd.mp4", moving_frames(0, 8), aspect=Fraction(9, 1))
    with foreign.Video(path, LIMITS) as source:
        assert source.aspect == 1
        assert "absurd_aspect" in source.marks
    path = write_video(tmp_path / "wide.mp4", moving_frames(0, 8), aspect=Fraction(2, 1))
    with foreign.Video(path, LIMITS) as source:
        assert source.aspect == 2


@pytest.mark.parametrize("name", ["cut.mkv", "cut.mp4", "cut.avi", "cut.webm"])
def test_a_truncated_file_is_marked(tmp_path: Path, name: str) -> None:
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(name[-4:].strip("."), "libx264")
    options = {"movflags": "+faststart"} if name.endswith("mp4") else {}
    path = tmp_path / name
    frames = np.concatenate([moving_frames(seed, 30) for seed in range(4)])
    write_video(path, frames, codec=codec, container_options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    assert {"ends_early", "damaged"} & marks(path)


def test_damage_lasts_until_the_next_key_frame(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=15:scenecut=0:bframes=2"}
    path = write_video(tmp_path / "hole.mkv", moving_frames(0, 90), options=options)
    with av.open(str(path)) as container:
        victim = bytes([packet for packet in container.demux(video=0) if packet.size][33])
    data = path.read_bytes()
    assert data.count(victim) == 1
    path.write_bytes(data.replace(victim, bytes(len(victim))))
    found = pictures(path, 30)
    damaged = [picture.index for picture in found if picture.damaged]
    assert damaged
    assert min(damaged) >= 25
    assert max(damaged) < 48
    assert "damaged" in marks(path)


def test_packets_without_a_byte_show_the_picture_before_and_are_no_damage(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.nut", tmp_path / "clip.nut"
    write_video(whole, moving_frames(0, 60), codec="mjpeg", pix_fmt="yuvj420p")
    with av.open(str(whole)) as file, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(file.streams.video[0])
        for number, packet in enumerate(file.demux(video=0)):
            if packet.dts is not None:
                kept = av.Packet(b"" if number % 4 == 3 else bytes(packet))
                kept.pts, kept.dts, kept.time_base = packet.pts, packet.dts, packet.time_base
                kept.stream = stream
                copy.mux(kept)
    with av.open(str(path)) as file:
        assert sum(not packet.size for packet in file.demux(video=0)) > 12
    found = pictures(path, 30)
    assert not any(picture.damaged for picture in found)
    assert "damaged" not in marks(path)
    assert [picture.number for picture in found[:8]] == [0, 1, 2, 2, 3, 4, 5, 5]


def test_good_footage_raises_no_alarm(footage: Path) -> None:
    names = ["real/gopro__gpmf-parser__karma.mp4", "real/intel-iot-devkit__sample-videos__bird.mkv"]
    for name in names:
        path = footage / name
        if path.is_file():
            assert not marks(path) & {"damaged", "ends_early", "times_go_back", "gap"}


def test_interlaced_frames_are_made_whole(tmp_path: Path) -> None:
    # A bar that moves between the two fields of each frame leaves combs.
    frames = np.zeros((20, 96, 128, 3), np.uint8)
    for number in range(20):
        for field in (0, 1):
            left = 8 + (2 * number + field) * 2
            frames[number, field::2, left : left + 16] = 220
    path = write_video(
        tmp_path / "fields.mp4", frames, options={"x264-params": "tff=1", "crf": "10"}
    )
    found = pictures(path, 30)
    assert len(found) == 20
    assert marks(path) == {"interlaced"}
    image = found[10].frame.to_ndarray(format="gray").astype(int)
    combs = np.abs(image[1:-1] - (image[:-2] + image[2:]) / 2).max()
    raw = frames[10, :, :, 0].astype(int)
    assert combs < np.abs(raw[1:-1] - (raw[:-2] + raw[2:]) / 2).max() / 2


def test_hdr_is_marked(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "hdr.mkv",
        moving_frames(0, 8),
        codec="libx265",
        pix_fmt="yuv420p10le",
        options={"x265-params": "transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc"},
    )
    assert "hdr" in marks(path)


def test_a_change_of_resolution_is_a_break(tmp_path: Path) -> None:
    path = two_sizes(tmp_path)
    found = pictures(path)
    assert {picture.frame.width for picture in found} == {64, 128}
    assert [picture.frame.width for picture in found if picture.after_break] == [128]


def two_sizes(folder: Path) -> Path:
    """An elementary stream in which 128 by 128 frames follow 64 by 64."""
    data = b""
    for size in (64, 128):
        part = folder / f"{size}.m1v"
        write_video(
            part, moving_frames(size, 30, size), codec="mpeg1video", rate=30, options={"g": "10"}
        )
        data += part.read_bytes()
    path = folder / "two.mpg"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("list.m3u8", HLS + b"other.mp4\n#EXT-X-ENDLIST\n", "playlist"),
        ("list.mp4", HLS + b"file:///etc/hosts\n", "playlist"),
        ("list.mp4", HLS + b"http://127.0.0.1:9/a.ts\n", "playlist"),
        ("list.mp4", b"ffconcat version 1.0\nfile other.mp4\n", "playlist"),
        ("list.sdp", SDP, "playlist"),
        ("text.mp4", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", "container"),
        ("meta.mp4", b";FFMETADATA1\ntitle=x\n", "container"),
        ("empty.mp4", b"", "decode_error"),
        ("noise.mp4", b"not a video" * 100, "decode_error"),
    ],
)
def test_what_is_no_video_is_refused_with_a_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    write_video(tmp_path / "other.mp4", moving_frames(0, 20))
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path) == reason


def test_a_pattern_of_numbered_images_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        write_video(tmp_path / f"{number}.png", grey([90]), codec="png", pix_fmt="rgb24")
    assert refusal(tmp_path / "%d.png") in {"playlist", "container"}
    assert refusal(tmp_path / "0.png") in {"playlist", "container"}


def test_audio_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert refusal(path) == "no_video"


def test_limits_on_size_and_length_are_kept(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_frames(0, 45))
    assert refusal(path, foreign.DecodingLimits(1000, 600)) == "too_large"
    assert refusal(path, foreign.DecodingLimits(10**6, 1)) == "too_long"


def test_a_stream_that_grows_is_refused_at_the_frame_that_is_too_large(tmp_path: Path) -> None:
    path = two_sizes(tmp_path)
    with foreign.Video(path, foreign.DecodingLimits(64 * 64, 600)) as source:
        found: list[foreign.ScreenFrame] = []
        with contextlib.suppress(foreign.DecodeError):
            found += source.pictures(15)
        assert all(picture.frame.width == 64 for picture in found)


def test_giants_are_reduced_before_they_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "MAX_HELD_PIXELS", 40 * 40)
    found = pictures(write_video(tmp_path / "giant.mp4", moving_frames(0, 8)))
    assert found[0].reduction == 2
    assert found[0].frame.width == 32
