"""Make variants of clips: of training clips to learn from, of test clips to measure robustness."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import AugmentApp, AugmentConfig, ClipFormat
from pipeline.errors import UserError
from pipeline.store import manifest, sound, video, workdir
from pipeline.store.finished_work import FinishedWork, Piece, made_by, name_of
from pipeline.store.manifest import Clip
from pipeline.store.reuse import Pieces
from pipeline.store.shards import Extent, ShardWriter, read_clip, read_flac
from pipeline.transforms import registry
from pipeline.transforms.base import FPS

log = logging.getLogger(__name__)

_CODE = (
    "stages/augment.py",
    "transforms",
    "engines/acoustics",
    "store/pcm.py",
    "store/sound.py",
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
    "scipy",
)
_VARIANTS_PER_BLOCK = 64


@dataclass(frozen=True)
class AugmentTask:
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
    flac: bytes | None
    """None where every sample is zero."""
    presence: str
    """What there is of its sound, one of `manifest.PRESENCES`."""
    heard: bool | None
    """Whether a discharge is heard; None too where a transform may have hidden one."""


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
            for number in sorted(rng.permutation(len(family))[:many].tolist()):
                strength = round(float(rng.uniform(0, draws[name].max_strength)), 4)
                steps.append(registry.draw_step(family[number].name, rng, strength))
    # A generator of their own, so that pictures are the same whatever is done to the sound.
    return {"seed": seed, "steps": steps + _sound_steps(np.random.default_rng([*seed, 1]), cfg)}


def _sound_steps(rng: np.random.Generator, cfg: AugmentConfig) -> list[dict[str, Any]]:
    if rng.random() >= cfg.sound.p:
        return []
    many = int(rng.integers(1, min(cfg.sound.most, len(registry.SOUND)) + 1))
    steps = []
    for number in sorted(rng.permutation(len(registry.SOUND))[:many].tolist()):
        strength = round(float(rng.uniform(0, cfg.sound.max_strength)), 4)
        steps.append(registry.draw_step(registry.SOUND[number].name, rng, strength))
    return steps


def draw_test(clip_id: str, edit: str, strength: str) -> dict[str, Any]:
    """Draw a test variant from the clip's id alone, so that no configuration moves the yardstick.

    The strengths of a clip share a seed, so that they differ in little else.

    Returns:
        As `draw` does, with the `edit` and the name of its `strength`.
    """
    seed = [int(clip_id, 16)]
    steps = [registry.draw_step(edit, np.random.default_rng(seed), registry.STRENGTHS[strength])]
    return {"seed": seed, "edit": edit, "strength": strength, "steps": steps}


def test_edit(clip_id: str, has_sound: bool) -> str:
    """Choose the one transform of a test clip's variants, from its id and whether it has sound.

    The transform whose name hashes highest with the id (rendezvous hashing; Thaler and
    Ravishankar, 1998): other clips, and most transforms that are added, change nothing.

    Args:
        clip_id: of the clip.
        has_sound: whether it has a sound that a transform of sound can change.
    """
    return max(
        registry.EVERY if has_sound else registry.TRANSFORMS,
        key=lambda name: hashlib.sha256(f"{clip_id} {name}".encode()).digest(),
    )


def variant_parameters(task: AugmentTask) -> dict[str, Any]:
    """The parameters of a variant."""
    if task.edit is None:
        return draw(task.clip.clip_id, int(task.name), task.cfg)
    return draw_test(task.clip.clip_id, task.edit, task.name)


def make_variant(task: AugmentTask) -> Variant:
    """Decode the pictures and the sound of a clip, transform them, encode them canonically."""
    parameters = variant_parameters(task)
    frames = video.decode(read_clip(task.clips_folder, task.clip))
    frames = registry.apply(frames, parameters["steps"])
    clip = task.format
    mp4 = video.encode(frames, clip.fps, crf=clip.crf, keyint=clip.num_frames)
    digest = hashlib.sha256(frames.tobytes()).hexdigest()
    return Variant(mp4, digest, parameters, *_varied_sound(task, parameters["steps"]))


def _varied_sound(
    task: AugmentTask, steps: list[dict[str, Any]]
) -> tuple[bytes | None, str, bool | None]:
    """The sound of a variant, what there is of it, and whether a discharge can be heard."""
    clip = task.clip
    samples = sound.read_sound(task.clips_folder, clip)
    if samples is None:
        return None, clip.sound, clip.heard
    varied = registry.apply_to_sound(samples, steps)
    told = sound.told_by_level(varied)
    if told == manifest.SILENT:
        return None, told, None
    is_level_all = clip.sound in (manifest.PRESENT, manifest.QUIET)
    hides = any(
        registry.SOUND_TRANSFORMS[step["transform"]].hides
        for step in steps
        if step["transform"] in registry.SOUND_TRANSFORMS
    )
    heard = None if clip.heard and hides else clip.heard
    return sound.encode(varied), told if is_level_all else clip.sound, heard


def make_piece(task: AugmentTask) -> Piece:
    """Make a variant, as a piece to keep."""
    variant = make_variant(task)
    told = {
        "pixels_sha256": variant.pixels_sha256,
        "parameters": variant.parameters,
        "presence": variant.presence,
        "heard": variant.heard,
    }
    return Piece(told, [variant.mp4, variant.flac or b""])


def run(cfg: AugmentApp) -> None:
    """Write `variants_per_clip` variants of each training clip to `paths.augmented`.

    And, with `test_variants`, of each test clip one of each named strength, all of one transform.
    What was made is kept, so that a later run, or one that goes on after a kill, makes what is new
    alone.

    Raises:
        UserError: clips of a rate that the transforms do not know, or a shard that is not whole.
    """
    paths, work = cfg.paths, Path(cfg.paths.work)
    clips_folder = Path(paths.clips).resolve()
    table = Path(paths.splits) / manifest.MANIFEST
    clip_format = manifest.read_format(clips_folder)
    if (cfg.variants_per_clip or cfg.test_variants) and clip_format.fps != FPS:
        raise UserError(
            f"{clips_folder}: clips of {clip_format.fps:g} frames a second, but clocks and "
            f"codecs of pipeline/transforms run at {FPS:g}; set clip.fps in conf/ingest.yaml so, "
            "or variants_per_clip: 0 and test_variants: false in conf/augment.yaml"
        )

    def tasks() -> Iterator[AugmentTask]:
        return _tasks(table, clips_folder, cfg, clip_format)

    with FinishedWork(work, "augment") as kept:
        pieces = Pieces(kept, _names(tasks()), tasks, make_piece, cfg.run, "augment")
        num_new = pieces.make(_VARIANTS_PER_BLOCK)
        with workdir.replacing(Path(paths.augmented), work, workdir.OUTPUTS["augment"]) as fresh:
            num_variants = _assemble(pieces.read(), fresh, cfg)
        kept.trim(cfg.run.keep_gb)
    log.info("augment: %d variants, %d of them new", num_variants, num_new)


def _names(tasks: Iterator[AugmentTask]) -> list[str]:
    """The names under which variants are kept: of the clip's bytes and of what is done to it."""
    code = made_by(_CODE, _LIBRARIES)
    names = []
    last: tuple[str, str] | None = None
    for task in tasks:
        clip = task.clip
        if last is None or last[0] != clip.clip_id:
            digest = hashlib.sha256(read_clip(task.clips_folder, clip))
            digest.update(read_flac(task.clips_folder, clip) if clip.sound_size else b"")
            last = clip.clip_id, digest.hexdigest()
        made_of = [last[1], clip.sound, clip.heard, variant_parameters(task), asdict(task.format)]
        names.append(name_of(task.clip.file_sha256, code, made_of))
    return names


