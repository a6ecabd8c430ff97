"""Looks files up in banks before they are decoded, by their bytes, pictures and sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.commands.score import rows
from pipeline.commands.score.isolation import apart
from pipeline.commands.score.listing import ListingRow
from pipeline.commands.score.rows import Row
from pipeline.config import Run, ScoreApp
from pipeline.copies import banks, hash_index, parts
from pipeline.copies.bank_log import Item
from pipeline.copies.banks import Bank
from pipeline.copies.matches import RATE_HZ, Match, set_aside_by_negatives
from pipeline.copies.matching import VideoStretch
from pipeline.footage import foreign, printing
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import Printed, PrintTask
from pipeline.footage.still_matches import each_second, has_stills, similar

_SLACK_S = 1.5
"""A hash a second tells ends no better."""


class FileLookups:
    """Banks, with their items by the bytes of their files."""

    def __init__(self, opened: Sequence[Bank], cfg: ScoreApp) -> None:
        self.banks, self._cfg = opened, cfg
        self._indices = [hash_index.open_index(Path(cfg.paths.work), bank) for bank in opened]
        self._items: dict[str, list[tuple[Bank, Item]]] = {}
        self._by_md5: dict[str, list[tuple[Bank, Item]]] = {}
        for bank in opened:
            for item in reversed(bank.items.values()):
                if known := item.sha256 or item.md5:
                    self._items.setdefault(known, []).append((bank, item))
                if item.sha256 and item.md5:
                    self._by_md5.setdefault(item.md5, []).append((bank, item))

    @classmethod
    def open(cls, cfg: ScoreApp) -> FileLookups:
        """Open the banks of a configuration.

        Raises:
            UserError: there is no such bank, or its files were damaged.
        """
        root = Path(cfg.paths.banks)
        return cls([banks.read(root, name) for name in cfg.banks], cfg)

    def of_hashes(self, sha256: str, md5: str) -> Match | None:
        """Return what is known by its bytes: an item that counts, else one that is harmless.

        Args:
            sha256, md5: of the file; empty where nobody knows.
        """
        # MD5 can be forged, and says nothing where SHA-256 is known on both sides.
        by_md5 = () if sha256 else self._by_md5.get(md5, ())
        found = {
            bank.name: Match(
                bank.name, item, None, bank.is_negative, bank.opinions.get(item.number, {})
            )
            for bank, item in (*by_md5, *self._items.get(md5, ()), *self._items.get(sha256, ()))
        }
        matches = set_aside_by_negatives(
            [found[bank.name] for bank in self.banks if bank.name in found]
        )
        return _deciding(matches)

    def printed(
        self, paths: Iterator[Path], run: Run
    ) -> Iterator[tuple[Printed | Unusable, float]]:
        """Yield what files are told by, in order, and the processor seconds that this took."""
        ingest = self._cfg.ingest
        limits = foreign.DecodingLimits(
            ingest.max_pixels, ingest.max_duration_s, ingest.max_output_mb
        )
        with_changes = any(has_stills(bank) for bank in self.banks)
        tasks = (PrintTask(path, RATE_HZ, with_changes, limits, parts.of_query) for path in paths)
        yield from apart(printing.hash_file, tasks, self._cfg, run)

    def row(self, given: ListingRow, printed: Printed | Unusable) -> Row | None:
        """The row of a file that an item is in; None where none is that decides about it.

        A match that counts decides, and a harmless one where its pictures are those of the whole
        file.
        """
        if isinstance(printed, Unusable):
            # Who decodes it will say why.
            return None
        matches = similar(printed, self._indices).matches
        best = _deciding(
            [one for one in matches if not one.is_negative or _is_whole(one, printed.duration_s)]
        )
        if best is None:
            return None
        hashes = [one.tobytes() for one in each_second(printed).hashes[:, 0]]
        return rows.matched(given, printed.sha256, best, printed.duration_s, hashes)


def _deciding(matches: Sequence[Match]) -> Match | None:
    known = [one for one in matches if one.counts] or [one for one in matches if one.is_negative]
    return known[0] if known else None


def _is_whole(match: Match, duration_s: float) -> bool:
    stretch = match.stretch
    return (
        isinstance(stretch, VideoStretch)
        and stretch.start_s <= _SLACK_S
        and stretch.end_s >= duration_s - _SLACK_S
    )
