"""Holds the pages together: every link and anchor resolves, and every page is found."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from pipeline import app
from pipeline.commands.line import COMMANDS
from pipeline.commands.score import file_access
from pipeline.config import ScoreApp, WatchApp
from pipeline.detect.scores import FILES, LONG, SCORES, VALIDATION
from pipeline.footage import remedies, stills
from pipeline.footage.collection import COLUMNS
from pipeline.store.manifest import EVERY_SPLIT

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def anchors(text: str) -> set[str]:
    """The anchors of headings that GitHub and mkdocs make alike."""
    headings = [re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", h) for h in _HEADING.findall(text)]
    github = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    plain = [unicodedata.normalize("NFKD", h).encode("ascii", "ignore").decode() for h in headings]
    mkdocs = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", h).strip().lower()) for h in plain}
    return github & mkdocs


def broken(page: Path, root: Path) -> list[str]:
    """The links of a page that lead to no file or heading of the repository."""
    found = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        whole = target.is_relative_to(root) and target.exists()
        if not whole or (anchor and anchor not in anchors(prose(target))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, ROOT) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Two words\n\n## `code` and more\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#two-words) [c](other.md#code-and-more) [d](https://example.org)"
        "\n```\n[not read](nowhere.md)\n```\n"
        "[1](gone.md) [2](other.md#three-words) ![3](gone.png) [4](#here) [5](../outside.md)\n"
    )
    outside = ["gone.md", "other.md#three-words", "gone.png", "#here", "../outside.md"]
    assert broken(page, tmp_path) == outside


def test_the_readme_fits_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 180
    linked = {link.partition("#")[0] for link in _LINK.findall(text)}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= linked


def test_the_walk_fits() -> None:
    assert len((DOCS / "architecture.md").read_text().splitlines()) <= 100


def test_the_site_has_every_page() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = {name for entry in site["nav"] for name in entry.values()}
    assert named == {page.name for page in DOCS.glob("*.md")} | {"index.md", "contributing.md"}


def test_every_picture_is_shown() -> None:
    shown = " ".join(page.read_text() for page in PAGES)
    pictures = [path for path in DOCS.rglob("*") if path.suffix in {".jpg", ".png", ".svg"}]
    assert [path.name for path in pictures if path.name not in shown] == []


_CODE = re.compile(r"`([^`\n]+)`")
_MADE = ("data/", "models", "probes/", "reports", "footage/", ".work/", "docs/results/", "suites/")


def missing_modules(text: str) -> list[str]:
    """The modules and folders of code that a text names and that are not there."""
    named = {name for name in _CODE.findall(text) if re.fullmatch(r"[\w./]+(\.py|/)", name)}
    known = [ROOT, ROOT / "pipeline", ROOT / "benchmarks"]
    return sorted(
        name
        for name in named
        if not any((folder / name).exists() for folder in known) and not name.startswith(_MADE)
    )


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_module_that_is_named_is_there(page: str) -> None:
    assert missing_modules((ROOT / page).read_text()) == []


def test_a_module_that_is_gone_is_found() -> None:
    named = "`footage/collection.py` `learn/encoders/` `footage_of_old/gone.py` `data/clips/`"
    assert missing_modules(named) == ["footage_of_old/gone.py"]


def unknown_settings(text: str) -> list[str]:
    """The settings that a text names, as `conf/train.yaml: model.name`, and that there are not."""
    unknown = []
    for stage, key in re.findall(r"conf/(\w+)\.yaml: ?([a-z_][\w.]*)", text):
        values: object = app.compose(stage)
        for name in key.rstrip(".").split("."):
            if not hasattr(values, name):
                unknown.append(f"{stage}: {key}")
                break
            values = getattr(values, name)
    return unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_is_one(page: Path) -> None:
    assert unknown_settings(page.read_text()) == []


@pytest.mark.parametrize(("page", "kind"), [("live.md", WatchApp), ("scoring.md", ScoreApp)])
def test_every_key_of_a_command_is_told_with_its_default(page: str, kind: type) -> None:
    told = re.findall(r"^\| `(\w+)` \| `([^`]*)` \| ", (DOCS / page).read_text(), re.MULTILINE)
    keys = {f.name: f for f in fields(kind) if f.name not in {"paths", "run", "ingest"}}
    own = {
        name: f.default_factory() if callable(f.default_factory) else f.default
        for name, f in keys.items()
    }
    texts = {n: one if isinstance(one, str) else json.dumps(one) for n, one in own.items()}
    assert dict(told) == texts


def test_a_setting_that_is_gone_is_found() -> None:
    assert unknown_settings("conf/train.yaml: model.name conf/split.yaml:seed=1") == []
    assert unknown_settings("conf/train.yaml:model.nome=1") == ["train: model.nome"]


def test_every_reason_to_reject_a_file_has_its_remedy() -> None:
    section = (DOCS / "footage.md").read_text().split("\n## Rejects\n")[1].split("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    # Of a file that is missing, scoring names the listing where the page names the index.
    assert told == file_access.REMEDIES | stills.REMEDIES | remedies._REMEDIES


def test_every_column_of_an_index_is_told() -> None:
    section = (DOCS / "footage.md").read_text().split("\n## The index\n")[1].split("\n## ")[0]
    first = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    assert {name for cell in first for name in _CODE.findall(cell)} == set(COLUMNS)


def test_every_split_and_every_table_of_a_report_is_told() -> None:
    text = (DOCS / "evaluation.md").read_text()
    judged = text.split("## What is judged")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", judged, re.MULTILINE)) == set(EVERY_SPLIT)
    assert [name for name in (SCORES, FILES, VALIDATION, LONG) if f"`{name}`" not in text] == []


def test_every_command_is_told() -> None:
    pages = " ".join(page.read_text() for page in PAGES)
    known = [name for name in COMMANDS if f" {name}" not in pages]
    assert known == []
