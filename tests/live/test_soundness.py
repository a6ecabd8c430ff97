from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.live.messages import StreamClip
from pipeline.live.soundness import Soundness
from tests.live.made import watched, write_model
from tests.made import scene, write_with_sound

FRAMES, SOUND = np.zeros((3, 8, 8, 3), np.uint8), np.zeros(4, np.int16)


def told(presences: list[str], *, late: bool = False) -> list[tuple[str, Mapping[str, Any]]]:
    """What is told of clips of a second each."""
    soundness, found = Soundness(10.0), []
    for second, presence in enumerate(presences):
        clip = StreamClip(
            float(second), FRAMES, SOUND, presence, (), "", late and presence == "absent"
        )
        if turn := soundness.take(clip, float(second), second + 1.0):
            found.append(turn)
    return found


def test_ten_minutes_of_silence_are_told_once_and_so_is_their_end() -> None:
    assert told(["present"] * 20 + ["silent"] * 600 + ["present"] * 30) == [
        ("sound.lost", {"at_s": 20.0, "reason": "silent"}),
        ("sound.recovered", {"at_s": 620.0, "lost_s": 600.0}),
    ]


@pytest.mark.parametrize("reason", ["absent", "quiet", "damaged"])
def test_sound_that_is_gone_for_good_is_told_with_what_there_is_instead(reason: str) -> None:
    found = told(["present"] * 3 + [reason] * 900)
    assert found == [("sound.lost", {"at_s": 3.0, "reason": reason})]


def test_a_pause_and_a_stream_that_never_had_sound_are_nothing() -> None:
    assert told((["incomplete"] + ["quiet"] * 9) * 5) == []
    assert told(["absent"] * 600) == []
    # What was never lost cannot come back.
    assert told(["absent"] * 600 + ["present"] * 5) == []


def test_sound_that_lags_behind_its_pictures_is_late_and_not_absent() -> None:
    found = told(["present"] * 5 + ["absent"] * 20 + ["present"], late=True)
    assert found == [
        ("sound.lost", {"at_s": 5.0, "reason": "late"}),
        ("sound.recovered", {"at_s": 25.0, "lost_s": 20.0}),
    ]


def test_silence_in_a_track_is_an_event_and_the_detector_goes_on(
    tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "models")
    frames = np.concatenate([scene(number, 90) for number in range(4)])
    sound = np.random.default_rng(0).normal(0, 0.1, (1, 48_000 * 12))
    sound[:, 48_000 * 3 : 48_000 * 9] = 0.0
    path = write_with_sound(tmp_path / "a.mkv", frames, sound, codec="flac")
    own = ("replay=true", "speed=max", "threshold=0.001", "silent_after_s=2")
    events = watched(capsys, compose, path, *own)
    turns = [one for one in events if not one["type"].startswith("alert.")]
    assert [one["type"] for one in turns] == [
        "stream.started",
        "sound.lost",
        "sound.recovered",
        "stream.ended",
    ]
    lost, recovered = (one["data"] for one in turns[1:3])
    assert lost["reason"] == "silent"
    assert lost["at_s"] == pytest.approx(3.0, abs=1.1)
    assert recovered["lost_s"] == pytest.approx(6.0, abs=2.2)
