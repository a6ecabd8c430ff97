"""Limits what a foreign file may cost, and holds the one exception for one without pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass


class DecodeError(Exception):
    """A foreign file gives no pictures; `reason` is a short code, the text says what happened."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class OutputError(DecodeError):
    """The clips of a file take more bytes than they may."""

    def __init__(self, max_output_mb: float) -> None:
        super().__init__("too_much_output", f"its clips take more than {max_output_mb:g} MB")


@dataclass(frozen=True)
class DecodingLimits:
    """What a foreign file may cost: pixels of a frame, its length, and what its clips take."""

    max_pixels: int
    max_duration_s: float
    max_output_mb: float = 1024.0

    def check_pixels(self, width: int, height: int) -> None:
        """Raise `DecodeError` for a frame of too many pixels."""
        if width * height > self.max_pixels:
            raise DecodeError("too_large", f"{width}x{height} pixels a frame")


class Budget:
    """Holds what the clips of one file have taken, pictures and sound, of what they may."""

    def __init__(self, max_output_mb: float) -> None:
        """Start on a file whose clips may take `max_output_mb` together."""
        self._max_output_mb = max_output_mb
        self._num_bytes = 0

    def spend(self, num_bytes: int) -> None:
        """Count a part of a clip; raises `OutputError` once the file has given too much."""
        self._num_bytes += num_bytes
        if self._num_bytes > self._max_output_mb * 1e6:
            raise OutputError(self._max_output_mb)


def hostile_errors() -> tuple[type[Exception], ...]:
    """Return what PyAV raises on hostile files, besides its own errors."""
    import av

    others = (OSError, ValueError, AttributeError, LookupError, EOFError, RuntimeError)
    return (av.FFmpegError, *others, TypeError, ArithmeticError)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Turn what PyAV raises on hostile files into `DecodeError`."""
    try:
        yield
    except MemoryError:
        raise
    except hostile_errors() as error:
        raise DecodeError("decode_error", f"{type(error).__name__}: {error}") from error
