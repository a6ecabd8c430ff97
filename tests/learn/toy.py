from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.config import ClipFormat
from pipeline.store import packed_samples
from pipeline.store.manifest import CLASSES
from pipeline.store.sound import num_samples
from tests.packing import write_packed

FORMAT = ClipFormat(num_frames=8, size=32, fps=15.0, crf=18)


def toy_clip(seed: int, label: int) -> np.ndarray:
    """uint8 (8, 32, 32, 3): real is reddish; a discharge is one bright patch in one frame."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(60, 120, (FORMAT.num_frames, FORMAT.size, FORMAT.size, 3))
    if CLASSES[label].startswith("real"):
        frames[..., 0] += 60
    if CLASSES[label].endswith("shooting"):
        y, x = rng.integers(0, FORMAT.size - 8, 2)
        frames[rng.integers(1, FORMAT.num_frames), y : y + 8, x : x + 8] = 255
    return frames.astype(np.uint8)


def toy_sound(number: int) -> np.ndarray | None:
    """int16 (12800,) as long as a clip, of every second sample; None of the others."""
    if number % 2 == 0:
        return None
    rng = np.random.default_rng(number)
    return rng.integers(-3000, 3000, num_samples(FORMAT.num_frames, FORMAT.fps)).astype(np.int16)


def write_toy(
    folder: Path,
    *,
    num_train: int = 32,
    num_val: int = 16,
    classes: tuple[str, ...] = CLASSES,
    encoding: str = "raw",
    shard_samples: int = 10,
    heard: bool = False,
) -> Path:
    """A packed folder in which the classes take turns and every clip is its own recording.

    Its samples have no sound, or where things are `heard`, that of `toy_sound` by their number.
    """
    labels = [CLASSES.index(name) for name in classes]
    rows, frames = [], []
    for split, num_clips in (("train", num_train), ("val", num_val)):
        for number in range(num_clips):
            label = labels[number % len(labels)]
            origin = "real" if CLASSES[label].startswith("real") else "game"
            rows.append(
                {
                    **dict.fromkeys(packed_samples.INDEX_SCHEMA.names, "-"),
                    "sample_id": f"{split}-{number}",
                    "clip_id": f"{split}-{number}",
                    "variant": None,
                    "rendered": False,
                    "source": f"{origin}-{number // 4 % 2}",
                    "origin": origin,
                    "recording": f"{split}-{number}",
                    "split": split,
                    "discharge": int(CLASSES[label].endswith("shooting")),
                    "start_s": 0.0,
                }
            )
            frames.append(toy_clip(len(rows), label))
    sounds = [toy_sound(number) for number in range(len(rows))] if heard else None
    return write_packed(
        folder, rows, frames, FORMAT, encoding=encoding, shard_samples=shard_samples, sounds=sounds
    )
