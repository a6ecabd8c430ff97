"""The report in a browser: no request, no error, everything can be used by everybody."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import browser
from tests.assess.page.test_report import HOSTILE, HOSTILE_SOURCES, split, suites, write
from tests.assess.toy import SOURCES
from tests.browser import browsing

pytestmark = pytest.mark.browser
AMID_ROC = """(() => {
  const place = document.getElementById("roc");
  const [axes, line] = [place._fullLayout, place._fullData.find((one) => one.hoverinfo !== "skip")];
  const at = Math.floor(line.x.length / 2);
  const box = place.querySelector(".nsewdrag").getBoundingClientRect();
  return [box.x + axes.xaxis.d2p(line.x[at]), box.y + axes.yaxis.d2p(line.y[at])];
})()"""
"""Where in the window the middle point of the first curve is."""
WIDTHS = """() => {
  const width = (one) => one.getBoundingClientRect().width;
  return Object.fromEntries([...document.querySelectorAll(".plot")].map((place) => [
    place.id, [width(place.querySelector(".main-svg")), width(place)]
  ]));
}"""
"""By the name of a figure, how wide its drawing and its place are."""
WATCH_PRINTING = f"""() => {{
  const widths = {WIDTHS};
  addEventListener("beforeprint", () => window.printed = widths());
  addEventListener("afterprint", () => window.after = widths());
}}"""
"""Note what the page has drawn when it is printed, and when that is over."""
PAPER_WIDTH = round(277 / 25.4 * 96)
"""What the page's margins leave of a sheet, in CSS pixels."""


@dataclasses.dataclass
class Visit:
    """An open page with what it asked for and complained about since."""

    page: Any
    requests: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "out"
    parts = split("test", HOSTILE_SOURCES), split("unseen", SOURCES)
    write(folder, *parts, found=suites(HOSTILE))
    return folder / "report.html"


in_light = pytest.mark.parametrize("visit", ["light"], indirect=True)
"""For what no colour has a part in."""


@pytest.fixture(params=["light", "dark"])
def visit(request: pytest.FixtureRequest, chromium: Any, report_file: Path) -> Iterator[Visit]:
    with visiting(chromium, report_file, request.param) as seen:
        yield seen


@pytest.fixture(params=["light", "dark"])
def real_visit(
    request: pytest.FixtureRequest, chromium: Any, whole_project: Path
) -> Iterator[Visit]:
    """A page that all suites filled from stages that really ran."""
    with visiting(chromium, whole_project / "reports" / "report.html", request.param) as seen:
        yield seen


@contextlib.contextmanager
def visiting(chromium: Any, report_file: Path, scheme: str) -> Iterator[Visit]:
    """Open a page in Chromium, in one colour scheme."""
    complaints, requests = list[str](), list[str]()
    with browsing(chromium, scheme, complaints, requests, reduced_motion="reduce") as page:
        page.goto(report_file.as_uri())
        yield Visit(page, requests, complaints)


def unfold(visit: Visit) -> None:
    """Open whatever is folded away."""
    closed = visit.page.locator("details:not([open]) > summary")
    while closed.count():
        closed.first.click()


def outside(visit: Visit) -> list[str]:
    """What the page asked for beyond itself."""
    return [url for url in visit.requests if not url.startswith(("data:", "blob:"))][1:]


def violations(visit: Visit) -> list[tuple[str, list[str]]]:
    """What an accessibility checker finds on the page with everything open."""
    unfold(visit)
    return browser.violations(visit.page)


def test_it_opens_from_disk_without_a_request_or_an_error(visit: Visit, report_file: Path) -> None:
    assert visit.requests[0] == report_file.as_uri()
    assert outside(visit) == []
    assert visit.complaints == []
    plots = visit.page.locator(".plot").count()
    assert plots == visit.page.locator(".plot.js-plotly-plot").count() > 3


def test_it_passes_an_accessibility_checker(visit: Visit) -> None:
    assert violations(visit) == []


