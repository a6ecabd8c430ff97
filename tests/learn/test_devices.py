from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline import app
from pipeline.errors import UserError
from pipeline.learn.devices import device_of


@pytest.mark.parametrize(
    ("accelerator", "has_gpu", "device"),
    [
        ("cpu", True, "cpu"),
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("gpu", True, "cuda"),
        ("cuda", True, "cuda"),
    ],
)
def test_an_accelerator_that_is_there_is_taken(
    accelerator: str, has_gpu: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert device_of(replace(app.compose("evaluate").run, accelerator=accelerator)) == device


@pytest.mark.parametrize(
    ("accelerator", "says"),
    [("gpu", "torch finds no CUDA device"), ("mps", "only training runs there")],
)
def test_an_accelerator_that_is_not_there_is_refused(
    accelerator: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=rf"conf/run\.yaml: accelerator={accelerator}: {says}"):
        device_of(replace(app.compose("evaluate").run, accelerator=accelerator))
