from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import signal

from pipeline.commands import bank, match, printed_files
from pipeline.config import App
from pipeline.errors import UserError
from tests.conftest import compose_below
from tests.live.servers import body, serving
from tests.made import grey, scene, write_video, write_with_sound

RATE = 15
SOUND_HZ = 24_000


@cache
def attack(seed: int = 0) -> np.ndarray:
    """Ten seconds of three scenes, which nobody may change."""
    lengths = (60, 50, 40)
    frames = np.concatenate(
        [scene(100 * seed + n, length, 120, 160) for n, length in enumerate(lengths)]
    )
    frames.setflags(write=False)
    return frames


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video and a bank that holds it; leave it as it is."""
    folder = tmp_path_factory.mktemp("added")
    path = write_video(folder / "attack.mp4", attack(), rate=RATE)
    bank.run("add", "attacks", str(path), cfg=compose_below(folder, "bank", "label=first"))
    return folder


@pytest.fixture
def known(added: Path, tmp_path: Path) -> Path:
    """A video that is in a bank."""
    shutil.copytree(added, tmp_path, dirs_exist_ok=True)
    return tmp_path / "attack.mp4"


def told(
    capsys: pytest.CaptureFixture[str], cfg: Any, *given: Path | str
) -> tuple[int, list[Any], str]:
    """Exit status, lines of standard output, and standard error of a look-up."""
    with pytest.raises(SystemExit) as ended:
        match.run(*map(str, given), cfg=cfg)
    out, err = capsys.readouterr()
    lines = [json.loads(line) if cfg.format == "json" else line for line in out.splitlines()]
    assert isinstance(ended.value.code, int)
    return ended.value.code, lines, err


def test_edited_copies_are_found_with_their_seconds(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    frames = attack()
    copies = {
        "recompressed": (frames, {"crf": "38"}),
        "scaled": (frames[:, ::2, ::2], {"crf": "23"}),
        "mirrored": (frames[:, :, ::-1], {"crf": "23"}),
        "within": (np.concatenate([attack(5), frames[38:98], attack(6)]), {"crf": "23"}),
        "letterboxed": (np.pad(frames, ((0, 0), (24, 24), (0, 0), (0, 0))), {"crf": "23"}),
        "excerpt": (frames[38:98], {"crf": "23"}),
    }
    paths = [
        write_video(tmp_path / f"{name}.mp4", shown, rate=RATE, options=options)
        for name, (shown, options) in copies.items()
    ]
    code, lines, _ = told(capsys, compose("match", "format=json"), *paths)
    assert code == match.FOUND
    for name, path, line in zip(copies, paths, lines, strict=True):
        assert (line["file"], line["error"]) == (str(path), None)
        (found,) = line["matches"]
        assert (found["bank"], found["item"], found["label"]) == ("attacks", 1, "first")
        assert (found["name"], found["by"]) == ("attack.mp4", "pictures")
        assert found["mirrored"] == (name == "mirrored")
        assert found["median_distance"] <= 31
        offset_s = {"within": 38 / RATE - 10, "excerpt": 38 / RATE}.get(name, 0)
        num_frames = 4 if name in ("within", "excerpt") else 10
        assert found["offset_s"] == pytest.approx(offset_s, abs=0.3)
        assert found["num_frames"] == found["num_between"] == num_frames
        assert found["item_start_s"] - found["start_s"] == pytest.approx(offset_s, abs=0.3)


def test_a_crop_is_found_in_a_part_of_the_picture(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    cropped = np.ascontiguousarray(attack()[:, :104, :140])
    copy = write_video(tmp_path / "cropped.mp4", cropped, rate=RATE)
    code, (line,), _ = told(capsys, compose("match", "format=json"), copy)
    (found,) = line["matches"]
    assert (code, found["item"], found["speed"]) == (match.FOUND, 1, 1)
    assert found["num_in_part"] > 5
    # As the camera passes over the scene, another window shows the same a moment before.
    assert found["offset_s"] == pytest.approx(0, abs=1.5)
    _, (line,), _ = told(capsys, compose("match"), copy)
    assert ", in a part of the picture, " in line


def test_what_is_no_copy_does_not_match(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_video(tmp_path / "other.mp4", attack(3), rate=RATE)
    assert told(capsys, compose("match"), other) == (
        match.NOT_FOUND,
        [f"{other}: no match"],
        "",
    )
    code, lines, _ = told(capsys, compose("match", "format=json"), other)
    assert (code, lines) == (
        match.NOT_FOUND,
        [{"file": str(other), "matches": [], "not_looked_up": [], "error": None}],
    )


def test_the_same_bytes_match_undecoded_until_the_item_is_removed(
    tmp_path: Path,
    known: Path,
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = Path(shutil.copy(known, tmp_path / "copy.mp4"))
    with monkeypatch.context() as without:
        without.setattr(printed_files, "hash_files", lambda paths, *_, **__: iter(list(paths)[:0]))
        code, lines, _ = told(capsys, compose("match"), copy)
    assert code == match.FOUND
    assert lines == [f"{copy}: attacks item 1 (attack.mp4, label first): the same bytes"]
    bank.run("remove", "attacks", "1", cfg=compose("bank"))
    capsys.readouterr()
    assert told(capsys, compose("match"), copy)[0] == match.NOT_FOUND


def test_a_file_that_cannot_be_read_is_a_failure_beside_a_match(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video, but words\n" * 50)
    code, lines, err = told(capsys, compose("match", "format=json"), text, known)
    assert code == match.FAILED
    assert [bool(line["matches"]) for line in lines] == [False, True]
    assert lines[0]["error"]["reason"] == "text"
    assert err == f"match: {text}: text (a text file); give the video itself\n"


def test_a_file_of_a_web_server_is_fetched_looked_up_and_kept_nowhere(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    copy = write_video(tmp_path / "copy.mp4", attack()[38:98], rate=RATE, options={"crf": "30"})
    allowed = compose("match", "allow_private=true", "timeout_s=5")
    with serving() as server:
        server.routes["/copy.mp4"] = body(copy.read_bytes())
        server.routes["/large.mp4"] = body(bytes(200_000))
        urls = [server.url(path) for path in ("/copy.mp4?key=secret", "/none.mp4", "/copy.mp4")]
        status, lines, err = told(capsys, allowed, *urls)
        assert status == match.FAILED
        assert [line.split(": ")[0][-16:] for line in lines] == [
            "(given number 1)",
            "(given number 3)",
        ]
        assert all("attacks item 1 (attack.mp4" in line for line in lines)
        assert err.count("missing_file") == 1
        assert "HTTP 404); look at the address, and whether its server still has the file" in err
        assert not any(word in str(lines) + err for word in ("secret", "/copy.mp4"))
        few = compose("match", "allow_private=true", "max_fetch_mb=0.1", "format=json")
        _, lines, _ = told(capsys, few, server.url("/large.mp4"))
        assert lines[0]["error"]["reason"] == "too_large_to_fetch"
        status, lines, err = told(capsys, compose("match"), urls[0], str(known))
        assert (status, len(lines)) == (match.FAILED, 1)
        assert "refused_address" in err
        assert "allow_private" in err
    assert not list(Path(allowed.paths.work).glob("fetched-*"))


def test_standard_input_names_files(
    tmp_path: Path,
    known: Path,
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{known}\n\n{known}\r\n"))
    status, lines, _ = told(capsys, compose("match"), "-")
    assert (status, len(lines)) == (match.FOUND, 1)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{known}\n"))
    bank.run("add", "again", "-", cfg=compose("bank"))
    assert "1 item added" in capsys.readouterr().out
    with pytest.raises(UserError, match="a name that is empty"):
        match.run("", cfg=compose("match"))
    with pytest.raises(UserError, match="standard input names no file"):
        match.run("-", cfg=compose("match"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8"))
    with pytest.raises(UserError, match="no text"):
        match.run("-", cfg=compose("match"))


def test_what_is_not_there_is_named(
    tmp_path: Path, known: Path, compose: Callable[..., App]
) -> None:
    with pytest.raises(UserError, match="no such file; give a video file"):
        match.run(str(tmp_path / "gone.mp4"), cfg=compose("match"))
    with pytest.raises(UserError, match=r"no bank 'other' \(there are: attacks\)"):
        match.run(str(known), cfg=compose("match", "bank=other"))
    with pytest.raises(UserError, match="no bank there; make one with discern bank add"):
        match.run(str(known), cfg=compose("match", f"paths.banks={tmp_path / 'none'}"))


def tune(seed: int, num_s: int) -> np.ndarray:
    """Sound whose pitch changes three times a second, (1, n)."""
    pitches = np.random.default_rng(seed).uniform(200, 2000, 3 * num_s).repeat(SOUND_HZ // 3)
    return 0.4 * np.sin(2 * np.pi * np.cumsum(pitches) / SOUND_HZ)[None]


def bass(num_s: int) -> np.ndarray:
    """A low tone that steps, (1, n)."""
    seconds = np.arange(num_s * SOUND_HZ) / SOUND_HZ
    pitches = np.random.default_rng(7).choice([55.0, 73.4, 82.4, 98.0, 110.0, 123.5], num_s * 4)
    phase = 2 * np.pi * np.cumsum(pitches[(4 * seconds).astype(int)]) / SOUND_HZ
    return np.asarray(0.1 * np.sin(phase)[None])


def test_other_pictures_under_the_same_sound_are_found_by_it(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    original = tmp_path / "attack.mp4"
    write_with_sound(
        original, scene(1, 25 * RATE), tune(1, 25), codec="aac", rate=SOUND_HZ, fps=RATE
    )
    bank.run("add", "attacks", str(original), cfg=compose("bank"))
    capsys.readouterr()
    excerpt = np.concatenate([tune(2, 5), tune(1, 25)[:, 8 * SOUND_HZ : 20 * SOUND_HZ]], axis=1)
    path, other = tmp_path / "other pictures.mkv", tmp_path / "other.mkv"
    write_with_sound(
        path, scene(9, 17 * RATE), excerpt, codec="libmp3lame", rate=SOUND_HZ, fps=RATE
    )
    write_with_sound(other, scene(9, 225), tune(3, 15), codec="aac", rate=SOUND_HZ, fps=RATE)
    code, lines, _ = told(capsys, compose("match", "format=json"), path, other)
    assert code == match.FOUND
    (found,) = lines[0]["matches"]
    assert (found["bank"], found["item"], found["by"]) == ("attacks", 1, "sound")
    assert found["offset_s"] == pytest.approx(3.0, abs=0.15)
    # Moments of 2.7 s, of which some are half of the one sound and half of the other.
    assert found["start_s"] == pytest.approx(5.0, abs=1.6)
    assert found["end_s"] == pytest.approx(17.0, abs=0.5)
    assert found["num_items"] == found["num_between"] > 60
    assert lines[1]["matches"] == []
    code, lines, _ = told(capsys, compose("match"), path)
    assert (code, len(lines)) == (match.FOUND, 1)
    assert "s sound as" in lines[0]
    assert "of it; offset +3." in lines[0] or "of it; offset +2.9" in lines[0]


def test_sound_that_lost_its_low_notes_is_found_by_a_narrow_band(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    # Chords over a bass, as music has them, and what a telephone leaves of them.
    sound = tune(1, 25) + 3 * bass(25)
    original, copy = tmp_path / "attack.mkv", tmp_path / "telephone.mkv"
    write_with_sound(original, scene(1, 25 * RATE), sound, codec="flac", rate=SOUND_HZ, fps=RATE)
    bank.run("add", "attacks", str(original), cfg=compose("bank"))
    capsys.readouterr()
    sections = signal.butter(6, (300, 3400), "bandpass", fs=SOUND_HZ, output="sos")
    heard = signal.sosfilt(sections, sound[:, 5 * SOUND_HZ :], axis=1)
    write_with_sound(copy, scene(9, 20 * RATE), heard, codec="flac", rate=SOUND_HZ, fps=RATE)
    code, lines, _ = told(capsys, compose("match", "format=json"), copy)
    assert code == match.FOUND
    (found,) = lines[0]["matches"]
    assert (found["by"], found["narrow"]) == ("sound", True)
    assert found["offset_s"] == pytest.approx(5.0, abs=0.15)
    _, lines, _ = told(capsys, compose("match"), copy)
    assert "s of it between 440 and 3,300 Hz; offset +" in lines[0]


def test_every_item_of_the_same_sound_is_told_also_of_one_that_starts_late(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tune(1, 12)
    paths = [tmp_path / f"{name}.mkv" for name in ("first", "second", "late")]
    for path, seed, start_s in zip(paths, (1, 2, 3), (0.0, 0.0, 3.0), strict=True):
        pictures = scene(seed, 15 * RATE)
        write_with_sound(
            path, pictures, sound, codec="flac", rate=SOUND_HZ, fps=RATE, sound_start_s=start_s
        )
    bank.run("add", "attacks", *map(str, paths[:2]), cfg=compose("bank"))
    capsys.readouterr()
    code, (line,), _ = told(capsys, compose("match", "format=json"), paths[2])
    assert code == match.FOUND
    assert [(one["item"], one["by"]) for one in line["matches"]] == [(1, "sound"), (2, "sound")]
    for one in line["matches"]:
        assert one["offset_s"] == pytest.approx(-3.0, abs=0.01)
        assert one["start_s"] == pytest.approx(3.0, abs=0.01)
        assert one["item_start_s"] == pytest.approx(0.0, abs=0.01)


def test_what_is_too_flat_or_too_short_to_be_looked_up_is_told(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    short, flat = tmp_path / "short.mkv", tmp_path / "flat.mkv"
    write_with_sound(short, scene(9, 75), tune(3, 5), codec="flac", rate=SOUND_HZ, fps=RATE)
    write_video(flat, grey([90] * 15), rate=RATE)
    _, lines, _ = told(capsys, compose("match"), short, flat)
    assert lines == [
        f"{short}: no match; its sound is too short or hardly changes, and was not looked up",
        f"{flat}: no match; its pictures are too flat to be looked up",
    ]
    _, lines, _ = told(capsys, compose("match", "format=json"), short, flat, known)
    assert [line["not_looked_up"] for line in lines] == [["sound"], ["pictures"], []]


def test_what_a_negative_bank_covers_does_not_count_and_what_it_does_not_cover_does(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    intro, story, more = (scene(seed, 60, 72, 96) for seed in (1, 2, 3))
    report = write_video(tmp_path / "report.mp4", np.concatenate([intro, story]), rate=RATE)
    bank.run("add", "attacks", str(report), cfg=compose("bank"))
    alone = write_video(tmp_path / "intro.mp4", intro, rate=RATE)
    bank.run("add", "intros", str(alone), cfg=compose("bank", "negative=true"))
    harmless = write_video(tmp_path / "harmless.mp4", np.concatenate([intro, more]), rate=RATE)
    copy = write_video(tmp_path / "copy.mp4", np.concatenate([intro, story[:55]]), rate=RATE)
    capsys.readouterr()
    code, (line,), _ = told(capsys, compose("match", "format=json"), harmless)
    assert code == match.NOT_FOUND
    told_of = {one["bank"]: (one["category"], one["set_aside"]) for one in line["matches"]}
    by = "does not count, as all of it is intros item 1 (intro.mp4, label intros)"
    assert told_of == {"attacks": ("known", by), "intros": ("negative", None)}
    code, lines, _ = told(capsys, compose("match"), harmless, alone)
    assert code == match.NOT_FOUND
    assert sum(": negative: intros item 1 (" in one for one in lines) == 2
    code, (line,), _ = told(capsys, compose("match", "format=json"), copy)
    assert code == match.FOUND
    assert {one["bank"]: one["set_aside"] for one in line["matches"]} == dict.fromkeys(
        ("attacks", "intros")
    )
    # Where people put the same file into both, that is told, and raises no alert.
    bank.run("add", "intros", str(report), cfg=compose("bank"))
    capsys.readouterr()
    code, lines, _ = told(capsys, compose("match"), report)
    assert code == match.NOT_FOUND
    assert "does not count, as all of it is intros item 2" in lines[0]


def test_who_disputes_an_item_is_told_with_its_match(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    for by, verdict in (("a", "confirmed"), ("b", "disputed")):
        bank.run("verdict", "attacks", "1", verdict, cfg=compose("bank", f"by={by}"))
    capsys.readouterr()
    code, lines, _ = told(capsys, compose("match"), known)
    assert (code, lines) == (
        match.FOUND,
        [f"{known}: attacks item 1 (attack.mp4, label first): the same bytes; disputed by b"],
    )
    _, (line,), _ = told(capsys, compose("match", "format=json"), known)
    assert line["matches"][0]["opinions"] == {"a": ["confirmed"], "b": ["disputed"]}


def test_an_item_that_matches_everything_is_suspended_told_and_resumed(
    tmp_path: Path, known: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write_video(tmp_path / f"{n}.mp4", attack()[: 60 + n], rate=RATE) for n in range(4)]
    cfg = compose("match", "flood_files=3", "flood_share=0.9")
    code, lines, err = told(capsys, cfg, *paths[:2], *paths[:2])
    assert (code, err) == (match.FOUND, "")
    assert not [line for line in lines if "suspended" in line]
    code, lines, err = told(capsys, cfg, *paths[2:])
    assert code == match.NOT_FOUND
    reason = "it matches 3 of the last 3 files"
    assert all(
        line.endswith(f"; does not count, as the item is suspended: {reason}") for line in lines
    )
    assert err == (
        f"match: attacks item 1 (attack.mp4, label first) is suspended, as {reason}; look at it, "
        "and then discern bank remove attacks 1, or discern bank resume attacks 1, after which it "
        "counts whatever it matches\n"
    )
    # Also where nothing is counted.
    assert told(capsys, compose("match", "flood_files=0"), paths[0])[0] == match.NOT_FOUND
    bank.run("show", "attacks", cfg=compose("bank"))
    assert capsys.readouterr().out.rstrip().endswith(f"  suspended: {reason}")
    bank.run("resume", "attacks", "1", cfg=compose("bank"))
    assert capsys.readouterr().out.endswith(": counts again, whatever it matches\n")
    with pytest.raises(UserError, match="attacks item 1: not suspended"):
        bank.run("resume", "attacks", "1", cfg=compose("bank"))
    code, _, err = told(capsys, cfg, *paths)
    assert (code, err) == (match.FOUND, "")


def test_a_file_is_known_by_its_md5_where_a_list_has_no_more(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "known.mp4", scene(1, 15), rate=RATE)
    (tmp_path / "list").write_text(hashlib.md5(path.read_bytes()).hexdigest())
    bank.run("import", "b", str(tmp_path / "list"), cfg=compose("bank", "format=md5"))
    capsys.readouterr()
    code, lines, _ = told(capsys, compose("match"), path)
    assert (code, len(lines)) == (match.FOUND, 1)
    assert lines[0].endswith("label b): the same bytes")


def test_a_still_of_a_list_is_found_in_a_video(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    still = scene(7, 1, 240, 320).repeat(RATE, axis=0)
    known = write_video(tmp_path / "still.mp4", still, rate=RATE)
    bank.run("add", "own", str(known), cfg=compose("bank"))
    bank.run("export", "own", str(tmp_path / "list"), cfg=compose("bank", "format=pdq"))
    bank.run("import", "stills", str(tmp_path / "list"), cfg=compose("bank", "format=pdq"))
    capsys.readouterr()
    frames = np.concatenate([scene(9, RATE, 240, 320), still[:, :, ::-1]])
    mirrored = write_video(tmp_path / "mirrored.mp4", frames, rate=RATE)
    code, (line,), _ = told(capsys, compose("match", "format=json", "bank=stills"), mirrored)
    assert code == match.FOUND
    (found,) = line["matches"]
    assert (found["by"], found["num_near"]) == ("still", 1)
    assert (found["mirrored"], found["start_s"]) == (True, 1.0)
