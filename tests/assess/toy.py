"""Scores that a fair detector could give, made up in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.assess.evidence import Evidence
from pipeline.assess.examples import Examples
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.settings import JudgingSettings
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.config import ClipFormat
from pipeline.detect import scores
from pipeline.detect.scores import Model
from pipeline.store.manifest import ABSENT
from pipeline.store.packed_samples import Sample
from pipeline.store.sound import num_samples

RENDERED = "rendered by Discern's body-camera renderer; staged"
FEW_RESAMPLES = Bootstrap(num_resamples=40, confidence=0.9, seed=3)


@dataclass(frozen=True)
class Source:
    name: str
    origin: str
    num_shooting: int
    num_other: int
    authority: str = ""


SOURCES = (
    Source("bodycam", "real", 4, 4, RENDERED),
    Source("phone", "real", 0, 4),
    Source("doom", "game", 3, 3, "played by Discern's agent in the ViZDoom engine; no real people"),
    Source("sintel", "film", 0, 2),
)


def clips(
    sources: tuple[Source, ...] = SOURCES, split: str = "test", clips_per_recording: int = 5
) -> pa.Table:
    """Rows of `CLIP_SCHEMA`: the first recordings of a source show discharges, the others none."""
    rows = [
        {
            "sample_id": f"{source.name}-{number}-{clip}",
            "clip_id": f"{source.name}-{number}-{clip}",
            "path": f"{source.name}/{number}.mp4",
            "collection": "toy",
            "source": source.name,
            "origin": source.origin,
            "recording": f"toy/{source.name}-{number}",
            "split": split,
            "discharge": int(number < source.num_shooting),
            "start_s": float(clip),
            "licence": "CC0-1.0",
            "authority": source.authority,
            "rendered": source.authority == RENDERED,
        }
        for source in sources
        for number in range(source.num_shooting + source.num_other)
        for clip in range(clips_per_recording)
    ]
    return pa.Table.from_pylist(rows, schema=scores.CLIP_SCHEMA)


def probabilities(table: pa.Table, skill: float = 2.0, seed: int = 0) -> np.ndarray:
    """(N, 4) joint probabilities that lean towards the truth by `skill`."""
    rng = np.random.default_rng(seed)
    real = np.where(np.array(table["origin"].to_pylist()) == "real", skill, -skill)
    discharge = np.where(np.array(table["discharge"].to_pylist()) == 1, skill, -skill)
    p_real, p_discharge = (
        1 / (1 + np.exp(-(logit + rng.normal(0, 1.5, logit.size)))) for logit in (real, discharge)
    )
    return np.column_stack(
        [
            p_real * p_discharge,
            (1 - p_real) * p_discharge,
            p_real * (1 - p_discharge),
            (1 - p_real) * (1 - p_discharge),
        ]
    )


def scored(sources: tuple[Source, ...] = SOURCES, split: str = "test", **kwargs: float) -> pa.Table:
    table = clips(sources, split)
    return scores.score_table(table, probabilities(table, **kwargs))


def examples(sources: tuple[Source, ...] = SOURCES, **kwargs: float) -> Examples:
    return Examples.from_clips(scored(sources, **kwargs))


def frames(seed: int) -> np.ndarray:
    """uint8 (16, 32, 32, 3) of saturated noise."""
    return np.random.default_rng(seed).integers(0, 256, (16, 32, 32, 3), np.uint8)


def silent(frames: np.ndarray) -> Sample:
    """Frames uint8 (T, H, W, 3) as a clip without a sound track."""
    return Sample(frames, np.zeros(num_samples(len(frames), 15.0), np.int16), ABSENT)


def clip(seed: int) -> Sample:
    """The clip of `frames`, without a sound track."""
    return silent(frames(seed))


def seeing(predict: Callable[[np.ndarray], np.ndarray]) -> Model:
    """A model that looks at frames and hears nothing."""
    return lambda clips, sounds: predict(clips)


def evidence(
    sources: tuple[Source, ...] = SOURCES,
    predict: Callable[[np.ndarray], np.ndarray] | None = None,
    **kwargs: float,
) -> Evidence:
    """The test split of a fair detector over grey noise, without any folder of an earlier stage."""
    table = scored(sources, **kwargs)
    one = JudgedSet("test", "New recordings", table, clip, "0" * 64)
    return Evidence(
        judged_sets=[one],
        val=JudgedSet("val", "Validation", scored(sources, "val", seed=9), clip, "1" * 64),
        variants=None,
        predict=seeing(predict or (lambda clips: np.full((len(clips), 4), 0.25))),
        batch_size=16,
        clip=ClipFormat(num_frames=16, size=32, fps=15.0, crf=18),
        settings=JudgingSettings(FEW_RESAMPLES, num_bins=4, num_mistakes=2, previews="protected"),
        folders=None,
    )
