"""Looks files up in banks while they are ingested, and says what becomes of those that are known.

What a file is told by is hashed while its clips are made, and else, as where these were there
before a bank was named, in a pass of its own. It is kept beside the clips, under the hash of the
bytes: another bank, or another action, has files looked up anew and none decoded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pipeline.config import IngestConfig, LookUpConfig, Run
from pipeline.copies import banks, hash_index, parts
from pipeline.copies.hash_index import Index
from pipeline.copies.matches import RATE_HZ, FileLookup, Match, set_aside_by_negatives
from pipeline.errors import UserError
from pipeline.footage import conversion, printing, sandbox_work
from pipeline.footage.canonical import Canonical
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.listing import ListedFile
from pipeline.footage.lookup import same_bytes
from pipeline.footage.printing import GRID_FPS, FilePrinter, Printed, PrintTask
from pipeline.footage.sightings import FileOutcome, Key, Labelled, Sighting
from pipeline.footage.still_matches import has_stills, similar
from pipeline.store import executor, finished_work
from pipeline.store.bank_matches import BANK_MARK, BankMatch
from pipeline.store.finished_work import FinishedWork, Piece
from pipeline.system.visible_text import plain

log = logging.getLogger(__name__)

IN_BANK, NOT_LOOKED_UP = "in_bank", "not_looked_up"
"""Why a file is rejected."""
_CODE = (
    "footage/exchangeable.py",
    "footage/foreign",
    "footage/bank_search.py",
    "footage/pictures.py",
    "footage/printing.py",
    "footage/scenes.py",
    "footage/stretches.py",
    "copies/chromaprint.py",
    "copies/fingerprint.py",
    "copies/parts.py",
)
_LIBRARIES = ("av", "numpy", "opencv-python-headless")
_DIGITS = 32
_FILES_AT_ONCE = 4
_MAX_LABEL, _MAX_NAME = 200, 255
# A word of notes ends at a comma, and a key at an equals sign.
_OF_NOTES = str.maketrans(",=", "  ")


class Known:
    """The banks that a run looks in, and what it has found there."""

    def __init__(self, indices: Sequence[Index], cfg: LookUpConfig) -> None:
        """Start on a run.

        Args:
            indices: of the banks.
            cfg: what becomes of a file that shows an item of one.
        """
        self._indices, self._cfg = indices, cfg
        # A still may be one of the pictures between those that are looked up for all else.
        self._with_changes = any(has_stills(index.bank) for index in indices)
        self._found: dict[str, FileLookup | Unusable] = {}

    @classmethod
    def open(cls, cfg: LookUpConfig, root: Path, work: Path) -> Known | None:
        """Open the banks of a configuration; None where it names none.

        Args:
            cfg: which, and what they are for.
            root: the folder of banks.
            work: the work folder.

        Raises:
            UserError: there is no such bank, or it was damaged; or one of what is harmless is to
                reject or to label.
        """
        named = sorted({*cfg.mark, *cfg.reject, *cfg.label})
        opened = [banks.read(root, name) for name in named]
        for bank in opened:
            if bank.is_negative and bank.name in (*cfg.reject, *cfg.label):
                raise UserError(
                    f"conf/ingest.yaml: banks: {bank.name} is a negative bank, and what matches it "
                    "is harmless; name it under mark alone"
                )
        return cls([hash_index.open_index(work, bank) for bank in opened], cfg) if opened else None

    def converted(
        self,
        wanted: Iterable[tuple[Key, FileTask]],
        num_files: int,
        cfg: IngestConfig,
        run: Run,
    ) -> Iterator[tuple[Key, FileOutcome]]:
        """Convert files, as `sightings.Sightings` has it."""
        both = (((key, task), task) for key, task in wanted)
        alone: list[tuple[Key, FileTask]] = []
        work = partial(_converted, with_changes=self._with_changes)
        for (key, task), seen in sandbox_work.each(work, both, num_files, cfg, run):
            made = seen if isinstance(seen, Unusable) else seen.made
            if isinstance(made, Unusable) and not made.is_lasting:
                # Its prints may be to blame, which are to cost no file its clips.
                alone.append((key, task))
            else:
                yield key, seen if isinstance(seen, FileOutcome) else FileOutcome(made)
        if alone:
            for key, made in sandbox_work.each(conversion.convert, alone, len(alone), cfg, run):
                yield key, FileOutcome(made)

    def keep(self, name: str, task: FileTask, told_by: object, kept: FinishedWork) -> None:
        """Keep what a file is told by, as `sightings.Sightings` has it."""
        assert isinstance(told_by, Printed | Unusable)
        if isinstance(told_by, Printed) or told_by.is_lasting:
            kept.write(self._name(name, task), _packed_up(told_by))

    def look_up(
        self, tasks: Mapping[str, FileTask], kept: FinishedWork, cfg: IngestConfig, run: Run
    ) -> None:
        """Look files up, as `sightings.Sightings` has it."""
        names = {name: self._name(name, task) for name, task in tasks.items()}
        todo = [
            (name, task)
            for name, task in tasks.items()
            if _read(kept, names[name]) is None and _is_usable(kept, name)
        ]
        work = partial(_printed, with_changes=self._with_changes)
        for name, result in sandbox_work.each(work, todo, len(todo), cfg, run, "look up"):
            if isinstance(result, Printed) and result.sha256[:_DIGITS] != name[:_DIGITS]:
                self._found[name[:_DIGITS]] = Unusable("changed", "it changed meanwhile")
            elif isinstance(result, Unusable) and not result.is_lasting:
                self._found[name[:_DIGITS]] = result
            else:
                kept.write(names[name], _packed_up(result))
        with ThreadPoolExecutor(max(1, run.num_workers)) as threads:
            size = _FILES_AT_ONCE * max(1, run.num_workers)
            for block in executor.in_blocks(names.items(), size):
                found = threads.map(partial(self._answer, kept), [held for _, held in block])
                for (name, _), one in zip(block, found, strict=True):
                    if one is not None:
                        self._found[name[:_DIGITS]] = one

    def _name(self, name: str, task: FileTask) -> str:
        """The name under which is kept what a file is told by, beside its clips."""
        settings = [asdict(task.limits), task.with_sound, PurePosixPath(task.path).suffix]
        return finished_work.name_of(name, _made_by(), "look up", [*settings, self._with_changes])

    def _answer(self, kept: FinishedWork, name: str) -> FileLookup | Unusable | None:
        """Return what is found in the banks by what is kept of a file; None where nothing is."""
        printed = _read(kept, name)
        return similar(printed, self._indices) if isinstance(printed, Printed) else printed

    def of(self, listed: ListedFile, made: Canonical) -> Sighting:
        """Return what is said of a file, by its bytes and by what it shows, each in banks of its
        own.

        Unlike `discern match`, a bank that knows the bytes keeps no other one from being asked.
        """
        equal = same_bytes(made.sha256, made.md5, [index.bank for index in self._indices])
        known = {one.bank for one in equal}
        found = self._found.get(made.sha256[:_DIGITS])
        if isinstance(found, FileLookup):
            shown = [replace(one, set_aside=None) for one in found.matches if one.bank not in known]
            return self._sighting(listed, made, set_aside_by_negatives([*equal, *shown]))
        sighting = self._sighting(listed, made, set_aside_by_negatives(equal))
        if all(index.bank.name in known for index in self._indices):
            return sighting
        # A bank that knows the bytes says nothing of what another one would.
        what = f"{found.reason} ({found.detail})" if found else "nothing is kept of it"
        is_harmless = any(one.is_negative for one in equal)
        is_open = not is_harmless and any(name not in known for name in self._cfg.reject)
        return replace(
            sighting,
            marks=sorted([*sighting.marks, f"{BANK_MARK}_{NOT_LOOKED_UP}"]),
            refused=sighting.refused or ((NOT_LOOKED_UP, what) if is_open else None),
        )

    def _sighting(self, listed: ListedFile, made: Canonical, matches: Sequence[Match]) -> Sighting:
        telling = [one for one in matches if one.counts or one.is_negative]
        refused = _counting(matches, self._cfg.reject)
        detail = refused[0].in_words() if refused else ""
        return Sighting(
            marks=sorted({f"{BANK_MARK}:{one.bank}" for one in telling}),
            refused=(IN_BANK, detail) if refused else None,
            labels=[
                Labelled(
                    one.stretch.start_s if one.stretch else 0.0,
                    one.stretch.end_s if one.stretch else made.duration_s,
                    plain(one.item.label.translate(_OF_NOTES).strip(), _MAX_LABEL),
                )
                for one in _counting(matches, self._cfg.label)
            ],
            matches=[_row(listed, made, one) for one in matches],
        )


def _counting(matches: Sequence[Match], names: Sequence[str]) -> list[Match]:
    return [one for one in matches if one.counts and one.bank in names]


def _row(listed: ListedFile, made: Canonical, match: Match) -> BankMatch:
    told: dict[str, Any] = match.as_json()
    bits = (told.get(f"{which}distance") for which in ("", "median_", "mean_"))
    # A name of bytes that are no text cannot be written.
    told["name"] = plain(match.item.name, _MAX_NAME)
    told["distance"] = next((one for one in bits if one is not None), None)
    columns = {f.name: told[f.name] for f in fields(BankMatch) if f.name in told}
    return BankMatch(
        collection=listed.collection.name,
        path=listed.row.path,
        file_sha256=made.sha256,
        told=match.in_words(),
        **columns,
    )


def _converted(task: FileTask, *, with_changes: bool) -> FileOutcome:
    """Make the clips of a file, and hash it as it is decoded; runs in the sandbox."""
    if task.refused is not None or task.clip.fps != GRID_FPS:
        return FileOutcome(conversion.convert(task))
    printer = FilePrinter(_print_task(task, with_changes))
    made = conversion.convert(task, printer.passing)
    if isinstance(made, Unusable):
        return FileOutcome(made)
    return FileOutcome(made, _told_by(task, lambda: printer.finished(made.sha256, made.md5)))


def _printed(task: FileTask, *, with_changes: bool) -> Printed | Unusable:
    """Hash a file as `discern match` does; runs in the sandbox."""
    if task.refused is not None:
        return task.refused
    return _told_by(task, lambda: printing.hash_file(_print_task(task, with_changes)))


def _print_task(task: FileTask, with_changes: bool) -> PrintTask:
    assert task.local is not None
    return PrintTask(
        task.local, RATE_HZ, with_changes, task.limits, parts.of_query, with_sound=task.with_sound
    )


def _told_by(task: FileTask, work: Callable[[], Printed | Unusable]) -> Printed | Unusable:
    try:
        return work()
    except (MemoryError, UserError):
        raise
    except Exception as error:
        # What nobody foresaw may cost this file, and no other.
        log.exception("ingest: %s: please report this as a bug", task.path)
        return Unusable("unforeseen", type(error).__name__, is_lasting=False)


@cache
def _made_by() -> list[str | None]:
    return finished_work.made_by(_CODE, _LIBRARIES)


def _is_usable(kept: FinishedWork, name: str) -> bool:
    piece = kept.read(name)
    return piece is not None and "canonical" in piece.header


def _read(kept: FinishedWork, name: str) -> Printed | Unusable | None:
    piece = kept.read(name) if name in kept else None
    return None if piece is None else _unpacked(piece)


def _packed_up(result: Printed | Unusable) -> Piece:
    if isinstance(result, Unusable):
        return Piece({"unusable": asdict(result)})
    # A piece tells what it says of itself in order of the names.
    arrays = {
        name: one for name, one in sorted(vars(result).items()) if isinstance(one, np.ndarray)
    }
    shapes = {name: [one.dtype.str, one.shape] for name, one in arrays.items()}
    told = {name: one for name, one in vars(result).items() if name not in arrays}
    return Piece({"printed": told, "arrays": shapes}, [one.tobytes() for one in arrays.values()])


def _unpacked(piece: Piece) -> Printed | Unusable:
    if "unusable" in piece.header:
        return Unusable(**piece.header["unusable"])
    arrays: dict[str, Any] = {
        name: np.frombuffer(blob, dtype).reshape(shape)
        for (name, (dtype, shape)), blob in zip(
            piece.header["arrays"].items(), piece.blobs, strict=True
        )
    }
    return Printed(**piece.header["printed"], **arrays)
