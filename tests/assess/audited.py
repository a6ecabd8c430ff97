"""Folders of a project whose stages have all run, small enough to break in every way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.assess.evidence import Evidence
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.settings import Folders
from pipeline.detect import scores
from pipeline.store import manifest
from pipeline.store.manifest import CLASSES, Clip, File, Reject, class_index
from tests.assess import toy
from tests.rows import clip_row

RENDERED = "rendered by an engine"
SPLITS = ("train", "train", "val", "test")
SOURCES = (
    ("fleet-a", "real", SPLITS),
    ("fleet-b", "real", ("unseen",) * 4),
    ("doom", "game", SPLITS),
    ("sintel", "film", SPLITS),
)
NUM_HASHES = 4


@dataclass
class Project:
    """What the stages would have written; change it, then `write` it."""

    clips: list[Clip] = field(default_factory=list)
    """With cluster and split."""
    variants: list[Clip] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    hashes: np.ndarray = field(default_factory=lambda: np.zeros((0, NUM_HASHES, 2, 32), np.uint8))

    def change(self, chosen: Callable[[Clip], bool], **changes: object) -> None:
        """Change clips where they lie, before anything was counted."""
        self.clips = [replace(c, **changes) if chosen(c) else c for c in self.clips]

    def of_split(self, split: str) -> list[Clip]:
        return [clip for clip in self.clips if clip.split == split]


def project() -> Project:
    """Two recordings of each source, split and answer, of two clips each, and a variant each."""
    made = Project()
    for source, origin, splits in SOURCES:
        for number, split in enumerate(splits * 2):
            discharge = number < len(splits)
            file = File(
                "toy",
                f"{source}/{number}.mp4",
                f"toy/{source}-{number}",
                source,
                origin,
                "CC0-1.0",
                RENDERED,
                sha256=f"{len(made.files):064x}",
                num_clips=2,
                rendered=True,
            )
            made.files.append(file)
            for window in range(2):
                made.clips.append(_clip(file, len(made.clips), window, split, discharge))
    bad = replace(made.files[0], path="bad.mp4", sha256=None, num_clips=0, reject="decode_error")
    made.files.append(bad)
    made.rejects.append(Reject("toy", bad.path, "ingest", "decode_error", "bad header", "mend it"))
    edge = replace(made.clips[0], clip_id="00ed9e", start_s=9.0, discharge=None, split=None)
    made.clips.append(replace(edge, unused="discharge_at_edge", pixels_sha256="edge"))
    made.variants = [
        replace(
            clip,
            clip_id=f"{clip.clip_id}-0",
            parent_id=clip.clip_id,
            pixels_sha256=f"{clip.pixels_sha256}-0",
            variant="{}",
        )
        for clip in made.clips
        if clip.split in ("train", "test")
    ]
    rng = np.random.default_rng(5)
    made.hashes = rng.integers(0, 256, (len(made.clips), NUM_HASHES, 2, 32), np.uint8)
    return made


def _clip(file: File, number: int, window: int, split: str, discharge: bool) -> Clip:
    return clip_row(
        clip_id=f"{number:06x}",
        collection=file.collection,
        path=file.path,
        source=file.source,
        origin=file.origin,
        recording=file.recording,
        start_s=float(window),
        box="0,0,16,16",
        discharge=discharge,
        licence=file.licence,
        authority=file.authority,
        rendered=file.rendered,
        viewpoint="body",
        pixels_sha256=f"pixels-{number}",
        shard="shard-00000.tar",
        offset=512 * number,
        size=100,
        cluster=file.recording,
        split=split,
    )


def _is_of_a_bag(clip: Clip) -> bool:
    return clip.split is not None and clip.discharge is None


def write(made: Project, root: Path, bags: int = 4) -> Evidence:
    """Write the folders as the stages would have, with their counts, and the evidence of it.

    Clips with a split and no label are of files without times, and learned from with `bags`.
    """
    names = ("clips", "splits", "augmented", "probes", "models")
    places = Folders(**{name: root / name for name in names})
    for name in names:
        (root / name).mkdir(parents=True)
    untimed = "no_discharge_times"
    before = [
        replace(c, cluster=None, split=None, unused=untimed if _is_of_a_bag(c) else c.unused)
        for c in made.clips
    ]
    manifest.write_rows(places.clips / manifest.MANIFEST, Clip, before)
    manifest.write_rows(places.clips / manifest.FILES, File, made.files)
    manifest.write_rows(places.clips / manifest.REJECTS, Reject, made.rejects)
    np.save(places.clips / manifest.FINGERPRINTS, made.hashes)
    manifest.write_rows(places.augmented / manifest.MANIFEST, Clip, made.variants)
    audit = {"max_distance": 50, "max_single_distance": 40}
    (places.splits / "audit.json").write_text(json.dumps(audit))
    counts: dict[str, Counter[str]] = {}
    footage: dict[tuple[str | bool, ...], Counter[str]] = {}
    for clip in made.clips:
        if clip.split is not None and clip.discharge is not None:
            kind = CLASSES[class_index(clip.origin, bool(clip.discharge))]
            counts.setdefault(clip.split, Counter())[kind] += 1
        if clip.split is not None and (bags or clip.discharge is not None):
            key = (clip.source, clip.origin, clip.licence, clip.authority, clip.rendered)
            footage.setdefault(key, Counter())[clip.split] += 1
    manifest.write_stats(places.splits, {"clips": counts})
    card = [
        dict(zip(("source", "origin", "licence", "authority", "rendered"), key, strict=True))
        | {"train": n["train"], "val": n["val"]}
        for key, n in footage.items()
    ]
    told = {"config": {"bags": bags}, "data": {"footage": card}}
    (places.models / "model.json").write_text(json.dumps(told))
    edit(places, made.clips)
    parts = [_scored(made, split) for split in ("test", "unseen")]
    return replace(toy.evidence(), judged_sets=parts, folders=places)


def edit(places: Folders, clips: list[Clip]) -> None:
    """Write another table of splits, and nothing else."""
    manifest.write_rows(places.splits / manifest.MANIFEST, Clip, clips)


def _scored(made: Project, split: str) -> JudgedSet:
    table = scores.clip_table(made.of_split(split))
    return JudgedSet(
        split, split, scores.score_table(table, toy.probabilities(table)), toy.clip, ""
    )
