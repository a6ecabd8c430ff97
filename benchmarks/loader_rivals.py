"""Other ways to get batches of clips, for `loader.py` to be measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from pipeline.config import ClipFormat
from pipeline.store import video

CLIP = ClipFormat(num_frames=16, size=128, fps=15.0, crf=18)
SHAPE = (CLIP.num_frames, CLIP.size, CLIP.size, 3)
BATCH = 16

Epoch = Callable[[], Iterable[Any]]
"""Yields something for every batch that it delivers."""


class FromFiles:
    """Clips of single files by decord, as most training code reads them."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        import decord

        reader = decord.VideoReader(str(self.files[i]), num_threads=1)
        return torch.from_numpy(reader.get_batch(range(len(reader))).asnumpy())


class FromOriginals:
    """Clips out of the middle of long files, scaled by the decoder."""

    def __init__(self, files: Sequence[Path], num_clips: int) -> None:
        self.files, self.num_clips = files, num_clips

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, i: int) -> torch.Tensor:
        import decord

        rng = np.random.default_rng(i)
        path = str(self.files[i % len(self.files)])
        reader = decord.VideoReader(path, width=CLIP.size, height=CLIP.size, num_threads=1)
        step = max(1, round(reader.get_avg_fps() / CLIP.fps))
        last = max(0, len(reader) - step * CLIP.num_frames)
        frames = rng.integers(last + 1) + step * np.arange(CLIP.num_frames)
        wanted = frames.clip(max=len(reader) - 1).tolist()
        return torch.from_numpy(reader.get_batch(wanted).asnumpy())


def of_torch(dataset: Any, num_workers: int) -> Epoch:
    """A plain DataLoader."""
    loader: DataLoader[Any] = DataLoader(
        dataset, BATCH, shuffle=True, num_workers=num_workers, persistent_workers=True
    )
    return lambda: loader


def of_litdata(folder: Path, clips: Sequence[bytes], num_workers: int) -> Epoch:
    """Raw frames in litdata's own chunks."""
    import litdata

    global _CLIPS  # litdata pickles what makes the samples
    _CLIPS = clips
    litdata.optimize(
        _litdata_sample,
        list(range(len(clips))),
        str(folder),
        chunk_bytes="64MB",
        num_workers=1,
        start_method="fork",
        verbose=False,
    )
    dataset = litdata.StreamingDataset(str(folder), shuffle=True, drop_last=True)
    loader = litdata.StreamingDataLoader(
        dataset, batch_size=BATCH, num_workers=num_workers, persistent_workers=True
    )
    return lambda: loader


_CLIPS: Sequence[bytes] = ()


def _litdata_sample(i: int) -> NDArray[np.uint8]:
    return video.decode(_CLIPS[i])


def of_webdataset(folder: Path, clips: Sequence[bytes], num_workers: int, *, raw: bool) -> Epoch:
    """Members of tars, raw frames or mp4, shuffled in a buffer."""
    import webdataset

    folder.mkdir()
    with webdataset.ShardWriter(f"{folder}/%05d.tar", maxcount=64, verbose=0) as writer:
        for i, mp4 in enumerate(clips):
            member = video.decode(mp4).tobytes() if raw else mp4
            writer.write({"__key__": f"{i:05d}", "clip": member})

    def decoded(sample: dict[str, Any]) -> torch.Tensor:
        data = sample["clip"]
        if raw:
            return torch.frombuffer(bytearray(data), dtype=torch.uint8).view(SHAPE)
        return torch.from_numpy(video.decode(data))

    shards = sorted(str(path) for path in folder.iterdir())
    dataset = webdataset.WebDataset(shards, shardshuffle=len(shards)).shuffle(64).map(decoded)
    loader: DataLoader[Any] = DataLoader(
        dataset.batched(BATCH, collation_fn=torch.stack, partial=False),
        batch_size=None,
        num_workers=num_workers,
        persistent_workers=True,
    )
    return lambda: loader
