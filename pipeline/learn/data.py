"""What the network learns from: balanced draws of packed samples, a little altered."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pipeline import workdir
from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.manifest import CLASSES, class_index
from pipeline.packed import INDEX, SAMPLES, Packed


class Draw(NamedTuple):
    """One sample to read; what is altered in it depends on the epoch and place of the draw."""

    row: int
    epoch: int
    place: int


class BalancedSampler(Sampler[Draw]):
    """As many draws of every class, spread over its sources, in an order set by the epoch.

    Within a class, a source of n samples is drawn in proportion to n ** (1 - source_balance).
    No sample comes twice before all others of its class and source came once.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        sources: NDArray[np.str_],
        *,
        source_balance: float,
        seed: int,
        epoch: int,
    ) -> None:
        assert len(rows) == len(labels) == len(sources) > 0
        self.rows, self.labels, self.sources = rows, labels, sources
        self.source_balance, self.seed, self.epoch = source_balance, seed, epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        classes = np.unique(self.labels)
        drawn = []
        for label, quota in zip(
            classes, divide(len(self), np.ones(len(classes)), rng), strict=True
        ):
            in_class = self.labels == label
            names, sizes = np.unique(self.sources[in_class], return_counts=True)
            shares = divide(quota, sizes ** (1 - self.source_balance), rng)
            for name, share in zip(names, shares, strict=True):
                group = self.rows[in_class & (self.sources == name)]
                num_rounds = math.ceil(share / len(group))
                rounds = rng.permuted(np.tile(group, (num_rounds, 1)), axis=1)
                drawn.append(rounds.ravel()[:share])
        for place, row in enumerate(rng.permutation(np.concatenate(drawn))):
            yield Draw(int(row), self.epoch, place)


def divide(total: int, weights: NDArray[np.floating], rng: np.random.Generator) -> list[int]:
    """Whole shares of `total` in proportion to `weights`, unbiased over `rng`."""
    edges = np.cumsum(weights) / np.sum(weights) * total
    edges[-1] = total
    return [int(n) for n in np.diff(np.floor(edges + rng.random() * (1 - 1e-9)), prepend=0.0)]


def alter(
    frames: NDArray[np.uint8], rng: np.random.Generator, *, max_shift_px: int, jitter: float
) -> NDArray[np.uint8]:
    """Mirror, shift and re-expose a clip, with one draw for all its frames.

    Args:
        frames: uint8 (T, H, W, 3); the result has the same shape.
        max_shift_px: the picture moves up to this far along either axis; its edge is repeated.
        jitter: largest relative change of brightness and contrast; a quarter of it each colour's.
    """
    _, height, width, _ = frames.shape
    shift_y, shift_x = rng.integers(-max_shift_px, max_shift_px + 1, 2)
    rows = np.clip(np.arange(height) + shift_y, 0, height - 1)
    columns = np.clip(np.arange(width) + shift_x, 0, width - 1)
    if rng.random() < 0.5:
        columns = columns[::-1]
    contrast, brightness = 1 + rng.uniform(-jitter, jitter, 2)
    gains = 1 + rng.uniform(-jitter / 4, jitter / 4, 3)
    levels = ((np.arange(256.0) - 128) * contrast + 128 * brightness)[:, None] * gains
    table = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    moved = frames.take(rows, axis=1).take(columns, axis=2)
    return np.stack([table[:, channel][moved[..., channel]] for channel in range(3)], axis=-1)


class Samples(Dataset[tuple[Tensor, int]]):
    """Packed samples by `Draw`, as uint8 (T, H, W, 3) and the index of their class."""

    def __init__(self, packed: Packed, labels: NDArray[np.int64], cfg: TrainConfig | None) -> None:
        self.packed, self.labels = packed, labels
        self.cfg = cfg
        """None leaves the samples as they are."""

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int]:
        frames = self.packed.read(draw.row)
        if self.cfg is None:
            frames = frames.copy()
        else:
            rng = np.random.default_rng([self.cfg.seed, draw.epoch, draw.place])
            frames = alter(frames, rng, max_shift_px=self.cfg.max_shift_px, jitter=self.cfg.jitter)
        return torch.from_numpy(frames), int(self.labels[draw.row])


