"""Keeps banks of known videos: `discern bank add NAME FILE|FOLDER…`, `list`, `show`, `remove`."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.assess.page.untrusted import plain
from pipeline.assess.wording import count
from pipeline.commands import printed_files
from pipeline.config import BankApp
from pipeline.copies import banks, sound_matching
from pipeline.copies.bank_log import Item
from pipeline.errors import UserError
from pipeline.footage.conversion import Unusable

RATE_HZ = 4.0
"""Pictures of an item that are hashed a second at least, beside those that change: the few that are
looked up of a copy, cut out anywhere, shall find one alike."""
_ALONE = (
    "; its pictures are too flat to be hashed, and its sound, if it has any, is too short or "
    "hardly changes: only equal bytes match"
)
_MAX_SHOWN = 120
_USAGE = {
    "add": "bank add NAME FILE|FOLDER …",
    "list": "bank list",
    "show": "bank show NAME",
    "remove": "bank remove NAME ITEM",
}


def run(action: str, *arguments: str, cfg: BankApp) -> None:
    """Do what a command line says about banks.

    Args:
        action: `add`, `list`, `show` or `remove`.
        arguments: what it is told.
        cfg: where banks are, and what a file may cost.

    Raises:
        UserError: a wrong action or number of arguments, a bank that is not there or was damaged,
            or files of which nothing can be told; all others were added then.
    """
    root = Path(cfg.paths.banks)
    if action == "add" and len(arguments) > 1:
        _add(root, arguments[0], arguments[1:], cfg)
    elif action == "list" and not arguments:
        _list(root)
    elif action == "show" and len(arguments) == 1:
        _show(root, arguments[0])
    elif action == "remove" and len(arguments) == 2:
        _remove(root, *arguments)
    else:
        usages = ", ".join([_USAGE[action]] if action in _USAGE else _USAGE.values())
        raise UserError(f"'{' '.join((action, *arguments))}' is not understood; give {usages}")


def _add(root: Path, name: str, given: tuple[str, ...], cfg: BankApp) -> None:
    paths = printed_files.named(given)
    label = name if cfg.label is None else cfg.label
    num_added, unusable = 0, []
    with banks.writing(root, name, create=True) as bank:
        known = {item.sha256: item for item in bank.items.values()}
        new = []
        for path in paths:
            item = known.get(printed_files.sha256_of(path) or "")
            if item is None:
                new.append(path)
            else:
                print(f"{_shown(path)}: the same bytes as {told(name, item)}")
        results = printed_files.printed(
            new, RATE_HZ, cfg.ingest, cfg.run, "bank", with_changes=True
        )
        for path, result in zip(new, results, strict=True):
            if isinstance(result, Unusable):
                unusable.append(f"{_shown(path)}: {printed_files.why(result)}")
                continue
            if result.sha256 in known:
                print(f"{_shown(path)}: the same bytes as {told(name, known[result.sha256])}")
                continue
            sounds = printed_files.sound_records(result.sound_times_ms, result.sounds)
            item = bank.add(
                path.name,
                label,
                result.sha256,
                result.md5,
                result.duration_s,
                printed_files.hash_records(result),
                sounds,
            )
            known[item.sha256] = item
            num_added += 1
            is_known = item.num_hashes or sound_matching.can_match(sounds)
            alone = "" if is_known else _ALONE
            print(f"{_shown(path)}: {told(name, item)}, {_size(item)}{alone}")
    print(f"{root / name}: {count(num_added, 'item')} added")
    if unusable:
        print("\n".join(unusable), file=sys.stderr)
        raise UserError(f"{count(len(unusable), 'file')} of {len(paths)} could not be added")


def _list(root: Path) -> None:
    for name in banks.names(root):
        bank = banks.read(root, name)
        items = bank.items.values()
        num_hashes = sum(item.num_hashes for item in items)
        num_sounds = sum(item.num_sounds for item in items)
        hours = sum(item.duration_s for item in items) / 3600
        print(
            f"{name}: {count(len(items), 'item')}, {hours:.2f} h, {num_hashes} hashes of pictures, "
            f"{num_sounds} of sound"
        )


def _show(root: Path, name: str) -> None:
    for item in banks.read(root, name).items.values():
        print(
            f"{item.number}  {_shown(item.name)}  label {_shown(item.label)}  {_size(item)}  "
            f"SHA-256 {item.sha256}  MD5 {item.md5}"
        )


def _remove(root: Path, name: str, number: str) -> None:
    if not (number.isascii() and number.isdigit()):
        raise UserError(f"'{number}' is no number of an item; see discern bank show {name}")
    with banks.writing(root, name) as bank:
        item = bank.remove(int(number))
    print(f"{told(name, item)}: removed; no later answer names it")


def told(bank: str, item: Item) -> str:
    """An item in words."""
    return f"{bank} item {item.number} ({_shown(item.name)}, label {_shown(item.label)})"


def _size(item: Item) -> str:
    hashes = f"{item.num_hashes} hashes of pictures, {item.num_sounds} of sound"
    return f"{item.duration_s:.1f} s, {hashes}"


def _shown(text: Path | str) -> str:
    return plain(str(text), _MAX_SHOWN)
