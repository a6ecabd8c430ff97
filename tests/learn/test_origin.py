from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline import app
from pipeline.config import PicturesConfig, Run, TrainApp
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.data import PackedData
from pipeline.learn.networks.origin import OriginNet, pooled
from pipeline.learn.origin import (
    Head,
    auroc,
    balanced,
    fit_head,
    fit_layer,
    fit_origin,
    left_out,
    origin_weights,
)
from pipeline.store import features
from pipeline.store.manifest import IS_REAL
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA, Packed
from tests.learn.encoders.tiny import Colours, colour_origin
from tests.learn.toy import write_toy
from tests.packing import write_features

RUN = Run("serial", 0, "cpu", math.inf, "disabled", False)
PENALTY = 0.1


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(pictures: PicturesConfig) -> Colours:
        assert pictures.name == "test"
        return Colours()

    monkeypatch.setattr(encoders, "build", build)


class Project:
    """Toy clips of which a source is rendered, and what colours say of them.

    The first colour tells real from fictional, but in rendered clips the wrong way round.
    """

    def __init__(self, folder: Path, rendered: tuple[str, ...] = ()) -> None:
        self.folder = folder
        place = write_toy(folder / "packed", num_train=64, num_val=16)
        rows = pq.read_table(place / INDEX).to_pylist()
        for row in rows:
            row["rendered"] = row["source"] in rendered
        pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), place / INDEX)
        self.rows = rows
        self.packed = Packed.open(place, folder)
        write_features(
            folder / "features",
            self.packed,
            range(len(rows)),
            self.views,
            provenance=Colours().provenance(),
            architecture=Colours().architecture(),
        )

    def views(self, number: int) -> np.ndarray:
        row, rng = self.rows[number], np.random.default_rng(number)
        sign = 1 if (row["origin"] == "real") == (not row["rendered"]) else -1
        return rng.normal(0, 1, (2, 3)) + np.array([sign, 0, 0])

    def fitted(self, *overrides: str) -> tuple[OriginNet, np.ndarray]:
        cfg: Any = app.compose("train", f"origin.penalty={PENALTY}", *overrides)
        assert isinstance(cfg, TrainApp)
        found = fit_origin(PackedData(self.packed, cfg, RUN), self.seen(), cfg)
        return found.network, found.val_log_odds

    def seen(self) -> features.Features:
        found = features.read(str(self.folder / "features"), self.packed)
        assert found is not None
        return found


def is_real(project: Project, split: str) -> np.ndarray:
    return np.array([row["origin"] == "real" for row in project.rows if row["split"] == split])


def test_the_origin_is_learned_and_told_of_val(tmp_path: Path) -> None:
    project = Project(tmp_path)
    origin, log_odds = project.fitted()
    assert log_odds.shape == (16,)
    found = auroc(log_odds, is_real(project, "val"))
    assert found is not None
    assert found > 0.9
    views = project.seen().of(np.arange(64, 80)).astype(np.float32)
    again = origin.log_odds(pooled(torch.from_numpy(views)))
    np.testing.assert_allclose(again.numpy(), log_odds, atol=1e-4)
    assert (origin.every_frames, origin.window) == (4, 8)


def test_rendered_clips_teach_nothing_unless_they_are_given_a_weight(tmp_path: Path) -> None:
    project = Project(tmp_path, rendered=("real-1", "game-1"))
    cfg: Any = app.compose("train", "rendered_weight.origin=0.5")
    weights = origin_weights(PackedData(project.packed, cfg, RUN), cfg)
    assert [weights[n] for n in (0, 4)] == [1.0, 0.5]
    without, _ = project.fitted()
    assert without.moving.weight[0, 0] > 0.3
    little, _ = project.fitted("rendered_weight.origin=1e-6")
    directions = [one.moving.weight[0] / one.moving.weight.norm() for one in (little, without)]
    assert directions[0] @ directions[1] > 0.95
    much, _ = project.fitted("rendered_weight.origin=100")
    assert much.moving.weight[0, 0] < 0, "they teach the contrary"


