"""Hiding parts of clips finds what a detector reads."""

import numpy as np
import pytest

from pipeline.assess.suites.attribution.occlusion import (
    GRID,
    REGIONS,
    Target,
    cell_masks,
    explain,
    region_masks,
)
from tests.assess import toy


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def detector(feature):
    """Says real shooting by a feature of clips in 0 to 1, else fictional shooting."""

    def predict(clips):
        p = sigmoid(6 * np.array([feature(clip / 255) for clip in clips]) - 1)
        return np.column_stack([p, 1 - p, 0 * p, 0 * p])

    return predict


def bright_at(rows, columns, frames=slice(None)):
    clip = np.full((8, 64, 64, 3), 40, np.uint8)
    clip[frames, rows, columns] = 250
    return clip


def effects(feature, *clips):
    targets = [Target(toy.silent(clip), said=0, actual=1) for clip in clips]
    return explain(toy.evidence(predict=detector(feature)), targets)


def test_a_detector_that_reads_one_corner_gets_its_map_there():
    clip = bright_at(slice(0, 6), slice(58, 64))
    (found,) = effects(lambda x: x[:, :6, 58:].mean(), clip)
    assert np.unravel_index(found.cells.argmax(), found.cells.shape) == (0, GRID - 1)
    others = np.delete(np.abs(found.cells).ravel(), GRID - 1)
    assert found.cells[0, GRID - 1] > 1
    assert others.max() < 0.05 * found.cells[0, GRID - 1]


def test_a_detector_that_reads_the_middle_does_not_react_to_the_border():
    clip = bright_at(slice(28, 36), slice(28, 36))
    (found,) = effects(lambda x: x[:, 28:36, 28:36].mean(), clip)
    border, overlay, middle = np.abs(found.regions)
    assert middle > 100 * max(border, overlay)


def test_a_detector_that_reads_the_rim_or_the_strips_reacts_there():
    rim = bright_at(slice(0, 2), slice(None))
    strip = bright_at(slice(3, 7), slice(8, 56))
    by_rim, by_strip = effects(lambda x: max(x[:, :2].mean(), x[:, 3:7, 8:56].mean()), rim, strip)
    assert REGIONS[np.abs(by_rim.regions).argmax()] == "border"
    assert REGIONS[np.abs(by_strip.regions).argmax()] == "overlay"


@pytest.mark.parametrize("moment", [0, 3, 7])
def test_a_detector_that_reads_one_frame_gets_its_bar_there(moment):
    clip = bright_at(slice(None), slice(None), moment)
    (found,) = effects(lambda x: x[moment].mean(), clip)
    assert found.frames.argmax() == moment
    others = np.delete(found.frames, moment)
    np.testing.assert_allclose(others, 0, atol=1e-12)
    assert found.frames[moment] > 1


def test_what_speaks_against_the_mistake_is_negative_in_log_odds():
    clip = bright_at(slice(0, 8), slice(0, 8))
    (target,) = [Target(toy.silent(clip), said=1, actual=0)]
    feature = lambda x: x[:, :8, :8].mean()  # noqa: E731
    (found,) = explain(toy.evidence(predict=detector(feature)), [target])
    assert found.cells.argmin() == 0
    assert found.cells[0, 0] < -1


def test_effects_of_clips_do_not_mix_whatever_the_batch():
    left = bright_at(slice(0, 8), slice(0, 8))
    right = bright_at(slice(56, 64), slice(56, 64))
    feature = lambda x: x[:, :8, :8].mean() + x[:, 56:, 56:].mean()  # noqa: E731
    both = effects(feature, left, right)
    for found, clip in zip(both, (left, right), strict=True):
        (alone,) = effects(feature, clip)
        np.testing.assert_allclose(found.cells, alone.cells, atol=1e-12)
    assert both[0].cells.argmax() == 0
    assert both[1].cells.argmax() == GRID * GRID - 1


def test_clips_are_given_back_unchanged_and_certainty_does_not_overflow():
    clip = bright_at(slice(0, 8), slice(0, 8))
    before = clip.copy()
    sure = lambda clips: np.tile([1.0, 0.0, 0.0, 0.0], (len(clips), 1))  # noqa: E731
    (found,) = explain(toy.evidence(predict=sure), [Target(toy.silent(clip), 0, 1)])
    assert (clip == before).all()
    assert (found.cells == 0).all()


@pytest.mark.parametrize("shape", [(128, 128), (32, 32), (36, 50)])
def test_every_pixel_is_in_one_cell_and_one_region(shape):
    assert (cell_masks(*shape).sum(axis=0) == 1).all()
    masks = region_masks(*shape)
    assert (masks.sum(axis=0) == 1).all()
    assert masks.any(axis=(1, 2)).all()


def test_no_target_asks_nothing():
    def never(clips):
        raise AssertionError

    assert explain(toy.evidence(predict=never), []) == []
