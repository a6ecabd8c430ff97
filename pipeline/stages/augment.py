"""Make variants of clips: of training clips to learn from, of test clips to measure robustness."""

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

from pipeline.config import AugmentApp, AugmentConfig, ClipFormat, tracked
from pipeline.errors import UserError
from pipeline.store import executor, manifest, shards, video, workdir
from pipeline.store.manifest import Clip
from pipeline.store.shards import ShardWriter, read_clip
from pipeline.transforms import registry
from pipeline.transforms.base import FPS, Transform

log = logging.getLogger(__name__)

_CODE = (
    "stages/augment.py",
    "transforms",
    "store/manifest.py",
    "store/shards.py",
    "store/video.py",
)
_LIBRARIES = (
    "albucore",
    "albumentations",
    "av",
    video.READER,
    "numpy",
    "opencv-python-headless",
    "pillow",
)


@dataclass(frozen=True)
class Task:
    """One variant to make of one clip: a training variant's number, or a test variant's edit."""

    clip: Clip
    clips_folder: Path
    name: str
    """The number of a training variant, the strength of a test variant."""
    edit: str | None
    cfg: AugmentConfig
    format: ClipFormat


@dataclass(frozen=True)
class Variant:
    """A finished variant before it has a place in a shard."""

    mp4: bytes
    pixels_sha256: str
    parameters: dict[str, Any]


def draw(clip_id: str, number: int, cfg: AugmentConfig) -> dict[str, Any]:
    """Draw a training variant from the seed, the clip's id and the variant's number alone.

    Returns:
        JSON-able: the `seed`, and the `steps` that `registry.apply` takes.
    """
    seed = [cfg.seed, int(clip_id, 16), number]
    rng = np.random.default_rng(seed)
    draws = {
        "camera": cfg.camera,
        "sensor": cfg.sensor,
        "overlays": cfg.overlays,
        "edits": cfg.edits,
    }
    steps = []
    for name, family in registry.FAMILIES.items():
        if rng.random() < draws[name].p:
            many = int(rng.integers(1, min(draws[name].most, len(family)) + 1))
            for place in sorted(rng.permutation(len(family))[:many].tolist()):
                strength = round(float(rng.uniform(0, draws[name].max_strength)), 4)
                steps.append(_step(family[place], rng, strength))
    return {"seed": seed, "steps": steps}


def draw_test(clip_id: str, edit: str, strength: str) -> dict[str, Any]:
    """Draw a test variant from the clip's id alone, so that no configuration moves the yardstick.

    The strengths of a clip share a seed, so that they differ in little else.

    Returns:
        As `draw` does, with the `edit` and the name of its `strength`.
    """
    seed = [int(clip_id, 16)]
    transform, value = registry.TRANSFORMS[edit], registry.STRENGTHS[strength]
    steps = [_step(transform, np.random.default_rng(seed), value)]
    return {"seed": seed, "edit": edit, "strength": strength, "steps": steps}


def test_edit(clip_id: str) -> str:
    """Choose the one transform of a test clip's variants, from its id alone.

    The transform whose name hashes highest with the id (rendezvous hashing; Thaler and
    Ravishankar, 1998): other clips, and most transforms that are added, change nothing.
    """
    return max(
        registry.TRANSFORMS, key=lambda name: hashlib.sha256(f"{clip_id} {name}".encode()).digest()
    )


def _step(transform: Transform, rng: np.random.Generator, strength: float) -> dict[str, Any]:
    return {
        "transform": transform.name,
        "strength": strength,
        "parameters": transform.draw(rng, strength),
    }


def make_variant(task: Task) -> Variant:
    """Decode a clip, transform it, encode it canonically."""
    if task.edit is None:
        drawn = draw(task.clip.clip_id, int(task.name), task.cfg)
    else:
        drawn = draw_test(task.clip.clip_id, task.edit, task.name)
    frames = video.decode(read_clip(task.clips_folder, task.clip))
    frames = registry.apply(frames, drawn["steps"])
    clip = task.format
    mp4 = video.encode(frames, clip.fps, crf=clip.crf, keyint=clip.num_frames)
    return Variant(mp4, hashlib.sha256(frames.tobytes()).hexdigest(), drawn)


def run(cfg: AugmentApp) -> None:
    """Write `variants_per_clip` variants of each training clip to `paths.augmented`.

    And, with `test_variants`, of each test clip one of each named strength, all of one transform.
    A block of `shard_clips` variants is a shard; finished ones outlive a kill.

    Raises:
        UserError: clips of a rate that the transforms do not know, or a shard that is not whole.
    """
    paths, work = cfg.paths, Path(cfg.paths.work)
    clips_folder = Path(paths.clips).resolve()
    table = Path(paths.splits) / manifest.MANIFEST
    clip_format = manifest.read_format(clips_folder)
    if clip_format.fps != FPS:
        raise UserError(
            f"{clips_folder}: clips of {clip_format.fps:g} frames a second, but clocks and "
            f"codecs of pipeline/transforms run at {FPS:g}; set clip.fps in conf/ingest.yaml so"
        )
    code = [workdir.code_sha256(*_CODE), *map(version, _LIBRARIES)]
    key = workdir.key(code, tracked(cfg), asdict(clip_format), workdir.file_sha256(table))
    finished = workdir.Blocks(work / "augment" / workdir.key(paths.augmented))
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
    with workdir.replacing(Path(paths.augmented), work, workdir.OUTPUTS["augment"]) as fresh:
        num_variants = _assemble([finished[name] for name in names], fresh)
    finished.clear()
    log.info("augment: %d variants", num_variants)


def _tasks(
    table: Path, clips_folder: Path, cfg: AugmentConfig, clip_format: ClipFormat
) -> Iterator[Task]:
    for clip in manifest.read_rows(table, Clip):
        if clip.split == "train":
            for number in range(cfg.variants_per_clip):
                yield Task(clip, clips_folder, str(number), None, cfg, clip_format)
        elif clip.split == "test" and cfg.test_variants:
            edit = test_edit(clip.clip_id)
            for strength in registry.STRENGTHS:
                yield Task(clip, clips_folder, strength, edit, cfg, clip_format)


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
    variants: Counter[str] = Counter()
    applied: dict[str, Counter[str]] = {}
    with manifest.TableWriter(fresh / manifest.MANIFEST, Clip) as table:
        for variant in shards.gather(blocks, fresh):
            table.add(variant)
            assert variant.split is not None and variant.variant is not None
            variants[variant.split] += 1
            steps = json.loads(variant.variant)["steps"]
            applied.setdefault(variant.split, Counter()).update(s["transform"] for s in steps)
    manifest.write_stats(fresh, {"variants": variants, "applied": applied})
    return variants.total()


def _store(task: Task, variant: Variant, tar: ShardWriter) -> Clip:
    variant_id = f"{task.clip.clip_id}-{task.name}"
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
