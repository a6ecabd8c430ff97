"""The sound of a foreign file, on the clock of its pictures.

FFmpeg's decoders already leave out what encoders put before the sound (priming, by the container's
edit list or the codec's own header). What is left is told by timestamps, which are rounded, may
drift from the samples, and begin anew where recordings were joined.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.footage.foreign import damage, mixing, tracks
from pipeline.footage.foreign.mixing import Heard, SoundBlock
from pipeline.footage.foreign.refusals import DecodingLimits, hostile_errors, refusing

RATES_HZ = (4_000, 192_000)
"""The lowest and the highest rate that is read; of others no recorder writes sound."""
# Timestamps are compared by their median over this many frames: one alone is rounded or shaken.
_FRAMES_COMPARED = 9
# Where the samples are this far from the timestamps, they are moved: sound and picture would part.
_DRIFT_S = 0.0025
# A difference this large is a gap or a jump, and no rounding.
_JUMP_S = 0.1
# A clock that leaps this far from where it was expected may have begun anew.
_ANEW_S = 1.0
# The rate may change so many times, and once a second besides, as streams do at advertisements.
# Each change costs a filter of its own, so that a small file of nothing else would take an hour.
_MOST_RATE_CHANGES = 30
# Codecs overlap their frames, so that one that is lost spoils its neighbours.
_SPOILT_S = 0.05


class Sound:
    """The sound track of a foreign file that a player plays.

    Attributes:
        codec: FFmpeg's name, or None if the file has no track that can be decoded.
        rate: samples a second, or None as above.
        channels: their number, or None as above.
        marks: codes of what is unusual; complete after the last samples: "several_sounds",
            "sound_no_decoder" (no track of a codec that can be decoded), "sound_refused" (a rate or
            a number of channels that is not read), "sound_damaged", "sound_gap", "sound_drifts",
            "sound_changes" (of rate or channels), "sound_cancels" (as `mixing.mix` tells).
        damaged: stretches in seconds of a player's clock in which something could not be decoded,
            or gave what is no sound, and all that follows where the rate changes all the time.
    """

    def __init__(self, path: Path, limits: DecodingLimits, zeros_s: Sequence[float]) -> None:
        """Open a file whose pictures have been read.

        Args:
            path: the file.
            limits: what it may cost.
            zeros_s: where the clock of a player begins on the clock of the file, and where it
                begins after each place where the latter begins anew.

        Raises:
            DecodeError: it cannot be opened.
        """
        self.marks: set[str] = set()
        self.damaged: list[tuple[float, float]] = []
        self.codec: str | None = None
        self.rate: int | None = None
        self.channels: int | None = None
        self._zeros_s = list(zeros_s) or [0.0]
        self._file = tracks.open_file(path, limits)
        with refusing():
            self._stream = self._choose()

    def _choose(self) -> Any | None:
        """The default track, or the first one, of those that can be decoded."""
        found = list(self._file.streams.audio)
        decodable = [stream for stream in found if stream.codec_context is not None]
        if len(found) > 1:
            self.marks.add("several_sounds")
        if not decodable:
            self.marks |= {"sound_no_decoder"} if found else set()
            return None
        stream = tracks.by_preference(decodable)[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"err_detect": damage.ERROR_CHECKS}
        mixing.forget_order(stream.codec_context)
        self.codec = stream.codec_context.name
        return stream

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def heard(self) -> Iterator[Heard]:
        """Yield the samples in order of time.

        Raises:
            DecodeError: a file that PyAV cannot cope with.
        """
        return mixing.mix(self._placed(), self.marks)

    def _placed(self) -> Iterator[SoundBlock]:
        if self._stream is None:
            return
        track = _Track(self._zeros_s, self.marks)
        with refusing():
            for frame, is_after_loss in self._frames():
                if frame is None:
                    self._add_damage(track.end_s, math.inf)
                    return
                self.rate = self.rate or frame.sample_rate
                self.channels = self.channels or frame.layout.nb_channels
                found = mixing.channels_of(frame) if self._is_readable(frame) else None
                if found is None:
                    self.marks.add("sound_refused")
                    return
                channels, is_cut_off = mixing.cut_off(found)
                if (frame.sample_rate, len(channels)) != (self.rate, self.channels):
                    self.marks.add("sound_changes")
                before_s = track.end_s
                one = track.place(frame.time, frame.sample_rate, channels)
                if track.num_rate_changes > _MOST_RATE_CHANGES + track.end_s:
                    self._add_damage(before_s, math.inf)
                    return
                if is_after_loss:
                    self._add_damage(before_s, (one.start_s if one else before_s) + _SPOILT_S)
                if is_cut_off and one is not None:
                    self._add_damage(one.start_s, track.end_s)
                if one is not None:
                    yield one

    def _add_damage(self, start_s: float, end_s: float) -> None:
        self.marks.add("sound_damaged")
        start_s, end_s = start_s - _SPOILT_S, end_s + _SPOILT_S
        if self.damaged and start_s <= self.damaged[-1][1]:
            # A track that is damaged all over has one stretch of damage.
            before_s, until_s = self.damaged.pop()
            start_s, end_s = min(before_s, start_s), max(until_s, end_s)
        self.damaged.append((start_s, end_s))

    def _is_readable(self, frame: Any) -> bool:
        lowest, highest = RATES_HZ
        return lowest <= frame.sample_rate <= highest and (
            1 <= frame.layout.nb_channels <= mixing.MAX_CHANNELS
        )

    def _frames(self) -> Iterator[tuple[Any | None, bool]]:
        """Frames out of the decoder, and whether something before them was lost.

        None at the end of a track of which the last part was.
        """
        is_lost = False
        for read in tracks.read_packets(self._file, self._stream):
            frames: list[Any] = []
            is_lost |= read.is_lost
            if read.packet is not None:
                is_lost |= read.packet.is_corrupt
                try:
                    frames = read.packet.decode()
                except MemoryError:
                    raise
                except hostile_errors():
                    is_lost |= not tracks.is_empty(read.packet)
            for frame in frames:
                if frame.samples:
                    yield frame, is_lost or frame.is_corrupt
                    is_lost = False
        if is_lost:
            yield None, True


class _Track:
    """Puts samples on a player's clock: by their number, as long as timestamps agree.

    Attributes:
        end_s: when the last samples end.
        num_rate_changes: of samples that follow each other.
    """

    def __init__(self, zeros_s: list[float], marks: set[str]) -> None:
        self._zeros_s, self._marks = zeros_s, marks
        self._epoch = 0
        self._start_s, self._count, self._rate = 0.0, 0, 0
        self._apart: deque[float] = deque(maxlen=_FRAMES_COMPARED)
        self.end_s = 0.0
        self.num_rate_changes = 0

    def place(
        self, time_s: float | None, rate: int, channels: NDArray[np.float64]
    ) -> SoundBlock | None:
        """Tell when samples (channels, n) are heard; None for those that repeat an earlier time."""
        begins = self._rate != rate
        at_s = self.end_s if time_s is None else self._on_players_clock(time_s)
        apart_s = at_s - self.end_s
        if not self._rate:
            begins = True
        elif apart_s < -_JUMP_S:
            # What was played before is not played over.
            self._marks.add("sound_gap")
            return None
        elif apart_s > _JUMP_S:
            self._marks.add("sound_gap")
            begins = True
        elif not begins:
            self._apart.append(apart_s)
            middle_s = float(np.median(self._apart))
            begins = len(self._apart) == _FRAMES_COMPARED and abs(middle_s) > _DRIFT_S
            if begins:
                self._marks.add("sound_drifts")
                at_s = self.end_s + middle_s
        if begins:
            self.num_rate_changes += 0 < self._rate != rate
            self._start_s, self._count, self._rate = at_s, 0, rate
            self._apart.clear()
        start_s = self._start_s + self._count / rate
        self._count += channels.shape[1]
        self.end_s = self._start_s + self._count / rate
        return SoundBlock(start_s, rate, channels, begins)

    def _on_players_clock(self, time_s: float) -> float:
        at_s = time_s - self._zeros_s[self._epoch]
        if abs(at_s - self.end_s) > _ANEW_S and self._epoch + 1 < len(self._zeros_s):
            anew_s = time_s - self._zeros_s[self._epoch + 1]
            if abs(anew_s - self.end_s) < abs(at_s - self.end_s):
                self._epoch += 1
                return anew_s
        return at_s
