"""What Lightning costs, what other networks learn in the same time, and how well a GPU is used.

    python benchmarks/training.py                 # on the packed samples of `dvc repro`
    python benchmarks/training.py --synthetic 600 # on random ones, for speed alone

A GPU at its batch sizes wants `--synthetic 5000`.

Rivals take turns, so that a noisy machine is unkind to all of them, and what is told are ratios.
- loop: seconds a step of train.py's Lightning loop against those of a bare one with the same work,
  and the share of a step that waits for data.
- networks: ours and one of the size of X3D-XS, each trained for `--seconds` of wall time: samples a
  second, and what the clips of test and unseen say of it then.
- gpu: the same as loop in bf16, compiled, for ours and for a network of the size of VideoMAE-B,
  with memory and the share of the card's rate of matrix products, measured here too.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from bare import BareLoop, Timed
from big import flops_a_sample, matrix_rate, write_videomae
from equal_time import EQUAL_TIME, at_equal_time
from runs import markdown
from synthetic import write_samples

from pipeline import app
from pipeline.assess import wording
from pipeline.config import TrainApp
from pipeline.errors import UserError
from pipeline.learn import networks
from pipeline.learn.classifier import Classifier
from pipeline.learn.data import PackedData
from pipeline.learn.selection import History
from pipeline.learn.throughput import Throughput
from pipeline.learn.trainer import make_trainer
from pipeline.store.packed_samples import Packed

PARTS = ("loop", "networks", "gpu")
RACE = (
    *("", "Lightning, samples/s", "bare, samples/s", "seconds a step, Lightning / bare"),
    *("data wait, Lightning", "data wait, bare", "memory, Lightning, GiB", "memory, bare"),
)


@dataclass(frozen=True)
class Pace:
    """How fast some steps were, the first ones apart."""

    step_s: float
    data_wait: float
    """Share of the time of the steps."""
    memory_bytes: int
    """At most, on the GPU."""


class Ends(pl.Callback):
    """When steps were over."""

    def __init__(self, device: torch.device, counted: Sequence[int]) -> None:
        self.device, self.counted = device, counted
        self.ends_s: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        """Look at the clock, once the device has done what was asked if that counts."""
        if len(self.ends_s) in self.counted and self.device.type == "cuda":
            torch.cuda.synchronize()
        self.ends_s.append(time.perf_counter())


class TimedData(PackedData):
    """Data that tells how long it was waited for."""

    def train_dataloader(self) -> Any:
        """As in `PackedData`."""
        self.timed = Timed(super().train_dataloader())
        return self.timed


def pace(ends: Ends, timed: Timed, num_warmup: int) -> Pace:
    """Of the steps after the warm-up."""
    took_s = ends.ends_s[-1] - ends.ends_s[num_warmup - 1]
    num_steps = len(ends.ends_s) - num_warmup
    memory = torch.cuda.max_memory_allocated() if ends.device.type == "cuda" else 0
    return Pace(took_s / num_steps, sum(timed.waits_s[num_warmup:]) / took_s, memory)


def by_lightning(cfg: TrainApp, packed: Packed, num_warmup: int, num_steps: int) -> Pace:
    """Train as train.py does, validation cut short."""
    device, data = device_of(cfg), TimedData(packed, cfg, cfg.run)
    ends = Ends(device, [num_warmup - 1, num_warmup + num_steps - 1])
    classifier = Classifier(cfg, packed.format, num_batches=data.num_batches)
    folder = Path(cfg.paths.work, "training", "loop")
    history = History(folder, every_s=cfg.run.checkpoint_every_s, patience=0, max_fpr=cfg.max_fpr)
    throughput = Throughput(cfg.batch_size)
    trainer = make_trainer(
        cfg,
        max_epochs=1,
        limit_train_batches=num_warmup + num_steps,
        limit_val_batches=1,
        logger=False,
        callbacks=[history, throughput, ends],
        profiler=throughput.clock,
    )
    trainer.fit(classifier, data)
    shutil.rmtree(folder)
    return pace(ends, data.timed, num_warmup)


def by_bare_loop(cfg: TrainApp, packed: Packed, num_warmup: int, num_steps: int) -> Pace:
    """Train on the same batches without Lightning."""
    device, data = device_of(cfg), TimedData(packed, cfg, cfg.run)
    ends = Ends(device, [num_warmup - 1, num_warmup + num_steps - 1])
    torch.manual_seed(cfg.seed)
    loop = BareLoop(
        cfg,
        networks.build(cfg.model, packed.format),
        num_steps=cfg.num_epochs * data.num_batches,
        device=device,
    )
    batches = iter(data.train_dataloader())
    for _ in range(num_warmup + num_steps):
        loop.step(next(batches))
        ends.on_train_batch_end()
    return pace(ends, data.timed, num_warmup)


def race(
    name: str, cfg: TrainApp, packed: Packed, *, num_rounds: int, num_steps: int, num_warmup: int
) -> tuple[list[str], float]:
    """Let both loops take turns; a row of the table, and samples a second of Lightning's."""
    num_batches = PackedData(packed, cfg, cfg.run).num_batches
    if num_warmup + num_steps > num_batches:
        raise UserError(
            f"--steps {num_steps}, and {num_warmup} before, are more than the {num_batches} of an "
            "epoch; take fewer, a smaller batch_size, or more samples"
        )
    paces: dict[Any, list[Pace]] = {by_lightning: [], by_bare_loop: []}
    for number in range(num_rounds):
        for loop in list(paces)[:: 1 if number % 2 == 0 else -1]:
            gc.collect()
            # What is compiled too often, over all turns, would not be compiled any more.
            torch.compiler.reset()
            if cfg.run.accelerator != "cpu":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            paces[loop].append(loop(cfg, packed, num_warmup, num_steps))
    both = list(paces.values())
    ratios = [ours.step_s / bare.step_s for ours, bare in zip(*both, strict=True)]
    rates = [[cfg.batch_size / one.step_s for one in some] for some in both]
    row = [
        name,
        *(f"{statistics.median(some):.1f}" for some in rates),
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
        *(wording.percent(statistics.median(one.data_wait for one in some)) for some in both),
        *(gibibytes(max(one.memory_bytes for one in some)) for some in both),
    ]
    return row, statistics.median(rates[0])


def gibibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f}" if num_bytes else wording.DASH


def device_of(cfg: TrainApp) -> torch.device:
    return torch.device("cpu" if cfg.run.accelerator == "cpu" else "cuda")


def on_gpu(arguments: argparse.Namespace, packed: Packed, work: Path) -> None:
    """Race both loops in bf16, compiled, and print how much of the card they use."""
    device = torch.device("cuda")
    rate = matrix_rate(device)
    print(f"{torch.cuda.get_device_name()}: {rate / 1e12:.0f} TFLOP/s of bf16 matrix products")
    big = write_videomae(work / "videomae", packed.format)
    rivals = {
        "flash": ["model.name=flash", f"batch_size={arguments.gpu_batch}"],
        "VideoMAE-B-sized": [f"model.name=hf:{big.resolve()}", f"batch_size={arguments.big_batch}"],
    }
    options = ["run.accelerator=cuda", "precision=bf16-mixed", "run.compile=true"]
    options.append("run.channels_last=true")
    lines = []
    for name, own in rivals.items():
        cfg = app.compose("train", *base(arguments), *options, *own)
        row, samples_per_s = race(
            name,
            cfg,
            packed,
            num_rounds=arguments.rounds,
            num_steps=arguments.steps,
            num_warmup=arguments.warmup,
        )
        flops = flops_a_sample(networks.build(cfg.model, packed.format), packed.format, device)
        share = wording.percent(flops * samples_per_s / rate)
        lines.append([*row, f"{flops / 1e9:.1f}", share])
    header = [*RACE, "GFLOP a sample", "of the card's matrix rate"]
    print(markdown(header, lines), flush=True)


def base(arguments: argparse.Namespace) -> list[str]:
    """Overrides of all parts."""
    return [*arguments.overrides, "run.progress=false", "accumulate=1"]


def run(arguments: argparse.Namespace) -> None:
    cfg = app.compose("train", *base(arguments))
    torch.set_num_threads(cfg.num_threads)
    work = Path(cfg.paths.work, "training")
    folder = Path(cfg.paths.packed)
    if arguments.synthetic:
        clip = app.compose("ingest").clip
        folder = write_samples(work / "packed", arguments.synthetic, clip)
    packed = Packed.open(str(folder), work)
    if "loop" in arguments.parts:
        row, _ = race(
            cfg.model.name,
            cfg,
            packed,
            num_rounds=arguments.rounds,
            num_steps=arguments.steps,
            num_warmup=arguments.warmup,
        )
        print(f"On {cfg.run.accelerator}:\n\n{markdown(RACE, [row])}\n", flush=True)
    if "networks" in arguments.parts:
        names = {"flash": "flash", "X3D-XS-sized": "x3d:X3D"}
        alone = [*base(arguments), "run.accelerator=cpu", "run.num_workers=0", "run.compile=false"]
        cfgs = {
            name: app.compose("train", *alone, f"model.name={value}")
            for name, value in names.items()
        }
        lines = at_equal_time(cfgs, packed, arguments.seconds, arguments.turn)
        print(f"After {arguments.seconds:g} s each, {cfg.num_threads} threads:\n")
        print(f"{markdown(EQUAL_TIME, lines)}\n", flush=True)
    if "gpu" in arguments.parts:
        if torch.cuda.is_available():
            on_gpu(arguments, packed, work)
        else:
            print("gpu: skipped, since there is no CUDA device here")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, between commas")
    parser.add_argument("--synthetic", type=int, metavar="N", help="random training samples")
    parser.add_argument("--rounds", type=int, default=5, help="of each loop")
    parser.add_argument("--steps", type=int, default=30, help="of each round, that count")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them, that do not")
    parser.add_argument("--seconds", type=float, default=600, help="for each network")
    parser.add_argument("--turn", type=float, default=20, help="seconds of a turn")
    parser.add_argument("--gpu-batch", type=int, default=128, help="of flash on a GPU")
    parser.add_argument("--big-batch", type=int, default=32, help="of VideoMAE-B on a GPU")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of train.py")
    arguments = parser.parse_intermixed_args()
    unknown = set(arguments.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--parts: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    try:
        run(arguments)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
