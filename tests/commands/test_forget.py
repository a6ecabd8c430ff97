from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.commands import forget
from pipeline.commands.evaluation.outputs import EVALUATED
from pipeline.config import App
from pipeline.copies import banks
from pipeline.copies.bank_files import ITEMS
from pipeline.errors import UserError
from pipeline.footage.collection import read_index, write_index
from pipeline.footage.tombstones import FORGOTTEN, Tombstone, forgotten, read_tombstones
from pipeline.stages import ingest
from pipeline.store.finished_work import FinishedWork, Piece, name_of
from pipeline.store.manifest import FILES, File, read_manifest, read_rejects, write_rows
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA
from pipeline.store.workdir import file_sha256
from tests.commands.toy import ROOF, YARD, write_ingested, write_rest

STONES = [
    Tombstone("unit7/day-1", ROOF.path, "a" * 64),
    Tombstone("unit7/day-1", YARD.path, "b" * 64),
]


@pytest.fixture
def cfg(compose: Callable[..., App]) -> Any:
    return compose("ingest")


@pytest.fixture
def ingested(cfg: Any) -> None:
    write_ingested(cfg.paths)


def test_every_file_of_a_recording_gets_a_tombstone(cfg: Any, ingested: None) -> None:
    forget.run("unit7/day-1", cfg)
    footage = Path(cfg.paths.footage)
    assert read_tombstones(footage) == STONES
    assert forgotten(footage).recordings == {"unit7/day-1"}
    assert forgotten(footage).sha256s == {"a" * 64, "b" * 64}


def test_what_banks_hold_of_a_recording_goes_for_good(
    cfg: Any, ingested: None, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(cfg.paths.banks)
    none = np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)
    for name, kinds in (("x", "ac"), ("y", "c"), ("z", "b")):
        with banks.writing(root, name, create=True) as bank:
            for kind in kinds:
                bank.add(f"{kind}.mp4", "l", kind * 64 if kind != "c" else "", "", 4.5, *none)
    before = (root / "y" / ITEMS).read_bytes()
    forget.run("unit7/day-1", cfg)
    told = [line for line in capsys.readouterr().out.splitlines() if "from a bank" in line]
    assert told == [
        "Removed from a bank: x item 1 (a.mp4, label l)",
        "Removed from a bank: z item 1 (b.mp4, label l)",
    ]
    assert [len(banks.read(root, name).items) for name in "xyz"] == [1, 1, 0]
    assert b"a.mp4" not in (root / "x" / ITEMS).read_bytes()
    # What nobody knows the bytes of is nobody's, and what loses nothing is not written anew.
    assert (root / "y" / ITEMS).read_bytes() == before


def test_forgetting_again_changes_nothing(cfg: Any, ingested: None) -> None:
    stones = Path(cfg.paths.footage) / FORGOTTEN
    forget.run("unit7/day-1", cfg)
    before = stones.read_bytes()
    forget.run("unit7/day-1", cfg)
    assert stones.read_bytes() == before


def test_hashes_outlive_an_ingest_that_refused_the_files(cfg: Any, ingested: None) -> None:
    forget.run("unit7/day-1", cfg)
    refused = [
        File("unit7", file.path, file.recording, "fleet", "real", "CC0-1.0", "", reject="forgotten")
        for file in (ROOF, YARD)
    ]
    write_rows(Path(cfg.paths.clips) / FILES, File, refused)
    forget.run("unit7/day-1", cfg)
    assert read_tombstones(Path(cfg.paths.footage)) == STONES


def test_the_order_of_forgetting_leaves_no_trace(cfg: Any, ingested: None, tmp_path: Path) -> None:
    stones = Path(cfg.paths.footage) / FORGOTTEN
    texts = []
    for order in (("unit7/day-1", "web/upload"), ("web/upload", "unit7/day-1")):
        stones.unlink(missing_ok=True)
        for recording in order:
            forget.run(recording, cfg)
        texts.append(stones.read_bytes())
    assert texts[0] == texts[1]
    assert texts[0].count(b"\n") == 4


