"""`discern bank export` and `discern bank import`: what leaves a bank, and what comes into one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.assess.wording import count
from pipeline.copies import (
    banks,
    exchange_lines,
    exchange_receiving,
    exchange_sending,
    hash_datasets,
    hash_lists,
)
from pipeline.copies.bank_log import UPLOADED
from pipeline.copies.exchange_folder import UNKNOWN, Exchanged, kind_of
from pipeline.copies.exchange_lines import Label, Line, Opinion, Upload
from pipeline.errors import UserError
from pipeline.system.visible_text import plain

LIST = "list"
"""The feed that items of lists are said to come from."""
_MAX_SHOWN = 120
_MAX_LABELS = 20
_NOUNS = {"opinion": "opinion", "upload": "upload", "delete": "deletion", "label": "label"}


def export(
    root: Path, name: str, sender: str, target: Path, key: Ed25519PrivateKey, *, dry_run: bool
) -> list[str]:
    """Append to a folder what it does not say yet of a bank.

    Returns:
        What was sent, in words, or what would be.

    Raises:
        UserError: no such bank, or a folder of something else.
    """
    bank = banks.read(root, name)
    if dry_run:
        told = list(_told(exchange_sending.changes(bank, sender, target, key)))
        return [*told, f"{target}: {count(len(told), 'line')} would be sent"]
    return [_summary(target, exchange_sending.send(bank, sender, target, key))]


def take(
    root: Path,
    name: str,
    source: Path,
    key: Ed25519PublicKey,
    labels: Mapping[str, str] | None,
    *,
    dry_run: bool,
) -> list[str]:
    """Take what a folder says into a bank.

    Args:
        root: the folder of banks.
        name: of the bank.
        source: the folder.
        key: that it has to be signed with.
        labels: what theirs are called here; None where all stay.
        dry_run: change nothing.

    Returns:
        What was taken, in words.

    Raises:
        UserError: an exchange that cannot be trusted.
    """
    told = exchange_receiving.receive(root, name, source, key, labels, dry_run=dry_run)
    return [
        f"{_summary(source, told)}{'; nothing was changed' * dry_run}",
        *_unmapped(source, told.unmapped),
    ]


def _unmapped(source: Path, found: Mapping[str, int]) -> list[str]:
    labels = [f"{plain(one, _MAX_SHOWN)} ({num})" for one, num in sorted(found.items()) if num]
    shown = ", ".join(labels[:_MAX_LABELS]) + ", …" * (len(labels) > _MAX_LABELS)
    is_one = len(labels) == 1
    return (
        [
            f"{source}: {count(len(labels), 'label')} that the mapping lacks, kept as "
            f"{'it is' if is_one else 'they are'}: {shown}"
        ]
        if labels
        else []
    )


def export_list(root: Path, name: str, path: str, kind: str, *, dry_run: bool) -> list[str]:
    """Write hashes of a bank as a list of one kind, and tell how many that is, or would be.

    Raises:
        UserError: there is such a file already.
    """
    lines = list(hash_lists.list_lines(banks.read(root, name), kind))
    told = f"{path}: {count(len(lines), 'line')} of {kind}"
    if dry_run:
        return [f"{told} would be written"]
    target = Path(path)
    if path == "-":
        raise UserError("-: a list is not printed; give the name of a file")
    if os.path.lexists(target):
        raise UserError(f"{path}: there is such a file; give another name")
    # The beginning of a list looks like a list.
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("w") as file:
            file.writelines(lines)
        part.replace(target)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"{path}: {error.strerror}; give a file in a folder of yours") from error
    return [told]


@dataclass(frozen=True)
class ListTerms:
    """Tells how a list is read.

    Attributes:
        kind: of its lines.
        label: of its items, but of those that it names tags of.
        negative: whether what it has is harmless.
        labels: what its tags are called here; None where all stay.
    """

    kind: str
    label: str
    negative: bool = False
    labels: Mapping[str, str] | None = None


def take_list(root: Path, name: str, path: Path, how: ListTerms, *, dry_run: bool) -> list[str]:
    """Make an item of each line of a list that a bank has no such one of; all of them or none.

    Returns:
        What was taken, in words.

    Raises:
        UserError: a line is none.
    """
    read = (
        hash_datasets.read(path, negative=how.negative)
        if how.kind == hash_datasets.KIND
        else hash_lists.read(path, how.kind)
    )
    listed = {
        exchange_lines.id_of(one.sha256, one.md5, one.hashes, one.sounds, one.narrow): one
        for one in read
    }
    known: set[str] = set()
    # Their feeds may delete them, and the list has them all the same.
    of_others: list[int] = []
    if name in banks.names(root):
        bank = banks.read(root, name)
        names = {number: exchange_lines.id_in(bank, item) for number, item in bank.items.items()}
        known = set(names.values())
        of_others = [
            item.number
            for item in bank.items.values()
            if item.feed not in ("", LIST)
            and UPLOADED not in bank.opinions.get(item.number, {}).get(LIST, ())
            and names[item.number] in listed
        ]
    new = [(key, one) for key, one in listed.items() if key not in known]
    if (new or of_others) and not dry_run:
        with banks.writing(root, name, create=True) as writer, writer.at_once():
            if how.negative:
                writer.make_negative()
            for key, one in new:
                length_s = int(one.hashes["time_ms"].max(initial=0)) / 1000
                called = ", ".join(dict.fromkeys((how.labels or {}).get(t, t) for t in one.tags))
                label = called[: exchange_lines.MAX_LABEL] or how.label
                told = f"{how.kind} {key[:12]}", label, one.sha256, one.md5, length_s
                item = writer.add(*told, one.hashes, one.sounds, LIST, narrow=one.narrow)
                if one.said:
                    writer.judge(item.number, LIST, one.said)
            for number in of_others:
                writer.judge(number, LIST, UPLOADED)
    tags = Counter(tag for one in listed.values() for tag in one.tags)
    return [
        f"{path}: {count(len(new), 'item')} of {count(len(listed), 'different line')} of "
        f"{how.kind} {'would be ' * dry_run}added to {root / name}",
        *_unmapped(path, {t: n for t, n in tags.items() if t not in (how.labels or tags)}),
    ]


def told_hashes(num_pictures: int, num_sounds: int) -> str:
    """`1 hash of pictures, 2 of sound`."""
    return (
        f"{num_pictures} hash{'' if num_pictures == 1 else 'es'} of pictures, {num_sounds} of sound"
    )


def _told(lines: Iterable[Line]) -> Iterable[str]:
    """Yield what each line gives away."""
    for line in lines:
        match line:
            case Upload():
                hashes = told_hashes(len(line.hashes), len(line.sounds) + len(line.narrow))
                digests = {"SHA-256": line.sha256, "MD5": line.md5}
                known = " and ".join(what for what, is_known in digests.items() if is_known)
                what = (
                    f": label {plain(line.label, _MAX_SHOWN)}, {line.duration_s:.1f} s, {hashes}, "
                    f"{known or 'no hash'} of the file"
                )
            case Label():
                what = f": {plain(line.label, _MAX_SHOWN)}"
            case Opinion():
                what = f": {', '.join(sorted(line.said)) or 'nothing any more'}"
            case _:
                what = ""
        yield f"{kind_of(line)} {line.id}{what}"


def _summary(folder: Path, told: Exchanged) -> str:
    counts = [count(told.lines[kind], noun) for kind, noun in _NOUNS.items() if told.lines[kind]]
    unknown = told.lines[UNKNOWN]
    counts += [f"{count(unknown, 'line')} of items that are not here"] if unknown else []
    return (
        f"{folder}: {told.feed}, delta {told.num_deltas}, key {told.key}: "
        f"{', '.join(counts) or 'nothing new'}"
    )
