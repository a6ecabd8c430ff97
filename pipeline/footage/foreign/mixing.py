"""The channels of a foreign track out of the decoder, and what is heard of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.footage.foreign.refusals import DecodeError
from pipeline.store.sound import QUIET_RMS

MAX_CHANNELS = 8
"""The most that are read. For more, a frame keeps its pointers to planes where PyAV reads on past
the last of them."""

LARGEST_SOUND = 1e6
"""Times full scale: what recorders write in floating point is far below, and squares of it are
numbers."""

# Channels cancel each other where their sum has less than a tenth of the power that it would have
# if they had nothing to do with each other.
_CANCELLED = 10.0
# Whether they do is asked of so many pieces of a second by themselves: a clip lasts for one second,
# and all that is heard of a discharge for half of one.
_PIECES_A_SECOND = 4
# From one mix to another takes so many parts of a second, since a leap is a click.
_FADES_A_SECOND = 100

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

    That is what is beyond `LARGEST_SOUND`, and what is no number, which becomes zero.
    """
    is_wrong = ~(np.abs(channels) <= LARGEST_SOUND)
    if not is_wrong.any():
        return channels, False
    return np.where(is_wrong, np.clip(np.nan_to_num(channels), -1, 1), channels), True


@dataclass(frozen=True, slots=True)
class SoundBlock:
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
        samples: float64 (n,), full scale being 1: the mean of the channels, of which some are
            turned over where channels cancel each other.
        begins: they do not continue what was heard before.
        mean: the mean of the channels as they are, (n,), where `samples` is another; else None.
    """

    start_s: float
    rate: int
    samples: NDArray[np.float64]
    begins: bool
    mean: NDArray[np.float64] | None = None

    def of_mean(self) -> Heard:
        """Return this with the mean of the channels as they are in the place of `samples`."""
        return self if self.mean is None else replace(self, samples=self.mean, mean=None)


def mix(placed: Iterable[SoundBlock], marks: set[str]) -> Iterator[Heard]:
    """Mix the channels of a track to one.

    In each quarter of a second, counted from where the samples begin, a channel that cancels one
    before it, or all of them together, is turned over before the mean is taken, unless it is next
    to silence; `marks` then has "sound_cancels". What is heard does not depend on how `placed`
    divides it.

    Raises:
        DecodeError: as `placed` does, once all that was before is heard.
    """
    track: _Mix | None = None
    try:
        for one in placed:
            num_channels = len(one.channels)
            if track is None or one.begins or track.num_channels != num_channels:
                if track is not None:
                    yield from track.rest()
                track = _Mix(one, marks)
            yield from track.add(one.channels)
    except DecodeError:
        if track is not None:
            yield from track.rest()
        raise
    if track is not None:
        yield from track.rest()


class _Mix:
    """Mixes samples of one rate and number of channels that follow each other."""

    def __init__(self, first: SoundBlock, marks: set[str]) -> None:
        self.num_channels = len(first.channels)
        self._first, self._marks = first, marks
        # One channel is heard as it comes: a stream should not wait for it.
        self._length = max(1, first.rate // _PIECES_A_SECOND) if self.num_channels > 1 else 1
        self._held: list[NDArray[np.float64]] = []
        self._num_held = self._num_mixed = 0
        # How each channel is heard now: 1, or -1 where it is turned over.
        self._signs = np.ones(self.num_channels)

    def add(self, channels: NDArray[np.float64]) -> Iterator[Heard]:
        """Go on with samples (channels, n); yields the whole pieces that there are now."""
        self._held.append(channels)
        self._num_held += channels.shape[1]
        if self._num_held < self._length:
            return
        held = self._held[0] if len(self._held) == 1 else np.concatenate(self._held, axis=1)
        if self.num_channels == 1:
            yield self._heard(held, held[0])
            end = self._num_held
        else:
            end = self._num_held - self._num_held % self._length
            for piece in np.split(held[:, :end], range(self._length, end, self._length), axis=1):
                yield self._mixed(piece, self._chosen(piece))
        self._held = [held[:, end:]] if end < self._num_held else []
        self._num_held -= end

    def rest(self) -> Iterator[Heard]:
        """Yield what is left, which is heard as the piece before it if there is one."""
        if self._num_held:
            held = np.concatenate(self._held, axis=1)
            yield self._mixed(held, self._signs if self._num_mixed else self._chosen(held))

    def _mixed(self, channels: NDArray[np.float64], signs: NDArray[np.float64]) -> Heard:
        before, self._signs = self._signs if self._num_mixed else signs, signs
        mean: NDArray[np.float64] = channels.mean(axis=0)
        if min(before.min(), signs.min()) > 0:
            return self._heard(channels, mean)
        samples = signs @ channels / len(channels)
        if (before != signs).any():
            fade = channels[:, : max(1, self._first.rate // _FADES_A_SECOND)]
            share = np.linspace(0, 1, fade.shape[1])
            old = before @ fade / len(channels)
            samples[: share.size] = old + (samples[: share.size] - old) * share
        return self._heard(channels, samples, mean)

    def _heard(
        self,
        channels: NDArray[np.float64],
        samples: NDArray[np.float64],
        mean: NDArray[np.float64] | None = None,
    ) -> Heard:
        first, num_before = self._first, self._num_mixed
        self._num_mixed += channels.shape[1]
        start_s = first.start_s + num_before / first.rate
        return Heard(start_s, first.rate, samples, first.begins and not num_before, mean)

    def _chosen(self, channels: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sign by which to take each channel, so that none is lost by another."""
        # A constant offset is no sound.
        swings = channels - channels.mean(axis=1, keepdims=True)
        products = np.einsum("in,jn->ij", swings, swings) / channels.shape[1]
        powers = products.diagonal()
        is_heard = powers >= QUIET_RMS**2
        signs = np.ones(len(channels))
        for number in range(1, len(channels)):
            before = slice(number)
            together = 2 * signs[before] * products[before, number] + powers[number]
            apart = powers[before] + powers[number]
            is_cancelled = is_heard[before] & (_CANCELLED * (powers[before] + together) < apart)
            # Or it cancels several that do not cancel it alone.
            power = float(signs[before] @ products[before, before] @ signs[before])
            all_together = power + 2 * float(signs[before] @ products[before, number])
            is_lost = _CANCELLED * (all_together + powers[number]) < power + powers[number]
            if is_heard[number] and (is_cancelled.any() or is_lost):
                signs[number] = -1
                self._marks.add("sound_cancels")
        return signs
