from __future__ import annotations

import hashlib
import logging
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.copies import fingerprint
from pipeline.footage import canonical, foreign
from pipeline.footage.canonical import Canonical, canonicalise
from pipeline.store import video
from pipeline.store.sound import SOUND_HZ, Samples, encode
from tests.conftest import moving_frames
from tests.made import scene, write_video, write_with_sound

CLIP = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)
LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)


def made(path: Path, stride_frames: int = 8, limits: foreign.DecodingLimits = LIMITS) -> Canonical:
    return canonicalise(path, CLIP, stride_frames, limits)


def starts(result: Canonical) -> list[int]:
    return [window.start_frame for window in result.windows]


def drops(result: Canonical) -> list[tuple[int, int, str]]:
    fps = CLIP.fps
    return [
        (round(one.start_s * fps), round(one.end_s * fps), one.reason) for one in result.dropped
    ]


def test_a_file_becomes_clips_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(0, 30), rate=15)
    result = made(path)
    assert starts(result) == [0, 8, 16]
    assert drops(result) == [(24, 30, "too_short")]
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.num_bytes == path.stat().st_size
    assert (result.codec, result.pixel_format) == ("h264", "yuv420p")
    assert (result.width, result.height, result.fps) == (128, 96, 15.0)
    assert result.duration_s == pytest.approx(2.0)
    assert result.marks == ()
    assert result.cuts_s == ()
    window = result.windows[0]
    assert window.box == (16, 0, 96, 96)
    frames = video.decode(window.mp4)
    assert frames.shape == (8, 64, 64, 3)
    assert window.fingerprint.shape == (fingerprint.num_hashes(8), 2, fingerprint.HASH_BYTES)
    assert len({window.pixels_sha256 for window in result.windows}) == 3


def test_of_what_ffmpeg_says_while_clips_are_made_errors_alone_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / "a.avi", scene(0, 30), rate=15, codec="mjpeg", pix_fmt="yuvj420p")
    caplog.set_level(logging.NOTSET, "libav")
    caplog.clear()
    assert len(made(path).windows) == 3
    av.logging.log(av.logging.WARNING, "filter", "a guess")
    av.logging.log(av.logging.ERROR, "filter", "an error")
    assert caplog.messages == ["an error"]


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(0, 30), rate=15)
    first, second = made(path), made(path)
    assert [window.mp4 for window in first.windows] == [window.mp4 for window in second.windows]


def test_windows_straddle_no_cut(tmp_path: Path) -> None:
    frames = np.concatenate([scene(0, 21), scene(1, 19)])
    result = made(write_video(tmp_path / "cut.mp4", frames, rate=15))
    assert result.cuts_s == (pytest.approx(21 / 15),)
    assert starts(result) == [0, 8, 21, 29]
    assert drops(result) == [(16, 21, "too_short"), (37, 40, "too_short")]


def test_overlapping_windows_straddle_no_cut_and_leave_no_hole(tmp_path: Path) -> None:
    frames = np.concatenate([scene(0, 21), scene(1, 16)])
    result = made(write_video(tmp_path / "cut.mp4", frames, rate=15), stride_frames=4)
    assert starts(result) == [0, 4, 8, 12, 21, 25, 29]
    assert drops(result) == [(20, 21, "too_short")]


def test_a_flash_at_the_edge_of_a_window_stays_at_its_frame(tmp_path: Path) -> None:
    frames = scene(2, 24, speed_px=2)
    frames[8] = 250
    result = made(write_video(tmp_path / "flash.mp4", frames, rate=15))
    assert starts(result) == [0, 8, 16]
    means = [video.decode(window.mp4).mean((1, 2, 3)) for window in result.windows]
    assert np.argmax(np.concatenate(means)) == 8
    assert result.cuts_s == ()


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"),
    [(20, 20, 0, 0), (0, 0, 40, 40), (10, 30, 0, 0), (16, 16, 16, 48)],
)
def test_bars_are_cut_off(tmp_path: Path, top: int, bottom: int, left: int, right: int) -> None:
    frames = np.zeros((16, 96, 160, 3), np.uint8)
    inside = slice(top, 96 - bottom), slice(left, 160 - right)
    frames[(slice(None), *inside)] = scene(3, 16, 96, 160)[(slice(None), *inside)] // 2 + 100
    result = made(write_video(tmp_path / "bars.mp4", frames, rate=15, options={"crf": "14"}))
    for window in result.windows:
        x, y, width, height = window.box
        assert left <= x
        assert top <= y
        assert x + width <= 160 - right
        assert y + height <= 96 - bottom
        short = min(96 - top - bottom, 160 - left - right)
        assert short - 5 <= min(width, height) <= short
        shown = video.decode(window.mp4).astype(float)
        edges = [shown[:, 0], shown[:, -1], shown[:, :, 0], shown[:, :, -1]]
        assert min(edge.mean() for edge in edges) > 80


def test_black_and_still_stretches_are_dropped_with_their_times(tmp_path: Path) -> None:
    title = np.repeat(scene(5, 1), 20, axis=0)
    frames = np.concatenate([np.zeros((16, 96, 128, 3), np.uint8), scene(4, 16), title])
    result = made(write_video(tmp_path / "s.mp4", frames, rate=15))
    assert starts(result) == [16, 24]
    assert drops(result) == [(0, 16, "black"), (32, 48, "still"), (48, 52, "too_short")]


