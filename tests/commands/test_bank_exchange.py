from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline.commands import bank
from pipeline.config import App
from pipeline.copies import banks
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

    def run(action: str, name: str, *more: str) -> list[str]:
        key = private if action == "export" else public
        bank.run(action, name, str(sent), cfg=compose("bank", "by=us", f"key={key}", *more))
        return capsys.readouterr().out.splitlines()

    upload, opinion, total = run("export", "b", "dry_run=true")
    what = "label label 1, 0.8 s, 3 hashes of pictures, 6 of sound, SHA-256 and MD5 of the file"
    assert upload.startswith("upload ")
    assert upload.endswith(f": {what}")
    assert opinion.endswith(": confirmed")
    assert total == f"{sent}: 2 lines would be sent"
    assert not sent.exists()
    mark = "56475aa75463474c0285df5dbf2bcab7"
    (told,) = run("export", "b")
    assert told == f"{sent}: us/b, delta 1, key {mark}: 1 opinion, 1 upload"
    (told,) = run("import", "c", "dry_run=true")
    assert told == f"{sent}: us/b, delta 1, key {mark}: 1 opinion, 1 upload; nothing was changed"
    assert banks.names(tmp_path / "banks") == ["b"]
    (told,) = run("import", "c")
    assert told == f"{sent}: us/b, delta 1, key {mark}: 1 opinion, 1 upload"
    (told,) = run("import", "c")
    assert told == f"{sent}: us/b, delta 1, key {mark}: nothing new"
    found = banks.read(tmp_path / "banks", "c")
    assert found.opinions == {1: {"us": frozenset({"confirmed", "uploaded"})}}
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
    banks_of = tmp_path / "banks"
    with banks.writing(banks_of, "b", create=True) as one:
        add(one, 1)
    for action, key, reason in (
        ("export", None, "bank export: give key=FILE, your private key of Ed25519"),
        ("import", None, "bank import: give key=FILE, the sender's public key of Ed25519"),
        ("export", public, "key.pub: no private key of Ed25519; make one with openssl genpkey"),
        ("export", other, r"other\.pem: no private key of Ed25519"),
        ("import", private, r"key\.pem: no public key of Ed25519; have the sender give you what"),
        ("import", tmp_path / "gone", "gone: No such file or directory; give key=FILE"),
    ):
        given = ["by=us"] + [f"key={key}"] * (key is not None)
        with pytest.raises(UserError, match=reason):
            bank.run(action, "b", str(tmp_path / "sent"), cfg=compose("bank", *given))
    with pytest.raises(UserError, match="by=: give by=NAME"):
        bank.run("export", "b", str(tmp_path / "sent"), cfg=compose("bank", f"key={private}"))
