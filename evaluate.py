"""Say how good the detector is, on the packed test splits or on any footage collection.

`python evaluate.py` writes `reports/`; `python evaluate.py collection=FOLDER` takes every file of
the folder through the same canonical path and writes `reports-collections/<name>/`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline import app, storage, video, workdir
from pipeline.assess import scores
from pipeline.assess.bootstrap import Bootstrap
from pipeline.assess.report import Provenance
from pipeline.assess.results import write_results
from pipeline.assess.scored import Scored
from pipeline.assess.settings import Settings
from pipeline.collection import read_index
from pipeline.config import ClipFormat, EvaluateApp, tracked
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.weights import Detector
from pipeline.manifest import read_format, read_manifest, read_rejects
from pipeline.packed import Packed
from pipeline.shards import read_clip
from pipeline.stages.ingest import ingest
from pipeline.tombstones import forgotten

log = logging.getLogger(__name__)

MEANINGS = {
    "test": "New recordings of known sources",
    "unseen": "Sources held out of training",
    "val": "Recordings that training was tuned on",
    "train": "What training saw",
}


def run(cfg: EvaluateApp) -> None:
    """Score, judge, and move the results into place."""
    torch.set_num_threads(cfg.num_threads)
    settings = Settings(
        Bootstrap(cfg.num_bootstrap, cfg.confidence, cfg.seed),
        cfg.num_bins,
        cfg.num_mistakes,
        cfg.previews,
    )
    device = "cpu" if cfg.run.accelerator == "cpu" else "cuda"
    detector = weights.load(Path(cfg.paths.models), device, cfg.factory)
    if cfg.collection is None:
        scored = score_splits(cfg, detector)
        heading, target = "Discern evaluation", Path(cfg.paths.reports)
        config, absent = tracked(cfg), set(cfg.splits) - {one.name for one in scored}
    else:
        scored = [score_collection(cfg, detector, cfg.collection)]
        heading = f"Discern evaluation of the collection “{scored[0].name}”"
        target = Path(cfg.paths.collection_reports) / scored[0].name
        config, absent = tracked(cfg) | {"ingest": asdict(cfg.ingest)}, set()

    provenance = Provenance(
        config=yaml.safe_dump(config, sort_keys=False),
        model_card=json.dumps(detector.card, indent=2, sort_keys=True),
        data_sha256={one.name: one.data_sha256 for one in scored},
        weights_sha256=detector.sha256,
    )
    clip = model_format(detector)
    with workdir.replacing(target, Path(cfg.paths.work)) as folder:
        metrics = write_results(
            folder,
            heading,
            scored,
            sorted(absent),
            settings,
            provenance,
            clip.num_frames / clip.fps,
        )
    for name, found in metrics.items():
        log.info("evaluate: %s: %s", name, json.dumps(found["shooting"]))
    log.info("evaluate: wrote %s", target / "report.html")


def score_splits(cfg: EvaluateApp, detector: Detector) -> list[Scored]:
    """Score the original clips of each of `cfg.splits` that holds any.

    Raises:
        UserError: an unknown split, or the first of them is empty.
    """
    unknown = sorted(set(cfg.splits) - set(MEANINGS))
    if unknown or not cfg.splits:
        raise UserError(
            f"conf/evaluate.yaml: splits {cfg.splits}; name some of {', '.join(MEANINGS)}"
        )
    packed = Packed.open(cfg.paths.packed, Path(cfg.paths.work), cfg.run.cache_gb)
    check_format(detector, packed.place, packed.format)
    scored = []
    for split in cfg.splits:
        rows = packed.select([split], variants=False)
        if rows.size:
            clips = packed.index.take(rows).select(scores.CLIP_SCHEMA.names)

            def read(number: int, rows: NDArray[np.int64] = rows) -> video.Frames:
                return packed.read(int(rows[number]))

            scored.append(score(cfg, detector, split, MEANINGS[split], clips, read))
        elif split == cfg.splits[0]:
            raise UserError(
                f"{packed.place}: no clip in the split '{split}'; give conf/split.yaml a larger "
                f"share for it, or add recordings"
            )
    return scored


def score_collection(cfg: EvaluateApp, detector: Detector, collection: str) -> Scored:
    """Ingest a collection into the work folder, and score its clips and its files."""
    name, work = storage.name(collection), Path(cfg.paths.work)
    with storage.fetched_index(collection, work) as folder:
        index = read_index(folder)
    clips_folder = work / "evaluate" / name
    # A file that cannot be read is a row of the report here, however many there are.
    lenient = replace(cfg.ingest, max_reject_rate=1.0)
    tombstones = forgotten(Path(cfg.paths.footage))
    ingest([collection], str(clips_folder), lenient, work, cfg.run, tombstones)
    check_format(detector, str(clips_folder), read_format(clips_folder))
    manifest = read_manifest(clips_folder)

    def read(number: int) -> video.Frames:
        return video.decode(read_clip(clips_folder, manifest[number]))

    clips = scores.clip_table(manifest)
    one = score(cfg, detector, name, "Files of the collection", clips, read)
    return replace(one, files=scores.file_table(index, one.clips, read_rejects(clips_folder)))


def score(
    cfg: EvaluateApp,
    detector: Detector,
    name: str,
    meaning: str,
    clips: pa.Table,
    read: scores.Read,
) -> Scored:
    """Score `clips` with the detector."""

    def progress(batches: Sequence[int]) -> Iterable[int]:
        return tqdm(batches, f"score {name}", unit="batch", disable=not cfg.run.progress)

    probabilities, digest = scores.predict(
        clips, read, detector.predict, batch_size=cfg.batch_size, progress=progress
    )
    return Scored(name, meaning, scores.score_table(clips, probabilities), read, digest)


def model_format(detector: Detector) -> ClipFormat:
    """The clips that the weights were trained on."""
    values = detector.card["preprocessing"]
    return ClipFormat(values["num_frames"], values["size"], values["fps"], values["crf"])


def check_format(detector: Detector, place: str, given: ClipFormat) -> None:
    """Raise `UserError` unless the clips of a place are such as the weights were trained on."""
    needed = model_format(detector)
    if given != needed:
        raise UserError(
            f"{place}: clips of {given} but the weights were trained on {needed}; "
            "set clip in conf/ingest.yaml to that, or train again"
        )


if __name__ == "__main__":
    app.stage("evaluate")(run)()
