"""Sound and pictures whose stamps part while they are sent side by side."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest

from pipeline.live.messages import StreamClip
from pipeline.live.skew import Skew
from pipeline.live.soundness import Soundness
from tests.live.test_decoder import through_pipes
from tests.live.test_soundness import FRAMES, SOUND
from tests.made import scene

FPS, RATE = 10, 8000


def followed(late: float, seconds: float = 120.0, *, pause: bool = False) -> list[float | None]:
    """What is known every second, of sound that loses so many seconds of each."""
    skew, found = Skew(), []
    for number in range(round(seconds * 25)):
        at_s = number / 25
        # Packets of sound hold more than a picture's time.
        heard_s = (at_s // 0.064) * 0.064
        if pause:
            heard_s = min(heard_s, 40.0) if at_s < 80 else heard_s
        skew.push(at_s, heard_s * (1 - late) - 0.3)
        if number % 25 == 24:
            found.append(skew.late_s)
    return found


def test_stamps_that_part_are_followed_and_others_are_level() -> None:
    level, slow = followed(0.0), followed(0.01)
    assert level[9] is None
    assert level[-1] == pytest.approx(0.0, abs=0.01)
    assert slow[-1] == pytest.approx(1.1, abs=0.1)
    assert followed(-0.01)[-1] == pytest.approx(-1.1, abs=0.1)


def test_a_pause_of_the_sound_is_no_drift() -> None:
    told = followed(0.0, pause=True)
    assert max(abs(one) for one in told if one is not None) < 0.1


def stamped(seconds: int, heard_share: float) -> bytes:
    """A stream whose sound is stamped as if that share of its time had gone by."""
    data, pictures = io.BytesIO(), scene(0, seconds * FPS)
    noise = np.random.default_rng(0).normal(0, 3000, (1, RATE)).astype(np.int16)
    options = {"max_interleave_delta": "1"}
    with av.open(data, "w", format="mpegts", options=options) as target:
        video: Any = target.add_stream("libx264", rate=FPS, options={"bf": "0", "g": "10"})
        video.height, video.width = pictures.shape[1:3]
        sound: Any = target.add_stream("aac", rate=RATE, layout="mono")
        for second in range(seconds):
            for number in range(second * FPS, (second + 1) * FPS):
                frame = av.VideoFrame.from_ndarray(pictures[number], format="rgb24")
                target.mux(video.encode(frame))
                part = noise[:, : RATE // FPS]
                heard = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                heard.sample_rate, heard.pts = RATE, number * RATE // FPS
                for packet in sound.encode(heard):
                    packet.pts = packet.dts = round(packet.pts * heard_share)
                    target.mux(packet)
    return data.getvalue()


@pytest.mark.parametrize(("heard_share", "late_s"), [(1.0, None), (0.95, 0.75)])
def test_a_camera_whose_clocks_part_is_an_event(heard_share: float, late_s: float | None) -> None:
    soundness, told = Soundness(10.0), []
    for one in through_pipes(stamped(30, heard_share)):
        if isinstance(one, StreamClip):
            end_s = one.start_s + 0.5
            told += [turn] if (turn := soundness.take(one, one.start_s, end_s)) else []
    drifts = [data for kind, data in told if kind == "sound.drifted"]
    assert len(drifts) == len(told)
    if late_s is None:
        assert drifts == []
    else:
        assert drifts[-1]["late_s"] == pytest.approx(late_s, abs=0.3)
        assert len(drifts) >= 2


def test_what_was_told_is_told_anew_after_a_reconnect() -> None:
    soundness = Soundness(10.0)
    clips = [0.0, 0.3, 0.3, None, 0.3]
    told = []
    for second, drift_s in enumerate(clips):
        clip = StreamClip(second, FRAMES, SOUND, "present", (), "", drift_s=drift_s)
        told.append(soundness.take(clip, float(second), second + 1.0))
    said = ("sound.drifted", {"at_s": 2.0, "late_s": 0.3})
    assert told == [None, said, None, None, ("sound.drifted", {"at_s": 5.0, "late_s": 0.3})]
