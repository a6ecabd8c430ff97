"""A W&B record of a run that holds numbers only and never stops the training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from pytorch_lightning.loggers import WandbLogger

from pipeline.errors import UserError

MODES = ("offline", "online", "disabled")
log = logging.getLogger(__name__)


def wandb_logger(
    mode: str, folder: Path, run_id: str, config: Mapping[str, Any]
) -> WandbLogger | None:
    """Start the W&B run `run_id` in `folder / "wandb"`, or go on with it; None without W&B.

    The record holds metrics, `config` and the list of installed packages: no frame, code, git
    state or description of the machine. In mode `offline` nothing leaves the machine. If W&B
    cannot start, a warning says so.

    Raises:
        UserError: `mode` is none of `MODES`.
    """
    if mode not in MODES:
        raise UserError(f"run.wandb: '{mode}' is none of {', '.join(MODES)}")
    if mode == "disabled":
        return None
    import wandb

    settings = wandb.Settings(
        mode=cast(Literal["offline", "online"], mode),
        console="off",
        disable_code=True,
        disable_git=True,
        save_code=False,
        silent=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project="discern",
            id=run_id,
            resume="allow" if mode == "online" else None,
            dir=folder,
            config=dict(config),
            settings=settings,
        )
        return WandbLogger(experiment=run, log_model=False)
    # Whatever is wrong with the tracker, the training is worth more.
    except Exception as error:
        log.warning("W&B did not start, so this run is not recorded there: %s", error)
        return None
