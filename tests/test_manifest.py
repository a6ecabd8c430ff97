from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import manifest
from pipeline.errors import UserError
from pipeline.manifest import CLASSES, Clip, class_index

CLIP = Clip(
    clip_id="00ff",
    parent_id=None,
    collection="c",
    path="a.mp4",
    source="s",
    origin="real",
    recording="c/a.mp4",
    start_s=0.0,
    discharge=None,
    licence="CC0",
    authority="",
    viewpoint="",
    pixels_sha256="ab",
    shard="shard-00000.tar",
    offset=512,
    size=10,
)


def test_clips_survive_a_round_trip_with_their_nulls(tmp_path: Path) -> None:
    clips = [CLIP, replace(CLIP, clip_id="1", discharge=True, cluster="k", split="train")]
    manifest.write_manifest(tmp_path, clips)
    assert manifest.read_manifest(tmp_path) == clips


def test_equal_manifests_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        manifest.write_manifest(tmp_path / name, [CLIP])
    first, second = (tmp_path / n / manifest.MANIFEST for n in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


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
    manifest.write_rejects(tmp_path, [])
    (tmp_path / manifest.REJECTS).rename(tmp_path / manifest.MANIFEST)
    with pytest.raises(UserError, match="another version"):
        manifest.read_manifest(tmp_path)
