from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import f_oneway, kstest

from pipeline.assess.suites.sources.confound import shares
from tests.assess import toy

CAMERAS = tuple(toy.Source(f"camera-{i}", "real", 0, 8) for i in range(4))


def rescored(score: np.ndarray, sources=CAMERAS):
    return replace(toy.examples(sources), score=score)


def test_the_share_of_one_class_is_eta_squared() -> None:
    rng = np.random.default_rng(0)
    examples = toy.examples(CAMERAS)
    code = np.unique(examples.source.astype(str), return_inverse=True)[1]
    score = rng.normal(0, 1, len(examples)) + 0.5 * code
    found = shares(rescored(score), 50, 0)
    f = f_oneway(*(score[code == i] for i in range(4))).statistic
    between, within = 3 * f, len(examples) - 4
    assert found.by_source == pytest.approx(between / (between + within), rel=1e-9)
    assert found.by_class == 0


def test_what_follows_recordings_alone_is_no_effect_of_the_source() -> None:
    rng = np.random.default_rng(1)
    clusters = toy.examples(CAMERAS).clusters
    p = [shares(rescored(rng.normal(0, 1, 32)[clusters]), 99, seed).p for seed in range(120)]
    assert kstest(p, "uniform").pvalue > 0.01
    found = shares(rescored(rng.normal(0, 1, 32)[clusters]), 400, 0)
    # Of 31 degrees of freedom between recordings, 3 are between sources.
    assert found.by_chance == pytest.approx(3 / 31, abs=0.02)


def test_a_score_of_the_class_is_none_of_the_source() -> None:
    mixed = tuple(replace(one, num_shooting=8) for one in CAMERAS)
    examples = toy.examples(mixed)
    noise = np.random.default_rng(2).normal(0, 0.1, len(examples))
    found = shares(rescored(examples.discharge + noise, mixed), 200, 0)
    assert found.by_class > 0.9
    assert found.by_source < 0.1
    assert found.p > 0.05


def test_a_class_of_one_source_or_a_constant_score_says_nothing() -> None:
    assert shares(toy.examples(CAMERAS[:1]), 10, 0) is None
    assert shares(rescored(np.full(len(toy.examples(CAMERAS)), 0.5)), 10, 0) is None
