from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import app
from pipeline.config import Run, TrainApp
from pipeline.errors import UserError
from pipeline.learn.data import PackedData
from pipeline.store.manifest import CLASSES, class_index
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA, Packed
from tests.learn.toy import write_toy

AUTHORITIES = {"real-0": "City Police"}
RUN = Run("serial", 0, "cpu", math.inf, "disabled", False)


def packed_data(tmp_path: Path, *overrides: str, **toy: object) -> PackedData:
    cfg = app.compose("train", *overrides)
    assert isinstance(cfg, TrainApp)
    folder = write_toy(tmp_path / "packed", **toy)  # type: ignore[arg-type]
    return PackedData(Packed.open(folder, tmp_path), cfg, RUN)


def test_counts_tell_the_samples_of_each_class(tmp_path: Path) -> None:
    stats = packed_data(tmp_path, num_train=18).stats()
    assert stats["train"] == {
        "real_shooting": 5,
        "fictional_shooting": 5,
        "real_other": 4,
        "fictional_other": 4,
    }


def test_an_absent_class_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        packed_data(tmp_path, classes=("real_shooting", "real_other"))
    assert "no sample of fictional_shooting, fictional_other; add footage" in str(raised.value)
    assert "hold out" not in str(raised.value)


@pytest.mark.parametrize("key", ["use_variants", "origin.use_variants"])
def test_variants_that_there_are_not_are_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match=rf"conf/train\.yaml: {key}=true: no train clip in "):
        packed_data(tmp_path, f"{key}=true")


def test_holding_out_fewer_sources_is_a_remedy_where_some_are_held_out(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed")
    rows = pq.read_table(folder / INDEX).to_pylist()
    for row in rows:
        if row["split"] == "train" and row["origin"] == "real":
            row["split"] = "unseen"
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), folder / INDEX)
    cfg = app.compose("train")
    assert isinstance(cfg, TrainApp)
    with pytest.raises(UserError, match=r"real_other; add .* or hold out fewer sources"):
        PackedData(Packed.open(folder, tmp_path), cfg, RUN)


def test_samples_too_few_for_a_batch_fill_one_by_turns(tmp_path: Path) -> None:
    data = packed_data(tmp_path, num_train=8)
    assert data.num_batches == 1
    (batch,) = data.train_dataloader()
    assert batch.clips.shape[0] == 16
    drawn = data.sampler().draw()
    assert Counter(drawn.tolist()) == dict.fromkeys(data.train_rows.tolist(), 2)


def test_samples_whose_discharge_is_only_heard_are_not_learned_from(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed")
    index = pq.read_table(folder / INDEX).to_pylist()
    only_heard = {row["sample_id"] for row in index[::5]}
    for row in index:
        row["seen"] = None if row["sample_id"] in only_heard else row["discharge"]
        row["heard"] = 1 if row["sample_id"] in only_heard else None
    pq.write_table(pa.Table.from_pylist(index, INDEX_SCHEMA), folder / INDEX)
    cfg = app.compose("train")
    assert isinstance(cfg, TrainApp)
    data = PackedData(Packed.open(folder, tmp_path), cfg, RUN)
    for split, rows in (("train", data.train_rows), ("val", data.val_rows)):
        found = {index[row]["sample_id"] for row in rows.tolist()}
        assert found == {r["sample_id"] for r in index if r["split"] == split} - only_heard
    assert only_heard


def test_an_empty_val_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="val split is empty"):
        packed_data(tmp_path, num_val=0)


def only_heard(folder: Path, split: str, *names: str) -> Path:
    """The packed folder, in which discharges of a split and of these classes are only heard."""
    index = pq.read_table(folder / INDEX).to_pylist()
    for row in index:
        name = CLASSES[class_index(row["origin"], bool(row["discharge"]))]
        is_so = (row["split"], name) in {(split, one) for one in names}
        row |= {"seen": None, "heard": 1} if is_so else {"seen": 0}
    pq.write_table(pa.Table.from_pylist(index, INDEX_SCHEMA), folder / INDEX)
    return folder


