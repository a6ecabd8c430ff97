"""Say how good the detector is, on the packed test splits or on any footage collection.

`python evaluate.py` writes `reports/`; `python evaluate.py collection=FOLDER` takes every file of
the folder through the same canonical path and writes `reports-collections/<name>/`.
`python evaluate.py against=MODEL` sets another model, a folder or a git revision, beside this one.
"""

from __future__ import annotations

from pipeline.detect import operating_point
from pipeline.detect.files import file_table, first_alerts
from pipeline.learn.model_card import CARD
from pipeline.system import entry

if __name__ == "__main__":
    entry.begin("evaluate")

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline import app
from pipeline.assess import lineage, model_comparison, registry
from pipeline.assess.audit.facts import facts
from pipeline.assess.evidence import Evidence, Examined, Folders
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.lineage import Hashes, write_lineage
from pipeline.assess.oversight.bundle import write_bundle
from pipeline.assess.page import findings
from pipeline.assess.page.contents import Provenance
from pipeline.assess.page.plots import read_csv
from pipeline.assess.page.report import without_pictures
from pipeline.assess.results import PAGE, write_results
from pipeline.assess.settings import Settings
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measured import as_json
from pipeline.assess.statistics.summary import headline
from pipeline.commands import revisions
from pipeline.config import ClipFormat, EvaluateApp, tracked
from pipeline.detect import overlap, scores
from pipeline.detect.alarm import Choice
from pipeline.detect.detector import Detector
from pipeline.detect.operating_point import OperatingPoint
from pipeline.errors import UserError
from pipeline.footage.collection import read_index
from pipeline.footage.tombstones import forgotten
from pipeline.learn import tracking, weights
from pipeline.learn.devices import device_of
from pipeline.stages.ingest import ingest
from pipeline.store import storage, video, workdir
from pipeline.store.manifest import (
    FILES,
    SPLITS,
    File,
    read_format,
    read_manifest,
    read_rejects,
    read_rows,
)
from pipeline.store.packed import Packed
from pipeline.store.shards import read_clip
from pipeline.system import interrupts

log = logging.getLogger(__name__)

MEANINGS = {
    "test": "New recordings of known sources",
    "unseen": "Sources held out of training",
    "val": "Recordings that training was tuned on",
    "train": "What training saw",
    "variants": "Augmented clips of new recordings",
}


@dataclass(frozen=True)
class Job:
    """What is to be judged, and where what is found goes."""

    heading: str
    target: Path
    config: dict[str, Any]
    hashes: dict[str, Hashes]
    """Of everything that is judged, by the stage that made it."""
    judged_sets: list[JudgedSet]
    absent: list[str]
    """Splits without a clip."""
    val: JudgedSet | None = None
    variants: JudgedSet | None = None
    folders: Folders | None = None
    earlier: OperatingPoint | str = Evidence.earlier
    """The operating point that an earlier evaluation chose, or why there is none."""


def run(cfg: EvaluateApp) -> None:
    """Score, examine, and move the results into place."""
    torch.set_num_threads(cfg.num_threads)
    registry.check(cfg.suites)
    tracking.check_mode(cfg.run.wandb)
    check_splits(cfg.splits)
    settings = Settings(
        Bootstrap(cfg.num_bootstrap, cfg.confidence, cfg.seed),
        cfg.num_bins,
        cfg.num_mistakes,
        cfg.previews,
        cfg.operating,
    )
    work, output = Path(cfg.paths.work), report_output(cfg)
    workdir.check_replaceable(report_folder(cfg), work, output)
    device = device_of(cfg.run)
    detector = Detector.load(Path(cfg.paths.models), device, cfg.factory)
    other = None if cfg.against is None else other_model(cfg, cfg.against, device)
    job = of_splits(cfg, detector) if cfg.collection is None else of_collection(cfg, detector)
    evidence = Evidence(
        judged_sets=job.judged_sets,
        val=job.val,
        variants=job.variants,
        predict=detector.predict,
        batch_size=cfg.batch_size,
        clip=model_format(detector),
        settings=settings,
        folders=job.folders,
        progress=progress(cfg),
        earlier=job.earlier,
    )
    found = registry.examine(evidence, cfg.suites)
    if other is not None:
        job, compared = set_against(cfg, job, *other)
        found.insert(0, compared)
    provenance = Provenance(
        config=yaml.safe_dump(job.config, sort_keys=False),
        model_card=detector.card.text().rstrip(),
        learned=findings.learned_from(detector.card.encoders, detector.card.footage),
        data_sha256={one.name: one.data_sha256 for one in job.judged_sets},
        weights_sha256=detector.sha256,
    )
    with workdir.replacing(job.target, work, output) as folder:
        metrics = write_results(folder, job.heading, evidence, job.absent, found, provenance)
        if "data" in cfg.suites:
            write_bundle(
                folder,
                heading=job.heading,
                unit=job.judged_sets[0].unit,
                sections={one.name: one.section for one in found},
                metrics=metrics,
                card=detector.card,
                config=job.config,
                data=facts(evidence),
                clip=evidence.clip,
                hashes=job.hashes,
            )
        root = write_lineage(folder, job.hashes)
    for name, part in metrics.items():
        log.info("evaluate: %s: %s", name, json.dumps(as_json(part["shooting"])))
    for one in found:
        for verdict in one.section.verdicts:
            log.info("evaluate: %s: %s: %s", one.name, verdict.state, verdict.says)
    record(cfg, job, detector, metrics)
    log.info("evaluate: wrote %s; its root is %s", job.target / PAGE, root)


