"""Packed samples that tests make themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import manifest, packed, shards, video
from pipeline.config import ClipFormat
from pipeline.executor import in_blocks


def write_packed(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    samples: Sequence[np.ndarray],
    clip: ClipFormat,
    *,
    encoding: str = "raw",
    shard_samples: int = 16,
) -> Path:
    """What the stage pack leaves, of rows without the columns that tell of bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    index: list[dict[str, Any]] = []
    blocks = in_blocks(zip(rows, samples, strict=True), shard_samples)
    for number, block in enumerate(blocks):
        part = folder / "part"
        part.mkdir()
        name = shards.shard_name(number, packed.ENCODINGS[encoding])
        raw = encoding == "raw"
        with shards.RawWriter(part) if raw else shards.ShardWriter(part, len(block)) as writer:
            for row, frames in block:
                data = frames.tobytes() if raw else video.encode(frames, clip.fps)
                place = asdict(writer.add(row["sample_id"], data)) | {"shard": name}
                index.append({**row, **place, "sha256": hashlib.sha256(data).hexdigest()})
        next(part.iterdir()).rename(folder / name)
        part.rmdir()
    pq.write_table(pa.Table.from_pylist(index, packed.INDEX_SCHEMA), folder / packed.INDEX)
    manifest.write_format(folder, clip)
    return folder
