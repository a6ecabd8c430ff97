"""The labelled examples that metrics judge: clips of a split, or files of a collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.detect import scores
from pipeline.footage.collection import ORIGINS
from pipeline.numbers.metrics import BoolArray, FloatArray, IntArray
from pipeline.store.manifest import CLASSES, REAL_SHOOTING, class_index

MOST_SOURCES = 20
"""Most sources of one origin, rendered or not, that are judged one by one."""
Texts = NDArray[np.object_]


def origins_shown(present: Iterable[str]) -> tuple[str, ...]:
    """The origins that a table lists, real first; generated only where it is among `present`.

    That real, game or film footage is missing is worth a row; few collections hold any generated.
    """
    found = set(present)
    return tuple(one for one in ORIGINS if one != "generated" or one in found)


@dataclass(frozen=True)
class Examples:
    """N examples with their labels and what the detector says; every array is (N,)."""

    origin: Texts
    discharge: BoolArray
    source: Texts
    cluster: Texts
    """Units to be resampled as a whole: recordings that copies join, or a recording by itself."""
    rendered: BoolArray
    score: FloatArray
    """P(real_shooting)."""
    p_real: FloatArray
    p_discharge: FloatArray
    predicted: IntArray
    """Position in `CLASSES`."""

    @classmethod
    def from_clips(cls, table: pa.Table) -> Examples:
        """Clips of `scores.parquet`; their discharge must be known."""
        probabilities = scores.joint(table)
        p_real, p_discharge = scores.marginals(probabilities)
        predicted = probabilities.argmax(axis=1).astype(np.int64)
        return cls._labelled(table, p_real, p_discharge, predicted)

    @classmethod
    def from_files(cls, table: pa.Table) -> Examples:
        """The scored files of `files.parquet`."""
        scored = table.filter(pc.equal(table["status"], "scored"))
        predicted = np.array([CLASSES.index(name) for name in scored["predicted"].to_pylist()])
        return cls._labelled(
            scored,
            scored["p_real"].to_numpy(),
            scored["p_discharge"].to_numpy(),
            predicted.astype(np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """The examples of all parts, in order; a cluster's name means the same in each."""
        return cls(
            **{
                one.name: np.concatenate([getattr(part, one.name) for part in parts])
                for one in fields(cls)
            }
        )

    @classmethod
    def _labelled(
        cls, table: pa.Table, p_real: FloatArray, p_discharge: FloatArray, predicted: IntArray
    ) -> Examples:
        def texts(name: str) -> Texts:
            return np.array(table[name].to_pylist(), dtype=object)

        return cls(
            origin=texts("origin"),
            discharge=np.array(table["discharge"].to_pylist()) == 1,
            source=texts("source"),
            cluster=np.array(scores.clusters(table), dtype=object),
            rendered=np.array(table["rendered"].to_pylist(), dtype=bool),
            score=table["score"].to_numpy(),
            p_real=p_real,
            p_discharge=p_discharge,
            predicted=predicted,
        )

    def among(self, chosen: BoolArray) -> Examples:
        """Return the chosen examples."""
        return Examples(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    def __len__(self) -> int:
        return int(self.score.size)

    @cached_property
    def actual(self) -> IntArray:
        """(N,) position of the true class in `CLASSES`."""
        pairs = zip(self.origin, self.discharge, strict=True)
        return np.array([class_index(o, bool(d)) for o, d in pairs], dtype=np.int64)

    @property
    def is_shooting(self) -> BoolArray:
        """(N,) whether the example is a real shooting: what an alert must find."""
        return self.actual == REAL_SHOOTING

    @cached_property
    def clusters(self) -> IntArray:
        """(N,) number of the example's recording, 0, 1, ... without gaps.

        Recordings that copies join have one number, being no more independent than one.
        """
        return np.unique(self.cluster, return_inverse=True)[1].astype(np.int64)

    def largest_sources(self) -> list[str]:
        """Sources to judge one by one, in order of their names.

        Of each origin, rendered or not, the `MOST_SOURCES` with the most recordings: an index may
        name a source for every file, and each costs a bootstrap and every two a comparison.
        """
        names, first, code = np.unique(self.source, return_index=True, return_inverse=True)
        num_clusters = int(self.clusters.max(initial=-1)) + 1
        held = np.unique(code * num_clusters + self.clusters) // max(1, num_clusters)
        num_recordings = np.bincount(held, minlength=names.size)
        rendered = np.bincount(code, self.rendered, names.size) > 0
        taken: Counter[tuple[str, bool]] = Counter()
        chosen = []
        for number in np.argsort(-num_recordings, kind="stable").tolist():
            kind = self.origin[first[number]], bool(rendered[number])
            taken[kind] += 1
            if taken[kind] <= MOST_SOURCES:
                chosen.append(number)
        return [str(names[number]) for number in sorted(chosen)]