def _tasks(
    table: Path, clips_folder: Path, cfg: AugmentConfig, clip_format: ClipFormat
) -> Iterator[AugmentTask]:
    for clip in manifest.read_rows(table, Clip):
        if clip.split == "train" and clip.discharge is not None:
            for number in range(cfg.variants_per_clip):
                yield AugmentTask(clip, clips_folder, str(number), None, cfg, clip_format)
        elif clip.split == "test" and cfg.test_variants:
            edit = test_edit(clip.clip_id, clip.sound == manifest.PRESENT)
            for strength in registry.STRENGTHS:
                yield AugmentTask(clip, clips_folder, strength, edit, cfg, clip_format)


def _assemble(variants: Iterator[tuple[AugmentTask, Piece]], fresh: Path, cfg: AugmentApp) -> int:
    counts: Counter[str] = Counter()
    applied: dict[str, Counter[str]] = {}
    with (
        ShardWriter(fresh, cfg.shard_clips) as tar,
        manifest.TableWriter(fresh / manifest.MANIFEST, Clip) as table,
    ):
        for task, piece in variants:
            table.add(_store(task, piece, tar))
            assert task.clip.split is not None
            counts[task.clip.split] += 1
            steps = piece.header["parameters"]["steps"]
            applied.setdefault(task.clip.split, Counter()).update(s["transform"] for s in steps)
    manifest.write_stats(fresh, {"variants": counts, "applied": applied})
    return counts.total()


def _store(task: AugmentTask, piece: Piece, tar: ShardWriter) -> Clip:
    variant_id = f"{task.clip.clip_id}-{task.name}"
    mp4, flac = piece.blobs
    extent = tar.add(variant_id, mp4)
    heard = tar.add_sound(variant_id, flac) if flac else Extent(extent.shard, 0, 0)
    return replace(
        task.clip,
        clip_id=variant_id,
        parent_id=task.clip.clip_id,
        pixels_sha256=piece.header["pixels_sha256"],
        shard=extent.shard,
        offset=extent.offset,
        size=extent.size,
        sound=piece.header["presence"],
        sound_offset=heard.offset,
        sound_size=heard.size,
        heard=piece.header["heard"],
        variant=json.dumps(piece.header["parameters"], sort_keys=True),
    )
