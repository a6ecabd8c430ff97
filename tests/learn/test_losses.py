from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.config import LossConfig
from pipeline.learn.losses import joint_loss, joint_losses
from pipeline.manifest import CLASSES

LABELS = torch.tensor([0, 1, 2, 3])
LOGITS = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))


def config(**changes: object) -> LossConfig:
    values = {"label_smoothing": 0.0, "origin": 0.0, "discharge": 0.0}
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
    half = LOGITS.bfloat16()
    expected = joint_losses(half.float(), LABELS, config(origin=1.0)).mean()
    with torch.autocast("cpu", torch.bfloat16):
        found = joint_loss(half, LABELS, config(origin=1.0))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
