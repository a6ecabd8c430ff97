"""The sound of windows while they come, read beside the pictures by a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import numpy as np

from pipeline.footage import foreign
from pipeline.footage.foreign.mixing import Heard
from pipeline.footage.foreign.sound import Sound
from pipeline.footage.sound import ClipSound, clip_sounds
from pipeline.store.manifest import ABSENT, DAMAGED

_READ_BYTES = 2**16


class Ear:
    """Gives windows, which come in order of time, the sound of their times."""

    def __init__(
        self,
        path: Path,
        limits: foreign.Limits,
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
        self._told: queue.SimpleQueue[ClipSound | str] = queue.SimpleQueue()
        # Answers that are still to come, for windows that went on without.
        self._num_late = 0
        self._over: str | None = None
        arguments = (path, limits, tuple(zeros_s))
        threading.Thread(target=self._listen, args=arguments, daemon=True).start()

    def hear(self, start: int) -> ClipSound:
        """The sound of the window that begins at output sample `start`."""
        self._asked.put(start)
        wait_s = self._wait_s
        # A track that was late once is waited for again only once it has caught up.
        while self._over is None and self._num_late:
            try:
                self._take(0.0)
            except queue.Empty:
                self._num_late += 1
                return self._nothing(ABSENT)
            self._num_late -= 1
        if self._over is not None:
            return self._nothing(self._over)
        try:
            told = self._take(wait_s)
        except queue.Empty:
            self._num_late += 1
            return self._nothing(ABSENT)
        return self._nothing(told) if isinstance(told, str) else told

    @property
    def is_late(self) -> bool:
        """Whether the track goes on, and the last window went on without it."""
        return self._over is None and self._num_late > 0

    def close(self) -> None:
        """Let the thread end, at the next window that it is asked for."""
        self._asked.put(None)

    def _take(self, wait_s: float | None) -> ClipSound | str:
        told = self._told.get(timeout=wait_s) if wait_s != 0 else self._told.get_nowait()
        if isinstance(told, str):
            self._over = told
        return told

    def _nothing(self, presence: str) -> ClipSound:
        return ClipSound(np.zeros(self._num_samples, np.int16), presence)

    def _starts(self) -> Iterator[int]:
        while (start := self._asked.get()) is not None:
            yield start

    def _listen(self, path: Path, limits: foreign.Limits, zeros_s: tuple[float, ...]) -> None:
        try:
            with Sound(path, limits, zeros_s) as track:
                # They are gone through once, so that they need not be known yet.
                starts = cast(Sequence[int], self._starts())
                heard = self._drained(track.heard(), path)
                heard = heard if self._hear is None else self._hear(heard)
                for one in clip_sounds(heard, track.damaged, starts, self._num_samples):
                    self._told.put(one)
        except (foreign.DecodeError, MemoryError):
            # A track that cannot be read costs a stream nothing else.
            self._told.put(DAMAGED)
            self._drain(path)

    def _drained(self, heard: Iterator[Heard], path: Path) -> Iterator[Heard]:
        """Samples, after the last of which the rest of the bytes is read as well."""
        yield from heard
        threading.Thread(target=self._drain, args=(path,), daemon=True).start()

    def _drain(self, path: Path) -> None:
        # Where there is no sound, or none any more, whoever writes the same bytes for the pictures
        # would wait for ever for these to be read.
        if self._wait_s is None:
            return
        with suppress(OSError), path.open("rb", buffering=0) as rest:
            while rest.read(_READ_BYTES):
                pass
