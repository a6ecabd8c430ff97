"""Video from outside: probe, demux and decode with PyAV, trusting nothing that a file says.

Only listed containers are opened, so none that follows names to other files or to the network.
Times come from timestamps. Damage does not end a file: its pictures are marked until the next
key frame. Everything runs in one thread, in which FFmpeg's error log tells of each packet.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

# Demuxers of one self-contained file. Not here: playlists (hls, dash, concat, imf), numbered
# images (image2), text that names files (subtitles, ffmetadata), devices, and raw samples.
CONTAINERS = (
    "aiff,apng,asf,avi,dv,flac,flv,gif,gxf,h261,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mp3,"
    "mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,wav,webm,wtv,yuv4mpegpipe"
)
_PLAYLISTS = {"hls", "concat", "dash", "imf", "image2", "sdp", "rtsp"}
# A picture stays on the screen this long at most; later ones come after a break.
LONGEST_PICTURE_S = 5.0
# Larger pictures are halved as they arrive, or the held ones would not fit into memory.
MAX_HELD_PIXELS = 4096 * 2304
# Pixels wider or higher than this many times their other side are a mistake in the header.
_MAX_ASPECT = 4.0
_MAX_READ_ERRORS = 64
_ERROR_CHECKS = "crccheck+bitstream+buffer+explode"
_HDR_TRANSFERS = {16, 18}  # PQ and HLG in ITU-T H.273
_MAX_FPS = 1000
# Matroska and others round times to milliseconds.
_ROUNDING_S = 1e-3
# How much earlier than stated a file may end, where the statement is exact and where it is not.
_END_TOLERANCE_S, _LOOSE_END_TOLERANCE_S = 0.1, 0.5


class DecodeError(Exception):
    """A foreign file gives no pictures; `reason` is a short code, the text says what happened."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What a foreign file may cost: pixels of a frame, its length, and the size of its clips."""

    max_pixels: int
    max_duration_s: float
    max_output_mb: float = 1024.0


@dataclass(frozen=True, slots=True)
class Picture:
    """The frame on the screen at time index / fps.

    Attributes:
        index: place on the grid of times.
        frame: the `av.VideoFrame`, unconverted but for a reduction of giants.
        reduction: how many stored pixels a pixel of `frame` is wide and high.
        damaged: the decoder may have papered over missing or wrong data.
        after_break: not the continuation of the picture before.
    """

    index: int
    frame: Any
    reduction: int
    damaged: bool
    after_break: bool


@dataclass
class _Damage:
    """Times in seconds that are suspect: from the key frame before a bad packet to the next."""

    spans: list[list[float]] = field(default_factory=list)
    is_open: bool = False

    def begin(self, time_s: float) -> None:
        if not self.is_open:
            self.spans.append([time_s, math.inf])
            self.is_open = True
        self.spans[-1][0] = min(self.spans[-1][0], time_s)

    def end(self, time_s: float) -> None:
        if self.is_open:
            self.spans[-1][1] = time_s
            self.is_open = False

    def touches(self, start_s: float, end_s: float) -> bool:
        return any(start < end_s and start_s < end for start, end in self.spans)


