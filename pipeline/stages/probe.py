"""Measure what the cheap cues of the packed samples tell about origin and discharge."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from scipy import signal

from pipeline.config import ProbeApp
from pipeline.design import probes
from pipeline.design.probes import Cues, Features, ProbeResult
from pipeline.design.sound_cues import SoundCues, sound_cues
from pipeline.errors import UserError
from pipeline.learn.devices import one_thread
from pipeline.learn.encoders.yamnet import LABELS, Yamnet
from pipeline.store import executor, manifest, workdir
from pipeline.store.bank_matches import not_of_banks
from pipeline.store.manifest import ABSENT, PRESENCES, Clip, File
from pipeline.store.output_files import METRICS as METRICS
from pipeline.store.packed_samples import Members, Packed, Samples
from pipeline.store.pcm import wave_of
from pipeline.store.sound import SOUND_HZ

log = logging.getLogger(__name__)

SETS = ("train", "test")
"""The splits that are probed."""
_CLIPS_PER_BLOCK = 64
_PICTURES = tuple(f.name for f in fields(Cues))
_SOUNDS = (*(f.name for f in fields(SoundCues)), "voices")
_VOICES = [LABELS.index(name) for name in ("Speech", "Music")]


@dataclass(frozen=True)
class CueTask:
    """Packed samples to be reduced to their cues."""

    samples: Samples
    members: Sequence[Members]
    border_px: int


def cues_of(task: CueTask) -> list[dict[str, Features]]:
    """Reduce the samples of a task to their cues; those of sound where there is any."""
    found = []
    for members in task.members:
        sample = task.samples.read(members)
        cues = _named(probes.cues(sample.frames, task.border_px))
        if sample.sound.any():
            cues |= _named(sound_cues(sample.sound)) | {"voices": _voices(sample.sound)}
        found.append(cues)
    return found


@dataclass(frozen=True)
class CueQuestion:
    """Holds what a cue tells of N samples, as `probes.by_source` is asked."""

    about: str
    """The split, and what is to be told."""
    cue: str
    features: Features
    truth: NDArray[np.bool_]
    sources: Sequence[str]
    clusters: Sequence[str]
    num_folds: int
    num_rounds: int


def answer(question: CueQuestion) -> ProbeResult | None:
    """Judge a cue; None where it cannot be judged."""
    return probes.by_source(
        question.features,
        question.truth,
        question.sources,
        question.clusters,
        num_folds=question.num_folds,
        num_rounds=question.num_rounds,
    )


def _named(cues: Cues | SoundCues) -> dict[str, Features]:
    return {f.name: getattr(cues, f.name) for f in fields(cues)}


def _voices(sound: NDArray[np.int16]) -> Features:
    """(2,): how surely a network hears speech and music in int16 (S,) at `SOUND_HZ`, log odds."""
    network = _network()
    wave = signal.resample_poly(wave_of(sound), int(network.rate_hz), SOUND_HZ)
    with one_thread(), torch.inference_mode():
        logits = network(torch.from_numpy(wave.astype(np.float32))[None])[0]
    return np.asarray(logits[_VOICES].double())


@cache
def _network() -> Yamnet:
    return Yamnet.published()


def run(cfg: ProbeApp) -> None:
    """Write `metrics.json` to `paths.probes`: AUROC of origin for every set, cue and classifier.

    With the interval of the better classifier beside it, and under `discharge` the same of what
    cues of sound tell about the discharge. Of the train split these are the samples that training
    reads: with variants where it learns from them, and of the test split no variants. What lies in
    a sound is asked of samples that have one; whether there is one, of all.

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
    questions: list[CueQuestion] = []
    metrics: dict[str, Any] = {}
    indices = {name: packed.index.take(rows) for name, rows in rows_of.items() if rows.size}
    for name, index in indices.items():
        ordered = [clips[sample] for sample in index["sample_id"].to_pylist()]
        cues = _cues(cfg, packed, rows_of[name])
        of_sound: dict[str, Features] = {}
        if any(clip.sound != ABSENT for clip in ordered):
            of_sound = {cue: _column(cues, cue) for cue in _SOUNDS}
            of_sound["track"] = _track(ordered, files)
        features = {
            "container": _container(ordered, files),
            "size": _size(ordered, packed.format.num_frames / packed.format.fps),
            **{cue: _column(cues, cue) for cue in _PICTURES},
            **of_sound,
        }
        real = np.array([origin == "real" for origin in index["origin"].to_pylist()])
        shoots = index["discharge"].to_numpy() == 1
        questions += _questions(cfg, f"{name} discharge", of_sound, shoots, index)
        questions += _questions(cfg, f"{name} origin", features, real, index)
        num_sources = len(set(index["source"].to_pylist()))
        metrics[name] = {"samples": index.num_rows, "sources": num_sources}
    told = _answers(cfg, questions)
    for name, found in metrics.items():
        found |= {"discharge": _numbers(told, f"{name} discharge")}
        found |= _numbers(told, f"{name} origin")
        log.info("probe: %s: %s", name, _sentence(found["auroc"], indices[name]))
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


