"""What a run remembers from epoch to epoch: its curves, its best weights, where to go on."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn.module import Classifier

CURVES = "curves.csv"
BEST = "metrics.json"
METRICS = ("train_loss", "val_loss", "val_accuracy", "val_auroc", "val_auroc_low_fpr")


class History(Checkpoint):
    """Keeps the curves and the best epoch, and a full checkpoint after every epoch.

    Everything is in the one checkpoint, so that a run killed at any time goes on from the end
    of its last whole epoch as if nothing had happened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "last.ckpt"
        self.rows: list[dict[str, float]] = []
        """One an epoch: `epoch` and `METRICS`."""
        self.best: dict[str, Any] = {}
        """Of the best epoch: `row`, `weights`, and the `logits` and `labels` of val."""

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint of an earlier, interrupted run of the same training."""
        return self.checkpoint if self.checkpoint.is_file() else None

    def state_dict(self) -> dict[str, Any]:
        """What Lightning puts into the checkpoint."""
        return {"rows": self.rows, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.rows, self.best = state_dict["rows"], state_dict["best"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch, which was validated before this hook, and save a checkpoint.

        Raises:
            UserError: the val loss is not finite; the checkpoint stays that of the epoch before.
        """
        assert isinstance(pl_module, Classifier)
        values = {name: float(trainer.callback_metrics[name]) for name in METRICS}
        row = {"epoch": trainer.current_epoch, **values}
        if not math.isfinite(row["val_loss"]):
            raise UserError(
                f"the val loss became {row['val_loss']} in epoch {trainer.current_epoch}; "
                "lower lr or gradient_clip in conf/train.yaml (earlier weights are kept)"
            )
        self.rows.append(row)
        if not self.best or merit(row) > merit(self.best["row"]):
            self.best = {
                "row": row,
                "weights": _copy(pl_module.network.state_dict()),
                "logits": pl_module.val_logits,
                "labels": pl_module.val_labels,
            }
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.checkpoint.with_suffix(".part")
        trainer.save_checkpoint(part)
        part.replace(self.checkpoint)

    def best_metrics(self) -> dict[str, float | None]:
        """`epoch` and `METRICS` of the best epoch; None where a metric is undefined."""
        return _rounded(self.best["row"])

    def write(self, folder: Path) -> None:
        """Write `curves.csv`, a row an epoch, and `metrics.json`, the best epoch, for DVC."""
        with (folder / CURVES).open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *METRICS], lineterminator="\n")
            writer.writeheader()
            writer.writerows(_rounded(row) for row in self.rows)
        (folder / BEST).write_text(json.dumps(self.best_metrics(), indent=2) + "\n")


def merit(row: Mapping[str, float]) -> tuple[float, float]:
    """What makes an epoch better: ranking at low false-positive rates, then the val loss.

    Where val is too small for the former, or it is perfect already, the loss decides alone.
    """
    low = row["val_auroc_low_fpr"]
    return (0.0 if math.isnan(low) else low, -row["val_loss"])


def _rounded(row: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(row[name]) else round(row[name], 6) for name in row}


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