class Video:
    """The first video stream of a foreign file.

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

    def __init__(self, path: Path, limits: Limits) -> None:
        import av

        self._limits = limits
        self._damage = _Damage()
        self._first_s = 0.0
        self._num_packets = 0
        # Times of the last packet, and of the last good key frame.
        self._packet_s = self._key_s = 0.0
        self._last_other_s = 0.0
        self.marks: set[str] = set()
        self.duration_s = 0.0
        # Without a level PyAV drops FFmpeg's log; repeated lines would hide damage.
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        with av.logging.Capture() as logs:
            try:
                with refusing():
                    self._file = av.open(str(path), options=_open_options(limits))
            except DecodeError as error:
                raise _refused_container(logs) or error from error
        with refusing():
            self._prepare()

    def _prepare(self) -> None:
        if not self._file.streams.video:
            raise DecodeError("no_video", "the file holds no video stream")
        stream = self._stream = self._file.streams.video[0]
        codec = stream.codec_context
        if codec is None:
            raise DecodeError("no_decoder", "no decoder for the codec of the video stream")
        stream.thread_count = 1
        codec.options = {"err_detect": _ERROR_CHECKS, "max_pixels": str(self._limits.max_pixels)}
        self.container = self._file.format.name
        self.codec = codec.name
        self.pixel_format = codec.pix_fmt or "unknown"
        self.width, self.height = stream.width, stream.height
        _check_pixels(self.width, self.height, self._limits)
        rate = stream.average_rate or stream.guessed_rate
        self.fps = float(rate) if rate and 0 < rate <= _MAX_FPS else None
        self.aspect = self._read_aspect()

    def _read_aspect(self) -> float:
        aspect = float(self._stream.sample_aspect_ratio or 1)
        if 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
            return aspect
        self.marks.add("absurd_aspect")
        return 1.0

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def is_damaged(self, start_s: float, end_s: float) -> bool:
        """Whether damage found so far touches a stretch of time after the first frame."""
        return self._damage.touches(start_s + self._first_s, end_s + self._first_s)

    def pictures(self, fps: float) -> Iterator[Picture]:
        """Yield the frames on the screen at times 0, 1/fps, 2/fps … after the first frame.

        Raises:
            DecodeError: nothing to decode, or over the limits.
        """
        index, after_break = 0, False
        shape: tuple[Any, ...] | None = None
        with refusing():
            for shown in self._shown():
                if shown.after_break:
                    index, after_break = (
                        max(index, math.ceil((shown.start_s - _ROUNDING_S) * fps)),
                        True,
                    )
                frame, reduction = None, 1
                while index / fps < shown.end_s - _ROUNDING_S:
                    if frame is None:
                        frame, reduction = _reduced(shown.frame)
                        last_shape, shape = shape, _shape(frame)
                        if last_shape not in (None, shape):
                            self.marks.add("changes_shape")
                            after_break = True
                    # A frame that stays because the next is lost is no truer than damage.
                    is_damaged = shown.is_damaged or self.is_damaged(
                        index / fps, index / fps + _ROUNDING_S
                    )
                    yield Picture(index, frame, reduction, is_damaged, after_break)
                    index, after_break = index + 1, False
                self.duration_s = shown.end_s
            self._check_end()

    def _shown(self) -> Iterator[_Shown]:
        """Frames with the times at which they appear and vanish."""
        last: _Shown | None = None
        step_s = 1 / (self.fps or 25.0)
        shortest_s, longest_s = math.inf, 0.0
        for frame, is_damaged, time_s in self._frames():
            if last is None:
                self._first_s = time_s
                last = _Shown(frame, is_damaged, 0.0)
                continue
            at_s = time_s - self._first_s
            if at_s <= last.start_s:
                self.marks.add("times_go_back")
                continue
            if at_s > self._limits.max_duration_s:
                raise DecodeError("too_long", f"runs past {self._limits.max_duration_s:g} s")
            is_gap = at_s - last.start_s > LONGEST_PICTURE_S
            if is_gap:
                self.marks.add("gap")
            else:
                step_s = at_s - last.start_s
                shortest_s, longest_s = min(shortest_s, step_s), max(longest_s, step_s)
            last.end_s = last.start_s + step_s if is_gap else at_s
            yield last
            last = _Shown(frame, is_damaged, at_s, after_break=is_gap)
        if last is None:
            raise DecodeError("no_frames", "the video stream holds no frame that can be decoded")
        if longest_s > 1.5 * shortest_s:
            self.marks.add("variable_rate")
        last.end_s = last.start_s + step_s
        yield last

    def _frames(self) -> Iterator[tuple[Any, bool, float]]:
        """Decoded frames, deinterlaced, whether they are damaged, and their times in seconds."""
        deinterlacer: _Deinterlacer | None = None
        for frame, is_damaged, time_s in self._decoded():
            if frame.interlaced_frame and deinterlacer is None:
                self.marks.add("interlaced")
                deinterlacer = _Deinterlacer()
            if deinterlacer is None:
                yield frame, is_damaged, time_s
            else:
                yield from deinterlacer.push(frame, is_damaged, time_s)
        if deinterlacer is not None:
            yield from deinterlacer.flush()

    def _decoded(self) -> Iterator[tuple[Any, bool, float]]:
        step_s = 1 / (self.fps or 25.0)
        last_s = -step_s
        for packet in self._packets():
            for frame in self._decode(packet):
                _check_pixels(frame.width, frame.height, self._limits)
                time = frame.time
                if time is None:
                    self.marks.add("no_timestamps")
                last_s = time_s = last_s + step_s if time is None else time
                is_damaged = frame.is_corrupt or self._damage.touches(time_s, time_s + 1e-9)
                if is_damaged:
                    self.marks.add("damaged")
                if frame.color_trc in _HDR_TRANSFERS:
                    self.marks.add("hdr")
                yield frame, is_damaged, time_s

    def _decode(self, packet: Any) -> list[Any]:
        """Frames that a packet completes; what goes wrong is noted as damage."""
        import av

        frames: list[Any] = []
        time_s = self._packet_s
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is not None:
            time_s = float(pts * packet.time_base)
        is_bad = packet.is_corrupt
        with av.logging.Capture() as logs:
            try:
                frames = packet.decode()
            except MemoryError:
                raise
            except _hostile_errors():
                is_bad = True
        if is_bad or logs:
            self._note_damage(min(time_s, self._packet_s))
        elif packet.is_keyframe:
            self._damage.end(time_s)
            self._key_s = time_s
        self._packet_s = time_s
        return frames

    def _note_damage(self, time_s: float) -> None:
        """Suspect all since the last key frame: an error shows late, or not at all."""
        self.marks.add("damaged")
        self._damage.begin(min(time_s, self._key_s))

    def _packets(self) -> Iterator[Any]:
        """Packets of the video stream; a part that cannot be read is damage, not the end."""
        import av

        num_errors = 0
        packets = self._file.demux()
        while num_errors <= _MAX_READ_ERRORS:
            packet = None
            with av.logging.Capture() as logs:
                try:
                    packet = next(packets, None)
                except MemoryError:
                    raise
                except _hostile_errors():
                    num_errors += 1
                    packets = self._file.demux()
                    self._note_damage(self._packet_s)
                    continue
            if logs:
                self._note_damage(self._packet_s)
            if packet is None:
                return
            if packet.stream is self._stream:
                self._num_packets += packet.size > 0
                yield packet
            elif packet.pts is not None:
                self._last_other_s = max(self._last_other_s, float(packet.pts * packet.time_base))

    def _check_end(self) -> None:
        """Mark a file that ends before it said it would."""
        stream, end_s = self._stream, self._first_s + self.duration_s
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
        if stated_s > max(self._limits.max_duration_s, 10 * end_s + 60):
            self.marks.add("absurd_duration")
        elif end_s < stated_s - tolerance_s or self._num_packets < stream.frames:
            self.marks.add("ends_early")


@dataclass
class _Shown:
    frame: Any
    is_damaged: bool
    start_s: float
    end_s: float = 0.0
    after_break: bool = False


class _Deinterlacer:
    """Turns frames that are flagged as interlaced into whole ones, one for one."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._shape: tuple[Any, ...] = ()
        self._waiting: dict[int, tuple[bool, float]] = {}
        self._count = 0

    def push(
        self, frame: Any, is_damaged: bool, time_s: float
    ) -> Iterator[tuple[Any, bool, float]]:
        if _shape(frame) != self._shape:
            yield from self.flush()
            self._start(frame)
        # The filter gives times back; ours name the frame.
        frame.pts, frame.time_base = self._count, Fraction(1)
        self._waiting[self._count] = is_damaged, time_s
        self._count += 1
        self._graph.vpush(frame)
        yield from self._pull()

    def flush(self) -> Iterator[tuple[Any, bool, float]]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pull()

    def _start(self, frame: Any) -> None:
        import av

        self._shape = _shape(frame)
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        self._graph.link_nodes(
            self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
            ),
            self._graph.add("bwdif", "mode=send_frame:deint=interlaced"),
            self._graph.add("buffersink"),
        ).configure()

    def _pull(self) -> Iterator[tuple[Any, bool, float]]:
        import av

        while True:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield frame, *self._waiting.pop(round(frame.pts * frame.time_base))


