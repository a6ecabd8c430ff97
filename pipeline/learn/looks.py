"""Fits what `CausalNet` says of the origin by looks, once the rest of it is trained.

A linear layer on features that nothing here trained is fitted at once, by logistic regression.
The penalty is strong on purpose: it keeps the layer near the difference of the two means, which
carries over to engines that training never saw, and a sharper fit does not (docs/experiments.md).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor

from pipeline.learn.calibration import fit_temperature
from pipeline.learn.data import PackedData
from pipeline.learn.losses import IS_REAL
from pipeline.learn.networks.looks import Looks, published_looks

PENALTY = 2.0
"""Half of it times the squared weights of standardised features joins the mean loss."""
_BATCH = 16


def fit_looks(data: PackedData) -> tuple[Looks, Tensor]:
    """Find the one linear layer of `Looks`.

    Draws count as in training, unaltered. What the penalty takes from the size of the answers,
    val gives back: they are scaled to be as sure as they are right.

    Returns:
        The looks, on the CPU, and what they add to the logits of val, float32 (N, 4).

    Raises:
        UserError: the published weights are not here.
    """
    form = data.packed.format
    looks = published_looks(window=form.num_frames, size=form.size)
    on_gpu = data.run.accelerator != "cpu" and torch.cuda.is_available()
    looks.to("cuda" if on_gpu else "cpu")
    train = features(looks, data, data.train_rows)
    val = features(looks, data, data.val_rows)
    looks.cpu()

    is_real = np.array(IS_REAL)[data.labels]
    mean, spread = train.mean(0), np.maximum(train.std(0), 1e-6)
    regression = LogisticRegression(C=1 / PENALTY, tol=1e-8, max_iter=10_000)
    # The order of its sums would follow the number of cores.
    with threadpool_limits(1):
        regression.fit(
            (train - mean) / spread, is_real[data.train_rows], sample_weight=data.sampler().odds()
        )
        answers = torch.from_numpy(regression.decision_function((val - mean) / spread))
    both = torch.stack([torch.zeros_like(answers), answers], dim=1)
    shrunken = fit_temperature(both, torch.from_numpy(is_real[data.val_rows]).long())
    weight = regression.coef_ / spread / shrunken
    bias = regression.intercept_ / shrunken - weight @ mean
    looks.origin.weight.copy_(torch.from_numpy(weight))
    looks.origin.bias.copy_(torch.from_numpy(bias))
    return looks, looks.opinion(torch.from_numpy(val).float())


@torch.inference_mode()
def features(looks: Looks, data: PackedData, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is seen of packed samples: float64 (N, NUM_FEATURES)."""
    device = looks.origin.weight.device
    found = []
    for start in range(0, len(rows), _BATCH):
        frames = [data.packed.read(int(row)) for row in rows[start : start + _BATCH]]
        clips = torch.from_numpy(np.stack(frames)).to(device)
        ages = torch.arange(1, clips.shape[1] + 1, device=device).expand(len(clips), -1)
        seen, _ = looks.advance(clips, ages, looks.start(len(clips)))
        found.append(seen[:, -1].double().cpu().numpy())
    return np.concatenate(found)
