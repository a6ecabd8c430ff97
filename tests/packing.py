"""Packed samples that tests make themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ClipFormat
from pipeline.store import features, manifest, packed_samples, shards, sound, video, workdir
from pipeline.store.executor import in_blocks
from pipeline.store.packed_samples import Packed

NO_SOUND = {
    "sound": manifest.ABSENT,
    "heard": None,
    "sound_sha256": None,
    "sound_offset": 0,
    "sound_size": 0,
}
"""Columns of the index of a sample that has no sound."""


def write_packed(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    samples: Sequence[np.ndarray],
    clip: ClipFormat,
    *,
    encoding: str = "raw",
    shard_samples: int = 16,
    sounds: Sequence[np.ndarray | None] | None = None,
) -> Path:
    """What the stage pack leaves, of rows without the columns that tell of bytes.

    `sounds` are int16 (S,), or None for a sample without any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index: list[dict[str, Any]] = []
    sounds = [None] * len(rows) if sounds is None else sounds
    blocks = in_blocks(zip(rows, samples, sounds, strict=True), shard_samples)
    for number, block in enumerate(blocks):
        part = folder / "part"
        part.mkdir()
        name = shards.shard_name(number, packed_samples.ENCODINGS[encoding])
        raw = encoding == "raw"
        with shards.RawWriter(part) if raw else shards.ShardWriter(part, len(block)) as writer:
            for row, frames, heard in block:
                data = frames.tobytes() if raw else video.encode(frames, clip.fps)
                place = asdict(writer.add(row["sample_id"], data)) | {"shard": name}
                place["sha256"] = hashlib.sha256(data).hexdigest()
                place |= NO_SOUND | {"seen": row["discharge"]}
                if heard is not None:
                    data = heard.tobytes() if raw else sound.encode(heard)
                    extent = writer.add_sound(row["sample_id"], data)
                    place |= {
                        "sound": manifest.PRESENT,
                        "sound_sha256": hashlib.sha256(data).hexdigest(),
                        "sound_offset": extent.offset,
                        "sound_size": extent.size,
                    }
                index.append({"rendered": False, **row, **place})
        next(part.iterdir()).rename(folder / name)
        part.rmdir()
    pq.write_table(
        pa.Table.from_pylist(index, packed_samples.INDEX_SCHEMA), folder / packed_samples.INDEX
    )
    manifest.write_format(folder, clip)
    return folder


def write_no_features(folder: Path) -> Path:
    """What the stage embed leaves for pictures.name=none, so that nothing but pixels is learned."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write_stats(folder, {"samples": {}})
    return folder


def write_features(
    folder: Path,
    samples: Packed,
    embedded: Sequence[int],
    values: Callable[[int], np.ndarray] | None = None,
    *,
    shard_samples: int = 16,
    pictures: Mapping[str, Any] | None = None,
    provenance: Sequence[Mapping[str, str]] | None = None,
    architecture: Mapping[str, Any] | None = None,
) -> Path:
    """What the stage embed leaves of rows of the packed index, in this order.

    Of a row, `values` gives the features (K, F); (2, 3) of the row's number where it is None.
    """
    write_no_features(folder)
    index = []
    for number, block in enumerate(in_blocks(embedded, shard_samples)):
        name = f"features-{number:05d}.npy"
        found = [np.full((2, 3), row) if values is None else values(row) for row in block]
        np.save(folder / name, np.stack(found).astype(np.float16))
        for at, row in enumerate(block):
            known = samples.index.slice(row, 1).to_pylist()[0]
            place = {"shard": name, "row": at}
            index.append({name: known[name] for name in ("sample_id", "sha256")} | place)
    table = pa.Table.from_pylist(index, features.INDEX_SCHEMA)
    pq.write_table(table, folder / features.INDEX)
    shards = {file.name: workdir.file_sha256(file) for file in sorted(folder.glob("*.npy"))}
    card = {
        "shards": shards,
        "architecture": architecture or {"name": "test"},
        "provenance": provenance or [{"sha256": "0"}],
        "first_frame": 2,
        "pictures": pictures or {"name": "test", "size": 16, "more": [], "every_frames": 4},
    }
    (folder / features.CARD).write_text(json.dumps(card))
    manifest.write_stats(folder, {"samples": {"embedded": len(embedded)}})
    return folder
