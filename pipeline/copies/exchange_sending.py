"""Sends a bank: appends what a folder does not say yet of it, as one signed delta.

Items are known by what they hold (`exchange_lines.id_of`), so that the same one sent by two is one
item of which both say something. A feed speaks for its sender alone.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.copies import bank_files, exchange_lines, exchange_manifest
from pipeline.copies.bank_log import UPLOADED, Item, is_label
from pipeline.copies.banks import Bank
from pipeline.copies.exchange_folder import Exchanged, kind_of, lines_of_delta
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
class PublishedItem:
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
    before = said_so_far(_begun(bank, sender, folder, key), folder)
    now: dict[str, tuple[PublishedItem, Item]] = {}
    for item in bank.items.values():
        said = bank.opinions.get(item.number, {}).get(sender, frozenset())
        own = not item.feed
        name = exchange_lines.id_in(bank, item)
        told = PublishedItem(own, item.label if own else "", said - {UPLOADED} if own else said)
        if (own or said) and name not in now:
            now[name] = told, item
    for name, told in before.items():
        if told.is_uploaded and not (name in now and now[name][0].is_uploaded):
            yield Delete(name)
            before[name] = PublishedItem()
        elif told.said and name not in now:
            yield Opinion(name, frozenset())
    for name, (told, item) in now.items():
        then = before.get(name, PublishedItem())
        if told.is_uploaded and not then.is_uploaded:
            yield _upload(name, bank, item)
        elif told.label != then.label:
            yield Label(name, told.label)
        if told.said != then.said:
            yield Opinion(name, told.said)


def _upload(name: str, bank: Bank, item: Item) -> Upload:
    known = name, item.label, item.sha256, item.md5, item.duration_s
    return Upload(*known, bank.hashes_of(item), bank.sounds_of(item), bank.narrow_of(item))


def said_so_far(manifest: Manifest, folder: Path) -> dict[str, PublishedItem]:
    """What a folder says of items, by their ids.

    Raises:
        UserError: a delta is not what the manifest says.
    """
    found: dict[str, PublishedItem] = {}
    for number, delta in enumerate(manifest.deltas, 1):
        for line in lines_of_delta(folder, number, delta):
            told = found.setdefault(line.id, PublishedItem())
            match line:
                case Upload():
                    told.is_uploaded, told.label = True, line.label
                case Label():
                    told.label = line.label
                case Opinion():
                    told.said = line.said
                case Delete():
                    found[line.id] = PublishedItem()
    return found


def open_manifest(
    sender: str, bank: str, category: str, folder: Path, key: Ed25519PrivateKey
) -> Manifest:
    """The manifest of a folder that one sends by; one that says nothing yet where there is none.

    Raises:
        UserError: the folder has another sender, bank, category or key.
    """
    own = Manifest(sender, bank, category, ())
    if not (folder / MANIFEST).exists():
        if folder.exists() and any(folder.glob("[!.]*")):
            raise UserError(f"{folder}: not empty, and no exchange; give another folder")
        return own
    found = exchange_manifest.read(folder, key.public_key())
    if (found.feed, found.category) != (own.feed, own.category):
        raise UserError(
            f"{folder}: says what {found.feed} ({found.category}) holds; give another folder for "
            f"{own.feed} ({own.category})"
        )
    return found


def _begun(bank: Bank, sender: str, folder: Path, key: Ed25519PrivateKey) -> Manifest:
    return open_manifest(sender, bank.name, NEGATIVE if bank.is_negative else KNOWN, folder, key)


def send(bank: Bank, sender: str, folder: Path, key: Ed25519PrivateKey) -> Exchanged:
    """Append what a folder does not say yet of a bank, as one delta; returns what that was.

    Raises:
        UserError: the folder has another sender, bank or key, or an item is too large.
    """
    manifest = _begun(bank, sender, folder, key)
    return append(changes(bank, sender, folder, key), manifest, folder, key)


def append(
    lines: Iterable[Line], manifest: Manifest, folder: Path, key: Ed25519PrivateKey
) -> Exchanged:
    """Append lines to a folder as one delta, if there are any; returns what they were.

    Args:
        lines: to be said.
        manifest: as `open_manifest` gives it.
        folder: the exchange.
        key: to sign with.

    Raises:
        UserError: a line is too long for who reads it, or the folder cannot be written to.
    """
    counts: Counter[str] = Counter()
    digest, num_bytes = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        for line in lines:
            text = exchange_lines.as_line(line)
            label = getattr(line, "label", "")
            too_long = len(text) > MAX_LINE_BYTES or len(label) > exchange_lines.MAX_LABEL
            if too_long or not is_label(label):
                raise UserError(
                    f"{manifest.bank}: {line.id}: an item of more than {MAX_LINE_BYTES >> 20} MB, "
                    f"or with a label of more than {exchange_lines.MAX_LABEL} letters or with what "
                    "controls, turns or hides text, cannot be sent; discern bank label gives it "
                    "another one"
                )
            digest.update(text)
            num_bytes += len(text)
            counts[kind_of(line)] += 1
            file.write(text)
        if num_bytes:
            delta = Delta(digest.hexdigest(), num_bytes, counts.total())
            try:
                manifest = _appended(file, delta, manifest, folder, key)
            except (FileExistsError, NotADirectoryError, PermissionError) as error:
                raise UserError(
                    f"{folder}: {error.strerror}; give a folder that you may write to"
                ) from error
    own = exchange_manifest.fingerprint(key.public_key())
    return Exchanged(manifest.feed, own, len(manifest.deltas), counts)


def _appended(
    file: BinaryIO, delta: Delta, manifest: Manifest, folder: Path, key: Ed25519PrivateKey
) -> Manifest:
    """Put a delta into a folder, and then the manifest that has it, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    if not manifest.deltas:
        # Who is killed before the end leaves a folder that is known as an exchange.
        _sign(manifest, folder, key)
    file.seek(0)
    _replace(exchange_manifest.delta_path(folder, len(manifest.deltas) + 1), file)
    manifest = replace(manifest, deltas=(*manifest.deltas, delta))
    _sign(manifest, folder, key)
    return manifest


def _sign(manifest: Manifest, folder: Path, key: Ed25519PrivateKey) -> None:
    _replace(folder / MANIFEST, io.BytesIO(exchange_manifest.signed_lines(manifest, key)))


def _replace(path: Path, content: BinaryIO) -> None:
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        while block := content.read(1 << 20):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    bank_files.to_disk(path.parent)
