"""Train the classifier on `data/packed/` and write `models/`: `python train.py key=value …`

A run that was killed goes on from its last checkpoint when started again.
"""

from __future__ import annotations

from pipeline import entry

if __name__ == "__main__":
    entry.begin("train")

import json
import logging
import shutil
from pathlib import Path

import torch
from pytorch_lightning.loggers import WandbLogger

from pipeline import app, interrupts, workdir
from pipeline.config import TrainApp, tracked
from pipeline.learn import networks, tracking, weights
from pipeline.learn.calibration import fit_temperature
from pipeline.learn.data import PackedData
from pipeline.learn.failures import in_plain_words
from pipeline.learn.history import History
from pipeline.learn.looks import fit_looks
from pipeline.learn.module import Classifier
from pipeline.learn.networks.causal import CausalNet
from pipeline.learn.networks.looks import SHA256, SOURCE
from pipeline.learn.throughput import Throughput
from pipeline.learn.trainer import make_trainer
from pipeline.manifest import write_stats
from pipeline.packed import Packed

log = logging.getLogger(__name__)


def run(cfg: TrainApp) -> None:
    """Fit, keep the best epoch, calibrate it on val, and move it into place."""
    work = Path(cfg.paths.work)
    packed = Packed.open(cfg.paths.packed, work, cfg.run.cache_gb)
    data = PackedData(packed, cfg, cfg.run)
    classifier = Classifier(cfg, packed.format, num_batches=data.num_batches)

    code = workdir.code_sha256("learn", "packed.py", "shards.py", "video.py")
    outside = networks.outside_hashes(cfg.model.name)
    key = workdir.key("train", tracked(cfg), data.sha256(), code, outside, torch.__version__)
    history = History(
        work / "train" / key,
        every_s=cfg.run.checkpoint_every_s,
        patience=cfg.patience,
        max_fpr=cfg.max_fpr,
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
                write(cfg, classifier, data, history, logger)
        except interrupts.Interrupted:
            tracking.stop(logger)
            raise


def write(
    cfg: TrainApp,
    classifier: Classifier,
    data: PackedData,
    history: History,
    logger: WandbLogger | None,
) -> None:
    """Leave the best weights, calibrated, with what they came from and how they came about."""
    architecture, pretrained = classifier.network.architecture(), {}
    if isinstance(classifier.network, CausalNet) and cfg.model.looks:
        looks, opinions = fit_looks(data)
        history.complete({f"looks.{name}": w for name, w in looks.state_dict().items()}, opinions)
        architecture["looks"] = True
        pretrained = {SOURCE: SHA256}
    best = history.best
    temperature = fit_temperature(best["logits"], best["labels"])
    with workdir.replacing(Path(cfg.paths.models), Path(cfg.paths.work)) as models:
        weights.save(
            models,
            best["weights"],
            architecture,
            clip=data.packed.format,
            temperature=temperature,
            provenance={
                "config": tracked(cfg),
                "pretrained": pretrained,
                "data": {"sha256": data.sha256(), "footage": data.footage()},
                "metrics": history.best_metrics(),
            },
        )
        history.write(models)
        write_stats(models, data.stats())
    tracking.finish(
        logger,
        best=history.best_metrics(),
        sample_ids=data.packed.index["sample_id"].take(data.val_rows).to_pylist(),
        labels=best["labels"],
        logits=best["logits"],
        temperature=temperature,
        models=Path(cfg.paths.models),
    )
    shutil.rmtree(history.folder)
    log.info("train: best epoch: %s", json.dumps(history.best_metrics()))
    log.info("train: the best epoch is best by %s", history.chosen_by())


if __name__ == "__main__":
    app.stage("train")(run)()
