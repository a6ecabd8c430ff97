"""Loads what the network learns from and is chosen by, as Lightning has packed samples loaded."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from pipeline.config import Run, TrainConfig
from pipeline.errors import UserError
from pipeline.learn.loader import Loader
from pipeline.learn.sampler import Bags, BagSampler, BalancedSampler, InOrder, Sampler
from pipeline.store.manifest import CLASSES, IS_DISCHARGE, REAL_SHOOTING, class_index
from pipeline.store.packed_samples import INDEX, Packed

log = logging.getLogger(__name__)


class PackedData(pl.LightningDataModule):
    """Loaders of the train and the val split; ranks share each of them without overlap.

    Samples in which a discharge is heard and not seen are in neither: pictures cannot tell it.

    Args:
        packed: samples of all splits.
        cfg: of training.
        run: how.
        discharge_alone: whether the network learns the discharge alone, as it does beside an
            answer on the origin.

    Raises:
        UserError: the train split lacks a class, or val is empty.
    """

    def __init__(
        self, packed: Packed, cfg: TrainConfig, run: Run, *, discharge_alone: bool = False
    ) -> None:
        super().__init__()
        self.packed, self.cfg, self.run = packed, cfg, run
        self.discharge_alone = discharge_alone
        origins, discharges = packed.index["origin"], packed.index["discharge"]
        self.labels = np.array(
            [
                class_index(origin, bool(discharge))
                for origin, discharge in zip(
                    origins.to_pylist(), discharges.to_pylist(), strict=True
                )
            ]
        )
        self.train_rows = self._seen(packed.select(["train"], variants=cfg.use_variants))
        self.val_rows = self._seen(packed.select(["val"], variants=False))
        self.bags = self._bags()
        self._check()

    def _bags(self) -> Bags:
        """Windows of files that show a discharge nobody knows when, a bag a file."""
        rows = self.packed.bags() if self.cfg.bags else np.empty(0, np.int64)
        index = self.packed.index.take(rows)
        files = zip(*(index[name].to_pylist() for name in ("collection", "path")), strict=True)
        numbers: dict[tuple[str, str], int] = {}
        bag = [numbers.setdefault(file, len(numbers)) for file in files]
        order = np.argsort(np.array(bag, np.int64), kind="stable")
        return Bags(rows[order], np.array(bag, np.int64)[order], self.cfg.bags)

    def _seen(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `rows` whose pictures tell the class: in none is a discharge heard alone."""
        is_known = self.packed.index["seen"].is_valid().to_numpy(zero_copy_only=False)
        return rows[is_known[rows]]

    def _check(self) -> None:
        index = f"{self.packed.root}/{INDEX}"
        num_variants = len(self.packed.select(["train"], variants=True))
        num_variants -= len(self.packed.select(["train"], variants=False))
        for key, asked in (
            ("use_variants", self.cfg.use_variants),
            ("origin.use_variants", self.cfg.origin.use_variants),
        ):
            if asked and not num_variants:
                raise UserError(
                    f"conf/train.yaml: {key}=true: no train clip in {index} has a variant; set "
                    "variants_per_clip in conf/augment.yaml and run dvc repro pack"
                )
        absent = self._absent(self.train_rows)
        if absent:
            remedy = f"{self.find_times(absent)}add footage that shows it "
            remedy += "(conf/ingest.yaml: collections)"
            if self.packed.select(["unseen"], variants=False).size:
                remedy += " or hold out fewer sources (conf/split.yaml: unseen_sources)"
            raise UserError(
                f"{index}: the train split has no sample of {', '.join(absent)}"
                f"{self._but_heard('train', absent)}; {remedy}"
            )
        if len(self.val_rows) == 0:
            raise UserError(
                f"{index}: the val split is empty{self._but_heard('val', CLASSES)}, so no weights "
                "can be called best; split says what it takes to fill it (dvc repro split)"
            )
        absent = self._absent(self.val_rows)
        if absent:
            log.warning(
                "%s: the val split has no sample of %s%s, so weights are chosen%s and calibrated "
                "without; %sadd recordings that show it",
                index,
                ", ".join(absent),
                self._but_heard("val", absent),
                "" if self._can_rank() else " by the loss",
                self.find_times(absent),
            )

    def _absent(self, rows: NDArray[np.int64]) -> list[str]:
        """Classes that none of `rows` belongs to."""
        return [name for name, number in self.count(rows).items() if number == 0]

    def _but_heard(self, split: str, absent: Sequence[str]) -> str:
        """Return what a split has of classes that none of its samples shows."""
        counts = self.count(self.packed.select([split], variants=False))
        num_heard = sum(counts[name] for name in absent)
        if not num_heard:
            return ""
        return (
            f" but {num_heard} in which a discharge is only heard (heard_s in index.csv), which "
            "pictures learn nothing from"
        )

    def find_times(self, classes: Sequence[str]) -> str:
        """What to do first where files that show some classes do not tell when; empty if none."""
        counts = self.count(self.packed.bags())
        number = sum(counts[name] for name in classes)
        if not number:
            return ""
        return (
            f"find times for the files without any, which have {number} windows of it "
            "(discern review propose FOLDER), or "
        )

    def _can_rank(self) -> bool:
        """Return whether val has what is to rank high, and what is to rank low."""
        labels = self.labels[self.val_rows]
        positive = (
            np.array(IS_DISCHARGE)[labels] if self.discharge_alone else labels == REAL_SHOOTING
        )
        return bool(positive.any() and not positive.all())

    def count(self, rows: NDArray[np.int64]) -> dict[str, int]:
        """Return how many of `rows` belong to each class."""
        counts = np.bincount(self.labels[rows], minlength=len(CLASSES))
        return dict(zip(CLASSES, counts.tolist(), strict=True))

    def stats(self) -> dict[str, dict[str, int]]:
        """Samples of each class that weights are fitted to and chosen by, and bags if there are."""
        found = {"train": self.count(self.train_rows), "val": self.count(self.val_rows)}
        return found | ({"bags": self.count(self.bags.first)} if len(self.bags.rows) else {})

    def footage(self) -> list[dict[str, str | int | float]]:
        """Clips, variants aside, that weights are fitted to and chosen by, and who gave them.

        A row for each source, origin, licence, authority and `rendered`, sorted, with the counts
        `train` and `val`, and `origin_weight`, what a clip of it counts where the answer on the
        origin has a network of its own.
        """
        names = ("source", "origin", "licence", "authority", "rendered")
        counts: dict[str, Counter[tuple[Any, ...]]] = {}
        for split in ("train", "val"):
            wanted = self.packed.select([split], variants=False)
            if split == "train":
                wanted = np.concatenate([wanted, self.bags.rows])
            rows = self.packed.index.select(names).take(wanted)
            columns = [column.to_pylist() for column in rows.columns]
            counts[split] = Counter(zip(*columns, strict=True))
        return [
            {
                **dict(zip(names, group, strict=True)),
                **{split: counts[split][group] for split in counts},
                "origin_weight": origin_weight(group[names.index("rendered")], self.cfg),
            }
            for group in sorted(set().union(*counts.values()))
        ]

    def sha256(self) -> dict[str, str]:
        """Hash of the index, which holds those of all pixels, by file name."""
        return {INDEX: self.packed.index_sha256}

    @property
    def num_batches(self) -> int:
        """Global batches of one epoch, which draws as many samples as the train split has.

        One batch, in which samples come several times, where they do not fill one.
        """
        return max(1, (len(self.train_rows) + len(self.bags.first)) // self.cfg.batch_size)

    def sampler(self) -> BalancedSampler | BagSampler:
        """Return what the draws of train are balanced by."""
        if not len(self.bags.rows):
            return self._balanced(self.train_rows, self.cfg.batch_size)
        rows = np.concatenate([self.train_rows, self.bags.first])
        everything = self._balanced(rows, self.cfg.batch_size)
        return BagSampler(self._balanced(self.train_rows, len(everything)), everything, self.bags)

    def _balanced(self, rows: NDArray[np.int64], least: int) -> BalancedSampler:
        return BalancedSampler(
            rows,
            self.labels[rows],
            self.packed.index["source"].to_numpy(zero_copy_only=False)[rows],
            source_balance=self.cfg.source_balance,
            seed=self.cfg.seed,
            least=least,
        )

    def state_dict(self) -> dict[str, Any]:
        """What was chosen in bags, which a run that goes on amid an epoch could not tell again."""
        bags = self.bags
        if bags.chosen is None or bags.shares is None:
            return {}
        return {"chosen": torch.from_numpy(bags.chosen), "shares": torch.from_numpy(bags.shares)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.bags.chosen = state_dict["chosen"].numpy()
        self.bags.shares = state_dict["shares"].numpy()

    def train_dataloader(self) -> Loader:
        """Balanced draws, another order in every epoch."""
        return self._loader(self.sampler(), drop_last=True)

    def val_dataloader(self) -> Loader:
        """All val samples once, in the order of the index."""
        return self._loader(InOrder(self.val_rows), drop_last=False)

    def bag_dataloader(self) -> Loader:
        """All windows of bags once, in the order of `bags.rows`."""
        return self._loader(InOrder(self.bags.rows), drop_last=False)

    def _loader(self, sampler: Sampler, *, drop_last: bool) -> Loader:
        world = self.trainer.world_size if self.trainer else 1
        if self.cfg.batch_size % world:
            raise UserError(
                f"conf/train.yaml: batch_size={self.cfg.batch_size} is for all ranks together, and "
                f"not a multiple of {world} ranks; set one that is"
            )
        return Loader(
            self.packed,
            self.labels,
            sampler,
            batch_size=self.cfg.batch_size,
            drop_last=drop_last,
            num_workers=self.run.num_workers,
            rank=self.trainer.global_rank if self.trainer else 0,
            world=world,
            pinned=self.run.accelerator != "cpu" and torch.cuda.is_available(),
        )


def origin_weight(rendered: bool, cfg: TrainConfig) -> float:
    """Return what a clip counts for the answer on the origin: 1, or the weight of rendered ones."""
    return cfg.rendered_weight.origin if rendered else 1.0
