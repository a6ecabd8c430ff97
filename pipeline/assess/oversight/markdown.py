"""Markdown in which foreign text stays text, also where a viewer takes it for HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

from pipeline.assess.page.untrusted import plain

MAX_TEXT = 300
_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_ADDRESS = re.compile(r"(?i)https?://|ftp://|mailto:|www\\?\.")
_BRACES = str.maketrans({"{": "&#123;", "}": "&#125;"})


def safe(text: str, limit: int = MAX_TEXT) -> str:
    """Text of any origin, for the middle of a line or a cell of a table.

    Tags, entities, emphasis, links, pictures, formulas and templates are shown as they are written.
    """
    escaped = html.escape(plain(text, limit))
    shown = _SPECIAL.sub(r"\\\1", escaped).translate(_BRACES)
    # Viewers make links of bare addresses.
    return _ADDRESS.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;"), shown)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are safe already; a line that says so where there is no row."""
    if not rows:
        return "None.\n"
    assert all(len(row) == len(columns) for row in rows)
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def bullets(lines: Sequence[str]) -> str:
    """A list of lines that are safe already."""
    return "".join(f"- {line}\n" for line in lines) or "None.\n"


def section(title: str, *paragraphs: str) -> str:
    """A heading of the second level with what stands below it."""
    return "\n".join([f"## {title}\n", *(f"{paragraph.strip()}\n" for paragraph in paragraphs)])


def block(values: Any) -> str:
    """Values as JSON in a block of code that nothing in them can end."""
    text = json.dumps(values, indent=2, sort_keys=True)
    for character in "<>&`":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"```json\n{text}\n```\n"
