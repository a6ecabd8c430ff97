"""Deterministic tar shards of clips, readable by webdataset and at random by offset."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from pipeline.errors import UserError
from pipeline.manifest import MANIFEST, Clip, read_rows


@dataclass(frozen=True)
class Place:
    """Where the bytes of one member are: `shard[offset : offset + size]`."""

    shard: str
    offset: int
    size: int


class ShardWriter:
    """Writes members in order into `shard-00000.tar`, … of at most `clips_per_shard` each."""

    def __init__(self, folder: Path, clips_per_shard: int) -> None:
        self._folder = folder
        self._clips_per_shard = clips_per_shard
        self._num_members = 0
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tar is not None:
            self._tar.close()

    def add(self, clip_id: str, mp4: bytes) -> Place:
        """Append `<clip_id>.mp4`; returns where its bytes lie."""
        shard = _shard_name(self._num_members // self._clips_per_shard)
        if self._num_members % self._clips_per_shard == 0:
            if self._tar is not None:
                self._tar.close()
            path = self._folder / shard
            self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        assert self._tar is not None
        # An integer time: a float adds a PAX header; the current time changes the bytes.
        member = tarfile.TarInfo(f"{clip_id}.mp4")
        member.size, member.mtime, member.mode = len(mp4), 0, 0o644
        offset = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(mp4))
        self._num_members += 1
        return Place(shard, offset, len(mp4))


def gather(blocks: Iterable[Path], target: Path) -> Iterator[Clip]:
    """Put the shards of finished blocks into `target`, numbered on, and yield their clips.

    A block is a folder with shards and their manifest. Its shards are linked, not moved: should
    this run be killed, the next one finds the blocks whole.
    """
    number = 0
    for block in blocks:
        names: dict[str, str] = {}
        for clip in read_rows(block / MANIFEST, Clip):
            if clip.shard not in names:
                names[clip.shard] = _shard_name(number)
                link(block / clip.shard, target / names[clip.shard])
                number += 1
            yield replace(clip, shard=names[clip.shard])


def _shard_name(number: int) -> str:
    return f"shard-{number:05d}.tar"


def link(source: Path, target: Path) -> None:
    """Make `target` another name of the same file; a copy where the file system has no links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def read_clip(folder: Path, clip: Clip) -> bytes:
    """Read a clip's mp4 bytes.

    Raises:
        UserError: the shard is missing or ends before the clip does.
    """
    path = folder / clip.shard
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise UserError(f"{path}: shard missing; run dvc checkout or dvc repro") from error
    try:
        data = os.pread(handle, clip.size, clip.offset)
    finally:
        os.close(handle)
    if len(data) != clip.size or data[4:8] != b"ftyp":
        raise UserError(
            f"{path}: truncated or changed, clip {clip.clip_id} is not whole at bytes "
            f"{clip.offset}-{clip.offset + clip.size}; run dvc checkout or dvc repro"
        )
    return data
