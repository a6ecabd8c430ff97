"""The parts of a listing, one after the other on this machine, or as tasks of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from pipeline.commands.score.cost import Costs
from pipeline.commands.score.folder import Folder
from pipeline.commands.score.listing import Listing, ListingRow
from pipeline.commands.score.rows import Row
from pipeline.commands.score.settings import ScoringSettings
from pipeline.store import executor


@dataclass
class BatchResult:
    """Holds what a run has newly scored."""

    video_s: float = 0.0
    num_clips: int = 0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.video_s += row.get("seconds") or 0.0
        self.num_clips += row.get("num_clips") or 0


@dataclass(frozen=True)
class _Part:
    number: int
    given: Sequence[ListingRow]
    settings: ScoringSettings


def score(listing: Listing, folder: Folder, settings: ScoringSettings, costs: Costs) -> BatchResult:
    """Score all parts that are not there yet.

    Args:
        listing: what to score.
        folder: where the parts go.
        settings: how.
        costs: what it takes is added to these.
    """
    run, done = settings.cfg.run, BatchResult()
    with tqdm(None, "score", total=listing.num_rows, unit="file", disable=not run.progress) as bar:
        if run.executor == executor.RAY:
            _on_cluster(listing, folder, settings, costs, done, bar)
        else:
            _here(listing, folder, settings, costs, done, bar)
    return done


def _missing(
    listing: Listing, folder: Folder, settings: ScoringSettings, bar: tqdm
) -> Iterator[_Part]:
    blocks = executor.in_blocks(listing.rows(), settings.cfg.rows_per_part)
    for number, block in enumerate(blocks):
        if folder.has(number):
            bar.update(len(block))
        else:
            yield _Part(number, block, settings)


def _here(
    listing: Listing,
    folder: Folder,
    settings: ScoringSettings,
    costs: Costs,
    done: BatchResult,
    bar: tqdm,
) -> None:
    scoring = replace(settings.scoring(), costs=costs)
    for part in _missing(listing, folder, settings, bar):
        found = folder.under_way(part.number)
        bar.update(len(found))
        rest = scoring.rows(part.given[len(found) :], settings.cfg.run)
        for row in folder.kept(part.number, rest):
            found.append(row)
            done.add(row)
            bar.update()
        folder.write(part.number, found)


def _on_cluster(
    listing: Listing,
    folder: Folder,
    settings: ScoringSettings,
    costs: Costs,
    done: BatchResult,
    bar: tqdm,
) -> None:
    parts = _missing(listing, folder, settings, bar)
    quiet = replace(settings.cfg.run, progress=False)
    blocks = ([part] for part in parts)
    for results in executor.map_blocks(_score_part, blocks, quiet, title="score", num_items=0):
        for result in results:
            assert not isinstance(result, executor.Lost)
            number, found, cpu_s = result
            folder.write(number, found)
            costs.merge(cpu_s)
            for row in found:
                done.add(row)
            bar.update(len(found))


def _score_part(part: _Part) -> tuple[int, list[Row], Mapping[str, float]]:
    """The rows of a part, and the processor seconds that they took; runs on some machine."""
    costs = Costs()
    scoring = replace(part.settings.scoring(), costs=costs)
    alone = replace(part.settings.cfg.run, executor="serial", num_workers=0, progress=False)
    found = list(scoring.rows(part.given, alone))
    return part.number, found, dict(costs.cpu_s)
