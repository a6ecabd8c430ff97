"""The index of a bank on this machine: what makes a look-up in many hashes fast.

It lies in the work folder, is made from the bank alone and may be deleted. Records are indexed in
blocks of a million, and what is left in smaller and smaller ones, so that an addition makes few of
them anew; the last records, too few for a block, are looked at one by one. A block is named by
where it begins and ends and by a checksum of its records, and holds one of itself.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import multi_index
from pipeline.copies.banks import Bank
from pipeline.copies.multi_index import NUM_CHUNKS, NUM_STARTS

log = logging.getLogger(__name__)

MIN_BLOCK, MAX_BLOCK = 2**16, 2**20
"""Records of the smallest and of the largest block."""
_FOLDER = "bank-index"
_NEW = "new-"

Numbers = NDArray[np.uint32]


@dataclass(frozen=True)
class _Block:
    name: str
    first: int
    end: int
    starts: Numbers
    entries: Numbers


class Index:
    """Finds the items of a bank that have a picture near any of some.

    Attributes:
        bank: that it is of.
        blocks: of records that need no look at each.
    """

    def __init__(self, bank: Bank, blocks: list[_Block], before: Index | None = None) -> None:
        """Put blocks in front of a bank.

        Args:
            bank: as it was read.
            blocks: follow each other from the first record on.
            before: of the same records, and maybe fewer of them.
        """
        self.bank, self.blocks = bank, blocks
        records = bank.hashes
        self._sides = [np.asarray(records[side]).view("<u8") for side in ("pdq", "mirror")]
        self._owners = np.asarray(records["item"])
        known, numbers = (len(before._owners), before._num_numbers) if before else (0, 0)
        new = self._owners[known:]
        self._num_numbers: int = max(numbers, int(new.max()) + 1) if len(new) else numbers

    def near(self, hashes: NDArray[np.uint8]) -> tuple[list[int], NDArray[np.bool_]]:
        """Numbers of the items with a hash near any of some, and which of these are near one.

        Args:
            hashes: uint8 (N, 32).

        Returns:
            The numbers, ascending; bool (N,), true also where all that is near was removed.
        """
        found, hit = np.zeros(self._num_numbers, np.bool_), np.zeros(len(hashes), np.bool_)
        if not len(hashes) or not len(found):
            return [], hit
        query = np.ascontiguousarray(hashes).view("<u8")
        end = 0
        for block in self.blocks:
            straight, mirror, owners = self._part(block.first, block.end)
            multi_index.find(
                query, straight, mirror, block.starts, block.entries, owners, found, hit
            )
            end = block.end
        multi_index.scan(query, *self._part(end, len(self._owners)), found, hit)
        return [one for one in np.flatnonzero(found).tolist() if one in self.bank.items], hit

    def _part(self, first: int, end: int) -> tuple[Any, Any, Any]:
        straight, mirror = self._sides
        return straight[first:end], mirror[first:end], self._owners[first:end]


def open_index(work: Path, bank: Bank, before: Index | None = None) -> Index:
    """The index of a bank; what is missing of it is made, and what is of no use is removed.

    Where the work folder cannot be written, more is looked at one by one, with the same answers.

    Args:
        work: the work folder.
        bank: as it was read.
        before: as this process has opened it before, whose blocks are neither checked nor joined
            again, so that an addition waits for a smallest block at most.
    """
    folder = work / _FOLDER / bank.name
    blocks, used = list[_Block](), set[str]()
    known = before if before is not None and _goes_on(bank, before.bank) else None
    if known is not None:
        blocks = list(known.blocks)
        used = {block.name for block in blocks}
    done = blocks[-1].end if blocks else 0
    largest = MAX_BLOCK if known is None else MIN_BLOCK
    try:
        for first, end in _ends(done, len(bank.hashes), largest):
            block = _made(folder, bank.hashes[first:end], first, end)
            if block is None:
                break
            used.add(block.name)
            blocks.append(block)
        for path in folder.glob("*") if folder.is_dir() else ():
            if path.name not in used and not path.name.startswith(_NEW):
                path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: %s; look-ups take longer without it", folder, error.strerror)
    return Index(bank, blocks, known)


def _goes_on(bank: Bank, before: Bank) -> bool:
    """Whether the first records of a bank are all those that it had before."""
    if bank.log is not None:
        return bank.log.goes_on_from(before.log)
    return bank.generation == before.generation and len(before.hashes) <= len(bank.hashes)


def _made(folder: Path, records: NDArray[Any], first: int, end: int) -> _Block | None:
    """A block as it lies there, or else made anew."""
    path = folder / f"{first}-{end}-{_checksum(records):016x}.npy"
    block = _read(path, first, end)
    if block is None:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, records)
        block = _read(path, first, end)
    return block


def delete_index(work: Path, name: str) -> None:
    """Delete the index of a bank, from which what the bank no longer holds could be told."""
    folder = work / _FOLDER / name
    if folder.is_dir():
        shutil.rmtree(folder)


def _ends(first: int, num_records: int, size: int) -> Iterator[tuple[int, int]]:
    """Where the blocks from a record on begin and end, none of them larger than a size."""
    while size >= MIN_BLOCK:
        if num_records - first >= size:
            yield first, first + size
            first += size
        else:
            size //= 2


def _checksum(records: NDArray[Any]) -> int:
    return int(multi_index.checksum(np.ascontiguousarray(records).view("<u8")))


def _write(path: Path, records: NDArray[Any]) -> None:
    """Write a block, as a whole or not at all."""
    straight, mirror = (np.asarray(records[side]).view("<u8") for side in ("pdq", "mirror"))
    starts = np.zeros((NUM_CHUNKS, NUM_STARTS), np.uint32)
    entries = np.empty((NUM_CHUNKS, 2 * len(records)), np.uint32)
    multi_index.fill(straight, mirror, starts, entries)
    held = np.concatenate([starts.ravel(), entries.ravel()])
    told = np.array([multi_index.checksum(held.view("<u8"))], "<u8").view(np.uint32)
    new = path.with_name(f"{_NEW}{path.name}")
    with new.open("wb") as file:
        np.save(file, np.concatenate([held, told]), allow_pickle=False)
    new.replace(path)


def _read(path: Path, first: int, end: int) -> _Block | None:
    """A block, mapped from the disk; None where it is not there or was damaged."""
    num_entries = 2 * (end - first)
    try:
        held = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    num_starts = NUM_CHUNKS * NUM_STARTS
    if held.dtype != np.uint32 or held.shape != (num_starts + NUM_CHUNKS * num_entries + 2,):
        return None
    body = np.asarray(held[:-2])
    if multi_index.checksum(body.view("<u8")) != int(np.array(held[-2:]).view("<u8")[0]):
        return None
    return _Block(
        path.name,
        first,
        end,
        body[:num_starts].reshape(NUM_CHUNKS, NUM_STARTS),
        body[num_starts:].reshape(NUM_CHUNKS, num_entries),
    )
