"""Measures how fast training is, and how much of its time it waits for data."""

from __future__ import annotations

import logging
import time

import pytorch_lightning as pl
from pytorch_lightning.profilers import Profiler

log = logging.getLogger(__name__)


class Throughput(pl.Callback):
    """Tells after every epoch, to the log and the tracker, samples a second and the data wait.

    The data wait is the share of an epoch's time, validation aside, that passed while the next
    batch was asked for and had not come. Neither is written to any output, or outputs would
    never hash equal.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.clock = ThroughputProfiler()
        """To be given to the trainer as its profiler."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell and start anew."""
        clock = self.clock
        if clock.num_batches and trainer.is_global_zero:
            samples_per_s = clock.num_batches * self.batch_size / clock.total_s
            log.info(
                "train: epoch %d: %.1f samples/s, %.1f %% of the time waiting for data",
                trainer.current_epoch,
                samples_per_s,
                100 * clock.data_wait,
            )
            if trainer.logger is not None:
                trainer.logger.log_metrics(
                    {"samples_per_s": samples_per_s, "data_wait": clock.data_wait},
                    step=trainer.global_step,
                )
        clock.reset()


class ThroughputProfiler(Profiler):
    """Times the batches of an epoch by what Lightning tells a profiler."""

    _WAIT = "[_TrainingEpochLoop].train_dataloader_next"
    _STEP = "run_training_batch"

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.num_batches = 0
        self.wait_s = 0.0
        self._first = self._asked = self._last = 0.0

    @property
    def total_s(self) -> float:
        """From the first batch asked for to the end of the last one."""
        return self._last - self._first

    @property
    def data_wait(self) -> float:
        """Share of `total_s` that passed waiting for batches."""
        return self.wait_s / self.total_s

    def start(self, action_name: str) -> None:
        """Lightning is about to do something."""
        if action_name == self._WAIT:
            self._asked = time.perf_counter()
            self._first = self._first or self._asked

    def stop(self, action_name: str) -> None:
        """Lightning has done it."""
        now = time.perf_counter()
        if action_name == self._WAIT:
            self.wait_s += now - self._asked
        elif action_name == self._STEP:
            self.num_batches += 1
            self._last = now
