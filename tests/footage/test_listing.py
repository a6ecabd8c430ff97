from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.app import compose
from pipeline.config import ClipFormat, IngestConfig
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, write_index
from pipeline.footage.listing import collections, list_files
from pipeline.store.sound import num_samples
from tests.tiny_collection import tiny_rows


@pytest.fixture
def cfg() -> IngestConfig:
    return compose("ingest")


def collection(folder: Path, rows: list[IndexRow]) -> str:
    folder.mkdir(parents=True)
    for row in rows:
        (folder / row.path).touch()
    write_index(folder, rows)
    return str(folder)


def test_collections_are_sorted_by_name(tmp_path: Path, cfg: IngestConfig) -> None:
    rows = tiny_rows()
    roots = [collection(tmp_path / "b", rows), collection(tmp_path / "a", rows[:2])]
    found = collections(roots, cfg, tmp_path)
    assert [(one.name, one.root, one.num_files) for one in found] == [
        ("a", roots[1], 2),
        ("b", roots[0], 6),
    ]


def test_files_are_listed_in_the_order_of_the_indexes(tmp_path: Path, cfg: IngestConfig) -> None:
    rows = tiny_rows()
    roots = [collection(tmp_path / "b", rows[3:]), collection(tmp_path / "a", rows[:2])]
    found = list(list_files(collections(roots, cfg, tmp_path), cfg, tmp_path, as_shown=True))
    assert [one.recording for one in found] == [
        *(f"a/{row.path}" for row in rows[:2]),
        *(f"b/{row.path}" for row in rows[3:]),
    ]
    task = found[0].task
    assert (task.root, task.path, task.as_shown) == (roots[1], rows[0].path, True)
    assert task.with_sound
    assert task.limits.max_pixels == cfg.max_pixels


def test_one_collection_counts_once(tmp_path: Path, cfg: IngestConfig) -> None:
    root = collection(tmp_path / "a", tiny_rows())
    assert len(collections([root, root], cfg, tmp_path)) == 1


def test_two_collections_of_one_name_are_refused(tmp_path: Path, cfg: IngestConfig) -> None:
    roots = [collection(tmp_path / folder / "a", tiny_rows()) for folder in ("x", "y")]
    with pytest.raises(UserError, match="same name"):
        collections(roots, cfg, tmp_path)


def test_one_collection_under_two_names_is_refused(tmp_path: Path, cfg: IngestConfig) -> None:
    root = collection(tmp_path / "a", tiny_rows())
    (tmp_path / "b").symlink_to(root)
    with pytest.raises(UserError, match="count twice"):
        collections([root, str(tmp_path / "b")], cfg, tmp_path)


def test_no_collection_is_refused(tmp_path: Path, cfg: IngestConfig) -> None:
    with pytest.raises(UserError, match="no footage collection"):
        collections([], cfg, tmp_path)


def test_a_stride_longer_than_a_clip_is_refused(tmp_path: Path, cfg: IngestConfig) -> None:
    cfg.clip = ClipFormat(num_frames=8, size=32, fps=15.0, crf=18)
    cfg.stride_frames = 9
    with pytest.raises(UserError, match="stride_frames 9"):
        collections([collection(tmp_path / "a", tiny_rows())], cfg, tmp_path)


@pytest.mark.parametrize("fps", [12, 12.5, 15.0, 24, 25, 24_000 / 1001, 30, 60.0, 240])
def test_at_rates_that_are_taken_the_samples_of_frames_are_those_of_clips(
    tmp_path: Path, cfg: IngestConfig, fps: float
) -> None:
    cfg.clip.fps = fps
    assert collections([collection(tmp_path / "a", tiny_rows())], cfg, tmp_path)
    for num_frames in (16, 9_000):
        assert num_samples(num_frames, fps) == num_frames * num_samples(1, fps)


@pytest.mark.parametrize("fps", [29.97, 23.98, 7, 14.9])
def test_a_rate_at_which_streams_would_hear_other_samples_than_clips_is_refused(
    tmp_path: Path, cfg: IngestConfig, fps: float
) -> None:
    cfg.clip.fps = fps
    assert num_samples(9_000, fps) != 9_000 * num_samples(1, fps)
    roots = [collection(tmp_path / "a", tiny_rows())]
    with pytest.raises(UserError, match=rf"clip\.fps={fps}: a frame lasts for .*sound: off"):
        collections(roots, cfg, tmp_path)
    cfg.sound = False
    assert collections(roots, cfg, tmp_path)
