from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import app
from pipeline.commands import overfit
from pipeline.config import TrainApp
from pipeline.errors import UserError
from tests.learn.toy import write_toy


def config(tmp_path: Path, *overrides: str) -> TrainApp:
    cfg = app.compose(
        "train",
        f"paths.packed={write_toy(tmp_path / 'packed')}",
        f"paths.work={tmp_path / 'work'}",
        f"paths.models={tmp_path / 'models'}",
        "num_threads=1",
        "batch_size=8",
        "run.num_workers=0",
        "run.progress=false",
        *overrides,
    )
    assert isinstance(cfg, TrainApp)
    return cfg


def test_a_sound_network_learns_a_batch_by_heart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overfit.run(config(tmp_path, "lr=1e-2", "accumulate=2"))
    printed = capsys.readouterr().out
    assert "one batch is learned by heart: loss 0.0" in printed
    assert 3 < int(printed.split("after ")[1].split()[0]) < overfit.NUM_STEPS
    assert not (tmp_path / "models").exists()


def test_a_rate_that_is_far_too_low_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overfit, "NUM_STEPS", 5)
    with pytest.raises(UserError, match=r"batch of 8 samples is not .*after 5 steps.* find-lr"):
        overfit.run(config(tmp_path, "lr=1e-9"))
