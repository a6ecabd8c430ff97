from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.footage.canonical import Canonical, canonicalise
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.messages import DecoderEnd, Heading, Message, SkippedPictures, StreamClip
from pipeline.store import sound, video
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, write_footage
from tests.made import grey, scene, write_video


def messages(path: Path, clip: ClipFormat = FORMAT) -> list[Message]:
    return list(decoded(DecodingTask(path, clip, LIMITS, 4096), None))


def clips(path: Path) -> list[StreamClip]:
    return [one for one in messages(path) if isinstance(one, StreamClip)]


def ingested(path: Path) -> Canonical:
    return canonicalise(path, FORMAT, FORMAT.num_frames, LIMITS, as_shown=True)


def assert_same(path: Path) -> list[StreamClip]:
    """Whether a file gives the clips that ingest makes of files to score, to the last bit."""
    found = clips(path)
    made = ingested(path).windows
    assert len(found) == len(made) > 0
    for one, window in zip(found, made, strict=True):
        assert one.start_s == window.start_frame / FORMAT.fps
        assert np.array_equal(one.frames, video.decode(window.mp4))
        heard = np.zeros_like(one.sound) if window.flac is None else sound.decode(window.flac)
        assert np.array_equal(one.sound, heard)
        assert (one.presence, one.marks) == (window.presence, window.marks)
    return found


def test_clips_are_those_of_ingest_over_cuts_and_with_sound(tmp_path: Path) -> None:
    path = write_footage(tmp_path / "a.mp4", 75, 11, 50)
    found = assert_same(path)
    assert {one.presence for one in found} == {"present"}
    # The rest of a scene is shown once more with what came before it.
    assert any(np.diff([one.start_s for one in found]) < FORMAT.num_frames / FORMAT.fps - 1e-6)
    assert [one.begins for one in found] == [""] * len(found)


def test_clips_of_a_transport_stream_without_sound_are_those_of_ingest(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", scene(3, 100), rate=25)
    assert {one.presence for one in assert_same(path)} == {"absent"}


def test_a_scene_shorter_than_a_clip_has_its_last_picture_held(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(1, 9))
    assert [one.marks for one in assert_same(path)] == [("short",)]


def test_black_is_passed_over_and_tells_of_life(tmp_path: Path) -> None:
    frames = np.concatenate([scene(1, 64, 64, 64), grey([16] * 96), scene(1, 64, 64, 64)])
    path = write_video(tmp_path / "a.mp4", frames)
    found = messages(path)
    passed = [one for one in found if isinstance(one, SkippedPictures)]
    assert {one.reason for one in passed} == {"black"}
    assert len(passed) >= 5
    assert_same(path)


def test_a_message_tells_what_the_file_is_and_another_one_that_it_ends(tmp_path: Path) -> None:
    first, *_, last = messages(write_footage(tmp_path / "a.mp4", 40))
    assert first == Heading("mov,mp4,m4a,3gp,3g2,mj2", "h264", 128, 96, 30.0)
    assert last == DecoderEnd("end", "")


def test_a_gap_is_told(tmp_path: Path) -> None:
    times = [*range(60), *range(400, 460)]
    path = write_video(tmp_path / "a.mp4", scene(1, 120), times)
    found = [one for one in clips(path) if one.begins]
    assert [one.begins for one in found] == ["gap"]
    assert found[0].start_s == pytest.approx(400 / 30, abs=0.07)


def test_a_change_of_size_is_told(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / f"{size}.ts", scene(size, 60, size, size), format="rgb24")
        for size in (64, 96)
    ]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert {"size", "clock"} & {one.begins for one in clips(path)}


def test_sound_goes_on_after_a_clock_that_begins_anew(tmp_path: Path) -> None:
    part = write_footage(tmp_path / "part.ts", 75).read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(part + part)
    found = assert_same(path)
    after = [n for n, one in enumerate(found) if one.begins == "clock"]
    assert len(after) == 1
    assert found[after[0] + 1].presence == "present"


def test_what_is_no_video_has_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n")
    assert [one.reason for one in messages(path) if isinstance(one, DecoderEnd)] == ["playlist"]
