"""Collections as small as a newcomer's, from the files to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import evaluate
import train
from pipeline.footage.collection import IndexRow
from pipeline.stages import augment, embed, ingest, pack, probe, split
from pipeline.store.manifest import CLASSES
from tests.conftest import compose_below, write_collection
from tests.learn.encoders.tiny import write_checkpoint
from tests.staged import CLIP, EVALUATE, NETWORK


def evaluated(folder: Path, *, shootings: int, others: int, num_frames: int) -> dict[str, Any]:
    """The metrics of a report on so many recordings of each class, at the fractions of conf/."""
    rows = [
        IndexRow(
            path=f"{origin}-{int(fires)}-{number}.mp4",
            origin=origin,
            source=f"{origin}-{number % 2}",
            discharge=fires,
            licence="own",
            discharges_s=(0.2,) if fires else (),
        )
        for origin in ("real", "game")
        for fires in (True, False)
        for number in range(shootings if fires else others)
    ]
    write_collection(folder / "footage" / "mine", rows, num_frames)
    composed: Callable[..., Any] = partial(compose_below, folder)
    ingest.run(composed("ingest", *(override.removeprefix("ingest.") for override in CLIP)))
    split.run(composed("split"))
    augment.run(composed("augment"))
    pack.run(composed("pack"))
    encoder = write_checkpoint(folder / "dino")
    seen = (f"pictures.name={encoder}", "pictures.size=16", "pictures.every_frames=8")
    embed.run(composed("embed", *seen))
    probe.run(composed("probe"))
    train.run(composed("train", *NETWORK, "num_threads=1", "run.wandb=disabled"))
    evaluate.run(composed("evaluate", *EVALUATE))
    assert (folder / "reports" / "report.html").is_file()
    metrics = json.loads((folder / "reports" / "metrics.json").read_text())
    found: dict[str, Any] = metrics["judged_sets"]
    return found


@pytest.mark.slow
def test_five_recordings_of_each_class_a_clip_each_are_enough_for_a_report(tmp_path: Path) -> None:
    metrics = evaluated(tmp_path, shootings=5, others=5, num_frames=9)
    assert metrics["test"]["shooting"]["num_positives"] >= 1
    stats = json.loads((tmp_path / "models" / "stats.json").read_text())
    assert all(stats[part][name] for part in ("train", "val") for name in CLASSES)
    assert sum(stats["train"].values()) < 16, "a batch is not full"


@pytest.mark.slow
def test_two_shootings_are_trained_on_without_val_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        metrics = evaluated(tmp_path, shootings=2, others=3, num_frames=16)
    assert "chooses its weights by the loss" in caplog.text
    assert "best by val_loss alone" in caplog.text
    shooting = metrics["test"]["shooting"]
    assert shooting["num_positives"] >= 1
    assert shooting["tpr_at_fpr_0.01"]["value"] is None
    assert "needs" in shooting["tpr_at_fpr_0.01"]["reason"]


@pytest.mark.slow
def test_one_recording_of_each_class_gets_to_a_report_of_dashes(tmp_path: Path) -> None:
    metrics = evaluated(tmp_path, shootings=1, others=3, num_frames=16)
    shooting = metrics["test"]["shooting"]
    assert shooting["num_positives"] == 0
    assert shooting["auroc"]["value"] is None
    assert shooting["auroc"]["reason"]
