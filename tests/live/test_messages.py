from __future__ import annotations

import json
import threading
from multiprocessing import Pipe
from typing import Any

import numpy as np
import pytest

from pipeline.live.messages import (
    BrokenDecoder,
    DecoderEnd,
    Faults,
    Heading,
    Message,
    Prints,
    SkippedPictures,
    StreamClip,
    receive,
    send,
)
from pipeline.store.sound import num_samples
from tests.learn.toy import FORMAT, toy_clip

LENGTH = num_samples(FORMAT.num_frames, FORMAT.fps)


@pytest.mark.parametrize(
    "message",
    [
        Heading("mpegts", "h264", 640, 360, None),
        Heading("flv", "h264", 640, 360, 29.97),
        SkippedPictures(1.5, "black"),
        Prints(((0.5, bytes(range(32))), (1.5, bytes(32))), ((0.124, 2**32 - 1),), ((0.248, 7),)),
        Faults({"InvalidDataError": 3}),
        DecoderEnd("clock", "…"),
    ],
)
def test_what_is_sent_is_received(message: Message) -> None:
    here, there = Pipe(duplex=False)
    send(there, message)
    assert receive(here, FORMAT) == message


def test_prints_that_no_message_holds_come_in_several() -> None:
    here, there = Pipe(duplex=False)
    sent = Prints(
        tuple((float(number), bytes([number % 256] * 32)) for number in range(900)),
        tuple((float(number), number) for number in range(1100)),
        tuple((float(number), number) for number in range(1200)),
    )
    threading.Thread(target=send, args=(there, sent)).start()
    found = [receive(here, FORMAT) for _ in range(3)]
    assert tuple(one for part in found for one in part.__dict__["pictures"]) == sent.pictures
    assert tuple(one for part in found for one in part.__dict__["sounds"]) == sent.sounds
    assert tuple(one for part in found for one in part.__dict__["narrow"]) == sent.narrow


def test_a_clip_is_received_as_it_was_sent() -> None:
    here, there = Pipe()
    sound = np.arange(LENGTH, dtype=np.int16)
    sent = StreamClip(2.5, toy_clip(1, 1), sound, "quiet", ("damaged", "short"), "gap", True, 0.5)

    threading.Thread(target=send, args=(there, sent)).start()
    found = receive(here, FORMAT)
    assert isinstance(found, StreamClip)
    assert np.array_equal(found.frames, sent.frames)
    assert np.array_equal(found.sound, sound)
    assert found.frames.flags.writeable
    assert (found.sound_is_late, found.drift_s) == (True, 0.5)
    assert (found.start_s, found.presence, found.marks, found.begins) == (
        2.5,
        "quiet",
        ("damaged", "short"),
        "gap",
    )


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x80\x04",
        b"[]",
        b"{}",
        b'{"kind": "Other"}',
        b'{"kind": "SkippedPictures", "end_s": NaN, "reason": "black"}',
        b'{"kind": "SkippedPictures", "end_s": "1", "reason": "black"}',
        b'{"kind": "Heading", "container": 1, "codec": 2, "width": 1e999, "height": 1, "fps": 1}',
        b'{"kind": "DecoderEnd"}',
        b'{"kind": "Prints", "pictures": [[0.5, "00ff"]], "sounds": []}',
        b'{"kind": "Prints", "pictures": [], "sounds": [[Infinity, 1]]}',
        b'{"kind": "Prints", "pictures": 3, "sounds": []}',
        b'{"kind": "Faults", "codes": {"a b": 1}}',
        b'{"kind": "Faults", "codes": {"a": -1}}',
        b"[" * 60_000,
    ],
)
def test_what_no_decoder_sends_is_told_as_such(head: bytes) -> None:
    here, there = Pipe(duplex=False)
    there.send_bytes(head)
    with pytest.raises(BrokenDecoder):
        receive(here, FORMAT)


@pytest.mark.parametrize(
    ("changes", "sound"),
    [
        ({"presence": "loud"}, LENGTH),
        ({"start_s": float("inf")}, LENGTH),
        ({"marks": 3}, LENGTH),
        ({}, LENGTH - 1),
    ],
)
def test_a_clip_of_another_form_is_told_as_such(changes: dict[str, Any], sound: int) -> None:
    here, there = Pipe()
    values = {"kind": "StreamClip", "start_s": 0.0, "presence": "absent", "marks": [], "begins": ""}
    there.send_bytes(json.dumps(values | changes).encode())

    def send_arrays() -> None:
        there.send_bytes(toy_clip(1, 1).tobytes())
        there.send_bytes(bytes(2 * sound))

    threading.Thread(target=send_arrays, daemon=True).start()
    with pytest.raises(BrokenDecoder):
        receive(here, FORMAT)
