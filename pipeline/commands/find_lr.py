"""Suggests a learning rate from one short ramp of it: `python -m pipeline find-lr`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytorch_lightning as pl
from numpy.typing import NDArray
from scipy.signal import lfilter

from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.classifier import Classifier, Diverged
from pipeline.learn.data import PackedData
from pipeline.learn.failures import in_plain_words
from pipeline.learn.trainer import make_trainer
from pipeline.store.packed_samples import Packed

LOWEST, HIGHEST = 1e-6, 1.0
_NUM_STEPS = 100
_PLOT = "find-lr.html"


def run(cfg: TrainApp) -> None:
    """Train for 100 steps at a rising rate, print and plot what became of the loss.

    Everything else is as configured, on one device. No configuration or weights are written.

    Raises:
        UserError: the loss falls at no rate.
    """
    cfg.run.devices = 1
    packed = Packed.open(cfg.paths.packed, Path(cfg.paths.work), cfg.run.cache_gb)
    data = PackedData(packed, cfg, cfg.run)
    classifier = Classifier(cfg, packed.format, num_batches=data.num_batches)
    ramp = Ramp(_NUM_STEPS)
    trainer = make_trainer(
        cfg,
        max_epochs=-1,
        max_steps=_NUM_STEPS,
        limit_val_batches=0,
        callbacks=[ramp],
        logger=False,
    )
    with in_plain_words(cfg), suppress(Diverged):
        trainer.fit(classifier, data)
    losses = smoothed(ramp.losses)
    rate = steepest(ramp.rates, losses)
    plot = Path(cfg.paths.work, _PLOT)
    _draw(plot, ramp.rates, losses, rate)
    print(f"lr={rate:.1e} is where the loss falls fastest; lr={cfg.lr:.1e} is configured")
    print(f"{plot} shows the loss at every rate")


class Ramp(pl.Callback):
    """Raises the rate by the same factor at each of some steps until the loss runs away."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self.rates: list[float] = []
        self.losses: list[float] = []
        """The loss of each batch, at the `rates`."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the rate of the coming step."""
        done = trainer.global_step / max(1, self.num_steps - 1)
        self.rates.append(LOWEST * (HIGHEST / LOWEST) ** done)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.rates[-1] * group["lr_scale"]

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Keep the loss, and stop once it is far above what it was."""
        self.losses.append(trainer.accumulate_grad_batches * float(outputs["loss"]))
        trainer.should_stop = not self.losses[-1] <= 4 * min(self.losses)


def smoothed(losses: Sequence[float]) -> NDArray[np.float64]:
    """Exponential mean of the finite losses at the beginning, unbiased at its own beginning."""
    finite = np.array(list(itertools.takewhile(math.isfinite, losses)))
    return lfilter([0.1], [1, -0.9], finite) / (1 - 0.9 ** np.arange(1, len(finite) + 1))


def steepest(rates: Sequence[float], losses: NDArray[np.float64]) -> float:
    """The rate at which the loss falls fastest over the logarithm of the rate (Smith, 2017).

    Only rates below that of the least loss come into question.

    Raises:
        UserError: the loss never falls.
    """
    end = int(np.argmin(losses)) + 1 if len(losses) else 0
    if end < 3:
        raise UserError(
            f"the loss falls at no rate from {LOWEST:g} to {HIGHEST:g}; python -m pipeline "
            "overfit tells whether the network can learn a single batch"
        )
    slopes = np.gradient(losses[:end], np.log(rates[:end]))
    return float(rates[int(np.argmin(slopes))])


def _draw(path: Path, rates: Sequence[float], losses: NDArray[np.float64], rate: float) -> None:
    figure = go.Figure(go.Scatter(x=list(rates[: len(losses)]), y=losses.tolist(), mode="lines"))
    figure.add_vline(x=rate, annotation_text=f"lr={rate:.1e}")
    figure.update_xaxes(type="log", title="learning rate")
    figure.update_yaxes(title="loss, smoothed")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(path)
