"""Prepares what an evaluation judges: the packed splits, a collection, or two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import app
from pipeline.assess import lineage, model_comparison
from pipeline.assess.deployment_report import Deployed
from pipeline.assess.evidence import Evidence, Examined
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.lineage import Hashes
from pipeline.assess.settings import Folders, JudgingSettings
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites.streams import threshold_choice
from pipeline.commands import revisions
from pipeline.commands.evaluation import outputs
from pipeline.commands.evaluation.scoring import SampleScoring
from pipeline.config import EvaluateApp, tracked
from pipeline.detect import operating_point
from pipeline.detect.detector import Detector
from pipeline.detect.operating_point import OperatingPoint
from pipeline.learn.model_card import CARD
from pipeline.learn.weights import WEIGHTS
from pipeline.store import storage, workdir


@dataclass(frozen=True)
class Job:
    """Holds what is to be judged, and where what is found goes."""

    heading: str
    target: Path
    config: dict[str, Any]
    hashes: dict[str, Hashes]
    """Hashes of everything that is judged, by the stage that made it."""
    judged_sets: list[JudgedSet]
    absent: list[str]
    """Splits without a clip."""
    val: JudgedSet | None = None
    variants: JudgedSet | None = None
    long: Mapping[str, JudgedSet] = field(default_factory=dict)
    """Long recordings beside the judged splits and val, by the name of the split."""
    folders: Folders | None = None
    earlier: OperatingPoint | str = Evidence.point
    """What stands in for an operating point where there is no validation to choose it on."""

    def evidence(
        self, scoring: SampleScoring, settings: JudgingSettings, deployed: Deployed | None
    ) -> Evidence:
        """Everything that suites may look at."""
        point = self.earlier
        if self.val is not None:
            clip_s, bootstrap = scoring.clip_s, settings.bootstrap
            long = self.long.get(self.val.name)
            point = threshold_choice.choose(self.val, long, clip_s, settings.operating, bootstrap)
        return Evidence(
            judged_sets=self.judged_sets,
            val=self.val,
            variants=self.variants,
            long=self.long,
            predict=scoring.detector.predict,
            batch_size=scoring.cfg.batch_size,
            clip=scoring.detector.card.clip,
            settings=settings,
            folders=self.folders,
            progress=scoring.progress,
            workers=scoring.workers,
            answers=scoring.answers,
            point=point,
            deployed=deployed,
            weights_sha256=scoring.detector.sha256,
        )


def job(scoring: SampleScoring) -> Job:
    """Score what the configuration asks for."""
    collection = scoring.cfg.collection
    return of_splits(scoring) if collection is None else of_collection(scoring, collection)


def of_splits(scoring: SampleScoring) -> Job:
    """Score what `dvc repro` packed."""
    cfg, packed = scoring.cfg, scoring.packed()
    paths = cfg.paths
    judged_sets = scoring.splits(packed)
    known = {one.name: one for one in judged_sets}
    return Job(
        heading="Discern evaluation",
        target=Path(paths.reports),
        config=tracked(cfg),
        hashes=lineage.hash_stages(outputs.local_stages(cfg), app.CONF),
        judged_sets=judged_sets,
        absent=sorted(set(cfg.splits) - known.keys()),
        val=known.get("val") or scoring.split(packed, "val"),
        variants=scoring.variants(packed),
        long=scoring.long(packed, sorted({*known, "val"})),
        folders=Folders(
            clips=Path(paths.clips),
            splits=Path(paths.splits),
            augmented=Path(paths.augmented),
            probes=Path(paths.probes),
            models=Path(paths.models),
        ),
    )


def of_collection(scoring: SampleScoring, collection: str) -> Job:
    """Score the files of a collection."""
    cfg, sha256 = scoring.cfg, scoring.detector.sha256
    point = operating_point.read_for(Path(cfg.paths.reports), sha256, cfg.operating)
    choice = point.choice if isinstance(point, OperatingPoint) else None
    one = scoring.collection(collection, choice)
    one = replace(one, learned_from=scoring.learned_from(collection))
    # What other collections training reads tells nothing here, and holds paths; what is only scored
    # is looked up in no bank.
    untold = ("collections", "banks")
    ingest_settings = {k: v for k, v in asdict(cfg.ingest).items() if k not in untold}
    sources = lineage.source_hashes(outputs.collection_clips(cfg, collection))
    return Job(
        heading=f"Discern evaluation of the collection “{one.name}”",
        target=outputs.collection_report(cfg, collection),
        config=tracked(cfg) | {"ingest": ingest_settings},
        hashes={
            **lineage.hash_stages(outputs.local_stages(cfg, ("deployment", "models")), app.CONF),
            lineage.SOURCES: sources,
        },
        judged_sets=[one],
        absent=[],
        earlier=point,
    )


def other_model(cfg: EvaluateApp, against: str, device: str) -> tuple[Detector, dict[str, str]]:
    """The model to compare with, and the hashes of its files."""
    with revisions.models(against, Path(cfg.paths.models), Path(cfg.paths.work)) as folder:
        hashes = {name: workdir.file_sha256(folder / name) for name in (WEIGHTS, CARD)}
        return Detector.load(folder, device, cfg.factory), hashes


def set_against(one: Job, other: SampleScoring, hashes: dict[str, str]) -> tuple[Job, Examined]:
    """Score the same clips with another model, and compare.

    Args:
        one: what the own model said.
        other: asks the other model.
        hashes: of the files of the other model.
    """
    cfg = other.cfg
    assert cfg.against is not None
    name, collection = storage.name(cfg.against), cfg.collection
    if collection is None:
        found = other.splits(other.packed())
    else:
        found = [other.collection(collection, None)]
    bootstrap = Bootstrap(cfg.num_bootstrap, cfg.confidence, cfg.seed)
    compared = replace(
        one,
        heading=f"{one.heading} against “{name}”",
        target=outputs.compared_report(cfg, cfg.against, one.target),
        config=one.config | {"against": other.detector.sha256},
        hashes=one.hashes | {lineage.OTHER: hashes},
    )
    return compared, model_comparison.examine(one.judged_sets, found, name, bootstrap)
