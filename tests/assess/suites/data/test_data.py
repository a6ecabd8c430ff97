from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.assess.audit import near
from pipeline.assess.evidence import Evidence, Section, Table, Verdict
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.suites.data import data
from pipeline.detect.files import FILE_SCHEMA
from pipeline.errors import UserError
from pipeline.store.manifest import MANIFEST
from tests.assess import audited, toy

PROOFS = {
    "recordings", "clusters", "exact_copies", "files", "near_copies", "unseen_sources", "variants",
    "tables",
}  # fmt: skip


def judged(evidence: Evidence) -> dict[str, Verdict]:
    return {verdict.name: verdict for verdict in data.run(evidence).verdicts}


def red(evidence: Evidence) -> set[str]:
    return {name for name, verdict in judged(evidence).items() if verdict.state == "red"}


def test_clean_splits_are_proved(tmp_path: Path) -> None:
    found = judged(audited.write(audited.project(), tmp_path))
    assert {name for name, verdict in found.items() if verdict.state == "green"} >= PROOFS
    assert found["recordings"].says == "No recording is in two splits (32 checked)."
    assert "40 held-out clips compared with 64" in found["near_copies"].says
    assert found["real_footage"].state == "amber"


def test_a_leaked_recording_is_red_and_named(tmp_path: Path) -> None:
    made = audited.project()
    leaked = made.of_split("test")[0]
    made.change(lambda clip: clip.clip_id == leaked.clip_id, split="train")
    made.variants = []
    found = judged(audited.write(made, tmp_path))
    assert found["recordings"].state == found["clusters"].state == "red"
    assert leaked.clip_id in found["recordings"].says
    assert leaked.recording in found["recordings"].says
    assert "(1 found)" in found["recordings"].says
    assert "(test)" in found["recordings"].says
    assert "(train)" in found["recordings"].says


def test_a_cluster_that_crosses_is_red_though_its_recordings_do_not(tmp_path: Path) -> None:
    made = audited.project()
    made.variants = []
    test, train = made.of_split("test")[0], made.of_split("train")[0]
    made.change(lambda clip: clip.recording == test.recording, cluster=train.cluster)
    assert red(audited.write(made, tmp_path)) == {"clusters"}


def test_an_exact_copy_under_another_name_is_red_and_named(tmp_path: Path) -> None:
    made = audited.project()
    test, train = made.of_split("test")[0], made.of_split("train")[-1]
    made.change(lambda clip: clip is test, pixels_sha256=train.pixels_sha256)
    found = judged(audited.write(made, tmp_path))
    assert {name for name, one in found.items() if one.state == "red"} == {"exact_copies"}
    assert test.clip_id in found["exact_copies"].says
    assert train.clip_id in found["exact_copies"].says


def test_a_training_variant_with_the_pixels_of_a_test_clip_is_red(tmp_path: Path) -> None:
    made = audited.project()
    test = made.of_split("test")[0]
    made.variants[0] = replace(made.variants[0], pixels_sha256=test.pixels_sha256)
    assert red(audited.write(made, tmp_path)) == {"exact_copies"}


def test_a_file_that_lies_in_two_collections_is_red(tmp_path: Path) -> None:
    made = audited.project()
    paths = [made.of_split(split)[0].path for split in ("train", "test")]
    same = [i for i, file in enumerate(made.files) if file.path in paths]
    made.files[same[1]] = replace(made.files[same[1]], sha256=made.files[same[0]].sha256)
    assert red(audited.write(made, tmp_path)) == {"files"}


@pytest.mark.parametrize("split", ["test", "unseen", "val"])
def test_a_look_alike_in_train_is_red_and_named(split: str, tmp_path: Path) -> None:
    made = audited.project()
    held, train = made.of_split(split)[0], made.of_split("train")[0]
    copy = made.hashes[made.clips.index(train)].copy()
    copy[:, :, 0] ^= 0b1111
    made.hashes[made.clips.index(held)] = copy
    evidence = audited.write(made, tmp_path)
    found = judged(evidence)
    assert {name for name, one in found.items() if one.state == "red"} == {"near_copies"}
    assert held.clip_id in found["near_copies"].says
    assert train.clip_id in found["near_copies"].says
    assert data.run(evidence).metrics["proofs"]["near_copies"]["broken"] == 1


def test_a_copy_is_found_whatever_the_order_of_the_rows_in_the_table_of_splits(
    tmp_path: Path,
) -> None:
    made = audited.project()
    held, train = made.of_split("test")[0], made.of_split("train")[0]
    copy = made.hashes[made.clips.index(train)].copy()
    copy[:, :, 0] ^= 0b1111
    made.hashes[made.clips.index(held)] = copy
    evidence = audited.write(made, tmp_path)
    path = tmp_path / "splits" / MANIFEST
    pq.write_table(pq.read_table(path)[::-1], path)
    assert judged(evidence)["near_copies"].state == "red"


