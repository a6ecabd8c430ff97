from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline import app
from pipeline.commands.adapt import judgement, layer
from pipeline.commands.adapt.footage import CollectionClips
from pipeline.learn.origin import Layer, OriginExamples
from tests.commands.adapt.toy import own_of

BEFORE = Layer(np.array([1.0, 0.0]), 0.0)
"""Tells real by the first of two features."""


def examples(sources: np.ndarray, is_real: np.ndarray, told_by: int, lean: float) -> OriginExamples:
    """Real differs from fictional in one feature, and `lean` moves the first towards real."""
    rng = np.random.default_rng(len(sources))
    values = rng.normal(0, 0.5, (len(sources), 2))
    values[:, told_by] += np.where(is_real, 1.5, -1.5)
    values[:, 0] += lean
    return OriginExamples(values, is_real, sources, np.ones(len(sources)))


def collection(told_by: int, lean: float = 0.0, sources: int = 6) -> CollectionClips:
    own = own_of("real", "game", sources=sources, each=3)
    is_real = own.origins == "real"
    return replace(
        own,
        clips=[None] * len(own.files),  # type: ignore[list-item]
        examples=examples(own.sources, is_real, told_by, lean),
    )


def training() -> OriginExamples:
    is_real = np.arange(40) < 20
    return examples(np.array([f"{n // 4}-of-training" for n in range(40)]), is_real, 0, 0.0)


def test_a_layer_that_ranks_sources_left_out_better_is_taken() -> None:
    cfg = app.compose("train")
    own = collection(told_by=1)
    own.examples.weights[:] = 10
    found = layer.choose(training(), own, BEFORE, cfg, num_workers=1)
    gain = found.gains[judgement.ALL]
    assert found.is_new
    assert gain.exceeds_error
    assert gain.measured.known > 0.3
    assert found.now is found.new


def test_where_nothing_can_be_gained_the_layer_before_is_kept_and_shifted() -> None:
    cfg = app.compose("train")
    own = collection(told_by=0, lean=2.0)
    found = layer.choose(training(), own, BEFORE, cfg, num_workers=1)
    assert not found.is_new
    assert not found.gains[judgement.ALL].exceeds_error
    assert found.layer.weight is BEFORE.weight
    shift = found.layer.bias - BEFORE.bias
    assert -1.5 < shift < -0.5
    moved = found.layer.log_odds(own.examples.values) - BEFORE.log_odds(own.examples.values)
    assert np.allclose(moved, shift)
    is_real = own.origins == "real"
    assert ((found.now > 0) == is_real).sum() > ((found.was > 0) == is_real).sum()


def test_a_shift_rests_on_sources_and_not_on_files() -> None:
    few = collection(told_by=0, lean=2.0, sources=2)
    twice = np.repeat(np.arange(len(few.files)), 2)
    shifts = [layer.shifted(BEFORE, one).bias for one in (few.examples, few.examples.take(twice))]
    assert shifts[0] == pytest.approx(shifts[1], abs=2e-4)
    many = layer.shifted(BEFORE, collection(told_by=0, lean=2.0, sources=12).examples).bias
    assert many < shifts[0] < 0


@pytest.mark.parametrize("origin", ["real", "game"])
def test_files_of_one_side_leave_the_layer_as_it_is(origin: str) -> None:
    own = own_of(origin, sources=3, each=2)
    is_real = own.origins == "real"
    own = replace(
        own,
        clips=[None] * len(own.files),  # type: ignore[list-item]
        examples=examples(own.sources, is_real, 0, 2.0),
    )
    found = layer.choose(training(), own, BEFORE, app.compose("train"), num_workers=1)
    assert found.layer is BEFORE
    assert found.gains == {}
    assert np.array_equal(found.now, found.was)


def test_in_a_shift_rendered_examples_count_what_their_weight_says() -> None:
    own = collection(told_by=0, lean=2.0).examples
    foreign = replace(own, values=own.values - np.array([6.0, 0.0]))
    weights = np.where(np.arange(2 * len(own.sources)) < len(own.sources), 1.0, 1e-6)
    both = replace(own.joined(foreign), weights=weights)
    alone = layer.shifted(BEFORE, own).bias
    assert layer.shifted(BEFORE, both).bias == pytest.approx(alone, abs=1e-3)
    alike = replace(both, weights=np.ones(len(weights)))
    assert layer.shifted(BEFORE, alike).bias > alone + 0.2


def test_of_one_source_nothing_can_be_judged_and_the_layer_stays() -> None:
    own = collection(told_by=0, lean=2.0)
    names = np.full(len(own.sources), "same")
    own = replace(
        own,
        files=[replace(row, source="same") for row in own.files],
        examples=replace(own.examples, sources=names),
    )
    found = layer.choose(training(), own, BEFORE, app.compose("train"), num_workers=1)
    assert found.layer is BEFORE
    assert found.gains == {}
    assert np.isnan(found.now).all()


def test_a_gain_of_one_source_a_side_has_no_interval_and_is_not_taken() -> None:
    origins = np.array(["real", "real", "game", "game"])
    was, now = np.array([-1.0, 1.0, 0.0, 2.0]), np.array([1.0, 2.0, -1.0, -2.0])
    (gain, _) = judgement.gains(was, now, origins, origins).values()
    assert gain.measured.known == 0.75
    assert gain.measured.interval is None
    assert gain.measured.reason == "all examples of one answer are of one source"
    assert not gain.exceeds_error
    assert not gain.is_shown


def test_files_that_were_not_judged_have_no_part_in_a_gain() -> None:
    origins = np.array(["real", "real", "game", "game", "film"])
    sources = np.array(["a", "b", "c", "d", "e"])
    was, now = np.array([1.0, -1.0, 0.0, -2.0, 9.0]), np.array([1.0, 1.0, 0.0, -2.0, np.nan])
    found = judgement.gains(was, now, origins, sources)
    assert set(found) == {"all", "game"}
    assert found["all"].measured.known == 0.25
