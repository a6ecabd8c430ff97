"""Times by a player's clock: every second of a file is a clip or a stretch with a reason."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.footage import canonical, foreign
from pipeline.footage.canonical import Canonical
from pipeline.footage.foreign.clocks import Decoded, FrameTimeline, TimedFrame
from pipeline.store import video
from tests.conftest import moving_frames
from tests.footage.test_as_shown import assert_whole
from tests.made import scene, write_video

CLIP = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)
LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)
NO_B_FRAMES = {"x264-params": "bframes=0:keyint=15:scenecut=0"}


def made(path: Path) -> Canonical:
    result = canonical.canonicalise(path, CLIP, 8, LIMITS)
    assert_whole(result)
    return result


def numbered(num_frames: int, size: int = 64) -> np.ndarray:
    """Frames over a moving texture whose number stands as a grey level in their middle."""
    frames = moving_frames(0, num_frames, size).copy()
    for number, frame in enumerate(frames):
        frame[16:48, 16:48] = 8 + 4 * number
    return frames


def numbers(result: Canonical) -> list[int]:
    """The numbers that all clips show, one after the other."""
    found = []
    for window in result.windows:
        middle = video.decode(window.mp4)[:, 24:40, 24:40].mean((1, 2, 3))
        found += [round((float(level) - 8) / 4) for level in middle]
    return found


def test_recordings_joined_byte_by_byte_go_on_after_a_break(tmp_path: Path) -> None:
    one = write_video(tmp_path / "1.ts", numbered(24), rate=15, options=NO_B_FRAMES)
    two = write_video(tmp_path / "2.ts", numbered(24), rate=15, options=NO_B_FRAMES)
    path = tmp_path / "joined.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    result = made(path)
    assert result.duration_s == pytest.approx(48 / 15, abs=0.1)
    assert numbers(result) == [*range(24), *range(24)]
    assert "times_go_back" in result.marks
    assert "damaged" not in result.marks


def placed(times_s: list[float], zero_s: float | None = None) -> tuple[list[TimedFrame], set[str]]:
    marks: set[str] = set()
    timeline = FrameTimeline(zero_s, 0.1, 600, marks)
    frames = ((None, Decoded(number, time_s)) for number, time_s in enumerate(times_s))
    return list(timeline.place(frames)), marks


def test_frames_out_of_order_do_not_begin_the_clock_anew() -> None:
    found, marks = placed([0.0, 0.1, 0.3, 0.2, 0.4, 0.35, 0.36, 0.5])
    assert [one.number for one in found] == [0, 1, 2, 4, 7]
    assert not any(one.after_break for one in found)
    assert "times_go_back" in marks


@pytest.mark.parametrize("second", [[0.0, 0.1, 0.2], [0.35, 0.45, 0.55, 0.65, 0.75]])
def test_a_clock_that_begins_anew_goes_on_after_a_break(second: list[float]) -> None:
    first = [0.1 * number for number in range(8)] if second[0] else [5.0, 5.1, 5.2]
    found, marks = placed([*first, *second])
    assert [one.number for one in found] == list(range(len(first) + len(second)))
    assert [one.number for one in found if one.after_break] == [len(first)]
    assert all(one.end_s == pytest.approx(other.start_s) for one, other in pairwise(found))
    assert "times_go_back" in marks


def test_a_first_picture_that_is_a_little_late_is_shown_at_once_and_is_nothing_odd() -> None:
    found, marks = placed([0.08, 0.12, 0.16, 0.2], zero_s=0.0)
    assert [one.start_s for one in found] == pytest.approx([0.0, 0.12, 0.16, 0.2])
    assert marks == set()


def test_equal_times_are_one_picture() -> None:
    found, marks = placed([0.0, 0.0, 0.2, 0.2, 0.4])
    assert [one.number for one in found] == [0, 2, 4]
    assert marks == set()


def test_a_start_that_cannot_be_true_is_not_believed() -> None:
    found, marks = placed([95000.0, 95000.1, 95000.2], zero_s=0.0)
    assert found[0].start_s == 0
    assert "starts_late" not in marks


def test_pictures_that_start_after_the_sound_keep_their_time(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        stream = container.add_stream("libx264", rate=15)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.options = "yuv420p", NO_B_FRAMES
        for start in range(0, 32000, 800):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
            container.mux(sound.encode(frame))
        for number, image in enumerate(numbered(30)):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = 30 + number, Fraction(1, 15)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    result = made(path)
    assert "starts_late" in result.marks
    assert (result.dropped[0].start_s, result.dropped[0].reason) == (0, "starts_late")
    assert result.dropped[0].end_s == pytest.approx(2.0)
    assert [window.start_frame for window in result.windows] == [30, 38, 46]
    assert result.duration_s == pytest.approx(4.0, abs=0.01)


def test_pictures_that_cannot_be_decoded_yet_are_a_stretch_and_no_damage(tmp_path: Path) -> None:
    options = {"x264-params": "bframes=0:keyint=30:scenecut=0"}
    whole = write_video(tmp_path / "whole.ts", numbered(60), rate=15, options=options)
    data = whole.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    pictures = [
        i for i, one in enumerate(packets) if one[1] & 0x40 and one[3] & 0x20 and pid(one) == 256
    ]
    assert len(pictures) == 60
    tables = packets[: pictures[0]]
    path = tmp_path / "amid.ts"
    path.write_bytes(b"".join(tables + packets[pictures[12] :]))
    result = made(path)
    assert result.marks == ("starts_late",)
    assert [(one.start_s, one.reason) for one in result.dropped][:1] == [(0, "starts_late")]
    assert result.dropped[0].end_s == pytest.approx(18 / 15)
    assert numbers(result)[:3] == [30, 31, 32]
    assert result.duration_s == pytest.approx(48 / 15, abs=0.01)


def pid(packet: bytes) -> int:
    return (packet[1] & 31) << 8 | packet[2]


@pytest.mark.parametrize("rate", [15, 30, 60])
def test_an_elementary_stream_is_played_at_the_rate_that_it_states(
    tmp_path: Path, rate: int
) -> None:
    path = write_video(tmp_path / "raw.h264", numbered(60), rate=rate)
    result = made(path)
    assert result.fps == rate
    assert result.duration_s == pytest.approx(60 / rate)
    step = rate // 15
    assert numbers(result)[:8] == [step * number for number in range(8)]


@pytest.mark.parametrize(
    ("codec", "options"), [("libx264", {"bf": "3"}), ("mpeg4", {"bf": "2"}), ("mpeg4", {})]
)
def test_avi_shows_every_frame_in_its_slot(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    options = options | ({"crf": "10"} if codec == "libx264" else {"b": "8000000"})
    path = write_video(tmp_path / "a.avi", numbered(48), codec=codec, rate=15, options=options)
    result = made(path)
    assert numbers(result) == list(range(48))
    assert result.marks == ()


def test_a_timelapse_has_no_cuts_and_nothing_to_train_on(tmp_path: Path) -> None:
    frames = scene(0, 12, speed_px=6)
    path = write_video(tmp_path / "lapse.mp4", frames, [15 * i for i in range(12)], rate=15)
    result = made(path)
    assert result.cuts_s == ()
    assert result.windows == ()
    assert {one.reason for one in result.dropped} <= {"few_pictures", "still", "too_short"}


def test_a_slow_camera_is_cut_only_where_the_scene_changes(tmp_path: Path) -> None:
    frames = np.concatenate([scene(0, 12), scene(1, 12)])
    path = write_video(tmp_path / "slow.mp4", frames, [3 * i for i in range(24)], rate=15)
    result = made(path)
    assert result.cuts_s == (pytest.approx(36 / 15),)
    assert len(result.windows) == 8
