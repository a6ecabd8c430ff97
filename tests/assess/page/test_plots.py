from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from pipeline.assess.page import plots
from pipeline.assess.statistics import curves
from pipeline.assess.statistics.summary import questions, summarize
from tests.assess import toy

EXAMPLES = toy.examples()
PLOTS = ["confusion.csv", "precision_recall.csv", "reliability.csv", "roc.csv", "sources.csv"]
METRICS = summarize(EXAMPLES, toy.FEW_RESAMPLES, num_bins=5)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_area_under_the_roc_file_is_the_auroc(tmp_path: Path) -> None:
    plots.write_plots(tmp_path, EXAMPLES, METRICS, num_bins=5)
    points = table(tmp_path / "roc.csv")
    area = auc([float(p["fpr"]) for p in points], [float(p["tpr"]) for p in points])
    expected = roc_auc_score(EXAMPLES.is_shooting, EXAMPLES.score)
    assert area == pytest.approx(expected, abs=1e-5)
    assert len(points) < len(EXAMPLES)


def test_confusion_has_one_row_an_example_as_dvc_counts_them(tmp_path: Path) -> None:
    plots.write_plots(tmp_path, EXAMPLES, METRICS, num_bins=5)
    rows = table(tmp_path / "confusion.csv")
    assert len(rows) == len(EXAMPLES)
    found = sum(row == {"actual": "real_other", "predicted": "real_shooting"} for row in rows)
    assert found == METRICS.confusion["real_other"]["real_shooting"]


@pytest.mark.parametrize("examples", [None, toy.examples((toy.Source("phone", "real", 0, 3),))])
def test_files_exist_even_where_there_is_nothing_to_draw(tmp_path: Path, examples) -> None:
    metrics = None if examples is None else summarize(examples, toy.FEW_RESAMPLES, num_bins=5)
    plots.write_plots(tmp_path, examples, metrics, num_bins=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == PLOTS
    assert table(tmp_path / "roc.csv") == []


def test_precision_recall_starts_at_recall_0_and_falls_to_the_share_of_positives() -> None:
    recall, precision = curves.precision_recall(questions(EXAMPLES)["shooting"])
    assert (recall[0], recall[-1]) == (0.0, 1.0)
    assert precision[-1] == pytest.approx(EXAMPLES.is_shooting.mean())
    steps = (np.diff(recall) * precision[1:]).sum()
    expected = average_precision_score(EXAMPLES.is_shooting, EXAMPLES.score)
    assert steps == pytest.approx(expected, abs=0.02)


def test_reliability_counts_every_example() -> None:
    bins = curves.reliability(questions(EXAMPLES)["shooting"], num_bins=5)
    assert bins.num_examples.sum() == len(EXAMPLES)
    assert (np.diff(bins.predicted) > 0).all()
    weighted = (bins.observed * bins.num_examples).sum()
    assert weighted == pytest.approx(EXAMPLES.is_shooting.sum())


def test_the_band_holds_the_curve() -> None:
    grid = np.geomspace(0.02, 1, 8)
    rates, low, high = curves.tpr_band(questions(EXAMPLES)["shooting"], grid, toy.FEW_RESAMPLES)
    assert (low <= rates).all()
    assert (rates <= high).all()
    assert (np.diff(rates) >= 0).all()
    assert rates[-1] == 1.0
