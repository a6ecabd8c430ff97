from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import train
from pipeline import app
from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.data import BalancedSampler, Draw
from pipeline.learn.module import Classifier
from pipeline.packed import INDEX
from tests.learn.toy import write_packed

TINY = [
    "num_threads=1",
    "num_epochs=4",
    "batch_size=8",
    "widths=[8,8,16]",
    "dilations=[1,2]",
    "dropout=0.3",
    "max_shift_px=2",
    "run.wandb=disabled",
    "run.progress=false",
]
OUTPUTS = ["curves.csv", "metrics.json", "model.json", "model.safetensors", "stats.json"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_packed(tmp_path_factory.mktemp("data") / "packed")


def overrides(packed: Path, folder: Path, num_workers: int, *more: str) -> list[str]:
    paths = [f"paths.packed={packed}", f"paths.models={folder / 'models'}"]
    work = [f"paths.work={folder / 'work'}", f"run.num_workers={num_workers}"]
    return [*TINY, *paths, *work, *more]


def fit(packed: Path, folder: Path, num_workers: int = 0, *more: str) -> Path:
    cfg = app.compose("train", *overrides(packed, folder, num_workers, *more))
    assert isinstance(cfg, TrainApp)
    train.run(cfg)
    return folder / "models"


def hashes(models: Path) -> dict[str, str]:
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in models.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(packed, tmp_path_factory.mktemp("undisturbed"))


def test_a_run_leaves_its_outputs_and_no_checkpoint(undisturbed: Path) -> None:
    assert sorted(hashes(undisturbed)) == OUTPUTS
    assert not list((undisturbed.parent / "work").rglob("*.ckpt"))
    curves = (undisturbed / "curves.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curves] == ["epoch", "0", "1", "2", "3"]


def test_the_weights_load_and_tell_their_data(undisturbed: Path, packed: Path) -> None:
    card = weights.load(undisturbed).card
    index = hashlib.sha256((packed / "index.parquet").read_bytes()).hexdigest()
    assert card["data"]["sha256"]["index.parquet"] == index
    assert {"source", "origin", "licence", "authority", "train", "val"} == set(
        card["data"]["footage"][0]
    )
    assert card["config"]["num_epochs"] == 4


@pytest.mark.parametrize("num_workers", [1, 2])
def test_neither_folder_nor_workers_change_a_byte(
    undisturbed: Path, packed: Path, tmp_path: Path, num_workers: int
) -> None:
    assert hashes(fit(packed, tmp_path, num_workers)) == hashes(undisturbed)


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    undisturbed: Path, packed: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "train.py", *overrides(packed, tmp_path, 0)]
    process = subprocess.Popen(command, cwd=app.PROJECT)
    deadline = time.monotonic() + 300
    while not (saved := list(tmp_path.glob("work/train/*/last.ckpt"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert saved[0].is_file()
    assert not (tmp_path / "models").exists()
    assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


def test_a_run_that_fails_at_its_end_trains_no_epoch_again(
    undisturbed: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(weights, "save", fail)
        with pytest.raises(OSError, match="disk full"):
            fit(packed, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", fail)
        assert hashes(fit(packed, tmp_path)) == hashes(undisturbed)


def test_a_loss_that_is_not_finite_keeps_earlier_weights_and_outputs(
    packed: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "model.json").write_text("earlier")
    with pytest.raises(UserError, match=r"loss became (nan|inf).*lower lr"):
        fit(packed, tmp_path, 0, "lr=1e30", "gradient_clip=1e30")
    assert (models / "model.json").read_text() == "earlier"


def test_a_missing_packed_folder_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"index\.parquet: missing; run dvc repro pack"):
        fit(tmp_path / "nowhere", tmp_path)


def test_every_epoch_draws_anew(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = []

    class Spy(BalancedSampler):
        def __iter__(self) -> Iterator[Draw]:
            epochs.append(self.epoch)
            return super().__iter__()

    monkeypatch.setattr("pipeline.learn.data.BalancedSampler", Spy)
    fit(packed, tmp_path)
    assert epochs == [0, 1, 2, 3]


def accuracy_after_learning(packed: Path, folder: Path) -> float:
    models = fit(packed, folder, 0, "lr=1e-2", "num_epochs=8", "jitter=0.0", "dropout=0.0")
    accuracy = json.loads((models / "metrics.json").read_text())["val_accuracy"]
    return float(accuracy)


def test_true_labels_teach_and_shuffled_ones_do_not(tmp_path: Path) -> None:
    packed = write_packed(tmp_path / "packed", num_train=64, num_val=64)
    assert accuracy_after_learning(packed, tmp_path / "true") > 0.7
    shuffle_train_labels(packed / INDEX)
    assert accuracy_after_learning(packed, tmp_path / "shuffled") < 0.5


def shuffle_train_labels(path: Path) -> None:
    index = pq.read_table(path)
    is_train = np.array(index["split"]) == "train"
    order = np.arange(index.num_rows)
    order[is_train] = np.random.default_rng(0).permutation(order[is_train])
    for name in ("origin", "discharge"):
        place = index.schema.get_field_index(name)
        index = index.set_column(place, index.schema.field(name), index[name].take(order))
    pq.write_table(index, path)