def _questions(
    cfg: ProbeApp,
    about: str,
    features: dict[str, Features],
    truth: NDArray[np.bool_],
    index: pa.Table,
) -> Iterator[CueQuestion]:
    """What each cue tells; rows of features that are no numbers are of samples without the cue."""
    sources, clusters = (np.array(index[name].to_pylist()) for name in ("source", "cluster"))
    for cue, values in features.items():
        there = ~np.isnan(values[:, 0])
        yield CueQuestion(
            about,
            cue,
            values[there],
            truth[there],
            sources[there].tolist(),
            clusters[there].tolist(),
            cfg.num_folds,
            cfg.num_rounds,
        )


def _answers(
    cfg: ProbeApp, questions: Sequence[CueQuestion]
) -> list[tuple[CueQuestion, ProbeResult]]:
    """The questions that can be answered, with the answers."""
    found = []
    blocks = executor.map_blocks(
        answer,
        ([one] for one in questions),
        cfg.run,
        title="probe: judge",
        num_items=len(questions),
    )
    for question, (told,) in zip(questions, blocks, strict=True):
        if isinstance(told, executor.Lost):
            raise UserError(f"probe: {told.detail}; run it again")
        if told is not None:
            found.append((question, told))
    return found


def _numbers(told: Sequence[tuple[CueQuestion, ProbeResult]], about: str) -> dict[str, Any]:
    own = {question.cue: found for question, found in told if question.about == about}
    return {
        "auroc": {
            cue: {model: round(value, 4) for model, value in found.auroc.items()}
            for cue, found in own.items()
        },
        "interval": {
            cue: {"low": round(found.interval.low, 4), "high": round(found.interval.high, 4)}
            for cue, found in own.items()
        },
    }


def _track(clips: Sequence[Clip], files: dict[tuple[str, str], File]) -> Features:
    """Give what there is of the sound of a clip, and the codec, rate and channels of its track."""
    tracks = [files[clip.collection, clip.path] for clip in clips]
    kinds = [str(file.sound_codec) for file in tracks]
    names = sorted(set(kinds))
    return np.array(
        [
            [
                *(clip.sound == presence for presence in PRESENCES),
                *(kind == name for name in names),
                file.sound_rate_hz or 0,
                file.sound_channels or 0,
            ]
            for clip, file, kind in zip(clips, tracks, kinds, strict=True)
        ],
        np.float64,
    )


def _container(clips: Sequence[Clip], files: dict[tuple[str, str], File]) -> Features:
    """Return what the file that a clip was cut from was, and where in it the clip lies.

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
                len(not_of_banks(manifest.marks_of_pictures(file.marks))),
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


def _cues(cfg: ProbeApp, packed: Packed, rows: NDArray[np.int64]) -> list[dict[str, Features]]:
    def blocks() -> Iterator[list[CueTask]]:
        for part in executor.in_blocks(rows, _CLIPS_PER_BLOCK):
            yield [CueTask(packed.samples, [packed.at(row) for row in part], cfg.border_px)]

    found: list[dict[str, Features]] = []
    num_blocks = -(-len(rows) // _CLIPS_PER_BLOCK)
    for (part,) in executor.map_blocks(
        cues_of, blocks(), cfg.run, title="probe", num_items=num_blocks
    ):
        if isinstance(part, executor.Lost):
            raise UserError(f"probe: {part.detail}; run it again")
        found += part
    return found


def _column(cues: Sequence[dict[str, Features]], name: str) -> Features:
    """(N, F) of a cue; no numbers where a sample has none of it."""
    known = [one[name] for one in cues if name in one]
    nothing = np.full(len(known[0]) if known else 1, np.nan)
    return np.stack([one.get(name, nothing) for one in cues])
