from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import train
from pipeline import app
from pipeline.config import TrainApp
from pipeline.learn import bags as bags_module
from pipeline.learn.bags import ChosenWindows
from pipeline.learn.classifier import Classifier
from pipeline.learn.data import PackedData
from pipeline.learn.sampler import Bags
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA, Packed
from tests.learn.bagged import WINDOWS, planted, write_bagged
from tests.learn.toy import write_toy
from tests.packing import write_no_features

NUM_BAGS = 6


class Fault(Exception):
    pass


def settings(packed: Path, folder: Path, *more: str) -> TrainApp:
    paths = [f"paths.packed={packed}", f"paths.models={folder / 'models'}"]
    paths += [f"paths.features={write_no_features(folder / 'features')}"]
    small = ["num_threads=1", "num_epochs=5", "batch_size=8", "lr=0.02", "model.dropout=0"]
    small += ["alter.shift_px=0", "alter.warped=0", "alter.noise=0", "alter.jitter=0.1"]
    how = ["run.wandb=disabled", "run.progress=false", f"paths.work={folder / 'work'}"]
    return app.compose("train", *small, *paths, *how, *more)


def fit(packed: Path, folder: Path, *more: str) -> str:
    """Train, and tell the hash of the weights."""
    train.run(settings(packed, folder, *more))
    return hashlib.sha256((folder / "models" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def bagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bagged(tmp_path_factory.mktemp("bagged") / "packed", num_bags=NUM_BAGS)


@pytest.fixture(scope="module")
def undisturbed(bagged: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Bags]]:
    """The weights of a training with bags, and what was chosen in each epoch but the first."""
    chosen: list[Bags] = []
    choose = Bags.choose

    def noted(self: Bags, log_odds: np.ndarray) -> None:
        choose(self, log_odds)
        copy = Bags(self.rows, np.zeros(len(self.rows)), self.most)
        copy.chosen, copy.shares = self.chosen, self.shares
        chosen.append(copy)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bags, "choose", noted)
        found = fit(bagged, tmp_path_factory.mktemp("undisturbed"))
    return found, chosen


def test_the_one_window_that_shows_a_discharge_is_found(
    undisturbed: tuple[str, list[Bags]],
) -> None:
    _, chosen = undisturbed
    assert len(chosen) == 4, "every epoch but the first"
    last = chosen[-1]
    assert last.chosen is not None
    assert last.shares is not None
    assert last.chosen[:, 0].tolist() == planted(NUM_BAGS).tolist()
    assert last.shares[:, 0].min() > 0.5


def test_bags_teach_something(undisturbed: tuple[str, list[Bags]], bagged: Path) -> None:
    assert undisturbed[0] != fit(bagged, bagged.parent / "off", "bags=0")


def test_switched_off_bags_are_as_if_their_files_were_not_there(
    bagged: Path, tmp_path: Path
) -> None:
    rows = pq.read_table(bagged / INDEX).to_pylist()
    without = tmp_path / "packed"
    without.mkdir()
    for path in bagged.iterdir():
        (without / path.name).write_bytes(path.read_bytes())
    kept = [row for row in rows if not row["sample_id"].startswith("bag")]
    pq.write_table(pa.Table.from_pylist(kept, INDEX_SCHEMA), without / INDEX)
    off = fit(bagged, tmp_path / "off", "bags=0")
    assert off == fit(without, tmp_path / "none", "bags=0") == fit(without, tmp_path / "on")


def test_a_run_interrupted_amid_an_epoch_ends_with_the_same_bytes_by_any_workers(
    undisturbed: tuple[str, list[Bags]], bagged: Path, tmp_path: Path
) -> None:
    """What was chosen when the epoch began was chosen by weights that are gone."""
    steps = []
    sound = Classifier.training_step

    def step(self: Classifier, *arguments: object) -> object:
        steps.append(1)
        if len(steps) == 13:
            raise Fault
        return sound(self, *arguments)  # type: ignore[arg-type]

    eager = ["run.checkpoint_every_s=0", "run.num_workers=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", step)
        with pytest.raises(Fault):
            fit(bagged, tmp_path, *eager)
    assert fit(bagged, tmp_path, *eager) == undisturbed[0]


def data_of(folder: Path, tmp_path: Path, *overrides: str) -> PackedData:
    cfg = app.compose("train", *overrides)
    return PackedData(Packed.open(folder, tmp_path), cfg, replace(cfg.run, num_workers=0))


def test_windows_of_bags_are_samples_of_no_split(bagged: Path, tmp_path: Path) -> None:
    data = data_of(bagged, tmp_path)
    packed = data.packed
    names = packed.index["sample_id"].to_pylist()
    weak = {n for n, name in enumerate(names) if name.startswith("bag")}
    assert set(data.bags.rows.tolist()) == set(packed.bags().tolist()) == weak
    assert len(weak) == NUM_BAGS * WINDOWS
    for variants in (False, True):
        splits = packed.select(["train", "val", "test", "unseen"], variants=variants)
        assert not weak & set(splits.tolist())
    assert not weak & {*data.train_rows.tolist(), *data.val_rows.tolist()}
    files = packed.index["path"].take(data.bags.rows).to_pylist()
    assert files == [f"bag{n}" for n in range(NUM_BAGS) for _ in range(WINDOWS)]
    assert data.stats()["bags"]["real_shooting"] == NUM_BAGS // 2
    counted = sum(row["train"] for row in data.footage())
    assert counted == 32 + NUM_BAGS * WINDOWS
    assert sum(row["train"] for row in data_of(bagged, tmp_path, "bags=0").footage()) == 32


@pytest.mark.parametrize(
    "row",
    [
        {"split": "val"},
        {"split": "test"},
        {"discharge": 0},
        {"seen": 0},
        {"heard": 1},
        {"variant": "{}"},
    ],
)
def test_only_unlabelled_windows_of_train_that_may_show_a_discharge_are_of_bags(
    tmp_path: Path, row: dict[str, object]
) -> None:
    folder = write_toy(tmp_path / "packed")
    rows = pq.read_table(folder / INDEX).to_pylist()
    rows[0] |= {"split": "train", "discharge": 1, "seen": None, "heard": None}
    rows[4] |= {"split": "train", "discharge": 1, "seen": None, "heard": None} | row
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), folder / INDEX)
    assert Packed.open(folder, tmp_path).bags().tolist() == [0]


def test_what_is_heard_has_a_say_in_what_is_chosen(
    bagged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = settings(bagged, tmp_path, "run.num_workers=0")
    data = PackedData(Packed.open(bagged, tmp_path), cfg, cfg.run)
    classifier = Classifier(cfg, data.packed.format, num_batches=4)
    heard = np.zeros(NUM_BAGS * WINDOWS)
    heard[3::WINDOWS] = 4.0
    counts: Counter[int] = Counter()
    known = bags_module.answer

    def counted(network: object, clips: object) -> object:
        counts[len(clips)] += 1  # type: ignore[arg-type]
        return known(network, clips)  # type: ignore[arg-type]

    monkeypatch.setattr(bags_module, "answer", counted)
    callback = ChosenWindows(data, heard)
    for epoch in (0, 1):
        trainer = type("Trainer", (), {"current_epoch": epoch})
        callback.on_train_epoch_start(trainer, classifier)  # type: ignore[arg-type]
        assert (data.bags.chosen is None) == (epoch == 0)
    assert classifier.network.training
    # A network that begins has no opinion.
    assert data.bags.chosen is not None
    assert data.bags.chosen[:, 0].tolist() == data.bags.rows[3::WINDOWS].tolist()
    assert counts == {8: 3, 6: 1}, "no more than a batch at a time"
