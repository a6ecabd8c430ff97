from __future__ import annotations

import html
import json
import re

import pytest

from pipeline.assess.oversight.markdown import block, bullets, render, safe, table

EVIL = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[click](javascript:alert(1))",
    "![](http://example.invalid/pixel)",
    "a | b | c",
    "`code` ``more``",
    "$\\int$ {{ site.secret }} {% raw %}",
    "**bold** _it_ ~~gone~~",
    "&lt;script&gt;",
]


@pytest.mark.parametrize("text", EVIL)
def test_nothing_special_is_left_unescaped(text: str) -> None:
    shown = safe(text)
    assert not re.search(r"[<>\"'{}]", shown)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|~$]", shown)
    undone = html.unescape(re.sub(r"\\([\\`*_\[\]|~$])", r"\1", shown))
    assert undone == text


def test_lines_and_turned_text_cannot_leave_their_place() -> None:
    assert safe("a\n# b\u202e") == r"a\\u000a# b\\u202e"
    assert safe("x" * 1000, 10) == "x" * 9 + "\u2026"


def test_a_table_keeps_its_columns_whatever_stands_in_it() -> None:
    text = table(["A", "B"], [[safe("x | y"), safe("z\n")]])
    lines = text.splitlines()
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)\|", lines[2])) == 3


def test_what_is_empty_says_so() -> None:
    assert table(["A"], []) == "None."
    assert bullets([]) == "None."


def test_a_block_cannot_be_ended_from_within() -> None:
    values = {"name": "```\n</code><script>&"}
    text = block(values)
    assert text.count("```") == 2
    assert "<" not in text
    assert json.loads(text.removeprefix("```json\n").removesuffix("```")) == values


@pytest.mark.parametrize("text", EVIL)
def test_a_heading_of_a_document_is_shown_as_text(text: str) -> None:
    gone = dict.fromkeys(("classes", "sources", "left_out", "proofs", "licences"), "")
    data = {"num_files": 1, "num_recordings": 1, "num_clips": 1, "copies": None, "sounds": {}}
    clip = {"num_frames": 16, "fps": 15.0, "size": 96}
    values = {"heading": text, "gaps": [text], "data": data, "clip": clip, "num_variants": 0}
    shown = render("datasheet.md.j2", **values, **gone)
    assert shown.startswith(f"# Datasheet: {safe(text)}\n")
    assert f"\n- {safe(text)}\n" in shown
    assert "gave 1 clips of 1.07 s. A recording is" in shown