def opened(folder: Path, *, discharge_alone: bool = False) -> PackedData:
    cfg = app.compose("train")
    assert isinstance(cfg, TrainApp)
    packed = Packed.open(folder, folder)
    return PackedData(packed, cfg, RUN, discharge_alone=discharge_alone)


def test_a_class_that_is_only_heard_in_train_takes_footage_that_shows_it(tmp_path: Path) -> None:
    folder = only_heard(write_toy(tmp_path / "packed"), "train", "real_shooting")
    with pytest.raises(UserError) as raised:
        opened(folder)
    assert (
        "the train split has no sample of real_shooting but 8 in which a discharge is only heard "
        "(heard_s in index.csv), which pictures learn nothing from; add footage that shows it"
    ) in str(raised.value)


def without_times(folder: Path, num: int, *, absent: str) -> Path:
    """The packed folder, with no discharge in a split, and no times of the first in train."""
    index = pq.read_table(folder / INDEX).to_pylist()
    fired = [row for row in index if row["split"] == "train" and row["discharge"]]
    for row in fired[:num]:
        row |= {"seen": None, "heard": None}
    kept = [row for row in index if row["split"] != absent or not row["discharge"]]
    pq.write_table(pa.Table.from_pylist(kept, INDEX_SCHEMA), folder / INDEX)
    return folder


def test_times_of_files_without_are_the_first_remedy_where_train_shows_no_discharge(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError) as raised:
        opened(without_times(write_toy(tmp_path / "packed"), 16, absent="test"))
    assert re.search(
        r"no sample of real_shooting, fictional_shooting; find times for the files without any, "
        r"which have 16 windows of it \(discern review propose FOLDER\), or add footage that",
        str(raised.value),
    )


def test_times_of_files_without_are_the_first_remedy_where_val_shows_no_discharge(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(without_times(write_toy(tmp_path / "packed"), 4, absent="val"))
    (line,) = caplog.messages
    assert "no sample of real_shooting, fictional_shooting, so weights" in line
    assert "(discern review propose FOLDER), or add recordings that show it" in line


def test_a_class_that_is_only_heard_in_val_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened(only_heard(write_toy(tmp_path / "packed"), "val", "real_shooting"))
    (line,) = caplog.messages
    assert "no sample of real_shooting but 4 in which a discharge is only heard" in line
    assert "chosen by the loss" in line


def test_a_val_split_of_what_is_only_heard_is_called_empty(tmp_path: Path) -> None:
    shootings = ("real_shooting", "fictional_shooting")
    folder = write_toy(tmp_path / "packed", num_val=2)
    with pytest.raises(UserError, match="val split is empty but 2 in which a discharge is only"):
        opened(only_heard(folder, "val", *shootings))


def drop_from_val(folder: Path, *names: str, discharge_alone: bool = False) -> PackedData:
    """The data of a packed folder whose val split has lost classes."""
    index = pq.read_table(folder / INDEX).to_pylist()
    kept = [
        row
        for row in index
        if row["split"] != "val"
        or CLASSES[class_index(row["origin"], bool(row["discharge"]))] not in names
    ]
    pq.write_table(pa.Table.from_pylist(kept, INDEX_SCHEMA), folder / INDEX)
    return opened(folder, discharge_alone=discharge_alone)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["real_shooting"], "chosen and calibrated without"),
        (["real_shooting", "real_other"], "chosen and calibrated without"),
        (["real_shooting", "fictional_shooting"], "chosen by the loss and calibrated without"),
        (["real_other", "fictional_other"], "chosen by the loss and calibrated without"),
    ],
)
def test_beside_an_answer_on_the_origin_val_has_to_rank_discharges_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, names: list[str], chosen: str
) -> None:
    drop_from_val(write_toy(tmp_path / "packed"), *names, discharge_alone=True)
    (line,) = caplog.messages
    assert f"so weights are {chosen}; add" in line


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["real_shooting"], "chosen by the loss and calibrated without"),
        (["fictional_shooting"], "chosen and calibrated without"),
        (["real_other", "fictional_other"], "chosen and calibrated without"),
        (["real_shooting", "fictional_shooting"], "chosen by the loss and calibrated without"),
        (
            ["fictional_shooting", "real_other", "fictional_other"],
            "chosen by the loss and calibrated without",
        ),
    ],
)
def test_a_val_split_without_a_class_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, names: list[str], chosen: str
) -> None:
    data = drop_from_val(write_toy(tmp_path / "packed"), *names)
    assert {name for name, number in data.stats()["val"].items() if number == 0} == set(names)
    (line,) = caplog.messages
    assert f"the val split has no sample of {', '.join(names)}, so weights are {chosen}" in line


