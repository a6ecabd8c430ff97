"""Fits what a detector says of the origin: a linear layer on the features of an encoder.

Rendered clips, which imitate what their origin names, have a weight of their own: what they teach
depends on the encoder (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.calibration import fit_temperature
from pipeline.learn.data import PackedData, origin_weight
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.encoders.views import first_view
from pipeline.learn.networks.origin import OriginNet, averaged
from pipeline.learn.sampler import BalancedSampler
from pipeline.numbers import metrics
from pipeline.store.features import Features
from pipeline.store.manifest import IS_REAL

NUM_FOLDS = 5
"""Groups that the sources of either answer are dealt into; each is left out once."""
_SMALLEST = 1e-6
Floats = NDArray[np.float64]
Fit = Callable[[Floats, NDArray[np.bool_], Floats], "Layer"]
"""From values (N, D), truths (N,) and odds (N,) to a layer."""


@dataclass(frozen=True)
class Layer:
    """A linear layer: log odds of real are `values @ weight + bias`."""

    weight: Floats
    """(D,)"""
    bias: float

    def log_odds(self, values: Floats) -> Floats:
        """Log odds of real of values (N, D), (N,)."""
        return np.asarray(values @ self.weight + self.bias)

    def scaled(self, scale: float) -> Layer:
        """The layer whose log odds are `scale` times these."""
        return Layer(self.weight * scale, self.bias * scale)

    def set_into(self, network: OriginNet) -> None:
        """Make it what a network answers by."""
        network.layer.weight.copy_(torch.from_numpy(self.weight)[None])
        network.layer.bias.fill_(self.bias)

    @classmethod
    def of(cls, network: OriginNet) -> Layer:
        """Return what a network answers by."""
        weight = network.layer.weight[0].detach().double().cpu()
        return cls(weight.numpy(), float(network.layer.bias))


def fit_layer(values: Floats, is_real: NDArray[np.bool_], odds: Floats, penalty: float) -> Layer:
    """Fit by logistic regression, the same on any number of cores.

    Args:
        values: (N, D), standardised here.
        is_real: (N,)
        odds: (N,) how much each counts, at least 0.
        penalty: half of it times the squared weights of standardised values joins the mean loss.
    """
    mean, spread = values.mean(0), np.maximum(values.std(0), _SMALLEST)
    regression = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000)
    # The order of its sums would follow the number of cores.
    with threadpool_limits(1):
        regression.fit((values - mean) / spread, is_real, sample_weight=odds / odds.sum())
    weight = regression.coef_[0] / spread
    return Layer(weight, float(regression.intercept_[0] - weight @ mean))


@dataclass(frozen=True)
class OriginExamples:
    """Clips that the answer on the origin is learned from."""

    values: Floats
    """(N, D): their features, see `OriginNet.embed`."""
    is_real: NDArray[np.bool_]
    """(N,)"""
    sources: NDArray[np.str_]
    """(N,)"""
    weights: Floats
    """(N,): how much each counts beside others of its answer and source, above 0."""

    def take(self, chosen: NDArray[Any]) -> OriginExamples:
        """Some of them, by number or by mask."""
        return OriginExamples(
            self.values[chosen], self.is_real[chosen], self.sources[chosen], self.weights[chosen]
        )

    def joined(self, others: OriginExamples) -> OriginExamples:
        """These, then `others`."""
        return OriginExamples(
            np.concatenate([self.values, others.values]),
            np.concatenate([self.is_real, others.is_real]),
            np.concatenate([self.sources, others.sources]),
            np.concatenate([self.weights, others.weights]),
        )

    @property
    def groups(self) -> NDArray[np.int64]:
        """(N,): numbers of the sources, in the order of their names."""
        # A source may name footage of both answers.
        return np.unique(self.sources, return_inverse=True)[1].astype(np.int64)

    def odds(self, source_balance: float) -> Floats:
        """(N,): how much they count; real as much as fictional, whatever their weights."""
        odds = balanced(self.is_real, self.groups, source_balance) * self.weights
        return evened(odds, self.is_real)


@dataclass(frozen=True)
class FittedOrigin:
    """An answer on the origin that was learned from the features of train."""

    network: OriginNet
    """What gives it, on the CPU."""
    val_log_odds: Floats
    """Log odds of real of the samples of val, (N,)."""


def fit_origin(data: PackedData, features: Features, cfg: TrainConfig) -> FittedOrigin:
    """Fit the layer, and make its answers as sure as they are right on sources left out.

    Raises:
        UserError: what has a weight on the origin is all real or all fictional.
    """
    layer = fit_calibrated(training_examples(data, features, cfg), cfg)
    network = OriginNet(
        _encoder_of(features),
        window=data.packed.format.num_frames,
        every_frames=features.card["pictures"]["every_frames"],
    )
    layer.set_into(network)
    return FittedOrigin(network, layer.log_odds(seen(features.of(data.val_rows))))


def training_examples(data: PackedData, features: Features, cfg: TrainConfig) -> OriginExamples:
    """The clips of train that have a weight on the origin.

    Raises:
        UserError: they are all real or all fictional.
    """
    weights = origin_weights(data, cfg)
    rows = data.packed.select(["train"], variants=cfg.origin.use_variants)
    rows = np.sort(np.concatenate([rows, data.bags.rows]))
    rows = rows[weights[rows] > 0]
    is_real = np.array(IS_REAL)[data.labels[rows]]
    _check(is_real)
    sources = np.array(data.packed.index["source"].to_pylist(), np.str_)
    return OriginExamples(seen(features.of(rows)), is_real, sources[rows], weights[rows])


def fit_calibrated(examples: OriginExamples, cfg: TrainConfig) -> Layer:
    """A layer whose answers are as sure as they are right on sources left out."""
    fit = partial(fit_layer, penalty=cfg.origin.penalty)
    odds = examples.odds(cfg.source_balance)
    found = left_out(examples.values, examples.is_real, odds, examples.groups, fit)
    layer = fit(examples.values, examples.is_real, odds)
    return layer.scaled(1 / _overconfidence(found, examples.is_real, odds))


def origin_weights(data: PackedData, cfg: TrainConfig) -> Floats:
    """Return what each packed sample counts for the origin: 1, or that of rendered ones, (N,)."""
    rendered = data.packed.index["rendered"].to_pylist()
    return np.array([origin_weight(one, cfg) for one in rendered])


def balanced(is_real: NDArray[np.bool_], groups: NDArray[np.int64], balance: float) -> Floats:
    """Say how much samples count: real as much as fictional, and each source by `balance`, (N,)."""
    sampler = BalancedSampler(
        np.arange(len(is_real)), is_real.astype(np.int64), groups, source_balance=balance, seed=0
    )
    return sampler.odds()


def evened(odds: Floats, is_real: NDArray[np.bool_]) -> Floats:
    """Return odds (N,) scaled so that real and fictional count alike, and all of them sum to 1."""
    found = odds.copy()
    for answer in (False, True):
        own = is_real == answer
        if own.any():
            found[own] /= 2 * found[own].sum()
    return found


def seen(views: NDArray[np.float16]) -> Floats:
    """What `OriginNet.embed` makes of the features of the views of samples, (N, K, F): (N, F)."""
    return averaged(torch.from_numpy(views).double()).numpy()


def auroc(log_odds: Floats, is_real: NDArray[np.bool_]) -> float | None:
    """Return the AUROC of log odds (N,) for real (N,); None where all are real or none is."""
    if is_real.all() or not is_real.any():
        return None
    ranking = metrics.Ranking(is_real, log_odds)
    return float(metrics.auroc(ranking.counts(np.ones((1, len(is_real)))))[0])


def left_out(
    values: Floats,
    is_real: NDArray[np.bool_],
    odds: Floats,
    groups: NDArray[np.int64],
    fit: Fit,
    num_folds: int = NUM_FOLDS,
) -> Floats:
    """Log odds of samples from layers that never saw their sources, (N,).

    The sources of either answer are dealt into folds in the order of their numbers, and real and
    fictional count alike in each fit. NaN for the samples of a fold without which one answer has
    no sample: that of the only source of an answer.
    """
    folds = np.zeros(len(groups), np.int64)
    for answer in (False, True):
        own = np.unique(groups[is_real == answer])
        for number, group in enumerate(own):
            folds[groups == group] = number % max(2, min(num_folds, len(own)))
    found = np.full(len(groups), np.nan)
    for fold in np.unique(folds):
        out = folds == fold
        rest = is_real[~out]
        if rest.any() and not rest.all():
            layer = fit(values[~out], rest, evened(odds[~out], rest))
            found[out] = layer.log_odds(values[out])
    return found


def _overconfidence(found: Floats, is_real: NDArray[np.bool_], odds: Floats) -> float:
    """Return what to divide log odds by; they are NaN for sources that could not be left out.

    Samples count as they do in the fit, so that a source of many is no measure for all.
    """
    told = ~np.isnan(found)
    if is_real[told].all() or not is_real[told].any():
        return 1.0
    both = torch.from_numpy(np.stack([np.zeros(told.sum()), found[told]], axis=1))
    labels = torch.from_numpy(is_real[told]).long()
    return fit_temperature(both, labels, torch.from_numpy(odds[told]))


def _encoder_of(features: Features) -> Encoder:
    try:
        pictures = encoders.settings_of(features.card["pictures"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"features made by other settings than those of today ({error!r}); run dvc repro embed"
        ) from error
    encoder = encoders.build(pictures)
    made = (encoder.provenance(), encoder.architecture(), first_view(pictures.every_frames))
    if made != tuple(
        features.card.get(key) for key in ("provenance", "architecture", "first_frame")
    ):
        raise UserError(
            f"conf/embed.yaml: pictures.name={pictures.name}: its weights, or what it makes of "
            "frames, are no longer what the features were made with; run dvc repro embed"
        )
    return encoder


def _check(is_real: NDArray[np.bool_]) -> None:
    for answer, name in ((True, "real"), (False, "fictional")):
        if not (is_real == answer).any():
            raise UserError(
                f"the train split has no {name} footage to learn the origin from but what a "
                "computer rendered; add some (conf/ingest.yaml: collections), give rendered clips "
                "a weight (conf/train.yaml: rendered_weight.origin), or train without an encoder "
                "(conf/embed.yaml: pictures.name=none)"
            )