def test_what_was_made_from_it_is_told(
    cfg: Any, ingested: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rest(cfg.paths)
    Path(cfg.paths.models).mkdir()
    forget.run("unit7/day-1", cfg)
    told = capsys.readouterr().out
    assert "4 clips (1 none, 3 train)" in told
    assert "1 variant\n" in told
    assert "2 packed samples" in told
    assert "the weights in" in told
    assert "Weights trained on them that left this machine" in told
    assert "forget them too:\n  web/upload\n" in told
    assert "dvc repro" in told
    assert "dvc gc --workspace --cloud" in told


def test_weights_are_told_of_only_where_there_are_some(
    cfg: Any, ingested: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rest(cfg.paths)
    forget.run("unit7/day-1", cfg)
    told = capsys.readouterr().out
    assert "4 clips (1 none, 3 train)" in told
    assert "the weights in" not in told
    assert "Weights trained on them" not in told


def test_a_recording_of_which_nothing_was_made_is_told_so(
    cfg: Any, ingested: None, capsys: pytest.CaptureFixture[str]
) -> None:
    forget.run("unit7/day-2", cfg)
    told = capsys.readouterr().out
    assert "bytes never seen" in told
    assert "0 clips\n" in told
    assert "weights in" not in told


def test_before_ingest_the_index_knows_the_files(
    cfg: Any, small_collection: Path, tmp_path: Path
) -> None:
    forget.run("small/real-0-1.mp4", cfg)
    sha256 = file_sha256(small_collection / "real-0-1.mp4")
    assert read_tombstones(Path(cfg.paths.footage)) == [
        Tombstone("small/real-0-1.mp4", "real-0-1.mp4", sha256)
    ]


def test_the_index_of_a_remote_collection_knows_them_too(compose: Callable[..., App]) -> None:
    with fsspec.open("memory://bucket/unit9/index.csv", "wb") as file:
        file.write(b"path,origin,source,discharge,licence,recording\na.mp4,real,s,0,l,day-1\n")
    cfg: Any = compose("ingest", "collections=['memory://bucket/unit9']")
    forget.run("unit9/day-1", cfg)
    assert read_tombstones(Path(cfg.paths.footage)) == [Tombstone("unit9/day-1", "a.mp4", "")]


def test_ingest_refuses_what_was_forgotten_under_any_name(
    compose: Callable[..., App], small_collection: Path
) -> None:
    cfg: Any = compose("ingest", "max_reject_rate=0")
    ingest.run(cfg)
    kept = Path(cfg.paths.work) / "kept" / "ingest"
    pattern = f"*/{file_sha256(small_collection / 'real-0-1.mp4')[:32]}-*"
    assert list(kept.glob(pattern))
    forget.run("small/real-0-1.mp4", cfg)
    assert not list(kept.glob(pattern)), "it goes at once"
    shutil.copy(small_collection / "real-0-1.mp4", small_collection / "again.mp4")
    rows = read_index(small_collection)
    write_index(small_collection, [*rows, replace(rows[0], path="again.mp4", recording="again")])
    ingest.run(cfg)
    clips = Path(cfg.paths.clips)
    assert {reject.path: reject.reason for reject in read_rejects(clips)} == {
        "real-0-1.mp4": "forgotten",
        "again.mp4": "forgotten",
    }
    recordings = {clip.recording for clip in read_manifest(clips)}
    assert recordings == {f"small/{row.path}" for row in rows} - {"small/real-0-1.mp4"}


def test_features_of_its_samples_go_at_once(cfg: Any, ingested: None) -> None:
    write_rest(cfg.paths)
    index = Path(cfg.paths.packed) / INDEX
    rows = [row | {"sha256": "d" * 64} for row in pq.read_table(index).to_pylist()]
    rows.append(rows[0] | {"recording": "web/other", "sha256": "e" * 64})
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), index)
    with FinishedWork(Path(cfg.paths.work), "embed") as kept:
        names = [name_of(digit * 64, "encoder") for digit in "de"]
        for name in names:
            kept.write(name, Piece({}))
        forget.run("unit7/day-1", cfg)
        assert [name in kept for name in names] == [False, True]


def test_what_evaluations_made_of_it_goes_at_once(cfg: Any, ingested: None) -> None:
    files = Path(cfg.paths.clips) / FILES
    evaluated = Path(cfg.paths.work) / EVALUATED
    for name, sha256 in (("mine", "a" * 64), ("other", "e" * 64)):
        (evaluated / name).mkdir(parents=True)
        rows = [row | {"sha256": sha256} for row in pq.read_table(files).to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(files)), evaluated / name / FILES)
    forget.run("unit7/day-1", cfg)
    assert [folder.name for folder in evaluated.iterdir()] == ["other"]


def test_an_unknown_recording_suggests_near_ones(cfg: Any, ingested: None) -> None:
    with pytest.raises(UserError, match=r"no recording 'unit7/dy-1'; did you mean unit7/day-1"):
        forget.run("unit7/dy-1", cfg)
    assert not (Path(cfg.paths.footage) / FORGOTTEN).exists()


def test_without_any_footage_no_recording_is_known(cfg: Any) -> None:
    with pytest.raises(UserError, match=r"no recording 'unit7/day-1'$"):
        forget.run("unit7/day-1", cfg)