def record(cfg: EvaluateApp, job: Job, detector: Detector, metrics: Mapping[str, Any]) -> None:
    """Record what was found in W&B: numbers, curves and the page without a frame."""
    other = str(job.config.get("against", ""))
    judged = "".join([detector.sha256, *(one.data_sha256 for one in job.judged_sets), other])
    tracking.record_evaluation(
        cfg.run.wandb,
        Path(cfg.paths.work),
        f"evaluate-{hashlib.sha256(judged.encode()).hexdigest()[:16]}",
        config=job.config,
        summary={
            f"{part}.{name}": value
            for part, found in metrics.items()
            for name, value in headline(found).items()
            if value is not None
        },
        curves={
            f"{one.name}.{name}": read_csv(job.target / "plots" / one.name / f"{name}.csv")
            for one in job.judged_sets
            for name in ("roc", "precision_recall")
        },
        page=without_pictures((job.target / PAGE).read_text(encoding="utf-8")),
    )


def of_splits(cfg: EvaluateApp, detector: Detector) -> Job:
    """Score what `dvc repro` packed."""
    paths = cfg.paths
    packed = open_packed(cfg, detector)
    parts = score_splits(cfg, detector, packed)
    known = {one.name: one for one in parts}
    test = packed.select(["test"], variants=True)
    is_variant = packed.index["variant"].take(test).is_valid().to_numpy(zero_copy_only=False)
    return Job(
        heading="Discern evaluation",
        target=Path(paths.reports),
        config=tracked(cfg),
        hashes=lineage.hash_stages(local_stages(cfg), app.CONF),
        judged_sets=parts,
        absent=sorted(set(cfg.splits) - known.keys()),
        val=known.get("val")
        or score_rows(cfg, detector, packed, "val", packed.select(["val"], variants=False)),
        variants=score_rows(cfg, detector, packed, "variants", test[is_variant]),
        folders=Folders(
            clips=Path(paths.clips),
            splits=Path(paths.splits),
            augmented=Path(paths.augmented),
            probes=Path(paths.probes),
            models=Path(paths.models),
        ),
    )


def open_packed(cfg: EvaluateApp, detector: Detector) -> Packed:
    """The packed samples, which must be such as the weights were trained on."""
    packed = Packed.open(cfg.paths.packed, Path(cfg.paths.work), cfg.run.cache_gb)
    check_format(detector, packed.place, packed.format)
    return packed


def local_stages(cfg: EvaluateApp) -> dict[str, Path]:
    """The folders of the stages before; those on a store are not hashed again."""
    names = ("clips", "splits", "augmented", "packed", "features", "probes", "models")
    places = {name: str(getattr(cfg.paths, name)) for name in names}
    return {name: Path(at) for name, at in places.items() if not storage.is_remote(at)}


def check_splits(splits: Sequence[str]) -> None:
    """Raise `UserError` for a split that there is not, or for none."""
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown or not splits:
        raise UserError(f"conf/evaluate.yaml: splits {splits}; name some of {', '.join(SPLITS)}")


