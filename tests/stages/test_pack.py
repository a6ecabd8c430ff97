from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import App, ClipFormat
from pipeline.errors import UserError
from pipeline.stages import augment, ingest, pack, split
from pipeline.store import manifest, shards, video
from pipeline.store.manifest import Clip
from pipeline.store.packed_samples import ENCODINGS, INDEX, Packed
from pipeline.store.sound import read_sound
from tests.conftest import compose_below, moving_frames, write_small_collection
from tests.rows import clip_row


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("augmented")
    write_small_collection(folder)
    ingest.run(compose_below(folder, "ingest"))
    split.run(compose_below(folder, "split"))
    augment.run(compose_below(folder, "augment", "variants_per_clip=1"))
    return folder


@pytest.fixture
def augmented(made_once: Path, tmp_path: Path) -> None:
    """The outputs of the stages before, for a test to change as it likes."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)


@pytest.mark.parametrize("encoding", ["raw", "h264"])
def test_samples_are_the_decoded_clips_at_random_access(
    compose: Callable[..., App], augmented: None, tmp_path: Path, encoding: str
) -> None:
    pack.run(compose("pack", f"encoding={encoding}", "shard_samples=7"))
    packed = Packed.open(tmp_path / "packed", tmp_path / "work")
    clips = {c.clip_id: c for c in manifest.read_manifest(tmp_path / "splits")}
    variants = {c.clip_id: c for c in manifest.read_manifest(tmp_path / "augmented")}
    rows = packed.index.to_pylist()
    assert {row["sample_id"] for row in rows} == {
        *(c.clip_id for c in clips.values() if c.split),
        *variants,
    }
    num_heard = 0
    for i, row in enumerate(rows):
        folder = "augmented" if row["variant"] else "clips"
        clip = (variants if row["variant"] else clips)[row["sample_id"]]
        expected = video.decode(shards.read_clip(tmp_path / folder, clip))
        sample = packed.read(i)
        assert np.array_equal(sample.frames, expected)
        assert sample.presence == clip.sound
        heard = read_sound(tmp_path / folder, clip)
        assert np.array_equal(sample.sound, np.zeros_like(sample.sound) if heard is None else heard)
        num_heard += heard is not None
    assert num_heard > 0


def test_variants_are_selected_for_training_only_when_wanted(
    compose: Callable[..., App], augmented: None, tmp_path: Path
) -> None:
    pack.run(compose("pack"))
    packed = Packed.open(tmp_path / "packed", tmp_path / "work")
    train = packed.select(["train"], variants=False)
    assert len(packed.select(["train"], variants=True)) == 2 * len(train)
    splits = packed.index["split"].to_pylist()
    assert {splits[i] for i in packed.select(["val", "test"], variants=True)} == {"val", "test"}


@pytest.mark.parametrize("encoding", ["raw", "h264"])
def test_one_and_two_workers_write_the_same_bytes(
    compose: Callable[..., App], augmented: None, tmp_path: Path, encoding: str
) -> None:
    outputs = []
    for workers in (1, 2):
        run = ["run.executor=processes", f"run.num_workers={workers}"]
        run.append(f"paths.work={tmp_path / str(workers)}")
        pack.run(compose("pack", f"encoding={encoding}", "shard_samples=7", *run))
        outputs.append({f.name: f.read_bytes() for f in (tmp_path / "packed").iterdir()})
    assert outputs[0] == outputs[1]


def test_h264_shards_hold_the_bytes_of_the_clips_and_are_tars(
    compose: Callable[..., App], augmented: None, tmp_path: Path
) -> None:
    pack.run(compose("pack", "encoding=h264", "shard_samples=7"))
    clips = {
        clip.clip_id: (folder, clip)
        for folder, table in (("clips", "splits"), ("augmented", "augmented"))
        for clip in manifest.read_manifest(tmp_path / table)
    }
    rows = pq.read_table(tmp_path / "packed" / INDEX).to_pylist()
    found: dict[str, bytes] = {}
    for shard in sorted((tmp_path / "packed").glob("shard-*.tar")):
        with tarfile.open(shard) as tar:
            members = tar.getmembers()
            num_samples = len([one for one in members if one.name.endswith(".mp4")])
            assert 2 <= num_samples <= 7 or shard.name == rows[-1]["shard"]
            for member in members:
                found[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    assert list(found) == [
        f"{row['sample_id']}.{suffix}"
        for row in rows
        for suffix in ("mp4", "flac")
        if suffix == "mp4" or row["sound_size"]
    ]
    for row in rows:
        folder, clip = clips[row["sample_id"]]
        mp4 = shards.read_clip(tmp_path / folder, clip)
        assert found[f"{row['sample_id']}.mp4"] == mp4
        assert row["sha256"] == hashlib.sha256(mp4).hexdigest()
        assert row["heard"] == (None if clip.heard is None else int(clip.heard))
        assert row["seen"] == (None if clip.seen is None else int(clip.seen))
        flac = found.get(f"{row['sample_id']}.flac")
        assert (flac is None) == (row["sound_sha256"] is None)
        if flac is not None:
            assert flac == shards.read_flac(tmp_path / folder, clip)
            assert row["sound_sha256"] == hashlib.sha256(flac).hexdigest()


def test_a_shard_holds_so_many_samples_at_most_and_takes_no_room_twice(
    compose: Callable[..., App],
    augmented: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    links = []
    monkeypatch.setattr(shards, "link", lambda a, b: (links.append(b.name), os.link(a, b)))
    pack.run(compose("pack", "shard_samples=5"))
    rows = pq.read_table(tmp_path / "packed" / INDEX).to_pylist()
    counts = Counter(row["shard"] for row in rows)
    assert sorted(counts) == links
    assert all(2 <= counts[name] <= 5 for name in links[:-1])
    assert all((tmp_path / "packed" / name).stat().st_nlink == 2 for name in links)


def test_finished_shards_are_kept_when_a_run_fails(
    compose: Callable[..., App],
    augmented: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pack.run(compose("pack", "shard_samples=5"))
    whole = {f.name: f.read_bytes() for f in (tmp_path / "packed").iterdir()}
    for name in ("packed", "work"):
        shutil.rmtree(tmp_path / name)
    decoded = []

    def decode(mp4: bytes) -> video.Frames:
        if len(decoded) == 12:
            raise UserError("cut off")
        decoded.append(mp4)
        return original(mp4)

    original = video.decode
    with monkeypatch.context() as patch:
        patch.setattr(video, "decode", decode)
        with pytest.raises(UserError, match="cut off"):
            pack.run(compose("pack", "shard_samples=5"))
    assert not (tmp_path / "packed").exists()
    decoded.clear()
    num_rows = pq.read_table(pa.BufferReader(whole[INDEX])).num_rows
    with monkeypatch.context() as patch:
        patch.setattr(video, "decode", lambda mp4: (decoded.append(mp4), original(mp4))[1])
        pack.run(compose("pack", "shard_samples=5"))
    assert num_rows - 12 <= len(decoded) < num_rows - 6, "at most the block of the failure again"
    assert {f.name: f.read_bytes() for f in (tmp_path / "packed").iterdir()} == whole


def test_another_encoding_packs_anew(
    compose: Callable[..., App], augmented: None, tmp_path: Path
) -> None:
    for encoding in ("h264", "raw"):
        pack.run(compose("pack", f"encoding={encoding}"))
        suffixes = {path.suffix for path in (tmp_path / "packed").glob("shard-*")}
        assert suffixes == {ENCODINGS[encoding]}


def test_only_shards_with_new_clips_are_packed_and_all_comes_out_as_from_nothing(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = write_clips(tmp_path, 60)

    def packs_as_from_nothing() -> int:
        caplog.clear()
        with caplog.at_level("INFO"):
            pack.run(compose("pack", "shard_samples=12"))
        num_new = int(caplog.messages[-1].split(", ")[-1].split()[0])
        shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
        fresh = (f"paths.{name}={tmp_path / 'fresh' / name}" for name in ("packed", "work"))
        pack.run(compose("pack", "shard_samples=12", *fresh))
        found, expected = (
            {f.name: f.read_bytes() for f in folder.iterdir()}
            for folder in (tmp_path / "packed", tmp_path / "fresh" / "packed")
        )
        assert found == expected
        return num_new

    table = tmp_path / "splits" / manifest.MANIFEST
    manifest.write_rows(table, Clip, clips[1:])
    assert packs_as_from_nothing() > 6
    manifest.write_rows(table, Clip, clips)
    assert packs_as_from_nothing() <= 3
    manifest.write_rows(table, Clip, [replace(clip, discharge=True) for clip in clips])
    assert packs_as_from_nothing() == 0
    manifest.write_rows(table, Clip, [*clips[:30], *clips[31:]])
    assert packs_as_from_nothing() <= 3
    (shard, *_) = (tmp_path / "work" / "kept" / "pack").glob("*/*/shard-00000.raw")
    shard.write_bytes(bytes(shard.stat().st_size))
    assert packs_as_from_nothing() == 0


def write_clips(folder: Path, num_clips: int) -> list[Clip]:
    """What ingest, split and augment leave of so many clips without variants."""
    for name in ("clips", "splits", "augmented"):
        (folder / name).mkdir()
    form = ClipFormat(num_frames=2, size=32, fps=15, crf=18)
    clips = []
    with shards.ShardWriter(folder / "clips", 100) as tar:
        for number in range(num_clips):
            clip_id = hashlib.sha256(bytes([number])).hexdigest()[:16]
            mp4 = video.encode(moving_frames(number, form.num_frames, form.size), form.fps)
            clip = clip_row(
                clip_id=clip_id,
                collection="small",
                path=f"{number}.mp4",
                source="source",
                origin="real",
                recording=f"small/{number}",
                start_s=0.0,
                box="0,0,64,64",
                discharge=False,
                licence="CC0-1.0",
                authority="",
                split="train",
                cluster=f"small/{number}",
                file_sha256=f"{number:064x}",
                **asdict(tar.add(clip_id, mp4)),
            )
            clips.append(clip)
    manifest.write_format(folder / "clips", form)
    manifest.write_rows(folder / "augmented" / manifest.MANIFEST, Clip, [])
    return clips


def test_an_unknown_encoding_is_an_error(compose: Callable[..., App]) -> None:
    with pytest.raises(UserError, match="encoding 'zip' is none of raw, h264"):
        pack.run(compose("pack", "encoding=zip"))


def test_clips_of_another_shape_are_an_error(
    compose: Callable[..., App], augmented: None, tmp_path: Path
) -> None:
    other = replace(manifest.read_format(tmp_path / "clips"), num_frames=8)
    manifest.write_format(tmp_path / "clips", other)
    with pytest.raises(UserError, match=r"\(16, 128, 128, 3\) instead of \(8, 128, 128, 3\)"):
        pack.run(compose("pack"))


def test_samples_are_counted(compose: Callable[..., App], augmented: None, tmp_path: Path) -> None:
    pack.run(compose("pack"))
    stats = json.loads((tmp_path / "packed" / "stats.json").read_text())
    assert stats["samples"]["train clip"] == stats["samples"]["train variant"] > 0
    assert sum(stats["samples"].values()) == pq.read_table(tmp_path / "packed" / INDEX).num_rows
