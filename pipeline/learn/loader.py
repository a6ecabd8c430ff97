"""Batches of packed samples, read by worker processes straight into memory that they share.

What is drawn, and in which order, depends on neither shards, workers nor ranks.
"""

from __future__ import annotations

import math
import mmap
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.errors import UserError
from pipeline.learn.batch import Batch
from pipeline.learn.sampler import Sampler
from pipeline.store.packed_samples import Packed, Samples
from pipeline.system import interrupts, sandbox

_PREFETCH = 2
# Of a batch that the consumer works on, one that it still holds, and one that is handed over.
_NUM_SLOTS_OUTSIDE = 3


class Loader:
    """Iterating yields the batches of an epoch, one `Batch` a step, for one of several ranks.

    Every global batch is `batch_size` draws that follow each other; rank r of w gets every w-th
    of them from the r-th, so that all ranks see together what one would alone. Set the epoch by
    `sampler.set_epoch` before an iteration begins, which Lightning does.

    `state_dict` is the position in the epoch. It goes on with any number of workers and, with the
    same global batch size, of ranks.

    `clips` and `sounds` lie in memory that is used again once nothing refers to them or to views
    of them.
    """

    batch_sampler = None
    """Lightning looks for it where there is a `sampler`."""

    def __init__(
        self,
        packed: Packed,
        labels: NDArray[np.int64],
        sampler: Sampler,
        *,
        batch_size: int,
        drop_last: bool,
        num_workers: int,
        rank: int = 0,
        world: int = 1,
        pinned: bool = False,
    ) -> None:
        """Read rows of `packed`; `labels` (N,) are those of all its rows.

        `pinned` batches are copied to page-locked memory in the background; it takes CUDA.
        """
        assert batch_size % world == 0, (batch_size, world)
        self.sampler = sampler
        self._labels, self._presences, self._pinned = labels, packed.presences, pinned
        num_slots = max(1, _PREFETCH * num_workers) + _NUM_SLOTS_OUTSIDE
        self._slots = _Slots(num_slots, batch_size // world, packed.samples)
        num_draws = len(sampler) // batch_size * batch_size if drop_last else len(sampler)
        self._requests = _Requests(sampler, self._slots, batch_size, num_draws, rank, world)
        self._loader: DataLoader[_Request | UserError] = DataLoader(
            _Filler(packed, self._slots),
            batch_size=None,
            sampler=self._requests,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            prefetch_factor=_PREFETCH if num_workers else None,
            # Workers inherit the slots.
            multiprocessing_context="fork" if num_workers else None,
            worker_init_fn=_obey_the_parent_alone,
        )
        self._position = {"epoch": 0, "batch": 0}
        self._resumed: dict[str, int] | None = None

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self._requests)

    def state_dict(self) -> dict[str, int]:
        """The `epoch`, and how many batches of it (`batch`) were yielded."""
        return self._resumed or dict(self._position)

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next iteration go on from there, if it is of that epoch."""
        self._resumed = dict(state_dict)

    def __iter__(self) -> Iterator[Batch]:
        resumed, self._resumed = self._resumed, None
        epoch = self.sampler.epoch
        first = resumed["batch"] if resumed and resumed["epoch"] == epoch else 0
        self._position = position = {"epoch": epoch, "batch": first}
        self._requests.first = first
        with _signals_blocked():
            batches = map(self._batch, iter(self._loader))
        for batch in _pinned_ahead(batches) if self._pinned else batches:
            assert self._position is position, "another iteration has begun"
            position["batch"] += 1
            yield batch

    def _batch(self, done: _Request | UserError) -> Batch:
        if isinstance(done, UserError):
            raise done
        clips, sounds = self._slots.lend(done.slot, len(done.rows))
        return Batch(
            clips,
            sounds,
            torch.from_numpy(self._presences[done.rows]),
            torch.from_numpy(self._labels[done.rows]),
            torch.from_numpy(np.full(len(done.rows), done.epoch)),
            torch.from_numpy(done.positions),
        )


class _Request(NamedTuple):
    """Rows to read into a slot. Workers give it back as it is when they are done."""

    slot: int
    rows: NDArray[np.int64]
    epoch: int
    positions: NDArray[np.int64]


class _Slots:
    """Memory for some batches, shared with the processes that are forked after it is made.

    It is anonymous, so the size of /dev/shm, 64 MB in a container, does not matter.
    """

    def __init__(self, num_slots: int, num_clips: int, samples: Samples) -> None:
        self._shape, self._num_sound = samples.shape, samples.num_sound
        self._num_bytes = self._end(num_clips) + _aligned(2 * num_clips * self._num_sound)
        self._memory = mmap.mmap(-1, num_slots * self._num_bytes)
        self._free = list(range(num_slots))
        self._taken: set[int] = set()

    def arrays(self, slot: int, num_clips: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """The first clips of a slot, uint8 (num_clips, T, H, W, 3), and int16 (num_clips, S)."""
        return self._parts(self._bytes(slot), num_clips)

    def _bytes(self, slot: int) -> NDArray[np.uint8]:
        return np.frombuffer(self._memory, np.uint8, self._num_bytes, slot * self._num_bytes)

    def _parts(
        self, memory: NDArray[np.uint8], num_clips: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        shape, end = (num_clips, *self._shape), self._end(num_clips)
        sounds = memory[end : end + 2 * num_clips * self._num_sound].view(np.int16)
        return memory[: math.prod(shape)].reshape(shape), sounds.reshape(num_clips, -1)

    def _end(self, num_clips: int) -> int:
        """Return where the frames of some clips end and their sounds begin."""
        return _aligned(num_clips * math.prod(self._shape))

    def take(self) -> int:
        """A slot that is free, to be filled."""
        # The one that was used last is in the cache still.
        slot = self._free.pop()
        self._taken.add(slot)
        return slot

    def lend(self, slot: int, num_clips: int) -> tuple[Tensor, Tensor]:
        """Clips and sounds of a slot that was filled; it is free when the last view is gone."""
        self._taken.remove(slot)
        memory = self._bytes(slot)
        if not self._free:
            # The consumer keeps batches: it gets copies, and the workers go on.
            self._free.append(slot)
            memory = memory.copy()
        else:
            # Views of it refer to this very array.
            weakref.finalize(memory, self._free.append, slot).atexit = False
        clips, sounds = self._parts(memory, num_clips)
        return torch.from_numpy(clips), torch.from_numpy(sounds)

    def reclaim(self) -> None:
        """Free what was taken for batches that nobody will ask for any more."""
        self._free.extend(self._taken)
        self._taken.clear()


def _aligned(num_bytes: int) -> int:
    """Round up to where what follows may begin with vectors."""
    return -(-num_bytes // 64) * 64


class _Requests:
    """The batches of one rank, from `first` on."""

    def __init__(
        self,
        sampler: Sampler,
        slots: _Slots,
        batch_size: int,
        num_draws: int,
        rank: int,
        world: int,
    ) -> None:
        self._sampler, self._slots = sampler, slots
        self._batch_size, self._num_draws = batch_size, num_draws
        self._rank, self._world = rank, world
        self.first = 0

    def __len__(self) -> int:
        # A rank has no part in a last batch that is too short for it.
        return math.ceil(max(0, self._num_draws - self._rank) / self._batch_size)

    def __iter__(self) -> Iterator[_Request]:
        # By now, no worker fills what an iteration before asked for.
        self._slots.reclaim()
        rows = self._sampler.draw()
        for batch in range(self.first, len(self)):
            start = batch * self._batch_size
            end = min(start + self._batch_size, self._num_draws)
            positions = np.arange(start + self._rank, end, self._world)
            yield _Request(self._slots.take(), rows[positions], self._sampler.epoch, positions)


class _Filler(Dataset["_Request | UserError"]):
    """Reads the rows of a request into its slot, in a worker process where there are any."""

    def __init__(self, packed: Packed, slots: _Slots) -> None:
        self._packed, self._slots = packed, slots

    def __getitem__(self, request: _Request) -> _Request | UserError:
        frames, sounds = self._slots.arrays(request.slot, len(request.rows))
        try:
            for row, seen, heard in zip(request.rows.tolist(), frames, sounds, strict=True):
                self._packed.samples.read_into(self._packed.at(row), seen, heard)
        except UserError as error:
            # Raised in a worker, it would come with the worker's traceback in its message.
            return error
        return request


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Have workers that are forked in the block begin, and stay, with the signals blocked.

    One that blocked them by itself could be ended before it does, by a signal to the whole group.
    PyTorch raises that in the parent, wherever its main thread is, before the state is saved.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _obey_the_parent_alone(worker: int) -> None:
    """Read on while the parent, which a terminal tells to stop as well, saves its state.

    The signals were blocked when the worker was forked.
    """
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sandbox.die_with_parent()


def _end_with(parent: int) -> None:
    while signal.sigwaitinfo(interrupts.SIGNALS).si_pid != parent:
        pass
    os._exit(0)


def _as_it_is(request: Any) -> Any:
    return request


def _pinned_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Copy each batch to pinned memory in a thread, while the one before is worked on."""

    def pinned() -> Batch | None:
        batch = next(batches, None)
        return batch and Batch(*(tensor.pin_memory() for tensor in batch))

    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(pinned)
        while (batch := ahead.result()) is not None:
            ahead = thread.submit(pinned)
            yield batch
