"""How much pictures may say of a discharge at most, beside what is heard (`most_seen`).

    python benchmarks/bounds.py --seeds 1,2,3 --bounds 1,1.5,2,2.5,3

Needs the packed samples and the features of `dvc repro`. The network of pixels is trained once for
each seed; what it says is bounded by each of the bounds, and what is heard is added. Clips whose
label is known are judged by split: AUROC of the discharge, discharges found at 1 % false alarms,
and the cross entropy, which is that of a detector that is as sure as it is right where it is small.
The bound is chosen by the splits val and val_long; the others are told beside them. Cells are means
over seeds ± half of their 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from runs import BATCH, half_width, markdown, training
from sklearn.metrics import log_loss, roc_auc_score

from pipeline import app
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn.networks.product import ProductNet
from pipeline.store.packed_samples import Packed

SPLITS = ("val", "val_long", "test", "test_long", "unseen")
MAX_FPR = 0.01
Floats = NDArray[np.float64]


def known(packed: Packed) -> NDArray[np.int64]:
    """Clips of `SPLITS` of which it is known whether there is a discharge, variants aside."""
    rows = packed.select(SPLITS, variants=False)
    is_known = packed.index["discharge"].is_valid().to_numpy(zero_copy_only=False)
    return rows[is_known[rows]]


def said(models: Path, packed: Packed, rows: Sequence[int]) -> tuple[Floats, Floats]:
    """Log odds (N,) that pictures give without a bound, and what sound adds to them."""
    network = Detector.load(models).network
    assert isinstance(network, ProductNet)
    if network.hearing is None:
        raise UserError(f"{models}: hears nothing; give samples with sound")
    network.most_seen = None
    seen, heard = [], []
    with torch.inference_mode():
        for first in range(0, len(rows), BATCH):
            samples = [packed.read(row) for row in rows[first : first + BATCH]]
            frames, sounds = (
                torch.from_numpy(np.stack([getattr(one, name) for one in samples]))
                for name in ("frames", "sound")
            )
            seen.append(network.seen(network.discharge(frames)).double().numpy())
            heard.append(network.hearing(sounds).double().numpy())
    return np.concatenate(seen), np.concatenate(heard)


def judged(log_odds: Floats, truth: NDArray[np.bool_]) -> tuple[float, float, float]:
    """AUROC, discharges found at `MAX_FPR` and cross entropy."""
    others = np.sort(log_odds[~truth])[::-1]
    found = (log_odds[truth] > others[int(MAX_FPR * len(others))]).mean()
    return (
        float(roc_auc_score(truth, log_odds)),
        float(found),
        float(log_loss(truth, 1 / (1 + np.exp(-log_odds)))),
    )


def run(arguments: argparse.Namespace) -> None:
    cfg = app.compose("train", *arguments.overrides)
    work = Path(cfg.paths.work, "bounds")
    packed = Packed.open(cfg.paths.packed, work)
    rows = known(packed)
    splits = np.array(packed.index["split"].take(rows).to_pylist())
    truth = np.array(packed.index["discharge"].take(rows).to_pylist(), bool)
    bounds = [float(one) for one in arguments.bounds.split(",")]
    ways = ["sound alone", "no bound", *(f"{bound:g}" for bound in bounds)]
    seeds = [int(one) for one in arguments.seeds.split(",")]
    found = np.empty((len(seeds), len(ways), len(SPLITS), 3))
    for number, seed in enumerate(seeds):
        models = training(packed, [*arguments.overrides, f"seed={seed}"], work / "runs").run()
        seen, heard = said(models, packed, rows.tolist())
        all_odds = [heard, seen + heard, *(np.clip(seen, -one, one) + heard for one in bounds)]
        for way, log_odds in enumerate(all_odds):
            for place, split in enumerate(SPLITS):
                here = splits == split
                found[number, way, place] = judged(log_odds[here], truth[here])
        print(f"seed {seed}: done", flush=True)
    shown = [
        f"{split} ({truth[splits == split].sum()} of {(splits == split).sum()})" for split in SPLITS
    ]
    lines = [
        [way, *(_cell(found[:, number, place]) for place in range(len(SPLITS)))]
        for number, way in enumerate(ways)
    ]
    print(f"\nAUROC, found at {MAX_FPR:.0%}, cross entropy:\n")
    print(markdown(["at most", *shown], lines))


def _cell(values: Floats) -> str:
    told = []
    for number, name in enumerate(("{:.3f}", "{:.0%}", "{:.3f}")):
        half = half_width(values[:, number].tolist())
        mean = name.format(values[:, number].mean())
        told.append(mean if half is None else f"{mean} ± {name.format(half)}")
    return ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="1,2,3", metavar="N[,N]")
    parser.add_argument("--bounds", default="1,1.5,2,2.5,3", metavar="N[,N]")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for train.py")
    try:
        run(parser.parse_intermixed_args())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
