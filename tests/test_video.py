from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline import video
from tests.conftest import moving_frames

LIMITS = video.Limits(max_pixels=4096 * 4096, max_duration_s=600)
CODECS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "mpeg4", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("mkv", "libx265", "yuv420p10le"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("gif", "gif", "rgb8"),
]


def write_video(
    path: Path,
    frames: np.ndarray,
    times: list[int],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    time_base: Fraction = Fraction(1, 30),
    aspect: Fraction | None = None,
) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pix_fmt
        stream.codec_context.time_base = time_base
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for image, pts in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = pts, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def grey(levels: list[int], height: int = 64, width: int = 64) -> np.ndarray:
    return np.stack([np.full((height, width, 3), level, np.uint8) for level in levels])


def resampled(path: Path, fps: float = 15, size: int = 32) -> np.ndarray:
    return np.stack(list(video.resample(path, fps, size, LIMITS)))


def test_encoding_gives_the_same_bytes_after_other_work_in_the_same_process() -> None:
    frames = moving_frames(0, 16, 128)
    first = video.encode(frames, 15)
    video.encode(moving_frames(1, 40, 64), 30, crf=30)
    assert video.encode(frames, 15) == first


def test_a_clip_survives_encoding_at_more_than_30_db() -> None:
    frames = moving_frames(0, 16, 128)
    error = (video.decode(video.encode(frames, 15)).astype(float) - frames) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 30


@pytest.mark.parametrize(("container", "codec", "pix_fmt"), CODECS)
def test_every_container_and_codec_is_resampled_to_15_fps(
    tmp_path: Path, container: str, codec: str, pix_fmt: str
) -> None:
    path = tmp_path / f"clip.{container}"
    write_video(path, moving_frames(0, 45), list(range(45)), codec=codec, pix_fmt=pix_fmt)
    frames = resampled(path)
    assert abs(len(frames) - 22) <= 1
    assert frames.shape[1:] == (32, 32, 3)
    assert frames.std() > 20


def test_odd_sizes_are_cut_to_the_centre_square(tmp_path: Path) -> None:
    frames = np.zeros((4, 63, 101, 3), np.uint8)
    frames[:, :, 19:82] = 200
    path = tmp_path / "odd.mp4"
    write_video(path, frames, list(range(4)), codec="mpeg4")
    assert resampled(path, size=16)[:, :, 2:-2].min() > 170


def test_variable_frame_rate_keeps_its_pace(tmp_path: Path) -> None:
    path = tmp_path / "vfr.mkv"
    # Level 50 for one second, 100 for a tenth, 200 from then on.
    times = [*range(30), 30, 33, 36, 60]
    write_video(path, grey([50] * 30 + [100, 200, 200, 200]), times)
    levels = resampled(path, fps=10).mean((1, 2, 3)).round(-1)
    assert levels.tolist()[:20] == [50] * 10 + [100] + [200] * 9


def test_pixel_aspect_ratio_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "anamorphic.mp4"
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    frames[:, :, 16:48] = 200
    write_video(path, frames, list(range(4)), aspect=Fraction(2, 1))
    assert resampled(path, size=32)[0, :, 2:-2].min() > 150


def test_rotation_metadata_is_applied(tmp_path: Path) -> None:
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    frames[:, :32, :32] = 200
    data = video.encode(frames, 15)
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    track = data.index(b"tkhd")
    at = data.index(identity, track)
    path = tmp_path / "rotated.mp4"
    path.write_bytes(data[:at] + clockwise + data[at + len(clockwise) :])
    turned = resampled(path)[0]
    assert turned[4:12, 20:28].mean() > 150, "the top left must be at the top right"
    assert turned[4:12, 4:12].mean() < 50


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "decode_error"),
        (b"not a video" * 100, "decode_error"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "decode_error"),
    ],
)
def test_what_is_no_video_is_refused_with_a_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(video.DecodeError) as caught:
        resampled(path)
    assert caught.value.reason == reason


def test_limits_on_size_and_length_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(video.encode(moving_frames(0, 45), 15))
    with pytest.raises(video.DecodeError, match="64x64"):
        list(video.resample(path, 15, 32, video.Limits(1000, 600)))
    with pytest.raises(video.DecodeError, match="past 1 s"):
        list(video.resample(path, 15, 32, video.Limits(10**6, 1)))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    data = video.encode(moving_frames(0, 45), 15)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(video.DecodeError):
        resampled(path)


def test_audio_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path.write_bytes(buffer.getvalue())
    with pytest.raises(video.DecodeError) as caught:
        resampled(path)
    assert caught.value.reason == "no_video"
