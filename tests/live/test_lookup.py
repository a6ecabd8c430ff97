from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.commands import bank
from pipeline.copies import banks, flood
from pipeline.copies.banks import RECORD, SOUND_RECORD
from pipeline.copies.chromaprint import ITEM_S
from pipeline.errors import UserError
from pipeline.footage.printing import PrintTask, hash_file
from pipeline.live import lookup
from pipeline.live.decoder import DecodingTask, decoded
from pipeline.live.lookup import Banks, StreamLookup
from pipeline.live.messages import Prints
from tests.learn.toy import FORMAT
from tests.live.made import LIMITS, kinds, watched, write_footage, write_model
from tests.made import scene, write_video, write_with_sound


def prints_of(path: Path) -> Prints:
    """All that a decoder tells banks of a file."""
    found = [
        one for one in decoded(DecodingTask(path, FORMAT, LIMITS, 4096, True), None)
        if isinstance(one, Prints)
    ]  # fmt: skip
    # They come while it is decoded.
    assert len(found) > 2
    return Prints(
        tuple(one for part in found for one in part.pictures),
        tuple(one for part in found for one in part.sounds),
        tuple(one for part in found for one in part.narrow),
    )


def pictures(*seeds: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Four seconds of each of some scenes, at 15 pictures a second."""
    return np.concatenate([scene(seed, 60, *size) for seed in seeds])


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of banks: one of them holds a video of twelve seconds."""
    from tests.conftest import compose_below

    folder = tmp_path_factory.mktemp("known")
    path = write_video(folder / "attack.mp4", pictures(1, 2, 3), rate=15)
    bank.run("add", "attacks", str(path), cfg=compose_below(folder, "bank", "label=first"))
    return folder / "banks"


def shown(path: Path, frames: np.ndarray) -> list[Prints]:
    """What comes of pictures, second by second."""
    found = prints_of(write_video(path, frames, rate=15))
    return [Prints((one,), ()) for one in found.pictures]


def test_a_stream_is_told_by_the_hashes_of_a_file(tmp_path: Path) -> None:
    letterboxed = np.pad(pictures(5, 6), ((0, 0), (24, 24), (0, 0), (0, 0)))
    sound = np.random.default_rng(0).normal(0, 0.1, (1, 48_000 * 8))
    sound[:, 48_000 * 3 : 48_000 * 5] = 0
    path = write_with_sound(tmp_path / "a.mkv", letterboxed, sound, codec="flac", fps=15)
    whole, found = hash_file(PrintTask(path, 1.0, False, LIMITS)), prints_of(path)
    assert [round(1000 * at_s) for at_s, _ in found.pictures] == whole.times_ms.tolist()
    assert [one for _, one in found.pictures] == [one.tobytes() for one in whole.hashes[:, 0]]
    assert len(found.pictures) > 8
    # The last seconds of a track are known to files alone.
    num = len(found.sounds)
    assert num > (8 - 2 - 2.7 - 2.5) / ITEM_S - 16
    assert [item for _, item in found.sounds] == whole.sounds[:num].tolist()
    num_narrow = len(found.narrow)
    assert [item for _, item in found.narrow] == whole.narrow_sounds[:num_narrow].tolist()
    assert num_narrow > 0
    assert found.narrow != found.sounds
    times_ms = np.array([1000 * at_s for at_s, _ in found.sounds])
    assert np.abs(times_ms - whole.sound_times_ms[:num]).max() <= 1


def test_an_item_is_found_within_seconds_and_told_once(tmp_path: Path, known: Path) -> None:
    frames = np.concatenate([pictures(7, 8), pictures(1, 2, 3)[15:], pictures(9)])
    found = StreamLookup(Banks(known, ["attacks"], known / "work"))
    parts = shown(tmp_path / "a.mp4", frames)
    told = [
        (part.pictures[0][0], one) for part in parts for one in found.take(part, 100.0, waits=True)
    ]
    ((at_s, data),) = told
    assert at_s <= 8 + 3
    assert (data["bank"], data["item"], data["label"]) == ("attacks", 1, "first")
    assert (data["name"], data["by"], data["mirrored"]) == ("attack.mp4", "pictures", False)
    assert data["start_s"] == pytest.approx(108.0, abs=0.1)
    assert data["offset_s"] == pytest.approx(1 - 108.0, abs=0.3)
    # The same at another time is another match.
    again = [one for part in parts for one in found.take(part, 200.0, waits=True)]
    assert [one["offset_s"] for one in again] == [pytest.approx(1 - 208.0, abs=0.3)]


def test_what_is_in_no_bank_is_not_found_and_what_is_held_does_not_grow(
    tmp_path: Path, known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "WINDOW_S", 5.0)
    found = StreamLookup(Banks(known, ["attacks"], known / "work"))
    for part in shown(tmp_path / "a.mp4", pictures(7, 8, 9)):
        assert found.take(part, 0.0, waits=True) == []
    assert len(found._shown.pictures.prints) == 6
    # A clock that goes back is not followed, and nothing that was before stays.
    assert found.take(Prints(((3.0, bytes(32)),), ()), 0.0, waits=True) == []
    assert len(found._shown.pictures.prints) == 6


def test_known_sound_is_found_within_nine_seconds_and_told_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sounds = np.zeros(300, SOUND_RECORD)
    sounds["time_ms"] = np.rint(1000 * ITEM_S * np.arange(300))
    sounds["print"] = rng.integers(0, 2**32, 300)
    with banks.writing(tmp_path, "b", create=True) as writer:
        writer.add("a.mp4", "song", "0" * 64, "0" * 32, 40.0, np.zeros(0, RECORD), sounds)
    found, told = StreamLookup(Banks(tmp_path, ["b"], tmp_path)), []
    # Other sound, two minutes of it, and then the item from its hundredth moment on.
    items = [*rng.integers(0, 2**32, 970).tolist(), *sounds["print"][100:].tolist()]
    for first in range(0, len(items), 16):
        part = [(at * ITEM_S, items[at]) for at in range(first, min(first + 16, len(items)))]
        new = found.take(Prints((), tuple(part)), 50.0, waits=True)
        told += [(50.0 + part[-1][0] + ITEM_S, one) for one in new]
    ((at_s, data),) = told
    begins_s = 50.0 + 970 * ITEM_S
    assert at_s - begins_s < 9
    assert (data["by"], data["label"]) == ("sound", "song")
    assert data["start_s"] == pytest.approx(begins_s, abs=0.7)
    assert data["offset_s"] == pytest.approx(100 * ITEM_S - begins_s, abs=0.2)
    assert len(found._shown.sounds.prints) < 500
    assert json.loads(json.dumps(data)) == data


def test_sound_that_lost_its_low_notes_is_found_by_a_narrow_band(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole, narrow, harmless = (np.zeros(300, SOUND_RECORD) for _ in range(3))
    for records in (whole, narrow, harmless):
        records["time_ms"] = np.rint(1000 * ITEM_S * np.arange(300))
        records["print"] = rng.integers(0, 2**32, 300)
    told = "a.mp4", "song", "0" * 64, "0" * 32, 40.0, np.zeros(0, RECORD)
    with banks.writing(tmp_path, "b", create=True) as writer:
        writer.add(*told, whole, narrow=narrow)
    with banks.writing(tmp_path, "n", create=True) as writer:
        writer.make_negative()
        writer.add(*told, harmless, narrow=narrow[:100])

    def heard(first: int) -> list[dict[str, Any]]:
        found, told = StreamLookup(Banks(tmp_path, ["b", "n"], tmp_path)), []
        for at in range(0, 100, 20):
            part = tuple((number * ITEM_S, number) for number in range(at, at + 20))
            items = tuple((at_s, int(narrow["print"][first + number])) for at_s, number in part)
            # All sound is another one from its tenth moment on, and was silent before.
            prints = Prints((), tuple(one for one in part if one[1] >= 10), items)
            told += found.take(prints, 7.0, waits=True)
        return told

    (data,) = heard(150)
    assert (data["by"], data["narrow"]) == ("sound", True)
    assert data["start_s"] == pytest.approx(7.0, abs=0.01)
    assert data["offset_s"] == pytest.approx(150 * ITEM_S - 7.0, abs=0.01)
    assert heard(0) == []


def stills_of(root: Path, *hashes: bytes) -> None:
    """A bank of stills, of one hash each."""
    for one in hashes:
        records: Any = np.zeros(1, RECORD)
        records["pdq"], records["quality"] = np.frombuffer(one, np.uint8), 100
        records["mirror"] = ~records["pdq"]
        with banks.writing(root, "stills", create=True) as writer:
            writer.add("a.jpg", "still", "", "", 0.0, records, np.zeros(0, SOUND_RECORD))


def test_a_still_is_told_once_a_while_and_never_what_is_not_near(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    still, mirrored = (bytes(rng.integers(0, 256, 32, np.uint8)) for _ in range(2))
    stills_of(tmp_path, still, bytes(255 - value for value in mirrored))
    found = StreamLookup(Banks(tmp_path, ["stills"], tmp_path))
    shown = {**dict.fromkeys(range(20, 31), still), 40: still, 200: mirrored, 210: still}
    told = []
    for at in range(300):
        one = shown.get(at, bytes(rng.integers(0, 256, 32, np.uint8)))
        told += [(at, data) for data in found.take(Prints(((at, one),), ()), 100.0, waits=True)]
    assert [(at, one["item"], one["mirrored"]) for at, one in told] == [
        (20, 1, False),
        (200, 2, True),
        (210, 1, False),
    ]
    (_, data), *_ = told
    assert (data["by"], data["distance"], data["start_s"]) == ("still", 0, 120.0)
    assert (data["nearest_s"], data["item_start_s"]) == (120.0, None)
    assert data["false_in_a_million"] > 0
    assert not {"offset_s", "speed", "median_distance"} & data.keys()
    assert json.loads(json.dumps(data)) == data


def test_a_still_is_told_from_the_first_picture_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    still, *others = (bytes(rng.integers(0, 256, 32, np.uint8)) for _ in range(6))
    stills_of(tmp_path, still)
    found = StreamLookup(Banks(tmp_path, ["stills"], tmp_path))
    # What comes after a stream was gone begins anew.
    for start_s in (0, 1000):
        found.restart()
        shown = enumerate([still, *others], start_s)
        told = [found.take(Prints((one,), ()), 0.0, waits=True) for one in shown]
        assert [len(one) for one in told] == [1, 0, 0, 0, 0, 0]


def test_who_has_no_turn_looks_up_more_the_next_time(tmp_path: Path, known: Path) -> None:
    opened = Banks(known, ["attacks"], known / "work")
    found, parts = StreamLookup(opened), shown(tmp_path / "a.mp4", pictures(1, 2))
    with opened.lock:
        assert [found.take(part, 0.0, waits=False) for part in parts[:7]] == [[]] * 7
    # The picture that comes last need not be near: those that were not looked up are.
    flat = Prints(((7.0, bytes(32)),), ())
    (told,) = found.take(flat, 0.0, waits=False)
    assert told["num_frames"] == 7


def test_what_is_known_to_be_harmless_and_what_matches_everything_is_not_told(
    tmp_path: Path, known: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacks = banks.read(known, "attacks")
    (item,) = attacks.items.values()
    records = attacks.hashes_of(item)
    shutil.copytree(known / "attacks", tmp_path / "attacks")
    with banks.writing(tmp_path, "harmless", create=True) as writer:
        writer.make_negative()
        # The first eight of its twelve seconds are of something harmless.
        told = "b.mp4", "film", "1" * 64, "1" * 32, 8.0
        early = records[records["time_ms"] < 8000].copy()
        writer.add(*told, early, np.zeros(0, SOUND_RECORD))
    parts = shown(tmp_path / "a.mp4", pictures(1, 2, 3))
    names = ["attacks", "harmless"]

    def found() -> list[float]:
        looked = StreamLookup(Banks(tmp_path, names, tmp_path / "work"))
        return [part.pictures[0][0] for part in parts for _ in looked.take(part, 0.0, waits=True)]

    # What goes on beyond it counts.
    (at_s,) = found()
    assert 8 <= at_s <= 10
    (tmp_path / "work").mkdir()
    state = {"suspended": {flood.key_of("attacks", item): "it matches everything"}}
    (tmp_path / "work" / "flood.json").write_text(json.dumps(state))
    assert found() == []
    # Nobody looks at length for what is not told.
    opened = Banks(tmp_path, names, tmp_path / "work")
    monkeypatch.setattr(lookup.matching, "stretches", None)
    looked = StreamLookup(opened)
    assert [one for part in parts for one in looked.take(part, 0.0, waits=True)] == []


def test_an_item_that_is_added_meanwhile_is_found(
    tmp_path: Path, compose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_LOOK_EVERY_S", 0.0)
    first = write_video(tmp_path / "first.mp4", pictures(11), rate=15)
    second = write_video(tmp_path / "second.mp4", pictures(12), rate=15)
    bank.run("add", "b", str(first), cfg=compose("bank"))
    opened = Banks(tmp_path / "banks", ["b"], tmp_path)
    parts = shown(tmp_path / "a.mp4", pictures(12))
    assert [one for part in parts for one in StreamLookup(opened).take(part, 0.0, waits=True)] == []
    bank.run("add", "b", str(second), cfg=compose("bank"))
    found = StreamLookup(opened)
    told = [one for part in parts for one in found.take(part, 0.0, waits=True)]
    assert [one["name"] for one in told] == ["second.mp4"]
    # A bank that is damaged meanwhile costs nobody the state before.
    path = tmp_path / "banks" / "b" / "hashes.bin"
    path.write_bytes(os.urandom(path.stat().st_size))
    with (tmp_path / "banks" / "b" / "items.jsonl").open("ab") as file:
        file.write(b"{")
    assert StreamLookup(opened).take(parts[0], 0.0, waits=True) == []
    assert len(opened.now()[0].bank.items) == 2


def test_a_known_video_in_a_stream_is_an_event(
    tmp_path: Path, compose: Callable[..., Any], capsys: pytest.CaptureFixture[str], known: Path
) -> None:
    write_model(tmp_path / "models")
    path = write_footage(tmp_path / "a.mp4", 60, 120)
    bank.run("add", "own", str(path), cfg=compose("bank"))
    again = write_footage(tmp_path / "b.mkv", 60, 120, video_codec="mpeg4")
    both = ("replay=true", "speed=max", "threshold=1")
    events = watched(capsys, compose, again, *both, "banks=[own]")
    (match,) = [one for one in events if one["type"] == "match.found"]
    assert kinds(events)[0] == "stream.started"
    assert kinds(events)[-1] == "stream.ended"
    assert (match["subject"], match["data"]["name"]) == ("b.mkv", "a.mp4")
    assert match["data"]["offset_s"] == pytest.approx(0, abs=0.3)
    assert match["data"]["address"] == "b.mkv"
    other = watched(capsys, compose, again, *both, f"paths.banks={known}", "banks=[attacks]")
    assert kinds(other) == ["stream.started", "stream.ended"]
    with pytest.raises(UserError, match="no bank 'other'"):
        watched(capsys, compose, again, *both, "banks=[other]")
