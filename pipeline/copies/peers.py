"""With whom banks are exchanged, and where: each named once, in `peers.jsonl` beside the banks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.copies import bank_files
from pipeline.errors import UserError

PEERS = "peers.jsonl"
DELTAS = "deltas"
"""The `format` of an exchange; others are lists of one kind of hash."""


@dataclass(frozen=True)
class Peer:
    """Somebody with whom one bank is exchanged.

    Attributes:
        name: of the peer.
        bank: that takes what they say, and of which they are told.
        pull: where they say it; empty where they say nothing.
        format: of what they say, `DELTAS` or a kind of list.
        their_key: that they sign with, the 32 bytes of it in hexadecimal digits.
        labels: file of what their labels are called here; empty where all stay.
        push: where they are told; empty where they are not.
        by: in whose name they are told.
        key: file of the private key that this is signed with.
    """

    name: str
    bank: str
    pull: str = ""
    format: str = DELTAS
    their_key: str = ""
    labels: str = ""
    push: str = ""
    by: str = ""
    key: str = ""


def read(root: Path) -> dict[str, Peer]:
    """The peers of a folder of banks, by name.

    Raises:
        UserError: a line is none, or says what another one does.
    """
    path = root / PEERS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); put it back as it was") from error
    found: dict[str, Peer] = {}
    for number, line in enumerate(lines, 1):
        peer = _peer(line)
        if peer is None or peer.name in found:
            known = ", ".join(one.name for one in fields(Peer))
            raise UserError(
                f"{path}, line {number}: no peer, or one twice; give JSON with texts for some of "
                f"{known}, or delete the line and run discern exchange add"
            )
        found[peer.name] = peer
    return found


def _peer(line: str) -> Peer | None:
    try:
        told: Any = json.loads(line)
        peer = Peer(**told)
    except (ValueError, TypeError, RecursionError):
        return None
    is_text = all(isinstance(value, str) for value in told.values())
    is_named = is_text and all(bank_files.NAME.fullmatch(name) for name in (peer.name, peer.bank))
    return peer if is_named else None


def write(root: Path, peers: Iterable[Peer]) -> None:
    """Say who all peers of a folder of banks are, in one step."""
    root.mkdir(parents=True, exist_ok=True)
    new = root / f".{PEERS}.new"
    with new.open("w", encoding="utf-8") as file:
        for peer in peers:
            told = {key: value for key, value in asdict(peer).items() if value}
            file.write(json.dumps(told, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(root / PEERS)
    bank_files.to_disk(root)
