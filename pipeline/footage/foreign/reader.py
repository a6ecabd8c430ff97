"""The pictures of a foreign file, as a player shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.footage.foreign import clocks, damage, flashes, tracks
from pipeline.footage.foreign.clocks import ROUNDING_S, Decoded, FrameTimeline
from pipeline.footage.foreign.interlace import deinterlaced
from pipeline.footage.foreign.picture import ScreenFrame, reduced, shape
from pipeline.footage.foreign.refusals import DecodeError, DecodingLimits, hostile_errors, refusing

# Pixels wider or higher than this many times their other side are a mistake in the header.
_MAX_ASPECT = 4.0
_HDR_TRANSFERS = {16, 18}  # PQ and HLG in ITU-T H.273
_USUAL_STEP_S = 1 / 25
# How much earlier than stated a file may end, where the statement is exact and where it is not.
_END_TOLERANCE_S, _LOOSE_END_TOLERANCE_S = 0.1, 0.5


class Video:
    """The video track of a foreign file that a player shows.

    Attributes:
        container, codec, pixel_format: FFmpeg's names.
        width, height: stored pixels, as the file states them.
        fps: average frame rate that the file states, or None.
        aspect: width of a pixel over its height.
        duration_s: until the end of the last frame; known after the last picture.
        marks: codes of what is unusual; complete after the last picture.

    Raises:
        DecodeError: from the constructor and from `pictures`.
    """

    def __init__(self, path: Path, limits: DecodingLimits) -> None:
        self._limits = limits
        self._damage = damage.Damage()
        self._num_packets = 0
        self._last_other_s = 0.0
        self.marks: set[str] = set()
        self.duration_s = 0.0
        tracks.heed_warnings()
        self._file = tracks.open_file(path, limits)
        with refusing():
            self._prepare(path)

    def _prepare(self, path: Path) -> None:
        number, are_several = tracks.choose(self._file, path, self._limits)
        if are_several:
            self.marks.add("several_videos")
        stream = self._stream = self._file.streams[number]
        codec = stream.codec_context
        stream.thread_count = 1
        codec.options = {
            "err_detect": damage.ERROR_CHECKS,
            "max_pixels": str(self._limits.max_pixels),
        }
        self.container = self._file.format.name
        self.codec = codec.name
        self.pixel_format = codec.pix_fmt or "unknown"
        self.width, self.height = stream.width, stream.height
        self._limits.check_pixels(self.width, self.height)
        self.fps = clocks.stated_fps(self.container, stream)
        self.aspect = self._read_aspect()
        self._clock = clocks.clock_of(self.container, self.codec, self.fps)
        start = self._file.start_time
        self._timeline = FrameTimeline(
            None if start is None else start / 1e6,
            1 / self.fps if self.fps else _USUAL_STEP_S,
            self._limits.max_duration_s,
            self.marks,
        )

    def _read_aspect(self) -> float:
        aspect = float(self._stream.sample_aspect_ratio or 1)
        if 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
            return aspect
        self.marks.add("absurd_aspect")
        return 1.0

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    @property
    def zeros_s(self) -> tuple[float, ...]:
        """Return when a player's clock begins on that of the file; see `FrameTimeline.zeros_s`."""
        return tuple(self._timeline.zeros_s)

    def is_damaged(self, first_number: int, last_number: int) -> bool:
        """Give whether damage found so far touches one of the frames from one number to another."""
        return self._damage.touches(first_number, last_number)

    def pictures(self, fps: float) -> Iterator[ScreenFrame]:
        """Yield the frames on the screen at times 0, 1/fps, 2/fps … of a player's clock.

        That clock begins where the file does, with its sound, say, or with pictures that cannot be
        decoded; the first picture has the index at which it appears. In place of a frame stands one
        between its time and the next whose flash would be lost otherwise, as `flashes.keep` has it.

        Raises:
            DecodeError: nothing to decode, or over the limits.
        """
        with refusing():
            yield from flashes.keep(self._on_screen(fps))
        if not self.duration_s:
            raise DecodeError("no_frames", "the video track holds no frame that can be decoded")
        if self._damage.was_found:
            self.marks.add("damaged")
        self._check_end()

    def _on_screen(self, fps: float) -> Iterator[tuple[ScreenFrame, bool]]:
        """Every frame, and whether it is on the screen at the time of its index or passed over."""
        index, after_break = 0, False
        last_shape: tuple[Any, ...] | None = None
        for shown in self._timeline.place(deinterlaced(self._decoded(), self.marks)):
            if shown.start_s > self._limits.max_duration_s:
                raise DecodeError("too_long", f"runs past {self._limits.max_duration_s:g} s")
            if shown.after_break or last_shape is None:
                index = max(index, math.ceil((shown.start_s - ROUNDING_S) * fps))
            after_break |= shown.after_break
            is_damaged = self.is_damaged(shown.number, shown.number)
            if index / fps >= shown.end_s - ROUNDING_S:
                passed = ScreenFrame(
                    index - 1, shown.frame, 1, shown.number, is_damaged, after_break
                )
                yield passed, False
            else:
                frame, reduction = reduced(shown.frame)
                if last_shape not in (None, shape(frame)):
                    self.marks.add("changes_shape")
                    after_break = True
                last_shape = shape(frame)
            while index / fps < shown.end_s - ROUNDING_S:
                picture = ScreenFrame(
                    index, frame, reduction, shown.number, is_damaged, after_break
                )
                yield picture, True
                index, after_break = index + 1, False
            self.duration_s = shown.end_s

    def _decoded(self) -> Iterator[tuple[Any, Decoded]]:
        """Frames as they come out of the decoder, which is in the order in which they are shown."""
        number = 0
        next_s = 0.0
        for packet in self._packets():
            for frame in self._decode(packet):
                self._limits.check_pixels(frame.width, frame.height)
                self._damage.shown(
                    number, is_key=frame.key_frame, pts=frame.pts, is_corrupt=frame.is_corrupt
                )
                time_s = self._clock.time_s(frame)
                if time_s is None:
                    self.marks.add("no_timestamps")
                    time_s = next_s
                next_s = time_s + self._timeline.step_s
                if frame.color_trc in _HDR_TRANSFERS:
                    self.marks.add("hdr")
                yield frame, Decoded(number, time_s)
                number += 1

    def _decode(self, packet: Any) -> list[Any]:
        """Frames that a packet completes; what goes wrong is noted as damage."""
        import av

        frames: list[Any] = []
        is_lost = False
        with av.logging.Capture() as logs:
            try:
                frames = packet.decode()
            except MemoryError:
                raise
            except hostile_errors():
                is_lost = not tracks.is_empty(packet)
        self._clock.push(packet, is_lost=is_lost)
        is_wrong = is_lost and not damage.is_empty_unit(logs)
        self._damage.pushed(
            is_key=packet.is_keyframe,
            pts=packet.pts,
            is_bad=is_wrong or damage.harms(packet, self.codec) or damage.tells_of_pictures(logs),
        )
        return frames

    def _packets(self) -> Iterator[Any]:
        """Packets of the video track; a part that cannot be read is damage, not the end."""
        for read in tracks.read_packets(self._file):
            if read.is_lost:
                self._damage.note()
                continue
            if damage.tells_of_pictures(read.logs):
                self._damage.note()
            if damage.tells_of_the_end(read.logs):
                self.marks.add("ends_early")
            packet = read.packet
            if packet is None:
                return
            if packet.stream is self._stream:
                self._num_packets += packet.size > 0
                yield packet
            elif packet.pts is not None:
                self._last_other_s = max(self._last_other_s, float(packet.pts * packet.time_base))

    def _check_end(self) -> None:
        """Mark a file that ends before it said it would."""
        if not self._timeline.is_continuous:
            return
        stream, end_s = self._stream, self._timeline.zero_s + self.duration_s
        if stream.duration is not None and stream.time_base:
            start_s = float((stream.start_time or 0) * stream.time_base)
            stated_s = start_s + float(stream.duration * stream.time_base)
            tolerance_s = max(_END_TOLERANCE_S, 2 / (self.fps or 25.0))
        elif self._file.duration is not None:
            stated_s = self._file.duration / 1e6
            tolerance_s = _LOOSE_END_TOLERANCE_S
            end_s = max(end_s, self._last_other_s)
        else:
            return
        num_stated = stream.frames
        if self.container == "avi" and self.fps:
            # It counts frames that are left out too.
            stated_s, num_stated = max(stated_s, stream.frames / self.fps), 0
        if stated_s > max(self._limits.max_duration_s, 10 * end_s + 60):
            self.marks.add("absurd_duration")
        elif end_s < stated_s - tolerance_s or self._num_packets < num_stated:
            self.marks.add("ends_early")
