"""What a discharge is best seen by: networks of pixels, or layers on frozen features.

    python benchmarks/discharge.py --seeds 1,2,3 --networks flash,mynets:make

Needs the packed samples and the features of `dvc repro`. Networks are trained as conf/train.yaml
says, once for each seed; layers are fitted to what the encoder of conf/embed.yaml sees in the train
clips, in one view of each and in the mean of eight. All are judged by pictures alone, on clips
whose label the eye knows: AUROC of the discharge on recordings that no training saw (split test;
long ones by themselves, test_long), on whole sources that none saw (split unseen) and, trained once
more without them, on all clips of each group of sources; of a collection, by file, where a file is
as sure as its surest clip. Cells are means over seeds ± half of their 95 % interval (Student's t)
and, in brackets, the mean interval over recordings.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from eyes import Clips, Sample
from leave_one_out import without
from numpy.typing import NDArray
from runs import BATCH, BOOTSTRAP, cell, collection_clips, markdown, training

from pipeline import app
from pipeline.assess.statistics.questions import Question, judge_auroc
from pipeline.detect.detector import Detector
from pipeline.detect.scores import Read
from pipeline.errors import UserError
from pipeline.learn.networks.product import ProductNet, discharge_log_odds
from pipeline.learn.origin import Floats, Layer, OriginExamples, fit_layer
from pipeline.store.packed_samples import Packed

VIEWS = (16, 2)
"""Frames from one view of a clip of 16 to the next."""
PENALTY = 2.0
GROUPS = {
    "ViZDoom left out": ("freedoom", "vizdoom"),
    "ray-traced scenes left out": ("bodycam", "cinema", "arcade"),
    "staged before photographs left out": ("location",),
}
ORIGIN_OF_ALL = "rendered_weight.origin=1"
Rows = NDArray[np.int64]


def taught(packed: Packed) -> Rows:
    """Clips of whose pictures it is known whether they show a discharge, variants aside."""
    index = packed.index
    known = [
        number
        for number, (seen, variant) in enumerate(
            zip(index["seen"].to_pylist(), index["variant"].to_pylist(), strict=True)
        )
        if seen is not None and variant is None
    ]
    return np.array(known, np.int64)


class Sets:
    """The clips that are known to show a discharge or none, by what they are asked for."""

    def __init__(self, packed: Packed) -> None:
        self.packed, self.rows = packed, taught(packed)
        columns = packed.index.take(self.rows)
        self.splits = np.array(columns["split"].to_pylist())
        self.sources = np.array(columns["source"].to_pylist())
        self.is_seen = np.array(columns["seen"].to_pylist(), bool)
        self.clusters = np.unique(columns["recording"].to_pylist(), return_inverse=True)[1]

    def of(self, group: tuple[str, ...]) -> NDArray[np.bool_]:
        """(N,) whether they are of a group of sources."""
        return np.array([source.startswith(group) for source in self.sources])

    def judge(self, log_odds: Floats, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        """AUROC of log odds (N,) on the chosen clips."""
        return _judged(self.is_seen[chosen], log_odds[chosen], self.clusters[chosen])


@dataclass(frozen=True)
class Files:
    """The clips of a foreign collection, judged by file."""

    name: str
    num_clips: int
    read: Read
    file_of: NDArray[np.int64]
    """(N,) number of the file of each clip."""
    is_fired: NDArray[np.bool_]
    """(F,)"""
    clusters: NDArray[np.int64]
    """(F,) number of the recording of each file."""

    @classmethod
    def of(cls, collection: str, work: Path) -> Files:
        """Ingest a collection; files of which nothing is known are left out."""
        clips = collection_clips(collection, work)
        rows = {row.path: number for number, row in enumerate(clips.files)}
        recordings = np.unique([row.recording for row in clips.files], return_inverse=True)[1]
        return cls(
            clips.name,
            clips.table.num_rows,
            clips.read,
            np.array([rows[path] for path in clips.table["path"].to_pylist()]),
            np.array([row.discharge for row in clips.files], bool),
            recordings.astype(np.int64),
        )

    def judge(self, log_odds: Floats) -> dict[str, Any]:
        """AUROC of files by the highest log odds of their clips (N,)."""
        highest = np.full(len(self.is_fired), -np.inf)
        np.maximum.at(highest, self.file_of, log_odds)
        known = np.isfinite(highest)
        return _judged(self.is_fired[known], highest[known], self.clusters[known])


def _judged(is_so: NDArray, log_odds: Floats, clusters: NDArray) -> dict[str, Any]:
    numbered = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
    return judge_auroc(Question(is_so, log_odds, numbered), BOOTSTRAP).to_json()


def layered(values: Floats, sets: Sets, train: NDArray[np.bool_], balance: float) -> Floats:
    """Log odds (N,) of a layer that was fitted to some of the clips."""
    sources = sets.sources[train]
    odds = OriginExamples(values[train], sets.is_seen[train], sources, np.ones(len(sources))).odds(
        balance
    )
    layer: Layer = fit_layer(values[train], sets.is_seen[train], odds, PENALTY)
    return layer.log_odds(values)


def seen_by_pixels(models: Path, read: Read, rows: Sequence[int]) -> Floats:
    """Log odds (N,) that the network of pixels of trained weights gives."""
    network = Detector.load(models).network
    assert isinstance(network, ProductNet)
    found = []
    with torch.inference_mode():
        for first in range(0, len(rows), BATCH):
            clips = np.stack([read(row).frames for row in rows[first : first + BATCH]])
            found.append(discharge_log_odds(network.discharge(torch.from_numpy(clips))).numpy())
    return np.concatenate(found).astype(np.float64)


def run(arguments: argparse.Namespace) -> None:
    cfg = app.compose("train", *arguments.overrides)
    work = Path(cfg.paths.work, "discharge")
    packed = Packed.open(cfg.paths.packed, work)
    sets = Sets(packed)
    splits = {
        "new recordings": "test",
        "unseen sources": "unseen",
        "new recordings of minutes": "test_long",
    }
    is_train = sets.splits == "train"
    columns: dict[str, tuple[Packed, NDArray[np.bool_], NDArray[np.bool_]]] = {
        title: (packed, is_train, sets.splits == split)
        for title, split in splits.items()
        if split in sets.splits
    }
    for title, group in GROUPS.items() if arguments.groups else ():
        fewer = without(packed, group, work / group[0])
        columns[title] = (fewer, is_train & ~sets.of(group), sets.of(group))
    foreign = [Files.of(one, work) for one in arguments.collections]
    lines = [
        [name, *_of_network(name, arguments, columns, sets, foreign, work)]
        for name in arguments.networks.split(",")
    ]
    for every in VIEWS if arguments.layers else ():
        values = views_of(sets, every, work)
        told = [
            cell("origin", [sets.judge(layered(values, sets, train, cfg.source_balance), judged)])
            for _, train, judged in columns.values()
        ]
        blanks = [""] * len(foreign)
        of = f"{16 // every} view{'s' * (every < 16)}"
        lines.append([f"layer on {of} of the frozen encoder", *told, *blanks])
    shown = [
        f"{title} ({int(sets.is_seen[judged].sum())} of {int(judged.sum())} show one)"
        for title, (_, _, judged) in columns.items()
    ]
    shown += [f"{one.name}, by file ({int(one.is_fired.sum())})" for one in foreign]
    print(f"\n{markdown(['', *shown], lines)}")


def _of_network(
    name: str,
    arguments: argparse.Namespace,
    columns: dict[str, tuple[Packed, NDArray[np.bool_], NDArray[np.bool_]]],
    sets: Sets,
    foreign: Sequence[Files],
    work: Path,
) -> list[str]:
    """Cells of a network, which is trained once for each seed and each set of train clips."""
    found: dict[str, list[dict[str, Any]]] = {}
    rows = [int(row) for row in sets.rows]
    for seed in map(int, arguments.seeds.split(",")):
        by_models: dict[Path, Floats] = {}
        for title, (samples, _, judged) in columns.items():
            settings = [*arguments.overrides, f"model.name={name}", f"seed={seed}"]
            # Without ViZDoom nothing else is fictional, and the origin has no say here.
            settings += [ORIGIN_OF_ALL] if samples is not sets.packed else []
            models = training(samples, settings, work / "runs").run()
            if models not in by_models:
                by_models[models] = seen_by_pixels(models, sets.packed.read, rows)
            found.setdefault(title, []).append(sets.judge(by_models[models], judged))
        whole = training(
            sets.packed, [*arguments.overrides, f"model.name={name}", f"seed={seed}"], work / "runs"
        ).run()
        for one in foreign:
            log_odds = seen_by_pixels(whole, one.read, range(one.num_clips))
            found.setdefault(one.name, []).append(one.judge(log_odds))
        print(f"{name}, seed {seed}: {[cell('origin', told[-1:]) for told in found.values()]}")
    return [cell("origin", told) for told in found.values()]


def views_of(sets: Sets, every: int, work: Path) -> Floats:
    """What the frozen encoder sees of the clips, a view every so many frames: (N, F)."""
    index = sets.packed.index.take(sets.rows).to_pylist()
    samples = [
        Sample(row["sha256"], row["origin"], row["source"], row["path"], row["rendered"])
        for row in index
    ]
    read = [int(row) for row in sets.rows]
    clips = Clips(samples, lambda number: sets.packed.read(read[number]).frames, work)
    pictures = replace(app.compose("embed").pictures, every_frames=every)
    return clips.seen_by(pictures).values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="1,2,3", metavar="N[,N]")
    parser.add_argument("--networks", default="flash", metavar="NAME[,NAME]")
    parser.add_argument("--collections", nargs="*", default=[], help="foreign ones, by file")
    parser.add_argument("--groups", action="store_true", help="leave groups of sources out too")
    parser.add_argument("--layers", action="store_true", help="on frozen features too")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    try:
        run(parser.parse_intermixed_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
