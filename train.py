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
from pathlib import Path

from pytorch_lightning.loggers import WandbLogger

from pipeline import app
from pipeline.config import TrainApp, tracked
from pipeline.learn import weights
from pipeline.learn.bags import ChosenWindows
from pipeline.learn.checkpoints import run_key
from pipeline.learn.classifier import Classifier
from pipeline.learn.data import PackedData
from pipeline.learn.failures import in_plain_words
from pipeline.learn.hearing import fit_hearing, heard_ratios, read_sounds
from pipeline.learn.memory import memory_of
from pipeline.learn.origin import fit_origin
from pipeline.learn.outcome import TrainingOutcome, outcome
from pipeline.learn.selection import History
from pipeline.learn.throughput import Throughput
from pipeline.learn.trainer import make_trainer
from pipeline.store import features, tracking, workdir
from pipeline.store.manifest import write_stats
from pipeline.store.packed_samples import Packed
from pipeline.system import interrupts

log = logging.getLogger(__name__)


def run(cfg: TrainApp) -> None:
    """Fit, keep the best epoch, calibrate it on val, and move it into place."""
    work = Path(cfg.paths.work)
    packed = Packed.open(cfg.paths.packed, work, cfg.run.cache_gb)
    seen = features.read(cfg.paths.features, packed)
    data = PackedData(packed, cfg, cfg.run, discharge_alone=seen is not None)
    # Before the training, which would be lost where the origin cannot be learned.
    origin = None if seen is None else fit_origin(data, seen, cfg)
    sounds = None if seen is None else read_sounds(data, cfg.paths.features)
    hearing = None if sounds is None else fit_hearing(data, sounds, cfg)
    classifier = Classifier(
        cfg, packed.format, num_batches=data.num_batches, discharge_alone=seen is not None
    )

    key = run_key(cfg, packed, seen, sounds)
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
    choosing = []
    if len(data.bags.rows):
        choosing = [ChosenWindows(data, heard_ratios(hearing, sounds, data, data.bags.rows))]
    trainer = make_trainer(
        cfg,
        max_epochs=cfg.num_epochs,
        callbacks=[*choosing, history, throughput],
        profiler=throughput.clock,
        logger=logger or False,
    )
    with in_plain_words(cfg), workdir.claimed(history.folder, work):
        try:
            trainer.fit(classifier, data, ckpt_path=history.resume_from)
            if trainer.is_global_zero:
                trained = outcome(cfg, classifier.network, data, origin, hearing, history)
                write(cfg, trained, data, history, logger)
        except interrupts.Interrupted:
            tracking.stop(logger)
            raise


def write(
    cfg: TrainApp,
    trained: TrainingOutcome,
    data: PackedData,
    history: History,
    logger: WandbLogger | None,
) -> None:
    """Leave the best weights, calibrated, with what they came from and how they came about."""
    target, work = Path(cfg.paths.models), Path(cfg.paths.work)
    form = data.packed.format
    with workdir.replacing(target, work, workdir.OUTPUTS["train"]) as models:
        weights.save(
            models,
            trained.network,
            clip=form,
            temperature=trained.temperature,
            memory=memory_of(cfg.memory, form.num_frames / form.fps),
            provenance={
                "config": tracked(cfg),
                "encoders": list(trained.encoders),
                "sound_encoders": list(trained.sound_encoders),
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
