"""Packed training samples: one raw memory map beside an index with a row a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline import manifest
from pipeline.errors import UserError

INDEX = "index.parquet"
SAMPLES = "samples.raw"
INDEX_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=name == "variant")
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
        }.items()
    ]
)


@dataclass(frozen=True)
class Packed:
    """Random access to the samples of `data/packed/`."""

    folder: Path
    index: pa.Table
    """Columns of `INDEX_SCHEMA`; row i describes sample i."""
    samples: NDArray[np.uint8]
    """Memory map, uint8 (N, T, H, W, 3) RGB."""
    fps: float

    @classmethod
    def open(cls, folder: Path) -> Packed:
        """Map the samples of `folder`.

        Raises:
            UserError: a file is missing, or the samples are fewer bytes than the index says.
        """
        for name in (INDEX, SAMPLES):
            if not (folder / name).is_file():
                raise UserError(f"{folder / name}: missing; run dvc repro pack or dvc pull")
        clip = manifest.read_format(folder)
        try:
            index = pq.read_table(folder / INDEX)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                f"{folder / INDEX}: not readable ({error}); run dvc repro pack"
            ) from error
        if index.schema.names != INDEX_SCHEMA.names:
            raise UserError(f"{folder / INDEX}: of another schema; run dvc repro pack")
        shape = (index.num_rows, clip.num_frames, clip.size, clip.size, 3)
        expected, actual = int(np.prod(shape)), (folder / SAMPLES).stat().st_size
        if expected != actual:
            raise UserError(
                f"{folder / SAMPLES}: {actual} bytes instead of {expected}; "
                "run dvc checkout or dvc repro pack"
            )
        if index.num_rows == 0:
            raise UserError(f"{folder}: holds no sample; look at the rejects of ingest and split")
        samples = np.memmap(folder / SAMPLES, np.uint8, "r", shape=shape)
        return cls(folder, index, samples, clip.fps)

    def read(self, i: int) -> NDArray[np.uint8]:
        """Sample `i` as uint8 (T, H, W, 3) RGB."""
        return np.asarray(self.samples[i])

    def select(self, splits: Sequence[str], *, variants: bool) -> NDArray[np.int64]:
        """Row numbers of the samples of `splits`, with or without augmented variants."""
        in_split = np.isin(self.index["split"].to_numpy(zero_copy_only=False), list(splits))
        if not variants:
            in_split &= self.index["variant"].is_null().to_numpy(zero_copy_only=False)
        return np.flatnonzero(in_split)
