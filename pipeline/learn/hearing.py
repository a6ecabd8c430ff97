"""Fits how much what is heard speaks for a discharge: two numbers beside a frozen network.

The score is that of a network which knows gunshots, and nothing here trains it. Linear layers that
were fitted to rendered sound told sounds of other makers worse (docs/experiments.md).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config import TrainConfig
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.data import PackedData
from pipeline.learn.networks.hearing import HeardNet
from pipeline.learn.origin import auroc, balanced, evened, fit_layer
from pipeline.store import features
from pipeline.store.features import Features
from pipeline.store.manifest import CLASSES, PRESENCES, PRESENT, QUIET

log = logging.getLogger(__name__)

_PENALTY = 1e-3
"""Keeps the scale finite where every discharge scores above everything else."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedHearing:
    """A part that hears, and what it says of val."""

    network: HeardNet
    """What hears, on the CPU."""
    val_ratios: Floats
    """Log likelihood ratios of the samples of val, (N,); 0 of those that have no sound."""
    val_auroc: float | None
    """How well it ranks the samples of val that the ear has a label for."""


def read_sounds(data: PackedData, root: str) -> Features | None:
    """Read what `embed` left in the folder `root` of the sounds of samples.

    None where it was told to take no encoder of sound, and, with a warning, where no sample has any
    sound.

    Raises:
        UserError: a file is missing or not readable, or they are of other samples.
    """
    found = features.read(root, data.packed, features.SOUND)
    if found is None and features.lacks_sound(root):
        log.warning(
            "train: %s: no sample of train or val has sound, so the detector will not hear; give "
            "footage with its sound (sound: on in conf/ingest.yaml), or ask for no encoder of it "
            "(sound.name: none in conf/embed.yaml)",
            data.packed.root,
        )
    return found


def fit_hearing(data: PackedData, sounds: Features, cfg: TrainConfig) -> FittedHearing | None:
    """Fit scale and offset on the windows of train that the ear has a label for.

    Discharges count as much as everything else, so that log odds are a log likelihood ratio, and
    sources by `source_balance`.

    Args:
        data: the samples.
        sounds: features of theirs.
        cfg: its `source_balance`.

    Returns:
        None, with a warning, where train has no window with a discharge that is heard, or none
        without; nothing is heard then.

    Raises:
        UserError: the features were made by another encoder than there is today.
    """
    network = _network(data, sounds)
    index = data.packed.index
    heard = np.array([np.nan if one is None else one for one in index["heard"].to_pylist()], float)
    is_told = (sounds.row_of >= 0) & ~np.isnan(heard)
    is_told &= data.packed.presences == PRESENCES.index(PRESENT)
    train = np.intersect1d(
        data.packed.select(["train"], variants=cfg.use_variants), np.flatnonzero(is_told)
    )
    truth = heard[train] == 1
    if truth.all() or not truth.any():
        log.warning(
            "train: %s: no window of train is known to have a discharge that is heard, or none is "
            "known to have none, so the detector will not hear; %sadd footage with sound "
            "(docs/footage.md)",
            data.packed.root,
            data.find_times(CLASSES),
        )
        return None
    scores = _scores(network, sounds, train)
    groups = np.unique(index["source"].take(train).to_pylist(), return_inverse=True)[1]
    odds = evened(balanced(truth, groups.astype(np.int64), cfg.source_balance), truth)
    layer = fit_layer(scores[:, None], truth, odds, _PENALTY)
    network.scale.fill_(float(layer.weight[0]))
    network.offset.fill_(layer.bias)
    told = np.intersect1d(data.packed.select(["val"], variants=False), np.flatnonzero(is_told))
    log.info(
        "train: hears with %.2f times the score of firearms %+.2f, from %d windows, %d of them "
        "with a discharge",
        *(layer.weight[0], layer.bias, len(train), truth.sum()),
    )
    return FittedHearing(
        network,
        _ratios(network, sounds, data, data.val_rows),
        auroc(_scores(network, sounds, told), heard[told] == 1) if len(told) else None,
    )


def heard_ratios(
    fitted: FittedHearing | None, sounds: Features | None, data: PackedData, rows: NDArray[np.int64]
) -> Floats:
    """Log likelihood ratios of rows of the packed index, (N,); 0 where nothing is heard."""
    if fitted is None or sounds is None:
        return np.zeros(len(rows))
    return _ratios(fitted.network, sounds, data, rows)


def _scores(network: HeardNet, sounds: Features, rows: NDArray[np.int64]) -> Floats:
    values = torch.from_numpy(sounds.of(rows)[:, 0]).double()
    return network.encoder.firearms(values).numpy()


def _ratios(
    network: HeardNet, sounds: Features, data: PackedData, rows: NDArray[np.int64]
) -> Floats:
    """Log likelihood ratios of rows of the packed index, (N,), as the network would hear them."""
    there = sounds.row_of[rows] >= 0
    there &= data.packed.presences[rows] != PRESENCES.index(QUIET)
    found = np.zeros(len(rows))
    scores = torch.from_numpy(_scores(network, sounds, rows[there]))
    found[there] = network.ratio(scores).double().numpy()
    return found


def _network(data: PackedData, sounds: Features) -> HeardNet:
    settings = sounds.card["sound"]
    encoder = encoders.build_sound(settings["name"])
    made = (encoder.provenance(), encoder.architecture())
    if made != tuple(sounds.card.get(key) for key in ("provenance", "architecture")):
        raise UserError(
            f"conf/embed.yaml: sound.name={settings['name']}: its weights are no longer what the "
            "features were made with; run dvc repro embed"
        )
    packed = data.packed
    return HeardNet(
        encoder,
        num_samples=packed.samples.num_sound,
        num_frames=packed.format.num_frames,
        every_frames=settings["every_frames"],
    )
