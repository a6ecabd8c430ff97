"""Holds what a queue was made of, so that what several queues were made of is counted once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.review import drawing

_FIELDS = ("names", "video", "stratum", "seconds", "days")


@dataclass(frozen=True)
class Population:
    """N files, or alerts, that are C videos without copies.

    Attributes:
        names: (N,) of their tasks, as `numbers` has them.
        video: (N,), which one each belongs to.
        stratum: (C,) as `drawing.strata` tells it.
        seconds: (N,), how long each is.
        days: (C,) on which there was an alert of a stream; empty for files.
    """

    names: NDArray[np.uint64]
    video: NDArray[np.int64]
    stratum: NDArray[np.int64]
    seconds: NDArray[np.float64]
    days: NDArray[np.str_]

    def to_bytes(self) -> bytes:
        """Return what `read` reads."""
        file = io.BytesIO()
        np.savez_compressed(file, **{name: getattr(self, name) for name in _FIELDS})
        return file.getvalue()

    @classmethod
    def read(cls, data: bytes) -> Population:
        """Return what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return cls(*(found[name] for name in _FIELDS))

    def unseen(self, names: NDArray[np.uint64]) -> VideoSubset:
        """The videos of which no file has one of some names."""
        is_seen = np.isin(self.names, names)
        return VideoSubset(self, np.bincount(self.video, is_seen, len(self.stratum)) == 0)


@dataclass(frozen=True)
class VideoSubset:
    """Some videos of a population; `is_in` is (C,)."""

    of: Population
    is_in: NDArray[np.bool_]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(S,) videos in each stratum."""
        return np.bincount(self.of.stratum[self.is_in], minlength=len(drawing.STRATA))

    @property
    def names(self) -> set[int]:
        """Names of all files in it, as numbers."""
        return {*self.of.names[self.is_in[self.of.video]].tolist()}

    @property
    def num_alerted_files(self) -> int:
        """Files, with copies, of videos with an alert."""
        is_alerted = self.is_in & (self.of.stratum == drawing.ALERTED)
        return int(is_alerted[self.of.video].sum())

    @property
    def share_of_time(self) -> float:
        """The share of the time of the whole that it takes."""
        seconds = self.of.seconds
        whole = seconds.sum()
        return float(seconds[self.is_in[self.of.video]].sum() / whole) if whole else 1.0

    @property
    def days(self) -> set[str]:
        """On which there was an alert in it."""
        return {*self.of.days[self.is_in].tolist()} - {""}


def numbers(names: Sequence[str]) -> NDArray[np.uint64]:
    """Names of tasks as numbers, which take half the room."""
    return np.array([int(name, 16) for name in names], np.uint64)
