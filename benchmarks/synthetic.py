"""Random packed samples, to measure speed by where there is no `dvc repro`."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ClipFormat
from pipeline.store import manifest
from pipeline.store.manifest import ABSENT, CLASSES
from pipeline.store.packed_samples import ENCODINGS, INDEX, INDEX_SCHEMA
from pipeline.store.shards import RawWriter, shard_name

PARTS = {"train": 1.0, "val": 0.25, "test": 0.25}


def write_samples(folder: Path, num_train: int, clip: ClipFormat) -> Path:
    """Write `num_train` samples of the train split and a quarter of that of val and test each.

    The classes take turns, each from two sources, and every sample is a recording of its own.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "part").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    with RawWriter(folder / "part") as writer:
        for split, share in PARTS.items():
            for number in range(round(share * num_train)):
                label = CLASSES[number % len(CLASSES)]
                origin = "real" if label.startswith("real") else "game"
                name = f"{split}-{number}"
                shape = (clip.num_frames, clip.size, clip.size, 3)
                data = rng.integers(0, 256, shape, np.uint8).tobytes()
                row = {
                    "sample_id": name,
                    "clip_id": name,
                    "recording": name,
                    "split": split,
                    "origin": origin,
                    "source": f"{origin}-{number // len(CLASSES) % 2}",
                    "discharge": int(label.endswith("shooting")),
                    "seen": int(label.endswith("shooting")),
                    "start_s": 0.0,
                    "sha256": hashlib.sha256(data).hexdigest(),
                    **asdict(writer.add(name, data)),
                }
                rows.append(
                    dict.fromkeys(INDEX_SCHEMA.names, "-")
                    | {"variant": None, "rendered": False}
                    | {
                        "sound": ABSENT,
                        "heard": None,
                        "sound_sha256": None,
                        "sound_offset": 0,
                        "sound_size": 0,
                    }
                    | row
                )
    name = shard_name(0, ENCODINGS["raw"])
    (folder / "part" / name).rename(folder / name)
    (folder / "part").rmdir()
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), folder / INDEX)
    manifest.write_format(folder, clip)
    return folder
