"""Make variants of the training clips: another camera, another sensor, another compression."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import executor, manifest, video, workdir
from pipeline.config import AugmentApp, AugmentConfig, ClipFormat
from pipeline.errors import UserError
from pipeline.manifest import Clip
from pipeline.shards import ShardWriter, read_clip
from pipeline.transforms import camera, sensor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One variant to make of one clip."""

    clip: Clip
    clips_folder: Path
    number: int
    cfg: AugmentConfig
    format: ClipFormat


@dataclass(frozen=True)
class Variant:
    """A finished variant before it has a place in a shard."""

    mp4: bytes
    pixels_sha256: str
    parameters: dict[str, Any]


def draw(clip_id: str, number: int, cfg: AugmentConfig) -> dict[str, Any]:
    """Draw every parameter of a variant from its seed, its clip and its number alone."""
    rng = np.random.default_rng([cfg.seed, int(clip_id, 16), number])
    drawn: dict[str, Any] = {
        "camera": camera.draw(cfg.camera, rng),
        "sensor": sensor.draw(cfg.sensor, rng),
    }
    if rng.random() < cfg.recompress_p:
        low, high = cfg.recompress_crf
        drawn["recompress_crf"] = int(rng.integers(low, high + 1))
    return drawn


def make_variant(task: Task) -> Variant:
    """Decode a clip, apply a camera, a sensor and an encoder to it, encode it canonically."""
    frames = video.decode(read_clip(task.clips_folder, task.clip))
    drawn = draw(task.clip.clip_id, task.number, task.cfg)
    frames = camera.apply(frames, drawn["camera"])
    frames = sensor.apply(frames, drawn["sensor"])
    fps, keyint = task.format.fps, task.format.num_frames
    if "recompress_crf" in drawn:
        frames = video.decode(video.encode(frames, fps, crf=drawn["recompress_crf"], keyint=keyint))
    mp4 = video.encode(frames, fps, crf=task.format.crf, keyint=keyint)
    return Variant(mp4, hashlib.sha256(frames.tobytes()).hexdigest(), drawn)


def run(cfg: AugmentApp) -> None:
    """Write `variants_per_clip` variants of each training clip to `paths.augmented`.

    Raises:
        UserError: a range that is upside down, or a shard that is not whole.
    """
    low, high = cfg.recompress_crf
    if not 0 <= low <= high <= 51:
        raise UserError(
            f"conf/augment.yaml: recompress_crf {cfg.recompress_crf} is no range in 0 to 51"
        )
    paths = cfg.paths
    clips_folder = Path(paths.clips)
    clip_format = manifest.read_format(clips_folder)
    clips = manifest.read_manifest(Path(paths.splits))
    tasks = [
        Task(clip, clips_folder, number, cfg, clip_format)
        for clip in clips
        if clip.split == "train"
        for number in range(cfg.variants_per_clip)
    ]
    variants: list[Clip] = []
    with workdir.replacing(Path(paths.augmented), Path(paths.work)) as fresh:
        with ShardWriter(fresh, cfg.shard_clips) as shards:
            results = executor.map_blocks(make_variant, tasks, cfg.run, title="augment")
            for task, result in zip(tasks, results, strict=True):
                if isinstance(result, executor.Lost):
                    raise UserError(f"clip {task.clip.clip_id}: {result.detail}; run it again")
                variants.append(_store(task, result, shards))
        manifest.write_manifest(fresh, variants)
        manifest.write_stats(fresh, _stats(tasks, variants))
    log.info("augment: %d variants", len(variants))


def _store(task: Task, variant: Variant, shards: ShardWriter) -> Clip:
    variant_id = f"{task.clip.clip_id}-{task.number}"
    place = shards.add(variant_id, variant.mp4)
    return replace(
        task.clip,
        clip_id=variant_id,
        parent_id=task.clip.clip_id,
        pixels_sha256=variant.pixels_sha256,
        shard=place.shard,
        offset=place.offset,
        size=place.size,
        variant=json.dumps(variant.parameters, sort_keys=True),
    )


def _stats(tasks: Sequence[Task], variants: Sequence[Clip]) -> dict[str, object]:
    applied: Counter[str] = Counter()
    for variant in variants:
        assert variant.variant is not None
        drawn = json.loads(variant.variant)
        applied.update(f"camera {name}" for name in drawn["camera"])
        applied.update(f"sensor {name}" for name in drawn["sensor"] if name != "seed")
        applied.update(name for name in drawn if name == "recompress_crf")
    return {
        "clips": len({task.clip.clip_id for task in tasks}),
        "variants": len(variants),
        "applied": applied,
    }
