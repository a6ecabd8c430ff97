from __future__ import annotations

from pipeline.assess.page.forest import ForestRow, forest
from pipeline.assess.statistics.measurement import Measured
from pipeline.numbers.intervals import Interval

BOUNDED = Measured(0.7, Interval(0.6, 0.9))
OPEN = Measured(0.4, reason="one recording")


def test_rows_stand_in_order_with_their_own_labels_and_lengths() -> None:
    rows = [
        ForestRow("a", "game", BOUNDED),
        ForestRow("b", "real", OPEN),
        ForestRow("c", "game", OPEN),
    ]
    spec = forest(rows, "AUROC", 0.5)
    labels = dict(
        zip(spec["layout"]["yaxis"]["tickvals"], spec["layout"]["yaxis"]["ticktext"], strict=True)
    )
    drawn = {}
    for trace in spec["data"]:
        for y, x, name in zip(trace["y"], trace["x"], trace["text"], strict=True):
            assert labels[y] == name
            drawn[name] = (trace["name"], x)
    assert drawn == {"a": ("game", 0.7), "b": ("real", 0.4), "c": ("game", 0.4)}
    assert [labels[y] for y in sorted(labels, reverse=True)] == ["a", "b", "c"]
    game = next(trace for trace in spec["data"] if trace["name"] == "game")
    assert game["error_x"]["array"] == [0.2, 0.0]
    assert game["error_x"]["arrayminus"] == [0.1, 0.0]
    assert spec["layout"]["shapes"][0]["x0"] == 0.5


def test_two_lines_of_a_label_are_one_row_and_its_tags_are_text() -> None:
    spec = forest([ForestRow("<b>a\nb", "real", BOUNDED)], "AUROC", 0.5)
    assert spec["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;a<br>b"]
    assert spec["data"][0]["text"] == ["&lt;b&gt;a / b"]
