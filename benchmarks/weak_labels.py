"""What files are worth that are known to show a discharge, and not when (bags of `train.py`).

    python benchmarks/weak_labels.py --out docs/results/benchmarks/weak_labels.json

Needs the clips, the splits and the packed samples of `dvc repro`. Of the recordings of train with a
discharge, some lose the times of all their files, so that nobody knows which windows show it; the
same recordings for all ways, and more of them hold the fewer. A file that is as long as a window
keeps its label, as it does in an index without times. The network `flash` and what hears are then
fitted for each seed with all times; without these files' windows; with their windows as bags; and
with every window of theirs called a discharge. Val keeps its times, and chooses the epoch.

What `flash` measures in a window hangs on no weight, so it is measured once in each window as it
is and in altered copies of it, of which a training draws; all else is as in `train.py`, in a
second instead of minutes. What a training tells of the discharge on splits that keep all times is
the area under the curve by pictures alone, where the eye has a label, and with sound; means over
seeds, with intervals over the sources of a split (bootstrap). Beside them stands the share of the
loss, from all times to dropped windows, that a way wins back.

`--among N` adds to each file without times N windows of long recordings of the same origin that
show nothing, as if somebody fired once in a file that goes on for longer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from runs import BATCH, CONFIDENCE, markdown

from pipeline import app
from pipeline.config import Paths, TrainApp
from pipeline.errors import UserError
from pipeline.learn import networks
from pipeline.learn.calibration import fit_temperature
from pipeline.learn.classifier import discharge_logits, judge
from pipeline.learn.data import PackedData
from pipeline.learn.encoders.waves import features_of_sounds
from pipeline.learn.hearing import fit_hearing, heard_ratios, read_sounds
from pipeline.learn.losses import discharge_loss
from pipeline.learn.networks.base import Network
from pipeline.learn.networks.flash import FlashNet
from pipeline.learn.networks.hearing import HeardNet, is_usable
from pipeline.learn.networks.product import discharge_log_odds
from pipeline.learn.ondevice import alter
from pipeline.learn.optimiser import adamw, schedule
from pipeline.learn.selection import History
from pipeline.numbers import metrics
from pipeline.stages import embed, pack
from pipeline.store import features, manifest, workdir
from pipeline.store.manifest import IS_DISCHARGE, Clip, File
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA, Packed

ALL, DROPPED, BAGS, NAIVE = "all times", "windows dropped", "bags", "every window a discharge"
PICTURES, BOTH = "pictures", "with sound"
NUM_RESAMPLES = 2000
MOST_QUIET = 250
"""Windows that show nothing, about: more take long to measure."""
_EDGES = ("discharge_at_edge", "discharge_only_heard")
Floats = NDArray[np.float64]
Measured = NDArray[np.float32]
Row = dict[str, Any]
Aurocs = dict[tuple[str, str], Floats]
"""By split and by what answers: (1 + resamples,), the first of the split as it is."""


@dataclass(frozen=True)
class Weak:
    """Samples of train and val, packed and embedded once, and which may lose their times."""

    packed: Packed
    """With the windows of train that have no label, and those that show nothing, as bags."""
    features: Path
    """The folder of what encoders find in them."""
    recordings: Sequence[str]
    """Of train, with a discharge, sorted."""
    weak_files: frozenset[tuple[str, str]]
    """Of these, which have no label without times: collection and path."""
    quiet: frozenset[str]
    """Sample ids of windows of long recordings that show nothing."""

    def without_times(self, share: float, seed: int) -> frozenset[str]:
        """A share of the recordings; of one seed, a smaller share is a part of a larger one."""
        order = np.random.default_rng(seed).permutation(len(self.recordings))
        return frozenset(self.recordings[n] for n in order[: round(share * len(order))])

    def rows(self, way: str, share: float, among: int, seed: int) -> Iterator[Row]:
        """Rows of the index of what a way learns from, and of val."""
        lost = self.without_times(share, seed)
        index = self.packed.index.to_pylist()
        quiet = Quiet([row for row in index if row["sample_id"] in self.quiet], seed)
        files: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in index:
            if row["sample_id"] not in self.quiet:
                files[row["collection"], row["path"]].append(row)
        for name, own in files.items():
            if own[0]["recording"] not in lost or name not in self.weak_files:
                # What has no label with its times serves nothing.
                yield from (row for row in own if not _is_of_a_bag(row))
            elif way in (BAGS, NAIVE):
                label = None if way == BAGS else 1
                everything = [*own, *quiet.draw(own[0], among)]
                yield from (_as_of(own[0], row, label) for row in everything)


class Quiet:
    """Windows that show nothing, of which each is drawn once before any is drawn again."""

    def __init__(self, rows: Sequence[Row], seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._left: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._rows[row["origin"]].append(row)

    def draw(self, like: Row, number: int) -> list[Row]:
        """So many windows of the origin of another, as further windows of its file."""
        origin, found = like["origin"], []
        for count in range(number):
            if not self._left[origin]:
                rows = self._rows[origin]
                self._left[origin] = [rows[n] for n in self._rng.permutation(len(rows))]
            name = f"{like['sample_id']}-{count}"
            found.append(self._left[origin].pop() | {"sample_id": name, "clip_id": name})
        return found


def _is_of_a_bag(row: Row) -> bool:
    told = row["split"], row["discharge"], row["seen"], row["heard"]
    return told == ("train", 1, None, None)


def _as_of(like: Row, row: Row, label: int | None) -> Row:
    """A window of a file with a discharge, whose times nobody knows, labelled as is done there."""
    names = ("collection", "path", "source", "recording", "cluster", "split")
    own = {name: like[name] for name in names}
    heard = label if row["sound_size"] else None
    return row | own | {"discharge": 1, "seen": label, "heard": heard}


def prepare(paths: Paths, work: Path, among: int) -> Weak:
    """Pack and embed train with all of its windows, val, and if asked for what shows nothing."""
    clips = Path(paths.clips)
    form = manifest.read_format(clips)
    listed = manifest.read_rows(clips / manifest.FILES, File)
    files = {(file.collection, file.path): file for file in listed}
    rows = list(manifest.read_rows(Path(paths.splits) / manifest.MANIFEST, Clip))
    of_train = {clip.recording for clip in rows if clip.split == "train"}
    served, quiet, fired = [], [], {}
    for clip in rows:
        name = clip.collection, clip.path
        file = files[name]
        if clip.recording in of_train and (
            file.discharges_s != "[]" or file.heard_s != "[]" or clip.discharge
        ):
            fired[name] = clip.recording
        if clip.split in ("train", "val"):
            served.append(clip)
        elif clip.split == "test_long" and clip.discharge is False:
            quiet.append(replace(clip, split="train", discharge=None, seen=None, heard=None))
        elif clip.recording in of_train and clip.unused in _EDGES:
            served.append(replace(clip, split="train", heard=None, unused=None))
    quiet = quiet[:: max(1, len(quiet) // MOST_QUIET)] if among else []
    most_s = (form.num_frames + 2) / form.fps
    weak = {name for name in fired if (files[name].duration_s or 0) >= most_s}
    for folder, table in (("splits", [*served, *quiet]), ("augmented", [])):
        (work / folder).mkdir(parents=True, exist_ok=True)
        manifest.write_rows(work / folder / manifest.MANIFEST, Clip, table)
    told = [f"paths.{name}={work / name}" for name in ("splits", "augmented", "packed", "features")]
    told += [f"paths.clips={clips}", f"paths.work={paths.work}", "run.executor=serial"]
    pack.run(app.compose("pack", *told))
    # The origin, which nothing here judges, is told from small pictures in little time.
    embed.run(app.compose("embed", *told, "pictures.size=28"))
    return Weak(
        Packed.open(work / "packed", work),
        work / "features",
        sorted(set(fired.values())),
        frozenset(weak),
        frozenset(clip.clip_id for clip in quiet),
    )


def write_way(weak: Weak, rows: Sequence[Row], folder: Path) -> tuple[Packed, Path]:
    """Packed samples and a folder of features of some rows, which share the bytes of all."""
    shutil.rmtree(folder, ignore_errors=True)
    places = folder / "packed", folder / "features"
    for source, target in zip((Path(weak.packed.root), weak.features), places, strict=True):
        target.mkdir(parents=True)
        for path in source.iterdir():
            if path.suffix != ".parquet":
                os.link(path, target / path.name)
    pq.write_table(pa.Table.from_pylist(list(rows), INDEX_SCHEMA), places[0] / INDEX)
    for kind in (features.PICTURES, features.SOUND):
        known = pq.read_table(weak.features / kind.index).to_pylist()
        at = {row["sha256"]: row for row in known}
        table = [
            at[row[kind.sha256]] | {"sample_id": row["sample_id"]}
            for row in rows
            if row[kind.sha256] is not None
        ]
        pq.write_table(pa.Table.from_pylist(table, features.INDEX_SCHEMA), places[1] / kind.index)
    return Packed.open(places[0], folder), places[1]


def measured(
    network: FlashNet, packed: Packed, rows: Sequence[int], copies: int, cfg: TrainApp
) -> Measured:
    """What a network measures in windows as they are, then in altered ones: (N, 1 + copies, D).

    They are kept, since altering takes long.
    """
    key = [packed.index_sha256, list(map(int, rows)), copies, vars(cfg.alter), cfg.seed]
    code = workdir.code_sha256("learn/ondevice.py", "learn/networks/flash.py")
    kept = Path(cfg.paths.work, "weak_labels-measured", f"{workdir.key(*key, code)}.npy")
    if kept.is_file():
        return np.asarray(np.load(kept))
    found = []
    with torch.inference_mode():
        for first in range(0, len(rows), BATCH):
            some = rows[first : first + BATCH]
            clips = torch.from_numpy(np.stack([packed.read(int(row)).frames for row in some]))
            places = torch.tensor([int(row) for row in some])
            ways = [clips] + [
                alter(clips, torch.full_like(places, copy), places, cfg) for copy in range(copies)
            ]
            found.append(np.stack([network.embed(one).numpy() for one in ways], 1))
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, np.concatenate(found))
    return np.concatenate(found)


@dataclass(frozen=True)
class Trained:
    """What answers on the discharge."""

    network: Network
    scale: float
    """What makes its log odds as sure as they are right."""
    hearing: HeardNet | None


def train(packed: Packed, known: Path, windows: Mapping[str, Measured], cfg: TrainApp) -> Trained:
    """Fit the network of pixels and what hears, as `train.py` does, to what was measured.

    Args:
        packed: the samples.
        known: the folder of their features.
        windows: what was measured in each window, (1 + copies, D), by the hash of its bytes.
        cfg: of training.
    """
    data = PackedData(packed, cfg, cfg.run, discharge_alone=True)
    sounds = read_sounds(data, str(known))
    hearing = None if sounds is None else fit_hearing(data, sounds, cfg)
    heard = heard_ratios(hearing, sounds, data, data.bags.rows)
    found = np.stack([windows[sha256] for sha256 in packed.index["sha256"].to_pylist()])
    plain, labels = torch.from_numpy(found[:, 0]), torch.from_numpy(data.labels)
    torch.manual_seed(cfg.seed)
    network = networks.build(cfg.model, packed.format)
    sampler, optimiser = data.sampler(), adamw(network, cfg)
    scheduler = schedule(optimiser, cfg, cfg.num_epochs * data.num_batches)
    history = History(Path(), every_s=np.inf, patience=0, max_fpr=cfg.max_fpr, discharge_alone=True)
    for epoch in range(cfg.num_epochs):
        sampler.set_epoch(epoch)
        if epoch and len(data.bags.rows):
            odds = answered(network, plain[data.bags.rows])
            data.bags.choose(odds + heard)
        rng = np.random.default_rng([cfg.seed, epoch, 2])
        torch.manual_seed(int(rng.integers(2**63)))
        network.train()
        drawn = sampler.draw()
        for first in range(0, data.num_batches * cfg.batch_size, cfg.batch_size):
            rows = drawn[first : first + cfg.batch_size]
            copy = rng.integers(1, found.shape[1], len(rows))
            logits = network.classify(torch.from_numpy(found[rows, copy]))
            optimiser.zero_grad()
            discharge_loss(logits, labels[rows], cfg.loss).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), cfg.gradient_clip)
            optimiser.step()
            scheduler.step()
        network.eval()
        with torch.no_grad():
            logits = network.classify(plain[data.val_rows])
        told = judge(logits, labels[data.val_rows], cfg.max_fpr, discharge_alone=True)
        row = {"epoch": epoch, "train_loss": 0.0, **told}
        history.add(row, network, logits, labels[data.val_rows])
    network.load_state_dict(history.best["weights"])
    fired = torch.tensor(IS_DISCHARGE)[history.best["labels"]].long()
    temperature = fit_temperature(discharge_logits(history.best["logits"]), fired)
    return Trained(network, 1 / temperature, None if hearing is None else hearing.network)


def answered(network: Network, values: torch.Tensor) -> Floats:
    """Log odds of a discharge (N,) of what was measured, (N, D)."""
    network.eval()
    with torch.no_grad():
        return discharge_log_odds(network.classify(values).double()).numpy()


class Judge:
    """Judges what is told of the discharge on clips whose times are all known."""

    def __init__(self, packed: Packed, splits: Sequence[str], cfg: TrainApp) -> None:
        self.cfg, self.packed = cfg, packed
        self.rows = packed.select(splits, variants=False)
        index = packed.index.take(self.rows)
        self.splits = np.array(index["split"].to_pylist())
        self.truth = np.array(index["discharge"].to_pylist()) == 1
        self.is_seen = index["seen"].is_valid().to_numpy(zero_copy_only=False)
        self.sources = np.array(index["source"].to_pylist())
        network = flash(cfg, packed)
        self.values = torch.from_numpy(measured(network, packed, self.rows.tolist(), 0, cfg)[:, 0])
        self._firearms: torch.Tensor | None = None

    def aurocs(self, trained: Trained) -> Aurocs:
        """By split, of pictures and with sound."""
        seen = trained.scale * answered(trained.network, self.values)
        bound = self.cfg.most_seen or np.inf
        heard = np.clip(seen, -bound, bound) + self._heard(trained.hearing)
        found = {}
        for split in dict.fromkeys(self.splits.tolist()):
            here = self.splits == split
            found[split, PICTURES] = self._resampled(seen, here & self.is_seen)
            found[split, BOTH] = self._resampled(heard, here)
        return found

    def _heard(self, hearing: HeardNet | None) -> Floats:
        if hearing is None:
            return np.zeros(len(self.rows))
        if self._firearms is None:
            # The frozen network is the same in every training.
            found = []
            for first in range(0, len(self.rows), BATCH):
                some = self.rows[first : first + BATCH].tolist()
                sounds = torch.from_numpy(np.stack([self.packed.read(n).sound for n in some]))
                with torch.inference_mode():
                    values = features_of_sounds(hearing.encoder, hearing.resample, sounds)
                    scores = hearing.encoder.firearms(values).double()
                found.append(scores.masked_fill(~is_usable(sounds), torch.nan))
            self._firearms = torch.cat(found)
        return hearing.ratio(self._firearms).nan_to_num(0.0).numpy()

    def _resampled(self, odds: Floats, here: NDArray[np.bool_]) -> Floats:
        names, source = np.unique(self.sources[here], return_inverse=True)
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), NUM_RESAMPLES)
        weights = np.concatenate([np.ones((1, len(names))), drawn])[:, source]
        return metrics.auroc(metrics.Ranking(self.truth[here], odds[here]).counts(weights))


def flash(cfg: TrainApp, packed: Packed) -> FlashNet:
    """The network of pixels with fresh weights, which what it measures does not hang on.

    Raises:
        UserError: another network is asked for.
    """
    network = networks.build(cfg.model, packed.format)
    if not isinstance(network, FlashNet):
        raise UserError(f"model.name={cfg.model.name}: only flash measures before it learns")
    network.eval()
    return network


def cell(values: Floats) -> str:
    """The value, with its interval over sources."""
    low, high = np.nanquantile(values[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return f"{values[0]:.3f} ({low:.3f} to {high:.3f})"


def recovered(best: Floats, worst: Floats, values: Floats) -> str:
    """What is won over dropped windows, with its interval, and which share of the loss that is."""
    won, lost = values - worst, float(best[0] - worst[0])
    low, high = np.nanquantile(won[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    share = f"{won[0] / lost:.0%} of {lost:.3f}" if lost > 0 else "nothing was lost"
    return f"{won[0]:+.3f} ({low:+.3f} to {high:+.3f}): {share}"


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    cfg = app.compose("train", *arguments.overrides, "num_threads=1", "run.num_workers=0")
    work = Path(cfg.paths.work, f"weak_labels-{arguments.among}")
    weak = prepare(cfg.paths, work, arguments.among)
    every = range(weak.packed.index.num_rows)
    values = measured(flash(cfg, weak.packed), weak.packed, every, arguments.copies, cfg)
    windows = dict(zip(weak.packed.index["sha256"].to_pylist(), values, strict=True))
    judging = Judge(Packed.open(cfg.paths.packed, work), arguments.splits.split(","), cfg)
    shares = [float(one) for one in arguments.shares.split(",")]
    ways = [(0.0, ALL), *product(shares, (DROPPED, BAGS, NAIVE))]
    seeds = [int(one) for one in arguments.seeds.split(",")]
    found: dict[tuple[float, str], Aurocs] = {}
    for share, way in ways:
        of_seeds = []
        for seed in seeds:
            own = app.compose(
                "train", *arguments.overrides, f"seed={seed}", "num_threads=1", "run.num_workers=0"
            )
            rows = list(weak.rows(way, share, arguments.among, seed))
            packed, known = write_way(weak, rows, work / "way")
            of_seeds.append(judging.aurocs(train(packed, known, windows, own)))
        found[share, way] = _means(of_seeds)
        told = ", ".join(f"{' '.join(key)} {cell(one)}" for key, one in found[share, way].items())
        print(f"{share:.0%} without times, {way}: {told}", flush=True)
    report(found, weak, arguments)


def _means(found: Sequence[Aurocs]) -> Aurocs:
    return {key: np.mean([one[key] for one in found], axis=0) for key in found[0]}


def report(
    found: Mapping[tuple[float, str], Aurocs], weak: Weak, arguments: argparse.Namespace
) -> None:
    """Print the tables, and write them where asked to."""
    best = found[0.0, ALL]
    columns = ["without times", "way", *(", ".join(key) for key in best)]
    lines = [
        [f"{share:.0%}", way, *map(cell, values.values())] for (share, way), values in found.items()
    ]
    won = [
        [
            f"{share:.0%}",
            way,
            *(recovered(best[key], found[share, DROPPED][key], values[key]) for key in values),
        ]
        for (share, way), values in found.items()
        if way in (BAGS, NAIVE)
    ]
    for table in (lines, won):
        print(markdown(columns, table))
    if arguments.out:
        beside = (
            f", and {arguments.among} windows that show nothing beside those of each file without "
            "times"
            if arguments.among
            else ""
        )
        setting = (
            f"Default draw: {len(weak.recordings)} recordings of train with a discharge, of which "
            f"{len(weak.weak_files)} files have no label without times{beside}; seeds "
            f"{arguments.seeds}, {arguments.copies} altered copies of each window. AUROC of the "
            "discharge, mean over seeds, 95 % interval over sources."
        )
        tables = [
            Table("Files that show a discharge nobody knows when", columns, _cells(lines)),
            Table(
                "Won over dropped windows, and share of the loss that this is", columns, _cells(won)
            ),
        ]
        write(Path(arguments.out), Outcome(Path(__file__).name, setting, tables))


def _cells(lines: Iterable[Sequence[str]]) -> list[list[Cell]]:
    return [list(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="1,2,3", metavar="N[,N]")
    parser.add_argument("--shares", default="0.1,0.5,0.9", metavar="X[,X]")
    parser.add_argument("--splits", default="test,unseen", metavar="SPLIT[,SPLIT]")
    parser.add_argument("--copies", type=int, default=4, metavar="N")
    parser.add_argument("--among", type=int, default=0, metavar="N")
    parser.add_argument("--out", metavar="FILE")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    try:
        run(parser.parse_intermixed_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
