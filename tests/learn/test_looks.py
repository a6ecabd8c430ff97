from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pipeline import app
from pipeline.config import TrainApp
from pipeline.learn.data import PackedData
from pipeline.learn.looks import fit_looks
from pipeline.learn.losses import IS_REAL
from pipeline.packed import Packed
from tests.learn.toy import write_toy


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PackedData:
    folder = tmp_path_factory.mktemp("packed")
    packed = Packed.open(str(write_toy(folder / "packed")), folder / "work")
    cfg = app.compose("train", "batch_size=8")
    assert isinstance(cfg, TrainApp)
    return PackedData(packed, cfg, cfg.run)


@torch.no_grad()
def test_the_layer_tells_the_origin_and_gives_again_what_it_said_of_val(data: PackedData) -> None:
    looks, opinions = fit_looks(data)
    is_real = np.array(IS_REAL)[data.labels[data.val_rows]]
    score = opinions[:, torch.tensor(IS_REAL)].mean(1).numpy()
    assert roc_auc_score(is_real, score) > 0.9

    clips = torch.from_numpy(np.stack([data.packed.read(int(row)) for row in data.val_rows]))
    ages = torch.arange(1, clips.shape[1] + 1).expand(len(clips), -1)
    seen, _ = looks.advance(clips, ages, looks.start(len(clips)))
    torch.testing.assert_close(looks.opinion(seen[:, -1]), opinions, rtol=0, atol=1e-4)


def test_answers_are_as_sure_on_val_as_they_are_right(data: PackedData) -> None:
    _, opinions = fit_looks(data)
    is_real = torch.from_numpy(np.array(IS_REAL)[data.labels[data.val_rows]])
    signs = torch.where(is_real, 1.0, -1.0)
    log_odds = 2 * opinions[:, torch.tensor(IS_REAL)].mean(1) * signs

    def loss(scale: float) -> float:
        # Targets of a small split leave room for a mistake that it does not show.
        sure = (is_real.sum() + 1) / (is_real.sum() + 2)
        right = torch.nn.functional.softplus(-scale * log_odds)
        wrong = torch.nn.functional.softplus(scale * log_odds)
        return float((sure * right + (1 - sure) * wrong).mean())

    assert loss(1.0) <= min(loss(0.8), loss(1.25)) + 1e-6


def test_the_same_data_give_the_same_bytes(data: PackedData) -> None:
    first, second = fit_looks(data)[0].state_dict(), fit_looks(data)[0].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
