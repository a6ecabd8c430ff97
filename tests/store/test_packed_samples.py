from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.store import packed_samples
from pipeline.store.manifest import ABSENT, PRESENT
from pipeline.store.packed_samples import INDEX, Packed
from tests.learn.toy import toy_sound, write_toy


def num_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def opened(folder: Path, work: Path) -> Packed:
    return Packed.open(folder, work)


@pytest.fixture(params=["raw", "h264"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_toy(tmp_path / "packed", num_train=8, num_val=4, encoding=request.param)


def test_any_sample_is_read_whatever_was_read_before(folder: Path, tmp_path: Path) -> None:
    samples = opened(folder, tmp_path)
    raw = opened(write_toy(tmp_path / "raw", num_train=8, num_val=4), tmp_path)
    for i in (11, 0, 5, 11):
        assert np.abs(samples.read(i).frames.astype(int) - raw.read(i).frames).mean() < 12
    assert (samples.read(3).frames != samples.read(4).frames).any()


def test_few_shards_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_samples, "_NUM_OPEN", 2)
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4, shard_samples=2)
    samples = opened(folder, tmp_path)
    before = num_open()
    first = [samples.read(i).frames for i in range(12)]
    assert num_open() == before + 2
    assert all((samples.read(i).frames == first[i]).all() for i in reversed(range(12)))
    samples.samples.shards.close()
    assert num_open() == before


def test_a_copy_in_another_process_reads_by_itself(folder: Path, tmp_path: Path) -> None:
    samples = opened(folder, tmp_path)
    expected = samples.read(5).frames
    copy = pickle.loads(pickle.dumps(samples.samples))
    samples.samples.shards.close()
    assert (copy.read(samples.at(5)).frames == expected).all()


@pytest.mark.parametrize("encoding", ["raw", "h264"])
def test_a_sample_is_read_with_its_sound_or_with_silence_where_it_has_none(
    tmp_path: Path, encoding: str
) -> None:
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4, encoding=encoding, heard=True)
    samples = opened(folder, tmp_path)
    for i in range(12):
        sample = samples.read(i)
        assert sample.sound.dtype == np.int16
        assert sample.sound.shape == (12_800,)
        expected = toy_sound(i)
        assert sample.presence == (ABSENT if expected is None else PRESENT)
        assert np.array_equal(sample.sound, np.zeros(12_800) if expected is None else expected)


def test_sounds_of_another_length_than_the_format_are_refused(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "raw", num_train=8, num_val=4, heard=True)
    rewrite(folder, "sound_size", 1000)
    with pytest.raises(UserError, match="sounds are not 12800 samples each; run dvc repro pack"):
        opened(folder, tmp_path)
    folder = write_toy(tmp_path / "tar", num_train=8, num_val=4, encoding="h264", heard=True)
    text = (folder / "format.json").read_text()
    (folder / "format.json").write_text(text.replace('"fps": 15.0', '"fps": 30.0'))
    with pytest.raises(UserError, match=r"12800 instead of 6400 samples of sound at byte"):
        opened(folder, tmp_path).read(1)


def test_what_there_is_of_a_sound_is_one_of_few_things(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4)
    rewrite(folder, "sound", "loud")
    with pytest.raises(UserError, match="sound 'loud' is none of present, absent, silent"):
        opened(folder, tmp_path)


def test_a_shard_that_ends_early_is_named_at_once(folder: Path, tmp_path: Path) -> None:
    shard = max(folder.glob("shard-*"))
    size = opened(folder, tmp_path).extents[-1, 1:3].sum()
    shard.write_bytes(shard.read_bytes()[: size - 1])
    with pytest.raises(
        UserError, match=rf"{shard.name}: truncated, {size - 1} bytes instead of at least {size}"
    ):
        opened(folder, tmp_path)


def test_a_shard_that_is_cut_or_goes_while_it_is_read_is_named(
    folder: Path, tmp_path: Path
) -> None:
    samples = opened(folder, tmp_path)
    shard = max(folder.glob("shard-*"))
    os.truncate(shard, 100)
    with pytest.raises(UserError, match=rf"{shard.name}: truncated or changed.*run dvc checkout"):
        samples.read(11)
    samples.samples.shards.close()
    shard.unlink()
    with pytest.raises(UserError, match=rf"{shard.name}: shard missing"):
        samples.read(11)


def test_a_missing_shard_is_named_at_once(folder: Path, tmp_path: Path) -> None:
    shard = min(folder.glob("shard-*"))
    shard.unlink()
    with pytest.raises(UserError, match=rf"{shard.name}: shard missing; run dvc"):
        opened(folder, tmp_path)


def test_bytes_that_are_no_clip_are_named(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4, encoding="h264")
    shard = min(folder.glob("shard-*"))
    shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(UserError, match=r"shard-00000\.tar: no clip at byte 512"):
        opened(folder, tmp_path).read(0)


def rewrite(folder: Path, name: str, value: object) -> None:
    rows = pq.read_table(folder / INDEX).to_pylist()
    table = pa.Table.from_pylist([row | {name: value} for row in rows], packed_samples.INDEX_SCHEMA)
    pq.write_table(table, folder / INDEX)


def test_shards_of_an_unknown_encoding_are_refused(folder: Path, tmp_path: Path) -> None:
    rewrite(folder, "shard", "shard-00000.zip")
    with pytest.raises(UserError, match=r"shard-00000\.zip: of an unknown encoding; run dvc"):
        opened(folder, tmp_path)


def test_samples_of_another_size_than_the_format_are_refused(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4)
    rewrite(folder, "size", 1000)
    with pytest.raises(UserError, match="samples are not 24576 bytes each"):
        opened(folder, tmp_path)


def test_clips_of_another_size_than_the_format_are_refused(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4, encoding="h264")
    text = (folder / "format.json").read_text()
    (folder / "format.json").write_text(text.replace('"num_frames": 8', '"num_frames": 9'))
    with pytest.raises(UserError, match=r"\(8, 32, 32, 3\) instead of \(9, 32, 32, 3\) at byte"):
        opened(folder, tmp_path).read(0)


@pytest.mark.parametrize("name", ["index.parquet", "format.json"])
def test_a_missing_table_is_named_with_a_remedy(tmp_path: Path, name: str) -> None:
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name}: missing; run dvc repro pack or dvc pull"):
        opened(folder, tmp_path)


def test_an_index_that_is_damaged_or_of_another_schema_is_named(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed", num_train=8, num_val=4)
    pq.write_table(pq.read_table(folder / INDEX).drop_columns(["shard"]), folder / INDEX)
    with pytest.raises(UserError, match=r"index\.parquet: of another schema; run dvc repro pack"):
        opened(folder, tmp_path)
    (folder / INDEX).write_bytes(b"PAR1 and nothing")
    with pytest.raises(UserError, match=r"index\.parquet: not readable"):
        opened(folder, tmp_path)
