from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.store.manifest import Clip
from pipeline.store.shards import ShardWriter, read_clip
from tests.store.test_manifest import CLIP

MEMBERS = {f"clip{i}": b"\0\0\0\x18ftyp" + bytes([i]) * (700 + i) for i in range(5)}


def write(folder: Path) -> list[Clip]:
    folder.mkdir()
    with ShardWriter(folder, clips_per_shard=2) as shards:
        places = {name: shards.add(name, data) for name, data in MEMBERS.items()}
    return [
        replace(CLIP, clip_id=name, shard=p.shard, offset=p.offset, size=p.size)
        for name, p in places.items()
    ]


def test_members_are_read_by_offset_and_by_tar(tmp_path: Path) -> None:
    clips = write(tmp_path / "shards")
    assert [read_clip(tmp_path / "shards", clip) for clip in clips] == list(MEMBERS.values())
    for clip in clips:
        with tarfile.open(tmp_path / "shards" / clip.shard) as tar:
            member = tar.extractfile(f"{clip.clip_id}.mp4")
            assert member is not None
            assert member.read() == MEMBERS[clip.clip_id]
    assert len(list((tmp_path / "shards").iterdir())) == 3


def test_shards_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    for shard in (tmp_path / "a").iterdir():
        assert shard.read_bytes() == (tmp_path / "b" / shard.name).read_bytes()


def test_a_truncated_or_missing_shard_is_named_with_the_remedy(tmp_path: Path) -> None:
    clips = write(tmp_path / "shards")
    shard = tmp_path / "shards" / clips[1].shard
    shard.write_bytes(shard.read_bytes()[: clips[1].offset + 100])
    with pytest.raises(UserError, match=r"shard-00000\.tar: truncated.*clip1.*dvc checkout"):
        read_clip(tmp_path / "shards", clips[1])
    shard.unlink()
    with pytest.raises(UserError, match="missing"):
        read_clip(tmp_path / "shards", clips[1])
