from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from pipeline import app
from pipeline.learn.memory import Memory, begin, follow, memory_of
from pipeline.learn.networks.product import (
    discharge_log_odds,
    origin_log_odds,
    product_logits,
)

MEMORY = Memory(answer_s=1.0, origin_s=10.0, lasting=0.5, discharge_s=0.5)
MEAN_ALONE = replace(MEMORY, lasting=1.0)
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


def independent(logits: Tensor) -> Tensor:
    """Logits of the same origin and discharge where neither says anything of the other."""
    return product_logits(origin_log_odds(logits), discharge_log_odds(logits)).double()


def test_log_odds_are_means_over_time_that_count_the_latest_most() -> None:
    step_s = 0.4
    logits = independent(random_logits(3, 40))
    found = summed(logits, step_s)
    for log_odds, span_s in ((origin_log_odds, 10.0), (discharge_log_odds, 0.5)):
        given, after = log_odds(logits).numpy(), log_odds(found).numpy()
        for number in range(40):
            weights = np.exp(-step_s * np.arange(number, -1, -1) / span_s)
            expected = given[:, : number + 1] @ weights / weights.sum()
            if log_odds is origin_log_odds:
                lasted_s = span_s * -np.expm1(-step_s * (number + 1) / span_s)
                num_clips = max(1.0, lasted_s / MEMORY.answer_s)
                expected *= num_clips / (1 + (num_clips - 1) * MEMORY.lasting)
            np.testing.assert_allclose(after[:, number], expected, atol=1e-6)


def test_what_each_origin_says_of_the_discharge_is_not_mixed() -> None:
    logits = random_logits(3, 40)
    found = summed(logits, 1.0, replace(MEMORY, discharge_s=1e-3))
    for shooting, other in ((0, 2), (1, 3)):
        torch.testing.assert_close(
            found[..., shooting] - found[..., other],
            logits[..., shooting] - logits[..., other],
            **EXACT,
        )
    assert (found - logits)[:, 1:].abs().max() > 0.5


def test_the_first_answer_of_a_stream_stays_as_it_is_bit_for_bit() -> None:
    logits = random_logits(5)
    for seconds in (1 / 15, 0.5, 1.0):
        found, _ = MEMORY.advance(logits, seconds, MEMORY.start(5))
        assert torch.equal(found, logits)


def test_evidence_that_never_changes_stays_what_it_is_where_clips_all_say_the_same() -> None:
    logits = random_logits(3, 1).expand(-1, 500, -1)
    torch.testing.assert_close(summed(logits, 0.3, MEAN_ALONE), logits, **EXACT)


def test_evidence_that_never_changes_adds_up_as_far_as_clips_are_independent() -> None:
    logits = independent(random_logits(3, 1)).expand(-1, 500, -1)
    given = origin_log_odds(logits)[:, 0]
    for lasting, most in ((0.0, 10.0), (0.5, 10 / (1 + 9 * 0.5))):
        found = origin_log_odds(summed(logits, 0.3, replace(MEMORY, lasting=lasting)))
        worth = found / given[:, None]
        assert (worth.diff(dim=1) > -1e-12).all()
        torch.testing.assert_close(worth[:, -1], torch.full_like(given, most), rtol=1e-6, atol=0)


def test_a_stream_that_says_nothing_of_the_origin_goes_on_saying_nothing() -> None:
    logits = product_logits(torch.zeros(2, 50), torch.randn(2, 50)).double()
    assert origin_log_odds(summed(logits, 1.0)).abs().max() < 1e-6


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
    _, state = MEAN_ALONE.advance(before, 1.0, MEAN_ALONE.start(1))
    found, _ = MEAN_ALONE.advance(after, 1.0, state, unseen_s=20.0)
    weight = np.exp(-21.0 / MEMORY.origin_s)
    odds = [float(origin_log_odds(one)) for one in (before, after)]
    expected = (weight * odds[0] + odds[1]) / (weight + 1)
    assert float(origin_log_odds(found)) == pytest.approx(expected)


