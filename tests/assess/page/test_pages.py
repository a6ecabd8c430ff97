from __future__ import annotations

import jinja2
import pytest
from markupsafe import Markup

from pipeline.assess.page import pages


def shown(value: object) -> str:
    return pages.environment().from_string("{{ value }}").render(value=value)


def test_text_is_escaped_hides_nothing_and_ends() -> None:
    assert shown("<b>\u202e") == "&lt;b&gt;\\u202e"
    assert len(shown("a" * 100_000)) == 1200


def test_markup_of_our_own_stays_as_it_is() -> None:
    assert shown(Markup("<b>" + "a" * 2000)) == "<b>" + "a" * 2000


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        pages.environment().from_string("{{ value }}").render()


def test_files_beside_the_templates_are_taken_in_whole() -> None:
    assert pages.part("report.css").endswith("}\n")
