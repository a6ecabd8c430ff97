from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.config import App
from pipeline.copies import fingerprint
from pipeline.errors import UserError
from pipeline.stages import ingest, split, synthesize
from pipeline.store import manifest, video
from pipeline.store.manifest import CLASSES, FINGERPRINTS, MANIFEST, SPLITS, Clip, Reject
from pipeline.store.shards import ShardWriter
from tests.conftest import moving_frames
from tests.copies.test_duplicates import flipped, random_hashes
from tests.design.test_assignment import clips
from tests.store.test_manifest import CLIP


def write(folder: Path, rows: list[Clip], hashes: NDArray[np.uint8] | None = None) -> None:
    folder.mkdir()
    manifest.write_rows(folder / MANIFEST, Clip, rows)
    manifest.write_rows(folder / manifest.REJECTS, Reject, [])
    np.save(folder / FINGERPRINTS, random_hashes(len(rows)) if hashes is None else hashes)


def run(compose: Callable[..., App], *overrides: str) -> None:
    fractions = ["val_fraction=0.2", "test_fraction=0.2", "find_parts=false"]
    split.run(compose("split", *fractions, *overrides))


def test_the_stage_writes_the_manifest_and_counts(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write(tmp_path / "clips", clips())
    run(compose)
    rows = manifest.read_manifest(tmp_path / "splits")
    assert {c.split for c in rows} == {"train", "val", "test"}
    assert [c.clip_id for c in rows] == [c.clip_id for c in clips()]
    stats = json.loads((tmp_path / "splits" / "stats.json").read_text())
    assert stats["recordings"] == {"train": 24, "val": 8, "test": 8, "unseen": 0}
    assert stats["clusters"] == 40
    assert sum(stats["clips"]["train"].values()) == 72


def test_near_duplicates_and_mirrored_ones_stay_together(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    hashes = random_hashes(120)
    for recording in range(1, 40, 2):
        near = hashes[3 * recording - 3]
        hashes[3 * recording + 1] = flipped(near if recording % 4 == 1 else near[:, ::-1], 45)
    write(tmp_path / "clips", clips(), hashes)
    run(compose)
    rows = manifest.read_manifest(tmp_path / "splits")
    assert {c.cluster for c in rows if c.recording in ("c/0", "c/1")} == {"c/0"}
    assert len({c.cluster for c in rows}) == 20
    audit = json.loads((tmp_path / "splits" / split.AUDIT).read_text())
    assert audit["crossings"] == 0
    assert audit["search"] == "all clips with all"
    sizes = Counter(c.split for c in rows)
    assert audit["checked"] == {
        "recordings": 40,
        "clusters": 20,
        "pairs_of_clips": sum(n * (120 - n) for n in sizes.values()) // 2,
    }


def test_recordings_that_hold_copies_of_each_other_are_named(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told(hashes: NDArray[np.uint8]) -> list[str]:
        np.save(tmp_path / "clips" / FINGERPRINTS, hashes)
        caplog.clear()
        with caplog.at_level("INFO"):
            run(compose)
        return [line for line in caplog.messages if "hold copies of each other" in line]

    hashes = random_hashes(120)
    write(tmp_path / "clips", clips(), hashes)
    assert not told(hashes)
    for copy in (8, 25):
        hashes[3 * copy + 1] = flipped(hashes[3 * 5], 40)
    (line,) = told(hashes)
    assert line.splitlines()[1:] == ["  c/25, c/5, c/8"]
    # All with the recording before, in pairs, of which a log tells ten.
    hashes = random_hashes(120)
    hashes[3::6] = flipped(hashes[::6], 40)
    (line,) = told(hashes)
    _, *listed = line.splitlines()
    assert listed[0] == "  c/0, c/1"
    assert listed[10:] == ["  10 more"]


def test_the_audit_names_the_closest_pair_that_is_no_duplicate(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "clips", clips())
    run(compose)
    rows = {c.recording: c.split for c in manifest.read_manifest(tmp_path / "splits")}
    other = next(i for i in range(40) if rows[f"c/{i}"] != rows["c/0"])
    hashes = random_hashes(120)
    hashes[3 * other] = flipped(hashes[0], 51)
    np.save(tmp_path / "clips" / FINGERPRINTS, hashes)
    with caplog.at_level("INFO"):
        run(compose)
    closest = json.loads((tmp_path / "splits" / split.AUDIT).read_text())["closest"]
    assert closest["distance"] == 51
    assert {c["recording"] for c in closest["clips"]} == {"c/0", f"c/{other}"}
    assert "closest 00000 and" in caplog.text
    assert "at 51" in caplog.text


def test_the_audit_fails_when_the_search_missed_a_near_duplicate(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.copies import duplicates

    hashes = random_hashes(120)
    hashes[60:] = flipped(hashes[:60], 10)
    write(tmp_path / "clips", clips(), hashes)
    monkeypatch.setattr(duplicates, "clusters", lambda labels, *_, **__: labels)
    with pytest.raises(UserError, match="look alike but are in two splits; raise num_tables"):
        run(compose)
    assert not (tmp_path / "splits").exists()


def test_the_audit_of_very_many_is_of_a_sample_and_says_so(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split, "AUDIT_COMPARISONS", 10 * 32 * 120)
    write(tmp_path / "clips", clips())
    run(compose)
    audit = json.loads((tmp_path / "splits" / split.AUDIT).read_text())
    assert audit["search"] == "10 clips with all"
    assert audit["crossing_share_below"] == pytest.approx(1 - 0.05 ** (1 / 10))


def test_the_audit_fails_when_a_recording_crosses(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "clips", clips())
    monkeypatch.setattr(
        split, "assign", lambda columns, *_: (np.arange(len(columns.label)) % 3).astype(np.int8)
    )
    with pytest.raises(UserError, match="recording 'c/0' is in two splits, and 40 are in all"):
        run(compose)


def test_why_a_clip_serves_no_split_is_kept_or_said(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    rows = clips()
    rows[0] = replace(rows[0], discharge=None, unused="discharge_at_edge")
    hashes = random_hashes(120)
    hashes[3] = hashes[6]
    write(tmp_path / "clips", rows, hashes)
    run(compose, "unseen_sources=[s2]")
    found = manifest.read_manifest(tmp_path / "splits")
    assert (found[0].split, found[0].unused) == (None, "discharge_at_edge")
    assert {(c.split, c.unused) for c in found if c.recording == "c/1"} == {
        (None, "cluster_of_unseen")
    }
    assert {(c.split, c.unused) for c in found if c.recording == "c/2"} == {("unseen", None)}
    stats = json.loads((tmp_path / "splits" / "stats.json").read_text())
    assert stats["unused"] == {"cluster_of_unseen": 3, "discharge_at_edge": 1}


def test_files_that_serve_no_split_are_named_with_the_reason(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def unlabelled(clip: Clip, why: str) -> Clip:
        return replace(clip, discharge=None, seen=None, unused=why)

    # A file for each recording, of three clips.
    rows = [replace(clip, path=f"{clip.recording[2:]}.mp4") for clip in clips()]
    for number in range(12):
        here = slice(3 * number, 3 * number + 3)
        rows[here] = [unlabelled(clip, "discharge_beyond_end") for clip in rows[here]]
    both = ("discharge_at_edge", "discharge_only_heard", "discharge_at_edge")
    rows[36:39] = [unlabelled(clip, why) for clip, why in zip(rows[36:39], both, strict=True)]
    # One that has a window left is not named.
    rows[39] = unlabelled(rows[39], "discharge_at_edge")
    write(tmp_path / "clips", rows)
    rejects = [
        Reject("c", f"{name}.mp4", "ingest", reason, "", "do this")
        for name, reason in (("x", "too_short"), ("y", "black"), ("z", "too_short"))
    ]
    gone = Reject("c", "gone.mp4", "ingest", "forgotten", "", "")
    manifest.write_rows(tmp_path / "clips" / manifest.REJECTS, Reject, [*rejects, gone])
    run(compose)
    (told,) = [line for line in caplog.messages if "serve no split" in line]
    heading, *lines = told.splitlines()
    assert heading.startswith("split: 16 of 44 files serve no split")
    names = ", ".join(f"c/{number}.mp4" for number in range(10))
    assert lines == [
        "  2 that ingest rejected: too_short (do this): c/x.mp4, c/z.mp4",
        "  1 that ingest rejected: black (do this): c/y.mp4",
        "  12 of which all windows are of files that end before a time of discharges_s (correct "
        f"it): {names}, 2 more",
        "  1 of which all windows have a discharge at their edge (nothing to do) or have a "
        "discharge that is only heard, in them and not surely, or up to 2 s before them (nothing "
        "to do): c/12.mp4",
    ]
    stats = json.loads((tmp_path / "splits" / "stats.json").read_text())
    assert stats["files_without_split"] == {
        "too_short": 2,
        "black": 1,
        "discharge_beyond_end": 12,
        "discharge_at_edge discharge_only_heard": 1,
    }


def test_windows_without_times_are_in_train_without_a_label_and_counted(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain, more = clips(), clips()[:6]
    for number, clip in enumerate(more):
        names = {"clip_id": f"weak{number}", "recording": "c/weak", "path": "weak.mp4"}
        known = {"discharge": None, "seen": None, "unused": "no_discharge_times"}
        more[number] = replace(clip, pixels_sha256=f"weak{number}", **names, **known)
    write(tmp_path / "clips", plain)
    run(compose)
    splits = {clip.clip_id: clip.split for clip in manifest.read_manifest(tmp_path / "splits")}
    stats = json.loads((tmp_path / "splits" / "stats.json").read_text())
    assert "clips_of_bags" not in stats
    shutil.rmtree(tmp_path / "clips")
    write(tmp_path / "clips", [*plain, *more])
    with caplog.at_level("INFO"):
        run(compose)
    found = {clip.clip_id: clip for clip in manifest.read_manifest(tmp_path / "splits")}
    weak = [found.pop(clip.clip_id) for clip in more]
    assert {(c.split, c.unused, c.discharge, c.seen) for c in weak} == {("train",) + (None,) * 3}
    assert {name: clip.split for name, clip in found.items()} == splits
    with_bags = json.loads((tmp_path / "splits" / "stats.json").read_text())
    assert with_bags["clips"] == stats["clips"]
    assert with_bags["clips_of_bags"] == 6
    assert "6 of train are of files without times" in caplog.text


def test_a_name_that_hides_something_or_is_long_is_told_as_plain_text(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "clips", clips())
    names = ("\x1b[2J\u202egp4.mp4", "x" * 300 + ".mp4")
    rejects = [Reject("c", name, "ingest", "black", "", "do this") for name in names]
    manifest.write_rows(tmp_path / "clips" / manifest.REJECTS, Reject, rejects)
    run(compose)
    (told,) = [line for line in caplog.messages if "serve no split" in line]
    assert told.endswith(rf": c/\u001b[2J\u202egp4.mp4, c/{'x' * 117}…")


def test_nothing_is_said_of_files_where_each_serves_a_split(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "clips", clips())
    run(compose)
    assert "serve no split" not in caplog.text
    stats = json.loads((tmp_path / "splits" / "stats.json").read_text())
    assert stats["files_without_split"] == {}


def test_a_cropped_and_a_covered_copy_stay_with_the_clip(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2

    def shapes(seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 256, (12, 12, 3), np.uint8)
        return np.repeat(cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)[None], 16, 0)

    pictures = [shapes(recording) for recording in range(12)]
    crop = cv2.resize(pictures[0][0, 10:122, 4:116], (128, 128))
    pictures[5] = np.repeat(crop[None], 16, 0)
    pictures[9] = pictures[2].copy()
    pictures[9][:, 70:] = moving_frames(4, 16, 128)[:, 70:]
    rows = []
    (tmp_path / "clips").mkdir()
    with ShardWriter(tmp_path / "clips", 5) as shards:
        for clip, frames in zip(clips(12, 1), pictures, strict=True):
            place = shards.add(clip.clip_id, video.encode(frames, 15))
            rows.append(replace(clip, shard=place.shard, offset=place.offset, size=place.size))
    manifest.write_rows(tmp_path / "clips" / MANIFEST, Clip, rows)
    manifest.write_rows(tmp_path / "clips" / manifest.REJECTS, Reject, [])
    hashes = np.stack([fingerprint.fingerprint(frames) for frames in pictures])
    np.save(tmp_path / "clips" / FINGERPRINTS, hashes)
    run(compose)
    assert len({c.cluster for c in manifest.read_manifest(tmp_path / "splits")}) == 12
    run(compose, "find_parts=true")
    cluster = {c.recording: c.cluster for c in manifest.read_manifest(tmp_path / "splits")}
    assert (cluster["c/5"], cluster["c/9"]) == ("c/0", "c/2")
    assert len(set(cluster.values())) == 10
    before = (tmp_path / "splits" / MANIFEST).read_bytes()

    def decode(mp4: bytes) -> None:
        raise AssertionError("what its parts look like was kept")

    monkeypatch.setattr(video, "decode", decode)
    run(compose, "find_parts=true")
    assert (tmp_path / "splits" / MANIFEST).read_bytes() == before


def test_the_same_clips_give_the_same_bytes_after_a_kill(
    compose: Callable[..., App], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "clips", clips())
    run(compose)
    names = (MANIFEST, split.AUDIT, "stats.json")
    before = [(tmp_path / "splits" / name).read_bytes() for name in names]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(split, "audit", killed)
        with pytest.raises(KeyboardInterrupt):
            run(compose)
    run(compose, "run.executor=processes", "run.num_workers=2")
    assert [(tmp_path / "splits" / name).read_bytes() for name in names] == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("unseen_sources=[nowhere]", "no source 'nowhere'; there are s0, s1, s2, s3"),
        ("unseen_sources=[s0,x,y]", r"no source 'x', 'y'; .*write unseen_sources: \[\]"),
        ("val_fraction=0.9", "leave something to train on"),
        ("val_fraction=0", "val something to choose and calibrate weights by"),
        (
            "unseen_sources=[s0,s1,s2,s3]",
            "nothing to train on of real_shooting, .*: hold out fewer sources",
        ),
    ],
)
def test_what_cannot_be_split_is_an_error_and_changes_nothing(
    compose: Callable[..., App], tmp_path: Path, override: str, message: str
) -> None:
    write(tmp_path / "clips", clips())
    with pytest.raises(UserError, match=message):
        run(compose, override)
    assert not (tmp_path / "splits").exists()


def of_classes(**numbers: int) -> list[Clip]:
    """One clip a recording, so many recordings of each class."""
    return [
        replace(
            CLIP,
            clip_id=f"{number:04x}{CLASSES.index(name)}",
            recording=f"c/{name}-{number}",
            pixels_sha256=f"{name}-{number}",
            origin=name.split("_")[0].replace("fictional", "game"),
            source=name,
            discharge=name.endswith("shooting"),
            seen=name.endswith("shooting"),
        )
        for name, many in numbers.items()
        for number in range(many)
    ]


def test_a_table_of_recordings_by_class_and_split_is_always_printed(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = of_classes(**dict.fromkeys(CLASSES, 5))
    rows[1] = replace(rows[1], pixels_sha256=rows[0].pixels_sha256)
    write(tmp_path / "clips", rows)
    with caplog.at_level("INFO"):
        run(compose)
    (table,) = [line for line in caplog.messages if "recordings of each class" in line]
    heading, names, *lines = table.splitlines()
    assert heading.endswith("there are 20 recordings in all, which copies join into 19 that count")
    assert names.split() == list(SPLITS)
    counts = {name: [int(n) for n in values] for name, *values in map(str.split, lines)}
    assert {name: sum(values) for name, values in counts.items()} == {
        "real_shooting": 4,
        "fictional_shooting": 5,
        "real_other": 5,
        "fictional_other": 5,
    }
    assert all(min(values[:3]) >= 1 for values in counts.values())
    assert not [line for line in caplog.records if line.levelname == "WARNING"]


def test_what_cannot_be_trained_on_is_refused_below_the_table(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = of_classes(real_shooting=6, fictional_shooting=6, real_other=6)
    rows = [
        replace(clip, discharge=None, unused="no_discharge_times") if "real_sh" in one else clip
        for clip in rows
        for one in [clip.recording]
    ]
    write(tmp_path / "clips", rows)
    with caplog.at_level("INFO"), pytest.raises(UserError) as raised:
        run(compose)
    assert str(raised.value) == (
        "there is nothing to train on of real_shooting: fill in discharges_s, since 6 recordings "
        "have discharge 1 without times in index.csv (discern review propose FOLDER finds them "
        "with a detector that there is), or add recordings (under footage/, or collections in "
        "conf/ingest.yaml); and of fictional_other: add recordings (under footage/, or collections "
        "in conf/ingest.yaml)"
    )
    assert "real_other" in caplog.text
    assert not (tmp_path / "splits").exists()


def test_too_few_recordings_for_val_or_test_are_refused_with_how_many_it_takes(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write(tmp_path / "clips", of_classes(**dict.fromkeys(CLASSES, 1)))
    with pytest.raises(UserError, match=r"nothing is left for val and test.*3 of each class"):
        run(compose)


def test_what_training_and_the_report_do_without_is_said_with_the_remedy(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = of_classes(real_shooting=2, fictional_shooting=4, real_other=4, fictional_other=4)
    write(tmp_path / "clips", rows)
    with caplog.at_level("WARNING"):
        run(compose)
    assert [line for line in caplog.messages if "audit" not in line] == [
        "split: val shows no real_shooting: train goes on, but chooses its weights (without an "
        "encoder of pictures by the loss) and calibrates without, and so does the operating point",
        "split: It takes 3 recordings of a class for train, val and test to have one each; there "
        "are too few of real_shooting: add recordings (under footage/, or collections in "
        "conf/ingest.yaml)",
        "split: Other seeds of conf/split.yaml leave out others, so that a mean over them tells "
        "more than one draw (cross-validation): dvc exp run --queue -S "
        "'conf/split.yaml:seed=1,2,3,4', dvc queue start, and then python -m pipeline compare "
        "'over=[split.seed]'",
    ]


@pytest.mark.parametrize("shape", [(119, 4, 2, 32), (120, 4, 32), (120, 4, 2, 8)])
def test_fingerprints_of_another_manifest_are_an_error(
    compose: Callable[..., App], tmp_path: Path, shape: tuple[int, ...]
) -> None:
    write(tmp_path / "clips", clips(), np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=r"instead of a fingerprint for each of 120 clips"):
        run(compose)


def test_missing_and_broken_fingerprints_are_an_error(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write(tmp_path / "clips", clips())
    (tmp_path / "clips" / FINGERPRINTS).write_bytes(b"\x93NUMPY but no more")
    with pytest.raises(UserError, match="not readable"):
        run(compose)
    (tmp_path / "clips" / FINGERPRINTS).unlink()
    with pytest.raises(UserError, match="missing; run dvc repro ingest"):
        run(compose)


@pytest.mark.slow
def test_the_looks_of_twins_share_a_cluster_and_a_split(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    small = ["twins.num_recordings=6", "twins.duration_s=1.2", "twins.heights=[96]"]
    others = [f"{name}.num_recordings=0" for name in synthesize.ENGINES if name != "twins"]
    able = ("bodycam", "film", "location", "photographs", "vizdoom")
    others += [f"{name}.long.num_recordings=0" for name in able]
    synthesize.run(compose("synthesize", *small, *others, "max_drop_rate=0.5"))
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    clips = manifest.read_manifest(tmp_path / "clips")
    # So that every class is there, as it would be among more recordings.
    quiet = sorted({clip.recording for clip in clips})[::2]
    silenced = [replace(c, discharge=False) if c.recording in quiet else c for c in clips]
    manifest.write_rows(tmp_path / "clips" / MANIFEST, Clip, silenced)
    run(compose)
    rows = list(manifest.read_manifest(tmp_path / "splits"))
    of_recording = defaultdict(list)
    for clip in rows:
        of_recording[clip.recording].append(clip)
    whole = [looks for looks in of_recording.values() if len({c.origin for c in looks}) == 3]
    assert len(whole) >= 3
    for looks in of_recording.values():
        assert len({clip.cluster for clip in looks}) == len({clip.split for clip in looks}) == 1
    assert len({clip.cluster for clip in rows}) == len(of_recording)
    assert {clip.split for clip in rows} == {"train", "val", "test"}
