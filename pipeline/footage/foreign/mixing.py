"""The channels of a foreign track out of the decoder, and what is heard of them together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MAX_CHANNELS = 8
"""The most that are read. For more, a frame keeps its pointers to planes where PyAV reads on past
the last of them."""

# The mean of channels that have nothing to do with each other is this many times more powerful than
# one in which they cancel each other.
_CANCELLED = 10.0

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
    """The channels as float64 (channels, n) in −1 to 1; None for a format that is not read.

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
        return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    if values.dtype == np.uint8:
        return (values.astype(np.float64) - 128) / 128
    return values.astype(np.float64) / -float(np.iinfo(values.dtype).min)


class Mix:
    """Mixes the channels of a track to one, and finds out whether they cancel each other."""

    def __init__(self, channel: int | None) -> None:
        """Start on a track.

        Args:
            channel: the number of the one that is heard; None for the mean of all.
        """
        self._channel = channel
        self._num_channels = 0
        self._powers: NDArray[np.float64] = np.zeros(0)
        self._mean_power = 0.0

    def of(self, channels: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is heard of (channels, n), as (n,).

        Where their number changes amid a track, the others are heard as their mean.
        """
        mean: NDArray[np.float64] = channels.mean(axis=0)
        if not self._num_channels:
            self._num_channels = len(channels)
            self._powers = np.zeros(len(channels))
        if len(channels) != self._num_channels or len(channels) == 1:
            return mean
        if self._channel is not None:
            return channels[self._channel]
        self._powers += np.square(channels).sum(axis=1)
        self._mean_power += float(np.square(mean).sum())
        return mean

    def loudest_of_cancelled(self) -> int | None:
        """The number of the loudest channel where the mean loses what they hold; else None."""
        unrelated = float(self._powers.sum()) / max(1, self._num_channels) ** 2
        if _CANCELLED * self._mean_power >= unrelated:
            return None
        return int(self._powers.argmax())
