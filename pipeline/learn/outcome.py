"""Gathers what a training leaves: the best network, calibrated, and what it answers on val."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.config import TrainConfig
from pipeline.learn.calibration import fit_temperature
from pipeline.learn.classifier import discharge_logits
from pipeline.learn.data import PackedData
from pipeline.learn.hearing import FittedHearing
from pipeline.learn.networks.base import Network
from pipeline.learn.networks.product import product_logits, product_of
from pipeline.learn.origin import FittedOrigin, auroc, origin_weights
from pipeline.learn.selection import History
from pipeline.store.manifest import IS_DISCHARGE, IS_REAL


@dataclass(frozen=True)
class TrainingOutcome:
    """The network that is kept, and what it says of val."""

    network: Network
    logits: Tensor
    """Logits of the samples of val, (N, 4)."""
    temperature: float
    """What logits are divided by before they become probabilities."""
    metrics: Mapping[str, float | None]
    encoders: Sequence[Mapping[str, str]] = ()
    """Where the weights of the frozen encoders behind the origin come from."""
    sound_encoders: Sequence[Mapping[str, str]] = ()
    """Where those of the frozen encoder that hears come from."""


def outcome(
    cfg: TrainConfig,
    network: Network,
    data: PackedData,
    origin: FittedOrigin | None,
    hearing: FittedHearing | None,
    history: History,
) -> TrainingOutcome:
    """The best weights, calibrated, joined by the answer on the origin where it was fitted.

    Args:
        network: what was trained; it takes the weights of the best epoch.
        origin: None where the network answers on the origin too; nothing hears then.
        hearing: None where nothing hears.
        history: of its training.
    """
    best = history.best
    network.load_state_dict(best["weights"])
    network.cpu()
    if origin is None:
        temperature = fit_temperature(best["logits"], best["labels"])
        return TrainingOutcome(network, best["logits"], temperature, history.best_metrics())
    fired = torch.tensor(IS_DISCHARGE)[best["labels"]].long()
    scale = 1 / fit_temperature(discharge_logits(best["logits"]), fired)
    heard = None if hearing is None else hearing.network
    product = product_of(network, origin.network, heard, cfg.most_seen or None)
    product.discharge_scale.fill_(scale)
    counted = origin_weights(data, cfg)[data.val_rows] > 0
    is_real = np.array(IS_REAL)[best["labels"].numpy()]
    val_auroc = auroc(origin.val_log_odds[counted], is_real[counted])
    metrics = {**history.best_metrics(), "val_origin_auroc": val_auroc}
    odds = product.seen(best["logits"].double())
    if hearing is not None:
        odds = odds + torch.from_numpy(hearing.val_ratios)
        metrics |= {
            "val_heard_auroc": hearing.val_auroc,
            "val_discharge_auroc": auroc(odds.numpy(), fired.bool().numpy()),
        }
    return TrainingOutcome(
        product,
        product_logits(torch.from_numpy(origin.val_log_odds), odds),
        1.0,
        metrics,
        origin.network.encoder.provenance(),
        () if hearing is None else hearing.network.encoder.provenance(),
    )
