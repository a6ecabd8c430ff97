from __future__ import annotations

import numpy as np
import pytest

from pipeline.design import probes
from tests.conftest import moving_frames

NUM = 60


def clips(seed: int = 0) -> list[np.ndarray]:
    return [moving_frames(seed + number, 8) for number in range(NUM)]


REAL = np.arange(NUM) % 2 == 0
SOURCES = [f"{'real' if real else 'game'}-{number // 2 % 3}" for number, real in enumerate(REAL)]

CLUSTERS = [str(number) for number in range(NUM)]


def auroc(name: str, frames: list[np.ndarray]) -> float:
    features = np.stack([getattr(probes.cues(one, 2), name) for one in frames])
    found = probes.by_source(features, REAL, SOURCES, CLUSTERS, num_folds=4, num_rounds=2)
    assert found is not None
    assert found.interval.low <= max(found.auroc.values()) <= found.interval.high
    return max(found.auroc.values())


@pytest.mark.parametrize("cue", ["colour", "border", "overlay", "still"])
def test_a_cue_that_both_origins_share_tells_nothing(cue: str) -> None:
    assert auroc(cue, clips()) < 0.75


def planted(where: tuple[slice, slice]) -> list[np.ndarray]:
    """Clips in which the real ones have a bright mark at a place."""
    frames = [one.copy() for one in clips()]
    for one, real in zip(frames, REAL, strict=True):
        if real:
            one[:, where[0], where[1]] = 255
    return frames


def test_a_rim_is_seen_by_the_probe_of_the_border() -> None:
    frames = planted((slice(0, 2), slice(None)))
    assert auroc("border", frames) > 0.95


def test_a_mark_in_a_corner_is_seen_by_the_probe_of_overlays() -> None:
    size = clips()[0].shape[1]
    frames = planted((slice(-size // 8, None), slice(0, size // 8)))
    assert auroc("overlay", frames) > 0.95


def test_brightness_is_seen_by_the_probe_of_colour() -> None:
    frames = [
        np.clip(one * (1.5 if real else 1), 0, 255) for one, real in zip(clips(), REAL, strict=True)
    ]
    assert auroc("colour", [one.astype(np.uint8) for one in frames]) > 0.85


def test_the_still_is_small() -> None:
    assert probes.cues(clips()[0], 2).still.shape == (768,)


def test_a_cue_of_a_source_does_not_pass_for_one_of_the_origin() -> None:
    """Features that name the source separate perfectly within sources, and not across them."""
    rng = np.random.default_rng(1)
    names = sorted(set(SOURCES))
    features = np.array([[float(source == name) for name in names] for source in SOURCES])
    features += rng.normal(0, 0.01, features.shape)
    found = probes.by_source(features, REAL, SOURCES, CLUSTERS, num_folds=4, num_rounds=2)
    assert found is not None
    assert max(found.auroc.values()) < 0.8


def test_one_source_an_origin_cannot_be_cross_validated() -> None:
    sources = ["a" if real else "b" for real in REAL]
    assert (
        probes.by_source(np.zeros((NUM, 2)), REAL, sources, CLUSTERS, num_folds=4, num_rounds=2)
        is None
    )


def few(num_clips: int) -> probes.ProbeResult | None:
    """What features that tell nothing say of so few clips of two sources an origin."""
    real = np.arange(num_clips) % 2 == 0
    sources = [f"{side}-{number // 2 % 2}" for number, side in enumerate(real)]
    features = np.random.default_rng(2).normal(size=(num_clips, 3))
    clusters = [str(number) for number in range(num_clips)]
    return probes.by_source(features, real, sources, clusters, num_folds=4, num_rounds=2)


def test_trees_have_no_say_where_clips_are_too_few_for_them_to_divide() -> None:
    """Their one answer for all would have an AUROC of 0.5 with an interval of no width."""
    found = few(30)
    assert found is not None
    assert set(found.auroc) == {"logistic"}
    assert found.interval.high - found.interval.low > 0.1
    many = few(120)
    assert many is not None
    assert set(many.auroc) == {"logistic", "boosting"}


def test_four_recordings_of_an_origin_are_too_few() -> None:
    assert few(8) is None
    assert few(10) is not None


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_twins_neither_hide_a_cue_nor_make_one(strength: float) -> None:
    """One scene under both labels: its features tell the scene, and a cue of a given strength."""
    rng = np.random.default_rng(3)
    num_scenes = 90
    scenes = np.repeat(rng.normal(size=(num_scenes, 6)), 2, axis=0)
    real = np.arange(2 * num_scenes) % 2 == 0
    features = np.hstack([scenes, rng.normal(size=(2 * num_scenes, 1)) + strength * real[:, None]])
    names = [f"{bool(side)}-{rng.integers(4)}" for side in real]
    clusters = [str(number // 2) for number in range(2 * num_scenes)]
    found = probes.by_source(features, real, names, clusters, num_folds=4, num_rounds=2)
    assert found is not None
    # Of two unit normals one deviation apart the AUROC is 0.76.
    expected = 0.76 if strength else 0.5
    assert found.auroc["logistic"] == pytest.approx(expected, abs=0.13)


def test_an_aurocs_interval_is_as_wide_as_its_clusters_are_few() -> None:
    """Copies of a scene are no further evidence: only new clusters narrow the interval."""
    rng = np.random.default_rng(4)
    widths = {}
    for num_scenes, num_copies in ((40, 1), (40, 8), (320, 1)):
        real = np.arange(num_scenes) % 2 == 0
        features = rng.normal(size=(num_scenes, 1)) + real[:, None]
        names = [f"{side}-{number // 2 % 2}" for number, side in enumerate(real)]
        scenes = [str(number) for number in range(num_scenes)]
        found = probes.by_source(
            np.repeat(features, num_copies, axis=0),
            np.repeat(real, num_copies),
            np.repeat(names, num_copies).tolist(),
            np.repeat(scenes, num_copies).tolist(),
            num_folds=2,
            num_rounds=1,
        )
        assert found is not None
        widths[num_scenes, num_copies] = found.interval.high - found.interval.low
    assert widths[320, 1] < 0.6 * widths[40, 1]
    assert widths[40, 8] > 0.7 * widths[40, 1]


def test_an_auroc_is_the_mean_of_those_of_the_folds() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(5)
    real = rng.random(40) < 0.5
    folds = [np.arange(0, 20), np.arange(20, 40)]
    scores = [rng.integers(0, 6, 20) / 6 for _ in folds]
    weights = rng.integers(1, 4, (3, 40)).astype(float)
    expected = [
        np.mean(
            [
                roc_auc_score(real[fold], score, sample_weight=row[fold])
                for fold, score in zip(folds, scores, strict=True)
            ]
        )
        for row in weights
    ]
    assert probes._mean_auroc(real, folds, scores, weights) == pytest.approx(expected, abs=1e-12)
