"""What files are worth that are known to show a discharge, and not when (bags of `train.py`).

    python benchmarks/weak_labels.py --out docs/results/benchmarks/weak_labels.json

Needs the clips, the splits, the packed samples and the work folder of `dvc repro`. Of the
recordings of train with a discharge, some lose the times of all their files, so that nobody knows
which windows show it; the same recordings for all ways, and more of them hold the fewer. A file
that is as long as a window keeps its label, as it does in an index without times. The network of
pixels and what hears are then fitted for each seed with all times; without these files' windows;
with their windows as bags; and, if asked for, with every window of theirs called a discharge. What
each tells of the discharge on splits that keep all times is the area under the curve by pictures
alone, where the eye has a label, and with sound; means over seeds, with intervals over the sources
of a split (bootstrap). Beside them stands the share of the loss, from all times to dropped windows,
that a way wins back.

`--among N` adds to each bag N windows of long recordings that show nothing, of the same origin, so
that few of the bag's windows show what its file does: a file of N more seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from runs import BATCH, CONFIDENCE, markdown, training

from pipeline import app
from pipeline.config import Paths
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn.networks.product import ProductNet
from pipeline.numbers import metrics
from pipeline.stages import embed, pack
from pipeline.store import features, manifest
from pipeline.store.manifest import Clip, File
from pipeline.store.packed import INDEX, INDEX_SCHEMA, Packed

ALL, DROPPED, BAGS, NAIVE = "all times", "windows dropped", "bags", "every window a discharge"
NUM_RESAMPLES = 2000
MOST_QUIET = 250
"""Windows that show nothing, more or less: their embedding takes longest."""
Floats = NDArray[np.float64]
Aurocs = dict[tuple[str, str], Floats]
"""By split and by what answers: (1 + resamples,), the first of the split as it is."""


@dataclass(frozen=True)
class Weak:
    """Samples of train and val, packed and embedded once, and which of them may lose their times.

    Attributes:
        packed: the samples, with the windows of train whose label is only known to be unknown.
        features: the folder of what encoders find in them.
        recordings: of train, with a discharge, in order.
        weak_files: of these, which have no label without times, as (collection, path).
        quiet: rows of windows of long recordings, which show nothing.
    """

    packed: Packed
    features: Path
    recordings: Sequence[str]
    weak_files: frozenset[tuple[str, str]]
    quiet: frozenset[str]

    def without_times(self, share: float, seed: int) -> frozenset[str]:
        """A share of the recordings; of one seed, a smaller share is a part of a larger one."""
        order = np.random.default_rng(seed).permutation(len(self.recordings))
        return frozenset(self.recordings[n] for n in order[: round(share * len(order))])

    def rows(self, way: str, lost: frozenset[str], among: int, seed: int) -> Iterator[dict]:
        """Rows of the index of what a way learns from."""
        index = self.packed.index.to_pylist()
        quiet = _Quiet([row for row in index if row["sample_id"] in self.quiet], seed)
        for _, of_file in _by_file(row for row in index if row["sample_id"] not in self.quiet):
            first = of_file[0]
            name = first["collection"], first["path"]
            if first["recording"] not in lost or name not in self.weak_files:
                # What has no label with its times serves nothing.
                yield from (row for row in of_file if not _is_unknown(row))
            elif way == BAGS:
                more = quiet.draw(first, among)
                yield from (_changed(row, first, None) for row in [*of_file, *more])
            elif way == NAIVE:
                more = quiet.draw(first, among)
                yield from (_changed(row, first, 1) for row in [*of_file, *more])


class _Quiet:
    """Windows that show nothing, each drawn once before any is drawn again."""

    def __init__(self, rows: Sequence[dict], seed: int) -> None:
        self.rows: dict[str, list[dict]] = {}
        for row in rows:
            self.rows.setdefault(row["origin"], []).append(row)
        self.rng = np.random.default_rng([seed, 1])
        self.left: dict[str, list[dict]] = {}

    def draw(self, like: Mapping, number: int) -> list[dict]:
        found = []
        for _ in range(number):
            left = self.left.setdefault(like["origin"], [])
            if not left:
                rows = self.rows[like["origin"]]
                left += [rows[n] for n in self.rng.permutation(len(rows))]
            row = left.pop()
            count = f"{like['sample_id']}-{len(found)}"
            found.append(row | {"sample_id": count, "clip_id": count})
        return found


def _by_file(rows: Iterator[dict]) -> list[tuple[tuple[str, str], list[dict]]]:
    files: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        files.setdefault((row["collection"], row["path"]), []).append(row)
    return list(files.items())


def _is_unknown(row: Mapping) -> bool:
    return row["split"] == "train" and row["discharge"] == 1 and row["seen"] == row["heard"] is None


def _changed(row: dict, like: Mapping, label: int | None) -> dict:
    """A window of a file with a discharge, with another label, as if its times were not known."""
    names = ("collection", "path", "source", "recording", "cluster", "split")
    heard = None if label is None or row["sound_size"] == 0 else label
    return (
        row
        | {name: like[name] for name in names}
        | {
            "discharge": 1,
            "seen": label,
            "heard": heard,
        }
    )


def prepare(cfg_paths: Paths, work: Path, among: int) -> Weak:
    """Pack and embed train, all of its windows, val, and if asked for what shows nothing."""
    clips = Path(cfg_paths.clips)
    files = {
        (file.collection, file.path): file
        for file in manifest.read_rows(clips / manifest.FILES, File)
    }
    rows = list(manifest.read_rows(Path(cfg_paths.splits) / manifest.MANIFEST, Clip))
    of_train = {clip.recording for clip in rows if clip.split == "train"}
    served, quiet, fired = [], [], {}
    for clip in rows:
        name = clip.collection, clip.path
        file = files[name]
        is_fired = file.discharges_s != "[]" or file.heard_s != "[]" or clip.discharge is True
        if clip.recording in of_train and is_fired:
            fired[name] = clip.recording
        if clip.split == "val" or (clip.split == "train" and clip.discharge is not None):
            served.append(clip)
        elif clip.split == "test_long" and clip.discharge is False and among:
            quiet.append(clip)
        elif clip.recording in of_train and clip.unused in _EDGES:
            served.append(replace(clip, split="train", unused=None))
    served += quiet[:: max(1, len(quiet) // MOST_QUIET)]
    form = manifest.read_format(clips)
    window_s, frame_s = form.num_frames / form.fps, 1 / form.fps
    weak = {name for name in fired if files[name].duration_s - window_s >= 2 * frame_s}
    splits, augmented = work / "splits", work / "augmented"
    for folder, table in ((splits, served), (augmented, [])):
        folder.mkdir(parents=True, exist_ok=True)
        manifest.write_rows(folder / manifest.MANIFEST, Clip, table)
    places = {
        "splits": splits,
        "augmented": augmented,
        "packed": work / "packed",
        "features": work / "features",
    }
    told = [f"paths.{key}={value}" for key, value in places.items()]
    told += [f"paths.clips={clips}", f"paths.work={cfg_paths.work}", "run.executor=serial"]
    pack.run(app.compose("pack", *told))
    # What is quiet only goes into bags, which are embedded; long recordings are not.
    _relabel_quiet(work / "packed" / INDEX)
    # The origin, which nothing here judges, is told from small pictures in little time.
    embed.run(app.compose("embed", *told, "pictures.size=28"))
    packed = Packed.open(str(work / "packed"), work)
    apart = frozenset(clip.clip_id for clip in served if clip.split == "test_long")
    return Weak(packed, work / "features", sorted(set(fired.values())), frozenset(weak), apart)


_EDGES = ("discharge_at_edge", "discharge_only_heard")


def _relabel_quiet(index: Path) -> None:
    table = pq.read_table(index)
    rows = [
        row | {"split": "train", "discharge": 1, "seen": None, "heard": None}
        if row["split"] == "test_long"
        else row
        for row in table.to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows, INDEX_SCHEMA), index)


def write_way(weak: Weak, rows: Sequence[dict], folder: Path) -> tuple[Path, Path]:
    """A packed folder and one of features that hold some rows, and share the bytes of samples."""
    shutil.rmtree(folder, ignore_errors=True)
    packed, found = folder / "packed", folder / "features"
    packed.mkdir(parents=True)
    found.mkdir()
    for source, target in ((Path(weak.packed.root), packed), (weak.features, found)):
        for path in source.iterdir():
            if path.suffix in (".raw", ".npy", ".json", ".tar"):
                os.link(path, target / path.name)
    pq.write_table(pa.Table.from_pylist(list(rows), INDEX_SCHEMA), packed / INDEX)
    for kind in (features.PICTURES, features.SOUND):
        at = {row["sha256"]: row for row in pq.read_table(weak.features / kind.index).to_pylist()}
        table = [
            at[row[kind.sha256]] | {"sample_id": row["sample_id"]}
            for row in rows
            if row[kind.sha256] is not None
        ]
        pq.write_table(pa.Table.from_pylist(table, features.INDEX_SCHEMA), found / kind.index)
    return packed, found


class Judge:
    """Judges what detectors tell of the discharge on clips whose times are all known."""

    def __init__(self, packed: Packed, splits: Sequence[str]) -> None:
        self.packed = packed
        self.rows = packed.select(splits, variants=False)
        index = packed.index.take(self.rows)
        self.splits = np.array(index["split"].to_pylist())
        self.truth = np.array(index["discharge"].to_pylist()) == 1
        self.is_seen = index["seen"].is_valid().to_numpy(zero_copy_only=False)
        self.sources = np.array(index["source"].to_pylist())
        self._firearms: Floats | None = None

    def aurocs(self, models: Path) -> Aurocs:
        """What a detector is worth, by split, and by pictures or with sound."""
        network = Detector.load(models).network
        assert isinstance(network, ProductNet)
        seen, heard = [], []
        with torch.inference_mode():
            for first in range(0, len(self.rows), BATCH):
                some = self.rows[first : first + BATCH].tolist()
                samples = [self.packed.read(row) for row in some]
                frames, sounds = (
                    torch.from_numpy(np.stack([getattr(one, name) for one in samples]))
                    for name in ("frames", "sound")
                )
                # Bounded answers would tie.
                bound, network.most_seen = network.most_seen, None
                alone = network.seen(network.discharge(frames)).double()
                network.most_seen = bound
                seen.append(alone.numpy())
                if network.hearing is not None:
                    alone = alone if bound is None else alone.clamp(-bound, bound)
                    heard.append((alone + network.hearing(sounds)).numpy())
                else:
                    heard.append(alone.numpy())
        answers = {"pictures": np.concatenate(seen), "with sound": np.concatenate(heard)}
        found = {}
        for split in np.unique(self.splits).tolist():
            for name, odds in answers.items():
                here = self.splits == split
                if name == "pictures":
                    here &= self.is_seen
                found[split, name] = self._resampled(odds[here], here)
        return found

    def _resampled(self, odds: Floats, here: NDArray[np.bool_]) -> Floats:
        names, source = np.unique(self.sources[here], return_inverse=True)
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), NUM_RESAMPLES)
        weights = np.concatenate([np.ones((1, len(names))), drawn])[:, source]
        return metrics.auroc(metrics.Ranking(self.truth[here], odds).counts(weights))


def cell(values: Floats) -> str:
    """The value, with its interval over sources."""
    low, high = np.nanquantile(values[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return f"{values[0]:.3f} ({low:.3f} to {high:.3f})"


def run(arguments: argparse.Namespace) -> None:
    cfg = app.compose("train", *arguments.overrides)
    work = Path(cfg.paths.work, f"weak_labels-{arguments.among}")
    weak = prepare(cfg.paths, work, arguments.among)
    judge = Judge(Packed.open(cfg.paths.packed, work), arguments.splits.split(","))
    seeds = [int(one) for one in arguments.seeds.split(",")]
    shares = [float(one) for one in arguments.shares.split(",")]
    ways = [(ALL, 0.0)] + [(way, share) for share in shares for way in arguments.ways.split(",")]
    found: dict[tuple[str, float], list[Aurocs]] = {}
    for seed in seeds:
        for way, share in ways:
            lost = weak.without_times(share, seed)
            among = arguments.among if way in (BAGS, NAIVE) else 0
            rows = list(weak.rows(way, lost, among, seed))
            folder = work / f"{way.replace(' ', '-')}-{share:g}-{among}-{seed}"
            packed, known = write_way(weak, rows, folder)
            told = [*arguments.overrides, f"seed={seed}", f"paths.features={known}"]
            models = training(Packed.open(packed, work), told, work / "runs").run()
            one = judge.aurocs(models)
            found.setdefault((way, share), []).append(one)
            values = ", ".join(f"{' '.join(key)} {value[0]:.3f}" for key, value in one.items())
            print(f"seed {seed}, {share:.0%} without times, {way}: {values}", flush=True)
    means = {
        key: {name: np.mean([one[name] for one in all_], axis=0) for name in all_[0]}
        for key, all_ in found.items()
    }
    columns = ["without times", "way", *(", ".join(name) for name in next(iter(means.values())))]
    lines: list[list[Cell]] = []
    for (way, share), values in means.items():
        lines.append([f"{share:.0%}", way, *map(cell, values.values())])
    shown: list[list[Cell]] = []
    for (way, share), values in means.items():
        if way in (ALL, DROPPED) or (DROPPED, share) not in means:
            continue
        best, worst = means[ALL, 0.0], means[DROPPED, share]
        shown.append(
            [
                f"{share:.0%}",
                way,
                *(_recovered(best[name][0], worst[name][0], values[name][0]) for name in values),
            ]
        )
    print(markdown(columns, [[str(one) for one in line] for line in lines]))
    print(markdown(columns, [[str(one) for one in line] for line in shown]))
    if arguments.out:
        setting = (
            f"Default draw, {len(weak.recordings)} recordings of train with a discharge, "
            f"{len(weak.weak_files)} files that have no label without times; seeds "
            f"{arguments.seeds}; {arguments.among} windows that show nothing beside those of each "
            "bag. AUROC of the discharge, mean over seeds, 95 % interval over sources."
        )
        tables = [
            Table("Files that show a discharge nobody knows when", columns, lines),
            Table("Share of the loss that is recovered", columns, shown),
        ]
        write(Path(arguments.out), Outcome(Path(__file__).name, setting, tables))


def _recovered(best: float, worst: float, value: float) -> str:
    lost = best - worst
    return "nothing lost" if lost <= 0 else f"{(value - worst) / lost:.0%} of {lost:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="1,2,3", metavar="N[,N]")
    parser.add_argument("--shares", default="0.1,0.5,0.9", metavar="X[,X]")
    parser.add_argument("--ways", default=f"{DROPPED},{BAGS}", metavar="WAY[,WAY]")
    parser.add_argument("--splits", default="test,unseen", metavar="SPLIT[,SPLIT]")
    parser.add_argument("--among", type=int, default=0, metavar="N")
    parser.add_argument("--out", metavar="FILE")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    try:
        run(parser.parse_intermixed_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
