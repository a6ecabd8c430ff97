from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.copies import (
    bank_compaction,
    bank_log,
    bank_writer,
    banks,
    exchange_folder,
    exchange_lines,
    exchange_manifest,
    exchange_receiving,
    exchange_sending,
)
from pipeline.copies.bank_files import HEAD, ITEMS
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.copies.exchange_folder import Exchanged
from pipeline.copies.exchange_manifest import MANIFEST, Delta, Manifest
from pipeline.errors import UserError
from tests.copies.test_banks import add

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Banks of a sender, of whom one has three items."""
    root = tmp_path / "there"
    with banks.writing(root, "b", create=True) as bank:
        for seed in (1, 2, 3):
            add(bank, seed, num_hashes=seed)
    return root


def send(root: Path, folder: Path, by: str = "them", key: Ed25519PrivateKey = KEY) -> Exchanged:
    return exchange_sending.send(banks.read(root, "b"), by, folder, key)


def receive(
    root: Path, folder: Path, name: str = "c", key: Ed25519PrivateKey = KEY, **more: bool
) -> Exchanged:
    return exchange_receiving.receive(root, name, folder, key.public_key(), **more)


def held(bank: Bank) -> dict[str, tuple[str, bytes, bytes, float]]:
    """What a bank holds of items, by what these are called everywhere."""
    found = {}
    for item in bank.items.values():
        hashes, sounds = bank.hashes_of(item), bank.sounds_of(item)
        name = exchange_lines.id_in(bank, item)
        found[name] = item.label, hashes.tobytes()[4:], sounds.tobytes()[4:], item.duration_s
    return found


def whole(root: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_sent_is_taken_and_then_only_what_changed(there: Path, tmp_path: Path) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    assert send(there, folder).lines == {"upload": 3}
    told = receive(here, folder)
    assert (told.feed, told.num_deltas) == ("them/b", 1)
    assert told.lines == {"upload": 3, "unknown": 0}
    taken, sent = banks.read(here, "c"), banks.read(there, "b")
    assert {n: one[0::3] for n, one in held(taken).items()} == {
        n: one[0::3] for n, one in held(sent).items()
    }
    for one, other in zip(taken.items.values(), sent.items.values(), strict=True):
        for field in ("time_ms", "pdq", "mirror", "quality"):
            assert np.array_equal(taken.hashes_of(one)[field], sent.hashes_of(other)[field])
        assert np.array_equal(taken.sounds_of(one)["print"], sent.sounds_of(other)["print"])
        assert (one.sha256, one.md5, one.feed) == (other.sha256, other.md5, "them/b")
        assert taken.opinions[one.number] == {"them/b": frozenset({"uploaded"})}
    before = whole(here)
    assert not send(there, folder).lines
    assert not receive(here, folder).lines
    assert whole(here) == before
    with banks.writing(there, "b") as bank:
        bank.remove(2)
        bank.label(3, "other")
        bank.judge(1, "them", "confirmed")
        bank.judge(1, "an analyst", "disputed")
        add(bank, 4)
    assert send(there, folder).lines == {"delete": 1, "opinion": 1, "label": 1, "upload": 1}
    assert receive(here, folder).lines["upload"] == 1
    found = banks.read(here, "c")
    assert [item.label for item in found.items.values()] == ["label 1", "other", "label 4"]
    # What others say leaves with nobody but themselves.
    assert found.opinions[1] == {"them/b": frozenset({"uploaded", "confirmed"})}
    with banks.writing(there, "b") as bank:
        bank.judge(1, "them", "withdrawn")
    assert send(there, folder).lines == {"opinion": 1}
    receive(here, folder)
    assert banks.read(here, "c").opinions[1] == {"them/b": frozenset({"uploaded"})}
    assert exchange_manifest.read(folder, KEY.public_key()).deltas[2].num_lines == 1


def test_nothing_leaves_but_hashes_labels_and_lengths(there: Path, tmp_path: Path) -> None:
    send(there, tmp_path / "sent")
    sent = b"".join(whole(tmp_path / "sent").values())
    assert b".mp4" not in sent
    assert str(tmp_path).encode() not in sent
    for line in (tmp_path / "sent" / "000001.jsonl").read_text().splitlines():
        assert set(json.loads(line)) == {
            *("op", "id", "label", "sha256", "md5", "duration_s"),
            *("pictures", "mirrors", "sounds"),
        }
    first = json.loads((tmp_path / "sent" / "000001.jsonl").read_text().splitlines()[0])
    item = banks.read(there, "b")
    pdq = item.hashes["pdq"][0].tobytes().hex()
    assert first["pictures"] == [f"{pdq},80,0.000"]
    assert first["sounds"][1] == f"{item.sounds['print'][1]:08x},0.124"


def test_an_item_of_two_senders_stays_until_neither_has_it(there: Path, tmp_path: Path) -> None:
    here, one, other = tmp_path / "here", tmp_path / "one", tmp_path / "other"
    send(there, one)
    send(there, other, "others", OTHER_KEY)
    receive(here, one)
    receive(here, other, key=OTHER_KEY)
    uploaded = frozenset({"uploaded"})
    assert banks.read(here, "c").opinions[1] == {"them/b": uploaded, "others/b": uploaded}
    assert len(banks.read(here, "c").items) == 3
    with banks.writing(there, "b") as bank:
        bank.remove(1)
    send(there, one)
    receive(here, one)
    assert banks.read(here, "c").opinions[1] == {"others/b": uploaded}
    send(there, other, "others", OTHER_KEY)
    receive(here, other, key=OTHER_KEY)
    assert list(banks.read(here, "c").items) == [2, 3]


def test_what_we_made_is_removed_by_nobody_else_and_opinions_come_back(
    there: Path, tmp_path: Path
) -> None:
    here, out, back = tmp_path / "here", tmp_path / "out", tmp_path / "back"
    send(there, out)
    receive(here, out, "b")
    with banks.writing(here, "b") as bank:
        bank.judge(2, "us", "disputed")
        add(bank, 9)
    # What came from others is not sent on, and what we think of it is.
    assert send(here, back, "us", OTHER_KEY).lines == {"opinion": 1, "upload": 1}
    with banks.writing(there, "b") as bank:
        bank.judge(2, "them", "confirmed")
    receive(there, back, "b", OTHER_KEY)
    found = banks.read(there, "b")
    assert found.opinions[2] == {"them": frozenset({"confirmed"}), "us/b": frozenset({"disputed"})}
    assert [item.feed for item in found.items.values()] == ["", "", "", "us/b"]
    with banks.writing(here, "b") as bank:
        bank.judge(2, "us", "withdrawn")
        bank.remove(4)
    assert send(here, back, "us", OTHER_KEY).lines == {"opinion": 1, "delete": 1}
    receive(there, back, "b", OTHER_KEY)
    found = banks.read(there, "b")
    assert list(found.items) == [1, 2, 3]
    assert found.opinions[2] == {"them": frozenset({"confirmed"})}


@pytest.mark.parametrize("feed", ["", "list"])
def test_what_came_by_our_own_list_is_removed_by_nobody_else(
    there: Path, tmp_path: Path, feed: str
) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    with banks.writing(here, "c", create=True) as bank:
        bank.add("x", "x", "2" * 64, "", 1.5, NO_HASHES, NO_SOUNDS, feed)
    lines_sent(out, [{"op": "delete", "id": EMPTY}, UPLOAD, {"op": "delete", "id": EMPTY}])
    receive(here, out)
    assert list(banks.read(here, "c").items) == [1]


def test_who_never_uploaded_an_item_does_not_remove_it(there: Path, tmp_path: Path) -> None:
    here, one, other = tmp_path / "here", tmp_path / "one", tmp_path / "other"
    lines_sent(one, [UPLOAD])
    receive(here, one)
    with banks.writing(here, "c") as bank:
        for by in ("them", "them/b"):
            bank.judge(1, by, "withdrawn")
    lines_sent(other, [{"op": "delete", "id": EMPTY}], sender="stranger")
    receive(here, other)
    assert list(banks.read(here, "c").items) == [1]


def test_a_sender_is_known_by_one_key(there: Path, tmp_path: Path) -> None:
    here, one, other = tmp_path / "here", tmp_path / "one", tmp_path / "other"
    send(there, one)
    receive(here, one)
    shutil.copytree(there / "b", there / "z")
    exchange_sending.send(banks.read(there, "z"), "them", other, OTHER_KEY)
    refused(here, other, "them/b was signed with the key .* before", key=OTHER_KEY)


def test_an_item_of_two_banks_of_a_sender_stays_until_neither_has_it(tmp_path: Path) -> None:
    here, delete = tmp_path / "here", {"op": "delete", "id": EMPTY}
    lines_sent(tmp_path / "x", [UPLOAD], bank="x")
    lines_sent(tmp_path / "z", [UPLOAD, delete], bank="z")
    receive(here, tmp_path / "x")
    receive(here, tmp_path / "z")
    assert list(banks.read(here, "c").items) == [1]
    assert banks.read(here, "c").opinions[1] == {"them/x": frozenset({"uploaded"})}
    bank_compaction.compact(here, "c")
    with banks.writing(here, "c") as bank:
        bank.judge(1, "us", "seen")
    first = (tmp_path / "x" / "000001.jsonl").read_bytes()
    more = json.dumps(delete).encode() + b"\n"
    (tmp_path / "x" / "000002.jsonl").write_bytes(more)
    deltas = [Delta(hashlib.sha256(one).hexdigest(), len(one), 1) for one in (first, more)]
    sign(tmp_path / "x", sender="them", bank="x", category="known", deltas=tuple(deltas))
    receive(here, tmp_path / "x")
    assert not banks.read(here, "c").items


def test_opinions_of_items_that_are_not_here_are_counted(there: Path, tmp_path: Path) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    send(there, out)
    receive(here, out)
    with banks.writing(here, "c") as bank:
        bank.remove(1)
    bank_compaction.compact(here, "c")
    with banks.writing(there, "b") as bank:
        bank.judge(1, "them", "confirmed")
    send(there, out)
    assert receive(here, out).lines["unknown"] == 1
    # What was removed here does not come back.
    assert list(banks.read(here, "c").items) == [2, 3]


def test_a_negative_bank_stays_one(there: Path, tmp_path: Path) -> None:
    with banks.writing(tmp_path / "no", "b", create=True) as bank:
        bank.make_negative()
        add(bank, 1)
    send(tmp_path / "no", tmp_path / "sent")
    receive(tmp_path / "here", tmp_path / "sent")
    assert banks.read(tmp_path / "here", "c").is_negative
    refused(there, tmp_path / "sent", "of a negative bank, and b is none", name="b")
    send(there, tmp_path / "known", "others")
    refused(tmp_path / "here", tmp_path / "known", "of a known bank, and c is none")


def test_a_dry_run_changes_nothing(there: Path, tmp_path: Path) -> None:
    send(there, tmp_path / "sent")
    assert receive(tmp_path / "here", tmp_path / "sent", dry_run=True).lines == {"upload": 3}
    assert not (tmp_path / "here").exists()
    receive(tmp_path / "here", tmp_path / "sent")
    with banks.writing(there, "b") as bank:
        bank.remove(1)
    send(there, tmp_path / "sent")
    before = whole(tmp_path / "here")
    assert receive(tmp_path / "here", tmp_path / "sent", dry_run=True).lines == {"delete": 1}
    assert whole(tmp_path / "here") == before


def test_a_folder_of_something_else_is_not_written(there: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("")
    with pytest.raises(UserError, match="not empty, and no exchange; give another folder"):
        send(there, tmp_path / "full")
    send(there, tmp_path / "sent")
    with pytest.raises(UserError, match="not signed with the key"):
        send(there, tmp_path / "sent", key=OTHER_KEY)
    with pytest.raises(UserError, match=r"says what them/b \(known\) holds; give another folder"):
        send(there, tmp_path / "sent", by="others")


@pytest.mark.parametrize("num_written", [0, 1, 2])
def test_who_is_killed_while_sending_sends_all_the_next_time(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_written: int
) -> None:
    folder, written = tmp_path / "sent", []
    replace = exchange_sending._replace

    def killed(path: Path, content: Any) -> None:
        if len(written) == num_written:
            raise KeyboardInterrupt
        written.append(path.name)
        replace(path, content)

    monkeypatch.setattr(exchange_sending, "_replace", killed)
    with pytest.raises(KeyboardInterrupt):
        send(there, folder)
    monkeypatch.setattr(exchange_sending, "_replace", replace)
    assert written == [MANIFEST, "000001.jsonl"][:num_written]
    if written:
        assert not receive(tmp_path / "here", folder).lines
    assert send(there, folder).lines == {"upload": 3}
    assert receive(tmp_path / "here", folder).lines["upload"] == 3


LABELS = ["a\nb", "a\x1b[2J", "a\u2029b", "a\ud800", "a\u202eb", "\ufeffa"]


@pytest.mark.parametrize("label", LABELS)
def test_a_label_that_controls_or_hides_text_is_neither_sent_nor_taken(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    with monkeypatch.context() as patched:
        # Banks of earlier versions may have one, and senders of others.
        patched.setattr(bank_log, "is_label", lambda _: True)
        patched.setattr(exchange_sending, "is_label", lambda _: True)
        with banks.writing(there, "b") as bank:
            bank.label(2, label)
        send(there, tmp_path / "sent")
    with pytest.raises(UserError, match="controls, turns or hides text, cannot be sent"):
        send(there, tmp_path / "others", by="others")
    refused(tmp_path / "here", tmp_path / "sent", "its label holds a line break")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("label", ["می\u200cخواهم", "\U0001f468\u200d\U0001f469", "=1+1", "é"])
def test_labels_of_all_languages_are_sent_and_taken(
    there: Path, tmp_path: Path, label: str
) -> None:
    with banks.writing(there, "b") as bank:
        bank.label(2, label)
    send(there, tmp_path / "sent")
    receive(tmp_path / "here", tmp_path / "sent")
    assert banks.read(tmp_path / "here", "c").items[2].label == label


def narrow_of(seed: int, num: int = 4) -> Any:
    narrow = np.zeros(num, SOUND_RECORD)
    narrow["time_ms"] = np.arange(num) * 124
    narrow["print"] = np.random.default_rng(seed).integers(0, 2**32, num)
    return narrow


def test_the_sound_of_a_narrow_band_is_sent_and_is_part_of_what_an_item_is(
    there: Path, tmp_path: Path
) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    with banks.writing(there, "b") as bank:
        of_both, prints = narrow_of(1), (np.zeros(0, RECORD), narrow_of(2))
        bank.add("4.mp4", "4", "", "", 1.0, *prints, narrow=of_both)
        bank.add("5.mp4", "5", "", "", 1.0, *prints)
    send(there, folder)
    receive(here, folder)
    found = banks.read(here, "c")
    assert len(found.items) == 5
    assert np.array_equal(found.narrow_of(found.items[4])["print"], of_both["print"])
    assert np.array_equal(found.narrow_of(found.items[4])["time_ms"], of_both["time_ms"])
    assert np.array_equal(found.sounds_of(found.items[4])["print"], prints[1]["print"])
    assert not len(found.narrow_of(found.items[5]))
    assert not send(there, folder).lines
    lines = (folder / "000001.jsonl").read_bytes().splitlines()
    # Items without any are called as they were in format 1.
    assert [b'"narrow"' in line for line in lines] == [False] * 3 + [True, False]
    changed = json.loads(lines[3])
    changed["narrow"][0] = f"{'0' * 8},0.000"
    with pytest.raises(exchange_lines.Malformed, match="its id is not that of what it holds"):
        exchange_lines.parsed(json.dumps(changed).encode())
    changed["narrow"] = changed["narrow"][::-1]
    with pytest.raises(exchange_lines.Malformed, match="its times are not in order"):
        exchange_lines.parsed(json.dumps(changed).encode())
    line = exchange_lines.parsed(lines[3])
    assert isinstance(line, exchange_lines.Upload)
    again = exchange_lines.prints_parsed(exchange_lines.prints_written(line), "4")
    assert (again.id, len(again.narrow)) == (line.id, 4)


def test_an_exchange_of_format_1_is_taken_and_goes_on_in_format_2(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    with monkeypatch.context() as patched:
        patched.setattr(exchange_manifest, "FORMAT", 1)
        send(there, folder)
    assert json.loads((folder / MANIFEST).read_bytes().splitlines()[0])["format"] == 1
    assert receive(here, folder).lines["upload"] == 3
    with banks.writing(there, "b") as bank:
        bank.remove(2)
    assert send(there, folder).lines == {"delete": 1}
    assert json.loads((folder / MANIFEST).read_bytes().splitlines()[0])["format"] == 2
    assert receive(here, folder).lines["delete"] == 1


def test_labels_are_called_as_a_mapping_says(there: Path, tmp_path: Path) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    send(there, folder)
    mapping = {"label 1": "attack", "label 2": "attack", "other": "news"}
    told = exchange_receiving.receive(here, "c", folder, KEY.public_key(), mapping)
    assert +told.unmapped == {"label 3": 1}
    assert [item.label for item in banks.read(here, "c").items.values()] == [
        *("attack", "attack", "label 3"),
    ]
    with banks.writing(there, "b") as bank:
        bank.label(3, "other")
    send(there, folder)
    told = exchange_receiving.receive(here, "c", folder, KEY.public_key(), mapping)
    assert not +told.unmapped
    assert banks.read(here, "c").items[3].label == "news"
    # Without a mapping nothing is counted, and what was mapped stays.
    with banks.writing(there, "b") as bank:
        bank.label(3, "label 3")
    send(there, folder)
    assert not receive(here, folder).unmapped
    assert [item.label for item in banks.read(here, "c").items.values()] == [
        *("attack", "attack", "label 3"),
    ]


def refused(root: Path, folder: Path, why: str, name: str = "c", **more: Any) -> None:
    """A folder is refused with one sentence, and the banks are as before."""
    before = whole(root) if root.exists() else {}
    with pytest.raises(UserError, match=why) as told:
        receive(root, folder, name, **more)
    assert "\n" not in str(told.value)
    assert "nothing of it was taken" in str(told.value)
    assert (whole(root) if root.exists() else {}) == before


NO_HASHES, NO_SOUNDS = np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)


def lines_sent(folder: Path, lines: list[Any], **more: Any) -> None:
    """Sign a folder of one delta that says anything."""
    folder.mkdir(exist_ok=True)
    text = b"".join(
        one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in lines
    )
    (folder / "000001.jsonl").write_bytes(text)
    delta = Delta(hashlib.sha256(text).hexdigest(), len(text), len(lines))
    sign(folder, **{"sender": "them", "bank": "b", "category": "known", "deltas": (delta,), **more})


def sign(folder: Path, **told: Any) -> None:
    (folder / MANIFEST).write_bytes(exchange_manifest.signed_lines(Manifest(**told), KEY))


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Sign a manifest of which something was changed."""
    told = json.loads((folder / MANIFEST).read_bytes().splitlines()[0])
    change(told)
    line = json.dumps(told).encode()
    signature = base64.b64encode(KEY.sign(line)).decode()
    second = json.dumps({"ed25519": signature}).encode()
    (folder / MANIFEST).write_bytes(line + b"\n" + second + b"\n")


