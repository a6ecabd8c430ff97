"""Reads what a project trains on, as far as what is scored can be compared with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.detect import operating_point, scores
from pipeline.detect.operating_point import OperatingPoint
from pipeline.errors import reading
from pipeline.review import levels
from pipeline.review.drift import BRIGHTNESS, LOUDNESS, SOUND, Inputs
from pipeline.store import sound, video
from pipeline.store.manifest import FILES, MANIFEST, Clip, File, open_table, read_manifest
from pipeline.store.shards import read_clip

Floats = NDArray[np.float64]
_MOST_LOOKED_AT = 500
"""Files of which a clip is decoded, at most."""


def inputs(clips: Path, reports: Path, weights_sha256: str) -> Inputs:
    """Return what ingest knows of the files that became clips, and what the detector said of
    validation.

    What nobody knows yet is left out.

    Args:
        clips: where ingest writes.
        reports: where the last evaluation did.
        weights_sha256: of the detector that scored what it is compared with.

    Raises:
        UserError: a table or a shard that is there is not readable.
    """
    numbers = _of_validation(reports, weights_sha256)
    if not (clips / FILES).is_file():
        return Inputs(numbers)
    with open_table(clips / FILES, File) as file:
        table = file.read(["height", "duration_s", "sound_codec", "source", "num_clips"])
    used = table.filter((table["num_clips"].to_numpy() > 0).tolist())
    numbers |= {
        "height": used["height"].to_numpy().astype(np.float64),
        "seconds": used["duration_s"].to_numpy().astype(np.float64),
        SOUND: used["sound_codec"].is_valid().to_numpy().astype(np.float64),
    }
    if (clips / MANIFEST).is_file():
        numbers |= _of_clips(clips)
    return Inputs(numbers, used["source"].to_pylist())


def _of_clips(clips: Path) -> dict[str, Floats]:
    """Return how bright and loud a clip amid each file is, of so many files, evenly chosen."""
    by_file: dict[tuple[str, str], list[Clip]] = {}
    for clip in read_manifest(clips):
        by_file.setdefault((clip.collection, clip.path), []).append(clip)
    amid = [own[len(own) // 2] for own in by_file.values()]
    chosen = np.unique(np.linspace(0, len(amid) - 1, min(len(amid), _MOST_LOOKED_AT)).round())
    found = []
    for number in chosen.astype(int).tolist():
        heard = sound.read_sound(clips, amid[number])
        level = None if heard is None else levels.loudness(heard)
        frames = video.decode(read_clip(clips, amid[number]))
        found.append((levels.brightness(frames), np.nan if level is None else level))
    brightness, loudness = np.array(found, np.float64).reshape(-1, 2).T
    return {BRIGHTNESS: brightness, LOUDNESS: loudness}


def _of_validation(reports: Path, weights_sha256: str) -> dict[str, Floats]:
    """Scores of the files of validation, where these weights gave them."""
    path = reports / scores.VALIDATION
    point = operating_point.read(reports, weights_sha256)
    if not isinstance(point, OperatingPoint) or not path.is_file():
        return {}
    with reading(path, "evaluate"):
        table = pq.read_table(path)
        names = [table[name].to_pylist() for name in ("collection", "path")]
        real, _ = scores.marginals(scores.joint(table))
        score = table["stream_score"].to_numpy()
    keys = [f"{collection}/{file}" for collection, file in zip(*names, strict=True)]
    file = np.unique(keys, return_inverse=True)[1]
    highest = np.full(file.max(initial=-1) + 1, -np.inf)
    np.maximum.at(highest, file, score)
    return {"score": highest, "p_real": np.bincount(file, real) / np.bincount(file)}