def test_the_head_is_the_same_each_time(tmp_path: Path) -> None:
    project = Project(tmp_path)
    one, other = project.fitted(), project.fitted()
    assert np.array_equal(one[1], other[1])
    for layer in ("moving", "still"):
        assert torch.equal(getattr(one[0], layer).weight, getattr(other[0], layer).weight)


@pytest.mark.parametrize(("rendered", "name"), [(("real-0", "real-1"), "real")])
def test_an_origin_that_is_rendered_throughout_is_named_with_remedies(
    tmp_path: Path, rendered: tuple[str, ...], name: str
) -> None:
    project = Project(tmp_path, rendered)
    with pytest.raises(UserError, match=rf"no {name} footage .*rendered_weight\.origin.*=none"):
        project.fitted()
    project.fitted("rendered_weight.origin=1")


def test_weights_that_changed_since_the_features_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    monkeypatch.setattr(Colours, "provenance", lambda self: [{"sha256": "1"}])
    with pytest.raises(
        UserError, match=r"pictures\.name=test: its weights, or what it makes of frames, are"
    ):
        project.fitted()


def test_both_answers_count_alike_and_sources_by_their_balance() -> None:
    truth = np.array([True] * 6 + [False] * 2)
    groups = np.array([0, 0, 0, 0, 0, 1, 2, 2])
    for balance, lone in ((0.0, 1 / 6), (1.0, 1 / 2)):
        odds = balanced(truth, groups, balance)
        odds = odds / odds.sum()
        assert odds[truth].sum() == pytest.approx(0.5)
        assert odds[5] == pytest.approx(lone / 2)
        assert np.ptp(odds[:5]) == pytest.approx(0)


def test_a_source_is_judged_by_layers_that_never_saw_it() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 10)
    truth = groups % 2 == 0
    # Every source has a mark of its own, and nothing tells the answer but that.
    values = np.eye(8)[groups] + rng.normal(0, 0.1, (80, 8))
    odds = np.full(80, 1 / 80)
    known = fit_head(values, truth, odds, 1e-3).log_odds(values)
    assert auroc(known, truth) == 1.0
    unknown = left_out(values, truth, odds, groups, partial(fit_head, penalty=1e-3))
    assert not np.isnan(unknown).any()
    found = auroc(unknown, truth)
    assert found is not None
    assert found < 0.8


def test_the_only_source_of_an_answer_cannot_be_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], 20)
    groups = np.repeat([0, 1, 2], [20, 10, 10])
    values = rng.normal(0, 1, (40, 2))
    found = left_out(values, truth, np.ones(40), groups, partial(fit_head, penalty=1.0))
    assert np.isnan(found[truth]).all()
    assert not np.isnan(found[~truth & (groups == 2)]).any()


def test_answers_are_no_surer_than_sources_left_out_allow(tmp_path: Path) -> None:
    class Marked(Project):
        def views(self, number: int) -> np.ndarray:
            row = self.rows[number]
            sources = ["game-0", "game-1", "real-0", "real-1"]
            mark = np.eye(4)[sources.index(row["source"])][:3]
            return np.tile(mark, (2, 1)) + np.random.default_rng(number).normal(0, 0.1, (2, 3))

    _, log_odds = Marked(tmp_path / "marked").fitted()
    _, sure = Project(tmp_path / "plain").fitted()
    assert np.abs(log_odds).mean() < 0.5 * np.abs(sure).mean()


