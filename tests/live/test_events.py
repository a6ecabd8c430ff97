from __future__ import annotations

import json

from pipeline.commands.watch import name_of
from pipeline.live.events import Event, Events, line


def test_half_a_letter_costs_no_event() -> None:
    # Names of files may hold it, and what a decoder says.
    told: list[Event] = []
    Events([told.append]).tell("stream.ended", name_of("a\udcff.mp4"), {"detail": "b\udcff"})
    data = json.loads(line(told[0]).encode())["data"]
    assert data == {"stream": "a?.mp4", "detail": "b?"}
