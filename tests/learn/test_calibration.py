from __future__ import annotations

import pytest
import torch

from pipeline.learn.calibration import fit_temperature


def test_an_overconfident_network_is_cooled_by_as_much_as_it_exaggerates() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 4, generator=generator)
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(3 * honest, labels) == pytest.approx(3.0, rel=0.1)


def test_a_small_perfect_split_does_not_ask_for_certainty() -> None:
    labels = torch.arange(8) % 4
    logits = 2.0 * torch.nn.functional.one_hot(labels, 4)
    surest = (logits / fit_temperature(logits, labels)).softmax(1).max()
    assert surest.item() == pytest.approx(3 / 6, abs=0.01)


def test_samples_count_as_they_are_weighted() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 4, generator=generator)
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    logits = torch.cat([3 * honest, honest])
    weights = torch.cat([torch.zeros(4000), torch.full((4000,), 0.1)])
    found = fit_temperature(logits, labels.repeat(2), weights)
    assert found == pytest.approx(fit_temperature(honest, labels), rel=0.02)
