"""A small project whose stages have all run: two recordings, a copy of one, a reject."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import ClipFormat, Paths
from pipeline.store import manifest
from pipeline.store.manifest import Clip, File, Reject
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA
from tests.packing import NO_SOUND
from tests.rows import clip_row


def file(path: str, recording: str, **changes: object) -> File:
    collection = recording.partition("/")[0]
    return replace(
        File(collection, path, recording, "fleet", "real", "CC0-1.0", "City Police"),
        **changes,  # type: ignore[arg-type]
    )


def clip(file: File, number: int, **changes: object) -> Clip:
    clip_id = f"{abs(hash_of(file.path)) % 16**12:012x}{number:04x}"
    return replace(
        clip_row(
            clip_id=clip_id,
            collection=file.collection,
            path=file.path,
            source=file.source,
            origin=file.origin,
            recording=file.recording,
            start_s=number * 16 / 15,
            discharge=False,
            licence=file.licence,
            authority=file.authority,
            rendered=file.rendered,
            pixels_sha256=f"{clip_id}p",
            shard="shard-000000.tar",
            offset=512 * number,
            size=100,
            box="420,0,1080,1080",
        ),
        **changes,  # type: ignore[arg-type]
    )


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[:8].ljust(8), "big")


ROOF = file(
    "range/roof.mp4",
    "unit7/day-1",
    sha256="a" * 64,
    num_bytes=1000,
    container="mp4",
    codec="h264",
    pixel_format="yuv420p",
    width=1920,
    height=1080,
    fps=29.97,
    duration_s=4.5,
    marks='["damaged", "interlaced"]',
    cuts_s="[1.2, 3.4]",
    dropped=json.dumps([{"start_s": 3.4, "end_s": 4.5, "reason": "black"}]),
    num_clips=3,
    discharges_s="[0.3, 1.1, 4.2]",
    heard_s="[2.5]",
)
YARD = file("range/yard.mp4", "unit7/day-1", sha256="b" * 64, num_clips=1)
COPY = file("roof-again.mp4", "web/upload", sha256="c" * 64, num_clips=1)
BROKEN = file("range/broken.mp4", "unit7/day-2", reject="decode_error")
REJECT = Reject("unit7", BROKEN.path, "ingest", "decode_error", "bad header", "re-encode it")

CLIPS = [
    clip(ROOF, 0, discharge=True),
    clip(ROOF, 1, discharge=None, unused="discharge_at_edge"),
    clip(ROOF, 2),
    clip(YARD, 0),
    clip(COPY, 0),
]
VARIANT = replace(
    CLIPS[0],
    clip_id="f" * 16,
    parent_id=CLIPS[0].clip_id,
    variant='{"defocus": 1.5}',
    split="train",
)


def tell(clip: Clip) -> dict[str, str]:
    return {"clip_id": clip.clip_id, "recording": clip.recording, "split": "train"}


def write_ingested(paths: Paths) -> None:
    folder = Path(paths.clips)
    folder.mkdir(parents=True)
    manifest.write_rows(folder / manifest.FILES, File, [ROOF, YARD, BROKEN, COPY])
    manifest.write_rows(folder / manifest.MANIFEST, Clip, CLIPS)
    manifest.write_rows(folder / manifest.REJECTS, Reject, [REJECT])
    manifest.write_format(folder, ClipFormat(num_frames=16, size=128, fps=15.0, crf=18))


def write_rest(paths: Paths) -> None:
    """What split, augment, pack and evaluate leave."""
    for folder in (paths.splits, paths.augmented, paths.packed, paths.reports):
        Path(folder).mkdir(parents=True)
    assigned = [
        replace(c, cluster="unit7/day-1", split="train" if c.discharge is not None else None)
        for c in CLIPS
    ]
    manifest.write_rows(Path(paths.splits) / manifest.MANIFEST, Clip, assigned)
    manifest.write_rows(Path(paths.augmented) / manifest.MANIFEST, Clip, [VARIANT])
    closest = {"distance": 60, "clips": [tell(CLIPS[2]), tell(CLIPS[4])]}
    (Path(paths.splits) / "audit.json").write_text(json.dumps({"closest": closest}))
    samples = [
        {
            **dict.fromkeys(INDEX_SCHEMA.names, "-"),
            "rendered": False,
            "sample_id": sample_id,
            "clip_id": CLIPS[0].clip_id,
            "recording": ROOF.recording,
            "discharge": 1,
            "seen": 1,
            "start_s": 0.0,
            "offset": 0,
            "size": 0,
            **NO_SOUND,
        }
        for sample_id in (CLIPS[0].clip_id, VARIANT.clip_id)
    ]
    pq.write_table(pa.Table.from_pylist(samples, INDEX_SCHEMA), Path(paths.packed) / INDEX)
    scores = pa.table({"clip_id": [CLIPS[0].clip_id], "score": [0.25]})
    pq.write_table(scores, Path(paths.reports) / "scores.parquet")
