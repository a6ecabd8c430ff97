"""Looks videos and stills up in banks of known ones: `discern match FILE|FOLDER|URL …`.

Exit status 0 with a match that counts, 1 without one, 2 where something could not be looked up.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.commands import fetching, named_files, printed_files
from pipeline.config import IngestConfig, MatchApp, Run
from pipeline.copies import banks, flood, hash_index, parts
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import Bank
from pipeline.copies.hash_index import Index
from pipeline.copies.matches import (
    RATE_HZ,
    FileLookup,
    item_in_words,
    set_aside_by_negatives,
    suspended,
)
from pipeline.errors import UserError
from pipeline.footage.conversion import Unusable
from pipeline.footage.lookup import same_bytes
from pipeline.footage.still_matches import has_stills, similar
from pipeline.live import addresses
from pipeline.store import workdir
from pipeline.system.visible_text import plain

FOUND, NOT_FOUND, FAILED = 0, 1, 2
"""Exit statuses of `match`."""
_MAX_SHOWN = 200
_REMEDIES = fetching.REMEDIES | {
    "missing_file": "look at the address, and whether its server still has the file"
}


@dataclass(frozen=True)
class _File:
    """One file to look up.

    Attributes:
        name: that it is called by.
        path: where it is, or why it is nowhere.
    """

    name: str
    path: Path | Unusable


def run(*given: str, cfg: MatchApp) -> None:
    """Print which items of which banks files show, and exit with a status that says so.

    Args:
        given: files, folders and addresses of files on web servers; `-` for those that standard
            input names, one a line.
        cfg: where banks are, which one to look in, and what a file may cost.

    Raises:
        UserError: no such file or bank, no bank at all, or one that was damaged.
    """
    given = tuple(dict.fromkeys(named_files.expanded(given)))
    # What is not there is told before anything is fetched.
    local = {one: named_files.named([one]) for one in given if not addresses.is_address(one)}
    root = Path(cfg.paths.banks)
    wanted = banks.names(root) if cfg.bank is None else [cfg.bank]
    if not wanted:
        raise UserError(f"{root}: no bank there; make one with discern bank add NAME FILE")
    opened = [banks.read(root, name) for name in wanted]
    indices = [hash_index.open_index(Path(cfg.paths.work), bank) for bank in opened]
    brake = _Brake(opened, cfg)
    num_matched = num_failed = 0
    with _at_hand(given, local, cfg) as files:
        paths = [file.path for file in files if isinstance(file.path, Path)]
        results = look_up(paths, indices, cfg.ingest, cfg.run)
        for file in files:
            result = next(results) if isinstance(file.path, Path) else file.path
            if isinstance(result, Unusable):
                num_failed += 1
                told_why = printed_files.why(result, _REMEDIES)
                print(f"match: {_shown(file)}: {told_why}", file=sys.stderr)
                if cfg.format == "json":
                    print(json.dumps(_failure_as_json(file, result)), flush=True)
                continue
            answer = brake.passed(result)
            num_matched += any(match.counts for match in answer.matches)
            if cfg.format == "json":
                print(json.dumps(_as_json(file, answer)), flush=True)
            else:
                for line in answer.in_words():
                    print(f"{_shown(file)}: {line}", flush=True)
    sys.exit(FAILED if num_failed else FOUND if num_matched else NOT_FOUND)


@contextmanager
def _at_hand(
    given: Sequence[str], local: Mapping[str, Sequence[Path]], cfg: MatchApp
) -> Iterator[list[_File]]:
    """All files on this machine for as long as the block runs, each once."""
    work = Path(cfg.paths.work)
    files: dict[str, _File] = {}
    with ExitStack() as stack:
        for number, one in enumerate(given, 1):
            if one in local:
                files |= {str(path): _File(str(path), path) for path in local[one]}
                continue
            workdir.make_folder(work)
            found = stack.enter_context(fetching.fetched(one, work, cfg))
            # An address may hold secrets, and several may be of one server.
            files[one] = _File(f"{addresses.public_part(one)} (given number {number})", found)
        yield list(files.values())


class _Brake:
    """Sets matches of items aside that match everything, and says once which items these are."""

    def __init__(self, opened: Sequence[Bank], cfg: MatchApp) -> None:
        self._work, self._cfg = Path(cfg.paths.work), cfg
        self._items: dict[str, tuple[str, Item]] = {
            flood.key_of(bank.name, item): (bank.name, item)
            for bank in opened
            for item in bank.items.values()
        }
        self._reported: set[str] = set()
        self._report(flood.suspended(self._work))

    def passed(self, answer: FileLookup) -> FileLookup:
        """The answer, once what it matches was counted; the same bytes are no chance match."""
        keys = [
            flood.key_of(match.bank, match.item)
            for match in answer.matches
            if match.counts and match.stretch is not None
        ]
        reasons = (
            flood.note(
                self._work, answer.sha256, keys, self._cfg.flood_files, self._cfg.flood_share
            )
            if self._cfg.flood_files
            else flood.suspended(self._work)
        )
        self._report(reasons)
        here = {
            (bank, item.number): reasons[key]
            for key, (bank, item) in self._items.items()
            if key in reasons
        }
        return replace(answer, matches=suspended(answer.matches, here))

    def _report(self, reasons: Mapping[str, str]) -> None:
        for key in sorted(reasons.keys() & self._items.keys() - self._reported):
            self._reported.add(key)
            bank, item = self._items[key]
            print(
                f"match: {item_in_words(bank, item)} is suspended, as {reasons[key]}; look at it, "
                f"and then discern bank remove {bank} {item.number}, or discern bank resume {bank} "
                f"{item.number}, after which it counts whatever it matches",
                file=sys.stderr,
            )


def look_up(
    paths: Sequence[Path], indices: Sequence[Index], cfg: IngestConfig, run: Run
) -> Iterator[FileLookup | Unusable]:
    """Yield what each file matches, or why it cannot be told, in order.

    A file whose bytes a bank knows is not decoded, and matches nothing else.

    Args:
        paths: of the files.
        indices: of the banks to look in.
        cfg: what a file may cost.
        run: how to run.
    """
    digests = [printed_files.digests_of(path) for path in paths]
    equal = [same_bytes(*both, [index.bank for index in indices]) for both in digests]
    unknown = [path for path, matches in zip(paths, equal, strict=True) if not matches]
    results = printed_files.hash_files(
        unknown,
        RATE_HZ,
        cfg,
        run,
        "match",
        with_changes=any(has_stills(index.bank) for index in indices),
        parts=parts.of_query,
    )
    for (sha256, _), matches in zip(digests, equal, strict=True):
        if matches:
            yield FileLookup(sha256, set_aside_by_negatives(matches))
            continue
        result = next(results)
        yield result if isinstance(result, Unusable) else similar(result, indices)


def _as_json(file: _File, answer: FileLookup) -> dict[str, object]:
    return {
        "file": file.name,
        "matches": [match.as_json() for match in answer.matches],
        "not_looked_up": list(answer.not_looked_up),
        "error": None,
    }


def _failure_as_json(file: _File, result: Unusable) -> dict[str, object]:
    remedy = printed_files.remedy(result.reason, _REMEDIES)
    error = {"reason": result.reason, "detail": result.detail, "remedy": remedy}
    return {"file": file.name, "matches": [], "not_looked_up": [], "error": error}


def _shown(file: _File) -> str:
    return plain(file.name, _MAX_SHOWN)
