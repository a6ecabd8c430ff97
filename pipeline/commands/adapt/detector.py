"""The detector that is adapted, what it was trained on, and where the adapted one goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import app
from pipeline.commands.adapt.record import ADAPTED
from pipeline.config import AdaptApp, TrainApp
from pipeline.detect.detector import Detector
from pipeline.detect.overlap import training_samples
from pipeline.errors import UserError
from pipeline.learn.encoders.views import first_view
from pipeline.learn.model_card import CARD
from pipeline.learn.networks.members import MembersNet
from pipeline.learn.networks.origin import OriginNet
from pipeline.store import features, storage, workdir
from pipeline.store.features import Features
from pipeline.store.packed_samples import Packed

_NEEDED: dict[str, type] = {"config": dict, "data": dict, "encoders": list, "metrics": dict}
_JSON: dict[type, str] = {
    **{dict: "an object", list: "a list", str: "text", type(None): "null"},
    **{bool: "true or false", int: "a number", float: "a number"},
}


def origin_of(detector: Detector, models: Path) -> OriginNet:
    """Return what answers on the origin in a detector, which is refitted.

    Raises:
        UserError: there is no such part, the detector was adapted already, or its card lacks what
            adapting needs.
    """
    card, path = detector.card.everything, models / CARD
    factors = detector.network.factors
    if factors is None and isinstance(detector.network, MembersNet):
        raise UserError(f"{path}: joined of several detectors; adapt a single one of them")
    if factors is None:
        raise UserError(
            f"{path}: the network '{detector.card.name}' has no encoder of its own, so "
            "that its answer on the origin cannot be refitted in seconds; embed and train with "
            "one (conf/embed.yaml: pictures.name)"
        )
    if ADAPTED in card:
        _check(card, ADAPTED, dict, path)
        raise UserError(
            f"{models}: adapted already, to “{card[ADAPTED].get('collection')}”; adapt the "
            "weights that train wrote (paths.models=…) to one collection with the files of both"
        )
    for name, kind in _NEEDED.items():
        _check(card, name, kind, path)
    _check(card["data"], "footage", list, path, "data.")
    for row in card["data"]["footage"]:
        _check({"row": row}, "row", dict, path, "data.footage: a ")
    return factors.origin


def settings(detector: Detector, models: Path) -> TrainApp:
    """The settings that the answer on the origin of a detector was fitted with.

    Args:
        detector: one that `origin_of` takes.
        models: its folder.

    Raises:
        UserError: its card lacks one of them, or gives it no possible value.
    """
    config, path = detector.card.config, models / CARD
    for name in ("origin", "rendered_weight"):
        _check(config, name, dict, path, "config.")
    try:
        given = {
            "origin.penalty": config["origin"]["penalty"],
            "origin.use_variants": config["origin"]["use_variants"],
            "rendered_weight.origin": config["rendered_weight"]["origin"],
            "source_balance": config["source_balance"],
        }
    except KeyError as error:
        raise UserError(f"{path}: config lacks {error}; run discern train again") from error
    for key, value in given.items():
        # Text could be a reference that the configuration would follow.
        if not isinstance(value, int | float):
            raise UserError(
                f"{path}: config.{key} is {_JSON[type(value)]}, which it cannot be; "
                "run discern train again"
            )
    try:
        return app.compose("train", *(f"{key}={value}" for key, value in given.items()))
    except UserError as error:
        raise UserError(f"{path}: config: {error}; run discern train again") from error


def training(cfg: AdaptApp, detector: Detector, origin: OriginNet) -> tuple[Packed, Features]:
    """The samples that a detector was trained on, and their features.

    Args:
        cfg: where they are.
        detector: one that `origin_of` takes.
        origin: that of the detector.

    Raises:
        UserError: they are not there, or not those of its training.
    """
    work = Path(cfg.paths.work)
    packed = training_samples(detector, cfg.paths.models, cfg.paths.packed, work, cfg.run.cache_gb)
    found = features.read(cfg.paths.features, packed)
    if found is None:
        raise UserError(f"{cfg.paths.features}: no encoder was asked for; run dvc repro embed")
    same = (
        found.card["architecture"] == origin.encoder.architecture()
        and found.card["provenance"] == detector.card.encoders
        and found.card["pictures"].get("every_frames") == origin.every_frames
        and found.card.get("first_frame") == first_view(origin.every_frames)
    )
    if not same:
        raise UserError(
            f"{cfg.paths.features}: features of another encoder than that of the weights in "
            f"{cfg.paths.models}; run dvc checkout, or dvc repro train"
        )
    return packed, found


def target(cfg: AdaptApp, collection: str) -> Path:
    """The folder that the weights adapted to a collection go to.

    Raises:
        UserError: it holds the weights to adapt, or something else than adapted weights, or
            cannot be made.
    """
    output = workdir.OUTPUTS["adapt"]
    folder = storage.own_folder(Path(cfg.paths.adapted), collection, output.key)
    if folder.resolve() == Path(cfg.paths.models).resolve():
        raise UserError(f"{folder}: holds the weights to adapt; set another paths.adapted")
    workdir.check_replaceable(folder, Path(cfg.paths.work), output)
    return folder


def _check(values: Mapping[str, Any], name: str, kind: type, path: Path, where: str = "") -> None:
    """Raise `UserError` unless a value of a card is there and of a kind of JSON."""
    if name not in values:
        raise UserError(f"{path}: lacks {where}{name}; run discern train again")
    given = values[name]
    if not isinstance(given, kind):
        raise UserError(
            f"{path}: {where}{name} is {_JSON[type(given)]} instead of {_JSON[kind]}; "
            "run discern train again"
        )
