"""The suite of slices: where the detector is worse turns red, chance does not."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.assess.evidence import Figure
from pipeline.assess.settings import Folders
from pipeline.assess.suites.slices import metadata_slices, pixels, slices
from pipeline.detect import scores
from pipeline.store import manifest
from pipeline.store.manifest import Clip, File
from tests.assess import toy
from tests.rows import clip_row

SOURCES = (
    toy.Source("bodycam", "real", 40, 40),
    toy.Source("doom", "game", 40, 40),
)


def clip(row, notes, viewpoint="body"):
    return clip_row(
        clip_id=row["clip_id"],
        collection=row["collection"],
        path=row["path"],
        source=row["source"],
        origin=row["origin"],
        recording=row["recording"],
        start_s=row["start_s"],
        box="0,0,32,32",
        discharge=bool(row["discharge"]),
        licence=row["licence"],
        authority=row["authority"],
        rendered=row["rendered"],
        viewpoint=viewpoint,
        notes=notes,
        shard="",
        offset=0,
        size=0,
    )


def file(row, **values):
    names = (
        "collection",
        "path",
        "recording",
        "source",
        "origin",
        "licence",
        "authority",
        "rendered",
    )
    return File(**{name: row[name] for name in names}, **values)


def evidence(folder, notes_of, file_of=None, worse=None, sources=SOURCES):
    """Clips of a fair detector with notes; it guesses about the rows that are `worse`."""
    base = toy.evidence(sources, skill=1.5)
    part = base.judged_sets[0]
    rows = part.clips.to_pylist()
    if worse is not None:
        joint = scores.joint(part.clips)
        bad = np.array([worse(row) for row in rows])
        joint[bad] = np.random.default_rng(5).dirichlet(np.ones(4), int(bad.sum()))
        columns = part.clips.select(scores.CLIP_SCHEMA.names)
        part = replace(part, clips=scores.score_table(columns, joint))
    manifest.write_rows(folder / manifest.MANIFEST, Clip, [clip(r, notes_of(r)) for r in rows])
    paths = {row["path"]: row for row in rows}
    make = file_of or (lambda row: file(row, width=320, height=240, fps=30.0))
    manifest.write_rows(folder / manifest.FILES, File, [make(row) for row in paths.values()])
    places = Folders(folder, folder, folder, folder, folder)
    grey = np.zeros((4, 32, 32, 3), np.uint8)
    return replace(
        base, judged_sets=[replace(part, read=lambda i: toy.silent(grey))], folders=places
    )


def number(row):
    return int(row["path"].split("/")[1].split(".")[0])


def day_or_night(row):
    return "light=night" if number(row) % 4 == 0 else "light=clear"


def test_a_detector_that_guesses_at_night_turns_the_verdict_red(tmp_path):
    section = slices.run(evidence(tmp_path, day_or_night, worse=lambda row: number(row) % 4 == 0))
    (verdict,) = section.verdicts
    assert verdict.state == "red"
    assert "light \u201cnight\u201d" in verdict.says
    assert section.metrics["test"]["light"]["night"]["state"] == "red"
    assert section.metrics["test"]["light"]["day"]["state"] != "red"
    assert section.metrics["test"]["light"]["night"]["shooting"]["difference"] < -0.1


@pytest.mark.parametrize("seed", range(5))
def test_slices_by_chance_stay_free_of_red(tmp_path, seed):
    rng = np.random.default_rng(seed)
    said = {}

    def notes_of(row):
        values = said.setdefault(row["path"], rng.integers(0, 3, 6))
        return ", ".join(f"key{chr(97 + i)}={v}" for i, v in enumerate(values))

    (verdict,) = slices.run(evidence(tmp_path, notes_of)).verdicts
    assert verdict.state == "amber"


def test_many_clean_recordings_are_green(tmp_path):
    many = (toy.Source("bodycam", "real", 300, 300), toy.Source("doom", "game", 300, 300))
    (verdict,) = slices.run(evidence(tmp_path, day_or_night, sources=many)).verdicts
    assert verdict.state == "green"


def test_few_recordings_are_grey_and_called_too_small(tmp_path):
    few = (toy.Source("bodycam", "real", 4, 4), toy.Source("doom", "game", 2, 2))
    section = slices.run(evidence(tmp_path, day_or_night, sources=few))
    (verdict,) = section.verdicts
    assert verdict.state == "grey"
    assert "too small" in verdict.says
    assert {one["state"] for one in section.rows["results.parquet"].to_pylist()} == {"grey"}


def test_original_files_and_viewpoints_become_slices(tmp_path):
    def file_of(row):
        tall = number(row) % 2 == 0
        marks = '["damaged"]' if number(row) % 5 == 0 else "[]"
        size = {"width": 1080, "height": 1920} if tall else {"width": 320, "height": 180}
        return file(row, **size, fps=60.0 if tall else 15.0, marks=marks)

    section = slices.run(evidence(tmp_path, lambda row: "", file_of))
    found = section.metrics["test"]
    assert found["original side"]["720 px and more"]["num_recordings"] == 80
    assert found["original side"]["below 240 px"]["num_recordings"] == 80
    assert found["original rate"]["40 fps and more"]["num_clips"] == 400
    assert found["original file"]["with a mark"]["num_recordings"] == 32
    assert list(found["viewpoint"]) == ["body"]


def test_pixels_are_looked_at_of_a_bounded_sample_that_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_CLIPS", 50)
    given = evidence(tmp_path, day_or_night)
    part = given.judged_sets[0]
    read = []

    def frames(i):
        read.append(i)
        return np.full((4, 32, 32, 3), 40 if i % 2 else 200, np.uint8)

    section = slices.run(
        replace(given, judged_sets=[replace(part, read=lambda i: toy.silent(frames(i)))])
    )
    assert len(read) == len(set(read)) == 50
    sizes = {
        value: one["num_clips"] for value, one in section.metrics["test"]["brightness"].items()
    }
    assert sum(sizes.values()) == 50
    assert section.rows["pixels.parquet"].num_rows == 50
    fewer = replace(part, clips=part.clips.slice(0, 700))
    kept = set(metadata_slices._sample(fewer, 50)) & set(read)
    assert len(kept) >= 40


def test_numbers_can_be_counted_again_from_the_rows(tmp_path):
    given = evidence(tmp_path, day_or_night)
    section = slices.run(given)
    members = section.rows["members.parquet"].to_pylist()
    night = {r["example"] for r in members if r["value"] == "night" and r["member"]}
    rows = [row for row in given.judged_sets[0].clips.to_pylist() if row["sample_id"] in night]
    others = [r for r in rows if not (r["origin"] == "real" and r["discharge"])]
    alarms = sum(max(scores.PROBABILITIES, key=r.__getitem__) == "p_real_shooting" for r in others)
    found = section.metrics["test"]["light"]["night"]
    assert found["num_clips"] == len(rows)
    assert found["false_alarms"]["estimate"] == pytest.approx(alarms / len(others), abs=1e-6)
    (result,) = (
        r
        for r in section.rows["results.parquet"].to_pylist()
        if (r["value"], r["measure"]) == ("night", "shooting")
    )
    assert result["low"] < result["estimate"] < result["high"]
    assert result["difference_low"] < result["difference"] < result["difference_high"]


def test_sections_are_json_repeat_and_escape_what_notes_say(tmp_path):
    def evil(row):
        return "who=<img src=x>" if number(row) % 2 else "who=<b>b</b>"

    given = evidence(tmp_path, evil)
    first, second = slices.run(given), slices.run(given)
    assert json.dumps(first.metrics, allow_nan=False) == json.dumps(second.metrics)
    assert first.rows["results.parquet"].equals(second.rows["results.parquet"])
    for panel in first.panels:
        if isinstance(panel, Figure):
            assert "<b>" not in json.dumps(panel.spec)
        else:
            assert all(len(row) == len(panel.columns) for row in panel.rows)


def test_a_key_of_notes_does_not_hide_a_slice_of_ours(tmp_path):
    section = slices.run(evidence(tmp_path, lambda row: "viewpoint=roof, contrast=low"))
    found = section.metrics["test"]
    assert list(found["viewpoint"]) == ["body"]
    assert list(found["viewpoint (notes)"]) == ["roof"]
    assert found["contrast"]["low"]["num_recordings"] == 160
    assert list(found["contrast (notes)"]) == ["low"]


def test_a_collection_has_slices_of_pixels_alone():
    given = toy.evidence(SOURCES)
    section = slices.run(given)
    assert set(section.metrics["test"]) <= {"brightness", "picture", "contrast"}
    assert section.metrics["test"]
    assert section.plots["slices.csv"][0] == ("part", "slice", "value", "auroc", "false_alarms")


def test_no_slice_at_all_is_grey_with_empty_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_CLIPS", 0)
    section = slices.run(toy.evidence(SOURCES))
    assert [one.state for one in section.verdicts] == ["grey"]
    assert section.rows["members.parquet"].num_rows == 0
    sink = pa.BufferOutputStream()
    pq.write_table(section.rows["results.parquet"], sink)
