"""Chooses where networks that are trained already answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.config import Run
from pipeline.errors import UserError


def device_of(run: Run) -> str:
    """`cpu` or `cuda`, as `conf/run.yaml` asks for it; `auto` takes a GPU where there is one.

    Raises:
        UserError: another accelerator than those, or one that is not there.
    """
    if run.accelerator == "cpu":
        return "cpu"
    if run.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available():
        return "cuda"
    if run.accelerator == "auto":
        return "cpu"
    if run.accelerator == "mps":
        raise UserError("conf/run.yaml: accelerator=mps: only training runs there; take cpu")
    raise UserError(
        f"conf/run.yaml: accelerator={run.accelerator}: torch finds no CUDA device; take cpu"
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread on the processor, and in as many as before afterwards.

    The order of sums, and so the last bits, would follow the number of cores.
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
