"""Make variants of the training clips: another camera, another sensor, another compression."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import executor, manifest, shards, storage, video, workdir
from pipeline.config import AugmentApp, AugmentConfig, ClipFormat, tracked
from pipeline.errors import UserError
from pipeline.manifest import Clip
from pipeline.shards import ShardWriter, read_clip
from pipeline.transforms import camera, sensor

log = logging.getLogger(__name__)

_CODE = ("stages/augment.py", "transforms", "manifest.py", "shards.py", "video.py")
_LIBRARIES = ("albumentations", "av", "decord", "numpy", "opencv-python-headless")


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

    A block of `shard_clips` variants is a shard; finished ones outlive a kill.

    Raises:
        UserError: a range that is upside down, or a shard that is not whole.
    """
    low, high = cfg.recompress_crf
    if not 0 <= low <= high <= 51:
        raise UserError(
            f"conf/augment.yaml: recompress_crf {cfg.recompress_crf} is no range in 0 to 51"
        )
    paths, work = cfg.paths, Path(cfg.paths.work)
    clips_folder = storage.mirror(paths.clips, work)
    table = storage.mirror(paths.splits, work) / manifest.MANIFEST
    clip_format = manifest.read_format(clips_folder)
    code = [workdir.code_sha256(*_CODE), *map(version, _LIBRARIES)]
    key = workdir.key(code, tracked(cfg), asdict(clip_format), workdir.file_sha256(table))
    finished = workdir.Blocks(work / "augment" / workdir.key(storage.name(paths.augmented)))
    num_tasks = sum(1 for _ in _tasks(table, clips_folder, cfg, clip_format))
    names = [workdir.key(key, number) for number in range(-(-num_tasks // cfg.shard_clips))]
    todo = [name for name in names if name not in finished]
    started: deque[tuple[str, list[Task]]] = deque()

    def blocks() -> Iterator[list[Task]]:
        tasks = _tasks(table, clips_folder, cfg, clip_format)
        wanted = set(todo)
        for name, block in zip(names, executor.in_blocks(tasks, cfg.shard_clips), strict=True):
            if name in wanted:
                started.append((name, block))
                yield block

    num_items = min(num_tasks, len(todo) * cfg.shard_clips)
    for variants in executor.map_blocks(
        make_variant, blocks(), cfg.run, title="augment", num_items=num_items
    ):
        name, block = started.popleft()
        with finished.writing(name) as folder:
            _write_block(folder, block, variants)
    with storage.replacing(paths.augmented, work) as fresh:
        num_variants = _assemble([finished[name] for name in names], fresh)
    finished.clear()
    log.info("augment: %d variants", num_variants)


def _tasks(
    table: Path, clips_folder: Path, cfg: AugmentConfig, clip_format: ClipFormat
) -> Iterator[Task]:
    for clip in manifest.read_rows(table, Clip):
        if clip.split == "train":
            for number in range(cfg.variants_per_clip):
                yield Task(clip, clips_folder, number, cfg, clip_format)


def _write_block(
    folder: Path, block: Sequence[Task], variants: Sequence[Variant | executor.Lost]
) -> None:
    with (
        ShardWriter(folder, len(block)) as tar,
        manifest.TableWriter(folder / manifest.MANIFEST, Clip) as table,
    ):
        for task, variant in zip(block, variants, strict=True):
            if isinstance(variant, executor.Lost):
                raise UserError(f"clip {task.clip.clip_id}: {variant.detail}; run it again")
            table.add(_store(task, variant, tar))


def _assemble(blocks: Sequence[Path], fresh: Path) -> int:
    applied: Counter[str] = Counter()
    parents: set[str | None] = set()
    num_variants = 0
    with manifest.TableWriter(fresh / manifest.MANIFEST, Clip) as table:
        for variant in shards.gather(blocks, fresh):
            table.add(variant)
            parents.add(variant.parent_id)
            num_variants += 1
            assert variant.variant is not None
            drawn = json.loads(variant.variant)
            applied.update(f"camera {name}" for name in drawn["camera"])
            applied.update(f"sensor {name}" for name in drawn["sensor"] if name != "seed")
            applied.update(name for name in drawn if name == "recompress_crf")
    stats = {"clips": len(parents), "variants": num_variants, "applied": applied}
    manifest.write_stats(fresh, stats)
    return num_variants


def _store(task: Task, variant: Variant, tar: ShardWriter) -> Clip:
    variant_id = f"{task.clip.clip_id}-{task.number}"
    place = tar.add(variant_id, variant.mp4)
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
