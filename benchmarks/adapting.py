"""What `adapt` does to a detector: many simulated teams, judged on files that they did not bring.

    python benchmarks/adapting.py ../shared/footage ../shared/footage_diverse --draws 20

A team draws files from a collection, source by source, until it has so many: of both sides in
halves, or of one alone. The detector is adapted to them as `adapt` does, and judged by file on the
sources of that collection that gave none, and on all of the other collections. Every cell is a
mean over draws of the change from the detector as it was, with the least and the most, and how
many draws got worse. "New layers" are those that adapt would write if it always took them, with
each clip counting so many times one of training; "as chosen" are what it writes. With
`--without photograph-` the detector has first to forget the sources whose names begin so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from runs import markdown
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from pipeline import app
from pipeline.commands.adapt import detector, footage, layer
from pipeline.commands.adapt.footage import CollectionClips
from pipeline.config import AdaptApp, TrainApp
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import origin
from pipeline.learn.data import PackedData
from pipeline.learn.origin import Floats, Layer, OriginExamples

SIZES = (4, 8, 16, 32)
SIDES = {"both": (0.5, 0.5), "real": (1.0, 0.0), "fictional": (0.0, 1.0)}
WEIGHTS = (3.0, 1.0, 0.3, 0.1)
FEWEST_REAL, FEWEST_FICTIONAL = 3, 2
"""Files that have to be left for judging."""


@dataclass(frozen=True)
class Team:
    """One draw."""

    collection: str
    sides: str
    size: int
    number: int


@dataclass(frozen=True)
class World:
    """What every draw is made from."""

    training: OriginExamples
    before: Layer
    cfg: TrainApp
    collections: Mapping[str, CollectionClips]


def some(own: CollectionClips, files: NDArray[np.int64], weight: float) -> CollectionClips:
    """A collection of some of the files, each clip of which counts so much."""
    clips = np.isin(own.file_of, files)
    taken = own.examples.take(clips)
    return replace(
        own,
        files=[own.files[number] for number in files],
        clips=[clip for clip, is_in in zip(own.clips, clips, strict=True) if is_in],
        file_of=np.searchsorted(files, own.file_of[clips]),
        examples=replace(taken, weights=np.full(int(clips.sum()), weight)),
    )


def drawn(own: CollectionClips, team: Team) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Numbers of the files that a team brings, and of those that judge; None of too few."""
    rng = np.random.default_rng([team.size, team.number, list(SIDES).index(team.sides)])
    is_real, sources = own.origins == "real", own.sources
    for _ in range(1000):
        found: list[int] = []
        for answer, part in zip((True, False), SIDES[team.sides], strict=True):
            files: list[int] = []
            for name in rng.permutation(np.unique(sources[is_real == answer])):
                files += rng.permutation(np.flatnonzero(sources == name)).tolist()
            if len(files) < part * team.size:
                return None
            found += files[: int(part * team.size)]
        left = np.flatnonzero(~np.isin(sources, sources[found]))
        if is_real[left].sum() >= FEWEST_REAL and (~is_real[left]).sum() >= FEWEST_FICTIONAL:
            return np.sort(found), left
    return None


def judged(answer: Layer, own: CollectionClips, files: NDArray[np.int64]) -> Floats:
    """AUROC, log loss with real and fictional alike, and what P(real) takes wrongly of either."""
    log_odds = own.by_file(answer.log_odds(own.examples.values))[files]
    is_real = (own.origins == "real")[files]
    loss = np.logaddexp(0, np.where(is_real, -log_odds, log_odds))
    wrong = [((log_odds > 0) != is_real)[side].mean() for side in (is_real, ~is_real)]
    balanced = (loss[is_real].mean() + loss[~is_real].mean()) / 2
    return np.array([roc_auc_score(is_real, log_odds), balanced, *wrong])


