"""The sound of canonical clips: cut from a foreign track, resampled, and judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from pipeline.footage.foreign.refusals import DecodeError, Limits
from pipeline.footage.foreign.sound import Heard, Sound
from pipeline.store.manifest import ABSENT, DAMAGED, INCOMPLETE, PRESENT, QUIET, SILENT
from pipeline.store.sound import SOUND_HZ, Samples, encode

_QUIET_RMS = 10 ** (-70 / 20)
_FULL_SCALE = 32768.0
_MISSING_SAMPLES = SOUND_HZ // 50
# A hole up to this long is filled with what was before it, backwards, since zeros would be a click,
# and as much is left out where samples overlap.
_PATCHED_S = 0.05
# scipy's filter for `resample_poly` is this many samples of the slower rate long each way.
_HALF_WIDTH = 10


@dataclass(frozen=True)
class ClipSound:
    """The sound of one clip.

    Attributes:
        samples: int16 (n,) at `SOUND_HZ`; zero where there is none.
        presence: one of `manifest.PRESENCES`.
    """

    samples: Samples
    presence: str


@dataclass(frozen=True)
class Track:
    """What the track of a file is that its clips were given: as `foreign.Sound` has it."""

    codec: str | None = None
    rate_hz: int | None = None
    channels: int | None = None
    marks: tuple[str, ...] = ()


def sounds_of(
    path: Path, limits: Limits, zeros_s: Sequence[float], starts: Sequence[int], num_samples: int
) -> tuple[Track, list[tuple[bytes | None, str]]]:
    """Cut the sound of clips out of a file's track, encoded; a track never costs a file its clips.

    Args:
        path: the file.
        limits: what it may cost.
        zeros_s: as `foreign.Video.zeros_s` has it once the pictures have been read.
        starts: the output samples with which clips begin, in ascending order.
        num_samples: of a clip.

    Returns:
        The track, and for each clip the bytes of `store.sound.encode`, which are None where every
        sample is zero, and one of `manifest.PRESENCES`.
    """
    made: list[tuple[bytes | None, str]] = []
    marks: set[str] = set()
    told = Track()
    try:
        with Sound(path, limits, zeros_s) as track:
            marks = track.marks
            for one in clip_sounds(track.heard(), track.damaged, starts, num_samples):
                made.append((encode(one.samples) if one.samples.any() else None, one.presence))
            told = Track(track.codec, track.rate, track.channels)
            if "sound_refused" in marks:
                made = [(None, ABSENT)] * len(starts)
    except DecodeError:
        marks.add("sound_damaged")
    made += [(None, DAMAGED)] * (len(starts) - len(made))
    return replace(told, marks=tuple(sorted(marks))), made


@dataclass
class _Stretch:
    """Samples of one rate that follow each other, of which the first may be forgotten already.

    Attributes:
        origin: output sample at which sample 0 of the stretch is heard.
        first: number of the first sample that is still held.
    """

    origin: int
    rate: int
    first: int = 0
    held: list[NDArray[np.float64]] = field(default_factory=list)

    @property
    def _ratio(self) -> tuple[int, int]:
        common = gcd(SOUND_HZ, self.rate)
        return SOUND_HZ // common, self.rate // common

    @property
    def end(self) -> int:
        """Output sample at which it ends, as far as it is known."""
        up, down = self._ratio
        return self.origin + -(-self._end * up // down)

    @property
    def _end(self) -> int:
        return self.first + sum(part.size for part in self.held)

    def forget(self, before: int) -> None:
        """Forget samples that no output sample from `before` on is made of."""
        up, down = self._ratio
        needed = (before - self.origin) * down // up - _margin(up, down)
        while self.held and self.first + self.held[0].size <= needed:
            self.first += self.held.pop(0).size

    def resampled(self, start: int, end: int) -> tuple[int, NDArray[np.float64]]:
        """Output samples from `start` to `end`, as far as there are, and the first one's number."""
        up, down = self._ratio
        values = np.concatenate(self.held) if len(self.held) > 1 else self.held[0]
        margin = _margin(up, down)
        begin = max(self.first, (start - self.origin) * down // up - margin)
        begin = -(-begin // down) * down
        stop = min(self._end, -(-(end - self.origin) * down // up) + margin)
        if begin >= stop:
            return start, np.zeros(0)
        values = values[begin - self.first : stop - self.first]
        out = (
            values if up == down else signal.resample_poly(values, up, down, window=_taps(up, down))
        )
        at = self.origin + begin * up // down
        low, high = max(start, at), min(end, at + out.size, self.end)
        return low, out[low - at : max(low, high) - at]


def _margin(up: int, down: int) -> int:
    """Samples of the source that count for one of the output, and to where a phase begins anew."""
    return -(-_HALF_WIDTH * max(up, down) // up) + 2 * down


@cache
def _taps(up: int, down: int) -> Any:
    """The filter that `scipy.signal.resample_poly` makes anew at each call."""
    most = max(up, down)
    return signal.firwin(2 * _HALF_WIDTH * most + 1, 1 / most, window=("kaiser", 5.0))


def clip_sounds(
    heard: Iterable[Heard],
    damaged: Sequence[tuple[float, float]],
    starts: Sequence[int],
    num_samples: int,
) -> Iterator[ClipSound]:
    """Yield the sound of clips that begin at output samples `starts`, in that order.

    No more is decoded than the last clip needs, and no more held than one clip does.

    Args:
        heard: the samples of a track in order of time.
        damaged: stretches in seconds that could not be decoded; may grow while `heard` is read.
        starts: in ascending order.
        num_samples: of a clip.
    """
    source = iter(heard)
    stretches: list[_Stretch] = []
    is_over = False
    for start in starts:
        end = start + num_samples
        for stretch in stretches[:-1]:
            stretch.forget(start)
        if stretches:
            stretches[-1].forget(start)
        stretches = [one for one in stretches if one.held] or stretches[-1:]
        # What comes after the end may still show that there was damage before it.
        while not is_over and not (stretches and stretches[-1].end > end + SOUND_HZ // 4):
            one = next(source, None)
            if one is None:
                is_over = True
            else:
                _append(stretches, one)
                stretches[-1].forget(start)
        yield _clip_sound(stretches, damaged, start, end)


def _append(stretches: list[_Stretch], one: Heard) -> None:
    samples = one.samples
    if one.begins or not stretches:
        origin = round(one.start_s * SOUND_HZ)
        last = stretches[-1] if stretches else None
        hole = round((origin - last.end) * last.rate / SOUND_HZ) if last else 0
        if last and last.held and last.rate == one.rate and abs(hole) <= _PATCHED_S * one.rate:
            last.held.append(last.held[-1][::-1][: max(0, hole)].copy())
            samples = samples[max(0, -hole) :]
        else:
            stretches.append(_Stretch(origin, one.rate))
    stretches[-1].held.append(samples)


def _clip_sound(
    stretches: Sequence[_Stretch], damaged: Sequence[tuple[float, float]], start: int, end: int
) -> ClipSound:
    values = np.zeros(end - start)
    is_there = np.zeros(end - start, bool)
    for stretch in stretches:
        if stretch.held and stretch.origin < end and stretch.end > start:
            at, found = stretch.resampled(start, end)
            values[at - start : at - start + found.size] = found
            is_there[at - start : at - start + found.size] = True
    samples = np.clip(np.rint(values * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    presence = PRESENT
    if any(a * SOUND_HZ < end and start < b * SOUND_HZ for a, b in damaged):
        presence = DAMAGED
    elif not is_there.any():
        presence = ABSENT
    elif np.count_nonzero(~is_there) > _MISSING_SAMPLES:
        presence = INCOMPLETE
    elif not samples.any():
        presence = SILENT
    elif np.sqrt(np.mean(np.square(values))) < _QUIET_RMS:
        presence = QUIET
    return ClipSound(samples.astype(np.int16), presence)
