"""Long videos put together from recordings, with shootings at known seconds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.detect.alarm import Choice, Recordings, replay
from pipeline.numbers.metrics import FloatArray, IntArray

BACKGROUND_S = (300.0, 1800.0)
"""Seconds of other footage that a stream shows before its shooting, at least; drawn uniformly."""
MIN_STREAMS, MAX_STREAMS = 400, 2_000
"""Every shooting ends as many streams as it takes to have so many; of very many, some are drawn."""
# Keeps long shootings from being copied without end; the copies differ in two clips only.
_MAX_COPIED_CLIPS = 1_000_000


@dataclass(frozen=True)
class Streams:
    """S long videos: a stretch of a reel that goes round, and then a shooting."""

    played: PlayedClips
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
        return self.background_s + self.played.shootings.lead_s[self.shooting]

    @cached_property
    def clusters(self) -> IntArray:
        """(S,) number of the recording of each shooting, 0, 1, ... without gaps."""
        shootings = self.played.shootings
        recording = self.played.recording[shootings.rows[shootings.first]][self.shooting]
        return np.unique(recording, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def recordings(self) -> Recordings:
        """The shootings as an alarm plays them, on the clock of the first discharge."""
        shootings = self.played.shootings
        return Recordings(
            shootings.scores[self.clips], shootings.delays_s[self.clips], self.first, self.context
        )

    def delays(self, choice: Choice) -> FloatArray:
        """(S,) seconds from the start of the shooting to its first alert; inf where none opens.

        An alert that the background left open covers nothing of the shooting.
        """
        if not self.shooting.size:
            return np.zeros(0)
        opened = replay(self.recordings, choice).opened
        times = np.where(opened, self.recordings.at_s, np.inf)
        return np.minimum.reduceat(times, self.first)

    def alerts_before(self, alerts: IntArray) -> IntArray:
        """(S,) how many `alerts` of the reel rise in the background of each stream."""
        reel = self.played.reel
        num_files = reel.first.size
        if not num_files:
            return np.zeros(self.shooting.size, np.int64)
        until = np.append(0, np.cumsum(np.bincount(reel.file[alerts], minlength=num_files)))
        laps, file = np.divmod(self.after_file, num_files)
        return laps * until[-1] + until[file] - until[self.first_file]


def assemble(played: PlayedClips, seed: int) -> Streams:
    """Put a drawn time of background before every shooting, equally often before each.

    The background joins the reel at a drawn file and goes round it as often as it takes, so it may
    repeat: false alerts are counted on the reel, never on the streams.
    """
    shootings, reel = played.shootings, played.reel
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
        played,
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
