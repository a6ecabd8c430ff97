from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config import App, ClipFormat
from pipeline.errors import UserError
from pipeline.stages import augment
from pipeline.store import manifest, shards, sound, video
from pipeline.store.manifest import Clip
from pipeline.transforms import registry
from tests.conftest import moving_frames
from tests.rows import clip_row

SURE = [f"{family}.p=1" for family in (*registry.FAMILIES, "sound")]


FORMAT = ClipFormat(num_frames=6, size=64, fps=15, crf=18)


def write_clips(folder: Path, splits: Sequence[str]) -> None:
    """What ingest and split leave of one clip for each of `splits`, of origins in turn."""
    for name in ("clips", "splits"):
        (folder / name).mkdir()
    clips = []
    with shards.ShardWriter(folder / "clips", 100) as tar:
        for number, in_split in enumerate(splits):
            mp4 = video.encode(moving_frames(number, FORMAT.num_frames, FORMAT.size), FORMAT.fps)
            place = tar.add(f"{number:016x}", mp4)
            origin = ("real", "game", "film")[number % 3]
            clip = clip_row(
                clip_id=f"{number:016x}",
                collection="small",
                path=f"{number}.mp4",
                source=f"{origin}-source",
                origin=origin,
                recording=f"small/{number}",
                start_s=0.0,
                box="0,0,64,64",
                discharge=number % 2 == 0,
                licence="CC0-1.0",
                authority="",
                shard=place.shard,
                offset=place.offset,
                size=place.size,
                split=in_split,
            )
            clips.append(clip)
    manifest.write_rows(folder / "splits" / manifest.MANIFEST, Clip, clips)
    manifest.write_format(folder / "clips", FORMAT)


@pytest.fixture
def split_clips(tmp_path: Path) -> None:
    write_clips(tmp_path, ["train", "test", "val", "train", "test", "train", "test", "unseen"])


def parents_and_variants(tmp_path: Path) -> tuple[dict[str, Clip], list[Clip]]:
    parents = {c.clip_id: c for c in manifest.read_manifest(tmp_path / "splits")}
    return parents, manifest.read_manifest(tmp_path / "augmented")


def outputs(tmp_path: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in (tmp_path / "augmented").iterdir()}


