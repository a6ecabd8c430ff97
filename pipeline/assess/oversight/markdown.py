"""Markdown in which foreign text stays text, also where a viewer takes it for HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.assess.page.pages import TEMPLATES
from pipeline.system.visible_text import plain

MAX_TEXT, MAX_SENTENCE = 300, 1_000
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_ADDRESS = re.compile(r"(?i)https?://|ftp://|mailto:|www\\?\.")
_BRACES = str.maketrans({"{": "&#123;", "}": "&#125;"})


def render(template: str, **values: Any) -> str:
    """A document of a template; what it shows is `safe`, but for what functions here made.

    The filters `sentence` and `bullets` leave foreign text `MAX_SENTENCE` characters, and `block`
    shows values as JSON.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        # Entities are for HTML: `safe` escapes what Markdown reads as well.
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "sentence": lambda text: Markup(safe(text, MAX_SENTENCE)),
        "bullets": bullets,
        "block": block,
    }
    return environment.get_template(template).render(values)


def safe(text: str, limit: int = MAX_TEXT) -> str:
    """Text of any origin, for the middle of a line or a cell of a table.

    Tags, entities, emphasis, links, pictures, formulas and templates are shown as they are written.
    """
    escaped = html.escape(plain(text, limit))
    shown = _SPECIAL.sub(r"\\\1", escaped).translate(_BRACES)
    # Viewers make links of bare addresses.
    return _ADDRESS.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;"), shown)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table of cells that are safe already; a word that says so where there is no row."""
    if not rows:
        return Markup("None.")
    assert all(len(row) == len(columns) for row in rows)
    lines = [columns, ["---"] * len(columns), *rows]
    return Markup("\n".join(f"| {' | '.join(line)} |" for line in lines))


def bullets(lines: Sequence[str]) -> Markup:
    """A list of sentences of any origin."""
    return Markup("\n".join(f"- {safe(line, MAX_SENTENCE)}" for line in lines) or "None.")


def block(values: Any) -> Markup:
    """Values as JSON in a block of code that nothing in them can end."""
    text = json.dumps(values, indent=2, sort_keys=True)
    for character in "<>&`":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f"```json\n{text}\n```")


def _shown(value: Any) -> Any:
    return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value
