from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from pipeline.config import LossConfig
from pipeline.errors import UserError
from pipeline.learn.losses import Objective, coral, joint_losses
from pipeline.manifest import CLASSES

LABELS = torch.tensor([0, 1, 2, 3])
LOGITS = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
FEATURES = torch.zeros(4, 2)


def config(**changes: object) -> LossConfig:
    values = {
        "label_smoothing": 0.0,
        "origin": 0.0,
        "discharge": 0.0,
        "generalise": "none",
        "generalise_weight": 0.0,
    }
    return LossConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_alone_the_four_classes_are_cross_entropy() -> None:
    expected = functional.cross_entropy(LOGITS, LABELS, label_smoothing=0.1, reduction="none")
    found = joint_losses(LOGITS, LABELS, config(label_smoothing=0.1))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("question", "of_it"),
    [
        ("origin", ["real_shooting", "real_other"]),
        ("discharge", ["real_shooting", "fictional_shooting"]),
    ],
)
def test_a_question_is_the_likelihood_of_its_marginal(question: str, of_it: list[str]) -> None:
    added = joint_losses(LOGITS, LABELS, config(**{question: 2.0}))
    added = added - joint_losses(LOGITS, LABELS, config())
    so = LOGITS.softmax(1)[:, [CLASSES.index(name) for name in of_it]].sum(1)
    likelihood = torch.stack([p if c in of_it else 1 - p for p, c in zip(so, CLASSES, strict=True)])
    torch.testing.assert_close(added, -2.0 * likelihood.log())


def test_a_confusion_within_an_origin_costs_nothing_of_the_question_of_origin() -> None:
    logits = torch.tensor([[0.0, -50.0, 50.0, -50.0]])
    label = torch.tensor([CLASSES.index("real_shooting")])
    with_origin = joint_losses(logits, label, config(origin=1.0))
    torch.testing.assert_close(with_origin, joint_losses(logits, label, config()))
    assert joint_losses(logits, label, config(discharge=1.0)) > with_origin + 10


def test_the_loss_is_computed_in_full_precision_under_autocast() -> None:
    objective = Objective(config(origin=1.0, generalise="coral", generalise_weight=1.0), 2)
    features = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    sample = LOGITS.repeat(2, 1), features, LABELS.repeat(2), torch.arange(8) // 4
    expected = objective(*sample)
    with torch.autocast("cpu", torch.bfloat16):
        found = objective(*sample)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_group_dro_gives_weight_to_the_group_that_is_hard() -> None:
    objective = Objective(config(generalise="group_dro", generalise_weight=1.0), 2).train()
    logits = torch.tensor([[9.0, 0, 0, 0], [0, 9.0, 0, 0]])
    labels, sources = torch.tensor([0, 0]), torch.tensor([0, 1])
    for _ in range(3):
        loss = objective(logits, FEATURES[:2], labels, sources)
    easy, hard = objective.group_weights[0], objective.group_weights[len(CLASSES)]
    assert hard > 1000 * easy
    assert objective.group_weights.sum() == pytest.approx(1.0)
    assert loss == pytest.approx(9.0, abs=0.1)


def test_group_dro_weighs_groups_and_not_samples() -> None:
    objective = Objective(config(generalise="group_dro", generalise_weight=0.0), 1).train()
    logits = torch.tensor([[0.0, 0, 0, 0]] * 3 + [[5.0, 0, 0, 0]])
    labels = torch.tensor([0, 0, 0, 1])
    each = functional.cross_entropy(logits, labels, reduction="none")
    found = objective(logits, FEATURES, labels, torch.zeros(4, dtype=torch.int64))
    assert found.item() == pytest.approx((math.log(4) + each[3].item()) / 2)


def test_group_dro_learns_nothing_of_the_groups_when_it_is_only_asked() -> None:
    objective = Objective(config(generalise="group_dro", generalise_weight=1.0), 1).eval()
    objective(LOGITS, FEATURES, LABELS, torch.zeros(4, dtype=torch.int64))
    assert (objective.group_weights == 1 / len(CLASSES)).all()
    assert "group_weights" in objective.state_dict()


def two_sources(label_a: int, label_b: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    features = torch.tensor([[0.0, 0], [2, 0], [0, 4], [0, 8]])
    labels = torch.tensor([label_a, label_a, label_b, label_b])
    return features, labels, torch.tensor([5, 5, 7, 7])


def test_coral_is_the_gap_of_means_and_covariances() -> None:
    means = (1 + 36) / 2
    covariances = (2**2 + 8**2) / 4
    assert coral(*two_sources(0, 2)).item() == pytest.approx(means + covariances)


def test_coral_does_not_draw_real_and_fictional_sources_together() -> None:
    assert coral(*two_sources(0, 1)).item() == 0


def test_coral_needs_two_samples_of_a_source() -> None:
    features, labels, _ = two_sources(0, 0)
    assert coral(features, labels, torch.tensor([5, 5, 5, 7])).item() == 0


def test_coral_draws_features_together() -> None:
    features, labels, sources = two_sources(0, 0)
    features.requires_grad_()
    objective = Objective(config(generalise="coral", generalise_weight=0.5), 8)
    before = coral(features, labels, sources).item()
    objective(LOGITS, features, labels, sources).backward()
    assert features.grad is not None
    assert coral(features - 0.01 * features.grad, labels, sources).item() < before


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(UserError, match=r"loss\.generalise: 'irm' is none of none, group_dro, co"):
        Objective(config(generalise="irm"), 1)
