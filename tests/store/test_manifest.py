from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.store import manifest
from pipeline.store.manifest import (
    CLASSES,
    MANIFEST,
    Clip,
    Reject,
    class_index,
    read_rows,
    write_rows,
)

CLIP = Clip(
    clip_id="00ff",
    parent_id=None,
    collection="c",
    path="a.mp4",
    source="s",
    origin="real",
    recording="c/a.mp4",
    start_s=0.0,
    box="0,0,64,64",
    discharge=None,
    licence="CC0",
    authority="",
    viewpoint="",
    notes="",
    pixels_sha256="ab",
    shard="shard-00000.tar",
    offset=512,
    size=10,
)


def test_clips_survive_a_round_trip_with_their_nulls(tmp_path: Path) -> None:
    clips = [CLIP, replace(CLIP, clip_id="1", discharge=True, cluster="k", split="train")]
    write_rows(tmp_path / MANIFEST, Clip, clips)
    assert manifest.read_manifest(tmp_path) == clips


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / name, Clip, [CLIP])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_are_read_in_order_and_a_batch_at_a_time(tmp_path: Path) -> None:
    num_rows = 20_000
    reject = Reject("c", "a.mp4", "ingest", "too_short", "", "")
    rejects = (replace(reject, path=str(i)) for i in range(num_rows))
    write_rows(tmp_path / "rejects", Reject, rejects)
    assert manifest.open_table(tmp_path / "rejects", Reject).num_row_groups == 3
    paths = [int(row.path) for row in read_rows(tmp_path / "rejects", Reject)]
    assert paths == list(range(num_rows))


def test_classes_are_origin_times_discharge() -> None:
    named = {
        (origin, discharge): CLASSES[class_index(origin, discharge)]
        for origin in ("real", "game", "film")
        for discharge in (True, False)
    }
    assert named == {
        ("real", True): "real_shooting",
        ("real", False): "real_other",
        ("game", True): "fictional_shooting",
        ("game", False): "fictional_other",
        ("film", True): "fictional_shooting",
        ("film", False): "fictional_other",
    }


def test_a_missing_or_broken_manifest_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing"):
        manifest.read_manifest(tmp_path)
    (tmp_path / manifest.MANIFEST).write_bytes(b"PAR1 but no more")
    with pytest.raises(UserError, match="not readable"):
        manifest.read_manifest(tmp_path)
    write_rows(tmp_path / MANIFEST, Reject, [])
    with pytest.raises(UserError, match="another version"):
        manifest.read_manifest(tmp_path)


@pytest.mark.parametrize("origin", ["real", "game", "film", "generated"])
@pytest.mark.parametrize("discharge", [False, True])
def test_the_masks_of_classes_say_what_a_clip_s_class_is(origin: str, discharge: bool) -> None:
    number = class_index(origin, discharge)
    assert manifest.IS_REAL[number] == (origin == "real")
    assert manifest.IS_DISCHARGE[number] == discharge
    assert (number == manifest.REAL_SHOOTING) == (origin == "real" and discharge)
