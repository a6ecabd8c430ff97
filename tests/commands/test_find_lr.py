from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pipeline import app
from pipeline.commands import find_lr
from pipeline.config import TrainApp
from pipeline.errors import UserError
from tests.learn.toy import write_toy


def test_the_rate_of_the_steepest_fall_before_the_least_loss_is_found() -> None:
    rates = np.geomspace(1e-6, 1, 61)
    logs = np.log10(rates)
    losses = 2 - 1 / (1 + np.exp(-4 * (logs + 3))) + 5 * np.clip(logs + 1, 0, None) ** 2
    assert find_lr.steepest(rates.tolist(), losses) == pytest.approx(1e-3, rel=0.3)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 1.1, 1.2, 1.3]])
def test_a_loss_that_never_falls_is_an_error(losses: list[float]) -> None:
    with pytest.raises(UserError, match=r"the loss falls at no rate from 1e-06 to 1; .*overfit"):
        find_lr.steepest([1e-6, 1e-5, 1e-4, 1e-3], np.array(losses))


def test_smoothing_is_unbiased_at_first_and_ends_where_numbers_do() -> None:
    found = find_lr.smoothed([2.0, 2.0, 1.0, math.nan, 1.0])
    assert found[:2] == pytest.approx([2.0, 2.0])
    assert 1.5 < found[2] < 2.0
    assert len(found) == 3


def test_a_rate_is_suggested_and_nothing_else_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = write_toy(tmp_path / "packed")
    cfg = app.compose(
        "train",
        f"paths.packed={packed}",
        f"paths.work={tmp_path / 'work'}",
        f"paths.models={tmp_path / 'models'}",
        "model.dropout=0",
        "num_threads=1",
        "batch_size=8",
        "run.num_workers=0",
        "run.progress=false",
    )
    assert isinstance(cfg, TrainApp)
    find_lr.run(cfg)
    printed = capsys.readouterr().out
    rate = float(printed.split("lr=")[1].split()[0])
    assert 1e-5 < rate < 1
    assert "lr=2.0e-03 is configured" in printed
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["find-lr.html"]
    assert f"lr={rate:.1e}" in (tmp_path / "work" / "find-lr.html").read_text()
    assert not (tmp_path / "models").exists()
