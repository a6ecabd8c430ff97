"""Tells when a frame is shown: seconds of a player's clock, which begins where the file begins."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

# Elementary streams: no packet has a time of its own.
_RAW = {"h261", "h263", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu"}
# Decoded frames that wait for one that is shown before them, at most.
_MOST_WAITING = {"h264": 16, "hevc": 16}
_MAX_FPS = 1000
# A clock that goes back farther, or for more frames, begins anew; less is disorder.
_MAX_DISORDER_S, _MAX_DISORDER = 1.0, 4
# A picture that appears within this time of the start is on the screen from the start.
_PROMPT_S = 0.1
# A picture stays on the screen this long at most; later ones come after a break.
LONGEST_PICTURE_S = 5.0
# Matroska and others round times to milliseconds.
ROUNDING_S = 1e-3


class FrameClock(Protocol):
    """Gives decoded frames their times; is told of every packet before its frames."""

    def push(self, packet: Any, *, is_lost: bool) -> None:
        """A packet has been decoded; if `is_lost`, without a picture for its time."""

    def time_s(self, frame: Any) -> float | None:
        """Return when the next frame that comes out is shown; None where that cannot be told."""


class _Stamps:
    """Times that frames carry."""

    def push(self, packet: Any, *, is_lost: bool) -> None:
        pass

    def time_s(self, frame: Any) -> float | None:
        return frame.time


class _Slots:
    """Times of packets in the order in which they lie: those of AVI name no frame.

    The first frame shown gets the first time, the second the second: frames are decoded in
    another order than they are shown in, but there are as many times as frames.
    """

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._slots: list[float] = []

    def push(self, packet: Any, *, is_lost: bool) -> None:
        if packet.dts is not None and packet.size and not is_lost:
            heapq.heappush(self._slots, float(packet.dts * packet.time_base))

    def time_s(self, frame: Any) -> float | None:
        while len(self._slots) > self._most_waiting + 1:
            heapq.heappop(self._slots)
        return heapq.heappop(self._slots) if self._slots else frame.time


class _Counter:
    """Times by the number of the frame, where nothing but a rate is known."""

    def __init__(self, fps: float) -> None:
        self._fps, self._count = fps, 0

    def push(self, packet: Any, *, is_lost: bool) -> None:
        self._count += is_lost and packet.size > 0

    def time_s(self, frame: Any) -> float | None:
        self._count += 1
        return (self._count - 1) / self._fps


def stated_fps(container: str, stream: Any) -> float | None:
    """Mean frames a second that a file states, or None.

    The demuxers of elementary streams assume 25, whatever the stream itself says.
    """
    codec = stream.codec_context
    rates = [stream.average_rate, stream.guessed_rate]
    if container in _RAW:
        rates = [codec.framerate, stream.guessed_rate, stream.average_rate]
    return next((float(rate) for rate in rates if rate and 0 < rate <= _MAX_FPS), None)


def clock_of(container: str, codec: str, fps: float | None) -> FrameClock:
    """The clock by which the frames of a container are told."""
    if container in _RAW:
        return _Counter(fps or 25.0)
    if container == "avi":
        return _Slots(_MOST_WAITING.get(codec, 1))
    return _Stamps()


@dataclass
class Decoded:
    """A frame out of the decoder, or the filter behind it.

    Attributes:
        number: of the frame, in the order in which they are shown.
        time_s: on the file's own clock.
    """

    number: int
    time_s: float


@dataclass
class TimedFrame:
    """A frame and when it appears and vanishes, in seconds after the start of the file."""

    frame: Any
    number: int
    start_s: float
    end_s: float = 0.0
    after_break: bool = False


class FrameTimeline:
    """Puts frames one after the other on the clock of a player.

    Attributes:
        step_s: between the last two frames.
        is_continuous: the file's clock has never begun anew, so its own end can be compared.
        zeros_s: on the file's clock, where the player's begins, and where it would have begun for
            what follows each place at which the file's begins anew.
    """

    def __init__(
        self, zero_s: float | None, step_s: float, longest_s: float, marks: set[str]
    ) -> None:
        self._zero_s, self._longest_s = zero_s, longest_s
        self.step_s, self._marks = step_s, marks
        self.is_continuous = True
        self.zeros_s: list[float] = []

    @property
    def zero_s(self) -> float:
        """The last of `zeros_s`; 0 before the first frame."""
        return self.zeros_s[-1] if self.zeros_s else 0.0

    def place(self, frames: Iterable[tuple[Any, Decoded]]) -> Iterator[TimedFrame]:
        """Yield every frame with the times at which it appears and vanishes.

        Frames that belong before one already shown are passed over; where the clock begins anew,
        as in recordings joined byte by byte, it goes on after a break. A picture that would stay
        for longer than `LONGEST_PICTURE_S` is followed by a gap.
        """
        last: TimedFrame | None = None
        # When the last frame came, which for the first may be later than it is shown.
        before_s = 0.0
        shortest_s, longest_s = float("inf"), 0.0
        for frame, number, at_s, begins_anew in self._forward(frames):
            if last is None:
                if at_s >= _PROMPT_S:
                    self._marks.add("starts_late")
                last = TimedFrame(frame, number, at_s if at_s >= _PROMPT_S else 0.0)
                before_s = at_s
                continue
            is_gap = at_s - last.start_s > LONGEST_PICTURE_S
            if is_gap:
                self._marks.add("gap")
            elif not begins_anew:
                self.step_s = at_s - before_s
                shortest_s = min(shortest_s, self.step_s)
                longest_s = max(longest_s, self.step_s)
            last.end_s = last.start_s + self.step_s if is_gap else at_s
            yield last
            last = TimedFrame(frame, number, at_s, after_break=is_gap or begins_anew)
            before_s = at_s
        if last is None:
            return
        if longest_s > 1.5 * shortest_s:
            self._marks.add("variable_rate")
        last.end_s = last.start_s + self.step_s
        yield last

    def _forward(
        self, frames: Iterable[tuple[Any, Decoded]]
    ) -> Iterator[tuple[Any, int, float, bool]]:
        """Frame, number, time that only grows, and whether the file's clock began anew with it."""
        last_s = -1.0
        behind: list[tuple[Any, Decoded]] = []
        for frame, one in frames:
            if last_s < 0:
                self._start(one.time_s)
            at_s = one.time_s - self.zero_s
            if last_s >= 0 and at_s - last_s > self._longest_s:
                # No player waits for so long.
                self._marks.add("gap")
                for found in self._begin_anew([(frame, one)], last_s):
                    last_s = found[2]
                    yield found
            elif at_s > last_s:
                behind = []
                last_s = at_s
                yield frame, one.number, at_s, False
            elif at_s < last_s:
                self._marks.add("times_go_back")
                behind.append((frame, one))
                if last_s - at_s > _MAX_DISORDER_S or len(behind) == _MAX_DISORDER:
                    for found in self._begin_anew(behind, last_s):
                        last_s = found[2]
                        yield found
                    behind = []
        if behind:
            yield from self._begin_anew(behind, last_s)

    def _start(self, first_s: float) -> None:
        zero_s = first_s if self._zero_s is None else self._zero_s
        is_likely = 0 <= first_s - zero_s <= self._longest_s
        self.zeros_s.append(zero_s if is_likely else first_s)

    def _begin_anew(
        self, behind: list[tuple[Any, Decoded]], last_s: float
    ) -> Iterator[tuple[Any, int, float, bool]]:
        self.is_continuous = False
        self.zeros_s.append(behind[0][1].time_s - (last_s + self.step_s))
        is_first = True
        for frame, one in behind:
            at_s = one.time_s - self.zero_s
            if at_s > last_s:
                yield frame, one.number, at_s, is_first
                last_s, is_first = at_s, False
