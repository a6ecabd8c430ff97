"""Sends a bank: appends what a folder does not say yet of it, as one signed delta.

Items are known by what they hold (`exchange_lines.id_of`), so that the same one sent by two is one
item of which both say something. A feed speaks for its sender alone.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.copies import bank_files, exchange_lines, exchange_manifest
from pipeline.copies.bank_log import UPLOADED, Item
from pipeline.copies.banks import Bank
from pipeline.copies.exchange_folder import Exchanged, kind_of, lines_of, staged
from pipeline.copies.exchange_lines import (
    MAX_LINE_BYTES,
    Delete,
    Label,
    Line,
    Opinion,
    Upload,
)
from pipeline.copies.exchange_manifest import KNOWN, MANIFEST, NEGATIVE, Delta, Manifest
from pipeline.errors import UserError


@dataclass
class _Said:
    """What a folder says of an item so far."""

    is_uploaded: bool = False
    label: str = ""
    said: frozenset[str] = frozenset()


def changes(bank: Bank, sender: str, folder: Path, key: Ed25519PrivateKey) -> Iterator[Line]:
    """What a folder does not say yet of a bank.

    It is of the items that were made here, and of what the sender thinks of all items.

    Raises:
        UserError: the folder has another sender, bank or key.
    """
    before = _said_so_far(bank, sender, folder, key)
    now: dict[str, tuple[_Said, Item]] = {}
    for item in bank.items.values():
        said = bank.opinions.get(item.number, {}).get(sender, frozenset())
        own = not item.feed
        hashes, sounds = bank.hashes_of(item), bank.sounds_of(item)
        name = exchange_lines.id_of(item.sha256, item.md5, hashes, sounds)
        told = _Said(own, item.label if own else "", said - {UPLOADED} if own else said)
        if (own or said) and name not in now:
            now[name] = told, item
    for name, told in before.items():
        if told.is_uploaded and not (name in now and now[name][0].is_uploaded):
            yield Delete(name)
            before[name] = _Said()
        elif told.said and name not in now:
            yield Opinion(name, frozenset())
    for name, (told, item) in now.items():
        then = before.get(name, _Said())
        if told.is_uploaded and not then.is_uploaded:
            yield _upload(name, bank, item)
        elif told.label != then.label:
            yield Label(name, told.label)
        if told.said != then.said:
            yield Opinion(name, told.said)


def _upload(name: str, bank: Bank, item: Item) -> Upload:
    hashes, sounds = bank.hashes_of(item), bank.sounds_of(item)
    known = name, item.label, item.sha256, item.md5, item.duration_s
    return Upload(*known, hashes, sounds)


def _said_so_far(bank: Bank, sender: str, folder: Path, key: Ed25519PrivateKey) -> dict[str, _Said]:
    found: dict[str, _Said] = {}
    for number, delta in enumerate(_manifest(bank, sender, folder, key).deltas, 1):
        with staged(folder, number, delta) as file:
            for line in lines_of(file, exchange_manifest.delta_path(folder, number)):
                told = found.setdefault(line.id, _Said())
                match line:
                    case Upload() | Label():
                        told.is_uploaded, told.label = True, line.label
                    case Opinion():
                        told.said = line.said
                    case Delete():
                        found[line.id] = _Said()
    return found


def _manifest(bank: Bank, sender: str, folder: Path, key: Ed25519PrivateKey) -> Manifest:
    """The manifest of a folder that one sends by, or a new one."""
    category = NEGATIVE if bank.is_negative else KNOWN
    if not (folder / MANIFEST).exists():
        if folder.exists() and any(folder.glob("[!.]*")):
            raise UserError(f"{folder}: not empty, and no exchange; give another folder")
        return Manifest(sender, bank.name, category, ())
    found = exchange_manifest.read(folder, key.public_key())
    if (found.sender, found.bank, found.category) != (sender, bank.name, category):
        raise UserError(
            f"{folder}: says what {found.feed} ({found.category}) holds; give another folder for "
            f"{sender}/{bank.name} ({category})"
        )
    return found


def send(bank: Bank, sender: str, folder: Path, key: Ed25519PrivateKey) -> Exchanged:
    """Append what a folder does not say yet of a bank, as one delta; returns what that was.

    Raises:
        UserError: the folder has another sender, bank or key, or an item is too large.
    """
    manifest = _manifest(bank, sender, folder, key)
    counts: Counter[str] = Counter()
    number = len(manifest.deltas) + 1
    digest, num_bytes = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        for line in changes(bank, sender, folder, key):
            text = exchange_lines.written(line)
            if len(text) > MAX_LINE_BYTES or len(getattr(line, "label", "")) > (
                exchange_lines.MAX_LABEL
            ):
                raise UserError(
                    f"{bank.name}: an item of more than {MAX_LINE_BYTES >> 20} MB or with a label "
                    f"of more than {exchange_lines.MAX_LABEL} letters cannot be sent: {line.id}"
                )
            digest.update(text)
            num_bytes += len(text)
            counts[kind_of(line)] += 1
            file.write(text)
        if num_bytes:
            folder.mkdir(parents=True, exist_ok=True)
            file.seek(0)
            _replace(exchange_manifest.delta_path(folder, number), file)
            delta = Delta(digest.hexdigest(), num_bytes, counts.total())
            manifest = Manifest(sender, bank.name, manifest.category, (*manifest.deltas, delta))
            with tempfile.TemporaryFile() as told:
                told.write(exchange_manifest.signed(manifest, key))
                told.seek(0)
                _replace(folder / MANIFEST, told)
    own = exchange_manifest.fingerprint(key.public_key())
    return Exchanged(manifest.feed, own, len(manifest.deltas), counts)


def _replace(path: Path, content: BinaryIO) -> None:
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        while block := content.read(1 << 20):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    bank_files.to_disk(path.parent)
