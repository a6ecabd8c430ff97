"""The Lightning trainer that the configuration describes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies import DDPStrategy

from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.checkpoints import PlainCheckpoints
from pipeline.learn.distributed import SyncedBatchNorms
from pipeline.system import interrupts

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class _Signals(pl.Callback):
    """Gives the signals back to the stage, from Lightning, which ends a run with status 0."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        interrupts.listen()


def make_trainer(
    cfg: TrainApp, callbacks: Sequence[pl.Callback] = (), **options: Any
) -> pl.Trainer:
    """A trainer that keeps checkpoints only where a callback asks for them.

    On a CPU it is deterministic, bit by bit. With `run.devices` above 1 it trains with as many
    processes, which together see the same batches as one, normalise by whole batches and so
    follow the same curve to rounding, dropout apart, which is drawn by each process.

    Args:
        callbacks: of the trainer.
        options: further arguments of `pl.Trainer`.

    Raises:
        UserError: the machine lacks what is asked for, or it does not fit together.
    """
    _quieten_lightning()
    on_cpu = cfg.run.accelerator == "cpu" or not torch.accelerator.is_available()
    if cfg.precision not in PRECISIONS:
        raise UserError(
            f"conf/train.yaml: precision: '{cfg.precision}' is none of {', '.join(PRECISIONS)}"
        )
    if cfg.precision == "16-mixed" and on_cpu:
        raise UserError(
            "conf/train.yaml: precision: 16-mixed needs a GPU; take bf16-mixed or 32-true"
        )
    plugins: list[Any] = [PlainCheckpoints()]
    if cfg.run.devices > 1 and on_cpu:
        plugins.append(SyncedBatchNorms())
    try:
        return pl.Trainer(
            accelerator=cfg.run.accelerator,
            devices=cfg.run.devices,
            # Statistics of batch norms are the same in all processes, so none need be sent.
            strategy=DDPStrategy(broadcast_buffers=False) if cfg.run.devices > 1 else "auto",
            sync_batchnorm=cfg.run.devices > 1 and not on_cpu,
            use_distributed_sampler=False,
            plugins=plugins,
            deterministic=on_cpu,
            benchmark=not on_cpu,
            precision=cfg.precision,  # type: ignore[arg-type]
            gradient_clip_val=cfg.gradient_clip,
            accumulate_grad_batches=cfg.accumulate,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=cfg.run.progress,
            default_root_dir=cfg.paths.work,
            callbacks=[_Signals(), *callbacks],
            **options,
        )
    except (MisconfigurationException, ValueError) as error:
        raise UserError(
            f"conf/run.yaml: accelerator={cfg.run.accelerator} with devices={cfg.run.devices}: "
            f"{error}"
        ) from error


def _quieten_lightning() -> None:
    """Hide advice that does not fit here, so that a warning which remains is read."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*")
    warnings.filterwarnings("ignore", ".*Skipping val loop.*")
    warnings.filterwarnings("ignore", ".*sync_dist=True.*")
    warnings.filterwarnings("ignore", ".*broadcast_buffers.*")
