"""Checks that the network can learn one batch by heart: `python -m pipeline overfit`.

If it can't, a longer training or more data will not help: the rate, the network or the labels
are wrong.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset

from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.batch import Batch
from pipeline.learn.classifier import Classifier
from pipeline.learn.data import PackedData
from pipeline.learn.failures import in_plain_words
from pipeline.learn.trainer import make_trainer
from pipeline.store.packed_samples import Packed

NUM_STEPS = 300
ENOUGH = 0.05
"""Loss at which a batch counts as learned."""


def run(cfg: TrainApp) -> None:
    """Train on the first batch alone, without what keeps from overfitting, on one device.

    Raises:
        UserError: the loss stays above `ENOUGH` for `NUM_STEPS` steps.
    """
    cfg.run.devices = cfg.accumulate = 1
    cfg.weight_decay = cfg.model.dropout = 0.0
    cfg.loss = replace(cfg.loss, label_smoothing=0.0)
    cfg.num_epochs = 1
    packed = Packed.open(cfg.paths.packed, Path(cfg.paths.work), cfg.run.cache_gb)
    data = PackedData(packed, cfg, cfg.run)
    classifier = Classifier(cfg, packed.format, num_batches=NUM_STEPS)
    batch = next(iter(data.train_dataloader()))
    watch = _Watch()
    trainer = make_trainer(cfg, max_epochs=1, limit_val_batches=0, callbacks=[watch], logger=False)
    with in_plain_words(cfg):
        again = cast(Dataset[Batch], [batch] * NUM_STEPS)
        trainer.fit(classifier, DataLoader(again, batch_size=None))
    if watch.loss > ENOUGH:
        raise UserError(
            f"one batch of {cfg.batch_size} samples is not learned by heart: after {NUM_STEPS} "
            f"steps the loss is {watch.loss:.3f}, above {ENOUGH}; try another lr (python -m "
            "pipeline find-lr suggests one), then look for samples of the batch whose labels "
            "contradict each other"
        )
    print(f"one batch is learned by heart: loss {watch.loss:.3f} after {trainer.global_step} steps")


class _Watch(pl.Callback):
    loss = float("inf")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.loss = float(outputs["loss"])
        trainer.should_stop = self.loss <= ENOUGH
