"""Looks files up in banks of known videos: `discern match FILE|FOLDER …`.

Exit status 0 with a match that counts, 1 without one, 2 where something could not be looked up.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.commands import named_files, printed_files
from pipeline.config import IngestConfig, MatchApp, Run
from pipeline.copies import banks, flood, hash_index, parts
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import Bank
from pipeline.copies.hash_index import Index
from pipeline.copies.matches import (
    RATE_HZ,
    Answer,
    set_aside_by_negatives,
    suspended,
    told,
)
from pipeline.errors import UserError
from pipeline.footage.conversion import Unusable
from pipeline.footage.look_up import same_bytes, similar
from pipeline.footage.remedies import remedy
from pipeline.system.untrusted import plain

FOUND, NOT_FOUND, FAILED = 0, 1, 2
"""Exit statuses."""
_MAX_SHOWN = 200


def run(*given: str, cfg: MatchApp) -> None:
    """Print which items of which banks files show, and exit with a status that says so.

    Args:
        given: files and folders.
        cfg: where banks are, which one to look in, and what a file may cost.

    Raises:
        UserError: no such file or bank, no bank at all, or one that was damaged.
    """
    paths = named_files.named(given)
    root = Path(cfg.paths.banks)
    wanted = banks.names(root) if cfg.bank is None else [cfg.bank]
    if not wanted:
        raise UserError(f"{root}: no bank there; make one with discern bank add NAME FILE")
    opened = [banks.read(root, name) for name in wanted]
    work = Path(cfg.paths.work)
    indices = [hash_index.opened(work, bank) for bank in opened]
    brake = _Brake(opened, cfg)
    num_matched = num_failed = 0
    for path, result in zip(paths, look_up(paths, indices, cfg.ingest, cfg.run), strict=True):
        if isinstance(result, Unusable):
            num_failed += 1
            print(f"match: {_shown(path)}: {printed_files.why(result)}", file=sys.stderr)
            if cfg.format == "json":
                print(json.dumps(_failure_as_json(path, result)), flush=True)
            continue
        answer = brake.passed(result)
        num_matched += any(match.counts for match in answer.matches)
        if cfg.format == "json":
            print(json.dumps(_as_json(path, answer)), flush=True)
        else:
            for line in answer.in_words():
                print(f"{_shown(path)}: {line}", flush=True)
    sys.exit(FAILED if num_failed else FOUND if num_matched else NOT_FOUND)


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

    def passed(self, answer: Answer) -> Answer:
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
                f"match: {told(bank, item)} is suspended, as {reasons[key]}; look at it, and then "
                f"discern bank remove {bank} {item.number}, or discern bank resume {bank} "
                f"{item.number}, after which it counts whatever it matches",
                file=sys.stderr,
            )


def look_up(
    paths: Sequence[Path], indices: Sequence[Index], cfg: IngestConfig, run: Run
) -> Iterator[Answer | Unusable]:
    """What each file matches, or why it cannot be told, in order.

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
    results = printed_files.printed(unknown, RATE_HZ, cfg, run, "match", parts=parts.of_query)
    for (sha256, _), matches in zip(digests, equal, strict=True):
        if matches:
            yield Answer(sha256, set_aside_by_negatives(matches))
            continue
        result = next(results)
        yield result if isinstance(result, Unusable) else similar(result, indices)


def _as_json(path: Path, answer: Answer) -> dict[str, object]:
    return {
        "file": str(path),
        "matches": [match.as_json() for match in answer.matches],
        "not_looked_up": list(answer.not_looked_up),
        "error": None,
    }


def _failure_as_json(path: Path, result: Unusable) -> dict[str, object]:
    error = {"reason": result.reason, "detail": result.detail, "remedy": remedy(result.reason)}
    return {"file": str(path), "matches": [], "not_looked_up": [], "error": error}


def _shown(path: Path) -> str:
    return plain(str(path), _MAX_SHOWN)
