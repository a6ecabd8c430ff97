from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import manifest, shards, video
from pipeline.collection import IndexRow, write_index
from pipeline.config import App, ClipFormat
from pipeline.errors import UserError
from pipeline.stages import ingest
from tests.conftest import moving_frames, write_collection

CLIP = ClipFormat(num_frames=16, size=128, fps=15.0, crf=18)
ROW = IndexRow("a.mp4", "real", "s", True, "CC0", "a.mp4")


def test_files_become_canonical_clips_and_rejects(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    (small_collection / "real-0-0.mp4").write_bytes(b"rubbish")
    (small_collection / "real-0-1.mp4").write_bytes(video.encode(moving_frames(9, 5), 15))
    (small_collection / "real-0-2.mp4").unlink()
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    folder = tmp_path / "clips"
    clips, rejects = manifest.read_manifest(folder), manifest.read_rejects(folder)
    assert {r.path: r.reason for r in rejects} == {
        "real-0-0.mp4": "decode_error",
        "real-0-1.mp4": "too_short",
        "real-0-2.mp4": "missing_file",
    }
    assert all(r.detail and r.remedy and r.stage == "ingest" for r in rejects)
    assert len(clips) == 2 * 9
    frames = video.decode(shards.read_clip(folder, clips[0]))
    assert frames.shape == (16, 128, 128, 3)
    assert json.loads((folder / "stats.json").read_text())["rejects"] == 3


def test_every_file_of_the_shared_footage_is_a_clip_or_a_reject(
    compose: Callable[..., App], footage: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    from pipeline.collection import read_index

    wanted = (".gif", ".webm", "bird.mkv", "oa_w0_0.mp4", "chair-orig-22-sd-bar.mp4")
    rows = [row for row in read_index(footage) if row.path.endswith(wanted)]
    for row in rows:
        (few / row.path).parent.mkdir(exist_ok=True)
        (few / row.path).write_bytes((footage / row.path).read_bytes())
    write_index(few, rows)
    ingest.run(compose("ingest", f"collections=[{few}]", "max_reject_rate=0.1"))
    clips = manifest.read_manifest(tmp_path / "clips")
    rejects = manifest.read_rejects(tmp_path / "clips")
    assert {c.path for c in clips} | {r.path for r in rejects} == {row.path for row in rows}
    assert [(r.path, r.reason) for r in rejects] == [
        ("film/Zulko__moviepy__big_buck_bunny_432_433.webm", "too_short")
    ]


def test_one_and_two_workers_write_the_same_bytes(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    outputs = []
    for workers in (1, 2):
        cfg = compose("ingest", "run.executor=processes", f"run.num_workers={workers}")
        ingest.run(cfg)
        outputs.append({f.name: f.read_bytes() for f in (tmp_path / "clips").iterdir()})
    assert outputs[0] == outputs[1]


def test_discharge_times_label_each_window() -> None:
    row = replace(ROW, discharges_s=(0.5,))
    second_s = 16 / 15
    assert ingest.window_discharge(row, 0.0, CLIP, alone=False) is True
    assert ingest.window_discharge(row, second_s, CLIP, alone=False) is False
    on_the_edge = replace(ROW, discharges_s=(second_s - 0.01,))
    assert ingest.window_discharge(on_the_edge, 0.0, CLIP, alone=False) is None
    assert ingest.window_discharge(on_the_edge, second_s, CLIP, alone=False) is None
    both = replace(ROW, discharges_s=(0.5, second_s - 0.01))
    assert ingest.window_discharge(both, 0.0, CLIP, alone=False) is True


def test_a_label_of_a_file_holds_for_its_only_window_and_for_no_one_of_several() -> None:
    assert ingest.window_discharge(ROW, 0.0, CLIP, alone=True) is True
    assert ingest.window_discharge(ROW, 0.0, CLIP, alone=False) is None
    quiet = replace(ROW, discharge=False)
    assert ingest.window_discharge(quiet, 0.0, CLIP, alone=False) is False


def test_too_many_rejects_fail_and_leave_earlier_clips(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    ingest.run(compose("ingest"))
    before = (tmp_path / "clips" / "manifest.parquet").read_bytes()
    (small_collection / "real-1-1.mp4").write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"1 of 12 files rejected.*\n.*real-1-1\.mp4: decode_error"):
        ingest.run(compose("ingest"))
    assert (tmp_path / "clips" / "manifest.parquet").read_bytes() == before


def test_a_link_out_of_the_collection_is_refused(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.mp4"
    link = small_collection / "real-0-0.mp4"
    link.rename(outside)
    link.symlink_to(outside)
    ingest.run(compose("ingest", "max_reject_rate=0.1"))
    rejects = manifest.read_rejects(tmp_path / "clips")
    assert [r.reason for r in rejects] == ["outside_collection"]


def test_windows_may_overlap_and_keep_their_times(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    ingest.run(compose("ingest", "stride_frames=8"))
    clips = [c for c in manifest.read_manifest(tmp_path / "clips") if c.path == "real-0-0.mp4"]
    assert [round(c.start_s * 15) for c in clips] == [0, 8, 16, 24]
    first, second = (video.decode(shards.read_clip(tmp_path / "clips", c)) for c in clips[:2])
    assert np.abs(first[8:].astype(int) - second[:8]).mean() < 3
    for stride in (17, 32):
        with pytest.raises(UserError, match=f"stride_frames {stride} is none of 1 to 16"):
            ingest.run(compose("ingest", f"stride_frames={stride}"))


def test_blank_windows_are_no_clips(compose: Callable[..., App], tmp_path: Path) -> None:
    folder = tmp_path / "footage" / "leader"
    folder.mkdir(parents=True)
    frames = moving_frames(0, 32)
    frames[:16] = 7
    (folder / "a.mp4").write_bytes(video.encode(frames, 15))
    write_index(folder, [ROW])
    ingest.run(compose("ingest"))
    clips = manifest.read_manifest(tmp_path / "clips")
    assert [round(c.start_s * 15) for c in clips] == [16]


def test_a_collection_on_a_store_is_refused_with_the_remedy(compose: Callable[..., App]) -> None:
    with pytest.raises(UserError, match="s3://bucket/footage: copy or mount it first"):
        ingest.run(compose("ingest", "collections=['s3://bucket/footage']"))


def test_no_collection_and_two_of_one_name_are_errors(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "small"
    write_collection(other, [ROW])
    with pytest.raises(UserError, match="has the same name"):
        ingest.run(compose("ingest", f"collections=[{other}]"))
    with pytest.raises(UserError, match="no footage collection"):
        ingest.run(compose("ingest", f"paths.footage={tmp_path / 'none'}"))


def test_files_with_the_same_pixels_have_the_same_hash(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    folder = tmp_path / "footage" / "twice"
    folder.mkdir(parents=True)
    frames = moving_frames(0, 20)
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(video.encode(frames, 15))
    write_index(folder, [ROW, replace(ROW, path="b.mp4", recording="b.mp4")])
    ingest.run(compose("ingest"))
    clips = manifest.read_manifest(tmp_path / "clips")
    assert len({c.pixels_sha256 for c in clips}) == 1
    assert len({c.clip_id for c in clips}) == 2
    assert np.array_equal(
        *[video.decode(shards.read_clip(tmp_path / "clips", clip)) for clip in clips]
    )