def test_the_distance_is_that_of_the_split(tmp_path: Path) -> None:
    made = audited.project()
    held, train = made.of_split("test")[0], made.of_split("train")[0]
    copy = made.hashes[made.clips.index(train)].copy()
    copy[:, :, :7] ^= 0xFF
    made.hashes[made.clips.index(held)] = copy
    evidence = audited.write(made, tmp_path)
    assert evidence.folders is not None
    assert not red(evidence)
    assert "the closest pair is 56 bits" in judged(evidence)["near_copies"].says
    (evidence.folders.splits / "audit.json").write_text(
        json.dumps({"max_distance": 56, "max_single_distance": 40})
    )
    assert red(replace(evidence)) == {"near_copies"}


def test_among_very_many_a_sample_is_compared_and_says_what_it_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "MAX_COMPARISONS", 2 * audited.NUM_HASHES**2 * 64 * 30)
    says = judged(audited.write(audited.project(), tmp_path))["near_copies"].says
    assert "a sample of 30 of 40 held-out clips compared with 64" in says
    assert "fewer than 9.5 %" in says


def test_flat_clips_are_counted_as_not_compared(tmp_path: Path) -> None:
    made = audited.project()
    made.hashes[:3] = 0
    section = data.run(audited.write(made, tmp_path))
    assert "3 clips are too flat" in json.dumps([cell.soft for cell in cells(section)])


def test_an_unseen_source_that_training_saw_is_red(tmp_path: Path) -> None:
    made = audited.project()
    some = made.of_split("unseen")[0].recording
    made.change(lambda clip: clip.recording == some, split="train")
    found = judged(audited.write(made, tmp_path))
    assert found["unseen_sources"].state == "red"
    assert "fleet-b" in found["unseen_sources"].says
    assert some in found["unseen_sources"].says


@pytest.mark.parametrize(
    "change",
    [{"split": "train"}, {"parent_id": "nobody"}, {"recording": "toy/other"}, {"discharge": None}],
)
def test_a_variant_that_is_not_as_its_clip_is_red(change: dict[str, Any], tmp_path: Path) -> None:
    made = audited.project()
    place = next(i for i, one in enumerate(made.variants) if one.split == "test")
    made.variants[place] = replace(made.variants[place], **change)
    found = judged(audited.write(made, tmp_path))
    assert found["variants"].state == "red"
    assert made.variants[place].clip_id in found["variants"].says


@pytest.mark.parametrize(
    ("split", "to"), [("test", "train"), ("train", "test"), ("val", "train"), ("train", None)]
)
def test_a_table_edited_by_hand_is_red_though_no_recording_is_divided(
    split: str, to: str | None, tmp_path: Path
) -> None:
    made = audited.project()
    made.variants = []
    evidence = audited.write(made, tmp_path)
    assert evidence.folders is not None
    moved = made.of_split(split)[0].recording
    made.change(lambda clip: clip.recording == moved, split=to)
    audited.edit(evidence.folders, made.clips)
    assert red(evidence) == {"tables"}


