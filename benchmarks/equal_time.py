"""Networks that learn for the same wall time, in turns, and what they are worth then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from bare import BareLoop
from runs import BATCH, by_clip, cell, packed_clips

from pipeline.assess import wording
from pipeline.config import TrainApp
from pipeline.detect import scores
from pipeline.learn import networks
from pipeline.learn.batch import Batch
from pipeline.learn.data import PackedData
from pipeline.store import video
from pipeline.store.manifest import class_index
from pipeline.store.packed_samples import Packed
from pipeline.store.sound import Samples

# The schedule of rates follows the clock: places in it, not steps.
NUM_PLACES = 1000
SPLITS = ("test", "unseen")
EQUAL_TIME = (
    *("", "parameters", "samples/s", "samples seen"),
    *(f"{split}: {what}" for split in SPLITS for what in ("accuracy", "score", "origin")),
)


class Learner:
    """A network that learns whenever it is its turn, in the main process alone."""

    def __init__(self, name: str, cfg: TrainApp, packed: Packed, seconds: float) -> None:
        self.name, self.cfg, self.seconds = name, cfg, seconds
        data = PackedData(packed, cfg, cfg.run)
        torch.manual_seed(cfg.seed)
        self.network = networks.build(cfg.model, packed.format)
        self.loop = BareLoop(
            cfg,
            self.network,
            num_steps=NUM_PLACES,
            device=torch.device("cpu"),
        )
        self.batches = epochs(data)
        self.used_s = 0.0

    def learn(self, until_s: float) -> None:
        """Go on until so much of the time is used."""
        while self.used_s < until_s:
            start_s = time.perf_counter()
            self.loop.step(next(self.batches), round(NUM_PLACES * self.used_s / self.seconds))
            self.used_s += time.perf_counter() - start_s

    def predict(self, clips: video.Frames, sounds: Samples) -> Any:
        """Probabilities (B, 4) of clips (B, T, H, W, 3), whose sounds are left aside."""
        with torch.inference_mode():
            return self.loop.network.eval()(torch.from_numpy(clips)).double().softmax(1).numpy()


def epochs(data: PackedData) -> Iterator[Batch]:
    """Batches without end."""
    loader = data.train_dataloader()
    while True:
        yield from loader
        loader.sampler.epoch += 1


def at_equal_time(
    cfgs: dict[str, TrainApp], packed: Packed, seconds: float, turn_s: float
) -> list[list[str]]:
    """Train the networks in turns; a row for each, with what it is worth at the end."""
    learners = [Learner(name, cfg, packed, seconds) for name, cfg in cfgs.items()]
    for end_s in np.arange(turn_s, seconds + turn_s, turn_s):
        for learner in learners:
            learner.learn(min(float(end_s), seconds))
    lines = []
    for learner in learners:
        num_samples = learner.loop.num_steps * learner.cfg.batch_size
        lines.append(
            [
                learner.name,
                f"{sum(p.numel() for p in learner.network.parameters()) / 1e6:.2f} M",
                f"{num_samples / learner.used_s:.1f}",
                str(num_samples),
            ]
        )
        for split in SPLITS:
            lines[-1] += worth(learner, packed, split)
    return lines


def worth(learner: Learner, packed: Packed, split: str) -> list[str]:
    """Accuracy, AUROC of the score and of the origin, of the clips of a split."""
    rows = packed.select([split], variants=False)
    if not len(rows):
        return [wording.DASH] * 3
    clips = packed_clips(split, packed, rows.tolist())
    found, _ = scores.predict(clips.table, clips.read, learner.predict, batch_size=BATCH)
    table = scores.score_table(clips.table, found)
    judged = by_clip(table).judge()
    pairs = zip(table["origin"].to_pylist(), table["discharge"].to_pylist(), strict=True)
    labels = [class_index(origin, bool(discharge)) for origin, discharge in pairs]
    accuracy = float((found.argmax(axis=1) == labels).mean())
    return [wording.percent(accuracy), *(cell(one, [judged[one]]) for one in ("score", "origin"))]
