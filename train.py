"""Train the classifier on `data/packed/` and write `models/`: `python train.py key=value …`

A run that was killed goes on from its last checkpoint when started again.
"""

from __future__ import annotations

from pipeline.system import entry

if __name__ == "__main__":
    entry.begin("train")

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from pipeline import app
from pipeline.config import TrainApp, tracked
from pipeline.learn import networks, tracking, weights
from pipeline.learn.calibration import fit_temperature
from pipeline.learn.classifier import Classifier, discharge_logits
from pipeline.learn.data import PackedData
from pipeline.learn.failures import in_plain_words
from pipeline.learn.networks.eyes import Eyes
from pipeline.learn.networks.product import discharge_log_odds, product_logits, product_of
from pipeline.learn.origin import Floats, auroc, fit_origin, origin_weights
from pipeline.learn.selection import History
from pipeline.learn.throughput import Throughput
from pipeline.learn.trainer import make_trainer
from pipeline.store import features, workdir
from pipeline.store.manifest import IS_DISCHARGE, IS_REAL, write_stats
from pipeline.store.packed import Packed
from pipeline.system import interrupts

log = logging.getLogger(__name__)


def run(cfg: TrainApp) -> None:
    """Fit, keep the best epoch, calibrate it on val, and move it into place."""
    work = Path(cfg.paths.work)
    packed = Packed.open(cfg.paths.packed, work, cfg.run.cache_gb)
    data = PackedData(packed, cfg, cfg.run)
    seen = features.read(cfg.paths.features, packed, work)
    # Before the training, which would be lost where the origin cannot be learned.
    origin = None if seen is None else fit_origin(data, seen, cfg)
    classifier = Classifier(
        cfg, packed.format, num_batches=data.num_batches, discharge_alone=seen is not None
    )

    code = workdir.code_sha256(
        "learn", *(f"store/{name}.py" for name in ("features", "packed", "shards", "video"))
    )
    outside = networks.outside_hashes(cfg.model.name)
    key = workdir.key("train", tracked(cfg), data.sha256(), code, outside, torch.__version__)
    if seen is not None:
        key = workdir.key(key, seen.sha256)
    history = History(
        work / "train" / key,
        every_s=cfg.run.checkpoint_every_s,
        patience=cfg.patience,
        max_fpr=cfg.max_fpr,
        discharge_alone=seen is not None,
    )
    if history.resume_from:
        log.info("train: going on from %s", history.resume_from)
    history.tell()

    logger = tracking.wandb_logger(cfg.run.wandb, work, key, tracked(cfg), Path(cfg.paths.packed))
    throughput = Throughput(cfg.batch_size)
    trainer = make_trainer(
        cfg,
        max_epochs=cfg.num_epochs,
        callbacks=[history, throughput],
        profiler=throughput.clock,
        logger=logger or False,
    )
    with in_plain_words(cfg), workdir.claimed(history.folder, work):
        try:
            trainer.fit(classifier, data, ckpt_path=history.resume_from)
            if trainer.is_global_zero:
                write(cfg, classifier, data, origin, history, logger)
        except interrupts.Interrupted:
            tracking.stop(logger)
            raise


@dataclass(frozen=True)
class Trained:
    """The network that is kept, and what it says of val."""

    weights: Mapping[str, Tensor]
    architecture: Mapping[str, Any]
    logits: Tensor
    """(N, 4)"""
    temperature: float
    metrics: Mapping[str, float | None]
    encoders: Sequence[Mapping[str, str]] = ()
    """Where the weights of frozen encoders come from."""


def finished(
    cfg: TrainApp,
    classifier: Classifier,
    data: PackedData,
    fitted: tuple[Eyes, Floats] | None,
    history: History,
) -> Trained:
    """The best weights, calibrated, joined by the answer on the origin where it was fitted."""
    best = history.best
    if fitted is None:
        return Trained(
            best["weights"],
            classifier.network.architecture(),
            best["logits"],
            fit_temperature(best["logits"], best["labels"]),
            history.best_metrics(),
        )
    eyes, origin = fitted
    scale = 1 / fit_temperature(
        discharge_logits(best["logits"]), torch.tensor(IS_DISCHARGE)[best["labels"]].long()
    )
    network = product_of(classifier.network, eyes)
    network.pixels.load_state_dict(best["weights"])
    network.discharge_scale.fill_(scale)
    discharge = discharge_log_odds(best["logits"].double()) * scale
    counted = origin_weights(data, cfg)[data.val_rows] > 0
    is_real = np.array(IS_REAL)[best["labels"].numpy()]
    return Trained(
        network.state_dict(),
        network.architecture(),
        product_logits(torch.from_numpy(origin), discharge),
        1.0,
        {**history.best_metrics(), "val_origin_auroc": auroc(origin[counted], is_real[counted])},
        eyes.encoder.provenance(),
    )


def write(
    cfg: TrainApp,
    classifier: Classifier,
    data: PackedData,
    fitted: tuple[Eyes, Floats] | None,
    history: History,
    logger: WandbLogger | None,
) -> None:
    """Leave the best weights, calibrated, with what they came from and how they came about."""
    trained = finished(cfg, classifier, data, fitted, history)
    target, work = Path(cfg.paths.models), Path(cfg.paths.work)
    with workdir.replacing(target, work, workdir.OUTPUTS["train"]) as models:
        weights.save(
            models,
            trained.weights,
            trained.architecture,
            clip=data.packed.format,
            temperature=trained.temperature,
            provenance={
                "config": tracked(cfg),
                "encoders": list(trained.encoders),
                "data": {"sha256": data.sha256(), "footage": data.footage()},
                "metrics": dict(trained.metrics),
            },
        )
        history.write(models, trained.metrics)
        write_stats(models, data.stats())
    tracking.finish(
        logger,
        best=trained.metrics,
        sample_ids=data.packed.index["sample_id"].take(data.val_rows).to_pylist(),
        labels=history.best["labels"],
        logits=trained.logits,
        temperature=trained.temperature,
        models=Path(cfg.paths.models),
    )
    shutil.rmtree(history.folder)
    log.info("train: best epoch: %s", json.dumps(trained.metrics))
    log.info("train: the best epoch is best by %s", history.chosen_by())


main = app.stage("train")(run)

if __name__ == "__main__":
    main()
