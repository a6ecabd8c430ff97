"""Selection of the best epoch, and what else a run remembers: its curves and checkpoint."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pipeline.learn import distributed
from pipeline.learn.classifier import (
    LOOK_EVERY,
    MIN_FALSE_ALARMS,
    MIN_POSITIVES,
    Classifier,
    Diverged,
    ranking_error,
)
from pipeline.store.manifest import CLASSES, IS_DISCHARGE, REAL_SHOOTING
from pipeline.store.output_files import CURVES
from pipeline.store.output_files import METRICS as BEST
from pipeline.system import interrupts

METRICS = ("train_loss", "val_loss", "val_accuracy", "val_auroc", "val_auroc_low_fpr")
LOW, ALL = "val_auroc_low_fpr", "val_auroc"


class History(pl.Callback):
    """Keeps the curves and the best epoch, and checkpoints of all that training depends on.

    A run killed at any time goes on from the last checkpoint as if nothing had happened. Best is
    the last epoch that val cannot tell from the one that ranks highest, which of many is the
    luckiest: the one-standard-error rule (Breiman et al., "Classification and regression trees",
    1984), where later is what simpler is there, since the learning rate falls.

    Args:
        folder: of the one checkpoint.
        every_s: time between checkpoints inside an epoch; there is one after every epoch too.
            Several processes look at the clock every `LOOK_EVERY` batches only.
        patience: training stops after so many epochs without a higher one; 0 for never.
        max_fpr: of ranking at low false-positive rates.
        discharge_alone: what is ranked is the probability of a discharge instead of the score.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every_s: float,
        patience: int,
        max_fpr: float,
        discharge_alone: bool = False,
    ) -> None:
        self.folder, self.every_s, self.discharge_alone = folder, every_s, discharge_alone
        self.patience, self.max_fpr = patience, max_fpr
        self.checkpoint = folder / "last.ckpt"
        self.rows: list[dict[str, float]] = []
        """A row an epoch, with `epoch` and `METRICS`."""
        self.best: dict[str, Any] = {}
        """`row`, `weights`, and the `logits` and `labels` of val, all of the best epoch."""
        self.highest: dict[str, Any] = {}
        """`epoch`, `value`, and its standard `error`, all of the epoch that ranks highest."""
        self._saved_at = time.monotonic()

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint of an earlier, interrupted run of the same training."""
        return self.checkpoint if self.checkpoint.is_file() else None

    @property
    def is_stalled(self) -> bool:
        """Return whether patience is at an end."""
        return bool(
            self.patience
            and self.rows
            and self.rows[-1]["epoch"] - self.highest["epoch"] >= self.patience
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what Lightning puts into the checkpoint."""
        return {"rows": self.rows, "best": self.best, "highest": self.highest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.rows, self.best = state_dict["rows"], state_dict["best"]
        self.highest = state_dict["highest"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train no more if the run had stopped before it was interrupted.

        From here on a signal waits for a state that can be kept.
        """
        self._saved_at = time.monotonic()
        trainer.should_stop = self.is_stalled
        interrupts.postpone()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let signals end the run again, whose last checkpoint is that of the last epoch."""
        interrupts.resume()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save a checkpoint if it is time to, and no gradient is half gathered.

        Raises:
            Interrupted: the run was told to stop; validation, if it is next, comes first.
        """
        is_between_steps = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not is_between_steps or trainer.is_last_batch:
            return
        stopped_by = distributed.highest(interrupts.due() or 0, trainer.strategy.root_device)
        if stopped_by or self._is_due(trainer, batch_idx):
            self._save(trainer, pl_module, batch_idx)
        if stopped_by:
            interrupts.stop(stopped_by)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop here too if told to, where no other process would wait for this one.

        Raises:
            Interrupted: the run was told to stop; validation is to begin anew.
        """
        stopped_by = interrupts.due()
        if stopped_by and trainer.world_size == 1:
            assert isinstance(pl_module, Classifier)
            self._save(trainer, pl_module, pl_module.num_batches - 1)
            interrupts.stop(stopped_by)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let a run that was stopped amid validation validate from the first batch."""
        if trainer.validating:
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
            for counts in (progress["total"], progress["current"]):
                # What Lightning takes for a stop inside of a batch.
                counts.update(ready=1, started=1, processed=0, completed=0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch, which was validated before this hook, and save a checkpoint.

        Raises:
            Diverged: the val loss is not finite; the checkpoint stays that of the epoch before.
            Interrupted: the run was told to stop.
        """
        assert isinstance(pl_module, Classifier)
        values = {name: float(trainer.callback_metrics[name]) for name in METRICS}
        row = {"epoch": trainer.current_epoch, **values}
        if not math.isfinite(row["val_loss"]):
            raise Diverged(
                f"the val loss became {row['val_loss']} in epoch {trainer.current_epoch}; "
                "lower lr or gradient_clip in conf/train.yaml (earlier weights are kept)"
            )
        self.add(row, pl_module.network, pl_module.val_logits, pl_module.val_labels)
        trainer.should_stop = self.is_stalled
        self._save(trainer, pl_module, pl_module.num_batches - 1)
        if stopped_by := distributed.highest(interrupts.due() or 0, trainer.strategy.root_device):
            interrupts.stop(stopped_by)

    def add(
        self, row: dict[str, float], network: nn.Module, logits: Tensor, labels: Tensor
    ) -> None:
        """Take in an epoch, and keep its weights if it is the best so far."""
        self.rows.append(row)
        name, value = ranking(row)
        if not self.highest or value > self.highest["value"]:
            error = 0.0
            if name in (LOW, ALL):
                error = ranking_error(
                    logits,
                    labels,
                    self.max_fpr if name == LOW else None,
                    discharge_alone=self.discharge_alone,
                )
            self.highest = {"epoch": row["epoch"], "value": value, "error": error}
        if value >= self.highest["value"] - self.highest["error"]:
            weights = _copy(network.state_dict())
            self.best = {"row": row, "weights": weights, "logits": logits, "labels": labels}

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
        self.tell()

    def tell(self) -> None:
        """Say what a run that is stopped leaves."""
        if self.resume_from is not None:
            interrupts.keeps(
                f"earlier outputs are as they were, and {self.checkpoint} is kept; run the same "
                "again, which goes on from it"
            )

    def best_metrics(self) -> dict[str, float | None]:
        """`epoch` and `METRICS` of the best epoch; None where a metric is undefined."""
        return _rounded(self.best["row"])

    def chosen_by(self) -> str:
        """Return what made the best epoch the best, and why that, as a sentence for the log."""
        name, _ = ranking(self.best["row"])
        if name == "val_loss":
            return f"val_loss alone, because val has no sample of {self._positives()}, or no other"
        reason = (
            f"{name}, as the last epoch within a standard error ({self.highest['error']:.3f}) "
            f"of epoch {self.highest['epoch']}, which ranks highest"
        )
        if name == LOW:
            return reason
        positive = (
            torch.tensor(IS_DISCHARGE)[self.best["labels"]]
            if self.discharge_alone
            else self.best["labels"] == REAL_SHOOTING
        )
        num_positives = int(positive.sum())
        num_negatives = len(self.best["labels"]) - num_positives
        needed = math.ceil(MIN_FALSE_ALARMS / self.max_fpr)
        return (
            f"{reason}; {LOW} at max_fpr={self.max_fpr} takes {MIN_POSITIVES} samples of "
            f"{self._positives()} and {needed} others, and val has {num_positives} and "
            f"{num_negatives}"
        )

    def _positives(self) -> str:
        return "a discharge" if self.discharge_alone else CLASSES[REAL_SHOOTING]

    def write(self, folder: Path, metrics: Mapping[str, float | None]) -> None:
        """Write `curves.csv`, a row an epoch, and `metrics.json`, what is kept, for DVC."""
        with (folder / CURVES).open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *METRICS], lineterminator="\n")
            writer.writeheader()
            writer.writerows(_rounded(row) for row in self.rows)
        (folder / BEST).write_text(json.dumps(dict(metrics), indent=2) + "\n")


def ranking(row: Mapping[str, float]) -> tuple[str, float]:
    """Return which metric says how good an epoch is, and how good, more being better.

    That at low false-positive rates; where val is too small for it, that at all of them; where it
    cannot rank at all, the loss.
    """
    for name in (LOW, ALL):
        if not math.isnan(row[name]):
            return name, row[name]
    return "val_loss", -row["val_loss"]


def _rounded(row: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(row[name]) else round(row[name], 6) for name in row}


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = torch.contiguous_format
    return {name: tensor.cpu().clone(memory_format=plain) for name, tensor in weights.items()}
