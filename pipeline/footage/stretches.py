"""Foreign samples on a grid of one rate, resampled piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from pipeline.footage.foreign.mixing import Heard

# A hole up to this long is filled with what was before it, backwards, since zeros would be a click,
# and as much is left out where samples overlap.
_PATCHED_S = 0.05
# scipy's filter for `resample_poly` is this many samples of the slower rate long each way.
_HALF_WIDTH = 10


@dataclass
class ContiguousSound:
    """Samples of one rate that follow each other, of which the first may be forgotten already.

    Attributes:
        to_hz: samples a second of the output.
        origin: output sample at which sample 0 of the stretch is heard.
        first: number of the first sample that is still held.
        past: number of the sample after the last one.
        surplus: how many of the samples to come are left out, since others have their time.
    """

    to_hz: int
    origin: int
    rate: int
    first: int = 0
    past: int = 0
    surplus: int = 0
    held: list[NDArray[np.float64]] = field(default_factory=list)

    @cached_property
    def _ratio(self) -> tuple[int, int]:
        common = gcd(self.to_hz, self.rate)
        return self.to_hz // common, self.rate // common

    @property
    def end(self) -> int:
        """Output sample at which it ends, as far as it is known."""
        up, down = self._ratio
        return self.origin + -(-self.past * up // down)

    def add(self, samples: NDArray[np.float64]) -> None:
        """Go on with samples, float64 (n,) in [-1, 1]; those that are a surplus are left out."""
        left_out = min(self.surplus, samples.size)
        self.surplus -= left_out
        if samples.size > left_out:
            self.held.append(samples[left_out:])
            self.past += samples.size - left_out

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
        stop = min(self.past, -(-(end - self.origin) * down // up) + margin)
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


# A filter of an odd rate takes 10 MB, and a hostile track may have another rate in each frame.
@lru_cache(maxsize=8)
def _taps(up: int, down: int) -> Any:
    """The filter that `scipy.signal.resample_poly` makes anew at each call."""
    most = max(up, down)
    return signal.firwin(2 * _HALF_WIDTH * most + 1, 1 / most, window=("kaiser", 5.0))


def overlaid(
    stretches: Sequence[ContiguousSound], start: int, end: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return output samples from `start` to `end`, (n,), and where there are any, bool (n,).

    They are zero where there are none.
    """
    values = np.zeros(end - start)
    is_there = np.zeros(end - start, bool)
    for stretch in stretches:
        if stretch.held and stretch.origin < end and stretch.end > start:
            at, found = stretch.resampled(start, end)
            values[at - start : at - start + found.size] = found
            is_there[at - start : at - start + found.size] = True
    return values, is_there


def append(stretches: list[ContiguousSound], one: Heard, to_hz: int) -> None:
    """Add what is heard next to the last stretch, or begin another with it."""
    if one.begins or not stretches:
        origin = round(one.start_s * to_hz)
        last = stretches[-1] if stretches else None
        hole = round((origin - last.end) * last.rate / to_hz) if last else 0
        if last and last.held and last.rate == one.rate and abs(hole) <= _PATCHED_S * one.rate:
            last.surplus = max(0, -hole)
            if hole > 0:
                last.add(np.pad(last.held[-1], (0, hole), "symmetric")[-hole:])
        else:
            stretches.append(ContiguousSound(to_hz, origin, one.rate))
    stretches[-1].add(one.samples)
