"""Where networks that are trained already answer."""

from __future__ import annotations

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
