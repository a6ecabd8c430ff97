"""Tells what banks of known videos say of files that are ingested, whoever looks them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pipeline.config import IngestConfig, Run
from pipeline.footage.canonical import Canonical
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.listing import ListedFile
from pipeline.store.bank_matches import BankMatch
from pipeline.store.finished_work import FinishedWork

Key = TypeVar("Key")


@dataclass(frozen=True)
class FileOutcome:
    """Holds what became of a file, and what else was seen of it while it was open.

    Attributes:
        made: its clips, or why there are none.
        told_by: what `Sightings.keep` keeps; None where nothing was seen.
    """

    made: Canonical | Unusable
    told_by: object | None = None


@dataclass(frozen=True)
class Labelled:
    """A part of a file that is known as something."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Sighting:
    """Holds what banks say of one file.

    Attributes:
        marks: of the file.
        refused: why no clips are made of it: a reason to reject it, and a sentence.
        labels: of its parts.
        matches: a row each.
    """

    marks: Sequence[str] = ()
    refused: tuple[str, str] | None = None
    labels: Sequence[Labelled] = ()
    matches: Sequence[BankMatch] = ()

    def notes(self, notes: str, start_s: float, end_s: float) -> str:
        """The notes of a clip, with a word for each label of a part that lies in its time."""
        known = {
            f"known={one.label}"
            for one in self.labels
            if one.start_s <= end_s and start_s <= one.end_s
        }
        return ", ".join([*([notes] if notes else []), *sorted(known)])


NONE = Sighting()


class Sightings(Protocol):
    """Looks files up."""

    def converted(
        self,
        wanted: Iterable[tuple[Key, FileTask]],
        num_files: int,
        cfg: IngestConfig,
        run: Run,
    ) -> Iterator[tuple[Key, FileOutcome]]:
        """Convert files as `conversion.convert` does, and see what they are told by meanwhile.

        Args:
            wanted: the files, each with what it is given back with; not always in that order.
            num_files: how many there are.
            cfg: what a file may cost.
            run: how to run.
        """

    def keep(self, name: str, task: FileTask, told_by: object, kept: FinishedWork) -> None:
        """Keep what was seen of a file beside the piece that holds its clips.

        Args:
            name: of this piece.
            task: it was converted by.
            told_by: `FileOutcome.told_by`.
            kept: where to.
        """

    def look_up(
        self, tasks: Mapping[str, FileTask], kept: FinishedWork, cfg: IngestConfig, run: Run
    ) -> None:
        """Look files up, by the names of the pieces that hold what became of them.

        Args:
            tasks: by these names.
            kept: holds the pieces, and what files are told by.
            cfg: what a file may cost.
            run: how to run.
        """

    def of(self, listed: ListedFile, made: Canonical) -> Sighting:
        """Return what is said of a file that was looked up."""
