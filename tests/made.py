"""Video files that tests make."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_video(
    path: Path,
    frames: Sequence[np.ndarray] | np.ndarray,
    times: Sequence[int] | None = None,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 30,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    format: str = "rgb24",
) -> Path:
    """Write uint8 (T, H, W, 3) RGB frames, shown at `times` in 1/rate seconds.

    `tags` are attributes of the encoder that only describe the pixels: colorspace, color_trc, ….
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        height, width = frames[0].shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = Fraction(1, rate)
        stream.options = options or {}
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for image, pts in zip(frames, times or range(len(frames)), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=format)
            frame.pts, frame.time_base = pts, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def grey(levels: Sequence[int], height: int = 64, width: int = 64) -> np.ndarray:
    return np.stack([np.full((height, width, 3), level, np.uint8) for level in levels])


def scene(
    seed: int,
    num_frames: int = 30,
    height: int = 96,
    width: int = 128,
    speed_px: float = 1.0,
    noise: float = 1.5,
) -> np.ndarray:
    """uint8 (T, H, W, 3): a camera that passes over coloured blocks, different for each seed."""
    rng = np.random.default_rng(seed)
    palette = rng.uniform(20, 235, (5, 3))
    length = width * 2 + int(abs(speed_px) * num_frames) + 16
    blocks = palette[rng.integers(0, 5, (height // 8 + 2, length // 8 + 2))]
    wide = np.kron(blocks, np.ones((8, 8, 1)))[: height + 8]
    frames = []
    for number in range(num_frames):
        left = round(number * speed_px)
        image = wide[4 : 4 + height, left : left + width]
        frames.append(image + rng.normal(0, noise, image.shape))
    return np.stack(frames).clip(0, 255).astype(np.uint8)


def write_with_sound(
    path: Path,
    frames: np.ndarray,
    sound: np.ndarray,
    *,
    codec: str,
    video_codec: str = "libx264",
    rate: int = 48_000,
    fps: int = 30,
    sound_start_s: float = 0.0,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write uint8 (T, H, W, 3) RGB frames and float (channels, n) sound in −1 to 1."""
    eight = "7.1(wide)" if codec == "alac" else "7.1"
    layout = {1: "mono", 2: "stereo", 6: "5.1", 7: "6.1", 8: eight, 16: "hexadecagonal"}[len(sound)]
    with av.open(str(path), "w", options=container_options or {}) as container:
        video = container.add_stream(video_codec, rate=fps)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuvj420p" if video_codec == "mjpeg" else "yuv420p"
        video.codec_context.time_base = Fraction(1, fps)
        audio = container.add_stream(codec, rate=rate, layout=layout)
        audio.bit_rate = 128_000
        audio.codec_context.time_base = Fraction(1, rate)
        # Of what 32 bits cannot hold a file of 64 bits is made.
        name, dtype = ("dbl", np.float64) if codec == "pcm_f64le" else ("flt", np.float32)
        whole = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound.T, dtype).reshape(1, -1), format=name, layout=layout
        )
        whole.sample_rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(
            format=audio.codec_context.format.name,
            layout=layout,
            rate=rate,
            frame_size=audio.codec_context.frame_size or 1024,
        )
        heard = [*resampler.resample(whole), *resampler.resample(None)]
        end = Fraction(0)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
            while heard and end <= Fraction(number, fps):
                one = heard.pop(0)
                end = Fraction(one.pts + one.samples, rate)
                one.pts += round(sound_start_s * rate)
                container.mux(audio.encode(one))
        container.mux(video.encode())
        for one in heard:
            one.pts += round(sound_start_s * rate)
            container.mux(audio.encode(one))
        container.mux(audio.encode())
    return path


def write_endless_track(path: Path, frames: np.ndarray, *, num_packets: int) -> Path:
    """Write uint8 (T, H, W, 3) RGB frames and a track whose packets all have the same time.

    A packet takes 40 bytes of the file, and three milliseconds to decode.
    """
    rate, layout, num_samples = 192_000, "7.1", 65_535
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=15)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("flac", rate=rate, layout=layout)
        audio.options = {"frame_size": str(num_samples)}
        audio.codec_context.open()
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 8 * num_samples), np.int16), format="s16", layout=layout
        )
        silence.sample_rate = rate
        (packet, *_) = [*audio.encode(silence), *audio.encode()]
        for image in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for _ in range(num_packets):
            again = av.Packet(bytes(packet))
            again.stream, again.time_base = audio, Fraction(1, rate)
            again.pts = again.dts = again.duration = 0
            container.mux(again)
    return path
