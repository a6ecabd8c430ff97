from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config import App, ClipFormat
from pipeline.errors import UserError
from pipeline.stages import probe
from pipeline.store import manifest
from pipeline.store.manifest import Clip, File
from pipeline.store.packed_samples import INDEX_SCHEMA
from pipeline.store.sound import num_samples
from tests.conftest import compose_below, moving_frames
from tests.packing import write_packed
from tests.rows import clip_row

CUES = {"border", "colour", "container", "overlay", "size", "still"}
SOUNDS = {"loudness", "spectrum", "track", "voices"}
NUM_CLIPS = 32
FORMAT = ClipFormat(num_frames=4, size=32, fps=15.0, crf=18)
NUM_SOUND = num_samples(FORMAT.num_frames, FORMAT.fps)


def outputs(folder: Path, leak: str | None = None) -> None:
    """Outputs of ingest, augment and pack: two sources an origin, of which one may leak a cue."""
    for name in ("clips", "augmented", "packed"):
        (folder / name).mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    clips, files, samples = [], [], []
    sounds: list[np.ndarray | None] = []
    for number in range(NUM_CLIPS):
        real = number % 2 == 0
        leaking = leak if real else None
        origin = "real" if real else "game"
        source = f"{origin}-{number // 2 % 2}"
        frames = moving_frames(number, FORMAT.num_frames, FORMAT.size)
        if leaking == "mark":
            frames[:, :8, :8] = 255
        discharge = number // 4 % 2 == 0
        is_heard = not (leak == "silent" and real) and leak != "deaf"
        gain = 10_000 if leak == "loud" and discharge else 1000
        wave = gain * rng.uniform(0.5, 2) * rng.standard_normal(NUM_SOUND).clip(-3, 3)
        sounds.append(wave.clip(-32_000, 32_000).astype(np.int16) if is_heard else None)
        about: dict[str, Any] = {
            "collection": "made",
            "path": f"{number:02d}.mp4",
            "recording": f"made/{number:02d}",
            "source": source,
            "origin": origin,
            "licence": "CC0-1.0",
            "authority": "",
        }
        clips.append(
            clip_row(
                clip_id=f"{number:016x}",
                start_s=0.0,
                box="0,0,64,64",
                discharge=discharge,
                sound=manifest.PRESENT if is_heard else manifest.ABSENT,
                shard="shard-00000.tar",
                offset=0,
                size=int(rng.integers(9_000, 11_000)) + (5_000 if leaking == "size" else 0),
                split="train" if number < NUM_CLIPS - 4 else "val" if number % 2 else "test",
                **about,
            )
        )
        files.append(
            File(
                container="mp4",
                codec="h264",
                pixel_format="yuv420p",
                width=64,
                height=64,
                fps=30.0 if leaking == "rate" else 15.0,
                duration_s=4.0,
                num_bytes=50_000,
                num_clips=1,
                sound_codec="aac" if is_heard else None,
                sound_rate_hz=48_000 if is_heard else None,
                sound_channels=2 if is_heard else None,
                **about,
            )
        )
        samples.append(frames)
    manifest.write_rows(folder / "clips" / manifest.FILES, File, files)
    manifest.write_rows(folder / "clips" / manifest.MANIFEST, Clip, clips)
    variants = [
        replace(clip, clip_id=f"{clip.clip_id}-severe", parent_id=clip.clip_id, variant="{}")
        for clip in clips
        if clip.split in ("train", "test")
    ]
    clips += variants
    samples += [samples[int(clip.parent_id or "", 16)] for clip in variants]
    sounds += [sounds[int(clip.parent_id or "", 16)] for clip in variants]
    manifest.write_rows(folder / "augmented" / manifest.MANIFEST, Clip, variants)
    rows = [
        {name: getattr(clip, name, None) for name in INDEX_SCHEMA.names}
        | {
            "sample_id": clip.clip_id,
            "clip_id": clip.parent_id or clip.clip_id,
            "cluster": clip.recording,
            "discharge": int(bool(clip.discharge)),
        }
        for clip in clips
    ]
    write_packed(folder / "packed", rows, samples, FORMAT, sounds=sounds)


def probed(compose: Callable[..., App], *overrides: str) -> dict[str, Any]:
    cfg = compose("probe", "num_rounds=1", *overrides)
    probe.run(cfg)
    found: dict[str, Any] = json.loads(Path(cfg.paths.probes, probe.METRICS).read_text())
    return found