def both_halves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (400, 2) whose halves tell the truth: what is shown less surely than how it moves."""
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.5
    shown = 2.0 * truth - 1 + rng.normal(0, 1.0, 400)
    moved = 2.0 - truth + rng.normal(0, 0.1, 400)
    return np.column_stack([shown, moved]), np.column_stack([shown, np.zeros(400)]), truth


def test_what_stands_still_is_told_by_what_it_shows() -> None:
    values, stills, truth = both_halves()
    odds = np.ones(400)
    head, single = fit_head(values, truth, odds, 1e-3), fit_layer(values, truth, odds, 1e-3)
    assert auroc(head.log_odds(values), truth) == pytest.approx(1.0, abs=0.01)
    assert (single.log_odds(stills)[~truth] > 0).all(), "a single layer takes all stills for real"
    shown = fit_layer(stills[:, :1], truth, odds, 1e-3)
    np.testing.assert_allclose(head.log_odds(stills), shown.log_odds(stills[:, :1]))
    assert (head.log_odds(stills)[~truth] > 0).mean() < 0.3


def test_half_of_what_was_learned_from_is_told_by_motion_alone() -> None:
    values, _, truth = both_halves()
    # A source that counts for nothing moves a hundred times as much.
    wild = np.tile([[0.0, 200.0]], (400, 1))
    odds = np.repeat([1.0, 0.0], 400)
    head = fit_head(np.concatenate([values, wild]), np.tile(truth, 2), odds, 1e-3)
    told = head.log_odds(values)
    by_motion = np.isclose(told, head.moving.log_odds(values), rtol=0, atol=1e-12)
    assert by_motion.mean() == pytest.approx(0.5, abs=0.01)


def test_where_nothing_ever_moves_the_picture_alone_answers() -> None:
    _, stills, truth = both_halves()
    head = fit_head(stills, truth, np.ones(400), 1.0)
    assert not head.motion_scale.any()
    np.testing.assert_allclose(head.log_odds(stills), head.still.log_odds(stills[:, :1]))


@torch.no_grad()
def test_a_head_answers_as_the_eyes_that_it_was_set_into(tmp_path: Path) -> None:
    values, _, truth = both_halves()
    three = np.concatenate([values[:, [0, 0, 0]] * [1, 2, 3], values[:, [1, 1, 1]]], axis=1)
    head = fit_head(three, truth, np.ones(400), 1.0).scaled(0.5)
    origin = colour_origin()
    head.set_into(origin)
    found = origin.log_odds(torch.from_numpy(three).float()).numpy()
    np.testing.assert_allclose(found, head.log_odds(three), atol=1e-4)
    np.testing.assert_allclose(Head.of(origin).log_odds(three), head.log_odds(three), atol=1e-4)


def test_real_and_fictional_count_alike_where_a_source_is_left_out() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), [10, 10, 10, 10, 50, 10])
    truth = groups < 4
    shares = []

    def fit(values: np.ndarray, is_real: np.ndarray, odds: np.ndarray) -> Head:
        shares.append((odds[is_real].sum(), odds[~is_real].sum()))
        return fit_head(values, is_real, odds, 1.0)

    left_out(rng.normal(0, 1, (100, 2)), truth, np.full(100, 0.01), groups, fit)
    assert len(shares) == 4
    assert np.allclose(shares, 0.5)


def test_penalty_shrinks_the_layer() -> None:
    rng = np.random.default_rng(0)
    values, truth = rng.normal(0, 1, (50, 3)), rng.random(50) < 0.5
    odds = np.ones(50)
    found = [np.abs(fit_layer(values, truth, odds, p).weight).sum() for p in (0.1, 1.0, 10.0)]
    assert found[0] > found[1] > found[2]


def test_features_of_one_value_do_no_harm() -> None:
    values = np.column_stack([np.zeros(20), np.tile([0.0, 1.0], 10)])
    truth = values[:, 1] > 0
    layer = fit_layer(values, truth, np.ones(20), 1.0)
    assert np.isfinite(layer.log_odds(values)).all()
    assert auroc(layer.log_odds(values), truth) == 1.0


def test_where_all_are_alike_nothing_is_ranked() -> None:
    assert auroc(np.zeros(3), np.array([True] * 3)) is None
    assert auroc(np.array([1.0, 0.0]), np.array([True, False])) == 1.0
    assert sum(IS_REAL) == 2
