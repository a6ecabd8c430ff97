"""One number that makes the probabilities of a trained network honest."""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor


def fit_temperature(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> float:
    """Find what to divide logits by, so that answers are as sure as they are right.

    Temperature scaling (Guo et al., 2017) with targets smoothed by the class counts (Platt,
    1999), so that a small split without a mistake does not ask for certainty.

    Args:
        logits: float (N, K) of a split that the network was not trained on.
        labels: int64 (N,).
        weights: float (N,), at least 0: how much each sample counts; all alike if not given.
    """
    shares = torch.ones(len(labels)) if weights is None else weights
    shares = shares.double() / shares.double().sum()
    counts = torch.bincount(labels, minlength=logits.shape[1]).double()
    targets = torch.ones_like(logits, dtype=torch.float64)
    targets[torch.arange(len(labels)), labels] += counts[labels]
    targets /= targets.sum(1, keepdim=True)

    def loss(log_temperature: float) -> float:
        log_probabilities = (logits.double() / math.exp(log_temperature)).log_softmax(1)
        return -((targets * log_probabilities).sum(1) @ shares).item()

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-4})
    return round(math.exp(found.x), 4)
