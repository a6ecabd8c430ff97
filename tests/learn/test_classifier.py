from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from pipeline import app
from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.batch import Batch
from pipeline.learn.classifier import Classifier, Diverged, discharge_logits, judge
from pipeline.learn.losses import discharge_loss, joint_loss
from pipeline.learn.networks.product import discharge_log_odds
from pipeline.store.manifest import IS_DISCHARGE, REAL_SHOOTING
from tests.learn.networks.nets import FRAMEWISE, random_clips
from tests.learn.toy import FORMAT


def classifier(*overrides: str, discharge_alone: bool = False) -> Classifier:
    cfg = app.compose("train", "model.dropout=0", *overrides)
    assert isinstance(cfg, TrainApp)
    return Classifier(cfg, FORMAT, num_batches=4, discharge_alone=discharge_alone)


def batch() -> Batch:
    numbers = torch.arange(4)
    clips, sounds = random_clips(4, FORMAT.num_frames), torch.zeros(4, 12_800, dtype=torch.int16)
    return Batch(clips, sounds, 1 + 0 * numbers, numbers, 0 * numbers, numbers)


def first_weight(module: Classifier) -> torch.Tensor:
    return next(module.network.parameters())


def test_equal_seeds_begin_with_equal_weights() -> None:
    assert torch.equal(first_weight(classifier()), first_weight(classifier()))
    assert not torch.equal(first_weight(classifier()), first_weight(classifier("seed=8")))


def test_the_schedule_counts_steps_and_not_batches() -> None:
    configured = classifier(
        "num_epochs=2", "accumulate=3", "warmup_fraction=0"
    ).configure_optimizers()
    optimiser, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for _ in range(4):
        optimiser.step()
        scheduler.step()
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_batches_are_altered_by_their_place_in_training() -> None:
    module = classifier("alter.jitter=0.5")
    torch.nn.init.normal_(module.network.head.weight)
    module.eval()
    loss, again = module.loss(batch()), module.loss(batch())
    elsewhere = module.loss(batch()._replace(positions=torch.arange(4) + 4))
    assert loss == again != elsewhere


def test_another_layout_of_weights_gives_the_same_answers() -> None:
    name = f"model.name={FRAMEWISE}"
    plain, laid_out = classifier(name), classifier(name, "run.channels_last=true")
    convolutions = [p for p in laid_out.network.parameters() if p.ndim == 4]
    assert convolutions
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in convolutions)
    torch.testing.assert_close(laid_out.loss(batch()), plain.loss(batch()))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_found_after_other_batches(bad: float) -> None:
    module = classifier()
    for loss in (1.0, bad, 1.0):
        module.loss_sum += loss
    with pytest.raises(Diverged, match=rf"loss became {bad} in epoch 0, by batch 2; lower lr"):
        module.check_finite(2)


def test_a_weight_that_is_not_finite_is_found_though_the_loss_was() -> None:
    module = classifier()
    module.check_finite(0)
    with torch.no_grad():
        first_weight(module).view(-1)[3] = math.nan
    with pytest.raises(Diverged, match=r"weights became infinite or no numbers in epoch 0"):
        module.check_finite(0)


def test_weights_of_another_network_are_refused() -> None:
    checkpoint: dict[str, object] = {}
    classifier().on_save_checkpoint(checkpoint)
    classifier().on_load_checkpoint(checkpoint)
    with pytest.raises(UserError, match=r"checkpoint is of .*'flash'.*asks for .*'own'"):
        classifier(f"model.name={FRAMEWISE}").on_load_checkpoint(checkpoint)


def test_ranking_at_low_false_positive_rates_needs_samples() -> None:
    labels = torch.tensor([0] * 10 + [1, 2, 3] * 40)
    logits = torch.nn.functional.one_hot(labels, 4).float()
    perfect = judge(logits, labels, max_fpr=0.1)
    assert perfect["val_accuracy"] == perfect["val_auroc"] == perfect["val_auroc_low_fpr"] == 1.0
    assert perfect["val_loss"] == pytest.approx(math.log(math.e + 3) - 1)
    few = judge(logits[:40], labels[:40], max_fpr=0.1)
    assert few["val_auroc"] == 1.0
    assert math.isnan(few["val_auroc_low_fpr"])


@pytest.mark.parametrize("discharge_alone", [False, True])
def test_equal_scores_rank_as_scikit_learn_has_it(discharge_alone: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (900,), generator=generator)
    # Each of four classes has three answers, so that hundreds of samples share a score.
    kinds = torch.randn(3, 4, generator=generator)[:, None] + torch.eye(4)
    logits = kinds[torch.randint(3, (900,), generator=generator), labels]
    found = judge(logits, labels, 0.05, discharge_alone=discharge_alone)
    if discharge_alone:
        positive, scores = torch.tensor(IS_DISCHARGE)[labels], discharge_log_odds(logits.double())
    else:
        positive, scores = labels == REAL_SHOOTING, logits.double().softmax(1)[:, REAL_SHOOTING]
    assert len(scores.unique()) <= 12
    low = roc_auc_score(positive, scores, max_fpr=0.05)
    assert found["val_auroc"] == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert found["val_auroc_low_fpr"] == pytest.approx(low, abs=1e-12)


def test_without_a_positive_nothing_is_ranked() -> None:
    labels = torch.tensor([1, 2, 3])
    judged = judge(torch.zeros(3, 4), labels, max_fpr=0.1)
    assert math.isnan(judged["val_auroc"])
    assert judged["val_loss"] == pytest.approx(math.log(4))


@pytest.mark.parametrize("discharge_alone", [False, True])
def test_the_discharge_alone_is_learned_where_another_tells_the_origin(
    discharge_alone: bool,
) -> None:
    module = classifier(
        *("alter.mirrored=false", "alter.shift_px=0", "alter.warped=0", "alter.jitter=0"),
        *("alter.gamma=0", "alter.noise=0"),
        discharge_alone=discharge_alone,
    ).eval()
    torch.nn.init.normal_(module.network.head.weight)
    expected = discharge_loss if discharge_alone else joint_loss
    logits = module.network(batch().clips)
    torch.testing.assert_close(
        module.loss(batch()), expected(logits, batch().labels, module.cfg.loss)
    )


def test_the_discharge_alone_is_judged_whatever_the_origin() -> None:
    labels = torch.tensor([0, 1] * 10 + [2, 3] * 60)
    discharges = torch.where(labels < 2, 3.0, -3.0)
    logits = torch.zeros(len(labels), 4)
    logits[:, :2] = discharges[:, None]
    # What it says of the origin is wrong.
    logits[torch.arange(len(labels)), labels ^ 1] += 1.0
    found = judge(logits, labels, 0.1, discharge_alone=True)
    assert found["val_accuracy"] == found["val_auroc"] == found["val_auroc_low_fpr"] == 1.0
    odds = 3 + math.log((1 + math.e) / 2)
    assert found["val_loss"] == pytest.approx(math.log1p(math.exp(-odds)), rel=1e-4)
    assert judge(logits, labels, 0.1)["val_accuracy"] == 0.0


def test_logits_of_the_discharge_are_the_odds_of_its_marginal() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()
    expected = logits.softmax(1)[:, :2].sum(1)
    torch.testing.assert_close(discharge_logits(logits).softmax(1)[:, 1], expected)
