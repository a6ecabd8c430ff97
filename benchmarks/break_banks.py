"""Kill what changes banks, and damage banks and exchanges: no answer may be wrong, no item lost.

    python benchmarks/break_banks.py --rounds 1000 --out break_banks.json

In a round of kills a process adds, removes, labels, judges, compacts and imports, and is killed
before a line of the code of banks and exchanges that is drawn from all that it would run, so that
every step is as likely to be the last; the bank must be as after a change that was finished, or as
after the one that was not. A process that sends is killed too, after which a receiver must have all
of what was to be sent or nothing, and all once it was sent again. In a round of damage one file of
a bank, or of an exchange that a bank has taken a part of, is cut, changed, lengthened, emptied or
deleted; a bank must tell what it told, or say in a sentence what is damaged, and an exchange must
be taken whole or refused with the bank as before. After each kill the bank is also read by who has
read it before, as a watch does, which must tell the same as who reads it anew. Power is not lost
here: nothing waits for the disk, and what a killed process wrote is there.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from outcome import Cell, Outcome, Table, write

from pipeline.copies import (
    bank_compaction,
    banks,
    exchange_manifest,
    exchange_receiving,
    exchange_sending,
)
from pipeline.copies.bank_log import OPINIONS
from pipeline.copies.bank_writer import Writer
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.errors import UserError

NAME = "b"
NUM_CHANGES = 8
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
AS_TOLD, REFUSED, WRONG = "as it should be", "refused", "wrong"

State = tuple[Any, ...]


def add(bank: Writer, rng: random.Random) -> None:
    """Add an item of a few random hashes."""
    values = np.random.default_rng(rng.getrandbits(32))
    hashes = np.zeros(rng.randrange(5), RECORD)
    sounds, narrow = (np.zeros(rng.randrange(5), SOUND_RECORD) for _ in range(2))
    hashes["time_ms"], sounds["time_ms"] = np.arange(len(hashes)) * 250, np.arange(len(sounds))
    hashes["pdq"] = values.integers(0, 256, (len(hashes), 32))
    hashes["mirror"] = values.integers(0, 256, (len(hashes), 32))
    for some in (sounds, narrow):
        some["print"] = values.integers(0, 2**32, len(some))
    name = f"{rng.getrandbits(64):064x}"
    bank.add(f"{name[-6:]}.mp4", "x", name, "", 1.0, hashes, sounds, narrow=narrow)


def change(root: Path, sent: Path, rng: random.Random) -> None:
    """Change a bank once."""
    kind = rng.choices(
        ("add", "remove", "label", "judge", "compact", "import"), (4, 2, 1, 1, 1, 1)
    )[0]
    if kind == "compact":
        bank_compaction.compact(root, NAME)
    elif kind == "import":
        exchange_receiving.receive(root, NAME, sent, KEY.public_key())
    else:
        with banks.writing(root, NAME) as bank:
            number = rng.choice([*bank.items, 0])
            if kind == "add" or not number:
                add(bank, rng)
            elif kind == "remove":
                bank.remove(number)
            elif kind == "label":
                bank.label(number, str(rng.random()))
            else:
                bank.judge(number, rng.choice("ab"), rng.choice(OPINIONS))


def state(root: Path, before: Bank | None = None) -> State:
    """All that a bank tells, to who has read it before too."""
    bank = banks.read(root, NAME, before)
    items = [
        (
            (item.number, item.name, item.label, item.sha256, item.feed),
            bank.hashes_of(item).tobytes(),
            bank.all_sounds_of(item).tobytes(),
            sorted(bank.opinions.get(item.number, {}).items()),
        )
        for item in bank.items.values()
    ]
    return items, bank.is_negative, sorted(bank.feeds.items())


def exchange(folder: Path, rng: random.Random, num_deltas: int = 1) -> None:
    """Send some deltas of a bank of its own."""
    for _ in range(num_deltas):
        change_sent(folder, rng)
        send(folder, folder / "sent")


def change_sent(folder: Path, rng: random.Random) -> None:
    """Change the bank that is sent."""
    with banks.writing(folder / "of", NAME, create=True) as bank:
        for _ in range(3):
            add(bank, rng)
        if len(bank.items) > 4:
            bank.remove(min(bank.items))
        bank.judge(max(bank.items), "them", "confirmed")


def send(folder: Path, sent: Path) -> None:
    """Append to an exchange what it does not say yet."""
    bank = banks.read(folder / "of", NAME)
    exchange_sending.send(bank, f"them-{folder.name}", sent, KEY)


CODE = f"{os.sep}pipeline{os.sep}"


def traced(work: Callable[[], None], kill_at: int = -1) -> int:
    """Do something, and count the lines of our code that it ran; the process ends before one."""
    count = 0

    def line(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal count
        if event == "line":
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
        return line

    def call(frame: FrameType, event: str, arg: object) -> Any:
        return line if CODE in frame.f_code.co_filename else None

    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def killed(work: Callable[[], None], kill_at: int) -> None:
    """Do something in a process that is killed before a line."""
    process = os.fork()
    if not process:
        traced(work, kill_at)
        os._exit(0)
    os.waitpid(process, 0)


def kill(root: Path, work: Path, rng: random.Random) -> str:
    """Kill a process that changes a bank, and say whether the bank is as it may be."""
    exchange(work, rng)
    seed = rng.getrandbits(32)
    twin = work / "twin"
    shutil.copytree(root, twin)
    changes, expected = random.Random(seed), [state(twin)]
    num_lines = 0
    for _ in range(NUM_CHANGES):
        num_lines += traced(lambda: change(twin, work / "sent", changes))
        expected.append(state(twin))
    reading, writing = os.pipe()
    again = random.Random(seed)

    def all_changes() -> None:
        for _ in range(NUM_CHANGES):
            change(root, work / "sent", again)
            os.write(writing, b".")

    before = banks.read(root, NAME)
    killed(all_changes, rng.randrange(num_lines))
    os.close(writing)
    num_done = len(os.read(reading, NUM_CHANGES))
    os.close(reading)
    found = state(root), state(root, before)
    told = expected[num_done : num_done + 2]
    return AS_TOLD if found[0] == found[1] and found[0] in told else WRONG


def kill_sender(root: Path, work: Path, rng: random.Random) -> str:
    """Kill a process that sends, and say what is taken then, and after it has sent again."""
    sent, here, whole = work / "sent", work / "here", work / "whole"
    shutil.copytree(root, here)
    is_first = rng.random() < 0.3
    if not is_first:
        exchange(work, rng)
        exchange_receiving.receive(here, NAME, sent, KEY.public_key())
    change_sent(work, rng)
    before = state(here)
    shutil.copytree(here, whole)
    twin = work / "twin"
    if sent.exists():
        shutil.copytree(sent, twin)
    num_lines = traced(lambda: send(work, twin))
    exchange_receiving.receive(whole, NAME, twin, KEY.public_key())
    killed(lambda: send(work, sent), rng.randrange(num_lines))
    # Of an exchange that a kill ended before it had begun there is nothing to take.
    if not is_first or (sent / exchange_manifest.MANIFEST).exists():
        exchange_receiving.receive(here, NAME, sent, KEY.public_key())
    if state(here) not in (before, state(whole)):
        return WRONG
    send(work, sent)
    exchange_receiving.receive(here, NAME, sent, KEY.public_key())
    return AS_TOLD if state(here) == state(whole) else WRONG


def damage(path: Path, rng: random.Random) -> None:
    """Do something to a file that a bad disk, a bad copy or a bad sender might do."""
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content) + 1)
    kind = rng.choice(("cut", "cut", "flip", "flip", "insert", "leave out", "empty", "delete"))
    if kind == "delete":
        path.unlink()
        return
    if kind == "cut":
        del content[at:]
    elif kind == "flip" and content:
        content[at % len(content)] ^= 1 << rng.randrange(8)
    elif kind == "insert":
        content[at:at] = rng.randbytes(rng.randrange(1, 100))
    elif kind == "leave out":
        del content[at : at + rng.randrange(1, 200)]
    elif kind == "empty":
        content.clear()
    path.write_bytes(content)


def damage_bank(root: Path, work: Path, rng: random.Random) -> str:
    """Damage a file of a bank, and say what the bank tells then, also after an addition."""
    # A kill may have come between a line and the head that counts it, which the next writer mends.
    with banks.writing(root, NAME):
        expected = state(root)
    shutil.copytree(root, work / "broken")
    damage(rng.choice(sorted((work / "broken" / NAME).iterdir())), rng)
    try:
        found = state(work / "broken")
    except UserError:
        return REFUSED
    if found != expected:
        return WRONG
    with banks.writing(work / "broken", NAME) as bank:
        add(bank, rng)
    items, *rest = state(work / "broken")
    return AS_TOLD if (items[:-1], *rest) == expected else WRONG


def damage_exchange(root: Path, work: Path, rng: random.Random) -> str:
    """Damage a file of an exchange that a bank has taken a part of, and say what it takes."""
    exchange(work, rng)
    shutil.copytree(root, work / "here")
    exchange_receiving.receive(work / "here", NAME, work / "sent", KEY.public_key())
    before = state(work / "here")
    exchange(work, rng, num_deltas=2)
    shutil.copytree(work / "here", work / "whole")
    exchange_receiving.receive(work / "whole", NAME, work / "sent", KEY.public_key())
    damage(rng.choice(sorted((work / "sent").iterdir())), rng)
    try:
        exchange_receiving.receive(work / "here", NAME, work / "sent", KEY.public_key())
    except UserError:
        return REFUSED if state(work / "here") == before else WRONG
    return AS_TOLD if state(work / "here") == state(work / "whole") else WRONG


ROUNDS: dict[str, Callable[[Path, Path, random.Random], str]] = {
    "a process that changes a bank is killed": kill,
    "a process that sends is killed": kill_sender,
    "a file of a bank is damaged": damage_bank,
    "a file of an exchange is damaged": damage_exchange,
}


def run(num_rounds: int, seed: int) -> dict[str, Counter[str]]:
    """Do so many rounds of each kind, and count what came of them."""
    rng = random.Random(seed)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in ROUNDS}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "banks")
        for number in range(num_rounds):
            # A bank that only grew would be slow, and one that only shrank empty.
            if number % 20 == 0:
                shutil.rmtree(root, ignore_errors=True)
                with banks.writing(root, NAME, create=True) as bank:
                    for _ in range(3):
                        add(bank, rng)
            for place, (kind, break_it) in enumerate(ROUNDS.items()):
                work = Path(folder, f"{number}-{place}")
                work.mkdir()
                told = break_it(root, work, rng)
                counts[kind][told] += 1
                if told == WRONG:
                    print(f"{kind}: wrong in round {number} of seed {seed}", flush=True)
                shutil.rmtree(work)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of JSON")
    options = parser.parse_args()
    os.fsync = lambda fd: None
    counts = run(options.rounds, options.seed)
    columns = (AS_TOLD, REFUSED, WRONG)
    rows: list[Sequence[Cell]] = [
        (kind, *(count[column] for column in columns)) for kind, count in counts.items()
    ]
    for row in rows:
        print("  ".join(map(str, row)))
    if options.out:
        setting = f"{options.rounds} rounds of each kind, seed {options.seed}."
        tables = [Table("What came of it", ("what was done", *columns), rows)]
        write(options.out, Outcome(Path(__file__).name, setting, tables))
    sys.exit(any(count[WRONG] for count in counts.values()))


if __name__ == "__main__":
    main()