@pytest.mark.parametrize("is_known", [False, True])
def test_what_is_not_signed_or_of_another_version_is_refused(
    there: Path, tmp_path: Path, is_known: bool
) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    send(there, folder)
    if is_known:
        receive(here, folder)
        with banks.writing(there, "b") as bank:
            bank.remove(1)
        send(there, folder)
    refused(here, folder, "not signed with the key", key=OTHER_KEY)
    good = (folder / MANIFEST).read_bytes()
    first, second, _ = good.split(b"\n")
    for bad in (
        good.replace(b'"known"', b'"known" '),
        first + b"\n",
        first + b"\n" + second,
        good + b"\n",
        first + b'\n{"ed25519": 7}\n',
        first + b'\n{"ed25519": "!"}\n',
        b"\n\n",
        b"",
        b"[" * 100_000 + b"\n" + b"[" * 100_000 + b"\n",
    ):
        (folder / MANIFEST).write_bytes(bad)
        refused(here, folder, "not signed with the key")
    (folder / MANIFEST).write_bytes(good)
    for version in (3, True, "1", None):
        edited(folder, lambda told, version=version: told.update(format=version))
        refused(
            here, folder, f"format {version!r}, and this version of Discern reads formats 1 and 2"
        )
    changes: list[Callable[[dict[str, Any]], None]] = [
        lambda told: told.update(sender="../them"),
        lambda told: told.update(bank="b/../../c"),
        lambda told: told.update(category="other"),
        lambda told: told.update(more=1),
        lambda told: told.pop("deltas"),
        lambda told: told["deltas"][0].update(name="../../x"),
        lambda told: told["deltas"][0].update(num_bytes=-1),
        lambda told: told["deltas"][0].update(num_lines=True),
        lambda told: told["deltas"][0].update(sha256="x"),
    ]
    for change in changes:
        (folder / MANIFEST).write_bytes(good)
        edited(folder, change)
        refused(here, folder, "no manifest")
    second = json.dumps({"ed25519": base64.b64encode(KEY.sign(b"[1]")).decode()}).encode()
    (folder / MANIFEST).write_bytes(b"[1]\n" + second + b"\n")
    refused(here, folder, "no manifest")
    (folder / MANIFEST).unlink()
    refused(here, folder, "manifest.jsonl: no such file; the sender has pushed nothing")


