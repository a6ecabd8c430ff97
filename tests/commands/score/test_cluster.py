"""Scoring on a cluster of Ray, and in frames of other engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.commands.score import rows
from pipeline.commands.score.frames import ScoreFiles
from pipeline.commands.score.settings import ScoringSettings
from tests import ray_cluster
from tests.commands.score.toy import (
    configured,
    contents,
    scored,
    write_files,
    write_listing,
)
from tests.live.made import write_model


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder with a detector that other processes know how to load."""
    write_model(tmp_path / "models")
    return tmp_path


@pytest.fixture
def ray() -> Iterator[Any]:
    with ray_cluster.running(num_cpus=2):
        yield pytest.importorskip("ray")


def test_a_frame_has_the_rows_of_a_listing(plain: Path) -> None:
    names = [*write_files(plain / "own", 2), "gone.mp4"]
    listing = write_listing(plain / "own" / "listing.csv", names)
    found = scored(plain, listing, "out")
    files = ScoreFiles(ScoringSettings.of(configured(plain), plain / "own"))
    table = files(pa.table({"id": ["n0", "n1", "n2"], "uri": names}))
    assert table.schema.equals(rows.SCHEMA)
    assert table.to_pylist() == found


@pytest.mark.ray
def test_a_cluster_changes_no_byte(plain: Path, ray: Any) -> None:
    names = [*write_files(plain / "own", 4), "gone.mp4"]
    listing = write_listing(plain / "own" / "listing.csv", names)
    scored(plain, listing, "here", "rows_per_part=2")
    scored(plain, listing, "there", "rows_per_part=2", "run.executor=ray")
    assert contents(plain / "there") == contents(plain / "here")


@pytest.mark.ray
def test_ray_data_gives_the_rows_of_a_listing(plain: Path, ray: Any) -> None:
    pytest.importorskip("ray.data")
    names = [*write_files(plain / "own", 2), "gone.mp4"]
    listing = write_listing(plain / "own" / "listing.csv", names)
    found = scored(plain, listing, "out")
    settings = ScoringSettings.of(configured(plain), plain / "own")
    frame = ray.data.from_arrow(pa.table({"id": ["n0", "n1", "n2"], "uri": names}))
    done = frame.map_batches(
        ScoreFiles,
        fn_constructor_args=(settings,),
        batch_format="pyarrow",
        batch_size=2,
        concurrency=1,
    )
    taken = sorted(done.take_all(), key=lambda row: row["id"])
    assert [(row["id"], row["status"], row["score"]) for row in taken] == [
        (row["id"], row["status"], row["score"]) for row in found
    ]
