"""`discern bank export` and `discern bank import`: what leaves a bank, and what comes into one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipeline.assess.wording import count
from pipeline.config import BankApp
from pipeline.copies import (
    banks,
    exchange_lines,
    exchange_manifest,
    exchange_receiving,
    exchange_sending,
    hash_lists,
)
from pipeline.copies.bank_log import UPLOADED
from pipeline.copies.exchange_folder import UNKNOWN, Exchanged, kind_of
from pipeline.copies.exchange_lines import Label, Line, Opinion, Upload
from pipeline.errors import UserError
from pipeline.system.untrusted import plain

LIST = "list"
"""The feed that items of lists are said to come from."""
_MAX_SHOWN = 120
_SILENCE = np.zeros(0, banks.SOUND_RECORD)
_NOUNS = {"opinion": "opinion", "upload": "upload", "delete": "deletion", "label": "label"}


def export(cfg: BankApp, sender: str, name: str, folder: str) -> None:
    """Append to a folder what it does not say yet of a bank, or print what that would be.

    Raises:
        UserError: no key, or a folder of something else.
    """
    key = exchange_manifest.private_key(_key(cfg, "export", "your private key"))
    bank, target = banks.read(Path(cfg.paths.banks), name), Path(folder)
    if cfg.dry_run:
        told = list(_told(exchange_sending.changes(bank, sender, target, key)))
        print("\n".join([*told, f"{target}: {count(len(told), 'line')} would be sent"]))
        return
    print(_summary(target, exchange_sending.send(bank, sender, target, key)))


def take(cfg: BankApp, name: str, folder: str) -> None:
    """Take what a folder says into a bank.

    Raises:
        UserError: no key, or an exchange that cannot be trusted.
    """
    key = exchange_manifest.public_key(_key(cfg, "import", "the sender's public key"))
    source, root = Path(folder), Path(cfg.paths.banks)
    told = exchange_receiving.receive(root, name, source, key, dry_run=cfg.dry_run)
    print(f"{_summary(source, told)}{'; nothing was changed' * cfg.dry_run}")


def export_list(cfg: BankApp, name: str, path: str) -> None:
    """Write hashes of a bank as a list of one kind, or print how many that would be.

    Raises:
        UserError: there is such a file already.
    """
    lines = list(hash_lists.written(banks.read(Path(cfg.paths.banks), name), cfg.format))
    told = f"{path}: {count(len(lines), 'line')} of {cfg.format}"
    if cfg.dry_run:
        print(f"{told} would be written")
        return
    try:
        with Path(path).open("x") as file:
            file.writelines(lines)
    except FileExistsError as error:
        raise UserError(f"{path}: there is such a file; give another name") from error
    print(told)


def take_list(cfg: BankApp, name: str, path: str) -> None:
    """Make an item of each line of a list that a bank has no such one of; all of them or none.

    Raises:
        UserError: a line is none.
    """
    root, label = Path(cfg.paths.banks), name if cfg.label is None else cfg.label
    listed = {
        exchange_lines.id_of(one.sha256, one.md5, one.hashes, _SILENCE): one
        for one in hash_lists.read(Path(path), cfg.format)
    }
    known: set[str] = set()
    # Their feeds may delete them, and the list has them all the same.
    of_others: list[int] = []
    if name in banks.names(root):
        bank = banks.read(root, name)
        names = {
            number: exchange_lines.id_of(
                item.sha256, item.md5, bank.hashes_of(item), bank.sounds_of(item)
            )
            for number, item in bank.items.items()
        }
        known = set(names.values())
        of_others = [
            item.number
            for item in bank.items.values()
            if item.feed not in ("", LIST)
            and UPLOADED not in bank.opinions.get(item.number, {}).get(LIST, ())
            and names[item.number] in listed
        ]
    new = [(key, one) for key, one in listed.items() if key not in known]
    if (new or of_others) and not cfg.dry_run:
        with banks.writing(root, name, create=True) as writer, writer.at_once():
            if cfg.negative:
                writer.make_negative()
            for key, one in new:
                length_s = int(one.hashes["time_ms"].max(initial=0)) / 1000
                told = f"{cfg.format} {key[:12]}", label, one.sha256, one.md5, length_s
                writer.add(*told, one.hashes, _SILENCE, LIST)
            for number in of_others:
                writer.judge(number, LIST, UPLOADED)
    print(
        f"{path}: {count(len(new), 'item')} of {count(len(listed), 'different line')} of "
        f"{cfg.format} {'would be ' * cfg.dry_run}added to {root / name}"
    )


def _key(cfg: BankApp, action: str, whose: str) -> Path:
    if cfg.key is None:
        raise UserError(f"bank {action}: give key=FILE, {whose} of Ed25519 in PEM")
    return Path(cfg.key)


def _told(lines: Iterable[Line]) -> Iterable[str]:
    """What each line gives away."""
    for line in lines:
        match line:
            case Upload():
                hashes = f"{len(line.hashes)} hashes of pictures, {len(line.sounds)} of sound"
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