def test_a_replay_and_another_past_are_refused(there: Path, tmp_path: Path) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    send(there, folder)
    old = whole(folder)
    with banks.writing(there, "b") as bank:
        bank.remove(1)
    send(there, folder)
    receive(here, folder)
    new = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(old[MANIFEST])
    refused(here, folder, "older than what was taken, 1 deltas of 2")
    (folder / MANIFEST).write_bytes(new)
    edited(folder, lambda told: told["deltas"][1].update(sha256="0" * 64))
    refused(here, folder, "delta 2 is another one than was taken")
    edited(folder, lambda told: told["deltas"].append(told["deltas"][0]))
    refused(here, folder, "delta 2 is another one than was taken")
    (folder / MANIFEST).write_bytes(new)
    edited(folder, lambda told: told["deltas"].append(told["deltas"][0]))
    (folder / "000003.jsonl").write_bytes((folder / "000001.jsonl").read_bytes())
    # Sent again by who signs, it says the same again, which changes what was deleted alone.
    assert receive(here, folder).lines["upload"] == 3
    sign_over = tmp_path / "key"
    exchange_sending.send(banks.read(there, "b"), "them", sign_over, OTHER_KEY)
    refused(here, sign_over, "them/b was signed with the key .* before", key=OTHER_KEY)


