from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.copies import banks, fingerprint, hash_lists
from pipeline.errors import UserError
from tests.copies.test_banks import add
from tests.made import scene

HEX = "0123456789abcdef" * 4


def test_lists_are_written_as_others_read_them_and_read_again(tmp_path: Path) -> None:
    with banks.writing(tmp_path, "b", create=True) as bank:
        add(bank, 1, num_hashes=6)
        add(bank, 2, num_hashes=0)
        foreign = add(bank, 3)
        bank.add("x", "x", "f" * 64, "", 1.0, np.zeros(0, banks.RECORD), NO_SOUND, "list")
    found = banks.read(tmp_path, "b")
    pdq = [one.tobytes().hex() for one in found.hashes["pdq"]]
    lists = {kind: list(hash_lists.list_lines(found, kind)) for kind in hash_lists.KINDS}
    # One picture a second; nothing of what came from others.
    third = found.hashes_of(foreign)["pdq"][0].tobytes().hex()
    assert lists["pdq"] == [f"pdq {pdq[0]}\n", f"pdq {pdq[4]}\n", f"pdq {third}\n"]
    assert [line.split(" ", 1)[0] for line in lists["vpdq"]] == ["vpdq", "vpdq"]
    assert json.loads(lists["vpdq"][0].removeprefix("vpdq ")) == [
        f"{pdq[0]},80,0.000",
        f"{pdq[4]},80,1.000",
    ]
    assert lists["md5"] == [f"video_md5 {n:032x}\n" for n in (1, 2, 3)]
    assert lists["sha256"] == [f"video_sha256 {n:064x}\n" for n in (1, 2, 3)]
    for kind, lines in lists.items():
        (tmp_path / kind).write_text("".join(lines))
        again = list(hash_lists.read(tmp_path / kind, kind))
        assert len(again) == len(lines)
    (first, _) = hash_lists.read(tmp_path / "vpdq", "vpdq")
    assert first.hashes["time_ms"].tolist() == [0, 1000]
    assert first.hashes["quality"].tolist() == [80, 80]
    assert [one.tobytes().hex() for one in first.hashes["pdq"]] == [pdq[0], pdq[4]]


NO_SOUND = np.zeros(0, banks.SOUND_RECORD)


def test_lines_of_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"# remark\n\n{HEX.upper()}\npdq {HEX},100\n")
    assert [one.hashes["pdq"][0].tobytes().hex() for one in hash_lists.read(path, "pdq")] == [
        HEX,
        HEX,
    ]
    # Times of three digits alone, as vPDQ has them, and frames that are too flat.
    path.write_text(json.dumps([f"{HEX},90,1.23e+02", f"{HEX},49,124", f"{HEX},50,7.5"]))
    (found,) = hash_lists.read(path, "vpdq")
    assert found.hashes["time_ms"].tolist() == [7500, 123_000]
    assert found.hashes["quality"].tolist() == [50, 90]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("pdq", HEX[:-1]),
        ("pdq", f"video_md5 {HEX}"),
        ("md5", HEX),
        ("sha256", HEX[:32]),
        ("vpdq", HEX),
        ("vpdq", "[1]"),
        ("vpdq", "{}"),
        ("vpdq", json.dumps([f"{HEX},101,1"])),
        ("vpdq", json.dumps([f"{HEX},50,-1"])),
        ("vpdq", json.dumps([f"{HEX},50,1e99"])),
        ("vpdq", "[" * 100_000),
    ],
)
def test_a_line_of_another_kind_is_named(tmp_path: Path, kind: str, line: str) -> None:
    path = tmp_path / "list"
    path.write_text(f"\n{line}\n")
    with pytest.raises(UserError, match=f"list, line 2: no {kind}; nothing of the list was taken"):
        list(hash_lists.read(path, kind))
    with pytest.raises(UserError, match=f"gone: No such file or directory; give a list of {kind}"):
        list(hash_lists.read(tmp_path / "gone", kind))


def test_the_hash_of_a_mirror_image_is_about_known() -> None:
    frames = np.concatenate([scene(seed, 4, 120, 160).mean(axis=3) for seed in range(6)])
    hashes, _ = fingerprint.pdq_of_luma(frames.astype(np.float32))
    off = np.bitwise_count(hash_lists.mirrored(hashes[:, 0]) ^ hashes[:, 1]).sum(axis=1)
    assert off.max() <= 24
    assert (hash_lists.mirrored(hash_lists.mirrored(hashes[:, 0])) == hashes[:, 0]).all()