def test_the_noise_of_a_camera_that_stands_still_is_kept(tmp_path: Path) -> None:
    frames = scene(6, 24, speed_px=0, noise=3)
    path = write_video(tmp_path / "n.mp4", frames, rate=15, options={"crf": "16"})
    assert len(made(path).windows) == 3


def test_damage_drops_its_windows_and_no_others(tmp_path: Path) -> None:
    import av

    options = {"x264-params": "keyint=8:scenecut=0:bframes=0"}
    path = write_video(tmp_path / "hole.mkv", scene(0, 48), rate=15, options=options)
    with av.open(str(path)) as container:
        victim = bytes([packet for packet in container.demux(video=0) if packet.size][18])
    data = path.read_bytes()
    path.write_bytes(data.replace(victim, bytes(len(victim))))
    result = made(path)
    assert "damaged" in result.marks
    damaged = [one for one in drops(result) if one[2] == "damaged"]
    assert len(damaged) == 1
    first, last, _ = damaged[0]
    assert 16 <= first <= 18
    assert last == 24
    assert starts(result) == [0, 8, 24, 32, 40]


def test_the_last_window_of_a_truncated_file_is_dropped(tmp_path: Path) -> None:
    options = {"movflags": "+faststart"}
    path = write_video(
        tmp_path / "short.mp4", moving_frames(0, 60, 96), rate=15, container_options=options
    )
    whole = starts(made(path))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    result = made(path)
    assert "ends_early" in result.marks
    assert starts(result) == whole[: len(starts(result))]
    assert len(starts(result)) * 8 / 15 <= result.duration_s - 8 / 15
    assert {one.reason for one in result.dropped} & {"ends_early", "damaged"}


def test_gaps_divide_and_are_told(tmp_path: Path) -> None:
    times = [*range(8), *range(15 * 100, 15 * 100 + 8)]
    result = made(write_video(tmp_path / "gap.mkv", scene(0, 16), times, rate=15))
    assert starts(result) == [0, 1500]
    assert drops(result) == [(8, 1500, "gap")]


def test_boxes_are_in_displayed_pixels(tmp_path: Path) -> None:
    path = write_video(tmp_path / "wide.mp4", scene(0, 8, 96, 128), rate=15, aspect=Fraction(2, 1))
    result = made(path)
    assert (result.width, result.height) == (128, 96)
    left, top, width, height = result.windows[0].box
    assert (width, height) == (96, 96)
    assert abs(left - 80) <= 2
    assert top == 0


def test_what_would_give_too_many_bytes_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(0, 60), rate=15)
    with pytest.raises(foreign.DecodeError) as caught:
        made(path, limits=foreign.DecodingLimits(4096 * 4096, 600, max_output_mb=0.002))
    assert caught.value.reason == "too_much_output"


def test_what_would_give_too_many_bytes_of_sound_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 4 * SOUND_HZ))
    path = tmp_path / "a.mkv"
    write_with_sound(path, moving_frames(0, 60), noise, codec="flac", rate=SOUND_HZ, fps=15)
    windows = made(path).windows
    pictures_mb = sum(len(window.mp4) for window in windows) / 1e6
    sounds_mb = sum(len(window.flac or b"") for window in windows) / 1e6
    assert sounds_mb > 0.15
    encoded: list[bytes] = []

    def counted(samples: Samples) -> bytes:
        encoded.append(encode(samples))
        return encoded[-1]

    monkeypatch.setattr("pipeline.footage.sound.encode", counted)

    def of(max_output_mb: float, *, with_sound: bool = True) -> list[bytes | None]:
        limits = replace(LIMITS, max_output_mb=max_output_mb + 1e-6)
        result = canonicalise(path, CLIP, 8, limits, with_sound=with_sound)
        return [window.flac for window in result.windows]

    assert of(pictures_mb + sounds_mb) == [window.flac for window in windows] == encoded
    encoded.clear()
    with pytest.raises(foreign.DecodeError, match="its clips take more than") as caught:
        of(pictures_mb + 0.4 * sounds_mb)
    assert caught.value.reason == "too_much_output"
    assert len(encoded) == 3
    assert of(pictures_mb, with_sound=False) == [None] * 7


def test_no_more_frames_are_held_than_a_clip_and_the_look_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import weakref

    alive: weakref.WeakSet[object] = weakref.WeakSet()
    most = 0

    class Counted(foreign.ScreenFrame):
        pass

    real = foreign.Video.pictures

    def counted(source: foreign.Video, fps: float):
        nonlocal most
        for picture in real(source, fps):
            one = Counted(*(getattr(picture, f.name) for f in fields(foreign.ScreenFrame)))
            alive.add(one)
            most = max(most, len(alive))
            yield one

    monkeypatch.setattr(foreign.Video, "pictures", counted)
    made(write_video(tmp_path / "long.mp4", scene(0, 120), rate=15))
    assert most <= CLIP.num_frames + canonical.scenes.NUM_AROUND + 2


def test_a_film_of_many_sizes_is_divided_where_they_change(tmp_path: Path) -> None:
    data = b""
    for size in (64, 128):
        part = tmp_path / f"{size}.m1v"
        write_video(part, scene(size, 40, size, size), codec="mpeg1video", rate=30)
        data += part.read_bytes()
    path = tmp_path / "two.mpg"
    path.write_bytes(data)
    result = made(path)
    assert len(result.windows) >= 3
    assert {window.box[2] for window in result.windows} == {64, 128}
    assert "changes_shape" in result.marks
