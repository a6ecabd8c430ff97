from __future__ import annotations

import re
from typing import Any

import pytest

from pipeline.assess.page import adaptation

FILES = [
    adaptation.FileRow("a.mp4", "real", "camera", 2, before=0.4, after=0.9),
    adaptation.FileRow("b.mp4", "game", "title", 1, before=0.8, after=None),
]


def judged(auroc: float) -> dict[str, Any]:
    counts = {"num_real": 1, "num_fictional": 1, "num_sources": 2}
    return {"auroc": auroc, "found": 1.0, **counts}


def gain(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    is_shown = low is not None and low > 0
    return {"value": value, "low": low, "high": high, "reason": "none", "is_shown": is_shown}


def point(files: int, against: str, *aurocs: float) -> dict[str, Any]:
    """A point of the curve with the mean, the least and the most AUROC."""
    mean, least, most = aurocs
    one = {"mean": 1.0, "least": 1, "most": 1}
    names = ("found", "num_real", "num_fictional", "num_sources", "sources_drawn")
    return {
        "files": files,
        "against": against,
        "draws": 2,
        "auroc": {"mean": mean, "least": least, "most": most},
        **dict.fromkeys(names, one),
    }


def told(**changes: Any) -> dict[str, Any]:
    return {
        "collection": "own",
        "files": 2,
        "sources": 2,
        "clips": 3,
        "files_by_origin": {"game": 1, "real": 1},
        "sources_by_origin": {"game": 1, "real": 1},
        "rejected_files": 0,
        "rendered_files": 0,
        "rendered_weight": 0.0,
        "known_files": [],
        "weight": 10.0,
        "clips_per_file": 8,
        "before": {"all": judged(0.5)},
        "sources_left_out": {"all": judged(1.0)},
        "gain": {"all": gain(0.5, 0.25, 0.75)},
        "confidence": 0.95,
        "layer": adaptation.NEW,
        "taken_wrongly": {
            "real": {"files": 1, "before": 1, "after": 0},
            "fictional": {"files": 1, "before": 0, "after": 1},
        },
        "learning_curve": [],
        "no_learning_curve": "Each side has one source only.",
    } | changes


def test_the_page_says_what_was_gained_and_puts_the_worst_file_first() -> None:
    page = adaptation.render(told(), FILES, ["c.mp4: no video"])
    assert "AUROC 0.500 before and 1.000 by a new layer" in page
    assert page.index("b.mp4") < page.index("a.mp4")
    assert "<li>c.mp4: no video</li>" in page
    assert page == adaptation.render(told(), FILES, ["c.mp4: no video"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"rendered_files": 2},
            "2 files that a computer rendered, by the column rendered, counted nothing, and were "
            "left out, as in the training of the detector.",
        ),
        (
            {"rendered_files": 1, "rendered_weight": 0.25},
            "1 file that a computer rendered, by the column rendered, counted 0.25 times as much "
            "as others, as in the training of the detector.",
        ),
        ({"known_files": ["a"]}, "1 file was left out because training had it, to the last bit"),
        ({"known_files": ["a", "b"]}, "2 files were left out because training had them"),
    ],
)
def test_files_that_count_otherwise_are_told_of(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in adaptation.render(told(**changes), FILES, [])
    assert sentence not in adaptation.render(told(), FILES, [])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            gain(-0.1, -0.2, -0.05),
            "Sources that it has not seen are ranked worse by a new layer than by that before: "
            "the AUROC changes by \N{MINUS SIGN}0.100 (\N{MINUS SIGN}0.200 to "
            "\N{MINUS SIGN}0.050).",
        ),
        (
            gain(0.1, -0.05, 0.25),
            "No gain is shown: the AUROC changes by +0.100 (\N{MINUS SIGN}0.050 to +0.250), and "
            "the interval holds 0.",
        ),
        (gain(0.1, None, None), "No gain is shown: of +0.100 no interval is known."),
        (gain(0.0, None, None), "No gain is shown: the AUROC is the same."),
    ],
)
def test_without_a_gain_the_page_says_first_that_the_layer_before_was_kept(
    changes: dict[str, Any], sentence: str
) -> None:
    page = adaptation.render(told(layer=adaptation.SHIFTED, gain={"all": changes}), FILES, [])
    assert "<h1>No gain is shown: " in page
    assert f'<p class="warning">{sentence} So the layer before was kept' in page
    assert "The weights have the layer before, with a constant added" in page
    taken = adaptation.render(told(gain={"all": changes}), FILES, [])
    assert f'<p class="warning">{sentence} The weights in this folder have a new layer' in taken
    shown = adaptation.render(told(), FILES, [])
    assert "<h1>A gain is shown: " in shown
    assert "+0.500 (+0.250 to +0.750)" in shown
    assert "were kept" not in shown


def test_what_is_taken_wrongly_is_counted_before_and_after() -> None:
    page = adaptation.render(told(), FILES, [])
    assert (
        "0 of 1 fictional file was taken for real before and 1 is after; 1 of 1 real file was "
        "taken for fictional before and 0 are after."
    ) in page


@pytest.mark.parametrize(
    ("sources", "says"), [(1, "1 source is fewer than 20"), (2, "2 sources are fewer than 20")]
)
def test_few_sources_are_told_of_in_grammar(sources: int, says: str) -> None:
    assert says in adaptation.render(told(sources=sources), FILES, [])


def test_a_page_without_a_judgement_has_no_table_of_it() -> None:
    page = adaptation.render(
        told(before={}, sources_left_out={}, gain={}, layer=adaptation.UNCHANGED), FILES, []
    )
    assert "gain cannot be judged, and the layer is as it was" in page
    assert "The weights have the layer before, unchanged." in page
    assert "AUROC before" not in page


def test_the_plot_has_a_mark_for_each_point_that_there_is() -> None:
    points = [
        point(0, "all", 0.5, 0.25, 0.75),
        point(4, "all", 1.0, 1.0, 1.0),
        # Of the films none was held out in the draws of the largest number.
        point(0, "film", 0.0, 0.0, 0.0),
    ]
    drawn = str(adaptation._plot(points))
    assert drawn.count("<circle") == 3
    assert drawn.count("<polyline") == 2
    assert not re.search("nan|inf|None", drawn)
    heights = [float(one) for one in re.findall(r'cy="([^"]*)"', drawn)]
    assert heights == [150.0, 14.0, 286.0]


def test_a_row_of_the_curve_says_how_many_draws_it_rests_on() -> None:
    page = adaptation.render(told(learning_curve=[point(4, "film", 0.5, 0.25, 0.75)]), FILES, [])
    assert "<td>1 real and 1 other files of 1 source, in 2 draws</td>" in page


def test_no_point_gives_no_plot() -> None:
    assert adaptation._plot([]) == ""
