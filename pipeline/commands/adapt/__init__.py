"""Refits the answer on the origin with a team's own files: `python -m pipeline adapt COLLECTION`.

It writes new weights and a report on what they gain; the weights before stay as they were.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from pipeline.assess.page import adaptation
from pipeline.assess.page.plots import write_csv
from pipeline.assess.wording import count
from pipeline.commands.adapt import detector, footage, judgement, layer, record
from pipeline.commands.adapt.footage import CollectionClips
from pipeline.config import AdaptApp, TrainApp
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.data import PackedData
from pipeline.learn.origin import Layer, auroc, origin_weights, seen, training_examples
from pipeline.store import workdir
from pipeline.store.manifest import IS_REAL
from pipeline.store.output_files import LEARNING_CURVE, METRICS, REPORT
from pipeline.system.visible_text import plain

log = logging.getLogger(__name__)


# evaluate.py names a collection so.
_KEY = "collection="
_MOST_CHARACTERS = 200


def run(collection: str, cfg: AdaptApp) -> None:
    """Write weights whose answer on the origin learned from a collection too, and a report.

    Args:
        collection: a folder with an index.csv, or a URL of one.
        cfg: `paths.models`, `paths.packed` and `paths.features` are the detector and what it was
            trained on.

    Raises:
        UserError: a detector without an encoder, or adapted already; samples or features that are
            not those of its training; a collection that gives nothing to learn from; a folder that
            is in use for something else.
    """
    if collection.startswith(_KEY):
        raise UserError(f"{collection}: adapt takes the folder alone: {collection[len(_KEY) :]}")
    work, models = Path(cfg.paths.work), Path(cfg.paths.models)
    adapting = Detector.load(models, trusted_factory=cfg.factory)
    origin = detector.origin_of(adapting, models)
    target = detector.target(cfg, collection)
    settings = detector.settings(adapting, models)
    packed, found = detector.training(cfg, adapting, origin)
    data = PackedData(packed, settings, cfg.run)
    training = training_examples(data, found, settings)
    own = footage.read(cfg, settings, adapting, origin, collection, packed)
    _tell_of(own, settings)

    before = Layer.of(origin)
    reason = judgement.why_no_curve(own, cfg.num_draws, cfg.seed)
    points = []
    if not reason:
        points = judgement.learning_curve(
            training,
            own,
            before,
            settings,
            num_draws=cfg.num_draws,
            seed=cfg.seed,
            num_workers=cfg.run.num_workers,
        )
    chosen = layer.choose(training, own, before, settings, cfg.run.num_workers)
    log.info("adapt: %s", record.outcome(chosen))

    counted = origin_weights(data, settings)[data.val_rows] > 0
    is_real = np.array(IS_REAL)[data.labels[data.val_rows]]
    of_val = chosen.layer.log_odds(seen(found.of(data.val_rows)))
    val_auroc = auroc(of_val[counted], is_real[counted])

    chosen.layer.set_into(origin)
    told = record.metrics(cfg, settings, own, chosen, points, reason)
    left_out = [f"{one.path}: {one.reason}; {one.remedy}" for one in own.rejects]
    left_out += [f"{path}: among the samples of training already" for path in own.known]
    with workdir.replacing(target, work, workdir.OUTPUTS["adapt"]) as folder:
        weights.save(
            folder,
            adapting.network,
            clip=data.packed.format,
            temperature=adapting.card.temperature,
            memory=adapting.card.memory,
            provenance=record.card(cfg, settings, adapting, own, chosen, val_auroc),
        )
        text = json.dumps(told, indent=2, sort_keys=True, allow_nan=False)
        (folder / METRICS).write_text(text + "\n")
        write_csv(folder / LEARNING_CURVE, *record.table(points))
        page = adaptation.render(told, record.files(own, chosen), left_out)
        (folder / REPORT).write_text(page, encoding="utf-8")
    print(target / weights.WEIGHTS)
    print(target / REPORT)


def _tell_of(own: CollectionClips, settings: TrainApp) -> None:
    log.info(
        "adapt: %s of %s from %s",
        count(len(own.clips), "clip"),
        count(len(own.files), "file"),
        count(len(set(own.sources.tolist())), "source"),
    )
    is_real = own.origins == "real"
    for source in np.intersect1d(own.sources[is_real], own.sources[~is_real]):
        log.warning(
            "adapt: source '%s' names real and fictional files; a camera, a game and a film are "
            "sources of their own",
            plain(str(source), _MOST_CHARACTERS),
        )
    for reject in own.rejects:
        log.info("adapt: %s: %s: %s", reject.path, reject.reason, reject.remedy)
    for path in own.known:
        log.info("adapt: %s: among the samples of training already, and left out", path)
    if own.num_rendered:
        weight = settings.rendered_weight.origin
        log.info(
            "adapt: %s that the index says were rendered, counting %s, as in training",
            count(own.num_rendered, "file"),
            f"{weight:g} times as much as others" if weight else "nothing",
        )
