"""Deterministic shards, read at random by offset: tars that webdataset reads too, or raw frames."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.store.manifest import Clip

TAR, RAW = ".tar", ".raw"


@dataclass(frozen=True)
class Extent:
    """Tells where the bytes of one member are: `shard[offset : offset + size]`."""

    shard: str
    offset: int
    size: int


class ShardWriter:
    """Writes members in order into `shard-00000.tar`, … of at most `clips_per_shard` each."""

    def __init__(self, folder: Path, clips_per_shard: int) -> None:
        self._folder = folder
        self._clips_per_shard = clips_per_shard
        self._num_members = 0
        self._shard = ""
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._tar is not None:
            self._tar.close()

    def add(self, clip_id: str, mp4: bytes) -> Extent:
        """Append `<clip_id>.mp4`; returns where its bytes lie."""
        self._shard = shard_name(self._num_members // self._clips_per_shard, TAR)
        if self._num_members % self._clips_per_shard == 0:
            if self._tar is not None:
                self._tar.close()
            path = self._folder / self._shard
            self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._num_members += 1
        return self._append(f"{clip_id}.mp4", mp4)

    def add_sound(self, clip_id: str, flac: bytes) -> Extent:
        """Append `<clip_id>.flac` to the shard of the clip added last, which is its own."""
        return self._append(f"{clip_id}.flac", flac)

    def _append(self, name: str, data: bytes) -> Extent:
        assert self._tar is not None
        # An integer time: a float adds a PAX header; the current time changes the bytes.
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = len(data), 0, 0o644
        offset = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(data))
        return Extent(self._shard, offset, len(data))


class RawWriter:
    """Writes members one after the other into `shard-00000.raw`, as bytes alone."""

    def __init__(self, folder: Path) -> None:
        self._shard = shard_name(0, RAW)
        self._file = (folder / self._shard).open("wb")

    def __enter__(self) -> RawWriter:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def add(self, clip_id: str, data: bytes) -> Extent:
        """Append the bytes of a clip; returns where they lie."""
        offset = self._file.tell()
        self._file.write(data)
        return Extent(self._shard, offset, len(data))

    def add_sound(self, clip_id: str, data: bytes) -> Extent:
        """Append the bytes of the sound of the clip added last; returns where they lie."""
        return self.add(clip_id, data)


def shard_name(number: int, suffix: str) -> str:
    """Return what the shard of a number is called; `suffix` is `TAR` or `RAW`."""
    return f"shard-{number:05d}{suffix}"


def link(source: Path, target: Path) -> None:
    """Make `target` another name of the same file; a copy where the file system has no links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


class Shards:
    """Reads pieces of shards, and keeps the shards open that were read last.

    Forked and pickled copies are independent of each other.
    """

    def __init__(self, root: str, open_shard: Callable[[str], int], num_open: int) -> None:
        """Read shards of `root`, a name for messages, which `open_shard(name)` opens."""
        self.root = root
        self._open_shard = open_shard
        self._num_open = num_open
        self._handles: OrderedDict[str, int] = OrderedDict()

    def read(self, extent: Extent) -> bytearray:
        """The bytes of one member.

        Raises:
            UserError: the shard is missing or ends before the member does.
        """
        data = bytearray(extent.size)
        self.read_into(extent, memoryview(data))
        return data

    def read_into(self, extent: Extent, target: memoryview) -> None:
        """Read the bytes of one member straight to where they are wanted.

        Raises:
            UserError: the shard is missing or ends before the member does.
        """
        assert target.nbytes == extent.size, (target.nbytes, extent)
        handle = self._handle(extent.shard)
        done = 0
        while done < extent.size:
            read = os.preadv(handle, [target[done:]], extent.offset + done)
            if read == 0:
                raise UserError(
                    f"{self.root}/{extent.shard}: truncated or changed, it ends before bytes "
                    f"{extent.offset}-{extent.offset + extent.size}; run dvc checkout or dvc repro"
                )
            done += read

    def close(self) -> None:
        """Close what is open; the next reading opens it again."""
        while self._handles:
            os.close(self._handles.popitem()[1])

    def _handle(self, shard: str) -> int:
        handle = self._handles.get(shard)
        if handle is None:
            handle = self._open_shard(shard)
            if len(self._handles) == self._num_open:
                os.close(self._handles.popitem(last=False)[1])
            self._handles[shard] = handle
        else:
            self._handles.move_to_end(shard)
        return handle

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handles": OrderedDict()}

    def __del__(self) -> None:
        self.close()


def read_clip(folder: Path, clip: Clip) -> bytes:
    """Read a clip's mp4 bytes.

    Raises:
        UserError: the shard is missing or ends before the clip does.
    """
    return _read_member(folder, clip, "clip", clip.offset, clip.size, b"ftyp", 4)


def read_flac(folder: Path, clip: Clip) -> bytes:
    """Read the FLAC bytes of the sound of a clip that has one.

    Raises:
        UserError: the shard is missing or ends before the sound does.
    """
    return _read_member(
        folder, clip, "the sound of clip", clip.sound_offset, clip.sound_size, b"fLaC", 0
    )


def _read_member(
    folder: Path, clip: Clip, what: str, offset: int, size: int, magic: bytes, magic_at: int
) -> bytes:
    path = folder / clip.shard
    handle = open_local(path)
    try:
        data = os.pread(handle, size, offset)
    finally:
        os.close(handle)
    if len(data) != size or not data.startswith(magic, magic_at):
        raise UserError(
            f"{path}: truncated or changed, {what} {clip.clip_id} is not whole at bytes "
            f"{offset}-{offset + size}; run dvc checkout or dvc repro"
        )
    return data


def open_local(path: Path) -> int:
    """Open a shard on disk to read it.

    Raises:
        UserError: the shard is missing.
    """
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise UserError(f"{path}: shard missing; run dvc checkout or dvc repro") from error
