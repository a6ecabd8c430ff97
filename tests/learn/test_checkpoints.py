from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline import app
from pipeline.errors import UserError
from pipeline.learn.checkpoints import PlainCheckpoints, run_key
from pipeline.store.packed_samples import Packed
from tests.learn.toy import write_toy

STATE = {"architecture": {"name": "flash", "width": 8}, "state_dict": {"a": torch.ones(3)}}


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    PlainCheckpoints().save_checkpoint(STATE, path)
    return path


def test_what_was_saved_is_read(path: Path) -> None:
    loaded = PlainCheckpoints().load_checkpoint(path)
    assert loaded["architecture"] == STATE["architecture"]
    assert torch.equal(loaded["state_dict"]["a"], torch.ones(3))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("num_values", [10, 10_000_000])
def test_a_full_disk_leaves_the_checkpoint_before(path: Path, num_values: int) -> None:
    before = path.read_bytes()
    path.with_suffix(".part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"last\.ckpt: .*No space left on device.*free space"):
        PlainCheckpoints().save_checkpoint({**STATE, "b": torch.zeros(num_values)}, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("kind", ["torch", "legacy", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, kind: str) -> None:
    path, sign = tmp_path / "last.ckpt", tmp_path / "was-run"
    bomb = {**STATE, "callbacks": Bomb(sign)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(bomb, path, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(UserError, match=r"last\.ckpt: holds more than numbers.*not opened; remov"):
        PlainCheckpoints().load_checkpoint(path, weights_only=False)
    assert not sign.exists()


def test_a_cut_off_checkpoint_is_damaged(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"last\.ckpt: damaged .*remove it"):
        PlainCheckpoints().load_checkpoint(path)


@pytest.mark.parametrize("other", [{"weights": torch.ones(2)}, torch.ones(2), ["architecture"]])
def test_another_file_of_torch_is_refused(path: Path, other: object) -> None:
    torch.save(other, path)
    with pytest.raises(UserError, match=r"last\.ckpt: not a checkpoint of train;"):
        PlainCheckpoints().load_checkpoint(path)


def test_a_run_is_told_by_its_settings_samples_and_features(tmp_path: Path) -> None:
    write_toy(tmp_path / "packed", num_train=4, num_val=4)
    packed = Packed.open(str(tmp_path / "packed"), tmp_path)
    cfg = app.compose("train")
    first = run_key(cfg, packed, None)
    assert run_key(app.compose("train"), packed, None) == first
    assert run_key(app.compose("train", "lr=1e-5"), packed, None) != first
    assert run_key(app.compose("train", "run.progress=false"), packed, None) == first
    other = replace(packed, index_sha256="0")
    assert run_key(cfg, other, None) != first
