from __future__ import annotations

import pytest

from pipeline.system.visible_text import plain


def test_ordinary_words_of_any_script_stay_as_they_are() -> None:
    for text in ("bodycam-alpha", "Überwachung 3", "監視カメラ", "كاميرا", "<b>&'\"|`$=1+1", ""):
        assert plain(text, 100) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\rc\td\0", r"a\u000ab\u000dc\u0009d\u0000"),
        ("mp4\u202eexe.", r"mp4\u202eexe."),
        ("\u2066x\u2069 \u200f\u200b\ufeff", r"\u2066x\u2069 \u200f\u200b\ufeff"),
        ("line\u2028end\u2029", r"line\u2028end\u2029"),
        ("\ud800 \U000e0041 \ue000", r"\ud800 \U000e0041 \ue000"),
        ("\x1b[31mred", r"\u001b[31mred"),
    ],
)
def test_what_has_no_shape_is_shown_as_its_number(text: str, shown: str) -> None:
    assert plain(text, 100) == shown


def test_huge_text_is_cut_to_the_limit_and_says_so() -> None:
    assert plain("a" * 10_000_000, 5) == "aaaa\u2026"
    assert plain("abcde", 5) == "abcde"
    assert plain("ab", 1) == "\u2026"


def test_a_cut_never_halves_an_escape() -> None:
    for limit in range(1, 20):
        shown = plain("a\u202e\u202eb\u202e", limit)
        assert len(shown) <= limit
        assert shown.removesuffix("\u2026").replace(r"\u202e", "").strip("ab") == ""
