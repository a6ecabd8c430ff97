"""Hashes of pictures of collections, and of thousands of crops of each, which large banks hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.copies import parts
from pipeline.copies.hash_lists import MIN_QUALITY
from pipeline.copies.matches import RATE_HZ
from pipeline.footage.collection import IndexRow, read_index
from pipeline.footage.printing import PictureHasher

NUM_STRETCHES = 48
"""Of the height, and of the width, of a picture; each pair of them is a crop."""
_POOL = 256
_WORDS = ("source", "recording", "kind")
_ARRAYS = ("times_ms", "hashes", "crop_times_ms", "crops", "places")

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class File:
    """A file that is looked up, and of which crops are items.

    Attributes:
        collection, source: where it comes from.
        recording: that it is of.
        kind: of footage.
        times_ms: of its whole pictures.
        hashes: uint8 (N, 2, 32), with mirror images.
        crop_times_ms: of its crops.
        crops: uint8 (P, 32).
        places: which place of the picture each is, int (P,).
    """

    collection: str
    source: str
    recording: str
    kind: str
    times_ms: NDArray[np.uint32]
    hashes: Bytes
    crop_times_ms: NDArray[np.uint32]
    crops: Bytes
    places: NDArray[np.uint16]


@cache
def pool() -> NDArray[np.float32]:
    """What takes the frequencies out of stretches of half to all of a line: (256, 16, SIDE)."""
    rng = np.random.default_rng(0)
    lengths = rng.uniform(0.5, 1, _POOL)
    starts = rng.uniform(0, 1, _POOL) * (1 - lengths)
    return np.stack(
        [parts._waves(start, start + n) for start, n in zip(starts, lengths, strict=True)]
    )


def crops_of(luma: Bytes, rows: Numbers, columns: Numbers) -> tuple[Bytes, Bools]:
    """The hashes of all crops of a picture that are not too flat, and which have one."""
    num, side = parts._FREQUENCIES, parts.SIDE
    tall, wide = (pool()[of].reshape(-1, side) for of in (rows, columns))
    waves = (tall @ parts._reduced(luma) @ wide.T).reshape(len(rows), num, len(columns), num)
    found = waves.swapaxes(1, 2).reshape(-1, num, num)
    is_varied = parts._is_varied(found)
    return parts._bits(found[is_varied]), is_varied


def hashed(path: Path, seed: int) -> dict[str, NDArray[Any]]:
    """A picture a second of a file, and its crops, as `File` has them."""
    rng = np.random.default_rng(seed)
    rows, columns = (rng.permutation(_POOL)[:NUM_STRETCHES] for _ in range(2))
    hasher, next_s = PictureHasher(), 0.0
    times, hashes, crop_times, crops, places = [], [], [], [], []
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < next_s:
                continue
            next_s = frame.time + 1 / RATE_HZ
            time_ms = round(1000 * frame.time)
            for one in hasher.hashed(frame):
                if one.quality >= MIN_QUALITY:
                    times.append(time_ms)
                    hashes.append(one.hashes)
            found, is_varied = crops_of(hasher.inner(frame), rows, columns)
            crop_times.append(np.full(len(found), time_ms))
            crops.append(found)
            places.append(np.flatnonzero(is_varied))
    return {
        "times_ms": np.array(times, np.uint32),
        "hashes": np.array(hashes, np.uint8).reshape(-1, 2, 32),
        "crop_times_ms": np.concatenate(crop_times).astype(np.uint32),
        "crops": np.concatenate(crops),
        "places": np.concatenate(places).astype(np.uint16),
    }


def files_of(folder: Path, cache: Path) -> list[File]:
    """The files of a collection; what was hashed before is read from the cache."""
    held = cache / f"{folder.name}.npz"
    if not held.exists():
        rows = read_index(folder)
        arrays = {
            f"{number}-{name}": one
            for number, row in enumerate(rows)
            for name, one in hashed(folder / row.path, number).items()
        }
        # An index may change, and what is held stays that of the one before.
        for name in ("source", "recording"):
            arrays[name] = np.array([f"{folder.name}/{getattr(row, name)}" for row in rows])
        arrays["kind"] = np.array([kind_of(row) for row in rows])
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(held, allow_pickle=False, **arrays)
    told = np.load(held)
    files = []
    for number in range(len(told["kind"])):
        source, recording, kind = (str(told[name][number]) for name in _WORDS)
        held_of_it = (told[f"{number}-{name}"] for name in _ARRAYS)
        files.append(File(folder.name, source, recording, kind, *held_of_it))
    return files


def kind_of(row: IndexRow) -> str:
    """What is told apart in the second table."""
    if row.origin == "generated":
        return row.source
    kind = {"real": "camera", "game": "game", "film": "film"}[row.origin]
    return f"{kind}, rendered" if row.rendered else kind
