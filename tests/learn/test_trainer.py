from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline import app
from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.trainer import make_trainer


def config(tmp_path: Path, *overrides: str) -> TrainApp:
    cfg = app.compose("train", f"paths.work={tmp_path}", *overrides)
    assert isinstance(cfg, TrainApp)
    return cfg


def test_the_configuration_reaches_the_trainer(tmp_path: Path) -> None:
    trainer = make_trainer(
        config(tmp_path, "precision=bf16-mixed", "accumulate=3", "gradient_clip=0.5"), logger=False
    )
    assert trainer.precision == "bf16-mixed"
    assert trainer.accumulate_grad_batches == 3
    assert trainer.gradient_clip_val == 0.5
    assert not trainer.checkpoint_callbacks


def test_a_cpu_is_deterministic(tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(False)
    make_trainer(config(tmp_path), logger=False)
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["precision=8"], "precision: '8' is none of 32-true, bf16-mixed, 16-mixed"),
        (["precision=16-mixed"], "precision: 16-mixed needs a GPU; take bf16-mixed"),
        (["run.accelerator=mps"], r"conf/run\.yaml: accelerator=mps with devices=1: "),
    ],
)
def test_what_cannot_be_had_is_named(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_trainer(config(tmp_path, *overrides))