def test_deltas_that_are_not_what_the_manifest_says_are_refused(
    there: Path, tmp_path: Path
) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    send(there, folder)
    path = folder / "000001.jsonl"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    refused(here, folder, f"000001.jsonl: not the {len(good)} bytes that the manifest says")
    path.write_bytes(good.replace(b"label 1", b"label 2"))
    refused(here, folder, "not the bytes that the manifest says")
    path.unlink()
    refused(here, folder, "000001.jsonl: No such file")
    (tmp_path / "elsewhere").write_bytes(good)
    path.symlink_to(tmp_path / "elsewhere")
    refused(here, folder, "000001.jsonl: a link")
    path.unlink()
    os.mkfifo(path)
    refused(here, folder, "000001.jsonl: no file")
    path.unlink()
    path.mkdir()
    refused(here, folder, r"000001.jsonl: (no file|Is a directory)")


def test_a_line_without_end_is_refused_unread(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    folder.mkdir()
    # A file of holes, of which nothing is read, as it is not so long as was signed.
    with (folder / "000001.jsonl").open("wb") as file:
        file.truncate(10 << 30)
    delta = Delta("0" * 64, 100, 1)
    sign(folder, sender="them", bank="b", category="known", deltas=(delta,))
    refused(here, folder, "not the 100 bytes")
    # Nor is it copied where it is as long as was signed.
    delta = Delta("0" * 64, 10 << 30, 1)
    sign(folder, sender="them", bank="b", category="known", deltas=(delta,))
    refused(here, folder, "a line of it is over 64 MB")
    monkeypatch.setattr(exchange_folder, "MAX_LINE_BYTES", 1000)
    lines_sent(folder, [b"x" * 5000 + b"\n"])
    refused(here, folder, "line 1: over 0 MB")
    lines_sent(folder, [{"op": "delete", "id": "0" * 64}, b'{"op"'])
    refused(here, folder, "line 2: no end")


ID = "1" * 64
EMPTY = exchange_lines.id_of(
    "2" * 64, "", np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)
)
UPLOAD = {
    **{"op": "upload", "id": EMPTY, "label": "x", "sha256": "2" * 64, "md5": "", "duration_s": 1.5},
    **{"pictures": [], "mirrors": [], "sounds": []},
}


