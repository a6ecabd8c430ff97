from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn import loader as module
from pipeline.learn.batch import Batch
from pipeline.learn.loader import Loader
from pipeline.learn.sampler import BalancedSampler, InOrder
from pipeline.store.manifest import ABSENT, PRESENCES, PRESENT
from pipeline.store.packed_samples import ENCODINGS, Packed
from pipeline.system import interrupts
from tests.learn.toy import toy_sound, write_toy

NUM = 40
LABELS = np.arange(NUM) % 4
SOURCES = np.arange(NUM) % 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same clips packed in each encoding."""
    folder = tmp_path_factory.mktemp("loader")
    return {
        encoding: write_toy(
            folder / encoding, num_train=NUM, num_val=0, encoding=encoding, heard=True
        )
        for encoding in ENCODINGS
    }


Make = Callable[..., Loader]


@pytest.fixture
def encoding() -> str:
    return "raw"


in_each_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


@pytest.fixture
def make(folders: dict[str, Path], encoding: str, tmp_path: Path) -> Make:
    """A loader of 9 balanced batches of 4, or of all samples in order."""

    def made(*, epoch: int = 0, in_order: bool = False, num_rows: int = 38, **how: Any) -> Loader:
        rows = np.arange(num_rows)
        balanced = BalancedSampler(rows, LABELS[rows], SOURCES[rows], source_balance=0.5, seed=7)
        balanced.set_epoch(epoch)
        return Loader(
            Packed.open(folders[encoding], tmp_path),
            LABELS,
            InOrder(rows) if in_order else balanced,
            **{"batch_size": 4, "drop_last": not in_order, "num_workers": 0} | how,
        )

    return made


def fingerprint(batch: Batch) -> tuple[bytes, ...]:
    return tuple(tensor.numpy().tobytes() for tensor in batch)


@in_each_encoding
@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(make: Make, num_workers: int) -> None:
    alone = [fingerprint(batch) for batch in make()]
    loader = make(num_workers=num_workers)
    for _ in range(2):
        assert [fingerprint(batch) for batch in loader] == alone
    assert len(alone) == len(loader) == 9


@in_each_encoding
def test_shards_change_nothing(make: Make, encoding: str, tmp_path: Path) -> None:
    other = write_toy(
        tmp_path / "other",
        num_train=NUM,
        num_val=0,
        encoding=encoding,
        shard_samples=3,
        heard=True,
    )
    packed = Packed.open(other, tmp_path)
    assert len(packed.names) == 14
    first = make()
    again = Loader(packed, LABELS, first.sampler, batch_size=4, drop_last=True, num_workers=0)
    assert [fingerprint(b) for b in first] == [fingerprint(b) for b in again]


@in_each_encoding
@pytest.mark.parametrize("world", [2, 4])
def test_ranks_see_together_what_one_sees(make: Make, world: int) -> None:
    ranks = [list(make(rank=rank, world=world)) for rank in range(world)]
    for whole, *parts in zip(make(), *ranks, strict=True):
        assert {len(part.clips) for part in parts} == {4 // world}
        for field, *pieces in zip(whole, *parts, strict=True):
            assert (torch.stack(pieces, 1).flatten(0, 1) == field).all()


@in_each_encoding
@pytest.mark.parametrize("num_rows", [36, 37, 38, 39])
def test_ranks_see_every_sample_of_val_once(make: Make, num_rows: int) -> None:
    loaders = [make(in_order=True, num_rows=num_rows, rank=rank, world=2) for rank in range(2)]
    batches = [list(loader) for loader in loaders]
    assert [len(one) for one in batches] == [len(loader) for loader in loaders]
    positions = np.concatenate([batch.positions for one in batches for batch in one])
    assert sorted(positions.tolist()) == list(range(num_rows))


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 2), (2, 1), (0, 2), (2, 0)])
def test_an_epoch_goes_on_from_any_batch_with_any_number_of_workers(
    make: Make, before: int, after: int
) -> None:
    whole = [fingerprint(batch) for batch in make(epoch=2)]
    for num_seen in (0, 1, 5, 9):
        loader = make(epoch=2, num_workers=before)
        batches = iter(loader)
        for _ in range(num_seen):
            next(batches)
        state = loader.state_dict()
        assert state == {"epoch": 2 if num_seen else 0, "batch": num_seen}
        resumed = make(epoch=2, num_workers=after)
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state
        assert [fingerprint(batch) for batch in resumed] == whole[num_seen:]
        assert [fingerprint(batch) for batch in resumed] == whole


def test_the_place_in_an_epoch_that_is_over_means_nothing_to_the_next(make: Make) -> None:
    loader = make(epoch=1)
    list(loader)
    resumed = make(epoch=2)
    resumed.load_state_dict(loader.state_dict())
    assert len(list(resumed)) == 9


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_that_are_kept_stay_as_they_were(make: Make, num_workers: int) -> None:
    expected = [fingerprint(batch) for batch in make()]
    kept = list(make(num_workers=num_workers))
    assert [fingerprint(batch) for batch in kept] == expected


@in_each_encoding
def test_a_batch_holds_the_sound_of_its_samples(make: Make) -> None:
    for batch in make(in_order=True):
        for position, sound, presence in zip(
            batch.positions.tolist(), batch.sounds, batch.presences.tolist(), strict=True
        ):
            expected = toy_sound(position)
            assert PRESENCES[presence] == (ABSENT if expected is None else PRESENT)
            assert np.array_equal(sound, np.zeros(12_800) if expected is None else expected)


@pytest.mark.parametrize("name", ["clips", "sounds"])
def test_a_view_keeps_the_memory_of_its_batch(make: Make, name: str) -> None:
    batches = iter(make())
    batch = next(batches)
    view = getattr(batch, name)[1:2].movedim(0, -1)
    expected = view.clone()
    del batch
    for _ in range(6):
        next(batches)
    assert (view == expected).all()


def test_memory_is_used_again(make: Make) -> None:
    loader = make(num_workers=2)
    where = {batch.clips.data_ptr() for _ in range(3) for batch in loader}
    assert len(where) <= 2 * module._PREFETCH + module._NUM_SLOTS_OUTSIDE


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_iteration_that_was_left_costs_the_next_nothing(make: Make, num_workers: int) -> None:
    expected = [fingerprint(batch) for batch in make()]
    loader = make(num_workers=num_workers)
    for num_seen in (1, 3, 2, 1, 4):
        batches = iter(loader)
        for _ in range(num_seen):
            next(batches)
    assert [fingerprint(batch) for batch in loader] == expected


def test_two_iterations_at_once_are_a_bug(make: Make) -> None:
    loader = make()
    first = iter(loader)
    next(first)
    next(iter(loader))
    with pytest.raises(AssertionError, match="another iteration"):
        next(first)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_shard_that_is_cut_is_named_in_one_sentence(tmp_path: Path, num_workers: int) -> None:
    folder = write_toy(tmp_path / "packed", num_train=NUM, num_val=0)
    loader = Loader(
        Packed.open(folder, tmp_path),
        LABELS,
        InOrder(np.arange(NUM)),
        batch_size=4,
        drop_last=False,
        num_workers=num_workers,
    )
    os.truncate(folder / "shard-00002.raw", 1000)
    with pytest.raises(UserError) as raised:
        list(loader)
    assert "shard-00002.raw: truncated or changed" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_workers_end_with_their_loader(make: Make) -> None:
    loader = make(num_workers=2)
    batches: Iterator[Batch] | None = iter(loader)
    next(batches)
    workers = [worker.pid for worker in loader._loader._iterator._workers]
    del loader, batches
    for pid in workers:
        deadline = time.monotonic() + 120
        while _runs(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_that_the_parent_got_too_ends_no_worker_that_begins(
    make: Make, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    begin = module._obey_the_parent_alone

    def told(worker: int) -> None:
        os.kill(os.getpid(), number)
        begin(worker)

    monkeypatch.setattr(module, "_obey_the_parent_alone", told)
    assert len(list(make(num_workers=2))) == 9


def test_the_parent_of_workers_can_be_told_to_stop(make: Make) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    batches = iter(make(num_workers=2))
    next(batches)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_batch_is_made_ready_while_the_one_before_is_used(monkeypatch: Any) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", Tensor.clone)
    made: list[int] = []

    def batches() -> Iterator[Batch]:
        for number in range(3):
            made.append(number)
            yield Batch(*(torch.full((2,), number) for _ in Batch._fields))

    ahead = module._pinned_ahead(batches())
    assert next(ahead).clips.tolist() == [0, 0]
    deadline = time.monotonic() + 120
    while len(made) < 2:
        assert time.monotonic() < deadline
    assert [batch.clips.tolist() for batch in ahead] == [[1, 1], [2, 2]]


class Learner(pl.LightningModule):
    """Learns nothing, and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, int, list[int]]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen.append((self.current_epoch, batch_idx, batch.positions.tolist()))
        assert batch.epochs.eq(self.current_epoch).all()
        return self.weight * batch.clips.float().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder: Path, *callbacks: pl.Callback) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        default_root_dir=folder,
    )


class Cut(Exception):
    pass


class SaveAndStop(pl.Callback):
    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            raise Cut


@pytest.mark.parametrize("step", [1, 4, 13, 18])
def test_lightning_goes_on_in_the_middle_of_an_epoch(make: Make, tmp_path: Path, step: int) -> None:
    whole = Learner()
    trainer(tmp_path).fit(whole, make())
    assert [len(one[2]) for one in whole.seen] == [4] * 27
    cut, path = Learner(), tmp_path / "cut.ckpt"
    with pytest.raises(Cut):
        trainer(tmp_path, SaveAndStop(path, step)).fit(cut, make(num_workers=2))
    assert len(cut.seen) == step
    rest = Learner()
    trainer(tmp_path).fit(rest, make(num_workers=1), ckpt_path=path)
    assert cut.seen + rest.seen == whole.seen
    assert rest.weight == whole.weight != 0
