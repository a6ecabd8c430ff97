from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.config import LossConfig
from pipeline.learn.losses import discharge_loss, joint_loss, joint_losses
from pipeline.store.manifest import CLASSES

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


def test_the_discharge_alone_is_the_likelihood_of_its_marginal() -> None:
    cfg = config(discharge=2.0)
    added = joint_losses(LOGITS, LABELS, cfg) - joint_losses(LOGITS, LABELS, config())
    found = discharge_loss(LOGITS, LABELS, config(origin=3.0))
    torch.testing.assert_close(found, added.mean() / 2)
    smooth = config(discharge=2.0, label_smoothing=0.1)
    added = joint_losses(LOGITS, LABELS, smooth)
    added = added - joint_losses(LOGITS, LABELS, config(label_smoothing=0.1))
    torch.testing.assert_close(discharge_loss(LOGITS, LABELS, smooth), added.mean() / 2)


def test_the_discharge_alone_teaches_nothing_of_the_origin() -> None:
    odds = torch.zeros(4, 1, requires_grad=True)
    signs = torch.tensor([1.0 if name.startswith("real") else -1.0 for name in CLASSES])
    # Logits that tell the discharge no more in one origin than in the other.
    told = torch.tensor([0.8 if name.endswith("shooting") else -0.3 for name in CLASSES])
    discharge_loss(told + odds * signs, LABELS, config()).backward()
    assert odds.grad is not None
    assert odds.grad.abs().max() < 1e-6


def test_the_discharge_alone_is_computed_in_full_precision_under_autocast() -> None:
    half = LOGITS.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = discharge_loss(half, LABELS, config())
    assert found.dtype == torch.float32
    assert torch.equal(found, discharge_loss(half.float(), LABELS, config()))
