"""Keeps what a detector said of clips across runs, under the hash of all that decides it.

Scoring takes minutes, and what is written about the scores takes seconds. So whoever asks a
detector, or measures a clip, looks here first: an answer is found again where the weights, the
clips, the code and the libraries are the same. Answers are kept a batch at a time and used as a
whole, since the last bits of an answer may depend on what stood beside it in the batch. So a run
that finds some of them, or all, gives the same bytes as one that finds none, and a run that was
killed goes on from its last batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.store.finished_work import FinishedWork, Piece

STAGE = "score"
"""The name under which answers are kept in the work folder."""
Array = NDArray[Any]


class Answers:
    """Arrays by the question that they answer.

    A question is made of JSON values that decide the answer: hashes of clips, what is done to
    them, and the hash of the code that does it. Nothing is kept of an empty question.
    """

    def __init__(self, kept: FinishedWork | None = None, made_by: Sequence[Any] = ()) -> None:
        """Look for answers, and keep them.

        Args:
            kept: where they lie; nothing is kept without it.
            made_by: JSON values of what decides all of them, such as `Detector.made_by`.
        """
        self._kept = kept
        self._made_by = list(made_by)

    def of(self, asked: Sequence[Any], make: Callable[[], Array]) -> Array:
        """Return the answer to a question, of any shape; it is made where it is not kept whole."""
        found = self.get(asked)
        return self.made(asked, make) if found is None else found

    def made(self, asked: Sequence[Any], make: Callable[[], Array]) -> Array:
        """Make the answer to a question of which `get` found none, of any shape, and keep it."""
        found = make()
        self.put(asked, found)
        return found

    def get(self, asked: Sequence[Any]) -> Array | None:
        """Return a copy of the answer that is kept; None where there is none, or it is damaged."""
        name = self._name(asked)
        if self._kept is None or not asked or name not in self._kept:
            return None
        piece = self._kept.read(name)
        if piece is None:
            return None
        dtype, shape = piece.header
        return np.frombuffer(piece.blobs[0], dtype).reshape(shape).copy()

    def put(self, asked: Sequence[Any], answer: Array) -> None:
        """Keep an answer of any shape and type; nothing is kept of an empty question."""
        if self._kept is not None and asked:
            header = [answer.dtype.str, list(answer.shape)]
            self._kept.write(self._name(asked), Piece(header, [answer.tobytes()]))

    def _name(self, asked: Sequence[Any]) -> str:
        text = json.dumps([self._made_by, list(asked)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
