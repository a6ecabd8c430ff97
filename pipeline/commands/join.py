"""Makes one detector of several: `python -m pipeline join FOLDER FOLDER … out=FOLDER`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.commands.adapt.record import ADAPTED
from pipeline.config import JoinApp
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.model_card import CARD
from pipeline.learn.networks.members import Member, members_net
from pipeline.store import workdir


def run(*folders: str, cfg: JoinApp) -> None:
    """Write weights that answer with the mean of the answers of trained ones.

    Args:
        folders: what `train.py` wrote, from the same samples, with other seeds or settings.
        cfg: `out` is the folder to write, a whole detector.

    Raises:
        UserError: no `out`; weights that cannot be loaded, or take clips of different formats, or
            were trained on different samples; or `out` is in use for something else.
    """
    if cfg.out is None:
        raise UserError("join: no folder to write the joined weights to; give out=<folder>")
    target, work, output = Path(cfg.out), Path(cfg.paths.work), workdir.OUTPUTS["join"]
    workdir.check_replaceable(target, work, output)
    detectors = {
        folder: Detector.load(Path(folder), trusted_factory=cfg.factory) for folder in folders
    }
    for folder, detector in detectors.items():
        _check_trained(detector, Path(folder) / CARD)
    for key in ("preprocessing", "memory", "data"):
        _check_equal(detectors, key)
    cards = [detector.card for detector in detectors.values()]
    members = [
        Member(detector.network, detector.card.temperature) for detector in detectors.values()
    ]
    with workdir.replacing(target, work, output) as models:
        weights.save(
            models,
            members_net(members),
            clip=cards[0].clip,
            # The answers of members are calibrated each before their mean is taken.
            temperature=1.0,
            memory=cards[0].memory,
            provenance={
                # Of the first member; those of all stand under `members`.
                "config": cards[0].config,
                "data": cards[0].everything["data"],
                "encoders": _each_once([row for card in cards for row in card.encoders]),
                "sound_encoders": _each_once(
                    [row for card in cards for row in card.sound_encoders]
                ),
                "members": [
                    {
                        name: card.everything[name]
                        for name in ("weights_sha256", "config", "metrics")
                    }
                    for card in cards
                ],
            },
        )
    print(target / weights.WEIGHTS)


def _check_trained(detector: Detector, path: Path) -> None:
    """Raise `UserError` unless a card tells all that `train.py` does, and nothing of adapting."""
    absent = {"config", "data", "encoders", "metrics"} - detector.card.everything.keys()
    if absent:
        raise UserError(f"{path}: lacks {', '.join(sorted(absent))}; run discern train again")
    if ADAPTED in detector.card.everything:
        raise UserError(f"{path}: adapted weights; join those that train wrote")


def _check_equal(detectors: dict[str, Detector], key: str) -> None:
    """Raise `UserError` where a value differs between the cards of detectors."""
    (first, expected), *others = (
        (folder, detector.card.everything.get(key)) for folder, detector in detectors.items()
    )
    for folder, found in others:
        if found != expected:
            raise UserError(
                f"{Path(folder) / CARD}: {key} differs from that of {first}; join weights "
                "that train learned from the same samples"
            )


def _each_once(rows: list[Any]) -> list[Any]:
    return [row for number, row in enumerate(rows) if row not in rows[:number]]
