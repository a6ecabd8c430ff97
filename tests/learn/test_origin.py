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
from pipeline.learn.networks.origin import OriginNet, averaged
from pipeline.learn.origin import (
    Layer,
    auroc,
    balanced,
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
    again = origin.log_odds(averaged(torch.from_numpy(views)))
    np.testing.assert_allclose(again.numpy(), log_odds, atol=1e-4)
    assert (origin.every_frames, origin.window) == (4, 8)


def test_rendered_clips_teach_as_much_as_their_weight_says(tmp_path: Path) -> None:
    project = Project(tmp_path, rendered=("real-1", "game-1"))
    cfg: Any = app.compose("train", "rendered_weight.origin=0.5")
    weights = origin_weights(PackedData(project.packed, cfg, RUN), cfg)
    assert [weights[n] for n in (0, 4)] == [1.0, 0.5]
    without, _ = project.fitted("rendered_weight.origin=0")
    assert without.layer.weight[0, 0] > 0.3
    little, _ = project.fitted("rendered_weight.origin=1e-6")
    directions = [one.layer.weight[0] / one.layer.weight.norm() for one in (little, without)]
    assert directions[0] @ directions[1] > 0.95
    much, _ = project.fitted("rendered_weight.origin=100")
    assert much.layer.weight[0, 0] < 0, "they teach the contrary"


def test_the_layer_is_the_same_each_time(tmp_path: Path) -> None:
    project = Project(tmp_path)
    one, other = project.fitted(), project.fitted()
    assert np.array_equal(one[1], other[1])
    assert torch.equal(one[0].layer.weight, other[0].layer.weight)


@pytest.mark.parametrize(("rendered", "name"), [(("real-0", "real-1"), "real")])
def test_an_origin_that_is_rendered_throughout_is_named_with_remedies(
    tmp_path: Path, rendered: tuple[str, ...], name: str
) -> None:
    project = Project(tmp_path, rendered)
    with pytest.raises(UserError, match=rf"no {name} footage .*rendered_weight\.origin.*=none"):
        project.fitted("rendered_weight.origin=0")
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
    known = fit_layer(values, truth, odds, 1e-3).log_odds(values)
    assert auroc(known, truth) == 1.0
    unknown = left_out(values, truth, odds, groups, partial(fit_layer, penalty=1e-3))
    assert not np.isnan(unknown).any()
    found = auroc(unknown, truth)
    assert found is not None
    assert found < 0.8


def test_the_only_source_of_an_answer_cannot_be_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], 20)
    groups = np.repeat([0, 1, 2], [20, 10, 10])
    values = rng.normal(0, 1, (40, 2))
    found = left_out(values, truth, np.ones(40), groups, partial(fit_layer, penalty=1.0))
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


@torch.no_grad()
def test_a_layer_answers_as_the_network_that_it_was_set_into() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (50, 3))
    layer = fit_layer(values, values[:, 0] > 0, np.ones(50), 1.0).scaled(0.5)
    origin = colour_origin()
    layer.set_into(origin)
    found = origin.log_odds(torch.from_numpy(values).float()).numpy()
    np.testing.assert_allclose(found, layer.log_odds(values), atol=1e-5)
    np.testing.assert_allclose(Layer.of(origin).log_odds(values), layer.log_odds(values), atol=1e-5)


def test_real_and_fictional_count_alike_where_a_source_is_left_out() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), [10, 10, 10, 10, 50, 10])
    truth = groups < 4
    shares = []

    def fit(values: np.ndarray, is_real: np.ndarray, odds: np.ndarray) -> Layer:
        shares.append((odds[is_real].sum(), odds[~is_real].sum()))
        return fit_layer(values, is_real, odds, 1.0)

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
