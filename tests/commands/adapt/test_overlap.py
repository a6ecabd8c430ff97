from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.detect import overlap
from pipeline.errors import UserError
from pipeline.learn.model_card import CARD
from pipeline.store import features, video
from pipeline.store.manifest import Clip, read_manifest
from pipeline.store.output_files import METRICS, REPORT
from pipeline.store.packed_samples import INDEX, Packed
from pipeline.store.shards import read_clip
from tests.commands.adapt.toy import adapted_to, rows


def clips_of(detector: Path) -> tuple[Path, list[Clip]]:
    """The clips of a collection that was adapted to, and where they are."""
    folder = detector / "work" / "adapt" / "collections" / "own" / "clips"
    return folder, read_manifest(folder)


def train_on(detector: Path, sha256s: list[str]) -> None:
    """Let samples of training have the hashes that are given."""

    def change(path: Path) -> None:
        table = pq.read_table(path)
        place = table.schema.get_field_index("sha256")
        kept = table["sha256"].to_pylist()[len(sha256s) :]
        column = pa.array([*sha256s, *kept])
        pq.write_table(table.set_column(place, table.schema.field(place), column), path)

    change(detector / "packed" / INDEX)
    change(detector / "features" / features.INDEX)
    path = detector / "models" / CARD
    card = json.loads(path.read_text())
    digest = hashlib.sha256((detector / "packed" / INDEX).read_bytes()).hexdigest()
    card["data"]["sha256"] = {INDEX: digest}
    path.write_text(json.dumps(card))


def test_a_file_that_training_had_is_left_out_and_named(detector: Path) -> None:
    own = rows("real", "game")
    adapted_to(detector, own)
    folder, clips = clips_of(detector)
    path = own[0].path
    # Not the first clip of the file, which alone is learned from.
    second = [clip for clip in clips if clip.path == path][1]
    frames = video.decode(read_clip(folder, second)).tobytes()
    train_on(detector, [hashlib.sha256(frames).hexdigest()])
    target = adapted_to(detector, own, "clips_per_file=1")
    told = json.loads((target / METRICS).read_text())
    assert told["known_files"] == [path]
    assert told["files"] == len(own) - 1
    page = (target / REPORT).read_text()
    assert f"<li>{path}: among the samples of training already</li>" in page
    assert "1 file was left out because training had it" in page


def test_a_collection_that_training_had_whole_is_an_error(detector: Path) -> None:
    own = rows("real", sources=1)
    adapted_to(detector, own)
    folder, clips = clips_of(detector)
    frames = [video.decode(read_clip(folder, clip)).tobytes() for clip in clips]
    train_on(detector, [hashlib.sha256(one).hexdigest() for one in frames])
    with pytest.raises(UserError, match=r"own: all that can be learned from is among the samples"):
        adapted_to(detector, own)


def test_samples_that_are_packed_as_mp4_are_found_as_well(detector: Path) -> None:
    adapted_to(detector, rows("real", sources=2))
    folder, clips = clips_of(detector)
    packed = Packed.open(detector / "packed", detector / "work")
    assert overlap.known_files(clips, folder, packed, 2) == set()
    held = hashlib.sha256(read_clip(folder, clips[0])).hexdigest()
    index = pa.table({"sha256": [held]})
    packed = dataclasses.replace(packed, index=index, names=["shard-00000.tar"])
    assert overlap.known_files(clips, folder, packed, 2) == {clips[0].path}


def test_only_samples_of_the_splits_that_are_asked_for_count(detector: Path) -> None:
    adapted_to(detector, rows("real", sources=2))
    folder, clips = clips_of(detector)
    packed = Packed.open(detector / "packed", detector / "work")
    held = [hashlib.sha256(read_clip(folder, clip)).hexdigest() for clip in clips]
    splits = ["train" if clip.path == clips[0].path else "test" for clip in clips]
    packed = dataclasses.replace(packed, index=pa.table({"sha256": held, "split": splits}))
    found = overlap.known_files(clips, folder, packed, 2, overlap.LEARNED_FROM)
    assert found == {clips[0].path}
