"""`discern bank export` and `discern bank import`: what leaves a bank, and what comes into one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.assess.page.untrusted import plain
from pipeline.assess.wording import count
from pipeline.config import BankApp
from pipeline.copies import banks, exchange_manifest, exchange_receiving, exchange_sending
from pipeline.copies.exchange_folder import UNKNOWN, Exchanged, kind_of
from pipeline.copies.exchange_lines import Label, Line, Opinion, Upload
from pipeline.errors import UserError

_MAX_SHOWN = 120
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
