"""What a player shows is scored, however damaged or short it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.footage import canonical, foreign
from pipeline.footage.canonical import Canonical
from pipeline.footage.collection import IndexRow, write_index
from pipeline.footage.ingestion import ingest
from pipeline.footage.tombstones import forgotten
from pipeline.store import video
from pipeline.store.manifest import FILES, File, read_manifest, read_rows
from tests.made import grey, scene, write_video

CLIP = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)
LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)
CODECS = [
    ("mp4", "libx264", "yuv420p", {}),
    ("ts", "libx264", "yuv420p", {}),
    ("mkv", "libx264", "yuv420p10le", {}),
    ("avi", "mpeg4", "yuv420p", {}),
    ("avi", "mjpeg", "yuvj420p", {}),
    ("webm", "libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
    ("mkv", "libsvtav1", "yuv420p", {"preset": "10", "g": "10"}),
]


def made(path: Path, as_shown: bool = True) -> Canonical:
    return canonical.canonicalise(path, CLIP, 8, LIMITS, as_shown=as_shown)


def assert_whole(result: Canonical) -> None:
    """Clips and dropped stretches together are the whole duration."""
    length_s = CLIP.num_frames / CLIP.fps
    stretches = sorted(
        [
            *(
                (w.start_frame / CLIP.fps, w.start_frame / CLIP.fps + length_s)
                for w in result.windows
            ),
            *((one.start_s, one.end_s) for one in result.dropped),
        ]
    )
    end_s = 0.0
    for start_s, until_s in stretches:
        assert start_s <= end_s + 2e-3
        end_s = max(end_s, until_s)
    assert end_s >= result.duration_s - 2e-3


@pytest.mark.parametrize(("container", "codec", "pixels", "options"), CODECS)
def test_one_flipped_bit_never_keeps_a_file_from_being_scored(
    tmp_path: Path, container: str, codec: str, pixels: str, options: dict[str, str]
) -> None:
    whole = tmp_path / f"whole.{container}"
    write_video(whole, scene(0, 40), codec=codec, pix_fmt=pixels, rate=15, options=options)
    data = whole.read_bytes()
    damaged = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        flipped = bytearray(data)
        flipped[int(len(data) * rng.uniform(0.3, 0.7))] ^= 1 << int(rng.integers(8))
        path = tmp_path / f"{seed}.{container}"
        path.write_bytes(flipped)
        result = made(path)
        assert result.windows
        assert_whole(result)
        told = any("damaged" in window.marks for window in result.windows)
        assert told <= ("damaged" in result.marks)
        damaged += told
        trained = made(path, as_shown=False)
        assert_whole(trained)
        assert not any(window.marks for window in trained.windows)
    if codec == "libx264" and container == "mp4":
        assert damaged


def test_damaged_stretches_are_told_apart_from_sound_ones(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=16:scenecut=0:bframes=0"}
    path = write_video(tmp_path / "hole.mkv", scene(0, 64), rate=15, options=options)
    assert [window.marks for window in made(path).windows] == [()] * 8
    import av

    with av.open(str(path)) as container:
        victim = bytes([packet for packet in container.demux(video=0) if packet.size][20])
    data = path.read_bytes()
    path.write_bytes(data.replace(victim, bytes(len(victim))))
    result = made(path)
    marks = {window.start_frame: window.marks for window in result.windows}
    assert marks[16] == marks[24] == ("damaged",)
    assert marks[0] == marks[32] == marks[48] == ()
    assert "damaged" in result.marks
    assert all(not 16 <= w.start_frame < 32 for w in made(path, as_shown=False).windows)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"), [("a.gif", "gif", "rgb8"), ("a.mp4", "libx264", "yuv420p")]
)
def test_what_is_shorter_than_a_clip_is_scored_with_its_last_picture_held(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    path = write_video(tmp_path / name, scene(0, 5), codec=codec, pix_fmt=pixels, rate=15)
    assert made(path, as_shown=False).windows == ()
    result = made(path)
    assert "short" in result.marks
    (window,) = result.windows
    assert window.marks == ("short",)
    frames = video.decode(window.mp4).astype(int)
    assert len(frames) == CLIP.num_frames
    assert np.abs(frames[5] - frames[7]).mean() < 3 < np.abs(frames[0] - frames[4]).mean()
    assert_whole(result)


def test_one_picture_alone_is_scored_as_still(tmp_path: Path) -> None:
    result = made(write_video(tmp_path / "one.mp4", scene(0, 1), rate=15))
    assert [window.marks for window in result.windows] == [("short", "still")]
    assert {"short", "still"} <= set(result.marks)


def test_scenes_shorter_than_a_clip_do_not_hide_a_file(tmp_path: Path) -> None:
    frames = np.concatenate([scene(seed, 6) for seed in range(5)])
    path = write_video(tmp_path / "cuts.mp4", frames, rate=15)
    assert made(path, as_shown=False).windows == ()
    result = made(path)
    assert len(result.windows) >= 4
    assert_whole(result)
    assert result.dropped == ()


def test_the_rest_of_a_scene_is_scored_with_what_was_before_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "rest.mp4", scene(0, 21), rate=15)
    result = made(path)
    assert [window.start_frame for window in result.windows] == [0, 8, 13]
    assert [window.marks for window in result.windows] == [()] * 3
    assert result.dropped == ()


def test_black_shows_nothing(tmp_path: Path) -> None:
    dark = made(write_video(tmp_path / "dark.mp4", grey([0] * 20), rate=15))
    assert dark.windows == ()
    assert [one.reason for one in dark.dropped] == ["black"]


def test_of_each_picture_that_stays_one_clip_is_scored(tmp_path: Path) -> None:
    slides = [np.repeat(scene(seed, 1, noise=0), 24, axis=0) for seed in (0, 1)]
    still = made(write_video(tmp_path / "still.mp4", slides[0], rate=15))
    assert [window.marks for window in still.windows] == [("still",)]
    assert "still" in still.marks
    assert_whole(still)
    frames = np.concatenate([*slides, scene(2, 16)])
    result = made(write_video(tmp_path / "slides.mp4", frames, rate=15))
    marks = {window.start_frame: window.marks for window in result.windows}
    assert marks == {0: ("still",), 24: ("still",), 48: (), 56: ()}
    assert "still" not in result.marks
    assert_whole(result)


def test_what_was_shown_before_a_file_breaks_off_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", scene(0, 30), rate=15)
    real = foreign.Video.pictures

    def broken(source: foreign.Video, fps: float):
        for picture in real(source, fps):
            if picture.index == 11:
                raise foreign.DecodeError("decode_error", "planted")
            yield picture

    monkeypatch.setattr(foreign.Video, "pictures", broken)
    result = made(path)
    assert [window.start_frame for window in result.windows] == [0, 3]
    assert "damaged" in result.marks
    with pytest.raises(foreign.DecodeError, match="planted"):
        made(path, as_shown=False)


def test_ingest_keeps_marks_of_files_and_clips(
    tmp_path: Path, compose: Callable[..., object]
) -> None:
    folder = tmp_path / "outside"
    folder.mkdir()
    write_video(folder / "short.mp4", scene(0, 5), rate=15)
    write_video(folder / "long.mp4", scene(1, 40), rate=15)
    write_index(
        folder,
        [IndexRow(name, "real", "unit7", False, "CC0-1.0") for name in ("short.mp4", "long.mp4")],
    )
    cfg = compose("ingest", "max_reject_rate=1.0")
    for as_shown, clips in ((False, {"[]"}), (True, {"[]", '["short"]'})):
        ingest(
            [str(folder)],
            str(tmp_path / "clips"),
            cfg,
            tmp_path / "work",
            cfg.run,
            forgotten(tmp_path),
            as_shown=as_shown,
        )
        assert {clip.marks for clip in read_manifest(tmp_path / "clips")} == clips
    files = {file.path: file for file in read_rows(tmp_path / "clips" / FILES, File)}
    assert json.loads(files["short.mp4"].marks) == ["short"]
    assert json.loads(files["long.mp4"].marks) == []
