from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.assess.evidence import (
    STATES,
    Cell,
    Examined,
    Figure,
    Gallery,
    ProtectedPreview,
    Section,
    Table,
    Verdict,
)
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.page import contents
from pipeline.assess.results import write_results
from pipeline.assess.settings import JudgingSettings
from pipeline.detect.files import file_table
from pipeline.detect.operating_point import OperatingPoint
from pipeline.errors import UserError
from pipeline.footage.collection import IndexRow
from tests.assess import toy

HOSTILE = "<script>alert(1)</script><img src=https://example.com/x.png onerror=alert(2)>"
SETTINGS = JudgingSettings(toy.FEW_RESAMPLES, num_bins=5, num_mistakes=2, previews="protected")
PROVENANCE = contents.Provenance(
    config=f"collection: {HOSTILE}\n",
    model_card=json.dumps({"architecture": "</pre>" + HOSTILE}),
    learned=f"The origin was learned from {HOSTILE}",
    data_sha256={"test": "d" * 64},
    weights_sha256="a" * 64,
)
HOSTILE_SOURCES = (
    *toy.SOURCES[:3],
    toy.Source(HOSTILE, "film", 0, 2, authority=HOSTILE),
)


def split(name: str, sources: tuple[toy.Source, ...]) -> JudgedSet:
    table = toy.scored(sources, split=name, skill=0.8)
    return JudgedSet(name, f"What {name} is", table, toy.clip, "d" * 64)


def suites(text: str = "plain") -> list[Examined]:
    """A suite with every kind of panel and verdict, whose words are `text`."""
    verdicts = [Verdict(state, state, f"{text} is {state}") for state in STATES]
    table = Table(
        f"Table of {text}",
        ("Name", "Value"),
        [[Cell(text), Cell("2.0", "soft " + text, 2.0)], [Cell("b"), Cell("10", sort=10.0)]],
        caption=text,
    )
    spec = {"data": [{"x": [1, 2], "y": [3, 4]}], "layout": {"height": 200}}
    picture = ProtectedPreview("data:image/gif;base64,R0lGODlhAQABAAAAACw=", text, text, 96, 96)
    section = Section(
        lead=text,
        verdicts=verdicts,
        panels=[table, Figure(text, spec, text), Gallery(text, [picture], text)],
        metrics={"answer": 42},
        plots={"curve.csv": (("x", "y"), [(1, 0.5), (2, None)])},
        rows={"rows.parquet": pa.table({"x": [1, 2]})},
    )
    return [Examined("floors", text, section)]


def write(
    folder: Path,
    *scored: JudgedSet,
    heading: str = "Evaluation",
    found: Sequence[Examined] = (),
    **changed: object,
) -> str:
    folder.mkdir()
    changed = {"val": None, "settings": SETTINGS} | changed
    evidence = dataclasses.replace(toy.evidence(), judged_sets=scored, **changed)
    write_results(folder, heading, evidence, [], found, PROVENANCE)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report") / "out"
    parts = split("test", HOSTILE_SOURCES), split("unseen", toy.SOURCES)
    return write(folder, *parts, found=suites(HOSTILE))


