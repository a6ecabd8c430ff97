"""Frames that are flagged as interlaced, made whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Generic, TypeVar

from pipeline.footage.foreign.picture import shape

Note = TypeVar("Note")


def deinterlaced(frames: Iterable[tuple[Any, Note]], marks: set[str]) -> Iterator[tuple[Any, Note]]:
    """Yield `av.VideoFrame`s one for one with what belongs to each, interlaced ones made whole."""
    deinterlacer: _Deinterlacer[Note] | None = None
    for frame, note in frames:
        if frame.interlaced_frame and deinterlacer is None:
            marks.add("interlaced")
            deinterlacer = _Deinterlacer()
        if deinterlacer is None:
            yield frame, note
        else:
            yield from deinterlacer.push(frame, note)
    if deinterlacer is not None:
        yield from deinterlacer.flush()


class _Deinterlacer(Generic[Note]):
    def __init__(self) -> None:
        self._graph: Any = None
        self._shape: tuple[Any, ...] = ()
        self._waiting: dict[int, Note] = {}
        self._count = 0

    def push(self, frame: Any, note: Note) -> Iterator[tuple[Any, Note]]:
        if shape(frame) != self._shape:
            yield from self.flush()
            self._start(frame)
        # The filter gives times back; ours name the frame.
        frame.pts, frame.time_base = self._count, Fraction(1)
        self._waiting[self._count] = note
        self._count += 1
        self._graph.vpush(frame)
        yield from self._pull()

    def flush(self) -> Iterator[tuple[Any, Note]]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pull()

    def _start(self, frame: Any) -> None:
        import av

        self._shape = shape(frame)
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        self._graph.link_nodes(
            self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
            ),
            self._graph.add("bwdif", "mode=send_frame:deint=interlaced"),
            self._graph.add("buffersink"),
        ).configure()

    def _pull(self) -> Iterator[tuple[Any, Note]]:
        import av

        while True:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield frame, self._waiting.pop(round(frame.pts * frame.time_base))
