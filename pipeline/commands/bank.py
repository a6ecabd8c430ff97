"""Keeps banks of known videos and stills: `discern bank add NAME FILE|FOLDER …`, and `ACTIONS`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from pipeline.assess.wording import count
from pipeline.commands import bank_exchange, label_mapping, named_files, printed_files
from pipeline.commands.actions import Action, act
from pipeline.config import BankApp
from pipeline.copies import (
    bank_compaction,
    bank_files,
    banks,
    exchange_manifest,
    flood,
    hash_datasets,
    hash_index,
    hash_lists,
    parts,
    sound_matching,
)
from pipeline.copies.bank_log import OPINIONS, UPLOADED, Item, check_label
from pipeline.copies.matches import item_in_words
from pipeline.copies.peers import DELTAS
from pipeline.copies.records import sound_records
from pipeline.errors import UserError
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import Printed
from pipeline.system.visible_text import plain

RATE_HZ = 4.0
"""Pictures of an item that are hashed a second at least, beside those that change: the few that are
looked up of a copy, cut out anywhere, shall find one alike."""
_ALONE = (
    "; its pictures are too flat to be hashed, and its sound, if it has any, is too short or "
    "hardly changes: only equal bytes match"
)
_MAX_SHOWN = 120
_MAX_RUNS = 10


def run(action: str, *arguments: str, cfg: BankApp) -> None:
    """Do what a command line says about banks.

    Args:
        action: one of `ACTIONS`.
        arguments: what it is told.
        cfg: where banks are, and what a file may cost.

    Raises:
        UserError: a wrong action or number of arguments, a bank that is not there or was damaged,
            or files of which nothing can be told; all others were added then.
    """
    act("bank", ACTIONS, action, arguments, cfg)


def _add(cfg: BankApp, name: str, *given: str) -> None:
    root, by = Path(cfg.paths.banks), cfg.by and _who(cfg)
    paths = named_files.named(named_files.expanded(given))
    label = name if cfg.label is None else cfg.label
    check_label(label)
    num_added, unusable = 0, []
    with banks.writing(root, name, create=True) as bank:
        if cfg.negative:
            bank.make_negative()
        # What a list knows by its bytes alone is hashed all the same.
        known = {
            item.sha256: item
            for item in bank.items.values()
            if item.sha256 and (not item.feed or item.num_hashes or item.num_sounds)
        }

        def say_same(path: Path, item: Item) -> None:
            if by:
                bank.judge(item.number, by, UPLOADED)
            print(f"{_shown(path)}: the same bytes as {item_in_words(name, item)}")

        new = []
        for path in paths:
            item = known.get(printed_files.digests_of(path)[0])
            if item is None:
                new.append(path)
            else:
                say_same(path, item)
        results = printed_files.hash_files(
            new, RATE_HZ, cfg.ingest, cfg.run, "bank", with_changes=True, parts=parts.of_item
        )
        for path, result in zip(new, results, strict=True):
            if isinstance(result, Unusable):
                unusable.append(f"{_shown(path)}: {printed_files.why(result)}")
                continue
            if result.sha256 in known:
                say_same(path, known[result.sha256])
                continue
            sounds = sound_records(result.sound_times_ms, result.sounds)
            narrow = sound_records(result.narrow_times_ms, result.narrow_sounds)
            item = bank.add(
                path.name,
                label,
                result.sha256,
                result.md5,
                result.duration_s,
                printed_files.hash_records(result),
                sounds,
                parts=printed_files.part_records(result),
                narrow=narrow,
            )
            if by:
                bank.judge(item.number, by, UPLOADED)
            known[item.sha256] = item
            num_added += 1
            is_known = (
                item.num_hashes
                or sound_matching.can_match(sounds)
                or sound_matching.can_match(narrow, narrow=True)
            )
            remark = _without_hash(result) if is_known else _ALONE
            print(f"{_shown(path)}: {item_in_words(name, item)}, {_size(item)}{remark}")
    print(f"{root / name}: {count(num_added, 'item')} added")
    if unusable:
        print("\n".join(unusable), file=sys.stderr)
        raise UserError(f"{count(len(unusable), 'file')} of {len(paths)} could not be added")


def _list(cfg: BankApp) -> None:
    root = Path(cfg.paths.banks)
    names = banks.names(root)
    if not names:
        print("no banks")
    for name in names:
        bank = banks.read(root, name)
        items = bank.items.values()
        num_hashes = sum(item.num_records for item in items)
        num_sounds = sum(item.num_moments for item in items)
        length = _length(sum(item.duration_s for item in items))
        print(
            f"{name}: {'negative, ' * bank.is_negative}{count(len(items), 'item')}, {length}, "
            f"{bank_exchange.told_hashes(num_hashes, num_sounds)}"
        )


def _show(cfg: BankApp, name: str) -> None:
    bank = banks.read(Path(cfg.paths.banks), name)
    reasons = flood.suspended(Path(cfg.paths.work))
    for item in bank.items.values():
        remarks = [
            f"{by}: {', '.join(sorted(said))}"
            for by, said in sorted(bank.opinions.get(item.number, {}).items())
        ]
        remarks += [
            f"{by} calls it {_shown(label)}"
            for by, label in sorted(bank.called.get(item.number, {}).items())
            if label != item.label
        ]
        reason = reasons.get(flood.key_of(name, item))
        remarks += [f"suspended: {reason}"] if reason else []
        print(
            f"{item.number}  {_shown(item.name)}  label {_shown(item.label)}  {_size(item)}  "
            f"SHA-256 {item.sha256}  MD5 {item.md5}{''.join(f'  {one}' for one in remarks)}"
        )


def _remove(cfg: BankApp, name: str, number: str) -> None:
    item_number = _number(name, number)
    with banks.writing(Path(cfg.paths.banks), name) as bank:
        item = bank.remove(item_number)
    print(f"{item_in_words(name, item)}: removed; no later answer names it")


def _label(cfg: BankApp, name: str, number: str) -> None:
    if cfg.label is None:
        raise UserError(f"bank label {name} {number}: give label=…, what it is known as")
    item_number = _number(name, number)
    with banks.writing(Path(cfg.paths.banks), name) as bank:
        item = bank.label(item_number, cfg.label)
    print(f"{item_in_words(name, item)}: has this label now")


def _verdict(cfg: BankApp, name: str, number: str, verdict: str) -> None:
    if verdict not in OPINIONS:
        raise UserError(f"'{verdict}' is no verdict; give one of {', '.join(OPINIONS)}")
    by = _who(cfg)
    item_number = _number(name, number)
    with banks.writing(Path(cfg.paths.banks), name) as bank:
        item = bank.judge(item_number, by, verdict)
        opinions = bank.log.opinions[item.number]
    said = "; ".join(f"{who}: {', '.join(sorted(what))}" for who, what in sorted(opinions.items()))
    print(f"{item_in_words(name, item)}: {said or 'nobody says anything'}")


def _compact(cfg: BankApp, name: str) -> None:
    root = Path(cfg.paths.banks)
    num_removed = bank_compaction.compact(root, name)
    hash_index.delete_index(Path(cfg.paths.work), name)
    print(f"{root / name}: {count(num_removed, 'removed item')} taken out of its files")


def _resume(cfg: BankApp, name: str, number: str) -> None:
    bank = banks.read(Path(cfg.paths.banks), name)
    item = bank.items.get(_number(name, number))
    if item is None or not flood.release(Path(cfg.paths.work), flood.key_of(name, item)):
        raise UserError(f"{name} item {number}: not suspended; see discern bank show {name}")
    print(f"{item_in_words(name, item)}: counts again, whatever it matches")


def _export(cfg: BankApp, name: str, folder: str) -> None:
    root, dry_run = Path(cfg.paths.banks), cfg.dry_run
    if cfg.format == DELTAS:
        by, key = _who(cfg), exchange_manifest.private_key(_key(cfg, "export", "your private key"))
        told = bank_exchange.export(root, name, by, Path(folder), key, dry_run=dry_run)
    elif cfg.format == hash_datasets.KIND:
        raise UserError(f"format={cfg.format}: is only read; give {', '.join(hash_lists.KINDS)}")
    else:
        told = bank_exchange.export_list(root, name, folder, cfg.format, dry_run=dry_run)
    print("\n".join(told))


def _import(cfg: BankApp, name: str, folder: str) -> None:
    root, path, dry_run = Path(cfg.paths.banks), Path(folder), cfg.dry_run
    labels = None if cfg.labels is None else label_mapping.read(Path(cfg.labels))
    if cfg.format == DELTAS:
        key = exchange_manifest.public_key(_key(cfg, "import", "the sender's public key"))
        told = bank_exchange.take(root, name, path, key, labels, dry_run=dry_run)
    else:
        label = name if cfg.label is None else cfg.label
        how = bank_exchange.ListTerms(cfg.format, label, cfg.negative, labels)
        told = bank_exchange.take_list(root, name, path, how, dry_run=dry_run)
    print("\n".join(told))


def _key(cfg: BankApp, action: str, whose: str) -> Path:
    if cfg.key is None:
        raise UserError(f"bank {action}: give key=FILE, {whose} of Ed25519 in PEM")
    return Path(cfg.key)


def _who(cfg: BankApp) -> str:
    if cfg.by is None:
        raise UserError("by=: give by=NAME, who says so")
    return bank_files.check_name(cfg.by, "by")


def _number(name: str, number: str) -> int:
    if not (number.isascii() and number.isdigit()):
        raise UserError(f"'{number}' is no number of an item; see discern bank show {name}")
    return int(number)


def _size(item: Item) -> str:
    hashes = bank_exchange.told_hashes(item.num_records, item.num_moments)
    return f"{item.duration_s:.1f} s, {hashes}"


def _without_hash(one: Printed) -> str:
    """The seconds of a file of which no picture has a hash, in words; empty where all have one."""
    # A last second may be too short to have a picture.
    num_seconds = max(1, math.ceil(one.duration_s - 1 / RATE_HZ))
    seconds = np.setdiff1d(np.arange(num_seconds), one.times_ms // 1000)
    if not len(seconds):
        return ""
    runs = np.split(seconds, np.flatnonzero(np.diff(seconds) > 1) + 1)
    parts = [f"{run[0]} to {min(run[-1] + 1, one.duration_s):g} s" for run in runs]
    left = len(parts) - _MAX_RUNS
    told = ", ".join(parts[:_MAX_RUNS]) + (f" and {left} more" if left > 0 else "")
    return f"; no hash of pictures, which are too flat or damaged: {told}"


def _length(length_s: float) -> str:
    """A time in the unit in which it is no mere fraction."""
    if length_s < 60:
        return f"{length_s:.1f} s"
    return f"{length_s / 60:.1f} min" if length_s < 3600 else f"{length_s / 3600:.2f} h"


def _shown(text: Path | str) -> str:
    return plain(str(text), _MAX_SHOWN)


ACTIONS = {
    "add": Action("NAME FILE|FOLDER …", _add),
    "list": Action("", _list),
    "show": Action("NAME", _show),
    "remove": Action("NAME ITEM", _remove),
    "label": Action("NAME ITEM", _label),
    "verdict": Action(f"NAME ITEM {'|'.join(OPINIONS)}", _verdict),
    "compact": Action("NAME", _compact),
    "resume": Action("NAME ITEM", _resume),
    "export": Action("NAME FOLDER|LIST", _export),
    "import": Action("NAME FOLDER|LIST", _import),
}
"""What can be done with banks."""