def _open_options(limits: Limits) -> dict[str, str]:
    return {
        "protocol_whitelist": "file",
        "format_whitelist": CONTAINERS,
        "max_pixels": str(limits.max_pixels),
        "threads": "1",
    }


def _refused_container(logs: list[tuple[int, str, str]]) -> DecodeError | None:
    for _, name, text in logs:
        if "m3u8/hls" in text:
            return DecodeError("playlist", "hls can open other files")
        if text.startswith("Format not on whitelist") and name in _PLAYLISTS:
            return DecodeError("playlist", f"{name} can open other files")
        if text.startswith("Format not on whitelist"):
            return DecodeError("container", f"{name} is no container of video")
    return None


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise DecodeError("too_large", f"{width}x{height} pixels a frame")


def _shape(frame: Any) -> tuple[Any, ...]:
    return frame.width, frame.height, frame.format.name


def _reduced(frame: Any) -> tuple[Any, int]:
    """A frame small enough to hold many of, and how many times it was reduced each way."""
    reduction = 1
    while frame.width * frame.height > MAX_HELD_PIXELS * reduction**2:
        reduction *= 2
    if reduction == 1:
        return frame, 1
    name = frame.format.name
    small = frame.reformat(
        width=frame.width // reduction,
        height=frame.height // reduction,
        format=name if name.startswith(("yuv", "gray")) else "rgba",
        interpolation="AREA",
        threads=1,
    )
    return small, reduction


def _hostile_errors() -> tuple[type[Exception], ...]:
    """What PyAV raises on hostile files, besides its own errors."""
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
    except _hostile_errors() as error:
        raise DecodeError("decode_error", f"{type(error).__name__}: {error}") from error
