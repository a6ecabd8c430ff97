from __future__ import annotations

import pytest

from pipeline.errors import UserError
from pipeline.live.endings import Endings
from tests.live.shown import event


def ended(stream: str, reason: str, detail: str = "") -> dict[str, object]:
    return event("stream.ended", stream, reason=reason, detail=detail)


def test_a_watch_of_which_nothing_could_be_watched_has_failed() -> None:
    endings = Endings()
    endings.check()
    for name in "abcde":
        endings.take(event("stream.lost", name, reason="not_found"))
        endings.take(ended(name, "not_found", "HTTP 404"))
    with pytest.raises(UserError, match=r"a: not_found \(HTTP 404\); b.*; c.*; and 2 more; docs"):
        endings.check()


@pytest.mark.parametrize("good", ["began", "end", "stopped"])
def test_one_that_was_watched_black_or_taken_out_is_enough(good: str) -> None:
    endings = Endings()
    endings.take(ended("a", "refused"))
    if good == "began":
        endings.take(event("stream.started", "b"))
    endings.take(ended("b", "timeout" if good == "began" else good))
    endings.check()
