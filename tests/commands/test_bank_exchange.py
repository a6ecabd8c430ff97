from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline.commands import bank, bank_exchange
from pipeline.config import App
from pipeline.copies import (
    banks,
    exchange_manifest,
    exchange_receiving,
    exchange_sending,
    hash_datasets,
)
from pipeline.errors import UserError
from tests.copies.test_banks import add


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Files of a private and a public key, as openssl writes them."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.mark.parametrize(
    ("num_pictures", "told"),
    [(0, "0 hashes of pictures"), (1, "1 hash of pictures"), (2, "2 hashes of pictures")],
)
def test_one_hash_is_told_as_one(num_pictures: int, told: str) -> None:
    assert bank_exchange.told_hashes(num_pictures, 3) == f"{told}, 3 of sound"


def test_a_bank_goes_to_others_and_a_dry_run_prints_what_would(
    tmp_path: Path,
    keys: tuple[Path, Path],
    compose: Callable[..., App],
    capsys: pytest.CaptureFixture[str],
) -> None:
    private, public = keys
    with banks.writing(tmp_path / "banks", "b", create=True) as one:
        add(one, 1)
        one.judge(1, "us", "confirmed")
    sent = tmp_path / "sent"

    cfg: Any = compose("bank", "by=us")

    def run(action: str, name: str, *, dry_run: bool = False) -> list[str]:
        key = private if action == "export" else public
        bank.run(action, name, str(sent), cfg=replace(cfg, key=str(key), dry_run=dry_run))
        return capsys.readouterr().out.splitlines()

    upload, opinion, total = run("export", "b", dry_run=True)
    what = "label label 1, 0.8 s, 3 hashes of pictures, 6 of sound, SHA-256 and MD5 of the file"
    assert upload.startswith("upload ")
    assert upload.endswith(f": {what}")
    assert opinion.endswith(": confirmed")
    assert total == f"{sent}: 2 lines would be sent"
    assert not sent.exists()
    mark = "56475aa75463474c0285df5dbf2bcab7"
    (told,) = run("export", "b")
    assert told == f"{sent}: us/b, delta 1, key {mark}: 1 opinion, 1 upload"
    (told,) = run("import", "c", dry_run=True)
    assert told == f"{sent}: us/b, delta 1, key {mark}: 1 opinion, 1 upload; nothing was changed"
    assert banks.names(tmp_path / "banks") == ["b"]
    (told,) = run("import", "c")
    assert told == f"{sent}: us/b, delta 1, key {mark}: 1 opinion, 1 upload"
    (told,) = run("import", "c")
    assert told == f"{sent}: us/b, delta 1, key {mark}: nothing new"
    found = banks.read(tmp_path / "banks", "c")
    assert found.opinions == {1: {"us/b": frozenset({"confirmed", "uploaded"})}}
    with banks.writing(tmp_path / "banks", "c") as one:
        one.remove(1)
    with banks.writing(tmp_path / "banks", "b") as one:
        one.judge(1, "us", "withdrawn")
    run("export", "b")
    (told,) = run("import", "c")
    assert told.endswith(": 1 opinion, 1 line of items that are not here")


def test_a_key_that_is_none_is_named(
    tmp_path: Path, keys: tuple[Path, Path], compose: Callable[..., App]
) -> None:
    private, public = keys
    other = tmp_path / "other.pem"
    other.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    cfg: Any = compose("bank")
    with banks.writing(tmp_path / "banks", "b", create=True) as one:
        add(one, 1)
    for action, key, reason in (
        ("export", None, "bank export: give key=FILE, your private key of Ed25519"),
        ("import", None, "bank import: give key=FILE, the sender's public key of Ed25519"),
        ("export", public, "key.pub: no private key of Ed25519; make one with openssl genpkey"),
        ("export", other, r"other\.pem: no private key of Ed25519"),
        ("import", private, r"key\.pem: no public key of Ed25519; have the sender give you what"),
        ("import", tmp_path / "gone", "gone: No such file or directory; give key=FILE"),
    ):
        given = replace(cfg, by="us", key=key and str(key))
        with pytest.raises(UserError, match=reason):
            bank.run(action, "b", str(tmp_path / "sent"), cfg=given)
    with pytest.raises(UserError, match="by=: give by=NAME"):
        bank.run("export", "b", str(tmp_path / "sent"), cfg=replace(cfg, key=str(private)))