@pytest.mark.parametrize(
    ("leak", "cue"), [("rate", "container"), ("size", "size"), ("mark", "overlay")]
)
def test_a_planted_cue_is_found_where_it_is_and_not_elsewhere(
    compose: Callable[..., App], tmp_path: Path, leak: str, cue: str
) -> None:
    outputs(tmp_path, leak)
    found = probed(compose)["train"]
    auroc, interval = found["auroc"], found["interval"]
    assert set(auroc) == set(interval) == CUES | SOUNDS
    assert set(found["discharge"]["auroc"]) == SOUNDS
    assert max(auroc[cue].values()) > 0.95
    assert interval[cue]["low"] > 0.8
    for other in {"container", "size"} - {cue}:
        assert max(auroc[other].values()) < 0.8


def test_tracks_that_only_games_have_are_found_and_nothing_is_asked_of_what_lies_in_them(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    outputs(tmp_path, "silent")
    found = probed(compose)["train"]
    assert set(found["auroc"]) == CUES | {"track"}
    assert max(found["auroc"]["track"].values()) > 0.95
    told = found["discharge"]["auroc"]
    assert max(told["track"].values()) < 0.8
    assert set(told) <= SOUNDS


def test_shootings_that_are_loud_are_found(compose: Callable[..., App], tmp_path: Path) -> None:
    outputs(tmp_path, "loud")
    found = probed(compose)["train"]
    assert max(found["discharge"]["auroc"]["loudness"].values()) > 0.95
    assert max(found["auroc"]["loudness"].values()) < 0.8


def test_without_any_sound_pictures_alone_are_probed(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    outputs(tmp_path, "deaf")
    found = probed(compose)["train"]
    assert set(found["auroc"]) == CUES
    assert found["discharge"] == {"auroc": {}, "interval": {}}


@dataclass(frozen=True)
class Plain:
    """A run on outputs that leak nothing: its metrics, as they are and as read, and its log."""

    content: bytes
    log: list[str]

    @property
    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.content)
        return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """Made once, as it is asked for by several tests."""
    folder = tmp_path_factory.mktemp("plain")
    outputs(folder)
    lines, level = Lines(), probe.log.level
    probe.log.addHandler(lines)
    probe.log.setLevel(logging.INFO)
    try:
        probed(partial(compose_below, folder))
    finally:
        probe.log.setLevel(level)
        probe.log.removeHandler(lines)
    return Plain((folder / "probes" / probe.METRICS).read_bytes(), lines.messages)


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_variants_are_probed_where_they_are_trained_on(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    outputs(tmp_path)
    for reads in ("train.use_variants=true", "train.origin.use_variants=true"):
        metrics = probed(compose, reads)
        assert metrics["train"]["samples"] == 2 * (NUM_CLIPS - 4)


def test_variants_are_probed_neither_in_training_without_them_nor_in_the_test_set(
    plain: Plain,
) -> None:
    metrics = plain.metrics
    assert (metrics["train"]["samples"], metrics["train"]["sources"]) == (NUM_CLIPS - 4, 4)
    assert metrics["test"]["samples"] == 2
    assert metrics["test"]["auroc"] == {}, "one origin is nothing to tell from another"


def test_where_no_cue_can_be_judged_the_log_says_why(plain: Plain) -> None:
    why = "no cue can be judged: it takes 2 sources and 5 recordings each of real and fictional"
    (line,) = [line for line in plain.log if line.startswith("probe: test: ")]
    assert why in line
    assert line.endswith("there are 2 and 0 sources, 2 and 0 recordings")
    (line,) = [line for line in plain.log if line.startswith("probe: train: ")]
    assert why not in line


def test_a_rate_that_a_file_does_not_state_is_no_obstacle(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    outputs(tmp_path)
    table = tmp_path / "clips" / manifest.FILES
    rows = [replace(file, fps=None) for file in manifest.read_rows(table, File)]
    manifest.write_rows(table, File, rows)
    assert set(probed(compose)["train"]["auroc"]) == CUES | SOUNDS


def test_two_workers_write_the_same_bytes(
    compose: Callable[..., App], tmp_path: Path, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_CLIPS_PER_BLOCK", 8)
    outputs(tmp_path)
    probed(compose, "run.executor=processes", "run.num_workers=2")
    assert (tmp_path / "probes" / probe.METRICS).read_bytes() == plain.content


def test_samples_that_no_manifest_knows_are_an_error(
    compose: Callable[..., App], tmp_path: Path
) -> None:
    outputs(tmp_path)
    manifest.write_rows(tmp_path / "clips" / manifest.MANIFEST, Clip, [])
    with pytest.raises(UserError, match="in the manifests; run dvc repro"):
        probe.run(compose("probe"))
