"""Looks files up in banks of known videos: `discern match FILE|FOLDER …`.

Exit status 0 with a match, 1 without one, 2 where something could not be looked up.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.assess.page.untrusted import plain
from pipeline.assess.wording import count
from pipeline.commands import printed_files
from pipeline.commands.bank import told
from pipeline.config import IngestConfig, MatchApp, Run
from pipeline.copies import banks, matching, sound_matching
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import Bank
from pipeline.copies.chromaprint import ITEM_S
from pipeline.copies.matching import Stretch
from pipeline.copies.sound_matching import SoundStretch
from pipeline.errors import UserError
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import Printed
from pipeline.footage.remedies import remedy

RATE_HZ = 1.0
"""Pictures of a file that are looked up a second, as many as others exchange."""
FOUND, NOT_FOUND, FAILED = 0, 1, 2
"""Exit statuses."""
_MAX_SHOWN = 200


@dataclass(frozen=True)
class Match:
    """An item that a file shows, or whose sound it has.

    Attributes:
        bank: its name.
        item: of the bank.
        stretch: which part of it; None where the bytes of both files are the same.
    """

    bank: str
    item: Item
    stretch: Stretch | SoundStretch | None

    @property
    def by(self) -> str:
        """What it is known by: `bytes`, `pictures` or `sound`."""
        if self.stretch is None:
            return "bytes"
        return "sound" if isinstance(self.stretch, SoundStretch) else "pictures"

    @property
    def agreeing_s(self) -> float:
        """How many seconds of the file agree."""
        if self.stretch is None:
            return self.item.duration_s
        if isinstance(self.stretch, SoundStretch):
            return self.stretch.num_items * ITEM_S
        return self.stretch.num_frames / RATE_HZ

    def as_json(self) -> dict[str, object]:
        """What a program is told."""
        return {
            "bank": self.bank,
            "item": self.item.number,
            "name": self.item.name,
            "label": self.item.label,
            "by": self.by,
            **(asdict(self.stretch) if self.stretch else {}),
        }

    def in_words(self) -> str:
        """What a person is told."""
        item, stretch = told(self.bank, self.item), self.stretch
        if stretch is None:
            return f"{item}: the same bytes"
        where = f"{stretch.start_s:.1f} to {stretch.end_s:.1f} s"
        of_it = f"{stretch.item_start_s:.1f} to {stretch.item_end_s:.1f} s of it"
        if isinstance(stretch, SoundStretch):
            return (
                f"{item}: {where} sound as {of_it}; offset {stretch.offset_s:+.2f} s, "
                f"{stretch.num_items} of {count(stretch.num_between, 'moment')} agree, mean "
                f"distance {stretch.mean_distance:g}"
            )
        return (
            f"{item}: {where} show {of_it}{', mirrored' * stretch.mirrored}; "
            f"offset {stretch.offset_s:+.2f} s, "
            f"{stretch.num_frames} of {count(stretch.num_between, 'frame')} agree, "
            f"median distance {stretch.median_distance:g}"
        )


def run(*given: str, cfg: MatchApp) -> None:
    """Print which items of which banks files show, and exit with a status that says so.

    Args:
        given: files and folders.
        cfg: where banks are, which one to look in, and what a file may cost.

    Raises:
        UserError: no such file or bank, no bank at all, or one that was damaged.
    """
    paths = printed_files.named(given)
    root = Path(cfg.paths.banks)
    wanted = banks.names(root) if cfg.bank is None else [cfg.bank]
    if not wanted:
        raise UserError(f"{root}: no bank there; make one with discern bank add NAME FILE")
    opened = [banks.read(root, name) for name in wanted]
    num_matched = num_failed = 0
    for path, result in zip(paths, look_up(paths, opened, cfg.ingest, cfg.run), strict=True):
        if isinstance(result, Unusable):
            num_failed += 1
            print(f"match: {_shown(path)}: {printed_files.why(result)}", file=sys.stderr)
        else:
            num_matched += bool(result)
        if cfg.format == "json":
            print(json.dumps(_as_json(path, result)), flush=True)
        elif not isinstance(result, Unusable):
            for line in [match.in_words() for match in result] or ["no match"]:
                print(f"{_shown(path)}: {line}", flush=True)
    sys.exit(FAILED if num_failed else FOUND if num_matched else NOT_FOUND)


def look_up(
    paths: Sequence[Path], opened: Sequence[Bank], cfg: IngestConfig, run: Run
) -> Iterator[list[Match] | Unusable]:
    """What each file matches, or why it cannot be told, in order.

    A file whose bytes a bank knows is not decoded, and matches nothing else.

    Args:
        paths: of the files.
        opened: the banks to look in.
        cfg: what a file may cost.
        run: how to run.
    """
    equal = [_same_bytes(path, opened) for path in paths]
    unknown = [path for path, matches in zip(paths, equal, strict=True) if not matches]
    results = printed_files.printed(unknown, RATE_HZ, cfg, run, "match")
    for matches in equal:
        if matches:
            yield matches
            continue
        result = next(results)
        yield result if isinstance(result, Unusable) else _similar(result, opened)


def _same_bytes(path: Path, opened: Sequence[Bank]) -> list[Match]:
    sha256 = printed_files.sha256_of(path) or ""
    found = ((bank.name, bank.with_bytes(sha256)) for bank in opened)
    return [Match(name, item, None) for name, item in found if item]


def _similar(printed: Printed, opened: Sequence[Bank]) -> list[Match]:
    """The matches of a file, those of most seconds first."""
    query = np.ascontiguousarray(printed.hashes[:, 0])
    matches: list[Match] = []
    for bank in opened:
        for item in bank.items.values():
            found: list[Stretch | SoundStretch] = [
                *matching.stretches(printed.times_ms, query, bank.hashes_of(item)),
                *sound_matching.stretches(
                    printed.sound_times_ms, printed.sounds, bank.sounds_of(item)
                ),
            ]
            matches += [Match(bank.name, item, stretch) for stretch in found]
    # Banks and items come in order, and a sort leaves what is equal as it is.
    return sorted(matches, key=lambda one: -one.agreeing_s)


def _as_json(path: Path, result: list[Match] | Unusable) -> dict[str, object]:
    if isinstance(result, Unusable):
        error = {
            "reason": result.reason,
            "detail": result.detail,
            "remedy": remedy(result.reason),
        }
        return {"file": str(path), "matches": [], "error": error}
    return {"file": str(path), "matches": [match.as_json() for match in result], "error": None}


def _shown(path: Path) -> str:
    return plain(str(path), _MAX_SHOWN)
