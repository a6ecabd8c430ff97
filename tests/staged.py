"""A small project all of whose stages have run, the training of a tiny network included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import evaluate
import train
from pipeline.footage.collection import IndexRow
from pipeline.stages import augment, embed, ingest, pack, probe, split
from tests import deployed
from tests.conftest import compose_below, write_collection

RENDERED = "rendered by an engine"
SOURCES = {
    "bodycam": ("real", RENDERED),
    "dashcam": ("real", "released by a court"),
    "phone": ("real", ""),
    "doom": ("game", RENDERED),
    "quake": ("game", ""),
    "sintel": ("film", ""),
}
UNSEEN = ("phone", "quake")
LONG = ("dashcam", "phone", "doom")
"""Sources that have long recordings too."""
FILES_PER_LABEL = 8
CLIP = ("ingest.clip.num_frames=8", "ingest.clip.size=32", "ingest.stride_frames=8")
NETWORK = (
    "num_epochs=2",
    "batch_size=16",
)
EVALUATE = ("num_bootstrap=40", "num_bins=4", "num_mistakes=4", "run.wandb=disabled", *CLIP)


def write_project(folder: Path) -> None:
    """Footage, and everything up to the weights, in the folders that `compose_below` names."""
    rows = [
        _row(source, discharge, str(number))
        for source in SOURCES
        for discharge in (False, True)
        for number in range(FILES_PER_LABEL)
    ]
    rows += [
        _row(source, discharge, f"long-{number}")
        for source in LONG
        for discharge in (False, True)
        for number in range(2)
    ]
    write_collection(folder / "footage" / "made", rows)
    deployed.write(folder / "deployment", deployed.known())
    composed: Callable[..., Any] = partial(compose_below, folder)
    ingest.run(composed("ingest", *(override.removeprefix("ingest.") for override in CLIP)))
    unseen = f"unseen_sources=[{','.join(UNSEEN)}]"
    long = "long_recordings=[made/*-long-*]"
    split.run(composed("split", unseen, long, "val_fraction=0.2", "test_fraction=0.5"))
    augment.run(composed("augment", "variants_per_clip=1"))
    pack.run(composed("pack"))
    # An encoder would make scoring many times as long, and no suite another.
    embed.run(composed("embed", "pictures.name=none"))
    probe.run(composed("probe", "num_rounds=1"))
    train.run(composed("train", *NETWORK, "num_threads=1", "run.wandb=disabled"))


def _row(source: str, discharge: bool, number: str) -> IndexRow:
    origin, authority = SOURCES[source]
    is_even, is_third = (int(number[-1]) % divisor == 0 for divisor in (2, 3))
    return IndexRow(
        path=f"{source}-{int(discharge)}-{number}.mp4",
        origin=origin,
        source=source,
        discharge=discharge,
        licence="CC0-1.0",
        authority=authority,
        rendered=authority == RENDERED,
        discharges_s=(0.25, 0.8, 1.3, 1.9) if discharge else (),
        viewpoint="fixed" if is_even else "body",
        notes="scene: yard; light: night" if is_third else "scene: office; light: lamps",
    )


def evaluate_project(folder: Path, *overrides: str) -> Path:
    """The folder of the reports."""
    composed: Callable[..., Any] = partial(compose_below, folder)
    evaluate.run(composed("evaluate", *EVALUATE, *overrides))
    return folder / "reports"
