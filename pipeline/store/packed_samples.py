"""Packed training samples: shards beside an index with a row a sample.

A shard holds either raw frames with raw sound after them (`raw`), or the canonical mp4 and FLAC of
each sample in a tar (`h264`).
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.config import ClipFormat
from pipeline.errors import UserError, reading
from pipeline.store import manifest, shards, sound, storage, video
from pipeline.store.cache import Cache
from pipeline.store.manifest import PRESENCES
from pipeline.store.output_files import INDEX as INDEX
from pipeline.store.shards import Extent, Shards

log = logging.getLogger(__name__)

ENCODINGS = {"raw": shards.RAW, "h264": shards.TAR}
"""How samples may be stored, and what the names of such shards end with."""
INDEX_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=name in ("variant", "seen", "heard", "sound_sha256"))
        for name, kind in {
            "sample_id": pa.string(),
            "clip_id": pa.string(),
            "variant": pa.string(),
            "collection": pa.string(),
            "path": pa.string(),
            "source": pa.string(),
            "origin": pa.string(),
            "recording": pa.string(),
            "cluster": pa.string(),
            "split": pa.string(),
            "discharge": pa.int8(),
            "start_s": pa.float64(),
            "licence": pa.string(),
            "authority": pa.string(),
            "rendered": pa.bool_(),
            # Of the stored bytes, so that the hash of the index is one of the pixels too.
            "sha256": pa.string(),
            "shard": pa.string(),
            "offset": pa.int64(),
            "size": pa.int64(),
            # What there is of the sound, and where: no bytes where every sample of it is zero.
            "sound": pa.string(),
            # What the eye and the ear have a label for; a discharge may be heard and not seen.
            # A sample with one that has neither is of a bag: its file shows it, here or elsewhere.
            "seen": pa.int8(),
            "heard": pa.int8(),
            "sound_sha256": pa.string(),
            "sound_offset": pa.int64(),
            "sound_size": pa.int64(),
        }.items()
    ]
)
_PLACES = ("offset", "size", "sound_offset", "sound_size")
_NUM_OPEN = 128
# A remote shard that is open takes room also after it has gone from the cache.
_NUM_OPEN_REMOTE = 4


@dataclass(frozen=True)
class Sample:
    """Holds what is seen and heard in one clip."""

    frames: NDArray[np.uint8]
    """uint8 (T, H, W, 3) RGB."""
    sound: sound.Samples
    """int16 (S,) at `sound.SOUND_HZ`, as long as the frames; zero where there is none."""
    presence: str
    """What there is of the sound, one of `manifest.PRESENCES`."""


@dataclass(frozen=True)
class Members:
    """Tells where the members of one sample are."""

    pictures: Extent
    sound: Extent | None
    """None where every sample of the sound is zero."""
    presence: str
    """One of `manifest.PRESENCES`."""


@dataclass(frozen=True)
class Samples:
    """Holds what reads samples; a small part of `Packed` to hand to other processes."""

    shards: Shards
    shape: tuple[int, int, int, int]
    """(T, H, W, 3) of the frames of every sample."""
    num_sound: int
    """Samples S of the sound of every sample."""

    def read_into(self, members: Members, frames: NDArray[np.uint8], heard: sound.Samples) -> None:
        """Read a sample to where it is wanted.

        Args:
            members: where it is.
            frames: uint8 of `shape`, contiguous.
            heard: int16 (S,), contiguous.

        Raises:
            UserError: the shard is missing, truncated or no clip of that shape.
        """
        if members.pictures.shard.endswith(shards.RAW):
            self.shards.read_into(members.pictures, frames.data.cast("B"))
        else:
            frames[:] = self._decoded(members.pictures)
        if members.sound is None:
            heard[:] = 0
        else:
            self._read_sound_into(members.sound, heard)

    def read_sound(self, extent: Extent) -> sound.Samples:
        """The sound at `extent`, int16 (S,), alone; raises as `read_into` does."""
        heard = np.empty(self.num_sound, np.int16)
        self._read_sound_into(extent, heard)
        return heard

    def _read_sound_into(self, extent: Extent, heard: sound.Samples) -> None:
        if extent.shard.endswith(shards.RAW):
            self.shards.read_into(extent, heard.data.cast("B"))
        else:
            heard[:] = self._decoded_sound(extent)

    def read(self, members: Members) -> Sample:
        """The sample at `members`; raises as `read_into` does."""
        frames, heard = np.empty(self.shape, np.uint8), np.empty(self.num_sound, np.int16)
        self.read_into(members, frames, heard)
        return Sample(frames, heard, members.presence)

    def _decoded(self, extent: Extent) -> video.Frames:
        data = self._member(extent, b"ftyp", 4, "clip")
        frames = video.decode(data)
        if frames.shape != self.shape:
            raise UserError(
                f"{self._at(extent)}: {frames.shape} instead of {self.shape} at byte "
                f"{extent.offset}; run dvc repro pack"
            )
        return frames

    def _decoded_sound(self, extent: Extent) -> sound.Samples:
        data = self._member(extent, b"fLaC", 0, "sound")
        try:
            heard = sound.decode(data)
        except ValueError as error:
            raise UserError(
                f"{self._at(extent)}: the sound at byte {extent.offset} {error}; "
                "run dvc checkout or dvc repro"
            ) from error
        if heard.shape != (self.num_sound,):
            raise UserError(
                f"{self._at(extent)}: {heard.size} instead of {self.num_sound} samples of sound "
                f"at byte {extent.offset}; run dvc repro pack"
            )
        return heard

    def _member(self, extent: Extent, magic: bytes, magic_at: int, what: str) -> bytes:
        data = bytes(self.shards.read(extent))
        if not data.startswith(magic, magic_at):
            raise UserError(
                f"{self._at(extent)}: no {what} at byte {extent.offset}; "
                "run dvc checkout or dvc repro"
            )
        return data

    def _at(self, extent: Extent) -> str:
        return f"{self.shards.root}/{extent.shard}"


@dataclass(frozen=True)
class Packed:
    """Random access to packed samples, on disk or on object storage."""

    root: str
    index: pa.Table
    """Columns of `INDEX_SCHEMA`; row i describes sample i."""
    index_sha256: str
    format: ClipFormat
    samples: Samples
    names: list[str]
    """Names of the shards."""
    extents: NDArray[np.int64]
    """(N, 5): number of the shard in `names`, offset and size of the frames of every sample, and
    of its sound."""
    presences: NDArray[np.int64]
    """(N,): positions in `manifest.PRESENCES` of what there is of the sound of every sample."""

    @classmethod
    def open(cls, root: str | Path, work: Path, cache_gb: float = math.inf) -> Packed:
        """Read the index of a folder or URL; samples are read when asked for.

        Shards of a URL are fetched to `work` when first touched. `cache_gb` bounds what is kept
        of them; it should hold all, since samples are read in random order.

        Raises:
            UserError: a file is missing or not readable, a shard is shorter than the index says,
                or of an unknown encoding; the root cannot be reached.
        """
        root = str(root)
        table, digest = _read_index(root, work)
        clip = _read_format(root, work)
        shape = (clip.num_frames, clip.size, clip.size, 3)
        num_sound = sound.num_samples(clip.num_frames, clip.fps)
        reader, sizes = _shards(root, work, cache_gb)
        _check(root, table, sizes, math.prod(shape), num_sound)
        encoded = table["shard"].combine_chunks().dictionary_encode()
        columns = [encoded.indices, *(table[name] for name in _PLACES)]
        extents = np.stack([np.asarray(column, np.int64) for column in columns], axis=1)
        presences = pc.index_in(table["sound"], pa.array(PRESENCES)).to_numpy().astype(np.int64)
        names = encoded.dictionary.to_pylist()
        samples = Samples(reader, shape, num_sound)
        return cls(root, table, digest, clip, samples, names, extents, presences)

    def at(self, i: int) -> Members:
        """Return where the members of sample `i` are."""
        number, offset, size, sound_offset, sound_size = self.extents[i].tolist()
        shard = self.names[number]
        return Members(
            Extent(shard, offset, size),
            Extent(shard, sound_offset, sound_size) if sound_size else None,
            PRESENCES[self.presences[i]],
        )

    def read(self, i: int) -> Sample:
        """Read the sample with the number `i`.

        Raises:
            UserError: its shard is missing, truncated or no clip, or cannot be fetched.
        """
        return self.samples.read(self.at(i))

    def select(self, splits: Sequence[str], *, variants: bool) -> NDArray[np.int64]:
        """Row numbers of the samples of `splits`, with or without augmented variants.

        Those of bags are not among them, since nobody knows what they show.
        """
        in_split = np.isin(self.index["split"].to_numpy(zero_copy_only=False), list(splits))
        in_split[self.bags()] = False
        if not variants:
            in_split &= self.index["variant"].is_null().to_numpy(zero_copy_only=False)
        return np.flatnonzero(in_split)

    def bags(self) -> NDArray[np.int64]:
        """Row numbers of the samples of train whose file shows a discharge nobody knows when."""
        index = self.index
        found = pc.and_(pc.equal(index["split"], "train"), pc.equal(index["discharge"], 1))
        for column in ("seen", "heard", "variant"):
            found = pc.and_(found, pc.is_null(index[column]))
        return np.flatnonzero(found.to_numpy(zero_copy_only=False))


def _read_index(root: str, work: Path) -> tuple[pa.Table, str]:
    where = f"{root.rstrip('/')}/{INDEX}"
    with reading(where, "pack"):
        with storage.fetched(root, INDEX, work) as path:
            data = path.read_bytes()
        table = pq.read_table(pa.BufferReader(data))
    if table.schema.names != INDEX_SCHEMA.names:
        raise UserError(f"{where}: of another schema; run dvc repro pack")
    if table.num_rows == 0:
        raise UserError(f"{root}: holds no sample; look at the rejects of ingest and split")
    return table, hashlib.sha256(data).hexdigest()


def _read_format(root: str, work: Path) -> ClipFormat:
    with (
        reading(f"{root.rstrip('/')}/{manifest.FORMAT}", "pack"),
        storage.fetched(root, manifest.FORMAT, work) as path,
    ):
        return manifest.read_format(path.parent)


def _check(
    root: str, table: pa.Table, sizes: dict[str, int], num_bytes: int, num_sound: int
) -> None:
    """Raise `UserError` where shards are not such as the index says."""
    end = pc.max_element_wise(
        pc.add(table["offset"], table["size"]), pc.add(table["sound_offset"], table["sound_size"])
    )
    ends = pa.table({"shard": table["shard"], "end": end})
    for row in ends.group_by("shard").aggregate([("end", "max")]).sort_by("shard").to_pylist():
        at = f"{root.rstrip('/')}/{row['shard']}"
        if PurePosixPath(row["shard"]).suffix not in ENCODINGS.values():
            raise UserError(f"{at}: of an unknown encoding; run dvc repro pack")
        if row["shard"] not in sizes:
            raise UserError(f"{at}: shard missing; run dvc checkout or dvc repro pack")
        if sizes[row["shard"]] < row["end_max"]:
            raise UserError(
                f"{at}: truncated, {sizes[row['shard']]} bytes instead of at least "
                f"{row['end_max']}; run dvc checkout or dvc repro pack"
            )
    for name in _PLACES:
        if pc.any(pc.less(table[name], 0)).as_py():
            raise UserError(f"{root}: {INDEX}: {name} below zero; run dvc repro pack")
    raw = pc.ends_with(table["shard"], shards.RAW)
    wrong = pc.any(pc.and_(raw, pc.not_equal(table["size"], num_bytes))).as_py()
    if wrong:
        raise UserError(f"{root}: samples are not {num_bytes} bytes each; run dvc repro pack")
    sound_bytes = pa.array([0, 2 * num_sound])
    if pc.any(pc.and_(raw, pc.invert(pc.is_in(table["sound_size"], sound_bytes)))).as_py():
        raise UserError(f"{root}: sounds are not {num_sound} samples each; run dvc repro pack")
    unknown = table["sound"].filter(pc.invert(pc.is_in(table["sound"], pa.array(PRESENCES))))
    if len(unknown):
        raise UserError(
            f"{root}: sound '{unknown[0].as_py()}' is none of {', '.join(PRESENCES)}; "
            "run dvc repro pack"
        )


def _shards(root: str, work: Path, cache_gb: float) -> tuple[Shards, dict[str, int]]:
    """Return what reads the shards under a root, and the size of every file there."""
    if not storage.is_remote(root):
        folder = Path(root).resolve()
        sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
        return Shards(root, partial(_open_in, folder), _NUM_OPEN), sizes
    versions = storage.versions(root)
    sizes = {name: size for name, (_, size) in versions.items()}
    if (total_gb := sum(sizes.values()) / 1e9) > cache_gb:
        log.warning(
            "%s: its %.1f GB do not fit run.cache_gb=%g, so that shards are fetched again and "
            "again; raise it",
            root,
            total_gb,
            cache_gb,
        )
    cache = Cache(root, versions, work.resolve() / "cache", cache_gb * 1e9)
    return Shards(root, cache.open, _NUM_OPEN_REMOTE), sizes


def _open_in(folder: Path, name: str) -> int:
    return shards.open_local(folder / name)