class Page(HTMLParser):
    """Tags with their attributes, and what stands in scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = tag == "script"
        if self._script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[-1] += data


def test_what_an_index_says_is_text_and_never_markup(page: str) -> None:
    parsed = Page(page)
    assert page.count("&lt;script&gt;alert(1)") > 3
    assert not any("alert(1)" in script and "</script" in script for script in parsed.scripts)
    assert not any("onerror" in attributes for _, attributes in parsed.tags)
    # One for Plotly, one of our own, one for the slider, and one a figure.
    assert len(parsed.scripts) == 3 + page.count('class="plot"')


def test_text_of_an_index_hides_nothing_and_ends(tmp_path: Path) -> None:
    huge = "\u202eevil" + "x" * 1_000_000
    parts = split("test", (*toy.SOURCES[:3], toy.Source(huge, "film", 0, 2, authority=huge)))
    page = write(tmp_path / "out", parts, found=suites(huge))
    assert "\u202e" not in page
    assert "\\u202eevil" in page
    assert len(page) < 7_000_000


def test_what_looks_like_a_formula_is_text_in_a_spreadsheet(tmp_path: Path) -> None:
    write(tmp_path / "out", split("test", (*toy.SOURCES[:3], toy.Source(" =1+1", "film", 0, 2))))
    text = (tmp_path / "out" / "plots" / "test" / "sources.csv").read_text()
    assert "\n' =1+1," in text


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    parsed = Page(page)
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name) or "data:"
            assert value.startswith(("data:", "#")), (tag, attributes)
    policy = next(a["content"] for t, a in parsed.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert policy.count("'sha256-") == 2
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_plotly_is_embedded_once(page: str) -> None:
    assert page.count("* plotly.js v") == 1


def test_figures_are_valid_and_hold_no_markup_of_others(page: str) -> None:
    bodies = re.findall(r'<script type="application/json" id="([\w-]+)-data">(.*?)</script>', page)
    assert {name for name, _ in bodies} == {
        *("roc", "precision-recall", "reliability", "sources", "false-alarms"),
        *("scores-0", "scores-1", "floors-1", "threshold"),
    }
    for name, body in bodies:
        assert "<" not in body
        if name == "threshold":
            continue
        go.Figure(json.loads(body))
        assert "<script" not in json.dumps(json.loads(body))


def test_the_page_names_what_it_was_made_from_and_what_was_rendered(page: str) -> None:
    for digest in ("a" * 64, "d" * 64):
        assert digest in page
    assert "No attack was in this test" in page
    assert "in the ViZDoom engine" in page


def test_the_same_scores_give_the_same_bytes(tmp_path: Path, page: str) -> None:
    parts = split("test", HOSTILE_SOURCES), split("unseen", toy.SOURCES)
    assert write(tmp_path / "again", *parts, found=suites(HOSTILE)) == page


def test_a_suite_is_a_section_of_metrics_plots_and_rows(tmp_path: Path) -> None:
    write(tmp_path / "out", split("test", toy.SOURCES), found=suites())
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    found = metrics["suites"]["floors"]
    assert found["answer"] == 42
    assert found["verdicts"]["red"] == {"state": "red", "says": "plain is red"}
    headline = json.loads((tmp_path / "out" / "headline.json").read_text())
    assert headline["verdicts"] == {"red": 1, "amber": 1, "grey": 1, "green": 1}
    folder = tmp_path / "out" / "suites" / "floors"
    assert (folder / "curve.csv").read_text() == "x,y\n1,0.5\n2,\n"
    assert pq.read_table(folder / "rows.parquet")["x"].to_pylist() == [1, 2]


def counted_from(page: str) -> list[list[str]]:
    """The files that each section of a page says it was counted from."""
    lines = re.findall(r'<p class="soft rows">(.*?)</p>', page)
    return [re.findall(r"<code>(.*?)</code>", line) for line in lines]


def test_a_section_names_the_files_that_it_was_counted_from_and_they_are_there(
    tmp_path: Path,
) -> None:
    rows = {"own.parquet": pa.table({"x": [1]})}
    every = ("scores.parquet", "files.parquet", "validation.parquet")
    sections = [
        Section("", [], rows=rows),
        Section("", [], tables=every, beyond=f"More of {HOSTILE}."),
    ]
    found = [Examined(f"s{i}", "S", section) for i, section in enumerate(sections)]
    val = split("val", toy.SOURCES)
    page = write(tmp_path / "out", split("test", toy.SOURCES), found=found, val=val)
    named = counted_from(page)
    assert named == [
        ["scores.parquet", "suites/s0/own.parquet"],
        ["scores.parquet", "validation.parquet"],
    ]
    assert "More of &lt;script&gt;" in page
    assert all((tmp_path / "out" / name).is_file() for names in named for name in names)


def test_without_validation_there_is_no_table_of_it(tmp_path: Path) -> None:
    found = [Examined("s", "S", Section("", [], tables=("scores.parquet", "validation.parquet")))]
    page = write(tmp_path / "out", split("test", toy.SOURCES), found=found)
    assert not (tmp_path / "out" / "validation.parquet").exists()
    assert counted_from(page) == [["scores.parquet"]]


@pytest.mark.parametrize(
    ("smoothing", "at", "says"),
    [
        (None, 500, "It starts at 0.5, since there is no operating point."),
        ("none", 877, "It starts at the operating point, which validation chose"),
        ("mean_3", 500, "the operating point, 0.877, is a threshold of the mean of the last 3"),
    ],
)
def test_the_slider_says_where_it_starts(
    smoothing: str | None, at: int, says: str, tmp_path: Path
) -> None:
    point: OperatingPoint | str = "none was chosen"
    if smoothing:
        record = {"threshold": 0.8767, "smoothing": smoothing, "refractory_s": 60.0}
        point = OperatingPoint(record)
    page = write(tmp_path / "out", split("test", toy.SOURCES), point=point)
    assert f'step="1" value="{at}"' in page
    assert says in page


def test_a_collection_without_shootings_and_with_rejects_has_a_page(tmp_path: Path) -> None:
    table = toy.scored((toy.Source("phone", "real", 0, 3), toy.Source("doom", "game", 1, 1)))
    paths = [*sorted(set(table["path"].to_pylist())), "phone/broken.mp4"]
    index = [
        IndexRow(path, "real" if "phone" in path else "game", "s", False, "CC0-1.0", recording=path)
        for path in paths
    ]
    files = file_table(index, table, [], {}, {})
    page = write(
        tmp_path / "out", JudgedSet("home", "Files", table, toy.clip, "d" * 64, files=files)
    )
    assert "Of 5 files without a real shooting" in page
    assert "1 of 6 files could not be judged" in page
    assert "phone/broken.mp4" in page
    assert "No alert threshold was applied to the files: no validation" in page
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["judged_sets"]["home"]["num_rejected"] == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *(
            "metrics.json",
            "headline.json",
            "scores.parquet",
            "files.parquet",
            "plots",
            "report.html",
        ),
    }


@pytest.mark.parametrize("change", [{"num_bins": 1}, {"previews": "raw"}, {"num_mistakes": -1}])
def test_settings_that_make_no_sense_are_named(change: dict[str, object]) -> None:
    with pytest.raises(UserError, match=f"evaluate.yaml: {next(iter(change))} is"):
        dataclasses.replace(SETTINGS, **change)


def test_faults_of_sections_stand_under_the_verdict_and_lead_to_them(tmp_path: Path) -> None:
    good = Examined("slices", "Slices", Section("", [Verdict("a", "green", "Good.")]))
    found = [*suites("Floors: who"), good]
    page = write(tmp_path / "out", split("test", toy.SOURCES), found=found)
    line = page.partition("</h1>")[2].partition("</p>")[0]
    assert "1 of 2 sections found a fault" in line
    assert '<a href="#suite-floors">Floors</a>' in line
    assert "Slices" not in line
    without = write(tmp_path / "good", split("test", toy.SOURCES), found=[good])
    assert "None of 1 section found a fault." in without


def test_a_number_that_the_data_cannot_support_makes_room_for_one_that_it_can(
    tmp_path: Path,
) -> None:
    page = write(tmp_path / "out", split("test", toy.SOURCES))
    cards = page.partition('aria-label="Key numbers"')[2].partition("</section>")[0]
    labels = re.findall(r"<h2[^>]*>(.*?)</h2>", cards)
    # Fewer than 100 clips are no shooting.
    assert labels == [
        "Real footage told from games and films themselves (AUROC)",
        "AUROC",
        "Real told from fictional (AUROC)",
    ]
    assert '<div class="value">\u2013' not in cards
    assert "needs 1,000 negatives" in page.partition("<h2>All numbers</h2>")[2]


def test_every_table_of_numbers_can_be_sorted(page: str) -> None:
    titles = re.findall(r'aria-label="([^"]*)"><table class="sortable">', page)
    assert {"Is it a real shooting?", "Each source, unseen: is it a real shooting?"} < set(titles)
    assert {"AUROC of P(real) between groups of origins", "Sources and classes"} < set(titles)
