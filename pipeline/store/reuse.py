"""Pieces of finished work for a sequence of tasks: made where they are not kept, else read."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.config import Run
from pipeline.errors import UserError
from pipeline.store import executor
from pipeline.store.finished_work import FinishedWork, Piece

log = logging.getLogger(__name__)

Task = TypeVar("Task")


@dataclass(frozen=True)
class Pieces(Generic[Task]):
    """The pieces of tasks that are named by all that they are made from."""

    kept: FinishedWork
    names: Sequence[str]
    """Name of the piece of each task."""
    tasks: Callable[[], Iterable[Task]]
    """Gives the tasks, the same ones in every call, so that none has to be held."""
    work: Callable[[Task], Piece]
    run: Run
    title: str
    """Title of the work, for the bar and for messages."""

    def make(self, block_size: int) -> int:
        """Make and keep those that are not kept, so many at a time; returns how many that were.

        Raises:
            UserError: a worker was lost.
        """
        lacking = {name for name in self.names if name not in self.kept}
        started: deque[list[str]] = deque()

        def blocks() -> Iterator[list[Task]]:
            left = set(lacking)
            named = zip(self.names, self.tasks(), strict=True)
            for block in executor.in_blocks(((n, t) for n, t in named if n in left), block_size):
                # Tasks of one name make the same.
                once = {name: task for name, task in block if name in left}
                left.difference_update(once)
                started.append(list(once))
                yield list(once.values())

        for pieces in self._made(blocks(), len(lacking)):
            for name, piece in zip(started.popleft(), pieces, strict=True):
                self.kept.write(name, piece)
        return len(lacking)

    def read(self) -> Iterator[tuple[Task, Piece]]:
        """Yield every task with its piece; one that is damaged is made anew.

        Raises:
            UserError: a worker was lost.
        """
        for name, task in zip(self.names, self.tasks(), strict=True):
            piece = self.kept.read(name)
            if piece is None:
                log.warning("%s: what was kept as %s is damaged", self.title, name)
                ((piece,),) = self._made([[task]], 1)
                self.kept.write(name, piece)
            yield task, piece

    def _made(self, blocks: Iterable[list[Task]], num_items: int) -> Iterator[list[Piece]]:
        for block in executor.map_blocks(
            self.work, blocks, self.run, title=self.title, num_items=num_items
        ):
            pieces = []
            for piece in block:
                if isinstance(piece, executor.Lost):
                    raise UserError(f"{self.title}: {piece.detail}; run it again")
                pieces.append(piece)
            yield pieces
