"""Measures what training makes small: errors in four classes, and in two questions beside them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.config import LossConfig
from pipeline.store.manifest import IS_DISCHARGE, IS_REAL


def joint_loss(logits: Tensor, labels: Tensor, cfg: LossConfig) -> Tensor:
    """The mean of `joint_losses`, float32 (), whatever the precision of the logits (B, 4)."""
    with torch.autocast(logits.device.type, enabled=False):
        return joint_losses(logits.float(), labels, cfg).mean()


def discharge_loss(logits: Tensor, labels: Tensor, cfg: LossConfig) -> Tensor:
    """The mean smoothed cross entropy of the discharge alone, float32 (), of logits (B, 4).

    It is what is learned where another network answers on the origin.
    """
    with torch.autocast(logits.device.type, enabled=False):
        smoothing = cfg.label_smoothing
        return _marginal_losses(logits.float(), labels, IS_DISCHARGE, smoothing).mean()


def joint_losses(logits: Tensor, labels: Tensor, cfg: LossConfig) -> Tensor:
    """Smoothed cross entropy of each sample, (B,): of the class, the origin and the discharge.

    Origin and discharge are marginals of the four classes, so that one answer serves all three.

    Args:
        logits: floating point (B, 4), in the order of `CLASSES`.
        labels: int64 (B,) positions in `CLASSES`.
    """
    losses = functional.cross_entropy(
        logits, labels, label_smoothing=cfg.label_smoothing, reduction="none"
    )
    for weight, is_so in ((cfg.origin, IS_REAL), (cfg.discharge, IS_DISCHARGE)):
        if weight:
            losses = losses + weight * _marginal_losses(logits, labels, is_so, cfg.label_smoothing)
    return losses


def _marginal_losses(
    logits: Tensor, labels: Tensor, is_so: tuple[bool, ...], smoothing: float
) -> Tensor:
    truth = torch.tensor(is_so, device=logits.device)
    marginals = torch.stack([logits[:, ~truth].logsumexp(1), logits[:, truth].logsumexp(1)], dim=1)
    return functional.cross_entropy(
        marginals, truth[labels].long(), label_smoothing=smoothing, reduction="none"
    )
