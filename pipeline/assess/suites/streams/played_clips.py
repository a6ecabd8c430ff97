"""Judged clips as a stream plays them: footage without real gunfire, shootings, and alerts.

A clip's score is the highest that the detector says of the stream at any of its frames, and counts
at the clip's end. A smoothing turns the scores of the last three clips into one level, and an alert
rises where the level reaches a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipeline.detect import scores
from pipeline.detect.alarm import Choice, Recordings, replay
from pipeline.numbers.metrics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Reel:
    """The N clips without real gunfire, file after file in drawn order, each played once."""

    rows: IntArray
    """(N,) row of each clip in the table."""
    scores: FloatArray
    ends_s: FloatArray
    """(N,) end of each clip on the clock of its file."""
    covered_s: FloatArray
    """(N,) footage that no later clip of the file shows."""
    first: IntArray
    """(F,) first clip of each file."""

    @property
    def hours(self) -> float:
        """Length of the footage, none of it counted twice."""
        return float(self.covered_s.sum()) / 3600

    @cached_property
    def file(self) -> IntArray:
        """(N,) number of each clip's file."""
        return _numbers_of(self.first, self.rows.size)

    @cached_property
    def recordings(self) -> Recordings:
        """The files as an alarm plays them: what it smooths runs on from one into the next."""
        padded = np.concatenate([[0.0, 0.0], self.scores])
        before = np.stack([padded[self.first + 1], padded[self.first]], axis=1)
        return Recordings(self.scores, self.ends_s, self.first, before)

    def only(self, chosen: BoolArray) -> Reel:
        """The files of some rows of the table, bool (M,), all clips of a file or none."""
        kept = chosen[self.rows]
        return Reel(
            rows=self.rows[kept],
            scores=self.scores[kept],
            ends_s=self.ends_s[kept],
            covered_s=self.covered_s[kept],
            first=_starts(self.file[kept]),
        )

    def levels(self, smoothing: str) -> FloatArray:
        """(N,) levels; before the first clip it was quiet."""
        return replay(self.recordings, Choice(np.inf, smoothing, 0.0)).levels

    def alerts(self, choice: Choice) -> IntArray:
        """Clips at whose end an alert opens, in order.

        An alert never covers another file, which would be another stream: files that are shorter
        than the refractory time are counted too strictly rather than too kindly.
        """
        return np.flatnonzero(replay(self.recordings, choice).opened)


@dataclass(frozen=True)
class Shootings:
    """The n files that show a real shooting, from their first clip with a discharge on."""

    rows: IntArray
    """(M,) row of each clip in the table."""
    scores: FloatArray
    delays_s: FloatArray
    """(M,) end of each clip, counted from the start of the file's first clip with a discharge."""
    first: IntArray
    """(n,) first clip of each shooting."""
    lead: FloatArray
    """(n, 2) scores of the two clips before it in its file, the nearest first; NaN for none."""
    lead_s: FloatArray
    """(n,) how long its file plays before it."""

    @property
    def lengths(self) -> IntArray:
        """Return how many clips each shooting has, (n,)."""
        return np.diff(np.append(self.first, self.rows.size))

    @property
    def watched_s(self) -> FloatArray:
        """Return how many seconds each goes on, (n,)."""
        return np.maximum.reduceat(self.delays_s, self.first) if self.first.size else self.delays_s


@dataclass(frozen=True)
class PlayedClips:
    """The scored clips of a part, divided into what must not alert and what must."""

    reel: Reel
    shootings: Shootings
    recording: IntArray
    """Number of the recording of each row of the table, 0, 1, ... without gaps.

    Recordings that copies join have one.
    """
    num_unlabelled: int
    """Clips of real files that could be either, in no count."""

    @classmethod
    def of(cls, clips: pa.Table, clip_s: float, seed: int) -> PlayedClips:
        """Divide rows of `SCORE_SCHEMA` of clips of `clip_s` seconds; files play in drawn order.

        Footage of a shooting file before its first clip with a discharge is background like any
        other. What follows that clip is the incident, in which every alert is right.
        """
        start_s = clips["start_s"].to_numpy()
        score = clips["stream_score"].to_numpy()
        names = [
            f"{collection}\0{path}"
            for collection, path in zip(
                clips["collection"].to_pylist(), clips["path"].to_pylist(), strict=True
            )
        ]
        file = np.unique(np.array(names, object), return_inverse=True)[1].astype(np.int64)
        order = np.lexsort((np.array(clips["clip_id"].to_pylist(), str), start_s, file))
        file, start_s, score = file[order], start_s[order], score[order]
        real = np.array(clips["origin"].to_pylist(), object)[order] == "real"
        discharge = np.array(clips["discharge"].fill_null(-1).to_numpy())[order]

        position = np.arange(order.size)
        num_files = int(file[-1]) + 1 if order.size else 0
        onset = np.full(num_files, order.size)
        fires = real & (discharge == 1)
        np.minimum.at(onset, file[fires], position[fires])
        incident = position >= onset[file]
        quiet = ~incident & ~(real & (discharge == -1))

        rank = np.random.default_rng([seed, num_files]).permutation(num_files)
        played = np.flatnonzero(quiet)
        played = played[np.lexsort((played, rank[file[played]]))]
        reel = Reel(
            rows=order[played],
            scores=score[played],
            ends_s=start_s[played] + clip_s,
            covered_s=_covered(file[played], start_s[played], clip_s),
            first=_starts(file[played]),
        )
        shown = np.flatnonzero(incident)
        first = _starts(file[shown])
        at = shown[first]
        file_start = np.searchsorted(file, file[at])
        shootings = Shootings(
            rows=order[shown],
            scores=score[shown],
            delays_s=start_s[shown] + clip_s - start_s[onset[file[shown]]],
            first=first,
            lead=np.stack(
                [
                    np.where(at - k >= file_start, score.take(at - k, mode="clip"), np.nan)
                    for k in (1, 2)
                ],
                axis=1,
            ),
            lead_s=start_s[at] - start_s[file_start],
        )
        recording = np.array(scores.clusters(clips), object)
        numbered = np.unique(recording, return_inverse=True)[1].astype(np.int64)
        return cls(reel, shootings, numbered, int((~incident & ~quiet).sum()))


def _starts(file: IntArray) -> IntArray:
    """First positions of runs of equal numbers."""
    return np.flatnonzero(np.diff(file, prepend=-1) != 0).astype(np.int64)


def _numbers_of(first: IntArray, size: int) -> IntArray:
    return np.repeat(np.arange(first.size), np.diff(np.append(first, size)))


def _covered(file: IntArray, start_s: FloatArray, clip_s: float) -> FloatArray:
    """Seconds of each clip until the next one of its file starts, at most its length."""
    if not file.size:
        return np.zeros(0)
    step = np.append(np.diff(start_s), np.inf)
    step[np.append(np.diff(file) != 0, True)] = np.inf
    return np.minimum(step, clip_s)
