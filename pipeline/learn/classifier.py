"""Trains and validates a network, as a Lightning module."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn import functional

from pipeline.config import ClipFormat, TrainApp
from pipeline.errors import UserError
from pipeline.learn import networks
from pipeline.learn.batch import Batch
from pipeline.learn.distributed import averaged, gathered_objects, own_share
from pipeline.learn.losses import discharge_loss, joint_loss
from pipeline.learn.networks.base import Network
from pipeline.learn.networks.product import discharge_log_odds
from pipeline.learn.ondevice import alter
from pipeline.learn.optimiser import adamw, schedule
from pipeline.numbers import metrics
from pipeline.store.manifest import IS_DISCHARGE, REAL_SHOOTING

MIN_POSITIVES, MIN_FALSE_ALARMS = 10, 10
"""Fewer samples of val can't rank at low false-positive rates."""
NUM_RESAMPLES, AT_ONCE = 200, 20
"""Resamples of val behind the standard error of what it ranks by, and how many fit into memory."""
LOOK_EVERY = 50
"""Batches after which it is looked whether all is well; a look makes a GPU wait."""


class Diverged(UserError):
    """A loss or a weight is infinite or no number."""


class Classifier(pl.LightningModule):
    """Learns the four classes of clips.

    Args:
        clip: format of the clips.
        num_batches: of an epoch.
        discharge_alone: learn the discharge and be judged by it, because the answer on the origin
            is another network's.
    """

    loss_sum: Tensor
    """Sum of the losses of this process over the epoch so far."""
    val_logits: Tensor
    val_labels: Tensor

    def __init__(
        self, cfg: TrainApp, clip: ClipFormat, *, num_batches: int, discharge_alone: bool = False
    ) -> None:
        super().__init__()
        self.cfg, self.discharge_alone = cfg, discharge_alone
        self.num_batches = num_batches
        torch.manual_seed(cfg.seed)
        self.network = networks.build(cfg.model, clip)
        if cfg.run.channels_last:
            to_channels_last(self.network)
        self.register_buffer("loss_sum", torch.zeros(()), persistent=False)
        self._answer = torch.compile(answer) if cfg.run.compile else answer
        self._validated: list[tuple[Tensor, Tensor, Tensor]] = []

    def setup(self, stage: str) -> None:
        """Lightning sets another number of threads where several processes train."""
        torch.set_num_threads(self.cfg.num_threads)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout by position, so that a resumed run draws what an undisturbed one does."""
        position = [self.cfg.seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.default_rng(position).integers(2**63)))
        if batch_idx == 0:
            self.loss_sum.zero_()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        loss = self.loss(batch)
        self.loss_sum += loss.detach()
        return loss

    def loss(self, batch: Batch) -> Tensor:
        """Alter the clips of a batch, answer, and compare; of the share of this process alone.

        All shares are equally large, so that gradients averaged over the processes, as DDP does,
        are those of the whole batch.
        """
        clips = alter(batch.clips, batch.epochs, batch.positions, self.cfg)
        logits = self._answer(self.network, clips)
        loss = discharge_loss if self.discharge_alone else joint_loss
        return loss(logits, batch.labels, self.cfg.loss)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Look now and then, and before validation, whether the numbers are finite."""
        if (batch_idx + 1) % LOOK_EVERY == 0 or batch_idx + 1 == self.num_batches:
            self.check_finite(batch_idx)

    def check_finite(self, batch_idx: int) -> None:
        """Raise `Diverged` if a loss of the epoch, up to a batch, or a weight is not finite."""
        where = f"in epoch {self.current_epoch}, by batch {batch_idx}"
        remedy = "lower lr or gradient_clip in conf/train.yaml (earlier weights are kept)"
        loss_sum = averaged(self.loss_sum)
        if not loss_sum.isfinite():
            raise Diverged(f"the loss became {loss_sum.item()} {where}; {remedy}")
        if not torch.stack([p.isfinite().all() for p in self.network.parameters()]).all():
            raise Diverged(f"weights became infinite or no numbers {where}; {remedy}")

    def on_validation_epoch_start(self) -> None:
        """Forget the epoch before."""
        self._validated = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the answers of a batch."""
        logits = self._answer(self.network, batch.clips)
        self._validated.append((batch.positions.cpu(), logits.float().cpu(), batch.labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log what `judge` says of the whole val split, whichever process answered for what."""
        answers = [part for parts in gathered_objects(self._validated) for part in parts]
        positions, logits, labels = (torch.cat(column) for column in zip(*answers, strict=True))
        order = positions.argsort()
        self.val_logits, self.val_labels = logits[order], labels[order]
        self.log("train_loss", averaged(self.loss_sum) / self.num_batches, prog_bar=True)
        found = judge(
            self.val_logits,
            self.val_labels,
            self.cfg.max_fpr,
            discharge_alone=self.discharge_alone,
        )
        for name, value in found.items():
            self.log(name, value, prog_bar=name in ("val_loss", "val_accuracy"))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, whose rate changes with every step."""
        optimiser = adamw(self.network, self.cfg)
        num_steps = self.cfg.num_epochs * math.ceil(self.num_batches / self.cfg.accumulate)
        scheduler = schedule(optimiser, self.cfg, num_steps)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what network the weights are of, and what each process has lost so far."""
        checkpoint["architecture"] = self.network.architecture()
        checkpoint["loss_sums"] = gathered_objects(self.loss_sum.item())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the epoch's loss; refuse the weights of another network with a `UserError`."""
        found, asked = checkpoint["architecture"], self.network.architecture()
        if found != asked:
            raise UserError(
                f"the checkpoint is of the network {found}, and conf/train.yaml asks for {asked}; "
                "ask for the former, or remove the checkpoint to start anew"
            )
        self.loss_sum.fill_(own_share(checkpoint["loss_sums"]))