@in_light
def test_the_slider_moves_the_confusion_of_every_part(visit: Visit) -> None:
    slider, rows = visit.page.locator("#threshold"), visit.page.locator("#slider tr[data-part]")

    def numbers(row: int) -> list[str]:
        return [str(text) for text in rows.nth(row).locator("td.n").all_text_contents()]

    slider.fill("0")
    # Everything is an alert: 20 clips are shootings of 8 recordings and 35 or more others.
    assert [numbers(row)[1] for row in range(2)] == ["0", "0"]
    assert all(numbers(row)[4:] == ["100.0 %", "100.0 %"] for row in range(2))
    slider.fill("1000")
    assert all(numbers(row)[0] == "0" and numbers(row)[2] == "0" for row in range(2))
    slider.fill("500")
    before = numbers(0)
    slider.focus()
    visit.page.keyboard.press("PageDown")
    assert numbers(0) != before
    assert visit.page.locator("#threshold-shown").text_content() != "0.500"


@in_light
def test_tables_sort_by_number_and_say_so(visit: Visit) -> None:
    unfold(visit)
    table = visit.page.locator("#suite-floors table.sortable")
    header = table.locator("th").nth(1)

    def column() -> list[str]:
        return [str(t)[:2] for t in table.locator("tbody td:nth-child(2)").all_text_contents()]

    header.locator("button").focus()
    visit.page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert column() == ["10", "2."]
    visit.page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert column() == ["2.", "10"]


@in_light
def test_a_figure_that_was_folded_away_has_the_width_of_its_place(visit: Visit) -> None:
    plot = visit.page.locator("#floors-1")
    visit.page.locator("#suite-floors summary").click()
    visit.page.wait_for_function(
        "document.querySelector('#floors-1 .main-svg').getBoundingClientRect().width > 200"
    )
    place, drawing = plot.bounding_box(), plot.locator(".main-svg").first.bounding_box()
    assert drawing["width"] == pytest.approx(place["width"], abs=2)


def test_the_theme_can_be_changed(visit: Visit) -> None:
    def paper() -> str:
        return str(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    before, label = paper(), visit.page.locator("#theme").text_content()
    visit.page.locator("#theme").click()
    assert paper() != before
    assert visit.page.locator("#theme").text_content() != label


@in_light
def test_it_can_be_read_on_a_phone(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 360, "height": 740})
    visit.page.reload()
    unfold(visit)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
def test_a_whole_report_asks_for_nothing_and_passes_the_checker(real_visit: Visit) -> None:
    assert real_visit.page.locator("section.suite").count() == 12
    assert violations(real_visit) == []
    plots = real_visit.page.locator(".plot").count()
    assert plots == real_visit.page.locator(".plot.js-plotly-plot").count() > 10
    assert outside(real_visit) == []
    assert real_visit.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("real_visit", ["light"], indirect=True)
def test_a_figure_of_a_whole_report_tells_values_where_one_points(real_visit: Visit) -> None:
    real_visit.page.locator("#roc").scroll_into_view_if_needed()
    real_visit.page.mouse.move(*real_visit.page.evaluate(AMID_ROC))
    real_visit.page.wait_for_selector("#roc .hoverlayer .hovertext")
    assert real_visit.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("real_visit", "window_width"), [("light", 500), ("dark", 1300)], indirect=["real_visit"]
)
def test_a_whole_report_is_printed_with_everything_open_and_figures_in_their_places(
    real_visit: Visit, window_width: int
) -> None:
    page = real_visit.page
    page.set_viewport_size({"width": window_width, "height": 800})
    page.evaluate(WATCH_PRINTING)
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert page.locator("details.fold:not([open])").count() == 0
    printed, after = page.evaluate("printed"), page.evaluate("after")
    page.set_viewport_size({"width": PAPER_WIDTH, "height": 800})
    page.emulate_media(media="print")
    on_paper = {name: place for name, (_, place) in page.evaluate(WIDTHS).items()}
    assert len(on_paper) > 10
    assert min(on_paper.values()) > 200
    assert {name: drawing for name, (drawing, _) in printed.items()} == approx_pixels(on_paper)
    in_window = {name: place for name, (_, place) in after.items()}
    assert max(in_window.values()) < window_width
    assert {name: drawing for name, (drawing, _) in after.items()} == approx_pixels(in_window)
    assert outside(real_visit) == []
    assert real_visit.complaints == []


def approx_pixels(widths: dict[str, float]) -> Any:
    """Equal but for rounding."""
    return pytest.approx(widths, abs=2)
