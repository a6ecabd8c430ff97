from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.config import App, ClipFormat
from pipeline.copies.fingerprint import fingerprint
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow, read_index, write_index
from pipeline.footage.tombstones import Tombstone, write_tombstones
from pipeline.stages import ingest
from pipeline.store import executor, manifest, shards, sound, video
from pipeline.store.manifest import File, FilePrint, FramePrint
from tests.conftest import moving_frames, write_collection
from tests.made import grey, write_endless_track, write_video, write_with_sound

CLIP = ClipFormat(num_frames=16, size=128, fps=15.0, crf=18)
ROW = IndexRow("a.mp4", "real", "s", True, "CC0", "a.mp4")


def test_files_become_canonical_clips_and_rejects(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    (small_collection / "real-0-0.mp4").write_bytes(b"rubbish")
    (small_collection / "real-0-1.mp4").write_bytes(video.encode(moving_frames(9, 5), 15))
    (small_collection / "real-0-2.mp4").unlink()
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    folder = tmp_path / "clips"
    clips, rejects = manifest.read_manifest(folder), manifest.read_rejects(folder)
    assert {r.path: r.reason for r in rejects} == {
        "real-0-0.mp4": "decode_error",
        "real-0-1.mp4": "too_short",
        "real-0-2.mp4": "missing_file",
    }
    assert all(r.detail and r.remedy and r.stage == "ingest" for r in rejects)
    assert len(clips) == 2 * 9
    frames = video.decode(shards.read_clip(folder, clips[0]))
    assert frames.shape == (16, 128, 128, 3)
    assert json.loads((folder / "stats.json").read_text())["rejects"] == 3


@pytest.mark.parametrize("is_on", [True, False])
def test_the_sound_of_a_file_lies_beside_its_clips(
    compose: Callable[..., App], tmp_path: Path, is_on: bool
) -> None:
    folder = tmp_path / "heard"
    folder.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * 24_000) / 24_000)
    write_with_sound(
        folder / "a.mkv", moving_frames(0, 60), tone[None], codec="flac", rate=24_000, fps=15
    )
    write_index(folder, [replace(ROW, path="a.mkv", discharge=False)])
    ingest.run(compose("ingest", f"collections=[{folder}]", f"sound={is_on}"))
    output = tmp_path / "clips"
    clips = manifest.read_manifest(output)
    (file,) = manifest.read_rows(output / manifest.FILES, File)
    assert len(clips) == 3
    assert {clip.sound for clip in clips} == {"present" if is_on else "absent"}
    expected = ("flac", 24_000, 1) if is_on else (None, None, None)
    assert (file.sound_codec, file.sound_rate_hz, file.sound_channels) == expected
    with tarfile.open(output / clips[0].shard) as tar:
        kinds = ("mp4", "flac") if is_on else ("mp4",)
        assert tar.getnames() == [f"{clip.clip_id}.{kind}" for clip in clips for kind in kinds]
    for number, clip in enumerate(clips):
        assert len(video.decode(shards.read_clip(output, clip))) == 16
        samples = sound.read_sound(output, clip)
        if samples is None:
            assert not is_on
            continue
        start = number * 25_600
        np.testing.assert_allclose(samples / 32768, tone[start : start + 25_600], atol=1e-3)
    assert json.loads((output / "stats.json").read_text())["clips_by_sound"] == {
        "present" if is_on else "absent": 3
    }


