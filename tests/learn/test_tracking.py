from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.learn.tracking import wandb_logger


def test_an_unknown_mode_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'loud' is none of offline, online, disabled"):
        wandb_logger("loud", tmp_path, "id", {})


def test_disabled_leaves_nothing(tmp_path: Path) -> None:
    assert wandb_logger("disabled", tmp_path, "id", {}) is None
    assert not list(tmp_path.iterdir())


def test_a_tracker_that_cannot_start_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("wandb.init", fail)
    with caplog.at_level(logging.WARNING):
        assert wandb_logger("offline", tmp_path, "id", {}) is None
    assert "not recorded there: no space" in caplog.text
