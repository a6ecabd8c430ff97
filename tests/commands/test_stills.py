"""Stills, in banks and looked up in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.commands import bank, match
from pipeline.config import App
from pipeline.copies import banks, stills
from tests.commands.test_match import told
from tests.conftest import compose_below
from tests.made import grey, scene, write_video

RATE = 15
# Three scenes of four seconds; the second one begins at 4 s.
SEEDS = (1, 2, 3)


@cache
def video() -> np.ndarray:
    frames = np.concatenate([scene(seed, 60, 120, 160) for seed in SEEDS])
    frames.setflags(write=False)
    return frames


def write_still(path: Path, picture: np.ndarray, *options: int) -> Path:
    """Write an RGB picture as its suffix says."""
    assert cv2.imwrite(str(path), np.ascontiguousarray(picture[:, :, ::-1]), options)
    return path


def as_shown_elsewhere(picture: np.ndarray) -> np.ndarray:
    """Half as large."""
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(half)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a bank of a video and one of a still; leave it as it is."""
    folder = tmp_path_factory.mktemp("stills")
    write_video(folder / "attack.mp4", video(), rate=RATE)
    # A copy of its second at 5.0 s.
    write_still(folder / "still.jpg", video()[75])
    for name, file in (("videos", "attack.mp4"), ("stills", "still.jpg")):
        bank.run("add", name, str(folder / file), cfg=compose_below(folder, "bank", "label=first"))
    return folder


