"""Train the classifier on `data/packed/` and write `models/`: `python train.py key=value …`

A run that was killed goes on from its last whole epoch when started again.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch

from pipeline import app, workdir
from pipeline.config import TrainApp, tracked
from pipeline.learn import weights
from pipeline.learn.calibration import fit_temperature
from pipeline.learn.data import PackedData
from pipeline.learn.history import History
from pipeline.learn.module import Classifier, architecture
from pipeline.learn.tracking import wandb_logger
from pipeline.manifest import read_format, write_stats
from pipeline.packed import Packed

log = logging.getLogger(__name__)


def run(cfg: TrainApp) -> None:
    """Fit, keep the best epoch, calibrate it on val, and move it into place."""
    quieten_lightning()
    torch.set_num_threads(cfg.num_threads)
    packed = Packed.open(Path(cfg.paths.packed))
    data = PackedData(packed, cfg, cfg.run.num_workers)
    classifier = Classifier(cfg, data.num_batches)

    hashes, code = data.sha256(), workdir.code_sha256("learn", "packed.py")
    key = workdir.key("train", tracked(cfg), hashes, code, torch.__version__)
    work = Path(cfg.paths.work)
    history = History(work / "train" / key)
    if history.resume_from:
        log.info("train: going on from %s", history.resume_from)

    trainer = pl.Trainer(
        accelerator=cfg.run.accelerator,
        devices=1,
        deterministic=True,
        max_epochs=cfg.num_epochs,
        gradient_clip_val=cfg.gradient_clip,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        callbacks=[history],
        logger=wandb_logger(cfg.run.wandb, work, key, tracked(cfg)) or False,
        default_root_dir=work,
        enable_progress_bar=cfg.run.progress,
        enable_model_summary=False,
    )
    trainer.fit(classifier, data, ckpt_path=history.resume_from)

    best = history.best
    with workdir.replacing(Path(cfg.paths.models), work) as models:
        weights.save(
            models,
            best["weights"],
            architecture(cfg),
            clip=read_format(packed.folder),
            temperature=fit_temperature(best["logits"], best["labels"]),
            provenance={
                "config": tracked(cfg),
                "data": {"sha256": hashes, "footage": data.footage()},
                "metrics": history.best_metrics(),
            },
        )
        history.write(models)
        write_stats(models, data.stats())
    shutil.rmtree(history.folder)
    log.info("train: best epoch: %s", json.dumps(history.best_metrics()))


def quieten_lightning() -> None:
    """Hide advice that does not fit here, so that a warning which remains is read."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*")


if __name__ == "__main__":
    app.stage("train")(run)()
