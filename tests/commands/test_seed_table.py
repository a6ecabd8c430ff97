from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from pipeline.commands.seed_table import (
    SeedMean,
    TrainingRun,
    group,
    merge,
    numbers,
    render,
    varied,
)


def runs(lr: float, *values: float, **more: Any) -> list[TrainingRun]:
    """A run a value, with seeds 0, 1, …"""
    return [
        TrainingRun({"train.lr": lr, "train.seed": seed, **more}, {"auroc": value})
        for seed, value in enumerate(values)
    ]


def test_the_interval_is_student_s() -> None:
    estimate = SeedMean.of([0.6, 0.7, 0.8], 0.95)
    # t(0.975, 2) = 4.302653, s / sqrt(3) = 0.1 / 1.732051
    assert estimate.mean == pytest.approx(0.7)
    assert estimate.interval is not None
    assert estimate.interval.high == pytest.approx(0.7 + 4.302653 * 0.1 / 1.732051, abs=1e-6)
    assert estimate.interval.low == pytest.approx(0.7 - 4.302653 * 0.1 / 1.732051, abs=1e-6)
    assert str(estimate) == "0.700 (0.452 to 0.948)"


def test_one_run_has_no_interval() -> None:
    estimate = SeedMean.of([0.6], 0.95)
    assert estimate.interval is None
    assert str(estimate) == "0.600 (–)"


def test_runs_that_differ_only_in_the_seed_are_one_row() -> None:
    rows = group([*runs(0.01, 0.5), *runs(0.001, 0.6, 0.8)], ["train.seed"], 0.95)
    assert [(row.parameters, row.num_runs) for row in rows] == [
        ({"train.lr": 0.001}, 2),
        ({"train.lr": 0.01}, 1),
    ]
    assert rows[0].means["auroc"].mean == pytest.approx(0.7)
    assert varied(rows) == ["train.lr"]


def test_without_a_seed_to_average_over_each_run_is_a_row() -> None:
    rows = group(runs(0.01, 0.5, 0.6), [], 0.95)
    assert varied(rows) == ["train.seed"]
    assert [row.num_runs for row in rows] == [1, 1]


def test_numbers_sort_by_size_and_before_texts() -> None:
    found = [TrainingRun({"p": value}, {"m": 1.0}) for value in ("b", 10, None, 9.5, [1, 2], "a")]
    rows = group(found, [], 0.95)
    assert [row.parameters["p"] for row in rows] == [9.5, 10, [1, 2], "a", "b", None]


def test_the_same_run_seen_twice_counts_once_and_keeps_all_its_metrics() -> None:
    once = TrainingRun({"train.seed": 1}, {"auroc": 0.5})
    again = TrainingRun({"train.seed": 1}, {"auroc": 0.5, "loss": 1.0})
    assert merge([once, again]) == [again]


def test_two_results_of_one_seed_are_two_runs() -> None:
    assert len(merge([*runs(0.1, 0.5), *runs(0.1, 0.6)])) == 2


def test_metrics_in_common_are_needed_to_call_two_runs_the_same() -> None:
    assert len(merge([TrainingRun({"s": 1}, {"a": 1.0}), TrainingRun({"s": 1}, {"b": 1.0})])) == 2


def test_bounds_of_one_run_and_what_is_no_number_are_no_metrics() -> None:
    values = {
        "test": {"auroc.value": 0.7, "auroc.low": 0.6, "auroc.high": 0.8, "ece": 0.1},
        "note": "text",
        "flag": True,
        "none": None,
        "nan": float("nan"),
        "free.low": 3,
    }
    assert numbers(values) == {"test.auroc": 0.7, "test.ece": 0.1, "free.low": 3.0}


def test_a_metric_that_some_runs_lack_says_of_how_many_it_is() -> None:
    found = [*runs(0.1, 0.5, 0.7), TrainingRun({"train.lr": 0.1, "train.seed": 2}, {"loss": 2.0})]
    table = render(group(found, ["train.seed"], 0.95), ["auroc", "loss", "none"], "markdown", 80)
    assert table.splitlines()[-1] == "| 3 | 0.600 (-0.671 to 1.871) of 2 | 2.000 (–) of 1 | – |"


def test_a_table_is_aligned_and_goes_on_below_where_it_is_too_wide() -> None:
    found = [*runs(0.001, 0.5), *runs(0.01, 0.25)]
    text = render(group(found, ["train.seed"], 0.95), ["auroc", "auroc"], "table", 30)
    block = "train.lr  runs  auroc\n0.001     1     0.500 (–)\n0.01      1     0.250 (–)"
    assert text == f"{block}\n\n{block}"
    assert "\n\n" not in render(group(found, ["train.seed"], 0.95), ["auroc", "auroc"], "table", 40)


def test_csv_has_full_precision_and_bounds() -> None:
    text = render(group(runs(0.1, 0.5, 2 / 3), ["train.seed"], 0.95), ["auroc", "x"], "csv", 10)
    row = next(csv.DictReader(io.StringIO(text)))
    assert float(row["auroc"]) == (0.5 + 2 / 3) / 2
    assert float(row["auroc.low"]) < 0.5 < 2 / 3 < float(row["auroc.high"])
    assert (row["runs"], row["auroc.runs"], row["x"], row["x.runs"]) == ("2", "2", "", "0")
