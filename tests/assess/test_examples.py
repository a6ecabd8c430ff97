from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipeline.assess.examples import MOST_SOURCES, Examples, origins_shown
from pipeline.assess.statistics import summary
from pipeline.assess.statistics.questions import judge_auroc
from pipeline.detect import scores
from tests.assess import toy


def with_clusters(table: pa.Table, clusters: list[str | None]) -> pa.Table:
    place = table.schema.get_field_index("cluster")
    return table.set_column(place, "cluster", pa.array(clusters, pa.string()))


def test_recordings_that_copies_join_are_one_cluster() -> None:
    table = toy.scored()
    names = table["recording"].to_pylist()
    joined = [name.replace("doom-1", "doom-0") for name in names]
    examples = Examples.from_clips(with_clusters(table, joined))
    assert examples.clusters.max() + 1 == len(set(names)) - 1
    first = (examples.cluster == "toy/doom-0").nonzero()[0]
    assert set(np.array(names)[first]) == {"toy/doom-0", "toy/doom-1"}


def test_where_no_copies_were_looked_for_the_recording_serves() -> None:
    table = toy.scored()
    assert table["cluster"].null_count == table.num_rows
    assert list(Examples.from_clips(table).cluster) == table["recording"].to_pylist()
    assert scores.clusters(table.drop(["cluster"])) == table["recording"].to_pylist()


def test_copies_that_are_known_widen_the_interval() -> None:
    """Every recording four times is known no better than once."""
    once = toy.scored(
        (toy.Source("axon", "real", 5, 0), toy.Source("doom", "game", 5, 0)), skill=0.5
    )
    rows = [
        row | {"recording": f"{row['recording']}-{copy}", "cluster": row["recording"]}
        for copy in range(4)
        for row in once.to_pylist()
    ]
    known = pa.Table.from_pylist(rows, once.schema)

    def width(table: pa.Table) -> float:
        found = judge_auroc(
            summary.questions(Examples.from_clips(table))["origin"], toy.FEW_RESAMPLES
        )
        return float(found.high - found.low)

    assert width(known) == pytest.approx(width(once))
    assert width(known) > 1.5 * width(with_clusters(known, [None] * known.num_rows))


def many(num_sources: int) -> Examples:
    """As many games of 1 or 2 recordings, and a camera and a film with fewer than most."""
    sources = (
        *(toy.Source(f"game-{i:04}", "game", 1, i % 2) for i in range(num_sources)),
        toy.Source("camera", "real", 1, 0),
        toy.Source("film", "film", 0, 1),
    )
    return toy.examples(sources)


def test_the_sources_with_most_recordings_of_each_look_are_judged_one_by_one() -> None:
    examples = many(100)
    chosen = examples.largest_sources()
    assert chosen == sorted(chosen)
    assert {"camera", "film"} <= set(chosen)
    games = [name for name in chosen if name.startswith("game")]
    # Of equals those come first whose names do.
    assert games == [f"game-{i:04}" for i in range(1, 2 * MOST_SOURCES, 2)]


def test_rendered_sources_do_not_crowd_out_others_of_their_origin() -> None:
    sources = (
        *(toy.Source(f"staged-{i:02}", "real", 2, 0, toy.RENDERED) for i in range(30)),
        toy.Source("phone", "real", 1, 0),
    )
    chosen = toy.examples(sources).largest_sources()
    assert Counter(name.split("-")[0] for name in chosen) == {"staged": MOST_SOURCES, "phone": 1}


def test_no_example_has_no_source() -> None:
    examples = toy.examples()
    assert examples.among(np.zeros(len(examples), bool)).largest_sources() == []


def test_generated_is_shown_only_where_there_is_some() -> None:
    assert origins_shown(["real"]) == ("real", "game", "film")
    assert origins_shown(["generated", "real"]) == ("real", "game", "film", "generated")
