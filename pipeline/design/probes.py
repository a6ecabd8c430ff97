"""Shortcut probes: how well origin and discharge can be told without looking at the scene.

A detector learns whatever separates its classes most cheaply. Each probe sees one cheap cue of a
clip and nothing else, and two simple classifiers say how far it goes (after Torralba and Efros,
"Unbiased look at dataset bias", 2011). What a probe finds, the detector may find too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.copies.fingerprint import luma
from pipeline.numbers import metrics
from pipeline.numbers.intervals import Interval, percentiles
from pipeline.store.video import Frames

Features = NDArray[np.float64]
_THUMBNAIL = 16
_BORDER_CELLS = 24
_STRIP, _CENTRE = 0.2, 0.2
_REGION_CELLS = 6
# As many as make the ends of a 95 % interval steady to about 0.01.
_NUM_RESAMPLES, _CONFIDENCE = 1000, 0.95
MIN_CLUSTERS = 5
"""Fewer of an origin are too few to resample."""
_LEAF = 20
# Ranges of a feature that trees tell apart. Of some hundred clips, with 20 to a leaf at least, 255
# take twice as long, and tell the origin from a cue as well to 0.01 of AUROC.
_NUM_BINS = 64


@dataclass(frozen=True)
class Cues:
    """Features of one clip for the probes of pixels: float64 vectors of a fixed length each."""

    colour: Features
    """(12,): mean and deviation of R, G, B and luma; contrast, saturation, flicker, motion."""
    border: Features
    """The outermost pixels all round: mean over time in cells, and deviation over time."""
    overlay: Features
    """Corners, top and bottom strips and the middle, where overlays are drawn."""
    still: Features
    """(768,): the middle frame at 16×16."""


def cues(frames: Frames, border_px: int) -> Cues:
    """Reduce a clip, uint8 (T, H, W, 3) RGB, to what each probe may see of it."""
    return Cues(_colour(frames), _border(frames, border_px), _overlay(frames), _still(frames))


def _colour(frames: Frames) -> Features:
    values = frames.reshape(-1, 3).astype(np.float32)
    brightness = luma(frames)
    low, high = np.percentile(brightness[::4], [5, 95])
    spread = values.max(1) - values.min(1)
    return np.array(
        [
            *values.mean(0),
            *values.std(0),
            brightness.mean(),
            brightness.std(axis=(1, 2)).mean(),
            high - low,
            spread.mean(),
            brightness.mean(axis=(1, 2)).std(),
            np.abs(np.diff(brightness, axis=0)).mean(),
        ],
        np.float64,
    )


def _border(frames: Frames, border_px: int) -> Features:
    turned = frames.swapaxes(1, 2)
    cells = []
    for edge in (frames[:, :border_px], frames[:, -border_px:], turned[:, :border_px]):
        cells.append(_cells(edge, 1, _BORDER_CELLS))
    cells.append(_cells(turned[:, -border_px:], 1, _BORDER_CELLS))
    return np.concatenate(cells)


def _overlay(frames: Frames) -> Features:
    height, width = frames.shape[1:3]
    down, across = round(_STRIP * height), round(_STRIP * width)
    top, left = round((0.5 - _CENTRE / 2) * height), round((0.5 - _CENTRE / 2) * width)
    regions = [
        frames[:, :down],
        frames[:, -down:],
        frames[:, :, :across],
        frames[:, :, -across:],
        frames[:, top:-top, left:-left],
    ]
    return np.concatenate([_cells(region, _REGION_CELLS, _REGION_CELLS) for region in regions])


def _cells(region: Frames, rows: int, columns: int) -> Features:
    """Mean colour, steadiness over time and strength of lasting edges in a grid of cells."""
    mean = region.mean(axis=0, dtype=np.float32)
    change = region.std(axis=0, dtype=np.float32).mean(axis=2)
    down, across = np.gradient(luma(mean))
    planes = (*np.moveaxis(mean, 2, 0), change, np.hypot(down, across))
    return np.concatenate(
        [_shrink(np.ascontiguousarray(plane), columns, rows).reshape(-1) for plane in planes]
    )


def _shrink(picture: NDArray[Any], columns: int, rows: int) -> Features:
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64)


def _still(frames: Frames) -> Features:
    return _shrink(frames[len(frames) // 2], _THUMBNAIL, _THUMBNAIL).reshape(-1)


@dataclass(frozen=True)
class ProbeResult:
    """AUROC of one truth from some features; 0.5 is chance."""

    auroc: dict[str, float]
    """AUROC by model: `logistic` (regression); given enough clips, `boosting` (boosted trees)."""
    interval: Interval
    """95 % interval of the better of them, over resampled clusters."""


def by_source(
    features: Features,
    truth: NDArray[np.bool_],
    sources: Sequence[str],
    clusters: Sequence[str],
    *,
    num_folds: int,
    num_rounds: int,
) -> ProbeResult | None:
    """AUROC of one truth from some features, cross-validated by source and cluster.

    No source is in two folds, and what shares a cluster with a held-out clip is not fitted to:
    of twins, one scene under both labels, a classifier would learn to expect the other label.
    The AUROC is the mean over folds. Its interval resamples whole clusters of the held-out clips
    (Davison and Hinkley, 1997, section 3.8) and fits nothing anew: it says how far the clips that
    there are fix the number, and not what other sources would give.

    Args:
        features: float64 (N, F), finite.
        truth: (N,) what is to be told, such as whether the origin is real.
        sources: (N,) names.
        clusters: (N,) names.
        num_folds: most folds; fewer where a side has fewer sources.
        num_rounds: times that the sources are dealt into folds anew, since few sources make
            each deal a matter of luck.

    Returns:
        None where no fold can be judged, or a side has fewer than `MIN_CLUSTERS` clusters.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    groups, scenes = np.asarray(sources), np.asarray(clusters)
    num_folds = min(num_folds, *(len(set(groups[truth == side])) for side in (True, False)))
    num_clusters = min(len(set(scenes[truth == side])) for side in (True, False))
    if num_folds < 2 or num_clusters < MIN_CLUSTERS:
        return None
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)),
        "boosting": HistGradientBoostingClassifier(
            max_iter=80,
            max_leaf_nodes=8,
            min_samples_leaf=_LEAF,
            max_bins=_NUM_BINS,
            early_stopping=False,
            random_state=0,
        ),
    }
    folds: list[NDArray[np.int64]] = []
    fewest = len(truth)
    found: dict[str, list[Features]] = {name: [] for name in models}
    deals = itertools.chain.from_iterable(
        StratifiedGroupKFold(num_folds, shuffle=True, random_state=deal).split(
            features, truth, groups
        )
        for deal in range(num_rounds)
    )
    for others, held_out in deals:
        fitted = others[~np.isin(scenes[others], scenes[held_out])]
        if len(set(truth[held_out])) < 2 or len(set(truth[fitted])) < 2:
            continue
        folds.append(held_out)
        fewest = min(fewest, len(fitted))
        for name, model in models.items():
            # Many threads over so little data wait for each other.
            with threadpool_limits(1):
                model.fit(features[fitted], truth[fitted])
                found[name].append(model.predict_proba(features[held_out])[:, 1])
    if not folds:
        return None
    if fewest < 2 * _LEAF:
        # Trees that cannot divide so few answer alike, which would pass for nothing to find.
        del models["boosting"]
    ones = np.ones((1, len(truth)))
    auroc = {name: float(_mean_auroc(truth, folds, found[name], ones)[0]) for name in models}
    better = max(auroc, key=lambda name: auroc[name])
    resampled = _mean_auroc(truth, folds, found[better], _resampled(scenes))
    interval = percentiles(resampled, _CONFIDENCE)
    assert interval is not None
    return ProbeResult(auroc, interval)


def _mean_auroc(
    truth: NDArray[np.bool_],
    folds: Sequence[NDArray[np.int64]],
    scores: Sequence[Features],
    weights: Features,
) -> Features:
    """(R,) mean over folds under weights (R, N) of clips; NaN where no fold holds both sides."""
    aurocs = np.stack(
        [
            metrics.auroc(metrics.Ranking(truth[held_out], score).counts(weights[:, held_out]))
            for held_out, score in zip(folds, scores, strict=True)
        ]
    )
    num_judged = (~np.isnan(aurocs)).sum(axis=0)
    total = np.nansum(aurocs, axis=0)
    return np.divide(total, num_judged, out=np.full_like(total, np.nan), where=num_judged > 0)


def _resampled(clusters: NDArray[np.str_]) -> Features:
    """(R, N): how often each clip counts when its clusters are drawn with replacement."""
    names, member = np.unique(clusters, return_inverse=True)
    chances = np.full(names.size, 1 / names.size)
    draws = np.random.default_rng(names.size).multinomial(names.size, chances, _NUM_RESAMPLES)
    return draws[:, member].astype(np.float64)