def test_recordings_exchanged_by_hand_are_found_by_what_was_judged(tmp_path: Path) -> None:
    made = audited.project()
    made.variants = []
    evidence = audited.write(made, tmp_path)
    assert evidence.folders is not None
    one, other = (made.of_split(split)[0] for split in ("test", "train"))
    for clip, split in ((one, "train"), (other, "test")):
        made.change(lambda c, clip=clip: c.recording == clip.recording, split=split)
    audited.edit(evidence.folders, made.clips)
    found = judged(evidence)
    assert found["tables"].state == "red"
    assert one.clip_id in found["tables"].says


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"origin": "game"}, "is not as ingest wrote it"),
        ({"offset": 7}, "is not as ingest wrote it"),
        ({"viewpoint": ""}, "is not as ingest wrote it"),
        ({"clip_id": "abcdef"}, "is in no row of the splits"),
    ],
)
def test_a_row_that_ingest_did_not_write_is_red(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    made = audited.project()
    evidence = audited.write(made, tmp_path)
    assert evidence.folders is not None
    some = made.of_split("val")[0]
    made.change(lambda clip: clip is some, **change)
    audited.edit(evidence.folders, made.clips)
    assert "tables" in red(evidence)
    offenders = data.run(evidence).rows["offenders.parquet"]
    assert f"clip {some.clip_id} {said}" in offenders["found"].to_pylist()


@pytest.mark.parametrize("bags", [0, 4])
def test_windows_of_bags_are_in_train_without_a_label_and_nowhere_else(
    bags: int, tmp_path: Path
) -> None:
    made = audited.project()
    some = made.of_split("train")[0]
    made.change(lambda clip: clip.clip_id == some.clip_id, discharge=None)
    evidence = audited.write(made, tmp_path / "train", bags)
    assert judged(evidence)["tables"].state != "red"
    other = made.of_split("val")[0]
    made.change(lambda clip: clip.clip_id == other.clip_id, discharge=None)
    evidence = audited.write(made, tmp_path / "val", bags)
    assert "tables" in red(evidence)
    offenders = data.run(evidence).rows["offenders.parquet"]
    assert f"clip {other.clip_id} is not as ingest wrote it" in offenders["found"].to_pylist()


def test_a_row_that_stands_twice_is_red(tmp_path: Path) -> None:
    made = audited.project()
    evidence = audited.write(made, tmp_path)
    assert evidence.folders is not None
    audited.edit(evidence.folders, [*made.clips[:-1], made.clips[0]])
    with_twice = data.run(evidence).rows["offenders.parquet"]
    assert f"clip {made.clips[0].clip_id} stands twice" in with_twice["found"].to_pylist()


def test_weights_of_another_split_are_red(tmp_path: Path) -> None:
    evidence = audited.write(audited.project(), tmp_path)
    assert evidence.folders is not None
    card = evidence.folders.models / "model.json"
    told = json.loads(card.read_text())
    told["data"]["footage"][0]["train"] += 1
    card.write_text(json.dumps(told))
    found = judged(evidence)["tables"]
    assert found.state == "red"
    assert "9 clips when made, 8 in the table: train of fleet-a / real / CC0-1.0" in found.says


def test_a_source_of_rendered_clips_and_others_is_counted_as_a_whole(tmp_path: Path) -> None:
    evidence = audited.write(audited.project(), tmp_path)
    assert evidence.folders is not None
    card = evidence.folders.models / "model.json"
    told = json.loads(card.read_text())
    row = told["data"]["footage"][0]
    assert row["train"] == 8
    told["data"]["footage"][0] = row | {"train": 5}
    told["data"]["footage"].append(row | {"train": 3, "val": 0, "rendered": True})
    card.write_text(json.dumps(told))
    assert judged(evidence)["tables"].state == "green"


def test_gaps_of_licence_and_authority_are_amber_and_name_the_source(tmp_path: Path) -> None:
    made = audited.project()
    made.variants = []
    changes = {"doom": {"licence": "Unknown"}, "sintel": {"authority": " "}}
    for source, change in changes.items():
        made.change(lambda clip, source=source: clip.source == source, **change)
        made.files = [replace(f, **change) if f.source == source else f for f in made.files]
    found = judged(audited.write(made, tmp_path))
    assert found["licences"].state == found["authority"].state == "amber"
    assert found["licences"].says.startswith("Footage of doom (16 clips) has no known licence")
    assert found["authority"].says.startswith("Footage of sintel (16 clips) does not say")
    assert not {one.name for one in found.values() if one.state == "red"}


def test_a_class_that_a_split_lacks_is_amber(tmp_path: Path) -> None:
    found = judged(audited.write(audited.project(), tmp_path))["classes"]
    assert found.state == "amber"
    assert "unseen has no fictional shooting" in found.says


def test_counts_are_those_of_the_tables(tmp_path: Path) -> None:
    section = data.run(audited.write(audited.project(), tmp_path))
    metrics = section.metrics
    assert metrics["num_files"] == 33
    assert metrics["num_clips"] == 65
    assert metrics["num_recordings"] == 32
    assert metrics["num_variants"] == {"test": 12, "train": 24}
    assert metrics["clips"]["test"] == {
        "real_shooting": 2,
        "fictional_shooting": 4,
        "real_other": 2,
        "fictional_other": 4,
    }
    assert metrics["rejects"] == {"decode_error": 1}
    assert metrics["unused"] == {"discharge_at_edge": 1}
    assert section.rows["clips.parquet"].num_rows == 65
    assert section.rows["files.parquet"]["reject"].drop_null().to_pylist() == ["decode_error"]
    header, rows = section.plots["composition.csv"]
    assert len(header) == len(rows[0]) == 4
    assert ["test", "real_shooting", 2, 1] in rows
    json.dumps(metrics, allow_nan=False)


def test_copies_within_a_split_are_counted_and_no_fault(tmp_path: Path) -> None:
    made = audited.project()
    made.variants = []
    first, second = made.of_split("train")[0], made.of_split("train")[-1]
    made.change(
        lambda clip: clip.recording == second.recording,
        cluster=first.cluster,
        pixels_sha256=first.pixels_sha256,
    )
    evidence = audited.write(made, tmp_path)
    assert not red(evidence)
    assert data.run(evidence).metrics["copies"] == {
        "num_equal_groups": 1,
        "num_equal_clips": 3,
        "num_alike_clusters": 1,
        "num_alike_recordings": 2,
        "num_alike_clips": 5,
    }


def test_a_collection_is_audited_from_its_scored_tables_alone() -> None:
    evidence = toy.evidence()
    section = data.run(evidence)
    found = {verdict.name: verdict for verdict in section.verdicts}
    assert found["splits"].state == "grey"
    assert not {one.name for one in section.verdicts if one.state == "red"}
    assert found["authority"].says.startswith("Footage of phone, sintel (30 clips)")
    assert section.metrics["num_clips"] == 100
    assert section.metrics["num_files"] == 20
    assert section.metrics["copies"] is None


def test_rejected_files_and_unlabelled_clips_of_a_collection_are_counted() -> None:
    evidence = toy.evidence()
    clips = evidence.judged_sets[0].clips
    place = clips.schema.get_field_index("discharge")
    unlabelled = pa.array([None, *clips["discharge"].to_pylist()[1:]], pa.int8())
    clips = clips.set_column(place, clips.schema.field(place), unlabelled)
    rejected = {
        **dict.fromkeys(FILE_SCHEMA.names),
        **{"path": "x.mp4", "origin": "real", "source": "bodycam", "recording": "r"},
        **{"licence": "CC0-1.0", "authority": toy.RENDERED, "rendered": True, "discharge": 0},
        **{"status": "rejected", "reason": "too_short", "num_clips": 0},
    }
    files = pa.Table.from_pylist([rejected], FILE_SCHEMA)
    part = JudgedSet("mine", "Files", clips, toy.clip, "", files=files)
    metrics = data.run(replace(evidence, judged_sets=[part])).metrics
    assert metrics["rejects"] == {"too_short": 1}
    assert metrics["unused"] == {"label_unknown": 1}
    assert sum(metrics["clips"]["mine"].values()) == 99


def test_foreign_text_cannot_pretend_to_be_the_reports(tmp_path: Path) -> None:
    made = audited.project()
    evil = "x\u202e</script><script>alert(1)</script>" + "y" * 100_000
    made.variants = []
    some = made.of_split("train")[0].recording
    made.files = [replace(f, source=evil) if f.recording == some else f for f in made.files]
    made.change(lambda clip: clip.recording == some, source=evil, authority="")
    moved = made.of_split("train")[0].clip_id
    made.change(lambda clip: clip.clip_id == moved, split="test")
    section = data.run(audited.write(made, tmp_path))
    shown = [verdict.says for verdict in section.verdicts]
    shown += [part for cell in cells(section) for part in (cell.text, cell.soft)]
    assert not any("\u202e" in line for line in shown)
    assert max(map(len, shown)) < 2_000


def test_equal_evidence_gives_an_equal_section(tmp_path: Path) -> None:
    evidence = audited.write(audited.project(), tmp_path)
    one, other = data.run(evidence), data.run(evidence)
    assert one.verdicts == other.verdicts
    assert one.panels == other.panels
    assert all(one.rows[name].equals(other.rows[name]) for name in one.rows)


@pytest.mark.parametrize("name", ["clips/files.parquet", "splits/audit.json", "models/model.json"])
def test_a_file_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    evidence = audited.write(audited.project(), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=name.rpartition("/")[2]):
        data.run(evidence)


def test_fingerprints_of_another_manifest_are_refused(tmp_path: Path) -> None:
    evidence = audited.write(audited.project(), tmp_path)
    np.save(tmp_path / "clips" / "fingerprints.npy", np.zeros((3, 4, 2, 32), np.uint8))
    with pytest.raises(UserError, match="instead of a fingerprint for each of 65 clips"):
        data.run(evidence)


def test_every_row_of_a_table_has_a_cell_a_column(tmp_path: Path) -> None:
    made = audited.project()
    made.change(lambda clip: clip.split == "val", split="test")
    for evidence in (audited.write(made, tmp_path), toy.evidence()):
        tables = [panel for panel in data.run(evidence).panels if isinstance(panel, Table)]
        assert tables
        assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    assert (tmp_path / "splits" / MANIFEST).is_file()


def cells(section: Section) -> list[Any]:
    tables = [panel for panel in section.panels if isinstance(panel, Table)]
    return [cell for table in tables for row in table.rows for cell in row]


def test_a_collection_of_clips_without_a_label_is_grey_and_breaks_nothing() -> None:
    evidence = toy.evidence()
    clips = evidence.judged_sets[0].clips
    place = clips.schema.get_field_index("discharge")
    unlabelled = pa.array([None] * clips.num_rows, pa.int8())
    clips = clips.set_column(place, clips.schema.field(place), unlabelled)
    files = pa.Table.from_pylist([], FILE_SCHEMA)
    part = JudgedSet("mine", "Files", clips, toy.clip, "", files=files)
    assert judged(replace(evidence, judged_sets=[part]))["classes"].state == "grey"
