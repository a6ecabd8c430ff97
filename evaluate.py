"""Say how good the detector is, on the packed test splits or on any footage collection.

`python evaluate.py` writes `reports/`; `python evaluate.py collection=FOLDER` takes every file of
the folder through the same canonical path and writes `reports-collections/<name>/`.
`python evaluate.py against=MODEL` sets another model, a folder or a git revision, beside this one.
"""

from __future__ import annotations

from pipeline.store.output_files import REPORT
from pipeline.system import entry

if __name__ == "__main__":
    entry.begin("evaluate")

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml

from pipeline import app
from pipeline.assess import deployment_report, registry
from pipeline.assess.lineage import write_lineage
from pipeline.assess.oversight.bundle import write_bundle
from pipeline.assess.page import findings
from pipeline.assess.page.contents import Provenance
from pipeline.assess.page.plots import read_csv
from pipeline.assess.page.report import without_pictures
from pipeline.assess.results import write_results
from pipeline.assess.settings import JudgingSettings
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.statistics.summary import Summary, headline
from pipeline.commands.evaluation import jobs, outputs
from pipeline.commands.evaluation.jobs import Job
from pipeline.commands.evaluation.scoring import SampleScoring, check_splits
from pipeline.config import EvaluateApp
from pipeline.detect import answers
from pipeline.detect.detector import Detector
from pipeline.learn.devices import device_of
from pipeline.store import tracking, workdir
from pipeline.store.finished_work import FinishedWork

log = logging.getLogger(__name__)


def run(cfg: EvaluateApp) -> None:
    """Score, examine, and move the results into place.

    What the detector says is kept in the work folder, so that a report on the same scores costs
    seconds.
    """
    # As many batches at once as there are threads, each in one: no answer depends on their number.
    torch.set_num_threads(1)
    registry.check(cfg.suites)
    tracking.check_mode(cfg.run.wandb)
    check_splits(cfg.splits)
    settings = JudgingSettings(
        Bootstrap(cfg.num_bootstrap, cfg.confidence, cfg.seed),
        cfg.num_bins,
        cfg.num_mistakes,
        cfg.previews,
        cfg.operating,
    )
    work, output = Path(cfg.paths.work), outputs.report_output(cfg)
    workdir.check_replaceable(outputs.report_folder(cfg), work, output)
    known = deployment_report.read(Path(cfg.paths.deployment))
    device = device_of(cfg.run)
    detector = Detector.load(Path(cfg.paths.models), device, cfg.factory)
    other = None if cfg.against is None else jobs.other_model(cfg, cfg.against, device)

    with FinishedWork(work, answers.STAGE) as kept:
        scoring = SampleScoring.begin(cfg, detector, kept)
        job = jobs.job(scoring)
        evidence = job.evidence(scoring, settings, known)
        found = registry.examine(evidence, cfg.suites)
        if other is not None:
            model, hashes = other
            job, compared = jobs.set_against(job, SampleScoring.begin(cfg, model, kept), hashes)
            found.insert(0, compared)
        kept.trim(cfg.run.keep_gb)

    provenance = Provenance(
        config=yaml.safe_dump(job.config, sort_keys=False),
        model_card=detector.card.text().rstrip(),
        learned=findings.learned_from(
            detector.card.encoders, detector.card.footage, detector.card.sound_encoders
        ),
        data_sha256={one.name: one.data_sha256 for one in [*job.judged_sets, *job.long.values()]},
        weights_sha256=detector.sha256,
    )
    with workdir.replacing(job.target, work, output) as folder:
        write_results(folder, job.heading, evidence, job.absent, found, provenance)
        if "data" in cfg.suites:
            write_bundle(
                folder,
                heading=job.heading,
                unit=job.judged_sets[0].unit,
                sections={one.name: one.section for one in found},
                metrics=evidence.summaries,
                card=detector.card,
                config=job.config,
                data=evidence.facts,
                clip=evidence.clip,
                hashes=job.hashes,
            )
        root = write_lineage(folder, job.hashes)
    for name, summary in evidence.summaries.items():
        log.info("evaluate: %s: %s", name, json.dumps(as_json(summary.shooting)))
    for one in found:
        for verdict in one.section.verdicts:
            log.info("evaluate: %s: %s: %s", one.name, verdict.state, verdict.says)
    record(cfg, job, detector, evidence.summaries)
    log.info("evaluate: wrote %s; its root is %s", job.target / REPORT, root)


def record(
    cfg: EvaluateApp, job: Job, detector: Detector, summaries: Mapping[str, Summary]
) -> None:
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
            for part, found in summaries.items()
            for name, value in headline(found).items()
            if value is not None
        },
        curves={
            f"{one.name}.{name}": read_csv(job.target / "plots" / one.name / f"{name}.csv")
            for one in job.judged_sets
            for name in ("roc", "precision_recall")
        },
        page=without_pictures((job.target / REPORT).read_text(encoding="utf-8")),
    )


main = app.stage("evaluate", writes=outputs.in_charge_of)(run)

if __name__ == "__main__":
    main()