def test_a_val_split_with_every_class_is_no_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drop_from_val(write_toy(tmp_path / "packed"))
    assert caplog.messages == []


def test_footage_is_counted_by_who_gave_it(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "packed", num_train=32, num_val=16)
    index = pq.read_table(folder / INDEX).to_pylist()
    for number, row in enumerate(index):
        row["licence"] = "internal" if row["origin"] == "real" else "CC0-1.0"
        row["authority"] = AUTHORITIES.get(row["source"], "")
        row["rendered"] = row["source"] == "game-1"
        row["variant"] = "{}" if number < 4 else None
    pq.write_table(pa.Table.from_pylist(index[::-1], INDEX_SCHEMA), folder / INDEX)
    cfg = app.compose("train", "rendered_weight.origin=0.25")
    assert isinstance(cfg, TrainApp)
    rows = PackedData(Packed.open(folder, tmp_path), cfg, RUN).footage()
    assert [tuple(row.values()) for row in rows] == [
        ("game-0", "game", "CC0-1.0", "", False, 6, 4, 1.0),
        ("game-1", "game", "CC0-1.0", "", True, 8, 4, 0.25),
        ("real-0", "real", "internal", "City Police", False, 6, 4, 1.0),
        ("real-1", "real", "internal", "", False, 8, 4, 1.0),
    ]
    names = ["source", "origin", "licence", "authority", "rendered"]
    names += ["train", "val", "origin_weight"]
    assert list(rows[0]) == names


def test_batches_carry_pixels_class_and_place(tmp_path: Path) -> None:
    data = packed_data(tmp_path, "batch_size=8", num_train=32, num_val=12)
    rows = data.packed.index.to_pylist()
    train = data.train_dataloader()
    train.sampler.set_epoch(3)  # type: ignore[attr-defined]
    drawn = train.sampler.draw()
    assert len(train) == data.num_batches == 4
    for number, batch in enumerate(train):
        assert batch.epochs.tolist() == [3] * 8
        assert batch.positions.tolist() == list(range(8 * number, 8 * number + 8))
        for clip, label, place in zip(batch.clips, batch.labels, batch.positions, strict=True):
            row = int(drawn[place])
            assert (clip.numpy() == data.packed.read(row).frames).all()
            assert label == class_index(rows[row]["origin"], bool(rows[row]["discharge"]))
    val = list(data.val_dataloader())
    assert [len(batch.clips) for batch in val] == [8, 4]
    assert np.concatenate([batch.positions for batch in val]).tolist() == list(range(12))
    assert (val[1].clips[3].numpy() == data.packed.read(int(data.val_rows[11])).frames).all()
    assert not any(batch.epochs.any() for batch in val)


def test_the_hash_of_the_data_is_that_of_its_pixels_and_its_labels(tmp_path: Path) -> None:
    data = packed_data(tmp_path / "a")
    assert data.sha256() == packed_data(tmp_path / "b").sha256()
    assert data.sha256() != packed_data(tmp_path / "c", encoding="h264").sha256()


def test_a_batch_that_ranks_cannot_share_is_refused(tmp_path: Path) -> None:
    data = packed_data(tmp_path, "batch_size=16")
    data.trainer = SimpleNamespace(world_size=3, global_rank=1)  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"batch_size=16 is for all ranks.*not a multiple of 3"):
        data.train_dataloader()
