"""Exchanges banks with others: `discern exchange add NAME BANK` once, then `pull` and `push`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.assess.wording import count
from pipeline.commands import bank_exchange, exchange_transfer, label_mapping
from pipeline.commands.actions import Action, act
from pipeline.config import ExchangeApp
from pipeline.copies import bank_files, banks, exchange_manifest, peers
from pipeline.copies.bank_log import CONFIRMED, DISPUTED
from pipeline.copies.banks import Bank
from pipeline.copies.exchange_manifest import Manifest
from pipeline.copies.matches import item_in_words
from pipeline.copies.peers import DELTAS, Peer
from pipeline.errors import UserError
from pipeline.system.visible_text import plain

_MAX_SHOWN = 120


def run(action: str, *names: str, cfg: ExchangeApp) -> None:
    """Do what a command line says about peers.

    Args:
        action: one of `ACTIONS`.
        names: of peers, and of a bank for `add`.
        cfg: where banks are, and what is said of a peer.

    Raises:
        UserError: a wrong action or number of names, no such peer, or peers with whom nothing
            could be exchanged; all others were served then.
    """
    act("exchange", ACTIONS, action, names, cfg)


def _named(known: dict[str, Peer], name: str) -> Peer:
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise UserError(
            f"no peer '{plain(name, _MAX_SHOWN)}' (there are: {there}); discern exchange add "
            "NAME BANK makes one"
        )
    return known[name]


def _add(cfg: ExchangeApp, name: str, bank: str) -> None:
    root = Path(cfg.paths.banks)
    known = peers.read(root)
    bank_files.check_name(name, "name")
    bank_files.folder_of(root, bank)
    if name in known:
        raise UserError(f"{name}: there is such a peer; run discern exchange remove {name} first")
    peer = Peer(name, bank, format=cfg.format)
    if cfg.pull is not None:
        exchange_transfer.check(cfg.pull, "pull")
        peer = replace(peer, pull=cfg.pull)
        if cfg.format == DELTAS:
            key = exchange_manifest.public_key(_file(cfg.their_key, "their_key", "the peer's"))
            peer = replace(peer, their_key=exchange_manifest.in_digits(key))
    if cfg.labels is not None:
        label_mapping.read(Path(cfg.labels))
        peer = replace(peer, labels=cfg.labels)
    if cfg.push is not None:
        exchange_transfer.check(cfg.push, "push", written=True)
        if cfg.by is None:
            raise UserError("by=: give by=NAME, in whose name the peer is told")
        by = bank_files.check_name(cfg.by, "by")
        key_path = _file(cfg.key, "key", "your private")
        exchange_manifest.private_key(key_path)
        peer = replace(peer, push=cfg.push, by=by, key=_below_home(key_path))
    if not (peer.pull or peer.push):
        raise UserError(f"{name}: give pull=… to take what it says, push=… to tell it, or both")
    peers.write(root, (*known.values(), peer))
    print(_in_words(peer))


def _file(given: str | None, name: str, whose: str) -> Path:
    if given is None:
        raise UserError(f"{name}=: give {name}=FILE, {whose} key of Ed25519 in PEM")
    # No shell expands the ~ of key=~/…
    path = Path(given).expanduser()
    if not path.is_file():
        raise UserError(f"{name}={given}: no such file; give {whose} key of Ed25519 in PEM")
    return path


def _below_home(path: Path) -> str:
    """A path that holds for whoever runs the project, where it lies below their home."""
    absolute = path.expanduser().absolute()
    try:
        return f"~/{absolute.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def _in_words(peer: Peer) -> str:
    parts = [f"{peer.name}: bank {peer.bank}"]
    if peer.pull:
        signed = ""
        if peer.their_key:
            key = exchange_manifest.public_key_of(peer.their_key, peer.name)
            signed = f", key {exchange_manifest.fingerprint(key)}"
        what = "" if peer.format == DELTAS else f" a list of {peer.format}"
        parts.append(f"pulls{what} from {peer.pull}{signed}")
    parts += [f"labels by {peer.labels}"] if peer.labels else []
    parts += [f"pushes to {peer.push} as {peer.by}"] if peer.push else []
    return "; ".join(parts)


def _list(cfg: ExchangeApp) -> None:
    known = peers.read(Path(cfg.paths.banks))
    print("\n".join(_in_words(known[name]) for name in sorted(known)) or "no peers")


def _remove(cfg: ExchangeApp, name: str) -> None:
    root = Path(cfg.paths.banks)
    known = peers.read(root)
    peer = _named(known, name)
    peers.write(root, (one for one in known.values() if one is not peer))
    print(f"{peer.name}: removed; the bank {peer.bank} keeps what came from there")


def _show(cfg: ExchangeApp, name: str) -> None:
    root = Path(cfg.paths.banks)
    peer = _named(peers.read(root), name)
    print(_in_words(peer))
    if peer.bank not in banks.names(root):
        print(f"{peer.bank}: no such bank yet; the first pull makes it")
        return
    bank = banks.read(root, peer.bank)
    for feed, taken in sorted(bank.feeds.items()):
        print(f"{peer.bank}: has {count(taken.num_deltas, 'delta')} of {feed}, key {taken.key}")
    print("\n".join(_conflicts(bank)) or f"{peer.bank}: no conflict")


def _conflicts(bank: Bank) -> list[str]:
    """Tell what parties do not agree on, a line an item."""
    found = []
    for item in bank.items.values():
        said = bank.opinions.get(item.number, {})
        sides = {
            verdict: [by for by, what in sorted(said.items()) if verdict in what]
            for verdict in (CONFIRMED, DISPUTED)
        }
        parts = [f"{verdict} by {', '.join(by)}" for verdict, by in sides.items() if by]
        # Who uploads an item stands for it, so that who disputes it never agrees with all.
        differ = [", and ".join(parts)] if sides[DISPUTED] else []
        differ += [
            f"called {plain(label, _MAX_SHOWN)} by {by}"
            for by, label in sorted(bank.called.get(item.number, {}).items())
            if label != item.label
        ]
        if differ:
            found.append(f"conflict: {item_in_words(bank.name, item)}: {'; '.join(differ)}")
    return found


def _serve(action: str, cfg: ExchangeApp, *names: str) -> None:
    """Pull from peers, or push to them, one after the other, and tell of all that failed."""
    known = peers.read(Path(cfg.paths.banks))
    chosen = [_named(known, name) for name in names or sorted(known)]
    serve: Callable[[Peer], list[str]] = partial(_pull if action == "pull" else _push, cfg)
    served = [one for one in chosen if getattr(one, action)]
    if not served:
        raise UserError(f"no peer to {action}; discern exchange add NAME BANK {action}=… makes one")
    num_failed = 0
    for peer in served:
        try:
            print("\n".join(serve(peer)), flush=True)
        except UserError as error:
            num_failed += 1
            print(f"exchange: {peer.name}: {error}", file=sys.stderr, flush=True)
    if num_failed:
        raise UserError(f"{count(num_failed, 'peer')} of {len(served)} failed to {action}")


def _pull(cfg: ExchangeApp, peer: Peer) -> list[str]:
    root, work = Path(cfg.paths.banks), Path(cfg.paths.work)
    labels = label_mapping.read(Path(peer.labels)) if peer.labels else None
    exchange_transfer.check(peer.pull, "pull")
    if peer.format != DELTAS:
        is_there = peer.bank in banks.names(root)
        is_negative = is_there and banks.read(root, peer.bank).is_negative
        how = bank_exchange.ListTerms(peer.format, peer.bank, is_negative, labels)
        with exchange_transfer.received_file(peer.pull, cfg, work) as path:
            return bank_exchange.take_list(root, peer.bank, path, how, dry_run=cfg.dry_run)
    key = exchange_manifest.public_key_of(peer.their_key, peer.name)

    def num_taken(manifest: Manifest) -> int:
        if peer.bank not in banks.names(root):
            return 0
        taken = banks.read(root, peer.bank).feeds.get(manifest.feed)
        return taken.num_deltas if taken else 0

    with exchange_transfer.received(peer.pull, key, num_taken, cfg, work) as folder:
        lines = bank_exchange.take(root, peer.bank, folder, key, labels, dry_run=cfg.dry_run)
    lines = [line.replace(str(folder), peer.pull.rstrip("/")) for line in lines]
    if peer.bank in banks.names(root):
        lines += _conflicts(banks.read(root, peer.bank))
    return lines


def _push(cfg: ExchangeApp, peer: Peer) -> list[str]:
    root, work = Path(cfg.paths.banks), Path(cfg.paths.work)
    exchange_transfer.check(peer.push, "push", written=True)
    key = exchange_manifest.private_key(Path(peer.key).expanduser())
    with exchange_transfer.uploading(peer.push, work) as folder:
        lines = bank_exchange.export(root, peer.bank, peer.by, folder, key, dry_run=cfg.dry_run)
    return [line.replace(str(folder), peer.push.rstrip("/")) for line in lines]


ACTIONS = {
    "add": Action("NAME BANK", _add),
    "list": Action("", _list),
    "show": Action("NAME", _show),
    "remove": Action("NAME", _remove),
    "pull": Action("[NAME …]", partial(_serve, "pull")),
    "push": Action("[NAME …]", partial(_serve, "push")),
}
"""What can be done with peers."""
