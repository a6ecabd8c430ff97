"""Files that show a discharge nobody knows when: bags of windows, of which at least one shows it.

In every epoch but the first, each bag gives windows to learn from as any others that show a
discharge: those of its windows that look and sound most like one, by the network as it is when the
epoch begins and by the frozen one that hears (multiple-instance learning; Andrews, Tsochantaridis
and Hofmann, 2003). Windows that are not chosen teach nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from pipeline.learn.batch import Batch
from pipeline.learn.classifier import Classifier, answer
from pipeline.learn.data import PackedData
from pipeline.learn.distributed import gathered_objects
from pipeline.learn.loader import Loader
from pipeline.learn.networks.product import discharge_log_odds

Floats = NDArray[np.float64]


class ChosenWindows(pl.Callback):
    """Looks at the windows of all bags before every epoch but the first, and chooses among them.

    They are read as a split is that is validated, so that memory does not grow with their number.
    Before the second epoch the network has no opinion, and what has a label is learned from alone.

    Args:
        data: whose bags they are.
        heard: log likelihood ratios of a discharge that is heard in each of them, (N,).
    """

    def __init__(self, data: PackedData, heard: Floats) -> None:
        assert len(heard) == len(data.bags.rows)
        self.data, self.heard = data, heard
        self._loader: Loader | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose by what is seen, told by the network, and what is heard."""
        assert isinstance(pl_module, Classifier)
        if trainer.current_epoch:
            self.data.bags.choose(self._seen(pl_module) + self.heard)

    @torch.no_grad()
    def _seen(self, classifier: Classifier) -> Floats:
        """Log odds of a discharge in each window, (N,), whichever process answered for what."""
        network = classifier.network
        network.eval()
        told: list[Any] = []
        # Its workers stay, as those of other loaders do.
        self._loader = self._loader or self.data.bag_dataloader()
        for batch in self._loader:
            told.append(_told(classifier, batch))
        network.train()
        parts = [part for parts in gathered_objects(told) for part in parts]
        positions, odds = (np.concatenate(column) for column in zip(*parts, strict=True))
        return np.asarray(odds[positions.argsort()])


def _told(classifier: Classifier, batch: Batch) -> tuple[NDArray[np.int64], Floats]:
    logits = answer(classifier.network, batch.clips.to(classifier.device))
    return batch.positions.numpy(), discharge_log_odds(logits.double()).cpu().numpy()
