from __future__ import annotations

from pipeline.commands.adapt import judgement, record


def test_the_curve_gives_mean_and_range_over_draws() -> None:
    points = [
        judgement.Point(4, draw, 3, judgement.RankingResult("all", auroc, 0.5, 2, 3, 5))
        for draw, auroc in enumerate((0.5, 0.75, 1.0))
    ]
    (told,) = record._curve(points)
    assert told["auroc"] == {"mean": 0.75, "least": 0.5, "most": 1.0}
    assert (told["files"], told["draws"], told["num_sources"]["least"]) == (4, 3, 5)


def test_a_mean_is_rounded_once_whatever_the_version_of_python() -> None:
    assert record._range([0.1] * 10)["mean"] == 0.1