def test_lists_go_out_and_come_in_as_items(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "banks"
    with banks.writing(root, "b", create=True) as one:
        add(one, 1)
        add(one, 2, num_hashes=9)

    cfg: Any = compose("bank", "label=theirs")

    def run(action: str, name: str, kind: str, *, dry_run: bool = False) -> str:
        path = str(tmp_path / f"{kind}.txt")
        bank.run(action, name, path, cfg=replace(cfg, format=kind, dry_run=dry_run))
        return capsys.readouterr().out.strip()

    num_lines = {"pdq": 4, "vpdq": 2, "md5": 2, "sha256": 2}
    for kind, num in num_lines.items():
        path = tmp_path / f"{kind}.txt"
        told = f"{path}: {num} lines of {kind}"
        assert run("export", "b", kind, dry_run=True) == f"{told} would be written"
        assert not path.exists()
        assert run("export", "b", kind) == told
        with pytest.raises(UserError, match="No such file or directory; give a file in a folder"):
            bank.run("export", "b", str(tmp_path / "none" / kind), cfg=replace(cfg, format=kind))
        with pytest.raises(UserError, match="there is such a file; give another name"):
            run("export", "b", kind)
        told, there = f"{path}: {num} items of {num} different lines of {kind}", root / "in"
        assert run("import", "in", kind, dry_run=True) == f"{told} would be added to {there}"
        assert run("import", "in", kind) == f"{told} added to {there}"
        again = run("import", "in", kind)
        assert again.startswith(f"{path}: 0 items of {num} different lines")
    found = banks.read(root, "in")
    assert {item.label for item in found.items.values()} == {"theirs"}
    assert [item.num_hashes for item in found.items.values()] == [1] * 4 + [1, 3] + [0] * 4
    with_bytes = [(f"{1:064x}", ""), ("9" * 64, f"{2:032x}"), ("9" * 64, "9" * 32), ("", "")]
    assert [one and one.name[:3] for one in (found.with_bytes(*both) for both in with_bytes)] == [
        *("sha", "md5"),
        *(None, None),
    ]
    # What came in by a list goes out to nobody else.
    (tmp_path / "md5.txt").unlink()
    assert run("export", "in", "md5").endswith(": 0 lines of md5")
    (tmp_path / "pdq.txt").write_text("0" * 64 + "\nx\n")
    with pytest.raises(UserError, match="line 2: no pdq; nothing of the list was taken"):
        run("import", "other", "pdq")
    assert banks.names(root) == ["b", "in"]


def test_a_list_that_a_full_disk_cuts_is_none(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    with banks.writing(tmp_path / "banks", "b", create=True) as one:
        add(one, 1)
    cfg: Any = compose("bank", "format=sha256")
    path = tmp_path / "list.txt"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            bank.run("export", "b", str(path), cfg=cfg)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not path.exists()
    bank.run("export", "b", str(path), cfg=cfg)
    assert capsys.readouterr().out.strip() == f"{path}: 1 line of sha256"
    assert len(path.read_bytes()) == len(f"video_sha256 {1:064x}\n")


def test_a_dataset_of_threatexchange_comes_in_with_labels_of_ours(
    tmp_path: Path, compose: Callable[..., App], capsys: pytest.CaptureFixture[str]
) -> None:
    root, dataset, labels = tmp_path / "banks", tmp_path / "dataset.csv", tmp_path / "labels.csv"
    rows = (
        ("1", "POSITIVE_CLASS", "tve live"),
        ("2", "DISPUTED", "gore"),
        ("3", "POSITIVE_CLASS", ""),
    )
    dataset.write_text(
        "signal_type,signal_str,collab,category,tags\n"
        + "".join(f"video_md5,{one * 32},A,{category},{tags}\n" for one, category, tags in rows)
        + f"video_md5,{'4' * 32},A,NEGATIVE_CLASS,news\n"
    )
    labels.write_text("theirs,ours\ntve,attack\nlive,attack\n")
    given = "format=threatexchange", f"labels={labels}"
    bank.run("import", "b", str(dataset), cfg=compose("bank", *given))
    assert capsys.readouterr().out.splitlines() == [
        f"{dataset}: 3 items of 3 different lines of threatexchange added to {root}/b",
        f"{dataset}: 1 label that the mapping lacks, kept as it is: gore (1)",
    ]
    found = banks.read(root, "b")
    assert [item.label for item in found.items.values()] == ["attack", "gore", "b"]
    assert found.opinions == {
        1: {"list": frozenset({"confirmed"})},
        2: {"list": frozenset({"disputed"})},
        3: {"list": frozenset({"confirmed"})},
    }
    bank.run("import", "no", str(dataset), cfg=compose("bank", "negative=true", *given))
    found = banks.read(root, "no")
    assert found.is_negative
    assert [item.md5 for item in found.items.values()] == ["4" * 32]
    with pytest.raises(UserError, match="format=threatexchange: is only read; give pdq, vpdq"):
        bank.run("export", "b", str(tmp_path / "x"), cfg=compose("bank", "format=threatexchange"))


def test_a_tag_with_controls_is_refused_with_its_line(tmp_path: Path) -> None:
    dataset = tmp_path / "dataset.csv"
    dataset.write_text(
        "signal_type,signal_str,collab,category,tags\n"
        f"video_md5,{'1' * 32},A,POSITIVE_CLASS,gore\x1b[2J\n"
    )
    with pytest.raises(UserError, match="line 2: no signal of its kind"):
        list(hash_datasets.read(dataset, negative=False))


def test_what_a_list_has_too_is_not_for_its_feed_to_delete(
    tmp_path: Path, keys: tuple[Path, Path], compose: Callable[..., App]
) -> None:
    root, there, sent, md5s = (tmp_path / one for one in ("banks", "there", "sent", "md5s"))
    key = exchange_manifest.private_key(keys[0])
    hashes, sounds = np.zeros(0, banks.RECORD), np.zeros(0, banks.SOUND_RECORD)

    def exchanged() -> None:
        exchange_sending.send(banks.read(there, "b"), "them", sent, key)
        exchange_receiving.receive(root, "in", sent, key.public_key())

    with banks.writing(there, "b", create=True) as writer:
        for digit in "12":
            writer.add("x", "x", "", digit * 32, 0.0, hashes, sounds)
    exchanged()
    md5s.write_text("1" * 32 + "\n")
    bank.run("import", "in", str(md5s), cfg=compose("bank", "format=md5", "dry_run=true"))
    assert "list" not in banks.read(root, "in").opinions[1]
    bank.run("import", "in", str(md5s), cfg=compose("bank", "format=md5"))
    before = (root / "in" / "items.jsonl").read_bytes()
    bank.run("import", "in", str(md5s), cfg=compose("bank", "format=md5"))
    assert (root / "in" / "items.jsonl").read_bytes() == before
    with banks.writing(there, "b") as writer:
        writer.remove(1)
        writer.remove(2)
    exchanged()
    assert list(banks.read(root, "in").items) == [1]
    assert banks.read(root, "in").opinions == {1: {"list": frozenset({"uploaded"})}}
