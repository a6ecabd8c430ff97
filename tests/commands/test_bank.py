from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.commands import bank, printed_files
from pipeline.config import App
from pipeline.copies import banks
from pipeline.errors import UserError
from tests.made import grey, scene, write_video, write_with_sound


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with two videos, one of them too flat to be hashed, and what lies beside them."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    write_video(folder / "b.mp4", scene(0, 30), rate=15)
    write_video(folder / "more" / "a.mp4", grey([90] * 30), rate=15)
    (folder / "index.csv").write_text("path\n")
    (folder / ".hidden.mp4").write_text("")
    return folder


def test_a_bank_is_filled_listed_and_shown(
    tmp_path: Path,
    videos: Path,
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bank.run("add", "mine", str(videos), cfg=compose("bank"))
    added = capsys.readouterr().out.splitlines()
    assert added[0].startswith(f"{videos / 'b.mp4'}: mine item 1 (b.mp4, label mine), 2.0 s, ")
    assert added[1].endswith(
        "0 hashes of pictures, 0 of sound; its pictures are too flat to be hashed, and its sound, "
        "if it has any, is too short or hardly changes: only equal bytes match"
    )
    assert added[2] == f"{tmp_path / 'banks' / 'mine'}: 2 items added"
    bank.run("add", "mine", str(videos / "b.mp4"), cfg=compose("bank", "label=other"))
    again = capsys.readouterr().out.splitlines()
    assert again == [
        f"{videos / 'b.mp4'}: the same bytes as mine item 1 (b.mp4, label mine)",
        f"{tmp_path / 'banks' / 'mine'}: 0 items added",
    ]
    bank.run("list", cfg=compose("bank"))
    num_hashes = len(banks.read(tmp_path / "banks", "mine").hashes)
    assert num_hashes >= 8
    assert (
        capsys.readouterr().out
        == f"mine: 2 items, 4.0 s, {num_hashes} hashes of pictures, 0 of sound\n"
    )
    bank.run("show", "mine", cfg=compose("bank"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(
        f"1  b.mp4  label mine  2.0 s, {num_hashes} hashes of pictures, 0 of sound  SHA-256 "
    )
    assert second.startswith(
        "2  a.mp4  label mine  2.0 s, 0 hashes of pictures, 0 of sound  SHA-256 "
    )
    bank.run("remove", "mine", "1", cfg=compose("bank"))
    assert capsys.readouterr().out == (
        "mine item 1 (b.mp4, label mine): removed; no later answer names it\n"
    )
    assert list(banks.read(tmp_path / "banks", "mine").items) == [2]


@pytest.mark.parametrize(
    ("length_s", "told"),
    [(0, "0.0 s"), (59.9, "59.9 s"), (60, "1.0 min"), (3599, "60.0 min"), (4500, "1.25 h")],
)
def test_a_short_bank_is_not_told_as_one_of_no_length(
    tmp_path: Path,
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
    length_s: float,
    told: str,
) -> None:
    with banks.writing(tmp_path / "banks", "b", create=True) as one:
        none = np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)
        one.add("a.mp4", "b", "0" * 64, "0" * 32, length_s, *none)
    bank.run("list", cfg=compose("bank"))
    expected = f"b: 1 item, {told}, 0 hashes of pictures, 0 of sound\n"
    assert capsys.readouterr().out == expected


def test_seconds_without_a_hash_are_said(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = scene(0, 15), scene(1, 15)
    flat = np.full_like(first, 90)
    path = tmp_path / "a.mp4"
    write_video(path, np.concatenate([flat, first, flat, flat, second]), rate=15)
    bank.run("add", "mine", str(path), cfg=compose("bank"))
    added = capsys.readouterr().out.splitlines()[0]
    assert added.endswith(
        "; no hash of pictures, which are too flat or damaged: 0 to 1 s, 2 to 4 s"
    )
    whole = write_video(tmp_path / "b.mp4", scene(0, 30), rate=15)
    bank.run("add", "mine", str(whole), cfg=compose("bank"))
    assert "no hash" not in capsys.readouterr().out


def test_a_flat_video_is_known_by_its_sound_where_that_is_long_enough(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 10 * 24_000))
    for seconds, is_known in ((4, False), (10, True)):
        path = tmp_path / f"{seconds}.mkv"
        sound = noise[:, : seconds * 24_000]
        write_with_sound(path, grey([90] * 15), sound, codec="flac", rate=24_000, fps=15)
        bank.run("add", "mine", str(path), cfg=compose("bank"))
        added = capsys.readouterr().out.splitlines()[0]
        assert ("only equal bytes match" in added) is not is_known
        assert " 0 hashes of pictures, " in added
        assert " 0 of sound" not in added


def test_a_file_that_cannot_be_added_costs_no_other(
    tmp_path: Path,
    videos: Path,
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (videos / "a.mp4").write_text("no video, but words\n" * 50)
    with pytest.raises(UserError, match="1 file of 3 could not be added"):
        bank.run("add", "mine", str(videos), cfg=compose("bank"))
    assert "a.mp4: text (a text file); give the video itself" in capsys.readouterr().err
    assert len(banks.read(tmp_path / "banks", "mine").items) == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("add", "mine"), "give bank add NAME FILE|FOLDER …$"),
        (("list", "mine"), "'list mine' is not understood; give bank list"),
        (("show",), "give bank show NAME"),
        (("drop", "mine"), "give bank add .*, bank list, bank show NAME, bank remove NAME ITEM, "),
        (("verdict", "mine", "1"), "give bank verdict NAME ITEM confirmed.disputed.seen.uploaded"),
        (("verdict", "mine", "1", "bad"), "'bad' is no verdict; give one of confirmed, disputed"),
        (("verdict", "mine", "1", "seen"), "by=: give by=NAME, who says so"),
        (("label", "mine", "1"), "bank label mine 1: give label=…, what it is known as"),
        (("compact", "mine"), "no bank 'mine'"),
        (("add", "mine", "gone.mp4"), "gone.mp4: no such file; give a video file"),
        (("add", "mine", "long" * 70), "long: File name too long; give a video file"),
        (("remove", "mine", "one"), "'one' is no number of an item; see discern bank show mine"),
        (("show", "mine"), "no bank 'mine'"),
    ],
)
def test_what_is_wrong_is_named(
    compose: Callable[..., App], arguments: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        bank.run(*arguments, cfg=compose("bank"))


def test_a_folder_without_videos_is_named(tmp_path: Path, compose: Callable[..., App]) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="no video in this folder; give another one, or files"):
        bank.run("add", "mine", str(tmp_path), cfg=compose("bank"))
    assert not (tmp_path / "banks").exists()


