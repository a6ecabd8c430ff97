"""Checkpoints of a training that goes on later: whole or not at all, and without pickled code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from pipeline.config import TrainApp, tracked
from pipeline.errors import UserError
from pipeline.learn import networks
from pipeline.store import workdir
from pipeline.store.features import Features
from pipeline.store.packed_samples import Packed

_CODE = (
    "learn",
    "store/features.py",
    "store/packed_samples.py",
    "store/shards.py",
    "store/video.py",
)


def run_key(
    cfg: TrainApp, packed: Packed, features: Features | None, sounds: Features | None = None
) -> str:
    """The hash of all that the weights of a training depend on, by which it is found again.

    Args:
        cfg: its settings.
        packed: the samples that it reads.
        features: what an encoder makes of them; None without one.
        sounds: what one makes of their sounds; None without one.
    """
    return workdir.key(
        "train",
        tracked(cfg),
        packed.index_sha256,
        [None if one is None else one.sha256 for one in (features, sounds)],
        workdir.code_sha256(*_CODE),
        networks.outside_hashes(cfg.model.name),
        torch.__version__,
    )


class PlainCheckpoints(TorchCheckpointIO):
    """Files of tensors and plain containers that take the place of earlier ones as a whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write beside `path` first; a failure leaves the earlier file.

        Raises:
            UserError: it cannot be written, above all because the disk is full.
        """
        path = Path(path)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        # torch wraps some errors of the file it writes to.
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            raise UserError(
                f"{path}: this checkpoint cannot be written ({error}); free space on its disk and "
                "start again, which goes on from the last one that could be"
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read onto the CPU what `save_checkpoint` wrote, and run nothing that a file may hold.

        Raises:
            UserError: the file is damaged, or holds something else than tensors, numbers, text
                and containers of them.
        """
        remedy = "remove it, and training starts anew"
        try:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise UserError(
                f"{path}: holds more than numbers, which could be code of somebody else, so it is "
                f"not opened; {remedy}"
            ) from error
        except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
            raise UserError(f"{path}: damaged ({error}); {remedy}") from error
        if not isinstance(checkpoint, dict) or "architecture" not in checkpoint:
            raise UserError(f"{path}: not a checkpoint of train; {remedy}")
        return checkpoint
