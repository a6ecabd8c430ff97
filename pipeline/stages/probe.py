"""Measure what the cheap cues of the packed samples tell about their origin."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.config import ProbeApp
from pipeline.design import probes
from pipeline.design.probes import Cues, Features
from pipeline.errors import UserError
from pipeline.store import executor, manifest, workdir
from pipeline.store.manifest import Clip, File
from pipeline.store.packed import Members, Packed, Samples

log = logging.getLogger(__name__)

METRICS = "metrics.json"
SETS = ("train", "test")
"""The splits that are probed."""
_CLIPS_PER_BLOCK = 64


@dataclass(frozen=True)
class Block:
    """Packed samples to be reduced to their cues."""

    samples: Samples
    members: Sequence[Members]
    border_px: int


def cues_of(block: Block) -> list[Cues]:
    """Reduce the samples of a block to their cues."""
    return [
        probes.cues(block.samples.read(members).frames, block.border_px)
        for members in block.members
    ]


def run(cfg: ProbeApp) -> None:
    """Write `metrics.json` to `paths.probes`: AUROC of origin for every set, cue and classifier.

    With the interval of the better classifier beside it. Of the train split these are the samples
    that training reads: with variants where it learns from them, and of the test split no variants.

    Raises:
        UserError: a table that is missing, or samples that the tables do not know.
    """
    paths, work = cfg.paths, Path(cfg.paths.work)
    packed = Packed.open(paths.packed, work, cfg.run.cache_gb)
    clips_folder = Path(paths.clips).resolve()
    augmented = Path(paths.augmented).resolve()
    files = {
        (file.collection, file.path): file
        for file in manifest.read_rows(clips_folder / manifest.FILES, File)
    }
    has_variants = cfg.train.use_variants or cfg.train.origin.use_variants
    rows_of = {
        name: packed.select([name], variants=name == "train" and has_variants) for name in SETS
    }
    every_row = np.concatenate(list(rows_of.values()))
    wanted = set(packed.index["sample_id"].take(every_row).to_pylist())
    clips = {
        clip.clip_id: clip
        for folder in (clips_folder, augmented)
        for clip in manifest.read_rows(folder / manifest.MANIFEST, Clip)
        if clip.clip_id in wanted
    }
    absent = sorted(wanted - clips.keys())
    if absent:
        raise UserError(f"{packed.root}: no clip {absent[0]} in the manifests; run dvc repro")
    metrics: dict[str, Any] = {}
    for name, rows in rows_of.items():
        if rows.size == 0:
            continue
        index = packed.index.take(rows)
        ordered = [clips[sample] for sample in index["sample_id"].to_pylist()]
        features = {
            "container": _container(ordered, files),
            "size": _size(ordered, packed.format.num_frames / packed.format.fps),
            **_pixels(cfg, packed, rows),
        }
        metrics[name] = _judge(cfg, features, index)
        log.info("probe: %s: %s", name, _sentence(metrics[name]["auroc"], index))
    with workdir.replacing(Path(paths.probes), work, workdir.OUTPUTS["probe"]) as fresh:
        (fresh / METRICS).write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n")


def _sentence(auroc: dict[str, dict[str, float]], index: pa.Table) -> str:
    if auroc:
        return ", ".join(f"{cue} {max(found.values()):.2f}" for cue, found in auroc.items())
    held: dict[bool, list[set[str]]] = {True: [set(), set()], False: [set(), set()]}
    names = ("origin", "source", "cluster")
    for origin, *own in zip(*(index[name].to_pylist() for name in names), strict=True):
        for seen, value in zip(held[origin == "real"], own, strict=True):
            seen.add(value)
    (real_sources, real), (other_sources, others) = (
        [len(s) for s in held[x]] for x in (True, False)
    )
    return (
        f"no cue can be judged: it takes 2 sources and {probes.MIN_CLUSTERS} recordings each of "
        f"real and fictional footage, and there are {real_sources} and {other_sources} sources, "
        f"{real} and {others} recordings"
    )


def _judge(cfg: ProbeApp, features: dict[str, Features], index: pa.Table) -> dict[str, Any]:
    real = np.array([origin == "real" for origin in index["origin"].to_pylist()])
    sources, clusters = index["source"].to_pylist(), index["cluster"].to_pylist()
    auroc, interval = {}, {}
    for cue, values in features.items():
        found = probes.by_source(
            values, real, sources, clusters, num_folds=cfg.num_folds, num_rounds=cfg.num_rounds
        )
        if found is not None:
            auroc[cue] = {model: round(value, 4) for model, value in found.auroc.items()}
            interval[cue] = {
                "low": round(found.interval.low, 4),
                "high": round(found.interval.high, 4),
            }
    return {
        "samples": len(real),
        "sources": len(set(sources)),
        "auroc": auroc,
        "interval": interval,
    }


def _container(clips: Sequence[Clip], files: dict[tuple[str, str], File]) -> Features:
    """What the file that a clip was cut from was, and where in it the clip lies.

    Left out is what labels by design: path, source, licence, authority and viewpoint.
    """
    per_file = Counter((clip.collection, clip.path) for clip in clips if clip.parent_id is None)
    kinds: list[str] = []
    numbers = []
    for clip in clips:
        file = files[clip.collection, clip.path]
        kinds.append(f"{file.container} {file.codec} {file.pixel_format}")
        box = [float(side) for side in clip.box.split(",")]
        # Clips come of a file that was decoded, so only its rate may be unknown.
        assert file.width and file.height and file.duration_s and file.num_bytes is not None
        numbers.append(
            [
                file.width,
                file.height,
                file.width / file.height,
                file.fps or 0.0,
                file.duration_s,
                file.num_bytes,
                8 * file.num_bytes / file.duration_s,
                len(json.loads(file.marks)),
                len(json.loads(file.dropped)),
                clip.start_s,
                per_file[clip.collection, clip.path],
                *box,
            ]
        )
    names = sorted(set(kinds))
    hot = np.array([[kind == name for name in names] for kind in kinds], np.float64)
    return np.hstack([np.array(numbers, np.float64), hot])


def _size(clips: Sequence[Clip], duration_s: float) -> Features:
    """Bytes of the canonical file, and its rate in bits per second."""
    sizes = np.array([clip.size for clip in clips], np.float64)
    return np.stack([sizes, np.log(sizes), 8 * sizes / duration_s], axis=1)


def _pixels(cfg: ProbeApp, packed: Packed, rows: NDArray[np.int64]) -> dict[str, Features]:
    def blocks() -> Iterator[list[Block]]:
        for part in executor.in_blocks(rows, _CLIPS_PER_BLOCK):
            yield [Block(packed.samples, [packed.at(row) for row in part], cfg.border_px)]

    found: list[Cues] = []
    num_blocks = -(-len(rows) // _CLIPS_PER_BLOCK)
    for (part,) in executor.map_blocks(
        cues_of, blocks(), cfg.run, title="probe", num_items=num_blocks
    ):
        if isinstance(part, executor.Lost):
            raise UserError(f"probe: {part.detail}; run it again")
        found += part
    return {f.name: np.stack([getattr(cue, f.name) for cue in found]) for f in fields(Cues)}
