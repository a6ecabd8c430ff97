from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.store import features, workdir
from pipeline.store.features import CARD, INDEX, INDEX_SCHEMA, Features
from pipeline.store.packed_samples import Packed
from tests.learn.toy import write_toy
from tests.packing import write_features, write_no_features


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    return Packed.open(write_toy(tmp_path / "packed", num_train=8, num_val=4), tmp_path)


@pytest.fixture
def folder(packed: Packed, tmp_path: Path) -> Path:
    """Features of the train clips but the first, two of them last."""
    order = [10, *range(1, 10), 11]
    return write_features(tmp_path / "features", packed, order, shard_samples=4)


def read(folder: Path, packed: Packed) -> Features:
    found = features.read(str(folder), packed)
    assert found is not None
    return found


def test_features_are_found_by_the_row_of_the_packed_sample(folder: Path, packed: Packed) -> None:
    found = read(folder, packed)
    assert found.values.shape == (11, 2, 3)
    assert found.values.dtype == np.float16
    rows = np.array([3, 11, 10, 3])
    # What `write_features` makes of a sample.
    assert found.of(rows)[:, 0, 0].tolist() == [3, 11, 10, 3]
    assert found.row_of[0] == -1
    assert found.card["pictures"]["every_frames"] == 4


def test_samples_that_were_not_embedded_are_counted_with_the_remedy(
    folder: Path, packed: Packed
) -> None:
    with pytest.raises(UserError, match=r"^1 of 3 samples were not embedded; set variants in conf"):
        read(folder, packed).of(np.array([1, 0, 2]))


def test_without_an_encoder_there_are_none(packed: Packed, tmp_path: Path) -> None:
    folder = write_no_features(tmp_path / "none")
    assert features.read(str(folder), packed) is None


def test_features_of_other_samples_are_refused(folder: Path, tmp_path: Path) -> None:
    other = Packed.open(write_toy(tmp_path / "more", num_train=9, num_val=4), tmp_path)
    with pytest.raises(UserError, match=r"features: not of the samples in .*run dvc repro embed"):
        read(folder, other)
    fewer = Packed.open(write_toy(tmp_path / "fewer", num_train=8, num_val=3), tmp_path)
    with pytest.raises(UserError, match="not of the samples in"):
        read(folder, fewer)


def test_their_hash_is_of_the_encoder_and_the_samples(
    folder: Path, packed: Packed, tmp_path: Path
) -> None:
    before = read(folder, packed).sha256
    assert read(folder, packed).sha256 == before
    edit(folder, provenance=[{"sha256": "other"}])
    assert read(folder, packed).sha256 != before


def edit(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))


def gone(folder: Path) -> None:
    (folder / CARD).unlink()
    (folder / "stats.json").unlink()


def shards_gone(folder: Path) -> None:
    (folder / "features-00001.npy").unlink()


def shards_cut(folder: Path) -> None:
    path = folder / "features-00001.npy"
    path.write_bytes(path.read_bytes()[:-5])


def shards_of_nothing(folder: Path) -> None:
    np.save(folder / "features-00001.npy", np.zeros((4, 2, 3), np.float16))


def shards_unknown(folder: Path) -> None:
    edit(folder, shards={})


def shards_of_code(folder: Path) -> None:
    path = folder / "features-00001.npy"
    np.save(path, np.array([{}] * 4), allow_pickle=True)
    shards = json.loads((folder / CARD).read_text())["shards"]
    edit(folder, shards=shards | {path.name: workdir.file_sha256(path)})


def table_longer_than_shards(folder: Path) -> None:
    table = pq.read_table(folder / INDEX)
    beyond = pa.array([row + 1 for row in table["row"].to_pylist()])
    pq.write_table(table.set_column(3, INDEX_SCHEMA.field("row"), beyond), folder / INDEX)


def table_gone(folder: Path) -> None:
    (folder / INDEX).unlink()


def table_damaged(folder: Path) -> None:
    (folder / INDEX).write_bytes(b"PAR1")


def table_of_another_schema(folder: Path) -> None:
    table = pq.read_table(folder / INDEX)
    pq.write_table(table.drop_columns(["row"]), folder / INDEX)


def card_damaged(folder: Path) -> None:
    (folder / CARD).write_text('{"architecture": 1}')


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (gone, r"encoder\.json: missing; run dvc repro embed or dvc pull"),
        (shards_gone, r"features-00001\.npy: missing; run dvc repro embed or dvc pull"),
        (shards_cut, r"features-00001\.npy: not the bytes that its card .*run dvc checkout"),
        (shards_of_nothing, r"features-00001\.npy: not the bytes that its card"),
        (shards_unknown, r"features-00000\.npy: not the bytes that its card"),
        (shards_of_code, r"features-00001\.npy: not readable"),
        (table_longer_than_shards, r"features-00000\.npy: 4 samples, fewer than the index"),
        (table_gone, r"index\.parquet: missing; run dvc repro embed"),
        (table_damaged, r"index\.parquet: not readable .*run dvc repro embed"),
        (table_of_another_schema, r"index\.parquet: of another schema; run dvc repro embed"),
        (card_damaged, r"encoder\.json: not readable .*run dvc repro embed"),
    ],
)
def test_damage_is_named_with_the_remedy(
    folder: Path, packed: Packed, damage: Callable[[Path], None], told: str
) -> None:
    damage(folder)
    with pytest.raises(UserError, match=told) as caught:
        read(folder, packed)
    assert "\n" not in str(caught.value)


def test_the_index_names_the_bytes_that_features_are_of(folder: Path, packed: Packed) -> None:
    table = pq.read_table(folder / INDEX)
    assert table.schema.equals(INDEX_SCHEMA)
    assert table["sha256"].to_pylist()[0] == packed.index["sha256"].to_pylist()[10]


def test_a_lost_card_is_not_taken_for_no_encoder(tmp_path: Path) -> None:
    packed = Packed.open(write_toy(tmp_path / "packed"), tmp_path)
    folder = write_features(tmp_path / "features", packed, range(4))
    (folder / "encoder.json").unlink()
    with pytest.raises(UserError, match=r"encoder\.json: missing; run dvc repro embed"):
        features.read(str(folder), packed)
