from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import app
from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn.data import BalancedSampler, Draw, PackedData, Samples, alter, divide
from pipeline.packed import INDEX, INDEX_SCHEMA, Packed
from tests.learn.toy import toy_clip, write_packed

LABELS = np.repeat([0, 1, 2, 3], [10, 30, 60, 100])
SOURCES = np.array(["a", "b"])[(np.arange(200) % 5 == 0).astype(int)]


def sampler(epoch: int = 0, source_balance: float = 0.5) -> BalancedSampler:
    rows = np.arange(1000, 1200)
    return BalancedSampler(
        rows, LABELS, SOURCES, source_balance=source_balance, seed=3, epoch=epoch
    )


def test_every_class_is_drawn_alike() -> None:
    counts = Counter(LABELS[draw.row - 1000] for draw in sampler())
    assert counts == {0: 50, 1: 50, 2: 50, 3: 50}


@pytest.mark.parametrize(("balance", "share"), [(0.0, 1 / 5), (0.5, 1 / 3), (1.0, 1 / 2)])
def test_sources_are_balanced_as_far_as_asked(balance: float, share: float) -> None:
    drawn = [SOURCES[draw.row - 1000] for draw in sampler(source_balance=balance)]
    assert drawn.count("b") == pytest.approx(200 * share, abs=4)


def test_no_sample_comes_twice_before_the_others_of_its_source() -> None:
    counts = Counter(draw.row - 1000 for draw in sampler())
    for label in range(4):
        for source in ("a", "b"):
            group = np.flatnonzero((label == LABELS) & (source == SOURCES))
            times = [counts[row] for row in group]
            assert max(times) - min(times) <= 1


def test_an_epoch_repeats_and_the_next_differs() -> None:
    assert list(sampler(epoch=1)) == list(sampler(epoch=1))
    assert [d.row for d in sampler(epoch=1)] != [d.row for d in sampler(epoch=2)]


def test_shares_are_whole_and_complete() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([divide(10, np.array([1.0, 2.0, 4.0]), rng) for _ in range(2000)])
    assert (shares.sum(axis=1) == 10).all()
    assert shares.mean(axis=0) == pytest.approx(10 / 7 * np.array([1, 2, 4]), abs=0.05)


def test_altering_moves_and_exposes_all_frames_alike() -> None:
    clip = np.broadcast_to(toy_clip(0, 0)[:1], (8, 32, 32, 3))
    altered = alter(clip, np.random.default_rng(5), max_shift_px=4, jitter=0.3)
    assert altered.shape == clip.shape
    assert altered.dtype == np.uint8
    assert (altered == altered[:1]).all()
    assert (altered != clip).any()


def test_altering_by_nothing_only_mirrors() -> None:
    clip = toy_clip(0, 0)
    seen = set()
    for seed in range(8):
        altered = alter(clip, np.random.default_rng(seed), max_shift_px=0, jitter=0.0)
        mirrored = bool((altered == clip[:, :, ::-1]).all())
        assert mirrored or (altered == clip).all()
        seen.add(mirrored)
    assert seen == {True, False}


def test_a_draw_alone_decides_what_is_altered(tmp_path: Path) -> None:
    data = packed_data(tmp_path)
    samples = Samples(data.packed, data.labels, data.cfg)
    first, label = samples[Draw(3, epoch=1, place=7)]
    again, _ = samples[Draw(3, epoch=1, place=7)]
    other, _ = samples[Draw(3, epoch=2, place=7)]
    assert label == 3
    assert (first == again).all()
    assert (first != other).any()


def packed_data(tmp_path: Path, *overrides: str, **toy: object) -> PackedData:
    cfg = app.compose("train", *overrides)
    return PackedData(Packed.open(write_packed(tmp_path / "packed", **toy)), cfg, 0)  # type: ignore[arg-type]


def test_counts_tell_the_samples_of_each_class(tmp_path: Path) -> None:
    stats = packed_data(tmp_path, num_train=18).stats()
    assert stats["train"] == {
        "real_shooting": 5,
        "fictional_shooting": 5,
        "real_other": 4,
        "fictional_other": 4,
    }


def test_an_absent_class_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no sample of fictional_shooting, fictional_other; add"):
        packed_data(tmp_path, classes=("real_shooting", "real_other"))


def test_too_few_samples_for_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="8 train samples do not fill one batch of 16"):
        packed_data(tmp_path, num_train=8)


def test_an_empty_val_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="val split is empty"):
        packed_data(tmp_path, num_val=0)


def test_footage_is_counted_by_who_gave_it(tmp_path: Path) -> None:
    folder = write_packed(tmp_path / "packed", num_train=32, num_val=16)
    index = pq.read_table(folder / INDEX).to_pylist()
    for number, row in enumerate(index):
        row["licence"] = "internal" if row["origin"] == "real" else "CC0-1.0"
        row["authority"] = "City Police" if row["source"] == "real-0" else ""
        row["variant"] = "{}" if number < 4 else None
    pq.write_table(pa.Table.from_pylist(index[::-1], INDEX_SCHEMA), folder / INDEX)
    cfg = app.compose("train")
    assert isinstance(cfg, TrainApp)
    rows = PackedData(Packed.open(folder), cfg, 0).footage()
    assert [tuple(row.values()) for row in rows] == [
        ("game-0", "game", "CC0-1.0", "", 6, 4),
        ("game-1", "game", "CC0-1.0", "", 8, 4),
        ("real-0", "real", "internal", "City Police", 6, 4),
        ("real-1", "real", "internal", "", 8, 4),
    ]
    assert list(rows[0]) == ["source", "origin", "licence", "authority", "train", "val"]