def test_every_file_of_the_shared_footage_is_a_clip_or_a_reject(
    compose: Callable[..., App], footage: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    wanted = (".gif", ".webm", "bird.mkv", "oa_w0_0.mp4", "chair-orig-22-sd-bar.mp4")
    rows = [row for row in read_index(footage) if row.path.endswith(wanted)]
    for row in rows:
        (few / row.path).parent.mkdir(exist_ok=True)
        (few / row.path).write_bytes((footage / row.path).read_bytes())
    write_index(few, rows)
    ingest.run(compose("ingest", f"collections=[{few}]", "max_reject_rate=0.1"))
    clips = manifest.read_manifest(tmp_path / "clips")
    rejects = manifest.read_rejects(tmp_path / "clips")
    assert {c.path for c in clips} | {r.path for r in rejects} == {row.path for row in rows}
    assert [(r.path, r.reason) for r in rejects] == [
        ("film/Zulko__moviepy__big_buck_bunny_432_433.webm", "too_short")
    ]


def test_one_and_two_workers_write_the_same_bytes(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    outputs = []
    for workers in (1, 2):
        run = ["run.executor=processes", f"run.num_workers={workers}"]
        ingest.run(compose("ingest", *run, f"paths.work={tmp_path / str(workers)}"))
        outputs.append({f.name: f.read_bytes() for f in (tmp_path / "clips").iterdir()})
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(("num_frames", "discharge"), [(17, True), (22, None)])
def test_the_only_window_of_a_longer_file_is_not_the_whole_of_it(
    compose: Callable[..., App], tmp_path: Path, num_frames: int, discharge: bool | None
) -> None:
    write_collection(tmp_path / "footage" / "one", [ROW], num_frames)
    ingest.run(compose("ingest"))
    (clip,) = manifest.read_manifest(tmp_path / "clips")
    assert clip.discharge is discharge
    assert clip.unused == (None if discharge else "no_discharge_times")


def test_the_last_line_tells_how_many_clips_have_no_label_why_and_what_to_do(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [replace(ROW, path=f"{name}.mp4") for name in ("untimed", "timed", "beyond", "heard")]
    rows[1] = replace(rows[1], discharges_s=(0.5, 16 / 15 - 0.01))
    rows[2] = replace(rows[2], discharges_s=(500.0,))
    rows[3] = replace(rows[3], heard_s=(2.75, 3.0))
    write_collection(tmp_path / "footage" / "four", rows)
    with caplog.at_level("INFO"):
        ingest.run(compose("ingest"))
    assert caplog.messages[-1] == (
        "ingest: 4 files, 4 of them new, 8 clips, 0 rejects; no label for 2 that have discharge "
        "1 without times (fill in discharges_s in index.csv); no label for 2 that are of files "
        "that end before a time of discharges_s (correct it); no label for 2 that are of files "
        "that end before all times of heard_s (correct them); no label for 1 that have a "
        "discharge at their edge (nothing to do)"
    )
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        f"ingest: four/{path}: {times} in index.csv, but its pictures end at 2.67 s; correct the "
        "times, or the path of the row"
        for path, times in (("beyond.mp4", "discharges_s=500"), ("heard.mp4", "heard_s=2.75;3"))
    ]


@pytest.mark.parametrize("is_on", [True, False])
def test_what_is_heard_in_a_file_without_sound_labels_nothing_and_is_told(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture, is_on: bool
) -> None:
    rows = [replace(ROW, discharges_s=(0.5,), heard_s=(1.5,))]
    write_collection(tmp_path / "footage" / "one", rows)
    with caplog.at_level("INFO"):
        ingest.run(compose("ingest", f"sound={is_on}"))
    clips = manifest.read_manifest(tmp_path / "clips")
    remedy = (
        "; no label for 2 that are of files without sound that have times in heard_s "
        "(give them with their sound, or correct heard_s in index.csv)"
    )
    unseen = (
        "; no label for 1 that have a discharge that is only heard, in them and not surely, or up "
        "to 2 s before them (nothing to do)"
    )
    told = "ingest: 1 files, 1 of them new, 2 clips, 0 rejects" + (remedy if is_on else unseen)
    assert caplog.messages[-1] == told
    assert [clip.discharge for clip in clips] == ([None, None] if is_on else [True, None])
    assert clips[1].unused == ("heard_without_sound" if is_on else "discharge_only_heard")


def test_a_frame_rate_without_a_whole_number_of_samples_takes_no_sound(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write_collection(tmp_path / "footage" / "one", [replace(ROW, discharges_s=(0.5,))])
    with pytest.raises(UserError, match=r"clip\.fps=29\.97: a frame lasts for 800\.80 of"):
        ingest.run(compose("ingest", "clip.fps=29.97"))
    assert not (tmp_path / "clips").exists()
    ingest.run(compose("ingest", "clip.fps=29.97", "sound=off"))
    assert manifest.read_format(tmp_path / "clips").fps == 29.97


def test_too_many_rejects_fail_after_they_were_written_down(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    (small_collection / "real-1-1.mp4").write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"1 of 12 files rejected.*\n.*real-1-1\.mp4: decode_error"):
        ingest.run(compose("ingest"))
    (reject,) = manifest.read_rejects(tmp_path / "clips")
    assert (reject.path, reject.reason) == ("real-1-1.mp4", "decode_error")
    assert json.loads((tmp_path / "clips" / "stats.json").read_text())["rejects"] == 1


def test_no_clip_at_all_fails_after_the_rejects_were_written_down(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    write_collection(tmp_path / "footage" / "one", [ROW], num_frames=5)
    with pytest.raises(UserError, match=r"no file of 1 became a clip.*\n.*too_short"):
        ingest.run(compose("ingest", "max_reject_rate=1"))
    assert [r.reason for r in manifest.read_rejects(tmp_path / "clips")] == ["too_short"]


def test_every_row_of_the_index_is_a_row_of_files_with_clips_or_a_reject(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    (small_collection / "real-0-0.mp4").write_bytes(b"rubbish")
    (small_collection / "game-0-1.mp4").unlink()
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    folder = tmp_path / "clips"
    files = list(manifest.read_rows(folder / manifest.FILES, File))
    clips, rejects = manifest.read_manifest(folder), manifest.read_rejects(folder)
    assert [f.path for f in files] == [row.path for row in read_index(small_collection)]
    assert {f.path: f.num_clips for f in files if f.num_clips} == Counter(c.path for c in clips)
    assert {f.path: f.reject for f in files if f.reject} == {r.path: r.reason for r in rejects}
    assert all(bool(f.num_clips) != bool(f.reject) for f in files)
    whole = next(f for f in files if f.path == "real-1-0.mp4")
    data = (small_collection / whole.path).read_bytes()
    assert (whole.sha256, whole.num_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (whole.codec, whole.width, whole.height, whole.fps) == ("h264", 64, 64, 15)
    assert whole.duration_s == pytest.approx(40 / 15)
    assert json.loads(whole.dropped)[0]["reason"] == "too_short"


def test_every_clip_has_its_fingerprint(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    ingest.run(compose("ingest", "block_files=5"))
    folder = tmp_path / "clips"
    clips = manifest.read_manifest(folder)
    fingerprints = np.load(folder / manifest.FINGERPRINTS, mmap_mode="r")
    assert fingerprints.shape == (len(clips), 4, 2, 32)
    for i in (0, 11, len(clips) - 1):
        frames = video.decode(shards.read_clip(folder, clips[i]))
        bits = np.bitwise_count(fingerprint(frames) ^ fingerprints[i]).sum(-1)
        assert bits.max() <= 64, "the encoder moves some bits, another clip half of them"


def test_files_have_fingerprints_for_others_whether_they_became_clips_or_not(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    write_video(small_collection / "still.mp4", grey([90] * 40), rate=15)
    rows = read_index(small_collection)
    still = replace(rows[-1], path="still.mp4", recording="still")
    write_index(small_collection, [*rows, still])
    stones = [Tombstone("small/real-0-0.mp4", "real-0-0.mp4", "")]
    write_tombstones(tmp_path / "footage", stones)
    ingest.run(compose("ingest", "max_reject_rate=1"))
    folder = tmp_path / "clips"
    files = {f.path: f for f in manifest.read_rows(folder / manifest.FILES, File)}
    prints = list(manifest.read_rows(folder / manifest.FILE_PRINTS, FilePrint))
    assert [one.path for one in prints] == [path for path, f in files.items() if f.sha256]
    assert files["still.mp4"].reject
    assert "still.mp4" in {one.path for one in prints}
    for one in prints:
        data = (small_collection / one.path).read_bytes()
        assert (one.sha256, one.md5) == tuple(
            hashlib.new(name, data).hexdigest() for name in ("sha256", "md5")
        )
    frames = list(manifest.read_rows(folder / manifest.FRAME_PRINTS, FramePrint))
    assert {one.path for one in frames} == {one.path for one in prints}
    assert [one.time_s for one in frames if one.path == "still.mp4"] == [0, 1, 2]
    assert "real-0-0.mp4" not in {one.path for one in frames}


def test_files_that_were_finished_before_a_kill_are_not_done_again(
    compose: Callable[..., App],
    small_collection: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cfg = compose("ingest", "block_files=4")
    ingest.run(cfg)
    undisturbed = {f.name: f.read_bytes() for f in (tmp_path / "clips").iterdir()}
    for name in ("clips", "work"):
        shutil.rmtree(tmp_path / name)
    map_blocks = executor.map_blocks
    given: list[int] = []

    def killed_after_two(work: Any, blocks: Any, *rest: Any, **options: Any) -> Any:
        yield from itertools.islice(map_blocks(work, blocks, *rest, **options), 2)
        raise KeyboardInterrupt

    def counted(work: Any, blocks: Any, *rest: Any, **options: Any) -> Any:
        for block in map_blocks(work, blocks, *rest, **options):
            given.append(len(block))
            yield block

    monkeypatch.setattr(executor, "map_blocks", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        ingest.run(cfg)
    (small_collection / "real-0-0.mp4").touch()
    monkeypatch.setattr(executor, "map_blocks", counted)
    ingest.run(cfg)
    assert given == [4], "the block that was never begun; a touched file has the same bytes"
    assert {f.name: f.read_bytes() for f in (tmp_path / "clips").iterdir()} == undisturbed


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lists how many files every run of ingest decoded."""
    map_blocks, found = executor.map_blocks, []

    def counted(work: Any, blocks: Any, *rest: Any, num_items: int, **options: Any) -> Any:
        found.append(num_items)
        return map_blocks(work, blocks, *rest, num_items=num_items, **options)

    monkeypatch.setattr(executor, "map_blocks", counted)
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in folder.iterdir()}


def test_only_new_bytes_are_decoded_and_all_comes_out_as_from_nothing(
    compose: Callable[..., App], tmp_path: Path, decoded: list[int]
) -> None:
    rows = [replace(ROW, path=f"{name}.mp4", recording=name) for name in "bcd"]
    folder = tmp_path / "footage" / "some"
    write_collection(folder, rows)
    options = ("shard_clips=3", "max_reject_rate=0.5")

    def runs_as_from_nothing(num_decoded: int) -> None:
        decoded.clear()
        ingest.run(compose("ingest", *options))
        assert decoded == [num_decoded]
        shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
        fresh = (f"paths.{name}={tmp_path / 'fresh' / name}" for name in ("clips", "work"))
        ingest.run(compose("ingest", *options, *fresh))
        assert files(tmp_path / "clips") == files(tmp_path / "fresh" / "clips")

    runs_as_from_nothing(3)
    (folder / "a.mp4").write_bytes(video.encode(moving_frames(9), 15))
    write_index(folder, [replace(ROW, path="a.mp4", recording="a"), *rows])
    runs_as_from_nothing(1)
    corrected = replace(
        rows[0], discharges_s=(0.5,), licence="CC-BY", authority="a court", notes="x"
    )
    write_index(folder, [corrected, *rows[1:]])
    runs_as_from_nothing(0)
    clips = manifest.read_manifest(tmp_path / "clips")
    assert [(c.discharge, c.licence, c.notes) for c in clips[:2]] == [
        (True, "CC-BY", "x"),
        (False, "CC-BY", "x"),
    ]
    (folder / "c.mp4").rename(folder / "e.mp4")
    write_index(folder, [corrected, replace(rows[1], path="e.mp4", recording="e")])
    runs_as_from_nothing(0)
    front = tmp_path / "footage" / "front"
    write_collection(front, [replace(ROW, path="z.mp4"), replace(ROW, path="y.mp4", recording="y")])
    (front / "z.mp4").write_bytes(b"rubbish")
    (front / "y.mp4").write_bytes((folder / "b.mp4").read_bytes())
    runs_as_from_nothing(1)
    runs_as_from_nothing(0)


def test_what_is_kept_and_damaged_is_made_anew(
    compose: Callable[..., App], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_collection(tmp_path / "footage" / "one", [ROW])
    ingest.run(compose("ingest"))
    before = files(tmp_path / "clips")
    (piece,) = (tmp_path / "work" / "kept" / "ingest").glob("*/*")
    data = bytearray(piece.read_bytes())
    data[-100] ^= 1
    piece.write_bytes(data)
    ingest.run(compose("ingest"))
    assert "one/a.mp4: what was kept is damaged" in caplog.messages
    assert files(tmp_path / "clips") == before
    caplog.clear()
    ingest.run(compose("ingest"))
    assert not caplog.messages or "damaged" not in caplog.text


def test_what_the_machine_did_to_a_worker_is_tried_again(
    compose: Callable[..., App],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decoded: list[int],
) -> None:
    write_collection(tmp_path / "footage" / "one", [ROW, replace(ROW, path="b.mp4")])

    def lost(work: Any, blocks: Any, *rest: Any, **options: Any) -> Any:
        for block in blocks:
            yield [executor.Lost("timeout", "no result") for _ in block]

    with monkeypatch.context() as patch:
        patch.setattr(executor, "map_blocks", lost)
        with pytest.raises(UserError, match="no file of 2 became a clip"):
            ingest.run(compose("ingest"))
    ingest.run(compose("ingest"))
    assert decoded == [2]


@pytest.mark.parametrize(
    ("reason", "mark", "does_die_again"),
    [
        ("worker_died", "sound_worker_died", False),
        ("worker_died", "", True),
        ("out_of_memory", "sound_over_limits", False),
        ("timeout", "sound_over_limits", False),
        ("cpu_time", "", True),
    ],
)
def test_sound_that_ends_its_worker_costs_the_sound_only(
    compose: Callable[..., App],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    mark: str,
    does_die_again: bool,
) -> None:
    folder = tmp_path / "heard"
    folder.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * 24_000) / 24_000)
    for name, seed in (("a.mkv", 0), ("b.mkv", 1)):
        write_with_sound(
            folder / name, moving_frames(seed, 60), tone[None], codec="flac", rate=24_000, fps=15
        )
    # Files of the same bytes share what becomes of them.
    shutil.copy(folder / "b.mkv", folder / "c.mkv")
    rows = [replace(ROW, path=name, recording=name, heard_s=(1.0,)) for name in ("a.mkv", "b.mkv")]
    write_index(folder, [*rows, replace(rows[1], path="c.mkv", recording="c.mkv")])
    real = executor.map_blocks

    def deadly(work: Any, blocks: Any, *rest: Any, **options: Any) -> Any:
        for block in blocks:
            dead = [one.path != "a.mkv" and (one.with_sound or does_die_again) for one in block]
            done = real(
                work, [[o for o, d in zip(block, dead, strict=True) if not d]], *rest, **options
            )
            results = itertools.chain.from_iterable(done)
            yield [
                executor.Lost(reason, "its worker is lost") if is_dead else next(results)
                for is_dead in dead
            ]

    with monkeypatch.context() as patch:
        patch.setattr(executor, "map_blocks", deadly)
        ingest.run(compose("ingest", f"collections=[{folder}]", "max_reject_rate=1"))
    output = tmp_path / "clips"
    clips, rejects = manifest.read_manifest(output), manifest.read_rejects(output)
    files = {file.path: file for file in manifest.read_rows(output / manifest.FILES, File)}
    assert {clip.sound for clip in clips if clip.path == "a.mkv"} == {"present"}
    if does_die_again:
        assert {r.path: r.reason for r in rejects} == dict.fromkeys(("b.mkv", "c.mkv"), reason)
        assert all("re-encode" in reject.remedy for reject in rejects)
        return
    assert not rejects
    for path in ("b.mkv", "c.mkv"):
        own = [clip for clip in clips if clip.path == path]
        assert len(own) == 3
        assert {(clip.sound, clip.heard, clip.sound_size) for clip in own} == {("damaged", None, 0)}
        # What nobody could hear contradicts no heard_s.
        assert not any(clip.unused == "heard_without_sound" for clip in own)
        assert json.loads(files[path].marks) == [mark]
    stats = json.loads((output / "stats.json").read_text())
    assert stats["files_by_mark"] == {mark: 2}
    # Another run tries again, and so does one without the library's fault.
    ingest.run(compose("ingest", f"collections=[{folder}]"))
    assert {clip.sound for clip in manifest.read_manifest(output)} == {"present"}


def test_a_track_that_never_ends_costs_the_sound_only(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    folder = tmp_path / "heard"
    folder.mkdir()
    write_endless_track(folder / "a.mkv", moving_frames(0, 40), num_packets=1500)
    assert (folder / "a.mkv").stat().st_size < 100_000
    write_index(folder, [replace(ROW, path="a.mkv", discharge=False)])
    ingest.run(compose("ingest", f"collections=[{folder}]", "max_cpu_s=2"))
    output = tmp_path / "clips"
    assert [clip.sound for clip in manifest.read_manifest(output)] == ["damaged", "damaged"]
    (file,) = manifest.read_rows(output / manifest.FILES, File)
    assert json.loads(file.marks) == ["sound_over_limits"]


def test_what_was_forgotten_leaves_what_is_kept(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path, decoded: list[int]
) -> None:
    cfg = compose("ingest", "max_reject_rate=0", "run.num_workers=2")
    ingest.run(cfg)
    kept = tmp_path / "work" / "kept" / "ingest"
    copied = hashlib.sha256((small_collection / "game-0-0.mp4").read_bytes()).hexdigest()
    named = hashlib.sha256((small_collection / "real-0-0.mp4").read_bytes()).hexdigest()
    assert all(list(kept.glob(f"*/{sha256[:32]}-*")) for sha256 in (copied, named))
    stones = [
        Tombstone("small/real-0-0.mp4", "real-0-0.mp4", ""),
        Tombstone("elsewhere/x", "x", copied),
    ]
    write_tombstones(tmp_path / "footage", stones)
    ingest.run(cfg)
    assert not any(list(kept.glob(f"*/{sha256[:32]}-*")) for sha256 in (copied, named))
    assert len(list(kept.glob("*/*"))) == 10
    assert decoded == [12, 0]


def test_what_was_forgotten_is_refused_by_name_and_by_bytes(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    copied = (small_collection / "game-0-0.mp4").read_bytes()
    stones = [
        Tombstone("small/real-0-0.mp4", "real-0-0.mp4", ""),
        Tombstone("elsewhere/x", "x", hashlib.sha256(copied).hexdigest()),
    ]
    write_tombstones(tmp_path / "footage", stones)
    ingest.run(compose("ingest", "max_reject_rate=0"))
    rejects = manifest.read_rejects(tmp_path / "clips")
    assert {r.path: r.reason for r in rejects} == {
        "real-0-0.mp4": "forgotten",
        "game-0-0.mp4": "forgotten",
    }
    assert len(manifest.read_manifest(tmp_path / "clips")) == 2 * 10


def test_a_link_out_of_the_collection_is_refused(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.mp4"
    link = small_collection / "real-0-0.mp4"
    link.rename(outside)
    link.symlink_to(outside)
    ingest.run(compose("ingest", "max_reject_rate=0.1"))
    rejects = manifest.read_rejects(tmp_path / "clips")
    assert [r.reason for r in rejects] == ["outside_collection"]


def test_links_that_dvc_made_are_followed(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    copied = compose("ingest", "max_reject_rate=0")
    ingest.run(copied)
    expected = {f.name: f.read_bytes() for f in (tmp_path / "clips").iterdir()}
    (tmp_path / ".dvc").mkdir()
    for file in [*small_collection.iterdir()]:
        digest = hashlib.md5(file.read_bytes()).hexdigest()
        target = tmp_path / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
        target.chmod(0o444)
        file.symlink_to(target)
    ingest.run(copied)
    assert {f.name: f.read_bytes() for f in (tmp_path / "clips").iterdir()} == expected
    (small_collection / "real-0-0.mp4").resolve().unlink()
    ingest.run(compose("ingest", "max_reject_rate=0.1"))
    (reject,) = manifest.read_rejects(tmp_path / "clips")
    assert (reject.reason, reject.path) == ("missing_file", "real-0-0.mp4")
    assert "if DVC made it, run dvc checkout or dvc pull" in reject.detail


def test_a_collection_that_is_a_link_has_the_name_of_the_link(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "disk" / "release-17"
    elsewhere.parent.mkdir()
    small_collection.rename(elsewhere)
    small_collection.symlink_to(elsewhere)
    ingest.run(compose("ingest", "max_reject_rate=0"))
    assert {c.collection for c in manifest.read_manifest(tmp_path / "clips")} == {"small"}
    with pytest.raises(UserError, match="the same collection as 'small'"):
        ingest.run(compose("ingest", f"collections=[{elsewhere}]"))


def test_names_that_a_mac_wrote_are_found_and_kept_as_the_index_writes_them(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    there, written = "cafe\u0301.mp4", "café.mp4"
    folder = tmp_path / "footage" / "mac"
    write_collection(folder, [replace(ROW, path=there), replace(ROW, path="b.mp4", recording="b")])
    write_index(folder, [replace(ROW, path=written), replace(ROW, path="B.mp4", recording="b")])
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    assert {c.path for c in manifest.read_manifest(tmp_path / "clips")} == {written}
    before = (tmp_path / "clips" / "manifest.parquet").read_bytes()
    (reject,) = manifest.read_rejects(tmp_path / "clips")
    assert reject.reason == "missing_file"
    assert reject.detail == "no such file; there is 'b.mp4', with other capitals"
    (folder / there).rename(folder / written)
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    assert (tmp_path / "clips" / "manifest.parquet").read_bytes() == before


def test_what_is_no_video_is_called_what_it_is(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
    frame = moving_frames(0, 1)[0]
    contents = {
        "real-0-0.mp4": (pointer, "git_lfs_pointer", "run git lfs pull"),
        "real-0-1.mp4": (b"<!DOCTYPE html><title>403</title>", "web_page", "download the file"),
        "real-0-2.mp4": (b"", "empty", "copy the file again"),
        "real-1-0.mp4": (bytes(1_000_000), "zeros", "copy the file again"),
        "real-1-1.mp4": (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n",
            "playlist",
            "give the video itself",
        ),
        "real-1-2.mp4": (
            cv2.imencode(".jpg", frame)[1].tobytes(),
            "image",
            "give the video itself",
        ),
    }
    for name, (data, _, _) in contents.items():
        (small_collection / name).write_bytes(data)
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    rejects = {r.path: r for r in manifest.read_rejects(tmp_path / "clips")}
    assert set(rejects) == set(contents)
    for name, (_, reason, remedy) in contents.items():
        assert rejects[name].reason == reason
        assert remedy in rejects[name].remedy


def test_a_loop_of_links_and_what_is_no_file_are_missing_files(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    names = ("real-0-0.mp4", "real-0-1.mp4", "real-0-2.mp4", f"{'x' * 300}.mp4")
    rows = read_index(small_collection)
    write_index(small_collection, [*rows, replace(ROW, path=names[-1])])
    loop, folder, pipe = (small_collection / name for name in names[:3])
    for path in (loop, folder, pipe):
        path.unlink()
    loop.symlink_to(loop)
    folder.mkdir()
    os.mkfifo(pipe)
    ingest.run(compose("ingest", "max_reject_rate=0.5"))
    rejects = manifest.read_rejects(tmp_path / "clips")
    assert {r.path: r.reason for r in rejects} == dict.fromkeys(names, "missing_file")


def test_windows_may_overlap_and_keep_their_times(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    ingest.run(compose("ingest", "stride_frames=8"))
    clips = [c for c in manifest.read_manifest(tmp_path / "clips") if c.path == "real-0-0.mp4"]
    assert [round(c.start_s * 15) for c in clips] == [0, 8, 16, 24]
    first, second = (video.decode(shards.read_clip(tmp_path / "clips", c)) for c in clips[:2])
    assert np.abs(first[8:].astype(int) - second[:8]).mean() < 3
    for stride in (17, 32):
        with pytest.raises(UserError, match=f"stride_frames {stride} is none of 1 to 16"):
            ingest.run(compose("ingest", f"stride_frames={stride}"))


def test_blank_windows_are_no_clips(compose: Callable[..., App], tmp_path: Path) -> None:
    folder = tmp_path / "footage" / "leader"
    folder.mkdir(parents=True)
    frames = moving_frames(0, 32)
    frames[:16] = 7
    (folder / "a.mp4").write_bytes(video.encode(frames, 15))
    write_index(folder, [ROW])
    ingest.run(compose("ingest"))
    clips = manifest.read_manifest(tmp_path / "clips")
    assert [round(c.start_s * 15) for c in clips] == [16]
    (file,) = manifest.read_rows(tmp_path / "clips" / manifest.FILES, File)
    assert "black" in {stretch["reason"] for stretch in json.loads(file.dropped)}


def test_no_collection_and_two_of_one_name_are_errors(
    compose: Callable[..., App], small_collection: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "small"
    write_collection(other, [ROW])
    with pytest.raises(UserError, match="has the same name"):
        ingest.run(compose("ingest", f"collections=[{other}]"))
    with pytest.raises(UserError, match="no footage collection"):
        ingest.run(compose("ingest", f"paths.footage={tmp_path / 'none'}"))


def test_files_with_the_same_pixels_have_the_same_hash(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    folder = tmp_path / "footage" / "twice"
    folder.mkdir(parents=True)
    frames = moving_frames(0, 20)
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(video.encode(frames, 15))
    write_index(folder, [ROW, replace(ROW, path="b.mp4", recording="b.mp4")])
    ingest.run(compose("ingest"))
    clips = manifest.read_manifest(tmp_path / "clips")
    assert len({c.pixels_sha256 for c in clips}) == 1
    assert len({c.clip_id for c in clips}) == 2
    assert np.array_equal(
        *[video.decode(shards.read_clip(tmp_path / "clips", clip)) for clip in clips]
    )