def test_the_simplest_lines_are_taken(tmp_path: Path) -> None:
    opinion = {"op": "opinion", "id": EMPTY, "said": ["confirmed", "seen"]}
    lines_sent(tmp_path / "sent", [UPLOAD, opinion, {"op": "label", "id": EMPTY, "label": "y"}])
    receive(tmp_path / "here", tmp_path / "sent")
    found = banks.read(tmp_path / "here", "c")
    assert [item.label for item in found.items.values()] == ["y"]
    assert found.opinions[1]["them/b"] == frozenset({"confirmed", "seen", "uploaded"})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\xff\xfe\n", "no line of JSON"),
        (b'\xef\xbb\xbf{"op": "delete", "id": "%s"}\n' % (b"1" * 64), "no line of JSON"),
        (b"[]\n", "no line of JSON"),
        (b"[" * 100_000 + b"\n", "no line of JSON"),
        (b'{"op": "delete", "id": "%s", "id": "%s"}\n' % (b"1" * 64, b"2" * 64), "no line of JSON"),
        ({"op": "delete"}, "its id is no SHA-256"),
        ({"op": "delete", "id": "../../x"}, "its id is no SHA-256"),
        ({"op": "delete", "id": ID, "path": "../x"}, "an operation, or a field, that this version"),
        ({"op": "erase", "id": ID}, "an operation, or a field, that this version"),
        ({"op": ["x"], "id": ID}, "an operation, or a field, that this version"),
        ({"op": "label", "id": ID, "label": "x" * 201}, "its label is no text"),
        ({"op": "label", "id": ID, "label": 1}, "its label is no text"),
        ({"op": "opinion", "id": ID, "said": ["liked"]}, "what it says is not of confirmed"),
        ({"op": "opinion", "id": ID, "said": "seen"}, "what it says is not of confirmed"),
        ({"op": "opinion", "id": ID, "said": [[]]}, "what it says is not of confirmed"),
        ({"op": "opinion", "id": ID, "said": ["confirmed", "disputed"]}, "contradicts itself"),
        ({**UPLOAD, "duration_s": 10**400}, "its duration_s is no length"),
        ({**UPLOAD, "id": ID}, "its id is not that of what it holds"),
        ({**UPLOAD, "sha256": "2"}, "its sha256 or md5 is none"),
        ({**UPLOAD, "duration_s": -1}, "its duration_s is no length"),
        ({**UPLOAD, "duration_s": True}, "its duration_s is no length"),
        ({**UPLOAD, "duration_s": 1e300}, "its duration_s is no length"),
        (json.dumps({**UPLOAD, "duration_s": float("nan")}).encode() + b"\n", "no line of JSON"),
        ({**UPLOAD, "pictures": ["x"]}, "a picture is none"),
        ({**UPLOAD, "pictures": {}}, "a picture is none"),
        ({**UPLOAD, "pictures": [f"{ID},80,1.000"]}, "not as many mirrors as pictures"),
        ({**UPLOAD, "pictures": [f"{ID},101,1.000"], "mirrors": [ID]}, "quality of a picture"),
        (
            {**UPLOAD, "pictures": [f"{ID},80,{s}.000" for s in (2, 1)], "mirrors": [ID, ID]},
            "its times are not in order",
        ),
        ({**UPLOAD, "sounds": ["00000000,9999999.999"]}, "its times are not in order"),
        ({**UPLOAD, "sounds": [None]}, "a sound is none"),
    ],
)
def test_lines_that_say_something_else_are_refused(tmp_path: Path, line: Any, why: str) -> None:
    lines_sent(tmp_path / "sent", [{"op": "delete", "id": ID}, line])
    refused(tmp_path / "here", tmp_path / "sent", f"000001.jsonl: line 2: .*{why}")


