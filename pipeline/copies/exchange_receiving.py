"""Takes what others send into a bank: all of it that is new, or nothing.

Everything is checked, in a copy, before anything is changed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipeline.copies import banks, exchange_lines, exchange_manifest
from pipeline.copies.bank_log import UPLOADED, WITHDRAWN, Taken
from pipeline.copies.bank_writer import Writer
from pipeline.copies.banks import Bank
from pipeline.copies.exchange_folder import UNKNOWN, Exchanged, kind_of, lines_of, refused, staged
from pipeline.copies.exchange_lines import Delete, Label, Line, Opinion, Upload
from pipeline.copies.exchange_manifest import MANIFEST, NEGATIVE, Manifest


def receive(
    root: Path,
    name: str,
    folder: Path,
    key: Ed25519PublicKey,
    labels: Mapping[str, str] | None = None,
    *,
    dry_run: bool = False,
) -> Exchanged:
    """Take what a folder says and a bank has not taken; returns what that was.

    Args:
        root: the folder of banks.
        name: of the bank, which is made if there is none.
        folder: the exchange.
        key: that it has to be signed with.
        labels: what theirs are called here; those that are missing stay as they are, and are
            counted. None where all stay.
        dry_run: change nothing.

    Raises:
        UserError: the exchange is not whole, not of that key, older than what was taken, or of
            something else than the bank; the bank is as it was then.
    """
    manifest = exchange_manifest.read(folder, key)
    if name in banks.names(root):
        with banks.writing(root, name) as writer:
            bank = banks.read(root, name)
            return _receive(writer, bank, manifest, folder, key, labels, dry_run)
    # What is refused must leave no empty bank.
    with (
        tempfile.TemporaryDirectory() as empty,
        banks.writing(Path(empty), name, create=True) as writer,
    ):
        bank = banks.read(Path(empty), name)
        told = _receive(writer, bank, manifest, folder, key, labels, dry_run=True)
    if dry_run:
        return told
    with banks.writing(root, name, create=True) as writer:
        bank = banks.read(root, name)
        return _receive(writer, bank, manifest, folder, key, labels, dry_run)


def _receive(
    writer: Writer,
    bank: Bank,
    manifest: Manifest,
    folder: Path,
    key: Ed25519PublicKey,
    labels: Mapping[str, str] | None,
    dry_run: bool,
) -> Exchanged:
    mark = exchange_manifest.fingerprint(key)
    told = Exchanged(manifest.feed, mark, len(manifest.deltas))
    taken = bank.feeds.get(manifest.feed, Taken(mark, 0, ""))
    for feed, one in bank.feeds.items():
        # Else whoever has any key could speak in the name of another.
        if feed.split("/")[0] == manifest.sender and one.key != mark:
            path = folder / MANIFEST
            raise refused(path, f"{feed} was signed with the key {one.key} before")
    check_goes_on(manifest, taken, folder)
    if (bank.items or bank.is_negative) and bank.is_negative != (manifest.category == NEGATIVE):
        raise refused(folder / MANIFEST, f"of a {manifest.category} bank, and {bank.name} is none")
    with tempfile.TemporaryFile() as new:
        uploaded: set[str] = set()
        for number, delta in list(enumerate(manifest.deltas, 1))[taken.num_deltas :]:
            path = exchange_manifest.delta_path(folder, number)
            with staged(folder, number, delta) as copy:
                num_lines = 0
                for line in lines_of(copy, path):
                    num_lines += 1
                    told.lines[kind_of(line)] += 1
                    if labels is not None and isinstance(line, Upload | Label):
                        told.unmapped[line.label] += line.label not in labels
                    if isinstance(line, Upload):
                        if line.id in uploaded:
                            raise refused(path, f"line {num_lines}: the id {line.id} twice")
                        uploaded.add(line.id)
                    elif isinstance(line, Delete):
                        uploaded.discard(line.id)
                if num_lines != delta.num_lines:
                    raise refused(path, f"{num_lines} lines and not {delta.num_lines}")
                copy.seek(0)
                while block := copy.read(1 << 20):
                    new.write(block)
        if dry_run or taken.num_deltas == len(manifest.deltas):
            return told
        new.seek(0)
        with writer.at_once():
            if manifest.category == NEGATIVE:
                writer.make_negative()
            applied = _Applied(writer, bank, manifest)
            for line in lines_of(new, folder):
                applied.apply(_translated(line, labels or {}))
            last = manifest.deltas[-1].sha256
            writer.take(manifest.feed, Taken(mark, len(manifest.deltas), last))
    told.lines[UNKNOWN] = applied.num_unknown
    return told


def _translated(line: Line, labels: Mapping[str, str]) -> Line:
    if isinstance(line, Upload | Label):
        return replace(line, label=labels.get(line.label, line.label))
    return line


def check_goes_on(manifest: Manifest, taken: Taken, folder: Path) -> None:
    """Check that a folder says what was taken of it, and perhaps more.

    Raises:
        UserError: it says less, or something else.
    """
    path = folder / MANIFEST
    if len(manifest.deltas) < taken.num_deltas:
        raise refused(
            path,
            f"older than what was taken, {len(manifest.deltas)} deltas of {taken.num_deltas}",
        )
    if taken.num_deltas and manifest.deltas[taken.num_deltas - 1].sha256 != taken.sha256:
        raise refused(path, f"delta {taken.num_deltas} is another one than was taken")


class _Applied:
    """Has a bank say what lines say."""

    def __init__(self, writer: Writer, bank: Bank, manifest: Manifest) -> None:
        self._writer, self._manifest = writer, manifest
        self._numbers = {
            exchange_lines.id_in(bank, item): item.number for item in bank.items.values()
        }
        self.num_unknown = 0

    def apply(self, line: Line) -> None:
        number = self._numbers.get(line.id)
        if isinstance(line, Upload):
            if number is None:
                number = self._add(line)
            self._call(number, line.label)
            self._say(number, frozenset({UPLOADED}), and_before=True)
        elif number is None:
            self.num_unknown += 1
        elif isinstance(line, Opinion):
            before = self._said(number) & {UPLOADED}
            self._say(number, line.said | before)
        elif isinstance(line, Label):
            if self._writer.items[number].feed == self._manifest.feed:
                self._writer.label(number, line.label)
            self._call(number, line.label)
        else:
            has_uploaded = UPLOADED in self._said(number)
            self._say(number, frozenset())
            self._call(number, None)
            others = self._writer.log.opinions.get(number, {}).values()
            # What was made here, or came by a list, is nobody else's to delete.
            feeds = {*self._writer.log.feeds, self._manifest.feed}
            is_foreign = self._writer.items[number].feed in feeds
            if has_uploaded and is_foreign and not any(UPLOADED in said for said in others):
                self._writer.remove(number)
                del self._numbers[line.id]

    def _add(self, line: Upload) -> int:
        name = f"{self._manifest.feed} {line.id[:12]}"
        known = name, line.label, line.sha256, line.md5, line.duration_s
        prints = line.hashes, line.sounds
        item = self._writer.add(*known, *prints, self._manifest.feed, narrow=line.narrow)
        self._numbers[line.id] = item.number
        return item.number

    def _call(self, number: int, label: str | None) -> None:
        """Note what the feed calls an item that did not come from it."""
        feed, called = self._manifest.feed, self._writer.log.called.get(number, {})
        if self._writer.items[number].feed != feed and called.get(feed) != label:
            self._writer.call(number, feed, label)

    def _said(self, number: int) -> frozenset[str]:
        said = self._writer.log.opinions.get(number, {})
        return said.get(self._manifest.feed, frozenset())

    def _say(self, number: int, said: frozenset[str], *, and_before: bool = False) -> None:
        by, before = self._manifest.feed, self._said(number)
        if not and_before and before - said:
            self._writer.judge(number, by, WITHDRAWN)
            before = frozenset()
        for verdict in sorted(said - before):
            self._writer.judge(number, by, verdict)
