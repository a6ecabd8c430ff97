"""Says in words that name a remedy what the machine refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.system import disk


@contextmanager
def in_plain_words(cfg: TrainApp) -> Iterator[None]:
    """Turn a lack of memory, and what a disk refuses, into a `UserError`; let the rest through."""
    try:
        yield
    except UserError:
        raise
    except (RuntimeError, MemoryError, OSError) as error:
        sentence = _sentence(error, cfg)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def _sentence(error: BaseException, cfg: TrainApp) -> str | None:
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        sign in text for sign in ("out of memory", "DefaultCPUAllocator", "Cannot allocate memory")
    ):
        return (
            f"out of memory with batch_size={cfg.batch_size} ({_first_line(text)}); lower "
            "batch_size in conf/train.yaml and raise accumulate by as much, which keeps the step "
            "of the optimiser; the last checkpoint is kept"
        )
    if "DataLoader worker" in text:
        return (
            f"a process that loads data ended, most likely for lack of memory "
            f"({_first_line(text)}); lower run.num_workers={cfg.run.num_workers} or batch_size="
            f"{cfg.batch_size}, or give a container more shared memory (docker --shm-size); start "
            "again, which goes on from the last checkpoint"
        )
    refused = disk.refusal(error, [cfg.paths.work, cfg.paths.models])
    return refused and f"{refused}; start again, which goes on from the last checkpoint"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0] or "no details"