def of_collection(cfg: EvaluateApp, detector: Detector) -> Job:
    """Score the files of a collection."""
    assert cfg.collection is not None
    point = operating_point.read_for(Path(cfg.paths.reports), detector.sha256, cfg.operating)
    choice = point.choice if isinstance(point, OperatingPoint) else None
    one = score_collection(cfg, detector, cfg.collection, choice)
    one = replace(one, learned_from=learned_from(cfg, detector, cfg.collection))
    # What other collections training reads tells nothing here, and holds paths.
    ingest_settings = {k: v for k, v in asdict(cfg.ingest).items() if k != "collections"}
    return Job(
        heading=f"Discern evaluation of the collection “{one.name}”",
        target=collection_report(cfg, cfg.collection),
        config=tracked(cfg) | {"ingest": ingest_settings},
        hashes={
            **lineage.hash_stages({"models": Path(cfg.paths.models)}, app.CONF),
            lineage.SOURCES: lineage.source_hashes(collection_clips(cfg, cfg.collection)),
        },
        judged_sets=[one],
        absent=[],
        earlier=point,
    )


def learned_from(cfg: EvaluateApp, detector: Detector, collection: str) -> list[str] | None:
    """Paths of files of an ingested collection that training had; None where none can tell."""
    work, clips = Path(cfg.paths.work), collection_clips(cfg, collection)
    try:
        packed = overlap.training_samples(detector, cfg.paths.models, cfg.paths.packed, work)
    except UserError as error:
        log.warning("evaluate: not told whether training had any of the files: %s", error)
        return None
    found = sorted(
        overlap.known_files(
            read_manifest(clips), clips, packed, cfg.run.num_workers, overlap.LEARNED_FROM
        )
    )
    for path in found:
        log.warning(
            "evaluate: %s: training had it, so that it may be told better than new files", path
        )
    return found


def collection_report(cfg: EvaluateApp, collection: str) -> Path:
    """Where the report on a collection goes."""
    home = Path(cfg.paths.collection_reports)
    return storage.own_folder(home, collection, "paths.collection_reports")


def collection_clips(cfg: EvaluateApp, collection: str) -> Path:
    """Where the clips of a collection are kept for its report."""
    return Path(cfg.paths.work) / "evaluate" / collection_report(cfg, collection).name


def compared_report(cfg: EvaluateApp, against: str, report: Path) -> Path:
    """Where the report on a comparison goes, by the other model and what is compared."""
    other = against if Path(against).is_dir() else f"git://{against}"
    key = "paths.compared_reports"
    folder = storage.own_folder(Path(cfg.paths.compared_reports), other, key)
    return storage.own_folder(folder, str(report), key)


def report_folder(cfg: EvaluateApp) -> Path:
    """Where the report that is asked for goes."""
    alone = Path(cfg.paths.reports)
    if cfg.collection is not None:
        alone = collection_report(cfg, cfg.collection)
    return alone if cfg.against is None else compared_report(cfg, cfg.against, alone)


def report_output(cfg: EvaluateApp) -> workdir.Output:
    """What the report that is asked for is told by, and the key that names its folder."""
    key = "paths.reports" if cfg.collection is None else "paths.collection_reports"
    key = key if cfg.against is None else "paths.compared_reports"
    return replace(workdir.OUTPUTS["evaluate"], key=key)


def in_charge_of(cfg: EvaluateApp) -> Path:
    """What no two evaluations may write at the same time."""
    if cfg.collection is not None:
        return collection_clips(cfg, cfg.collection)
    return report_folder(cfg)


def other_model(cfg: EvaluateApp, against: str, device: str) -> tuple[Detector, dict[str, str]]:
    """The model to compare with, and the hashes of its files."""
    with revisions.models(against, Path(cfg.paths.models), Path(cfg.paths.work)) as folder:
        files = (weights.WEIGHTS, CARD)
        hashes = {name: workdir.file_sha256(folder / name) for name in files}
        return Detector.load(folder, device, cfg.factory), hashes


def set_against(
    cfg: EvaluateApp, job: Job, other: Detector, hashes: dict[str, str]
) -> tuple[Job, Examined]:
    """Score the same clips with another model, and compare."""
    assert cfg.against is not None
    name = storage.name(cfg.against)
    if cfg.collection is None:
        found = score_splits(cfg, other, open_packed(cfg, other))
    else:
        found = [score_collection(cfg, other, cfg.collection, None)]
    bootstrap = Bootstrap(cfg.num_bootstrap, cfg.confidence, cfg.seed)
    compared = replace(
        job,
        heading=f"{job.heading} against “{name}”",
        target=compared_report(cfg, cfg.against, job.target),
        config=job.config | {"against": other.sha256},
        hashes=job.hashes | {lineage.OTHER: hashes},
    )
    return compared, model_comparison.examine(job.judged_sets, found, name, bootstrap)


