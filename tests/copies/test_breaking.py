"""`benchmarks/break_banks.py` in small, so that it goes on proving that banks lose nothing."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

from pipeline import app
from pipeline.copies import bank_files


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.syspath_prepend(app.PROJECT / "benchmarks")
    return importlib.import_module("break_banks")


@pytest.mark.slow
def test_kills_and_damage_give_no_wrong_answer_and_lose_nothing(
    breaking: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Those of senders take most of the time.
    few = {kind: one for kind, one in breaking.ROUNDS.items() if one is breaking.kill_sender}
    monkeypatch.setattr(
        breaking, "ROUNDS", {k: v for k, v in breaking.ROUNDS.items() if k not in few}
    )
    counts = breaking.run(120, seed=1)
    assert {kind: count[breaking.WRONG] for kind, count in counts.items()} == dict.fromkeys(
        breaking.ROUNDS, 0
    )
    kills, bank, exchange = counts.values()
    assert kills[breaking.AS_TOLD] == 120
    monkeypatch.setattr(breaking, "ROUNDS", few)
    (sent,) = breaking.run(20, seed=1).values()
    assert sent == {breaking.AS_TOLD: 20}
    assert bank[breaking.REFUSED] > 40
    assert bank[breaking.AS_TOLD] > 0
    assert exchange[breaking.REFUSED] > 40
    assert exchange[breaking.AS_TOLD] > 5


@pytest.mark.slow
def test_a_bank_that_loses_something_is_told(
    breaking: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank_files, "check_head", lambda *_: None)
    monkeypatch.setattr(breaking, "ROUNDS", {"damage": breaking.damage_bank})
    assert breaking.run(150, seed=1)["damage"][breaking.WRONG]
