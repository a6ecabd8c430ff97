"""The channels of a foreign track out of the decoder, and what is heard of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.footage.foreign.refusals import DecodeError
from pipeline.store.sound import QUIET_RMS

MAX_CHANNELS = 8
"""The most that are read. For more, a frame keeps its pointers to planes where PyAV reads on past
the last of them."""

LARGEST = 1e6
"""Times full scale: what recorders write in floating point is far below, and squares of it are
numbers."""

# The mean of channels that have nothing to do with each other is this many times more powerful than
# one in which they cancel each other.
_CANCELLED = 10.0
# Whether they do is asked of so many pieces of a second by themselves: a clip lasts for one second,
# and all that is heard of a discharge for half of one.
_PIECES_A_SECOND = 4
# From the mean to a channel and back takes so many parts of a second, since a leap is a click.
_FADES_A_SECOND = 100
# Another channel is heard where it is so many times more powerful than the one heard until then:
# of two that are about as loud now one leads and now the other.
_MUCH_LOUDER = 2.0

_DTYPES: dict[str, DTypeLike] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "flt": np.float32,
    "dbl": np.float64,
}


def forget_order(codec: Any) -> None:
    """Have a decoder that is not open yet give its frames a layout that PyAV can copy.

    PyAV copies the layout of each frame without the list that one in an unusual order has, so that
    both copies free the same list. MOV has such orders from 3 channels on, and QuickTime's own
    descriptions of two. All channels are heard alike, whatever their order.
    """
    layout = codec.layout
    if layout.nb_channels:
        # What is taken here from the decoder is freed with `layout`, and by nobody else.
        has_list = bool({"(", "+"} & set(layout.name))
        codec.layout = f"{layout.nb_channels} channels" if has_list else layout.name


def channels_of(frame: Any) -> NDArray[np.float64] | None:
    """The channels as float64 (channels, n), full scale being 1; None where it is not read.

    A track in floating point may hold anything: `cut_off` sees to it.

    Args:
        frame: an `av.AudioFrame` of no more than `MAX_CHANNELS` channels.
    """
    dtype = _DTYPES.get(frame.format.name.removesuffix("p"))
    if dtype is None:
        return None
    channels = frame.layout.nb_channels
    is_planar = frame.format.is_planar
    count = frame.samples * (1 if is_planar else channels)
    # Of eight planes PyAV finds a ninth, which is none.
    planes = frame.planes[: channels if is_planar else 1]
    values = np.vstack([np.frombuffer(plane, dtype, count) for plane in planes])
    values = values if is_planar else values.reshape(-1, channels).T
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    if values.dtype == np.uint8:
        return (values.astype(np.float64) - 128) / 128
    return values.astype(np.float64) / -float(np.iinfo(values.dtype).min)


def cut_off(channels: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Cut off at full scale what no recorder writes; tells too whether there was any.

    That is what is beyond `LARGEST`, and what is no number, which becomes zero.
    """
    is_wrong = ~(np.abs(channels) <= LARGEST)
    if not is_wrong.any():
        return channels, False
    return np.where(is_wrong, np.clip(np.nan_to_num(channels), -1, 1), channels), True


@dataclass(frozen=True, slots=True)
class Placed:
    """Samples of all channels that follow each other.

    Attributes:
        start_s: of the first of them, in seconds of a player's clock.
        rate: samples a second.
        channels: float64 (channels, n), full scale being 1.
        begins: they do not continue what came before.
    """

    start_s: float
    rate: int
    channels: NDArray[np.float64]
    begins: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """Samples that follow each other.

    Attributes:
        start_s: of the first of them, in seconds of a player's clock.
        rate: samples a second.
        samples: float64 (n,), full scale being 1: the mean of the channels, or one of them where
            they cancel each other.
        begins: they do not continue what was heard before.
        mean: the mean of the channels, (n,), where `samples` is another; else None.
    """

    start_s: float
    rate: int
    samples: NDArray[np.float64]
    begins: bool
    mean: NDArray[np.float64] | None = None

    def of_mean(self) -> Heard:
        """The same with the mean of the channels throughout."""
        return self if self.mean is None else replace(self, samples=self.mean, mean=None)


