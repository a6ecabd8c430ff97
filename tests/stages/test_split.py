from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import manifest
from pipeline.config import App, SplitConfig
from pipeline.errors import UserError
from pipeline.manifest import Clip
from pipeline.stages import split
from tests.test_manifest import CLIP

CFG = SplitConfig(seed=3, val_fraction=0.2, test_fraction=0.2, unseen_sources=[])


def clips(num_recordings: int = 40, clips_each: int = 3) -> list[Clip]:
    return [
        replace(
            CLIP,
            clip_id=f"{recording:04x}{number}",
            recording=f"c/{recording}",
            pixels_sha256=f"{recording}-{number}",
            origin="real" if recording % 2 else "game",
            source=f"s{recording % 4}",
            discharge=recording % 8 < 4,
        )
        for recording in range(num_recordings)
        for number in range(clips_each)
    ]


def splits_of(assigned: list[Clip], key: str) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = defaultdict(set)
    for clip in assigned:
        found[getattr(clip, key)].add(clip.split)
    return found


def test_no_recording_straddles_splits_and_the_fractions_are_kept() -> None:
    assigned = split.assign(clips(), CFG)
    of_recording = splits_of(assigned, "recording")
    assert all(len(names) == 1 for names in of_recording.values())
    assert Counter(next(iter(names)) for names in of_recording.values()) == {
        "train": 24,
        "val": 8,
        "test": 8,
    }


def test_every_source_and_class_is_in_every_split() -> None:
    assigned = split.assign(clips(), CFG)
    strata = {(c.split, c.source, c.discharge) for c in assigned}
    assert len(strata) == 3 * 8


def test_recordings_that_share_pixels_stay_together() -> None:
    many = clips()
    linked = [
        replace(c, pixels_sha256="same") if c.recording in ("c/0", "c/5", "c/9") else c
        for c in many
    ]
    assigned = split.assign(linked, CFG)
    together = {c.split for c in assigned if c.recording in ("c/0", "c/5", "c/9")}
    assert len(together) == 1
    assert {c.cluster for c in assigned if c.recording in ("c/5", "c/9")} == {"c/0"}


def test_the_seed_decides_and_the_order_of_clips_does_not() -> None:
    def by_id(assigned: list[Clip]) -> dict[str, str | None]:
        return {c.clip_id: c.split for c in assigned}

    assert by_id(split.assign(clips(), CFG)) == by_id(split.assign(clips()[::-1], CFG))
    assert by_id(split.assign(clips(), CFG)) != by_id(split.assign(clips(), replace(CFG, seed=4)))


def test_an_unseen_source_is_held_out_whole_and_taints_its_clusters() -> None:
    mixed = [replace(c, source="twin") if c.recording == "c/2" else c for c in clips()]
    mixed = [
        replace(c, pixels_sha256="same") if c.recording in ("c/2", "c/6") else c for c in mixed
    ]
    assigned = split.assign(mixed, replace(CFG, unseen_sources=["s2"]))
    assert splits_of(assigned, "source")["s2"] == {"unseen"}
    assert {c.split for c in assigned if c.recording == "c/2"} == {None}
    assert "unseen" not in splits_of(assigned, "source")["s1"]


def test_a_clip_of_unknown_label_serves_no_split() -> None:
    some = [replace(c, discharge=None) if c.clip_id.endswith("1") else c for c in clips()]
    assigned = split.assign(some, CFG)
    assert all((c.split is None) == (c.discharge is None) for c in assigned)


def write(folder: Path, rows: list[Clip]) -> None:
    folder.mkdir()
    manifest.write_manifest(folder, rows)


def test_the_stage_writes_the_manifest_and_counts(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write(tmp_path / "clips", clips())
    split.run(compose("split", "val_fraction=0.2", "test_fraction=0.2"))
    assert {c.split for c in manifest.read_manifest(tmp_path / "splits")} == {
        "train",
        "val",
        "test",
    }
    stats = json.loads((tmp_path / "splits" / "stats.json").read_text())
    assert stats["recordings"] == {"train": 24, "val": 8, "test": 8, "unseen": 0}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("unseen_sources=[nowhere]", "no source 'nowhere'; there are s0, s1, s2, s3"),
        ("val_fraction=0.9", "leave something to train on"),
        ("unseen_sources=[s0,s1,s2,s3]", "split train, val, test: empty"),
    ],
)
def test_what_cannot_be_split_is_an_error_and_changes_nothing(
    compose: Callable[..., App], tmp_path: Path, override: str, message: str
) -> None:
    write(tmp_path / "clips", clips())
    with pytest.raises(UserError, match=message):
        split.run(compose("split", override))
    assert not (tmp_path / "splits").exists()