def test_what_is_remembered_does_not_grow_and_what_is_old_is_forgotten() -> None:
    real, game = (
        product_logits(torch.tensor([odds]), torch.zeros(1)).double() for odds in (4.0, -4.0)
    )
    state = MEAN_ALONE.start(1)
    for _ in range(3000):
        _, state = MEAN_ALONE.advance(real, 0.1, state)
        assert sum(value.numel() for value in state.values()) == 4
    for _ in range(300):
        found, state = MEAN_ALONE.advance(game, 0.1, state)
    assert float(origin_log_odds(found)) == pytest.approx(-4 + 8 * np.exp(-3), abs=1e-6)


def test_evidence_that_comes_and_goes_is_worth_more_when_it_is_summed_up() -> None:
    rng = np.random.default_rng(0)
    is_real = np.arange(200) % 2 == 0
    # How each recording is made lasts for good, what is in sight for some seconds.
    lasting = rng.normal(0, 0.5, 200)[:, None]
    passing = rng.normal(0, 2, (200, 12)).repeat(5, axis=1)
    odds = np.where(is_real, 1.0, -1.0)[:, None] + lasting + passing
    logits = product_logits(torch.from_numpy(odds), torch.zeros(odds.shape).double())
    found = origin_log_odds(summed(logits, 1.0))[:, -1].numpy()
    now, later = roc_auc_score(is_real, odds[:, -1]), roc_auc_score(is_real, found)
    assert now < 0.75
    assert later > now + 0.1


@pytest.mark.parametrize("memory", [None, MEMORY], ids=["alone", "with a memory"])
def test_a_stream_says_and_remembers_nothing_before_it_has_shown_a_whole_clip(
    memory: Memory | None,
) -> None:
    # The second stream begins two answers after the first one.
    logits, num_answers, begins = random_logits(2, 9), 4, (0, 2)
    state = begin(memory, 2)
    expected: list[Any] = [None if memory is None else memory.start(1) for _ in begins]
    sizes = set()
    for number, given in enumerate(logits.unbind(1)):
        if number == begins[1]:
            anew = begin(memory, 1)
            state = {name: torch.cat([state[name][:1], anew[name]]) for name in state}
        before = {name: value.clone() for name, value in state.items()}
        found, speaks, after = follow(memory, given, state, num_answers=num_answers, clip_s=2.0)
        assert all(torch.equal(state[name], value) for name, value in before.items())
        state = after
        for stream, first in enumerate(begins):
            answers, own = number - first + 1, given[[stream]]
            if answers < 1:
                continue
            assert bool(speaks[stream]) == (answers >= num_answers)
            if memory is not None and answers >= num_answers:
                # The first that is said stands for the clip, each later one for its own time.
                seconds = 2.0 if answers == num_answers else 0.5
                own, expected[stream] = memory.advance(own, seconds, expected[stream])
            assert torch.equal(found[stream], own[0])
            for name, value in (expected[stream] or {}).items():
                assert torch.equal(state[name][stream], value[0])
        sizes.add(sum(value.numel() for value in state.values()))
    assert len(sizes) == 1


def test_settings_are_those_of_the_configuration() -> None:
    settings = ["memory.origin_s=20", "memory.lasting=0.25", "memory.discharge_s=0.5"]
    found = memory_of(app.compose("train", *settings).memory, 1.5)
    assert found == Memory(answer_s=1.5, origin_s=20.0, lasting=0.25, discharge_s=0.5)
    assert memory_of(app.compose("train", "memory.origin_s=0").memory, 1.5) is None
    assert Memory.parse(None) is None
    assert Memory.parse(found.architecture()) == found


@pytest.mark.parametrize(
    "changes",
    [
        *({name: 0} for name in ("answer_s", "origin_s", "discharge_s")),
        *({"origin_s": value} for value in ("nan", "inf", "long", None)),
        *({"lasting": value} for value in (-0.1, 1.1, "nan")),
        {"x": 1},
    ],
)
def test_values_that_no_memory_has_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Memory.parse({**MEMORY.architecture(), **changes})


@pytest.mark.parametrize("values", [{}, [1], 3, {"origin_s": 1.0}])
def test_what_is_no_memory_is_refused(values: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Memory.parse(values)