def heard(placed: Iterable[Placed], marks: set[str]) -> Iterator[Heard]:
    """Mix the channels of a track to one.

    Each quarter of a second in which the channels cancel each other in their mean is heard by the
    loudest of them, unless that is next to silence too; `marks` then has "sound_cancels".

    Raises:
        DecodeError: as `placed` does, once all that was before is heard.
    """
    mix = _Mix(marks)
    held: list[Placed] = []
    try:
        for one in placed:
            if held and (one.begins or len(one.channels) != len(held[0].channels)):
                yield from mix.of(held)
                held = []
            held.append(one)
            length = sum(each.channels.shape[1] for each in held)
            if len(one.channels) == 1 or length >= one.rate // _PIECES_A_SECOND:
                yield from mix.of(held)
                held = []
    except DecodeError:
        yield from mix.of(held)
        raise
    yield from mix.of(held)


class _Mix:
    """Mixes a track, of which it is given what lasts for a piece or longer."""

    def __init__(self, marks: set[str]) -> None:
        self._marks = marks
        self._num_channels = 0
        self._begins = True
        # The channel that was heard last instead of the mean, and what is heard now: None for it.
        self._loudest: int | None = None
        self._now: int | None = None

    def of(self, held: Sequence[Placed]) -> Iterator[Heard]:
        """What is heard of samples that continue each other, divided as they are."""
        if not held:
            return
        parts = [one.channels for one in held]
        channels = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if held[0].begins or len(channels) != self._num_channels:
            self._num_channels, self._loudest, self._begins = len(channels), None, True
        mean: NDArray[np.float64] = channels.mean(axis=0)
        samples = mean if len(channels) == 1 else self._mixed(channels, mean, held[0].rate)
        first = 0
        for one in held:
            own = slice(first, first := first + one.channels.shape[1])
            other = None if samples is mean else mean[own]
            yield Heard(one.start_s, one.rate, samples[own], one.begins, other)

    def _mixed(
        self, channels: NDArray[np.float64], mean: NDArray[np.float64], rate: int
    ) -> NDArray[np.float64]:
        """What is heard, piece by piece; `mean` itself where that is all of it."""
        num_pieces = max(1, mean.size * _PIECES_A_SECOND // rate)
        edges = np.linspace(0, mean.size, num_pieces + 1).astype(int)
        samples = mean
        for start, end in pairwise(edges.tolist()):
            before, self._now = self._now, self._chosen(channels[:, start:end], mean[start:end])
            if self._begins:
                before, self._begins = self._now, False
            if before is None and self._now is None:
                continue
            samples = mean.copy() if samples is mean else samples
            if self._now is not None:
                samples[start:end] = channels[self._now, start:end]
            if before != self._now:
                fade = slice(start, min(end, start + rate // _FADES_A_SECOND))
                old = mean[fade] if before is None else channels[before, fade]
                samples[fade] = old + (samples[fade] - old) * np.linspace(0, 1, old.size)
        return samples

    def _chosen(self, channels: NDArray[np.float64], mean: NDArray[np.float64]) -> int | None:
        """The channel to hear instead of the mean where that loses what they hold."""
        powers = np.square(channels).mean(axis=1)
        unrelated = float(powers.sum()) / len(channels) ** 2
        is_lost = _CANCELLED * float(np.square(mean).mean()) < unrelated
        if not is_lost or powers.max() < QUIET_RMS**2:
            return None
        self._marks.add("sound_cancels")
        if self._loudest is None or _MUCH_LOUDER * powers[self._loudest] < powers.max():
            self._loudest = int(powers.argmax())
        return self._loudest