@pytest.fixture
def known(added: Path, tmp_path: Path) -> Path:
    shutil.copytree(added, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_stills_of_a_known_video_are_found_at_their_second(
    known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    small = as_shown_elsewhere(video()[100])
    quality = cv2.IMWRITE_JPEG_QUALITY, 40
    paths = [
        write_still(known / "a.jpg", small, *quality),
        write_still(known / "b.jpg", small[:, ::-1], *quality),
        write_still(known / "c.png", video()[100]),
        write_still(known / "d.webp", small),
        # Bars are no part of the picture.
        write_still(known / "e.jpg", np.pad(video()[100], ((30, 30), (0, 0), (0, 0)))),
    ]
    code, lines, err = told(capsys, compose("match", "bank=videos", "format=json"), *paths)
    assert (code, err) == (match.FOUND, "")
    for path, line in zip(paths, lines, strict=True):
        (found,) = line["matches"]
        assert (line["file"], found["item"], found["by"]) == (str(path), 1, "still")
        assert found["nearest_s"] == pytest.approx(100 / RATE, abs=0.3)
        # The camera moves: it is of a part of its scene alone, which is from 4 to 8 s.
        assert 4 <= found["item_start_s"] <= found["nearest_s"] <= found["item_end_s"] < 8
        assert found["item_end_s"] - found["item_start_s"] < 3
        assert (found["start_s"], found["end_s"]) == (None, None)
        assert found["mirrored"] == (path.name == "b.jpg")
        assert found["distance"] <= 16
        assert not {"speed", "offset_s", "median_distance", "num_frames"} & found.keys()
    _, (line,), _ = told(capsys, compose("match", "bank=videos"), paths[1])
    assert line.startswith(f"{paths[1]}: videos item 1 (attack.mp4, label first): shows ")
    assert ", mirrored; one picture alone, distance " in line
    assert line.endswith(": 361 in a million others are within 31 (95 %: 0 to 1,207)")


def test_a_video_is_found_by_a_banked_still_at_its_second(
    known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    other = scene(9, 60, 120, 160)
    shown = np.concatenate([other, np.repeat(video()[75:76, :, ::-1], 45, 0), other])
    path = write_video(known / "b.mp4", shown, rate=RATE)
    code, (line,), _ = told(capsys, compose("match", "bank=stills", "format=json"), path)
    (found,) = line["matches"]
    assert (code, found["by"], found["mirrored"]) == (match.FOUND, "still", True)
    assert (found["start_s"], found["end_s"], found["num_near"]) == (4.0, 6.0, 3)
    assert (found["item_start_s"], found["item_end_s"]) == (None, None)
    assert 4 <= found["nearest_s"] <= 6
    # A place where it is shown again is another one.
    again = write_video(known / "c.mp4", np.concatenate([shown, shown]), rate=RATE)
    _, (line,), _ = told(capsys, compose("match", "bank=stills", "format=json"), again)
    assert sorted(one["start_s"] for one in line["matches"]) == [4.0, 15.0]
    _, lines, _ = told(capsys, compose("match", "bank=stills"), path)
    assert "4.0 to 6.0 s show this picture, nearest at " in lines[0]


def test_stills_are_found_by_stills_and_what_is_no_copy_by_none(
    known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = known / "pictures"
    folder.mkdir()
    write_still(folder / "a.jpg", as_shown_elsewhere(video()[75]))
    write_still(folder / "b.jpg", scene(7, 1, 120, 160)[0])
    write_still(folder / "black.png", grey([0])[0])
    code, (copy, other, black), err = told(capsys, compose("match", "bank=stills"), folder)
    assert (code, err) == (match.FOUND, "")
    assert "stills item 1 (still.jpg, label first): shows this picture; one picture" in copy
    assert other == f"{folder / 'b.jpg'}: no match"
    assert black.endswith("no match; its pictures are too flat to be looked up")
    code, _, _ = told(capsys, compose("match"), folder / "b.jpg")
    assert code == match.NOT_FOUND


def test_a_still_is_added_with_its_hashes_and_a_flat_one_matches_by_its_bytes(
    known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    flat = write_still(known / "flat.png", grey([90])[0])
    bank.run("add", "stills", str(flat), str(known / "still.jpg"), cfg=compose("bank"))
    lines = capsys.readouterr().out.splitlines()
    assert "0 hashes of pictures" in lines[1]
    assert "too flat to be hashed" in lines[1]
    assert "the same bytes as stills item 1" in lines[0]
    held = banks.read(known / "banks", "stills")
    assert [(one.num_hashes, one.num_parts, one.duration_s) for one in held.items.values()] == [
        (1, 0, 0.0),
        (0, 0, 0.0),
    ]
    assert held.hashes["quality"][0] >= 50
    assert len(held.items[1].sha256) == 64
    assert len(held.items[1].md5) == 32
    black = write_video(known / "flat.mp4", grey([90] * 30), rate=RATE)
    assert told(capsys, compose("match"), black)[0] == match.NOT_FOUND
    assert told(capsys, compose("match"), flat)[1][0].endswith(": the same bytes")


def test_what_a_negative_bank_has_as_a_still_does_not_count(
    known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    bank.run("add", "harmless", str(known / "still.jpg"), cfg=compose("bank", "negative=true"))
    shown = write_video(
        known / "shown.mp4", np.repeat(video()[75:76], 45, 0), rate=RATE, options={"crf": "30"}
    )
    small = write_still(known / "small.jpg", as_shown_elsewhere(video()[75]))
    capsys.readouterr()
    for path in (shown, small):
        code, (line,), _ = told(capsys, compose("match", "format=json"), path)
        assert code == match.NOT_FOUND, path
        assert {one["bank"] for one in line["matches"]} == {"videos", "stills", "harmless"}
        for one in line["matches"]:
            assert (one["set_aside"] is None) == (one["bank"] == "harmless"), one


def test_the_stated_rate_is_the_published_one() -> None:
    path = Path("docs/results/benchmarks/false_matches.json")
    (table, _) = json.loads(path.read_text())["tables"]
    (row,) = [
        dict(zip(table["columns"], row, strict=True))
        for row in table["rows"]
        if row[:3] == ["others", "whole pictures", 10_000_000] and row[4] == stills.MAX_DISTANCE
    ]
    assert row["a million"] == f"{stills.FALSE_IN_A_MILLION:,}"
    lowest, highest = stills.FALSE_IN_A_MILLION_95
    assert row["95 % over recordings"] == f"{lowest:,} to {highest:,}"
