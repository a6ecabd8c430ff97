"""Holds what a frozen encoder found in packed samples: an array a shard beside an index of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import UserError, reading
from pipeline.store import manifest, output_files, workdir
from pipeline.store.packed_samples import Packed


@dataclass(frozen=True)
class FeatureFiles:
    """Holds what of a sample the features are of, and what the files are called."""

    card: str
    index: str
    shards: str
    """What the names of shards begin with."""
    settings: str
    """The section of `conf/embed.yaml`, which the card holds under its name."""
    sha256: str
    """The column of the packed index that holds the hash of the bytes which were embedded."""


PICTURES = FeatureFiles(output_files.ENCODER, output_files.INDEX, "features", "pictures", "sha256")
SOUND = FeatureFiles(
    output_files.SOUND_ENCODER, output_files.SOUND_INDEX, "sounds", "sound", "sound_sha256"
)
INDEX, CARD = PICTURES.index, PICTURES.card
INDEX_SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        # Of the packed bytes that the features are of.
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Features:
    """The features of the packed samples that heads learn from."""

    values: NDArray[np.float16]
    """(M, K, F): of K views of each of M samples."""
    row_of: NDArray[np.int64]
    """(N,): of every packed sample its row in `values`, or -1 where it was not embedded."""
    card: Mapping[str, Any]
    """The encoder's `architecture` and `provenance`, the section of `conf/embed.yaml` that they
    were made by, the SHA-256 of each of the `shards` and, of pictures, the `first_frame` of a clip
    that was looked at."""
    sha256: str
    """Hash of the card, of the samples, and of the features that they have."""

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """The features (len(rows), K, F) of rows of the packed index.

        Raises:
            UserError: some of them were not embedded.
        """
        found = self.row_of[rows]
        if (found < 0).any():
            raise UserError(
                f"{(found < 0).sum():,} of {len(rows):,} samples were not embedded; set variants "
                "in conf/embed.yaml if these are variants, and run dvc repro embed"
            )
        return self.values[found]


def read(root: str, packed: Packed, kind: FeatureFiles = PICTURES) -> Features | None:
    """Read the features that `embed` left in the folder `root`.

    None where it was told to take no encoder, and of sound also where no sample has any.

    Raises:
        UserError: a file is missing or not readable, or they are of other samples than `packed`.
    """
    folder = Path(root)
    if _is_empty(folder, kind):
        return None
    card = read_card(folder, kind)
    table = read_table(folder, kind)
    there = dict(zip(*(table[name].to_pylist() for name in ("sample_id", "sha256")), strict=True))
    packed_ids, packed_sha256s = (
        packed.index[name].to_pylist() for name in ("sample_id", kind.sha256)
    )
    if (
        any(
            there.pop(sample_id, sha256) != sha256
            for sample_id, sha256 in zip(packed_ids, packed_sha256s, strict=True)
        )
        or there
    ):
        raise UserError(f"{root}: not of the samples in {packed.root}; run dvc repro embed")
    row_of_sample = {sample_id: at for at, sample_id in enumerate(table["sample_id"].to_pylist())}
    values = gather(folder, table, card["shards"])
    row_of = np.array([row_of_sample.get(sample_id, -1) for sample_id in packed_ids], np.int64)
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    digest.update(packed.index_sha256.encode())
    digest.update(row_of.tobytes())
    digest.update(values.tobytes())
    return Features(values, row_of, card, digest.hexdigest())


def lacks_sound(root: str) -> bool:
    """Return whether samples of the folder `root` were to be heard, and none of them has any sound.

    As the counts of `embed` tell; False where these cannot be read.
    """
    counts = _counts(Path(root))
    return counts is not None and counts.get("sounds") == 0


def _is_empty(folder: Path, kind: FeatureFiles) -> bool:
    """Return whether `embed` left no features of a kind, as its counts tell."""
    counts = _counts(folder)
    return counts is not None and (not counts or (kind == SOUND and not counts.get("sounds")))


def _counts(folder: Path) -> dict[str, int] | None:
    """Return what `embed` counted, by name; None where that cannot be read."""
    try:
        return dict(json.loads((folder / manifest.STATS).read_text())["samples"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_card(folder: Path, kind: FeatureFiles = PICTURES) -> dict[str, Any]:
    """Return what a folder says of the encoder of a kind.

    Raises:
        UserError: it is missing or not readable.
    """
    path = folder / kind.card
    with reading(path, "embed"):
        card = json.loads(path.read_text())
        _ = card["architecture"], card["provenance"]
        _ = dict(card[kind.settings]), dict(card["shards"])
        return dict(card)


def read_table(folder: Path, kind: FeatureFiles = PICTURES) -> pa.Table:
    """The index of a folder, a row a sample.

    Raises:
        UserError: it is missing, not readable or of another schema.
    """
    path = folder / kind.index
    with reading(path, "embed"):
        table = pq.read_table(path)
    if table.schema.names != INDEX_SCHEMA.names:
        raise UserError(f"{path}: of another schema; run dvc repro embed")
    return table


def read_shard(path: Path, num_rows: int, sha256: str | None) -> NDArray[np.float16]:
    """The features (M, K, F) of a shard, mapped from disk.

    Args:
        path: of the shard.
        num_rows: what M has to be at least.
        sha256: what its bytes have to hash to; nothing does if it is None.

    Raises:
        UserError: it is missing, not readable, of other bytes, or shorter.
    """
    with reading(path, "embed"):
        if workdir.file_sha256(path) != sha256:
            raise UserError(
                f"{path}: not the bytes that its card beside it tells of; run dvc checkout or dvc "
                "repro embed"
            )
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    if len(found) < num_rows:
        raise UserError(
            f"{path}: {len(found)} samples, fewer than the index beside it says; run dvc checkout "
            "or dvc repro embed"
        )
    return found


def gather(folder: Path, table: pa.Table, shards: Mapping[str, str]) -> NDArray[np.float16]:
    """The features (N, K, F) of the rows of an index, which holds some.

    Args:
        folder: where the shards lie.
        table: the index.
        shards: SHA-256 of each shard by its name.

    Raises:
        UserError: the index is empty; a shard is missing, not readable, of other bytes, or shorter
            than the index says.
    """
    if not table.num_rows:
        raise UserError(f"{folder}: an index holds no sample; run dvc repro embed")
    names = table["shard"].to_numpy(zero_copy_only=False)
    rows = table["row"].to_numpy()
    opened = {
        name: read_shard(folder / name, int(rows[names == name].max()) + 1, shards.get(name))
        for name in dict.fromkeys(names.tolist())
    }
    values = np.empty((len(table), *next(iter(opened.values())).shape[1:]), np.float16)
    for name, stored in opened.items():
        values[names == name] = stored[rows[names == name]]
    return values
