from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from pipeline.learn.memory import Memory, memory_of
from pipeline.learn.networks.product import (
    discharge_log_odds,
    origin_log_odds,
    product_logits,
)

MEMORY = Memory(10.0)
EXACT = {"rtol": 0, "atol": 1e-12}


def random_logits(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, 4, generator=generator, dtype=torch.float64)


def summed(logits: Tensor, seconds: float, memory: Memory = MEMORY) -> Tensor:
    """What is said at each answer of streams: (B, T, 4) to (B, T, 4)."""
    state, found = memory.start(len(logits)), []
    for one in logits.unbind(1):
        after, state = memory.advance(one, seconds, state)
        found.append(after)
    return torch.stack(found, dim=1)


def test_the_origin_is_the_mean_over_time_that_counts_the_latest_most() -> None:
    logits, step_s = random_logits(3, 40), 0.4
    found = origin_log_odds(summed(logits, step_s))
    given = origin_log_odds(logits).numpy()
    for number in range(40):
        ages = step_s * np.arange(number, -1, -1)
        weights = np.exp(-ages / MEMORY.span_s)
        expected = given[:, : number + 1] @ weights / weights.sum()
        np.testing.assert_allclose(found[:, number], expected, atol=1e-9)


def test_the_discharge_stays_that_of_the_latest_answer() -> None:
    logits = random_logits(3, 40)
    found = summed(logits, 1.0)
    independent = product_logits(origin_log_odds(logits), discharge_log_odds(logits))
    of_product = summed(independent, 1.0)
    torch.testing.assert_close(
        discharge_log_odds(of_product), discharge_log_odds(independent), **EXACT
    )
    for one, other in ((0, 2), (1, 3)):
        torch.testing.assert_close(
            found[..., one] - found[..., other], logits[..., one] - logits[..., other], **EXACT
        )
    assert (found - logits)[:, 1:].abs().max() > 0.5


def test_the_first_answer_of_a_stream_stays_as_it_is_bit_for_bit() -> None:
    logits = random_logits(5)
    for seconds in (1 / 15, 1.0, 50.0):
        found, _ = MEMORY.advance(logits, seconds, MEMORY.start(5))
        assert torch.equal(found, logits)


def test_evidence_that_never_changes_stays_what_it_is() -> None:
    logits = random_logits(3, 1).expand(-1, 500, -1)
    torch.testing.assert_close(summed(logits, 0.3), logits, **EXACT)


def test_rates_do_not_matter() -> None:
    evidence = random_logits(2, 30)
    each_second = summed(evidence, 1.0)
    for rate in (2, 15, 60):
        finer = summed(evidence.repeat_interleave(rate, dim=1), 1 / rate)[:, rate - 1 :: rate]
        torch.testing.assert_close(finer, each_second, rtol=0, atol=1e-9)


def test_streams_may_answer_at_times_of_their_own() -> None:
    logits = random_logits(2, 6)
    seconds = torch.tensor([1.0, 0.25], dtype=torch.float64)
    unseen_s = torch.tensor([0.0, 7.0], dtype=torch.float64)
    together = MEMORY.start(2)
    alone = [MEMORY.start(1) for _ in range(2)]
    for given in logits.unbind(1):
        found, together = MEMORY.advance(given, seconds, together, unseen_s)
        for stream in range(2):
            own, alone[stream] = MEMORY.advance(
                given[[stream]], float(seconds[stream]), alone[stream], float(unseen_s[stream])
            )
            torch.testing.assert_close(own[0], found[stream], **EXACT)


def test_time_that_nobody_saw_is_forgotten_over_and_adds_nothing() -> None:
    before, after = random_logits(1), random_logits(1, seed=1)
    _, state = MEMORY.advance(before, 1.0, MEMORY.start(1))
    found, _ = MEMORY.advance(after, 1.0, state, unseen_s=20.0)
    weight = np.exp(-21.0 / MEMORY.span_s)
    odds = [float(origin_log_odds(one)) for one in (before, after)]
    expected = (weight * odds[0] + odds[1]) / (weight + 1)
    assert float(origin_log_odds(found)) == pytest.approx(expected)


def test_what_is_remembered_does_not_grow_and_older_than_three_spans_counts_for_a_twentieth() -> (
    None
):
    real = product_logits(torch.tensor([4.0]).double(), torch.zeros(1).double())
    game = product_logits(torch.tensor([-4.0]).double(), torch.zeros(1).double())
    state = MEMORY.start(1)
    for _ in range(3000):
        _, state = MEMORY.advance(real, 0.1, state)
        assert sum(value.numel() for value in state.values()) == 2
    for _ in range(300):
        found, state = MEMORY.advance(game, 0.1, state)
    assert float(origin_log_odds(found)) == pytest.approx(-4 + 8 * np.exp(-3), abs=1e-6)


def test_evidence_that_comes_and_goes_is_worth_more_when_it_is_summed_up() -> None:
    rng = np.random.default_rng(0)
    is_real = np.arange(200) % 2 == 0
    # What a place looks like stays for some seconds, and how each recording is made for good.
    lasting = rng.normal(0, 0.5, 200)[:, None]
    passing = rng.normal(0, 2, (200, 12)).repeat(5, axis=1)
    odds = np.where(is_real, 1.0, -1.0)[:, None] + lasting + passing
    logits = product_logits(torch.from_numpy(odds), torch.zeros(odds.shape).double())
    found = origin_log_odds(summed(logits, 1.0))[:, -1].numpy()
    now, later = roc_auc_score(is_real, odds[:, -1]), roc_auc_score(is_real, found)
    assert now < 0.75
    assert later > now + 0.1


def test_no_seconds_are_no_memory() -> None:
    assert memory_of(0.0) is None
    assert Memory.parse(None) is None
    assert Memory.parse(MEMORY.architecture()) == memory_of(10.0) == MEMORY


@pytest.mark.parametrize(
    "values",
    [{"span_s": 0.0}, {"span_s": "nan"}, {"span_s": "long"}, {}, {"span_s": 1, "x": 2}, [1], 3],
)
def test_values_that_no_memory_has_are_refused(values: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Memory.parse(values)
