from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands import review
from pipeline.errors import UserError
from pipeline.review.record import Record
from tests.review.made import decision, row, write_scores

Told = Callable[..., str]


@pytest.fixture
def told(tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> Told:
    """What `discern review` prints."""

    def run(*words: str) -> str:
        capsys.readouterr()
        arguments = [word for word in words if "=" not in word]
        keys = [word for word in words if "=" in word]
        review.run(*arguments, cfg=compose("review", f"paths.review={tmp_path}/review", *keys))
        return capsys.readouterr().out

    return run


def test_a_queue_is_made_once_and_told(tmp_path: Path, told: Told) -> None:
    scores = write_scores(tmp_path / "today", [row(n) for n in range(50)])
    said = told("queue", str(scores), "num=10")
    assert said.startswith("queue 1: today, 50 videos without copies, ")
    assert "10 tasks; the audit draws" in said
    assert told("queue", str(scores), "num=10").startswith("queue 1, which was there already")
    assert told("queue", str(scores), "num=11").startswith("queue 2: ")
    lines = told("list").splitlines()
    assert all("nobody has decided" in line for line in lines)
    task = lines[0].split()[0]
    Record(tmp_path / "review").decide([decision(task)])
    assert "Ada: real, discharge yes at 2.50 s" in told("list").splitlines()[0]


def test_what_cannot_be_done_is_told(tmp_path: Path, told: Told) -> None:
    with pytest.raises(UserError, match="'wueue x' is not understood; give review queue SCORES"):
        told("wueue", "x")
    with pytest.raises(UserError, match=r"'queue' is not understood; give review queue SCORES"):
        told("queue")
    with pytest.raises(UserError, match=r"x/listing\.json: missing"):
        told("queue", str(tmp_path / "x"))
    with pytest.raises(UserError, match=r"audit=0\.7 uncertain=0\.4: are shares of one queue"):
        told("queue", str(tmp_path), "audit=0.7", "uncertain=0.4")
