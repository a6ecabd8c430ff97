"""Training without Lightning: what its loop is measured against, and rivals are trained by."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch.nn.utils import clip_grad_norm_

from pipeline.config import TrainApp
from pipeline.learn.batch import Batch
from pipeline.learn.classifier import answer, to_channels_last
from pipeline.learn.loader import Loader
from pipeline.learn.losses import joint_loss
from pipeline.learn.networks.base import Network
from pipeline.learn.ondevice import alter
from pipeline.learn.optimiser import adamw, schedule


class Timed:
    """The batches of a loader, and how long each was waited for."""

    def __init__(self, loader: Loader) -> None:
        self.loader, self.sampler = loader, loader.sampler
        self.waits_s: list[float] = []

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self.loader)
        while True:
            asked_s = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            self.waits_s.append(time.perf_counter() - asked_s)
            yield batch


class BareLoop:
    """The steps that train.py takes with the same config, in plain torch and on one device.

    Args:
        num_steps: length of the schedule of rates.
    """

    def __init__(
        self,
        cfg: TrainApp,
        network: Network,
        *,
        num_steps: int,
        device: torch.device,
    ) -> None:
        assert cfg.accumulate == 1
        assert cfg.precision in ("32-true", "bf16-mixed"), cfg.precision
        if cfg.run.channels_last:
            to_channels_last(network)
        self.cfg, self.device = cfg, device
        self.network = network.to(device).train()
        self.optimiser = adamw(self.network, cfg)
        self.schedule = schedule(self.optimiser, cfg, num_steps)
        self.answer = torch.compile(answer) if cfg.run.compile else answer
        self.num_steps = 0

    def step(self, batch: Batch, place: int | None = None) -> None:
        """Learn from a batch.

        Args:
            place: how far the schedule is afterwards; else a step further.
        """
        batch = Batch(*(tensor.to(self.device, non_blocking=True) for tensor in batch))
        half = self.cfg.precision == "bf16-mixed"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            clips = alter(batch.clips, batch.epochs, batch.positions, self.cfg)
            logits = self.answer(self.network, clips)
            loss = joint_loss(logits, batch.labels, self.cfg.loss)
        self.optimiser.zero_grad()
        loss.backward()
        if self.cfg.gradient_clip:
            clip_grad_norm_(self.network.parameters(), self.cfg.gradient_clip)
        self.optimiser.step()
        self.num_steps += 1
        place = self.schedule.last_epoch + 1 if place is None else place
        while self.schedule.last_epoch < place:
            self.schedule.step()
