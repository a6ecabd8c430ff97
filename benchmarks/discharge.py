"""What a discharge is best seen by: layers on frozen features, or a network of pixels.

    python benchmarks/discharge.py --seeds 1,2,3

Needs the packed samples of `dvc repro`. Layers are fitted to what the encoder of conf/embed.yaml
sees in the train clips, two views a clip as the origin has them and eight, and the network of
pixels is trained as conf/train.yaml says, once for each seed. Both are judged by pictures alone,
on clips whose label the eye knows: AUROC of the discharge on recordings that no training saw (split
test), on whole sources that none saw (split unseen) and, trained once more without them, on all
clips of each group of sources. Cells are means over seeds ± half of their 95 % interval (Student's
t) and, in brackets, the mean interval over recordings.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from eyes import Clips, Sample
from leave_one_out import without
from numpy.typing import NDArray
from runs import BATCH, BOOTSTRAP, cell, markdown, training

from pipeline import app
from pipeline.assess.statistics.questions import Question, judge_auroc
from pipeline.detect import scores
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn.origin import Examples, Floats, Layer, fit_layer
from pipeline.store.packed import Packed

VIEWS = (8, 2)
"""Frames from one view of a clip of 16 to the next."""
PENALTY = 2.0
GROUPS = {
    "ViZDoom left out": ("freedoom", "vizdoom"),
    "ray-traced scenes left out": ("bodycam", "cinema", "arcade"),
    "staged before photographs left out": ("location",),
}
PIXELS = "network of pixels"
ORIGIN_OF_ALL = "rendered_weight.origin=1"
"""Without ViZDoom nothing else is fictional, and the origin has no say in a discharge."""
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
        clusters = self.clusters[chosen].astype(np.int64)
        question = Question(self.is_seen[chosen], log_odds[chosen], clusters)
        return judge_auroc(question, BOOTSTRAP).to_json()


def layered(values: Floats, sets: Sets, train: NDArray[np.bool_], balance: float) -> Floats:
    """Log odds (N,) of a layer that was fitted to some of the clips."""
    sources = sets.sources[train]
    odds = Examples(values[train], sets.is_seen[train], sources, np.ones(len(sources))).odds(
        balance
    )
    layer: Layer = fit_layer(values[train], sets.is_seen[train], odds, PENALTY)
    return layer.log_odds(values)


def seen_by_pixels(models: Path, sets: Sets) -> Floats:
    """Log odds (N,) that trained weights give by pictures alone."""
    detector = Detector.load(models)
    found = []
    for first in range(0, len(sets.rows), BATCH):
        rows = sets.rows[first : first + BATCH].tolist()
        clips = np.stack([sets.packed.read(row).frames for row in rows])
        found.append(scores.marginals(detector.predict(clips))[1])
    fired = np.clip(np.concatenate(found), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(fired / (1 - fired)))


def run(arguments: argparse.Namespace) -> None:
    cfg = app.compose("train", *arguments.overrides)
    work = Path(cfg.paths.work, "discharge")
    packed = Packed.open(cfg.paths.packed, work)
    sets = Sets(packed)
    columns: dict[str, tuple[Packed, NDArray[np.bool_], NDArray[np.bool_]]] = {
        title: (packed, sets.splits == "train", sets.splits == split)
        for title, split in (("new recordings", "test"), ("unseen sources", "unseen"))
    }
    for title, group in GROUPS.items():
        fewer = without(packed, group, work / group[0])
        columns[title] = (fewer, (sets.splits == "train") & ~sets.of(group), sets.of(group))
    balance = cfg.source_balance
    by_views = {every: views_of(sets, every, work) for every in VIEWS}
    lines = []
    for every, values in by_views.items():
        told = [
            cell("origin", [sets.judge(layered(values, sets, train, balance), judged)])
            for _, train, judged in columns.values()
        ]
        lines.append([f"layer on {16 // every} views of the frozen encoder", *told])
    seeds = list(map(int, arguments.seeds.split(",")))
    pixels, joined = [], []
    for samples, train, judged in columns.values():
        layer = layered(by_views[min(VIEWS)], sets, train, balance)
        alone, both = [], []
        for seed in seeds:
            settings = [*arguments.overrides, ORIGIN_OF_ALL, f"seed={seed}"]
            models = training(samples, settings, work / "runs").run()
            log_odds = seen_by_pixels(models, sets)
            alone.append(sets.judge(log_odds, judged))
            both.append(sets.judge(log_odds + layer, judged))
            print(f"seed {seed}: {cell('origin', alone[-1:])}", flush=True)
        pixels.append(cell("origin", alone))
        joined.append(cell("origin", both))
    lines += [[PIXELS, *pixels], [f"both, {16 // min(VIEWS)} views", *joined]]
    shown = [
        f"{title} ({int(sets.is_seen[judged].sum())} of {int(judged.sum())} show one)"
        for title, (_, _, judged) in columns.items()
    ]
    print(f"\n{markdown(['', *shown], lines)}")


def views_of(sets: Sets, every: int, work: Path) -> Floats:
    """What the frozen encoder sees of the clips, a view every so many frames: (N, 2F)."""
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
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    try:
        run(parser.parse_intermixed_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
