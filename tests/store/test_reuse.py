from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config import IngestApp
from pipeline.errors import UserError
from pipeline.store import executor
from pipeline.store.finished_work import FinishedWork, Piece
from pipeline.store.reuse import Pieces


def pieces(kept: FinishedWork, tasks: list[str], cfg: IngestApp, made: list[str]) -> Pieces[str]:
    def work(task: str) -> Piece:
        made.append(task)
        return Piece(task, [task.encode()])

    return Pieces(kept, [f"{task}-name" for task in tasks], lambda: tasks, work, cfg.run, "test")


def test_what_is_kept_is_read_and_what_is_not_is_made_once(
    compose: Callable[..., IngestApp], tmp_path: Path
) -> None:
    cfg, made = compose("ingest"), list[str]()
    with FinishedWork(tmp_path, "test") as kept:
        assert pieces(kept, ["b", "c"], cfg, made).make(1) == 2
        tasks = ["a", "b", "a", "d", "c"]
        several = pieces(kept, tasks, cfg, made)
        assert several.make(2) == 2
        assert made == ["b", "c", "a", "d"]
        assert [(task, piece.header) for task, piece in several.read()] == [(t, t) for t in tasks]
        kept.path("d-name").write_bytes(b"damaged")
        assert [piece.header for _, piece in several.read()] == tasks
        assert made == ["b", "c", "a", "d", "d"]
        assert several.make(2) == 0


def test_a_lost_worker_is_an_error_and_what_was_made_before_is_kept(
    compose: Callable[..., IngestApp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg, made = compose("ingest"), list[str]()

    def lost(work, blocks, *_, **__):  # type: ignore[no-untyped-def]
        first, second = blocks
        yield [work(task) for task in first]
        yield [executor.Lost("worker_died", "its worker ended") for _ in second]

    with FinishedWork(tmp_path, "test") as kept:
        monkeypatch.setattr(executor, "map_blocks", lost)
        with pytest.raises(UserError, match="test: its worker ended; run it again"):
            pieces(kept, ["a", "b"], cfg, made).make(1)
        assert "a-name" in kept
        assert "b-name" not in kept
