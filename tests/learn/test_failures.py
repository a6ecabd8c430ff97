from __future__ import annotations

import errno

import pytest
import torch

from pipeline import app
from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.failures import in_plain_words


@pytest.fixture
def cfg() -> TrainApp:
    cfg = app.compose("train", "batch_size=48", "run.num_workers=3")
    assert isinstance(cfg, TrainApp)
    return cfg


def test_a_tensor_too_large_for_the_machine_names_the_batch_size(cfg: TrainApp) -> None:
    remedy = r"out of memory with batch_size=48 \(.*allocate.*\); lower batch_size"
    with pytest.raises(UserError, match=remedy), in_plain_words(cfg):
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_every_lack_of_memory_is_told_in_one_line(cfg: TrainApp, error: Exception) -> None:
    expected = pytest.raises(UserError, match="out of memory with batch_size=48")
    with expected as told, in_plain_words(cfg):
        raise error
    assert "\n" not in str(told.value)


def test_a_lost_worker_names_workers_and_shared_memory(cfg: TrainApp) -> None:
    error = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    expected = pytest.raises(UserError, match=r"lower run\.num_workers=3 .*--shm-size")
    with expected, in_plain_words(cfg):
        raise error


def test_a_full_disk_names_the_file(cfg: TrainApp) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "models/model.json")
    expected = pytest.raises(
        UserError, match=r"models/model\.json: no space left on the disk; free"
    )
    with expected, in_plain_words(cfg):
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), OSError("no"), KeyError("a")])
def test_other_errors_stay_what_they_are(cfg: TrainApp, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, in_plain_words(cfg):
        raise error
    assert raised.value is error


def test_what_is_plain_already_stays(cfg: TrainApp) -> None:
    with pytest.raises(UserError, match=r"^out of memory, as it were$"), in_plain_words(cfg):
        raise UserError("out of memory, as it were")