class PackedData(pl.LightningDataModule):
    """Train and val batches of packed samples: uint8 (B, T, H, W, 3) and int64 (B,).

    Raises:
        UserError: the train split lacks a class or does not fill a batch, or val is empty.
    """

    def __init__(self, packed: Packed, cfg: TrainConfig, num_workers: int) -> None:
        super().__init__()
        self.packed, self.cfg, self.num_workers = packed, cfg, num_workers
        origins, discharges = packed.index["origin"], packed.index["discharge"]
        self.labels = np.array(
            [
                class_index(origin, bool(discharge))
                for origin, discharge in zip(
                    origins.to_pylist(), discharges.to_pylist(), strict=True
                )
            ]
        )
        self.train_rows = packed.select(["train"], variants=cfg.use_variants)
        self.val_rows = packed.select(["val"], variants=False)
        self._check()

    def _check(self) -> None:
        index = self.packed.folder / INDEX
        counts = self.count(self.train_rows)
        absent = [name for name in CLASSES if counts[name] == 0]
        if absent:
            raise UserError(
                f"{index}: the train split has no sample of {', '.join(absent)}; add footage of "
                "it (conf/ingest.yaml: collections) or hold out fewer sources (conf/split.yaml)"
            )
        if len(self.train_rows) < self.cfg.batch_size:
            raise UserError(
                f"{index}: {len(self.train_rows)} train samples do not fill one batch of "
                f"{self.cfg.batch_size}; lower batch_size in conf/train.yaml or add footage"
            )
        if len(self.val_rows) == 0:
            raise UserError(
                f"{index}: the val split is empty, so no weights can be called best; "
                "raise val_fraction in conf/split.yaml or add recordings"
            )

    def count(self, rows: NDArray[np.int64]) -> dict[str, int]:
        """How many of `rows` belong to each class."""
        counts = np.bincount(self.labels[rows], minlength=len(CLASSES))
        return dict(zip(CLASSES, counts.tolist(), strict=True))

    def stats(self) -> dict[str, dict[str, int]]:
        """Samples of each class that weights are fitted to and chosen by."""
        return {"train": self.count(self.train_rows), "val": self.count(self.val_rows)}

    def footage(self) -> list[dict[str, str | int]]:
        """Clips, variants aside, that weights are fitted to and chosen by, and who gave them.

        A row for each source, origin, licence and authority, sorted, with the counts `train` and
        `val`.
        """
        names = ("source", "origin", "licence", "authority")
        counts: dict[str, Counter[tuple[str, ...]]] = {}
        for split in ("train", "val"):
            rows = self.packed.index.select(names).take(self.packed.select([split], variants=False))
            columns = [column.to_pylist() for column in rows.columns]
            counts[split] = Counter(zip(*columns, strict=True))
        return [
            {
                **dict(zip(names, group, strict=True)),
                **{split: counts[split][group] for split in counts},
            }
            for group in sorted(set().union(*counts.values()))
        ]

    def sha256(self) -> dict[str, str]:
        """Hashes of the index and of the pixels, by file name."""
        return {name: workdir.file_sha256(self.packed.folder / name) for name in (INDEX, SAMPLES)}

    @property
    def num_batches(self) -> int:
        """Batches of one epoch, which draws as many samples as the train split has."""
        return len(self.train_rows) // self.cfg.batch_size

    def train_dataloader(self) -> DataLoader[tuple[Tensor, int]]:
        """Batches of the trainer's current epoch; to be called anew for every epoch."""
        assert self.trainer is not None
        sources = self.packed.index["source"].to_numpy(zero_copy_only=False)
        sampler = BalancedSampler(
            self.train_rows,
            self.labels[self.train_rows],
            sources[self.train_rows],
            source_balance=self.cfg.source_balance,
            seed=self.cfg.seed,
            epoch=self.trainer.current_epoch,
        )
        samples = Samples(self.packed, self.labels, self.cfg)
        return self._loader(samples, sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, int]]:
        """The val samples, unaltered, in the order of the index."""
        draws = [Draw(int(row), 0, place) for place, row in enumerate(self.val_rows)]
        return self._loader(Samples(self.packed, self.labels, None), draws, drop_last=False)

    def _loader(
        self, samples: Samples, draws: Sampler[Draw] | list[Draw], *, drop_last: bool
    ) -> DataLoader[tuple[Tensor, int]]:
        return DataLoader(
            samples,
            batch_size=self.cfg.batch_size,
            sampler=draws,
            num_workers=self.num_workers,
            # More batches in flight overflow the 64 MB of shared memory of a Docker container.
            prefetch_factor=1 if self.num_workers else None,
            drop_last=drop_last,
        )
