"""Templates of every page, which trust no text of an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.system.visible_text import plain

TEMPLATES = Path(__file__).parent / "templates"
"""The folder of all templates, also of those in Markdown."""
_MOST_CHARACTERS = 1200


def environment() -> jinja2.Environment:
    """The templates; what they show is escaped, hides nothing and ends, but for our own markup."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def part(name: str) -> str:
    """The text of a file beside the templates that pages take in whole, such as `report.css`."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _readable(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value, _MOST_CHARACTERS)
    return value