def test_the_same_id_twice_and_a_line_too_few_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    lines_sent(folder, [UPLOAD, UPLOAD])
    refused(tmp_path / "here", folder, f"line 2: the id {EMPTY} twice")
    lines_sent(folder, [UPLOAD, {"op": "delete", "id": EMPTY}, UPLOAD])
    assert receive(tmp_path / "here", folder).lines["upload"] == 2
    assert len(banks.read(tmp_path / "here", "c").items) == 1
    lines_sent(folder, [UPLOAD, {"op": "delete", "id": EMPTY}])
    edited(folder, lambda told: told["deltas"][0].update(num_lines=3))
    refused(tmp_path / "elsewhere", folder, "2 lines and not 3")


def test_an_import_that_fails_half_way_leaves_the_bank_as_it_was(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    send(there, folder)
    receive(here, folder)
    with banks.writing(there, "b") as bank:
        add(bank, 4)
        add(bank, 5)
    send(there, folder)
    before = held(banks.read(here, "c"))
    original = bank_writer.Writer.add

    def failing(self: bank_writer.Writer, *given: Any, **more: Any) -> Any:
        if len(self.items) == 4:
            raise OSError(28, "No space left on device")
        return original(self, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(bank_writer.Writer, "add", failing)
        with pytest.raises(OSError, match="No space"):
            receive(here, folder)
    assert held(banks.read(here, "c")) == before
    assert receive(here, folder).lines["upload"] == 2
    assert held(banks.read(here, "c")).keys() == held(banks.read(there, "b")).keys()


def test_a_kill_leaves_all_of_an_import_or_nothing(there: Path, tmp_path: Path) -> None:
    folder, here = tmp_path / "sent", tmp_path / "here"
    send(there, folder)
    receive(here, folder)
    with banks.writing(there, "b") as bank:
        add(bank, 4)
        bank.remove(1)
        bank.judge(4, "them", "seen")
    send(there, folder)
    before, head = banks.read(here, "c"), (here / "c" / HEAD).read_bytes()
    size = (here / "c" / ITEMS).stat().st_size
    receive(here, folder)
    after, lines = banks.read(here, "c"), (here / "c" / ITEMS).read_bytes()
    # Some of the lines were written, and the head was not.
    (here / "c" / HEAD).write_bytes(head)
    for num_bytes in range(size, len(lines) + 1, 7):
        (here / "c" / ITEMS).write_bytes(lines[:num_bytes])
        found = banks.read(here, "c")
        expected = after if num_bytes >= len(lines) - 1 else before
        assert (held(found), found.opinions, found.feeds) == (
            held(expected),
            expected.opinions,
            expected.feeds,
        )
