from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from pipeline.errors import UserError
from pipeline.learn.networks.flash import FlashNet
from pipeline.learn.networks.product import ProductNet
from pipeline.review import proposing
from pipeline.review.proposing import Curves, Finder

FPS, SAMPLES = 15.0, 1600


def detector(network: Any) -> Any:
    card = SimpleNamespace(name="made", clip=SimpleNamespace(fps=FPS))
    return SimpleNamespace(network=network, card=card, device="cpu")


@pytest.fixture
def finder() -> Finder:
    """One that sees with a network in miniature, and hears nothing."""
    torch.manual_seed(0)
    flash = FlashNet(width=8, dropout=0.0, window=16, size=32)
    torch.nn.init.normal_(flash.head.weight)
    network = ProductNet.__new__(ProductNet)
    torch.nn.Module.__init__(network)
    network.discharge, network.hearing, network.most_seen = flash.eval(), None, 2.0
    network.register_buffer("discharge_scale", torch.ones(()))
    return Finder(detector(network))


def curves(seen: dict[int, float], num: int = 30, **rest: dict[int, float]) -> Curves:
    """Odds of -2 at all frames but some."""
    of = {"seen": np.full(num, -2.0), "heard": np.zeros(num), "rise_db": np.zeros(num)}
    for name, values in {"seen": seen, **rest}.items():
        for frame, value in values.items():
            of[name][frame] = value
    return Curves(np.arange(num) / FPS, **of)


def test_a_network_without_an_answer_on_the_discharge_alone_is_refused() -> None:
    with pytest.raises(UserError, match=r"train with model\.name=flash"):
        Finder(detector(FlashNet(width=8, dropout=0.0, window=16, size=32)))


@pytest.mark.parametrize("at", [8, 21, 37])
def test_what_is_seen_of_a_flash_lies_around_it(finder: Finder, at: int) -> None:
    frames = np.full((40, 32, 32, 3), 60, np.uint8)
    still = finder.curves(frames, np.zeros(40 * SAMPLES, np.int16), np.arange(40) / FPS)
    frames[at, 8:16, 8:16] = 255
    found = finder.curves(frames, np.zeros(40 * SAMPLES, np.int16), np.arange(40) / FPS)
    assert np.isnan(found.seen[:2]).all()
    assert not found.heard.any()
    changed = np.flatnonzero(np.abs(found.seen - still.seen)[2:] > 1e-6) + 2
    assert len(changed) <= 9
    assert abs(changed.mean() - at) <= 1


def test_a_blast_is_where_the_level_rises() -> None:
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 100, 30 * SAMPLES)
    sound[11 * SAMPLES + 700 :] += rng.normal(0, 5000, 19 * SAMPLES - 700)
    rise = proposing.rises(sound.astype(np.int16), 30, FPS)
    assert rise.argmax() == 11
    assert 28 < rise[11] < 45
    # What stays loud rises no further.
    assert rise[15:].max() < 10
    assert not proposing.rises(np.zeros(30 * SAMPLES, np.int16), 30, FPS).any()


def test_the_likeliest_moments_come_first_and_apart(finder: Finder) -> None:
    found = finder.proposals([curves({10: 2.0, 11: 1.9, 20: 1.0})], 2)
    assert [one.time_s for one in found] == pytest.approx([10 / FPS, 20 / FPS])
    assert found[0].confidence > 0.88 > found[1].confidence > 0.5


def test_sound_speaks_where_it_rises_and_against_everywhere(finder: Finder) -> None:
    heard = dict.fromkeys(range(5, 20), 3.0)
    (first, second) = finder.proposals([curves({}, heard=heard, rise_db={12: 30.0, 18: 5.0})], 2)
    assert (first.time_s, first.heard) == (pytest.approx(12 / FPS), True)
    assert second.time_s == pytest.approx(18 / FPS)
    (against,) = finder.proposals([curves({12: 1.0}, heard=dict.fromkeys(range(30), -1.0))], 1)
    (alone,) = finder.proposals([curves({12: 1.0})], 1)
    assert against.confidence < alone.confidence


def test_that_something_happens_somewhere_makes_moments_likelier(finder: Finder) -> None:
    (only,) = finder.proposals([curves({}, num=3)], 5)
    # Nothing else is left.
    assert only.confidence == pytest.approx(1.0)
    one, *_ = finder.proposals([curves({20: 0.0})], 5)
    assert one.confidence > expit(0.0)
    one, *_ = finder.proposals([curves({20: 0.0}, num=1800)], 5)
    assert one.confidence < 0.2


def test_of_what_the_bound_makes_equal_the_clearest_comes_first(finder: Finder) -> None:
    found = finder.proposals([curves({8: 3.0, 24: 9.0}), curves({15: 5.0})], 3)
    assert [round(one.time_s * FPS) for one in found] == [24, 15, 8]


def test_equal_curves_give_equal_proposals(finder: Finder) -> None:
    given = [curves({8: 1.0, 24: 1.0})]
    assert finder.proposals(given, 5) == finder.proposals(given, 5)
