from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from pipeline import app
from pipeline.errors import UserError
from pipeline.learn.data import PackedData
from pipeline.learn.encoders.yamnet import FIREARMS, NAME, Yamnet
from pipeline.learn.hearing import FittedHearing, fit_hearing, read_sounds
from pipeline.store.features import Features
from pipeline.store.manifest import QUIET, write_stats
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA, Packed
from tests.learn.toy import write_toy

NUM_TRAIN, NUM_VAL = 64, 16


def data_of(folder: Path, **columns: Any) -> PackedData:
    """Samples of which every second has sound; `columns` give those of the index by row number."""
    write_toy(folder, num_train=NUM_TRAIN, num_val=NUM_VAL, heard=True)
    rows = pq.read_table(folder / INDEX).to_pylist()
    for number, row in enumerate(rows):
        row["heard"] = int(row["discharge"]) if number % 2 else None
        row |= {name: give(number, row[name]) for name, give in columns.items()}
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), folder / INDEX)
    cfg = app.compose("train")
    return PackedData(Packed.open(folder, folder.parent / "work"), cfg, cfg.run)


def features_of(data: PackedData, scores: np.ndarray) -> Features:
    """Features of the rows that have sound, whose highest score of firearms is as given."""
    there = np.flatnonzero(data.packed.extents[:, 4] > 0)
    values = np.full((len(there), 1, Yamnet.num_features), -9.0, np.float16)
    # The loudest class of firearms counts, and none of the others.
    values[..., FIREARMS.start + 2] = scores[there, None]
    values[..., 0] = 5.0
    row_of = np.full(data.packed.index.num_rows, -1, np.int64)
    row_of[there] = np.arange(len(there))
    encoder = Yamnet.published()
    card = {
        "architecture": encoder.architecture(),
        "provenance": encoder.provenance(),
        "sound": {"name": NAME, "every_frames": 4},
    }
    return Features(values, row_of, card, "0")


def fitted(data: PackedData, features: Features) -> FittedHearing:
    found = fit_hearing(data, features, app.compose("train"))
    assert found is not None
    return found


def heard_of(data: PackedData) -> np.ndarray:
    return np.array([bool(one) for one in data.packed.index["heard"].to_pylist()])


def test_log_odds_of_two_bells_are_found_and_bounded(tmp_path: Path) -> None:
    data = data_of(tmp_path / "packed")
    rng = np.random.default_rng(0)
    # Of normal scores of spread 1, 2 apart, the log likelihood ratio is 2 (score - middle).
    scores = np.where(heard_of(data), -3.0, -5.0) + rng.normal(0, 1, NUM_TRAIN + NUM_VAL)
    found = fitted(data, features_of(data, scores))
    assert 1.0 < float(found.network.scale) < 4.0
    assert float(found.network.offset / found.network.scale) == pytest.approx(4.0, abs=0.6)
    assert found.network.num_samples == 12_800
    ratio = np.clip(float(found.network.scale) * scores + float(found.network.offset), -1, 4)
    expected = np.where(np.arange(len(scores)) % 2, ratio, 0)[data.val_rows]
    np.testing.assert_allclose(found.val_ratios, expected, atol=0.02)
    told = data.val_rows[data.val_rows % 2 == 1]
    expected_auroc = roc_auc_score(heard_of(data)[told], scores[told])
    assert found.val_auroc == pytest.approx(expected_auroc, abs=0.02)


def test_windows_that_the_ear_has_no_label_for_and_quiet_ones_do_not_count(tmp_path: Path) -> None:
    plain = data_of(tmp_path / "plain")
    rng = np.random.default_rng(1)
    scores = np.where(heard_of(plain), -3.0, -5.0) + rng.normal(0, 1, NUM_TRAIN + NUM_VAL)
    expected = fitted(plain, features_of(plain, scores)).network
    odd = {9, 11}
    data = data_of(
        tmp_path / "odd",
        heard=lambda number, value: None if number == 9 else value,
        sound=lambda number, value: QUIET if number in (11, NUM_TRAIN + 1) else value,
    )
    wild = np.where(np.isin(np.arange(len(scores)), list(odd)), 50.0, scores)
    found = fitted(data, features_of(data, wild))
    kept = [row for row in range(len(scores)) if row not in odd]
    assert np.array_equal(heard_of(data)[kept], heard_of(plain)[kept])
    assert float(found.network.scale) == pytest.approx(float(expected.scale), rel=0.3)
    assert found.val_ratios[1] == 0


def test_windows_in_which_a_discharge_is_only_heard_are_learned_from(tmp_path: Path) -> None:
    """Pictures have no label for them, and the ear has."""
    plain = data_of(tmp_path / "plain")
    unseen = lambda number, value: None if number % 8 in (1, 3) else value  # noqa: E731
    data = data_of(tmp_path / "packed", seen=unseen)
    assert len(data.train_rows) == NUM_TRAIN * 3 // 4
    rng = np.random.default_rng(2)
    scores = np.where(heard_of(data), -3.0, -5.0) + rng.normal(0, 1, NUM_TRAIN + NUM_VAL)
    found, expected = (fitted(one, features_of(one, scores)) for one in (data, plain))
    assert found.network.scale == expected.network.scale
    assert found.val_auroc == expected.val_auroc
    assert len(found.val_ratios) == len(data.val_rows) == NUM_VAL * 3 // 4


def test_without_a_discharge_that_is_heard_nothing_hears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = data_of(tmp_path / "packed", heard=lambda number, value: None)
    features = features_of(data, np.zeros(NUM_TRAIN + NUM_VAL))
    assert fit_hearing(data, features, app.compose("train")) is None
    assert "the detector will not hear; add footage with sound" in caplog.text


def test_without_a_discharge_that_is_heard_times_of_files_without_are_the_first_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    untimed: dict[str, Any] = {
        "heard": lambda number, value: None,
        "seen": lambda number, value: None if number % 8 == 0 else value,
    }
    data = data_of(tmp_path / "packed", **untimed)
    assert len(data.bags.rows) == NUM_TRAIN // 8
    features = features_of(data, np.zeros(NUM_TRAIN + NUM_VAL))
    assert fit_hearing(data, features, app.compose("train")) is None
    said = "the detector will not hear; find times for the files without any, which have "
    assert f"{said}{NUM_TRAIN // 8} windows of it (discern review propose FOLDER)" in caplog.text


@pytest.mark.parametrize(("counts", "is_told"), [({"sounds": 0}, True), ({}, False), (None, False)])
def test_that_no_sample_has_sound_is_said_where_sound_was_to_be_heard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, counts: dict[str, int] | None, is_told: bool
) -> None:
    data = data_of(tmp_path / "packed")
    samples = {} if counts is None else {"embedded": NUM_TRAIN + NUM_VAL, **counts}
    write_stats(tmp_path, {"samples": samples})
    assert read_sounds(data, str(tmp_path)) is None
    told = [line for line in caplog.messages if "no sample of train or val has sound" in line]
    assert len(told) == len(caplog.messages) == is_told
    assert all("sound: on in conf/ingest.yaml" in line for line in told)


def test_features_of_other_weights_are_refused(tmp_path: Path) -> None:
    data = data_of(tmp_path / "packed")
    features = features_of(data, np.zeros(NUM_TRAIN + NUM_VAL))
    other = replace(features, card=dict(features.card) | {"provenance": []})
    with pytest.raises(UserError, match="run dvc repro embed"):
        fit_hearing(data, other, app.compose("train"))
