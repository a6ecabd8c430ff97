"""How the network is trained and validated, as a Lightning module."""

from __future__ import annotations

import math

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.learn.network import Architecture, CausalNet
from pipeline.manifest import CLASSES

REAL_SHOOTING = CLASSES.index("real_shooting")


class Classifier(pl.LightningModule):
    """Learns the four classes jointly from the answer at the last frame of a clip."""

    val_logits: Tensor
    val_labels: Tensor

    def __init__(self, cfg: TrainConfig, num_batches: int) -> None:
        super().__init__()
        self.cfg = cfg
        self.num_steps = cfg.num_epochs * num_batches
        torch.manual_seed(cfg.seed)
        self.network = CausalNet(architecture(cfg))
        self._validated: list[tuple[Tensor, Tensor]] = []

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Seed dropout by place, so that a resumed run draws what an undisturbed one does."""
        rng = np.random.default_rng([self.cfg.seed, self.current_epoch, batch_idx])
        torch.manual_seed(int(rng.integers(2**63)))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Smoothed cross entropy of a batch.

        Raises:
            UserError: the loss is not finite.
        """
        clips, labels = batch
        loss = functional.cross_entropy(
            self.network(clips)[:, -1], labels, label_smoothing=self.cfg.label_smoothing
        )
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss became {loss.item()} in epoch {self.current_epoch}, batch {batch_idx}; "
                "lower lr or gradient_clip in conf/train.yaml (earlier weights are kept)"
            )
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before."""
        self._validated = []

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep the answers of a batch."""
        clips, labels = batch
        self._validated.append((self.network(clips)[:, -1].float().cpu(), labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log what `judge` says of the whole val split."""
        self.val_logits = torch.cat([logits for logits, _ in self._validated])
        self.val_labels = torch.cat([labels for _, labels in self._validated])
        for name, value in judge(self.val_logits, self.val_labels, self.cfg.max_fpr).items():
            self.log(name, value, prog_bar=name in ("val_loss", "val_accuracy"))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW without decay of norms and biases; linear warm-up, then a cosine to zero."""
        parameters = list(self.network.parameters())
        optimizer = AdamW(
            [
                {
                    "params": [p for p in parameters if p.ndim > 1],
                    "weight_decay": self.cfg.weight_decay,
                },
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=self.cfg.lr,
        )
        num_warmup = max(1, round(self.cfg.warmup_fraction * self.num_steps))

        def factor(step: int) -> float:
            if step < num_warmup:
                return (step + 1) / num_warmup
            done = (step - num_warmup) / max(1, self.num_steps - num_warmup)
            return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

        scheduler = LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def architecture(cfg: TrainConfig) -> Architecture:
    """The network that `conf/train.yaml` describes.

    Raises:
        UserError: `widths` and `dilations` do not fit each other.
    """
    if len(cfg.widths) != len(cfg.dilations) + 1 or not cfg.dilations:
        raise UserError(
            f"conf/train.yaml: {len(cfg.widths)} widths and {len(cfg.dilations)} dilations; "
            "give one width for the stem, then one width and one dilation for each block"
        )
    return Architecture(tuple(cfg.widths), tuple(cfg.dilations), cfg.dropout, len(CLASSES))


def judge(logits: Tensor, labels: Tensor, max_fpr: float) -> dict[str, float]:
    """Loss, accuracy and ranking of a split; NaN where too few samples can tell.

    `val_auroc` and `val_auroc_low_fpr` are those of the score, P(real_shooting); the latter
    covers false-positive rates up to `max_fpr` only and is standardised to 0.5 for chance
    (McClish, 1989). It takes ten positives, and negatives enough for ten false alarms.
    """
    scores = logits.double().softmax(1)[:, REAL_SHOOTING].numpy()
    positive: NDArray[np.bool_] = (labels == REAL_SHOOTING).numpy()
    num_positives, num_negatives = int(positive.sum()), int((~positive).sum())
    auroc = low = math.nan
    if num_positives and num_negatives:
        auroc = float(roc_auc_score(positive, scores))
    if num_positives >= 10 and num_negatives * max_fpr >= 10:
        low = float(roc_auc_score(positive, scores, max_fpr=max_fpr))
    return {
        "val_loss": functional.cross_entropy(logits.double(), labels).item(),
        "val_accuracy": (logits.argmax(1) == labels).double().mean().item(),
        "val_auroc": auroc,
        "val_auroc_low_fpr": low,
    }