def test_variants_keep_parent_recording_and_split(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment", "variants_per_clip=2"))
    parents, variants = parents_and_variants(tmp_path)
    in_split = Counter(c.split for c in parents.values())
    assert in_split["train"] > 0 < in_split["test"]
    assert Counter(c.split for c in variants) == {
        "train": 2 * in_split["train"],
        "test": 3 * in_split["test"],
    }
    for variant in variants:
        assert variant.parent_id is not None
        parent = parents[variant.parent_id]
        assert (variant.recording, variant.split) == (parent.recording, parent.split)
        changed = video.decode(shards.read_clip(tmp_path / "augmented", variant))
        original = video.decode(shards.read_clip(tmp_path / "clips", parent))
        assert changed.shape == original.shape


def test_the_record_of_a_variant_makes_its_pixels_again(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment", *SURE))
    parents, variants = parents_and_variants(tmp_path)
    for variant in variants:
        original = video.decode(
            shards.read_clip(tmp_path / "clips", parents[variant.parent_id or ""])
        )
        steps = json.loads(variant.variant or "")["steps"]
        again = registry.apply(original, steps)
        assert hashlib.sha256(again.tobytes()).hexdigest() == variant.pixels_sha256
        assert not np.array_equal(again, original)


def test_workers_and_blocks_do_not_change_a_byte(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment"))
    first = outputs(tmp_path)
    workers = ("run.executor=processes", "run.num_workers=2")
    augment.run(compose("augment", *workers, f"paths.work={tmp_path / 'other'}"))
    assert outputs(tmp_path) == first
    rows = {c.clip_id: (c.variant, c.pixels_sha256) for c in parents_and_variants(tmp_path)[1]}
    augment.run(compose("augment", "shard_clips=5"))
    again = {c.clip_id: (c.variant, c.pixels_sha256) for c in parents_and_variants(tmp_path)[1]}
    assert again == rows


def test_a_draw_follows_seed_clip_and_number(compose: Callable[..., App]) -> None:
    cfg: Any = compose("augment", *SURE)
    assert augment.draw("00ff", 0, cfg) == augment.draw("00ff", 0, cfg)
    other: Any = compose("augment", "seed=12", *SURE)
    draws = [
        augment.draw("00ff", 0, cfg),
        augment.draw("00ff", 1, cfg),
        augment.draw("00fe", 0, cfg),
        augment.draw("00ff", 0, other),
    ]
    assert len({json.dumps(drawn["steps"]) for drawn in draws}) == 4
    assert [drawn["seed"] for drawn in draws] == [
        [11, 255, 0],
        [11, 255, 1],
        [11, 254, 0],
        [12, 255, 0],
    ]


def test_every_transform_is_drawn_equally_often_within_the_bounds(
    compose: Callable[..., App],
) -> None:
    cfg: Any = compose("augment", "edits.p=0.5", "edits.most=2", "edits.max_strength=0.6")
    variants = [augment.draw(f"{number:04x}", 0, cfg)["steps"] for number in range(900)]
    names = {transform.name for transform in registry.FAMILIES["edits"]}
    edits = [[step for step in steps if step["transform"] in names] for steps in variants]
    counts = Counter(step["transform"] for steps in edits for step in steps)
    assert set(counts) == names
    # A share of 1/15 of 675 expected edits is 45, of deviation below 7.
    assert all(20 < count < 75 for count in counts.values())
    assert {len(steps) for steps in edits} == {0, 1, 2}
    assert 0.42 < np.mean([bool(steps) for steps in edits]) < 0.58
    strengths = [step["strength"] for steps in edits for step in steps]
    assert 0 <= min(strengths) < 0.05 < 0.55 < max(strengths) <= 0.6


ORIGINAL = np.random.default_rng(4).normal(0, 2000, 9600).astype(np.int16)


def write_with_sound(folder: Path, presences: Sequence[str], split: str = "train") -> None:
    """A clip for each of these presences of sound, in which a discharge can be heard."""
    write_clips(folder, [split] * len(presences))
    parents, clips = manifest.read_manifest(folder / "splits"), []
    with shards.ShardWriter(folder / "clips", 100) as tar:
        for clip, presence in zip(parents, presences, strict=True):
            mp4 = video.encode(moving_frames(3, FORMAT.num_frames, FORMAT.size), FORMAT.fps)
            place = tar.add(clip.clip_id, mp4)
            changed = replace(clip, offset=place.offset, size=place.size, sound=presence)
            if presence in (manifest.PRESENT, manifest.INCOMPLETE):
                heard = tar.add_sound(clip.clip_id, sound.encode(ORIGINAL))
                extent = {"sound_offset": heard.offset, "sound_size": heard.size}
                changed = replace(changed, **extent, heard=True)
            clips.append(changed)
    manifest.write_rows(folder / "splits" / manifest.MANIFEST, Clip, clips)


def only(*names: str) -> list[str]:
    off = [f"{family}.p=0" for family in (*registry.FAMILIES, "sound") if family not in names]
    return ["variants_per_clip=3", *off, *(f"{name}.p=1" for name in names)]


def test_variants_carry_the_sound_of_their_clip(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write_with_sound(tmp_path, ["present", "absent", "incomplete", "silent"])
    augment.run(compose("augment", *only("camera", "overlays")))
    parents, variants = parents_and_variants(tmp_path)
    assert len(variants) == 12
    for variant in variants:
        parent = parents[variant.parent_id or ""]
        assert (variant.sound, variant.heard) == (parent.sound, parent.heard)
        samples = sound.read_sound(tmp_path / "augmented", variant)
        assert (samples is None) == (parent.sound in ("absent", "silent"))
        assert samples is None or np.array_equal(samples, ORIGINAL)


def test_edits_of_sound_change_the_sound_alone_and_are_recorded(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write_with_sound(tmp_path, ["present"] * 6)
    augment.run(compose("augment", *only("sound"), "sound.max_strength=1"))
    _, variants = parents_and_variants(tmp_path)
    assert len({variant.pixels_sha256 for variant in variants}) == 1
    met = set()
    for variant in variants:
        steps = json.loads(variant.variant or "")["steps"]
        met |= {step["transform"] for step in steps}
        again = registry.apply_to_sound(ORIGINAL, steps)
        samples = sound.read_sound(tmp_path / "augmented", variant)
        assert np.array_equal(again, np.zeros_like(again) if samples is None else samples)
        assert variant.sound == sound.told_by_level(again)
        hides = any(registry.SOUND_TRANSFORMS[step["transform"]].hides for step in steps)
        assert variant.heard == (None if hides or samples is None else True)
    assert len(met) > 6


def test_what_is_done_to_the_sound_leaves_the_pictures_as_they_were(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write_with_sound(tmp_path, ["present", "absent"])
    found = []
    for p in (0, 1):
        augment.run(compose("augment", "variants_per_clip=4", f"sound.p={p}"))
        _, variants = parents_and_variants(tmp_path)
        found.append([(v.clip_id, v.pixels_sha256) for v in variants])
    assert found[0] == found[1]


@pytest.mark.parametrize("edit", [None, "hud"])
def test_origin_class_and_source_have_no_say(
    compose: Callable[..., App], split_clips: None, tmp_path: Path, edit: str | None
) -> None:
    cfg: Any = compose("augment", *SURE)
    clip = next(c for c in manifest.read_manifest(tmp_path / "splits") if c.origin == "real")
    name = "0" if edit is None else "severe"
    task = augment.AugmentTask(clip, tmp_path / "clips", name, edit, cfg, FORMAT)
    other = replace(clip, origin="game", discharge=not clip.discharge, source="other", path="x.mp4")
    assert augment.make_variant(task) == augment.make_variant(replace(task, clip=other))


def test_test_variants_are_one_transform_at_three_strengths(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment"))
    parents, variants = parents_and_variants(tmp_path)
    tests = [c for c in variants if c.split == "test"]
    records = [json.loads(c.variant or "") for c in tests]
    assert [r["strength"] for r in records] == ["mild", "medium", "severe"] * (len(tests) // 3)
    for clip, record in zip(tests, records, strict=True):
        (step,) = record["steps"]
        assert clip.parent_id is not None
        has_sound = parents[clip.parent_id].sound == manifest.PRESENT
        assert step["transform"] == record["edit"] == augment.test_edit(clip.parent_id, has_sound)
        assert step["strength"] == registry.STRENGTHS[record["strength"]]
        assert clip.clip_id == f"{clip.parent_id}-{record['strength']}"
    order = list(dict.fromkeys(c.parent_id for c in tests))
    assert order == [c.clip_id for c in parents.values() if c.split == "test"]


def test_test_clips_meet_every_transform_about_equally() -> None:
    silent = Counter(augment.test_edit(f"{number:016x}", False) for number in range(3600))
    assert set(silent) == set(registry.TRANSFORMS)
    heard = Counter(augment.test_edit(f"{number:016x}", True) for number in range(4900))
    assert set(heard) == set(registry.EVERY)
    for met in (silent, heard):
        assert min(met.values()) > 60
        assert max(met.values()) < 150


def test_a_clip_with_sound_keeps_its_edit_of_pictures_unless_one_of_sound_hashes_higher() -> None:
    for number in range(200):
        clip_id = f"{number:016x}"
        heard = augment.test_edit(clip_id, True)
        assert heard in registry.SOUND_TRANSFORMS or heard == augment.test_edit(clip_id, False)


def test_a_test_variant_of_sound_keeps_the_pictures(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write_with_sound(tmp_path, ["present"] * 12, "test")
    augment.run(compose("augment"))
    parents, variants = parents_and_variants(tmp_path)
    of_sound = 0
    for clip in variants:
        record, parent = json.loads(clip.variant or ""), parents[clip.parent_id or ""]
        if record["edit"] not in registry.SOUND_TRANSFORMS:
            continue
        of_sound += 1
        before = video.decode(shards.read_clip(tmp_path / "clips", parent))
        assert clip.pixels_sha256 == hashlib.sha256(before.tobytes()).hexdigest()
        again = registry.apply_to_sound(ORIGINAL, record["steps"])
        samples = sound.read_sound(tmp_path / "augmented", clip)
        assert np.array_equal(again, np.zeros_like(again) if samples is None else samples)
    assert of_sound >= 3


def test_other_clips_leave_the_test_variants_of_a_clip_as_they_were(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    found = []
    for name, splits in (("few", ["train", "test"]), ("many", ["test", "test", "test"])):
        folder = tmp_path / name
        folder.mkdir()
        write_clips(folder, splits)
        places = [f"paths.{key}={folder / key}" for key in ("clips", "splits", "augmented")]
        augment.run(compose("augment", *places))
        _, variants = parents_and_variants(folder)
        found.append([(c.clip_id, c.variant) for c in variants if c.parent_id == f"{1:016x}"])
    assert found[0] == found[1]
    assert len(found[0]) == 3


def test_clips_of_another_rate_are_an_error(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    manifest.write_format(tmp_path / "clips", replace(FORMAT, fps=25.0))
    with pytest.raises(UserError, match=r"clips of 25 frames a second.*conf/ingest\.yaml"):
        augment.run(compose("augment"))


def test_no_configuration_of_training_moves_the_test_variants(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    def yardstick(*overrides: str) -> list[tuple[str, str | None, str]]:
        augment.run(compose("augment", *overrides))
        _, variants = parents_and_variants(tmp_path)
        return [(c.clip_id, c.variant, c.pixels_sha256) for c in variants if c.split == "test"]

    first = yardstick()
    assert first
    assert yardstick("seed=12", "variants_per_clip=0", "edits.max_strength=0.1") == first
    assert yardstick("test_variants=false") == []


def test_stats_count_variants_and_transforms_by_split(
    compose: Callable[..., App], split_clips: None, tmp_path: Path
) -> None:
    augment.run(compose("augment"))
    stats = json.loads((tmp_path / "augmented" / "stats.json").read_text())
    _, variants = parents_and_variants(tmp_path)
    assert stats["variants"] == Counter(c.split for c in variants)
    assert sum(stats["applied"]["test"].values()) == stats["variants"]["test"]


def test_only_what_is_new_is_made_and_all_comes_out_as_from_nothing(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_clips(tmp_path, ["train", "test", "val", "test"])
    clips = manifest.read_manifest(tmp_path / "splits")

    def augments_as_from_nothing(*overrides: str) -> str:
        caplog.clear()
        with caplog.at_level("INFO"):
            augment.run(compose("augment", "variants_per_clip=1", *overrides))
        said, found = caplog.messages[-1], outputs(tmp_path)
        augment.run(
            compose("augment", "variants_per_clip=1", *overrides, f"paths.work={tmp_path / 'x'}")
        )
        shutil.rmtree(tmp_path / "x")
        assert outputs(tmp_path) == found
        return said

    table = tmp_path / "splits" / manifest.MANIFEST
    manifest.write_rows(table, Clip, clips[1:])
    assert augments_as_from_nothing() == "augment: 6 variants, 6 of them new"
    manifest.write_rows(table, Clip, [clips[0], *(replace(c, notes="x") for c in clips[1:])])
    assert augments_as_from_nothing() == "augment: 7 variants, 1 of them new"
    assert augments_as_from_nothing("variants_per_clip=2") == "augment: 8 variants, 1 of them new"
    assert augments_as_from_nothing("shard_clips=2") == "augment: 7 variants, 0 of them new"
    for piece in (tmp_path / "work" / "kept" / "augment").glob("*/*"):
        piece.write_bytes(piece.read_bytes()[:-1])
    assert augments_as_from_nothing() == "augment: 7 variants, 0 of them new"


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
