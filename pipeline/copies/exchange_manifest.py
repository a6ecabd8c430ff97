"""The signed manifest of an exchange: who speaks, and what its deltas are.

`manifest.jsonl` has two lines: the manifest, and its signature (Ed25519, RFC 8032) by a key that
the receiver was given by another way. Deltas have no names of their own, so that none leads
elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pipeline.copies import bank_files
from pipeline.errors import UserError

MANIFEST = "manifest.jsonl"
FORMAT = 2
_READ = (1, FORMAT)
"""Formats that are read; 1 has no sound of a narrow band."""
KNOWN, NEGATIVE = "known", "negative"

MAX_MANIFEST_BYTES = 16 << 20
_MAX_DELTAS = 10**6 - 1
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Delta:
    """A file of lines: the hash of its bytes, how many these are, and how many lines."""

    sha256: str
    num_bytes: int
    num_lines: int


@dataclass(frozen=True)
class Manifest:
    """What a sender has said so far.

    Attributes:
        sender: who speaks.
        bank: of which of its banks.
        category: `known`, or `negative` of what is harmless.
        deltas: in order; each says what changed after the one before.
    """

    sender: str
    bank: str
    category: str
    deltas: tuple[Delta, ...]

    @property
    def feed(self) -> str:
        """What receivers call it."""
        return f"{self.sender}/{self.bank}"


def delta_path(folder: Path, number: int) -> Path:
    """The file of a delta, from 1."""
    return folder / f"{number:06d}.jsonl"


def private_key(path: Path) -> Ed25519PrivateKey:
    """The key that one signs with.

    Raises:
        UserError: the file holds none.
    """
    key = _loaded(path, lambda data: load_pem_private_key(data, None))
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(
            f"{path}: no private key of Ed25519; make one with openssl genpkey -algorithm ed25519 "
            f"-out {path}, keep it to yourself, and give others openssl pkey -in {path} -pubout"
        )
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """The key of a sender.

    Raises:
        UserError: the file holds none.
    """
    key = _loaded(path, load_pem_public_key)
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(
            f"{path}: no public key of Ed25519; have the sender give you what openssl pkey -in KEY "
            "-pubout prints"
        )
    return key


def in_digits(key: Ed25519PublicKey) -> str:
    """The 32 bytes of a key in hexadecimal digits."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def public_key_of(digits: str, peer: str) -> Ed25519PublicKey:
    """The key that `in_digits` told of a peer.

    Raises:
        UserError: it is none.
    """
    if not _HEX.fullmatch(digits):
        raise UserError(
            f"{peer}: {digits!r} is no key of 32 bytes; remove the peer, and add it anew with "
            "their_key=FILE"
        )
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(digits))


def _loaded(path: Path, load: Any) -> Any:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give key=FILE") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def fingerprint(key: Ed25519PublicKey) -> str:
    """A key in 32 hexadecimal digits."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]


def signed_lines(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """The two lines of a manifest."""
    line = json.dumps({"format": FORMAT, **asdict(manifest)}).encode()
    signature = base64.b64encode(key.sign(line)).decode()
    return line + b"\n" + json.dumps({"ed25519": signature}).encode() + b"\n"


def read(folder: Path, key: Ed25519PublicKey) -> Manifest:
    """The manifest of a folder.

    Raises:
        UserError: there is none, its signature is not of that key, or it is of another version.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        raise UserError(
            f"{path}: no such file; the sender has pushed nothing there yet, or this is not where "
            "it pushes to; nothing of it was taken"
        )
    with open_regular(path) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    lines = content.split(b"\n")
    try:
        if len(content) > MAX_MANIFEST_BYTES or len(lines) != 3 or lines[2]:
            raise ValueError(path)
        key.verify(base64.b64decode(json.loads(lines[1])["ed25519"], validate=True), lines[0])
    except (InvalidSignature, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: not signed with the key {fingerprint(key)}; nothing of it was taken, so ask "
            "the sender for its key or for a whole copy"
        ) from error
    try:
        told = json.loads(lines[0])
        version = told.pop("format", None)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _none(path) from error
    if type(version) is not int or version not in _READ:
        raise UserError(
            f"{path}: format {version!r}, and this version of Discern reads formats "
            f"{' and '.join(map(str, _READ))}; nothing of it was taken, so use a later version"
        )
    return _manifest(path, told)


def _manifest(path: Path, told: dict[str, Any]) -> Manifest:
    try:
        deltas = tuple(Delta(**one) for one in told.pop("deltas"))
        found = Manifest(**told, deltas=deltas)
        is_whole = (
            all(bank_files.NAME.fullmatch(name) for name in (found.sender, found.bank))
            and found.category in (KNOWN, NEGATIVE)
            and len(deltas) <= _MAX_DELTAS
            and all(_is_delta(one) for one in deltas)
        )
    except (KeyError, TypeError) as error:
        raise _none(path) from error
    if not is_whole:
        raise _none(path)
    return found


def _is_delta(one: Delta) -> bool:
    numbers = one.num_bytes, one.num_lines
    return bool(_HEX.fullmatch(one.sha256)) and all(type(n) is int and n > 0 for n in numbers)


def _none(path: Path) -> UserError:
    return UserError(f"{path}: no manifest; nothing of it was taken, so ask the sender for one")


def open_regular(path: Path) -> BinaryIO:
    """A file that others may have put there: no link, no pipe and no device.

    Raises:
        UserError: it is none, or cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        what = "a link" if path.is_symlink() else error.strerror
        raise UserError(f"{path}: {what}; nothing of it was taken, so give a whole copy") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{path}: no file; nothing of it was taken, so give a whole copy")
    return os.fdopen(descriptor, "rb")
