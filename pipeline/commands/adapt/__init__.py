"""Refits the answer on the origin with a team's own files: `python -m pipeline adapt COLLECTION`.

It writes new weights and a report on what they gain; the weights before stay as they were.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from pipeline import app, features, storage, workdir
from pipeline.assess import adapted
from pipeline.assess.plots import write_csv
from pipeline.commands.adapt import footage, judgement, record
from pipeline.commands.adapt.footage import Own
from pipeline.commands.adapt.record import ADAPTED
from pipeline.config import AdaptApp, TrainApp
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.data import PackedData
from pipeline.learn.losses import IS_REAL
from pipeline.learn.networks.eyes import Eyes
from pipeline.learn.networks.product import ProductNet
from pipeline.learn.origin import (
    Layer,
    auroc,
    fit_calibrated,
    origin_weights,
    seen,
    training_examples,
)
from pipeline.learn.weights import Detector
from pipeline.packed import INDEX, Packed

log = logging.getLogger(__name__)

REPORT, CURVE, METRICS = "report.html", "learning_curve.csv", "metrics.json"


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
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    work, models = Path(cfg.paths.work), Path(cfg.paths.models)
    detector = weights.load(models, trusted_factory=cfg.factory)
    network = _product(detector, models)
    target = _target(cfg, collection, models)
    settings = _settings(detector, models)
    data, found = _training(cfg, settings, detector, network.eyes)
    training = training_examples(data, found, settings)
    own = footage.read(cfg, detector, network.eyes, collection, work)
    _tell_of(own)

    before = Layer.of(network.eyes)
    layer, scale = fit_calibrated(training.joined(own.examples), settings)
    reason = judgement.why_no_curve(own)
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
    was = own.by_file(before.log_odds(own.examples.values))
    now = scale * judgement.left_out_once(training, own, settings, cfg.run.num_workers)

    counted = origin_weights(data, settings)[data.val_rows] > 0
    is_real = np.array(IS_REAL)[data.labels[data.val_rows]]
    of_val = layer.log_odds(seen(found.of(data.val_rows)))
    val_auroc = auroc(of_val[counted], is_real[counted])

    layer.set_into(network.eyes)
    told = record.metrics(cfg, own, was, now, points, reason)
    rejects = [f"{one.path}: {one.reason}; {one.remedy}" for one in own.rejects]
    with workdir.replacing(target, work) as folder:
        weights.save(
            folder,
            network.state_dict(),
            network.architecture(),
            clip=data.packed.format,
            temperature=detector.card["temperature"],
            provenance=record.card(cfg, detector, own, val_auroc),
        )
        (folder / METRICS).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
        write_csv(folder / CURVE, *record.table(points))
        page = adapted.render(told, record.files(own, was, now), rejects)
        (folder / REPORT).write_text(page, encoding="utf-8")
    print(target / weights.WEIGHTS)
    print(target / REPORT)


def _product(detector: Detector, models: Path) -> ProductNet:
    network = detector.network
    if not isinstance(network, ProductNet):
        raise UserError(
            f"{models / weights.CARD}: the network '{detector.card['architecture']['name']}' has "
            "no encoder, so that its answer on the origin cannot be refitted in seconds; embed and "
            "train with one (conf/embed.yaml: pictures.name)"
        )
    if ADAPTED in detector.card:
        raise UserError(
            f"{models}: adapted already, to “{detector.card[ADAPTED]['collection']}”; adapt the "
            "weights that train.py wrote (paths.models=…) to one collection with the files of both"
        )
    return network


def _target(cfg: AdaptApp, collection: str, models: Path) -> Path:
    target = storage.own_folder(Path(cfg.paths.adapted), collection)
    if target.resolve() == models.resolve():
        raise UserError(f"{target}: holds the weights to adapt; set another paths.adapted")
    if target.exists():
        try:
            is_ours = ADAPTED in json.loads((target / weights.CARD).read_text())
        except (OSError, ValueError):
            is_ours = False
        if not is_ours:
            raise UserError(
                f"{target}: exists and holds no adapted weights; set another paths.adapted"
            )
    return target


def _settings(detector: Detector, models: Path) -> TrainApp:
    """The settings that the detector's answer on the origin was fitted with."""
    config = detector.card.get("config", {})
    try:
        given = {
            "origin.penalty": config["origin"]["penalty"],
            "origin.use_variants": config["origin"]["use_variants"],
            "rendered_weight.origin": config["rendered_weight"]["origin"],
            "source_balance": config["source_balance"],
        }
    except KeyError as error:
        raise UserError(
            f"{models / weights.CARD}: config lacks {error}; run train.py again"
        ) from error
    return app.compose("train", *(f"{key}={value}" for key, value in given.items()))


def _training(
    cfg: AdaptApp, settings: TrainApp, detector: Detector, eyes: Eyes
) -> tuple[PackedData, features.Features]:
    """The samples that the detector was trained on, and their features."""
    work = Path(cfg.paths.work)
    packed = Packed.open(cfg.paths.packed, work, cfg.run.cache_gb)
    if detector.card.get("data", {}).get("sha256") != {INDEX: packed.index_sha256}:
        raise UserError(
            f"{cfg.paths.packed}: not the samples that the weights in {cfg.paths.models} were "
            "trained on; run dvc checkout, or train again"
        )
    found = features.read(cfg.paths.features, packed, work)
    if found is None:
        raise UserError(f"{cfg.paths.features}: no encoder was asked for; run dvc repro embed")
    same = (
        found.card["architecture"] == eyes.encoder.architecture()
        and found.card["provenance"] in detector.card.get("encoders", [])
        and found.card["pictures"]["every_frames"] == eyes.every_frames
    )
    if not same:
        raise UserError(
            f"{cfg.paths.features}: features of another encoder than that of the weights in "
            f"{cfg.paths.models}; run dvc checkout, or dvc repro train"
        )
    return PackedData(packed, settings, cfg.run), found


def _tell_of(own: Own) -> None:
    log.info(
        "adapt: %d clips of %d files from %d sources",
        len(own.clips),
        len(own.files),
        len(set(own.sources.tolist())),
    )
    for reject in own.rejects:
        log.info("adapt: %s: %s: %s", reject.path, reject.reason, reject.remedy)
    if own.num_rendered:
        log.info("adapt: %d files were rendered, and are left out", own.num_rendered)