def filled(root: Path, name: str = "b") -> None:
    """A bank of two items of which nothing is hashed."""
    with banks.writing(root, name, create=True) as one:
        for number in "12":
            none = np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)
            one.add(f"{number}.mp4", "old", number * 64, number * 32, 1.0, *none)


def test_labels_and_opinions_are_said_and_shown(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path / "banks")
    bank.run("label", "b", "2", cfg=compose("bank", "label=new"))
    assert capsys.readouterr().out == "b item 2 (2.mp4, label new): has this label now\n"
    for by, verdict in (("one", "confirmed"), ("one", "seen"), ("two", "disputed")):
        bank.run("verdict", "b", "2", verdict, cfg=compose("bank", f"by={by}"))
    said = "one: confirmed, seen; two: disputed"
    assert capsys.readouterr().out.splitlines()[-1] == f"b item 2 (2.mp4, label new): {said}"
    bank.run("show", "b", cfg=compose("bank"))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"MD5 {'1' * 32}")
    assert second.endswith(f"MD5 {'2' * 32}  one: confirmed, seen  two: disputed")
    for by in ("one", "two"):
        bank.run("verdict", "b", "2", "withdrawn", cfg=compose("bank", f"by={by}"))
    assert capsys.readouterr().out.splitlines()[-1].endswith(": nobody says anything")


@pytest.mark.parametrize("label", ["a\nb", "a\x1b[2J", "a\u2028b"])
def test_a_label_is_one_line(
    tmp_path: Path, compose: Callable[..., App], monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    filled(tmp_path / "banks")
    before = (tmp_path / "banks" / "b" / "items.jsonl").read_bytes()
    cfg = compose("bank")
    cfg.label = label
    with pytest.raises(UserError, match="give a label of one line"):
        bank.run("label", "b", "2", cfg=cfg)
    (tmp_path / "a.mp4").write_bytes(b"")
    monkeypatch.setattr(printed_files, "digests_of", None)
    with pytest.raises(UserError, match="give a label of one line"):
        bank.run("add", "b", str(tmp_path / "a.mp4"), cfg=cfg)
    assert (tmp_path / "banks" / "b" / "items.jsonl").read_bytes() == before


def test_a_compaction_says_what_it_took_out(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path / "banks")
    bank.run("remove", "b", "1", cfg=compose("bank"))
    capsys.readouterr()
    # What is left of it in the index, from which hashes could be told, goes too.
    index = Path(compose("bank").paths.work) / "bank-index" / "b"
    index.mkdir(parents=True)
    bank.run("compact", "b", cfg=compose("bank"))
    assert not index.exists()
    folder = tmp_path / "banks" / "b"
    assert capsys.readouterr().out == f"{folder}: 1 removed item taken out of its files\n"
    assert b"1.mp4" not in (folder / "items.jsonl").read_bytes()


def test_who_has_the_same_file_is_noted_and_one_of_a_list_is_hashed_all_the_same(
    tmp_path: Path,
    videos: Path,
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = videos / "b.mp4"
    (tmp_path / "list").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    cfg: Any = compose("bank")
    bank.run("import", "b", str(tmp_path / "list"), cfg=replace(cfg, format="sha256"))
    for by in ("one", "two"):
        bank.run("add", "b", str(path), cfg=replace(cfg, by=by))
    assert "the same bytes as b item 2" in capsys.readouterr().out
    found = banks.read(tmp_path / "banks", "b")
    assert [bool(item.num_hashes) for item in found.items.values()] == [False, True]
    uploaded = frozenset({"uploaded"})
    assert found.opinions == {2: {"one": uploaded, "two": uploaded}}


def test_a_negative_bank_is_made_and_told_and_who_uploads_is_noted(
    tmp_path: Path,
    videos: Path,
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bank.run("list", cfg=compose("bank"))
    assert capsys.readouterr().out == "no banks\n"
    given = ("add", "intros", str(videos / "more"))
    bank.run(*given, cfg=compose("bank", "negative=true", "by=us"))
    found = banks.read(tmp_path / "banks", "intros")
    assert (found.is_negative, found.opinions) == (True, {1: {"us": frozenset({"uploaded"})}})
    capsys.readouterr()
    bank.run("list", cfg=compose("bank"))
    assert capsys.readouterr().out.startswith("intros: negative, 1 item, 2.0 s, ")
    filled(tmp_path / "banks")
    with pytest.raises(UserError, match="no negative bank, and it has items; put what never is"):
        bank.run("add", "b", str(videos), cfg=compose("bank", "negative=true"))
    with pytest.raises(UserError, match="by=a b: give by=NAME"):
        bank.run("add", "b", str(videos), cfg=compose("bank", "by='a b'"))
