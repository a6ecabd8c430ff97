"""What a run remembers from epoch to epoch: its curves, its best weights, where to go on."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.learn.module import (
    LOOK_EVERY,
    MIN_FALSE_ALARMS,
    MIN_POSITIVES,
    REAL_SHOOTING,
    Classifier,
    Diverged,
)

CURVES = "curves.csv"
BEST = "metrics.json"
METRICS = ("train_loss", "val_loss", "val_accuracy", "val_auroc", "val_auroc_low_fpr")
RANKINGS = ("val_auroc_low_fpr", "val_auroc")
"""The first that val can show makes an epoch better."""
WINDOW = 5
"""Epochs whose mean speaks for the last of them; the best single one of many is the luckiest."""


class History(pl.Callback):
    """Keeps the curves and the best epoch, and checkpoints of all that training depends on.

    A run killed at any time goes on from the last checkpoint as if nothing had happened.

    Args:
        folder: of the one checkpoint.
        every_s: time between checkpoints inside an epoch; there is one after every epoch too.
            Several processes look at the clock every `LOOK_EVERY` batches only.
        patience: training stops after so many epochs without a better one; 0 for never.
    """

    def __init__(self, folder: Path, *, every_s: float, patience: int) -> None:
        self.folder, self.every_s, self.patience = folder, every_s, patience
        self.checkpoint = folder / "last.ckpt"
        self.rows: list[dict[str, float]] = []
        """One an epoch: `epoch` and `METRICS`."""
        self.best: dict[str, Any] = {}
        """Of the best epoch: `row`, `weights`, and the `logits` and `labels` of val."""
        self._saved_at = time.monotonic()

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint of an earlier, interrupted run of the same training."""
        return self.checkpoint if self.checkpoint.is_file() else None

    @property
    def is_stalled(self) -> bool:
        """Whether patience is at an end."""
        return bool(
            self.patience
            and self.rows
            and self.rows[-1]["epoch"] - self.best["row"]["epoch"] >= self.patience
        )

    def state_dict(self) -> dict[str, Any]:
        """What Lightning puts into the checkpoint."""
        return {"rows": self.rows, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.rows, self.best = state_dict["rows"], state_dict["best"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train no more if the run had stopped before it was interrupted."""
        self._saved_at = time.monotonic()
        trainer.should_stop = self.is_stalled

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save a checkpoint if it is time to, and no gradient is half gathered."""
        is_between_steps = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if is_between_steps and not trainer.is_last_batch and self._is_due(trainer, batch_idx):
            self._save(trainer, pl_module, batch_idx)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch, which was validated before this hook, and save a checkpoint.

        Raises:
            Diverged: the val loss is not finite; the checkpoint stays that of the epoch before.
        """
        assert isinstance(pl_module, Classifier)
        values = {name: float(trainer.callback_metrics[name]) for name in METRICS}
        row = {"epoch": trainer.current_epoch, **values}
        if not math.isfinite(row["val_loss"]):
            raise Diverged(
                f"the val loss became {row['val_loss']} in epoch {trainer.current_epoch}; "
                "lower lr or gradient_clip in conf/train.yaml (earlier weights are kept)"
            )
        self.rows.append(row)
        if not self.best or merit(self.rows) > self._merits()[self.best["row"]["epoch"]]:
            self.best = {
                "row": row,
                "weights": _copy(pl_module.judged.state_dict()),
                "logits": pl_module.val_logits,
                "labels": pl_module.val_labels,
            }
        trainer.should_stop = self.is_stalled
        self._save(trainer, pl_module, pl_module.num_batches - 1)

    def _is_due(self, trainer: pl.Trainer, batch_idx: int) -> bool:
        if trainer.world_size > 1 and (batch_idx + 1) % LOOK_EVERY:
            return False
        # All processes must save together, and clocks differ.
        return trainer.strategy.broadcast(time.monotonic() - self._saved_at >= self.every_s)

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch_idx: int) -> None:
        assert isinstance(pl_module, Classifier)
        pl_module.check_finite(batch_idx)
        self.folder.mkdir(parents=True, exist_ok=True)
        trainer.save_checkpoint(self.checkpoint)
        self._saved_at = time.monotonic()

    def _merits(self) -> list[tuple[int, float, float]]:
        """Of each epoch."""
        return [merit(self.rows[: number + 1]) for number in range(len(self.rows))]

    def best_metrics(self) -> dict[str, float | None]:
        """`epoch` and `METRICS` of the best epoch; None where a metric is undefined."""
        return _rounded(self.best["row"])

    def chosen_by(self, max_fpr: float) -> str:
        """Which metric made the best epoch the best, and why, as a sentence for the log."""
        name = _ranking(self.rows[0])
        if name is None:
            return "val_loss alone, because val has no sample of real_shooting, or no other"
        best = max(self._merits())
        num_alike = sum(found[:2] == best[:2] for found in self._merits())
        if num_alike > 1:
            return f"val_loss, because {name} is highest in {num_alike} epochs alike"
        means = f"{name}, in the mean of {best[0]} epochs up to it" if best[0] > 1 else name
        if name == RANKINGS[0]:
            return means
        num_positives = int((self.best["labels"] == REAL_SHOOTING).sum())
        num_negatives = len(self.best["labels"]) - num_positives
        return (
            f"{means}, because {RANKINGS[0]} at max_fpr={max_fpr} takes {MIN_POSITIVES} samples "
            f"of real_shooting and {math.ceil(MIN_FALSE_ALARMS / max_fpr)} others, and val has "
            f"{num_positives} and {num_negatives}"
        )

    def write(self, folder: Path) -> None:
        """Write `curves.csv`, a row an epoch, and `metrics.json`, the best epoch, for DVC."""
        with (folder / CURVES).open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *METRICS], lineterminator="\n")
            writer.writeheader()
            writer.writerows(_rounded(row) for row in self.rows)
        (folder / BEST).write_text(json.dumps(self.best_metrics(), indent=2) + "\n")


def merit(rows: Sequence[Mapping[str, float]]) -> tuple[int, float, float]:
    """What makes the last of some epochs better: its ranking, then its val loss.

    Both are means over `WINDOW` epochs up to it, and fewer epochs are worse than any more. Where
    val is too small to rank at low false-positive rates it ranks at all of them, and where it
    cannot rank, or ranks perfectly, the loss decides alone.
    """
    recent = rows[-WINDOW:]
    name = _ranking(recent[0])
    rank = 0.0 if name is None else fmean(row[name] for row in recent)
    return len(recent), rank, -fmean(row["val_loss"] for row in recent)


def _ranking(row: Mapping[str, float]) -> str | None:
    """Which of `RANKINGS` val can show, in every epoch alike."""
    return next((name for name in RANKINGS if not math.isnan(row[name])), None)


def _rounded(row: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(row[name]) else round(row[name], 6) for name in row}


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = torch.contiguous_format
    return {name: tensor.cpu().clone(memory_format=plain) for name, tensor in weights.items()}
