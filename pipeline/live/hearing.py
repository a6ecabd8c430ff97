"""The sound of windows while they come, read beside the pictures by a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import cast

import numpy as np

from pipeline.footage import foreign
from pipeline.footage.foreign.mixing import Heard
from pipeline.footage.foreign.sound import Sound
from pipeline.footage.sound import ClipSound, clip_sounds
from pipeline.live.relay import PipeRelay
from pipeline.store.manifest import ABSENT, DAMAGED


class WindowSound:
    """Gives windows, which come in order of time, the sound of their times."""

    def __init__(
        self,
        path: Path,
        limits: foreign.DecodingLimits,
        zeros_s: Sequence[float],
        num_samples: int,
        wait_s: float | None,
        hear: Callable[[Iterator[Heard]], Iterator[Heard]] | None = None,
    ) -> None:
        """Begin to listen.

        Args:
            path: of the bytes, which nobody else reads if it is a pipe.
            limits: what may come out of it.
            zeros_s: as `foreign.Video.zeros_s` has it.
            num_samples: of a window.
            wait_s: how long a window may wait for sound that is late, after which it is without;
                None to wait for as long as it takes, as in a file.
            hear: hands on what is heard of the track.
        """
        self._num_samples, self._wait_s, self._hear = num_samples, wait_s, hear
        self._asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[ClipSound] = queue.SimpleQueue()
        # Answers that are still to come, for windows that went on without.
        self._num_late = 0
        self._is_closed = self._is_over = False
        self._limits, self._zeros_s = limits, tuple(zeros_s)
        threading.Thread(target=self._listen, args=(path,), daemon=True).start()

    def hear(self, start: int) -> ClipSound:
        """The sound of the window that begins at output sample `start`."""
        self._asked.put(start)
        wait_s = self._wait_s
        # A track that was late once is waited for again only once it has caught up.
        while self._num_late:
            try:
                self._told.get_nowait()
            except queue.Empty:
                self._num_late += 1
                return self._nothing(ABSENT)
            self._num_late -= 1
        try:
            return self._told.get(timeout=wait_s)
        except queue.Empty:
            self._num_late += 1
            return self._nothing(ABSENT)

    @property
    def is_late(self) -> bool:
        """Return whether the track goes on, and the last window went on without it."""
        return not self._is_over and self._num_late > 0

    def close(self) -> None:
        """Let the thread end, at the next window that it is asked for."""
        self._asked.put(None)

    def _nothing(self, presence: str) -> ClipSound:
        return ClipSound(np.zeros(self._num_samples, np.int16), presence)

    def _listen(self, path: Path) -> None:
        if self._wait_s is None:
            self._answer(nullcontext(path), None)
            return
        relay = PipeRelay(path)
        while not self._is_closed:
            self._answer(relay.next_path(), relay)

    def _answer(self, opened: AbstractContextManager[Path], relay: PipeRelay | None) -> None:
        """Answer what is asked for by one track, until another one begins."""
        self._is_over = False
        damaged: list[tuple[float, float]] = []
        # They are gone through once, so that they need not be known yet.
        starts = cast(Sequence[int], self._starts(relay))
        heard = self._heard(opened, damaged)
        heard = heard if self._hear is None else self._hear(heard)
        try:
            for one in clip_sounds(heard, damaged, starts, self._num_samples):
                self._told.put(one)
        except (foreign.DecodeError, MemoryError):
            # A track that cannot be read costs a stream nothing else.
            self._is_over = True
            self._told.put(self._nothing(DAMAGED))
            for _ in starts:
                self._told.put(self._nothing(DAMAGED))

    def _starts(self, relay: PipeRelay | None) -> Iterator[int]:
        while not (self._is_over and relay is not None and relay.has_next):
            start = self._asked.get()
            if start is None:
                self._is_closed = True
                return
            yield start

    def _heard(
        self, opened: AbstractContextManager[Path], damaged: list[tuple[float, float]]
    ) -> Iterator[Heard]:
        with ExitStack() as stack:
            with opened as path:
                track = stack.enter_context(Sound(path, self._limits, self._zeros_s))
            track.damaged = damaged
            yield from track.heard()
        self._is_over = True