def answer(network: Network, clips: Tensor) -> Tensor:
    """Logits (B, 4) of clips."""
    return network.classify(network.embed(clips))


def to_channels_last(network: Network) -> None:
    """Lay out the weights of convolutions as tensor cores read them; no value changes."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        if parameter.ndim in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])


def judge(
    logits: Tensor, labels: Tensor, max_fpr: float, *, discharge_alone: bool = False
) -> dict[str, float]:
    """Loss, accuracy and ranking of a split; NaN where too few samples can tell.

    `val_auroc` and `val_auroc_low_fpr` are those of the score, P(real_shooting), or of the
    probability of a discharge; the latter covers false-positive rates up to `max_fpr` only and is
    standardised to 0.5 for chance (McClish, 1989). It takes ten positives, and negatives enough
    for ten false alarms.

    Args:
        logits: float (N, 4).
        labels: int64 (N,) positions in `CLASSES`.
        discharge_alone: judge the answer on the discharge and not the four classes.
    """
    logits = logits.double()
    positive, scores = _truth_and_scores(logits, labels, discharge_alone)
    num_positives, num_negatives = int(positive.sum()), int((~positive).sum())
    counts = metrics.Ranking(positive, scores).counts(np.ones((1, len(positive))))
    low = math.nan
    if num_positives >= MIN_POSITIVES and num_negatives * max_fpr >= MIN_FALSE_ALARMS:
        low = float(metrics.partial_auroc(counts, max_fpr)[0])
    if discharge_alone:
        logits, labels = discharge_logits(logits), torch.from_numpy(positive).long()
    return {
        "val_loss": functional.cross_entropy(logits, labels).item(),
        "val_accuracy": (logits.argmax(1) == labels).double().mean().item(),
        "val_auroc": float(metrics.auroc(counts)[0]),
        "val_auroc_low_fpr": low,
    }


def ranking_error(
    logits: Tensor, labels: Tensor, max_fpr: float | None, *, discharge_alone: bool = False
) -> float:
    """Standard error of what `judge` says of ranking, by bootstrap over samples.

    Args:
        logits: float (N, 4).
        labels: int64 (N,).
        max_fpr: None for `val_auroc`.
        discharge_alone: as in `judge`.
    """
    positive, scores = _truth_and_scores(logits, labels, discharge_alone)
    generator = np.random.default_rng(0)
    ranking, areas = metrics.Ranking(positive, scores), []
    for _ in range(0, NUM_RESAMPLES, AT_ONCE):
        drawn = generator.integers(0, len(positive), (AT_ONCE, len(positive)))
        weights = np.stack([np.bincount(one, minlength=len(positive)) for one in drawn])
        counts = ranking.counts(weights.astype(np.float64))
        if max_fpr is None:
            areas.append(metrics.auroc(counts))
        else:
            areas.append(metrics.partial_auroc(counts, max_fpr))
    found = np.concatenate(areas)
    found = found[np.isfinite(found)]
    return float(np.std(found, ddof=1)) if len(found) > 1 else 0.0


def discharge_logits(logits: Tensor) -> Tensor:
    """Logits (N, 2) of no discharge and of one, from those of the classes, (N, 4)."""
    odds = discharge_log_odds(logits)
    return torch.stack([torch.zeros_like(odds), odds], dim=1)


def _truth_and_scores(
    logits: Tensor, labels: Tensor, discharge_alone: bool
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    if discharge_alone:
        truth = torch.tensor(IS_DISCHARGE)[labels].numpy()
        return truth, discharge_log_odds(logits.double()).numpy()
    scores = logits.double().softmax(1)[:, REAL_SHOOTING].numpy()
    return (labels == REAL_SHOOTING).numpy(), scores
