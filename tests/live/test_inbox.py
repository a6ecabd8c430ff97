from __future__ import annotations

import threading
import time

import numpy as np

from pipeline.live.inbox import Bell, IdleSecond, Inbox, Item, StreamChange, WaitingClip
from pipeline.live.messages import StreamClip


def clip(at_s: float, due: float | None = None) -> WaitingClip:
    pixels, sound = np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, np.int16)
    return WaitingClip(StreamClip(at_s, pixels, sound, "absent", (), ""), at_s, due)


def taken(inbox: Inbox) -> list[Item]:
    return list(iter(inbox.take, None))


def test_of_too_many_clips_the_oldest_go_and_are_counted() -> None:
    inbox = Inbox(2, Bell(), drops=True)
    started, waiting = StreamChange("stream.started"), IdleSecond(3.0)
    items = [started, clip(1), clip(2), waiting, clip(3), StreamChange("stream.ended"), clip(4)]
    for item in items:
        inbox.put(item)
    # What is told of a stream is never dropped, and stays in its place.
    assert taken(inbox) == [started, waiting, items[4], items[5], items[6]]
    assert (inbox.num_dropped, inbox.num_taken) == (2, 2)


def test_where_nothing_is_dropped_who_puts_waits_for_room() -> None:
    inbox = Inbox(2, Bell(), drops=False)
    clips = [clip(number) for number in range(6)]

    def fill() -> None:
        for one in clips:
            inbox.put(one)

    thread = threading.Thread(target=fill)
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    found: list[Item] = []
    while len(found) < 6:
        found += taken(inbox)
    thread.join(timeout=60)
    assert found == clips
    assert inbox.num_dropped == 0


def test_nobody_waits_for_room_in_an_inbox_that_is_closed() -> None:
    inbox = Inbox(1, Bell(), drops=False)
    inbox.put(clip(1))
    thread = threading.Thread(target=inbox.put, args=(clip(2),))
    thread.start()
    inbox.close()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_how_late_a_clip_is_grows_while_it_waits() -> None:
    one = clip(1, time.monotonic() - 2)
    first = one.lag_s
    time.sleep(0.05)
    assert first is not None
    assert one.lag_s is not None
    assert 2 <= first < one.lag_s
    assert clip(1).lag_s is None
    assert clip(1, time.monotonic() + 5).lag_s == 0
