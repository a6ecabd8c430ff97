"""Long videos put together from recordings, with shootings at known seconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.assess.statistics.metrics import FloatArray, IntArray
from pipeline.assess.streaming.footage import Footage, smooth

BACKGROUND_S = (300.0, 1800.0)
"""Seconds of other footage that a stream shows before its shooting, at least; drawn uniformly."""
MIN_STREAMS, MAX_STREAMS = 400, 2_000
"""Every shooting ends as many streams as it takes to have so many; of very many, some are drawn."""
# Keeps long shootings from being copied without end; the copies differ in two clips only.
_MAX_COPIED_CLIPS = 1_000_000


@dataclass(frozen=True)
class Streams:
    """S long videos: a stretch of a reel that goes round, and then a shooting."""

    footage: Footage
    shooting: IntArray
    """(S,) number of the shooting that ends each."""
    first_file: IntArray
    """(S,) file of the reel that it begins with."""
    after_file: IntArray
    """(S,) the file after its last, counted on over the laps of the reel."""
    background_s: FloatArray
    """(S,) how long it plays before the file of the shooting."""
    first: IntArray
    """(S,) place of its first clip in `clips`."""
    clips: IntArray
    """Clips of the shooting of each stream, one stream after the other."""
    context: FloatArray
    """(S, 2) scores of the two clips before the shooting, the nearest first."""

    @property
    def onset_s(self) -> FloatArray:
        """(S,) second of the stream at which the shooting starts."""
        return self.background_s + self.footage.shootings.lead_s[self.shooting]

    @cached_property
    def clusters(self) -> IntArray:
        """(S,) number of the recording of each shooting, 0, 1, ... without gaps."""
        shootings = self.footage.shootings
        recording = self.footage.recording[shootings.rows[shootings.first]][self.shooting]
        return np.unique(recording, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def _delays_s(self) -> FloatArray:
        return self.footage.shootings.delays_s[self.clips]

    def levels(self, smoothing: str) -> FloatArray:
        """Levels of the clips of all shootings, in the order of `clips`."""
        now = self.footage.shootings.scores[self.clips]
        last, before_last = np.roll(now, 1), np.roll(now, 2)
        last[self.first] = self.context[:, 0]
        before_last[self.first] = self.context[:, 1]
        longer = np.diff(np.append(self.first, now.size)) > 1
        before_last[self.first[longer] + 1] = self.context[longer, 0]
        return smooth(smoothing, now, last, before_last)

    def delays(self, levels: FloatArray, threshold: float) -> FloatArray:
        """(S,) seconds from the start of the shooting to its first alert; inf where none rises."""
        if not self.shooting.size:
            return np.zeros(0)
        times = np.where(levels >= threshold, self._delays_s, np.inf)
        return np.minimum.reduceat(times, self.first)

    def alerts_before(self, alerts: IntArray) -> IntArray:
        """(S,) how many `alerts` of the reel rise in the background of each stream."""
        reel = self.footage.reel
        num_files = reel.first.size
        if not num_files:
            return np.zeros(self.shooting.size, np.int64)
        until = np.append(0, np.cumsum(np.bincount(reel.file[alerts], minlength=num_files)))
        laps, file = np.divmod(self.after_file, num_files)
        return laps * until[-1] + until[file] - until[self.first_file]


def assemble(footage: Footage, seed: int) -> Streams:
    """Put a drawn time of background before every shooting, equally often before each.

    The background joins the reel at a drawn file and goes round it as often as it takes, so it may
    repeat: false alerts are counted on the reel, never on the streams.
    """
    shootings, reel = footage.shootings, footage.reel
    num_shootings, num_files = shootings.first.size, reel.first.size
    rng = np.random.default_rng([seed, num_shootings, num_files])
    chosen = np.arange(num_shootings)
    if num_shootings > MAX_STREAMS:
        chosen = np.sort(rng.choice(num_shootings, MAX_STREAMS, replace=False))
    copies = 1
    if num_shootings:
        wanted = -(-MIN_STREAMS // num_shootings)
        copies = max(1, min(wanted, _MAX_COPIED_CLIPS // shootings.rows.size))
    shooting = np.tile(chosen, copies)
    first_file = after_file = np.zeros(shooting.size, np.int64)
    background_s, context = np.zeros(shooting.size), np.zeros((shooting.size, 2))
    if num_files:
        until_s = np.append(0.0, np.cumsum(np.add.reduceat(reel.covered_s, reel.first)))
        first_file = rng.integers(num_files, size=shooting.size)
        drawn_s = until_s[first_file] + rng.uniform(*BACKGROUND_S, shooting.size)
        laps, rest_s = np.divmod(drawn_s, until_s[-1])
        file = np.searchsorted(until_s, rest_s)
        after_file = laps.astype(np.int64) * num_files + file
        background_s = laps * until_s[-1] + until_s[file] - until_s[first_file]
        after_clip = np.append(reel.first, reel.rows.size)[file]
        context = reel.scores[(after_clip[:, None] - [1, 2]) % reel.rows.size]
    # Clips of the shooting's own file come nearer than the background.
    lead = shootings.lead[shooting]
    nearest = np.where(np.isnan(lead[:, 0]), context[:, 0], lead[:, 0])
    second = np.where(np.isnan(lead[:, 0]), context[:, 1], context[:, 0])
    second = np.where(np.isnan(lead[:, 1]), second, lead[:, 1])
    lengths = shootings.lengths[shooting]
    first = np.cumsum(lengths) - lengths
    clips = np.repeat(shootings.first[shooting] - first, lengths) + np.arange(lengths.sum())
    return Streams(
        footage,
        shooting,
        first_file,
        after_file,
        background_s,
        first,
        clips,
        np.stack([nearest, second], axis=1),
    )


def delay_quantiles(delays: FloatArray, weights: FloatArray, share: float) -> FloatArray:
    """(R,) delay within which `share` of the shootings have alerted; inf where fewer ever do.

    `delays` is (S,) with inf for none, `weights` (R, S). The smallest delay that is enough, never
    a value between two.
    """
    order = np.argsort(delays, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    enough = share * reached[:, -1:] - 1e-9
    return delays[order][np.minimum((reached < enough).sum(axis=1), delays.size - 1)]
