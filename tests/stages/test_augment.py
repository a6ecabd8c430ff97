from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline import manifest, shards, video
from pipeline.config import App
from pipeline.errors import UserError
from pipeline.stages import augment, ingest, split


@pytest.fixture
def split_clips(compose: Callable[..., App], small_collection: Path) -> None:
    ingest.run(compose("ingest"))
    split.run(compose("split"))


def test_variants_keep_parent_recording_and_split_and_record_their_parameters(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment", "variants_per_clip=2"))
    parents = {c.clip_id: c for c in manifest.read_manifest(tmp_path / "splits")}
    variants = manifest.read_manifest(tmp_path / "augmented")
    train = [c for c in parents.values() if c.split == "train"]
    assert len(variants) == 2 * len(train) > 0
    for variant in variants:
        assert variant.parent_id is not None
        parent = parents[variant.parent_id]
        assert (variant.recording, variant.split) == (parent.recording, "train")
        assert set(json.loads(variant.variant or "")) <= {"camera", "sensor", "recompress_crf"}
        changed = video.decode(shards.read_clip(tmp_path / "augmented", variant))
        original = video.decode(shards.read_clip(tmp_path / "clips", parent))
        assert changed.shape == original.shape


def test_the_recorded_parameters_make_the_same_bytes_again(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment"))
    first = {f.name: f.read_bytes() for f in (tmp_path / "augmented").iterdir()}
    augment.run(compose("augment", "run.executor=processes", "run.num_workers=2"))
    assert {f.name: f.read_bytes() for f in (tmp_path / "augmented").iterdir()} == first


def test_another_seed_makes_other_variants(compose: Callable[..., App]) -> None:
    cfg = compose("augment")
    assert augment.draw("00ff", 0, cfg) == augment.draw("00ff", 0, cfg)  # type: ignore[arg-type]
    assert augment.draw("00ff", 0, cfg) != augment.draw("00ff", 1, cfg)  # type: ignore[arg-type]
    other = compose("augment", "seed=12")
    assert augment.draw("00ff", 0, cfg) != augment.draw("00ff", 0, other)  # type: ignore[arg-type]


def test_variants_differ_from_their_parents(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment", "camera.p=1", "sensor.p=1"))
    parents = {c.clip_id: c for c in manifest.read_manifest(tmp_path / "splits")}
    for variant in manifest.read_manifest(tmp_path / "augmented"):
        changed = video.decode(shards.read_clip(tmp_path / "augmented", variant)).astype(int)
        parent = parents[variant.parent_id or ""]
        original = video.decode(shards.read_clip(tmp_path / "clips", parent))
        assert np.abs(changed - original).mean() > 3


def test_a_truncated_shard_is_an_error_and_earlier_variants_stay(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment"))
    before = (tmp_path / "augmented" / "manifest.parquet").read_bytes()
    shard = tmp_path / "clips" / "shard-00000.tar"
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"shard-00000\.tar: truncated"):
        augment.run(compose("augment", "seed=1"))
    assert (tmp_path / "augmented" / "manifest.parquet").read_bytes() == before


def test_a_range_upside_down_is_an_error(compose: Callable[..., App], split_clips: None) -> None:
    with pytest.raises(UserError, match="recompress_crf"):
        augment.run(compose("augment", "recompress_crf=[40,30]"))
