from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline import manifest, shards, video
from pipeline.config import App
from pipeline.errors import UserError
from pipeline.packed import Packed
from pipeline.stages import augment, ingest, pack, split


@pytest.fixture
def augmented(compose: Callable[..., App], small_collection: Path) -> None:
    ingest.run(compose("ingest"))
    split.run(compose("split"))
    augment.run(compose("augment"))


def test_samples_are_the_decoded_clips_at_random_access(
    compose: Callable[..., App], augmented: None, tmp_path: Path
) -> None:
    pack.run(compose("pack"))
    packed = Packed.open(tmp_path / "packed")
    clips = {c.clip_id: c for c in manifest.read_manifest(tmp_path / "splits")}
    variants = {c.clip_id: c for c in manifest.read_manifest(tmp_path / "augmented")}
    rows = packed.index.to_pylist()
    assert {row["sample_id"] for row in rows} == {
        *(c.clip_id for c in clips.values() if c.split),
        *variants,
    }
    for i in (len(rows) - 1, 0, len(rows) // 2):
        row = rows[i]
        folder = "augmented" if row["variant"] else "clips"
        clip = (variants if row["variant"] else clips)[row["sample_id"]]
        expected = video.decode(shards.read_clip(tmp_path / folder, clip))
        assert np.array_equal(packed.read(i), expected)


def test_variants_are_selected_for_training_only_when_wanted(
    compose: Callable[..., App], augmented: None, tmp_path: Path
) -> None:
    pack.run(compose("pack"))
    packed = Packed.open(tmp_path / "packed")
    train = packed.select(["train"], variants=False)
    assert len(packed.select(["train"], variants=True)) == 2 * len(train)
    splits = packed.index["split"].to_pylist()
    assert {splits[i] for i in packed.select(["val", "test"], variants=True)} == {"val", "test"}


def test_one_and_two_workers_write_the_same_bytes(
    compose: Callable[..., App], augmented: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "_CLIPS_PER_BLOCK", 3)
    outputs = []
    for workers in (1, 2):
        pack.run(compose("pack", "run.executor=processes", f"run.num_workers={workers}"))
        outputs.append({f.name: f.read_bytes() for f in (tmp_path / "packed").iterdir()})
    assert outputs[0] == outputs[1]


def test_an_unknown_encoding_is_an_error(compose: Callable[..., App]) -> None:
    with pytest.raises(UserError, match="encoding 'zip' is none of raw"):
        pack.run(compose("pack", "encoding=zip"))


def test_truncated_samples_are_an_error(
    compose: Callable[..., App], augmented: None, tmp_path: Path
) -> None:
    pack.run(compose("pack"))
    samples = tmp_path / "packed" / "samples.raw"
    samples.write_bytes(samples.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"samples\.raw: \d+ bytes instead of \d+; run dvc"):
        Packed.open(tmp_path / "packed")
    stats = json.loads((tmp_path / "packed" / "stats.json").read_text())
    assert stats["samples"]["train clip"] == stats["samples"]["train variant"]