def score_splits(cfg: EvaluateApp, detector: Detector, packed: Packed) -> list[JudgedSet]:
    """Score the original clips of each of `cfg.splits` that holds any.

    Raises:
        UserError: the first of them is empty.
    """
    found = {
        split: score_rows(cfg, detector, packed, split, packed.select([split], variants=False))
        for split in cfg.splits
    }
    first = cfg.splits[0]
    if found[first] is None:
        raise UserError(
            f"{packed.place}: no clip in the split '{first}'; give conf/split.yaml a larger "
            f"share for it, or add recordings"
        )
    return [one for one in found.values() if one is not None]


def score_rows(
    cfg: EvaluateApp, detector: Detector, packed: Packed, name: str, rows: NDArray[np.int64]
) -> JudgedSet | None:
    """Score some packed samples; None where there are none."""
    if not rows.size:
        return None
    clips = packed.index.take(rows).select(scores.CLIP_SCHEMA.names)
    return score(cfg, detector, name, clips, lambda number: packed.read(int(rows[number])))


def score_collection(
    cfg: EvaluateApp, detector: Detector, collection: str, choice: Choice | None
) -> JudgedSet:
    """Ingest a collection into the work folder, and score its clips and its files."""
    name, work = storage.name(collection), Path(cfg.paths.work)
    if name in MEANINGS:
        # What a split is called means something to the report.
        name = f"{name} (collection)"
    with storage.fetched_index(collection, work) as folder:
        index = read_index(folder)
    clips_folder = collection_clips(cfg, collection)
    # A file that cannot be read is a row of the report here, however many there are.
    lenient = replace(cfg.ingest, max_reject_rate=1.0)
    tombstones = forgotten(Path(cfg.paths.footage))
    # What a player shows must be scored, however damaged or short it is.
    ingest([collection], str(clips_folder), lenient, work, cfg.run, tombstones, as_shown=True)
    interrupts.resume()
    check_format(detector, str(clips_folder), read_format(clips_folder))
    manifest = read_manifest(clips_folder)

    def read(number: int) -> video.Frames:
        return video.decode(read_clip(clips_folder, manifest[number]))

    clips = scores.clip_table(manifest)
    one = score(cfg, detector, name, clips, read, [clip.marks for clip in manifest])
    alerts_s = {}
    if choice is not None:
        form = model_format(detector)
        alerts_s = first_alerts(choice, one.clips, form.num_frames / form.fps)
    rejects = read_rejects(clips_folder)
    marks = {file.path: file.marks for file in read_rows(clips_folder / FILES, File)}
    return replace(one, files=file_table(index, one.clips, rejects, alerts_s, marks))


def score(
    cfg: EvaluateApp,
    detector: Detector,
    name: str,
    clips: pa.Table,
    read: scores.Read,
    marks: Sequence[str] = (),
) -> JudgedSet:
    """Score `clips` with the detector."""
    probabilities, digest = scores.predict(
        clips,
        read,
        detector.predict,
        batch_size=cfg.batch_size,
        progress=lambda batches: progress(cfg)(batches, f"score {name}"),
    )
    meaning = MEANINGS.get(name, "Files of the collection")
    return JudgedSet(name, meaning, scores.score_table(clips, probabilities, marks), read, digest)


def progress(cfg: EvaluateApp) -> Callable[[Sequence[int], str], Iterable[int]]:
    """What wraps the numbers of batches, to show how far they are."""

    def shown(batches: Sequence[int], title: str) -> Iterable[int]:
        return tqdm(batches, title, unit="batch", disable=not cfg.run.progress)

    return shown


def model_format(detector: Detector) -> ClipFormat:
    """The clips that the weights were trained on."""
    return detector.card.clip


def check_format(detector: Detector, place: str, given: ClipFormat) -> None:
    """Raise `UserError` unless the clips of a place are such as the weights were trained on."""
    needed = model_format(detector)
    if given != needed:
        raise UserError(
            f"{place}: clips of {given} but the weights were trained on {needed}; "
            "set clip in conf/ingest.yaml to that, or train again"
        )


main = app.stage("evaluate", writes=in_charge_of)(run)

if __name__ == "__main__":
    main()