def measure(made: World, team: Team) -> dict[tuple[str, str], Floats]:
    """Judged by the kind of layers and by where; empty where a draw is impossible."""
    own = made.collections[team.collection]
    if (found := drawn(own, team)) is None:
        return {}
    files, left = found
    told = {}
    with threadpool_limits(1):
        brought = some(own, files, AdaptApp.weight)
        taken = layer.choose(made.training, brought, made.before, made.cfg, num_workers=1)
        answers = {"before": made.before, "as chosen": taken.layer}
        for weight in WEIGHTS:
            examples = some(own, files, weight).examples
            new = layer.refitted(made.training, examples, made.cfg)
            assert new is not None
            answers[f"new, {weight:g}"] = new
    for what, answer in answers.items():
        for name, other in made.collections.items():
            is_own = name == team.collection
            judges = left if is_own else np.arange(len(other.files))
            told[what, "sources not drawn" if is_own else name] = judged(answer, other, judges)
    told["is_new", ""] = np.array([taken.is_new])
    return told


def world(arguments: argparse.Namespace) -> World:
    cfg = app.compose("adapt")
    assert isinstance(cfg, AdaptApp)
    models = Path(cfg.paths.models)
    adapting = Detector.load(models)
    network = detector.origin_of(adapting, models)
    settings = detector.settings(adapting, models)
    packed, features = detector.training(cfg, adapting, network)
    data = PackedData(packed, settings, cfg.run)
    training, before = origin.training_examples(data, features, settings), Layer.of(network)
    places = [str(place) for place in arguments.collections]
    found = [footage.read(cfg, settings, adapting, network, one, packed) for one in places]
    if arguments.without:
        training = training.take(~np.char.startswith(training.sources, arguments.without))
        before = origin.fit_calibrated(training, settings)
    return World(training, before, settings, {one.name: one for one in found})


def cell(values: NDArray[np.float64], is_worse: NDArray[np.bool_]) -> str:
    worse = f"{is_worse.sum()} of {len(values)}"
    return f"{values.mean():+.3f} ({values.min():+.3f} to {values.max():+.3f}), {worse}"


def run(arguments: argparse.Namespace) -> None:
    made = world(arguments)
    of_each = product(made.collections, arguments.sides.split(","), SIZES, range(arguments.draws))
    teams = [Team(*one) for one in of_each]
    with ProcessPoolExecutor(made.cfg.run.num_workers) as pool:
        told = dict(zip(teams, pool.map(partial(measure, made), teams), strict=True))
    rows = []
    for group in dict.fromkeys((one.collection, one.sides, one.size) for one in teams):
        own = [one for one in teams if group == (one.collection, one.sides, one.size)]
        of_group = [told[one] for one in own if told[one]]
        for what, where in of_group[0] if of_group else ():
            if what in ("before", "is_new"):
                continue
            was, now = (np.array([t[name, where] for t in of_group]) for name in ("before", what))
            change = now - was
            taken = f"{sum(t['is_new', ''][0] for t in of_group)} times new"
            rows.append(
                [
                    f"{group[2]} of {group[0]}, {group[1]}",
                    taken if what == "as chosen" else what,
                    where,
                    f"{was[:, 0].mean():.3f}",
                    cell(change[:, 0], change[:, 0] < 0),
                    cell(change[:, 1], change[:, 1] > 0),
                    *(f"{one[:, 2].mean():.0%}, {one[:, 3].mean():.0%}" for one in (was, now)),
                ]
            )
    header = ["files", "layers", "judged on", "AUROC before", "change, draws that got worse"]
    header += ["change of log loss, worse", "taken wrongly before: real, fictional", "after"]
    print(markdown(header, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("collections", nargs="+", type=Path, metavar="COLLECTION")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--sides", default=",".join(SIDES), metavar="SIDES[,SIDES]")
    parser.add_argument("--without", default="", help="sources that the detector has to forget")
    try:
        run(parser.parse_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
