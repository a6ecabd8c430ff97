"""Counts what scoring costs: processor time by step, for an hour of video and a million clips."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

HASHES, DECODING, CHEAP, DETECTOR = "hashes", "decoding", "cheap pass", "detector"
PARTS = (HASHES, DECODING, CHEAP, DETECTOR)
_HOUR_S = 3600.0
_MILLION = 1_000_000


@dataclass
class Costs:
    """Processor seconds by what they were spent on, added to from any thread."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, part: str, seconds: float) -> None:
        """Add processor seconds."""
        with self._lock:
            self.cpu_s[part] = self.cpu_s.get(part, 0.0) + seconds

    def merge(self, cpu_s: Mapping[str, float]) -> None:
        """Add what was spent elsewhere."""
        for part, seconds in cpu_s.items():
            self.add(part, seconds)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add what this thread spends in the block."""
        began = time.thread_time()
        try:
            yield
        finally:
            self.add(part, time.thread_time() - began)


def in_words(cpu_s: Mapping[str, float], video_s: float, num_clips: int, price: float) -> list[str]:
    """Return what was spent, a sentence a line.

    Args:
        cpu_s: processor seconds by part.
        video_s: seconds of video of the rows, each of those with equal bytes counted.
        num_clips: clips that were scored, in whatever step.
        price: of an hour of a processor.
    """
    total = sum(cpu_s.values())
    shares = ", ".join(f"{part} {cpu_s[part]:.1f} s" for part in PARTS if cpu_s.get(part))
    told = [f"processor time: {total:.1f} s ({shares or 'none'})"]
    if video_s:
        told.append(
            f"an hour of video took {total / video_s * _HOUR_S:,.0f} s of a processor "
            f"({video_s / _HOUR_S:.2f} h of video)"
        )
    if num_clips:
        hours = total / num_clips * _MILLION / _HOUR_S
        told.append(
            f"a million clips, with all other rows of such a listing, would take {hours:,.1f} h of "
            f"a processor, at price={price:g} an hour {hours * price:,.2f}"
        )
    return told
