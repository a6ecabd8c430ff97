"""Lists what the indexes of several collections hold, with the task that every file is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import IngestConfig
from pipeline.errors import UserError
from pipeline.footage import foreign
from pipeline.footage.collection import IndexRow, check_index, iter_index
from pipeline.footage.conversion import FileTask
from pipeline.store import storage
from pipeline.store.sound import SOUND_HZ


@dataclass(frozen=True)
class Collection:
    """A footage collection: its name, and where it is."""

    name: str
    root: str
    """A folder, or a URL such as `s3://bucket/prefix`."""
    num_files: int


@dataclass(frozen=True)
class ListedFile:
    """One row of an index, and what its file is to become."""

    collection: Collection
    row: IndexRow
    task: FileTask

    @property
    def recording(self) -> str:
        """The name of its recording, which no other collection has."""
        return f"{self.collection.name}/{self.row.recording}"


def collections(roots: Sequence[str], cfg: IngestConfig, work: Path) -> list[Collection]:
    """The collections at `roots`, sorted by name, whose indexes are sound.

    Raises:
        UserError: there is none, two have one name, one is named twice, or an index has mistakes;
            `stride_frames` leaves gaps between clips, or a frame is no whole number of samples.
    """
    if not roots:
        raise UserError(
            "no footage collection: put one under footage/, or name one in conf/ingest.yaml"
        )
    if not 1 <= cfg.stride_frames <= cfg.clip.num_frames:
        raise UserError(
            f"conf/ingest.yaml: stride_frames {cfg.stride_frames} is none of 1 to "
            f"{cfg.clip.num_frames}, the frames of a clip"
        )
    if cfg.sound:
        _check_rate(cfg.clip.fps)
    by_name: dict[str, str] = {}
    by_root: dict[str, str] = {}
    for given in roots:
        name = storage.name(given)
        root = given if storage.is_remote(given) else str(Path(given).resolve())
        other = by_name.setdefault(name, root)
        if other != root:
            raise UserError(f"{root}: {other} has the same name; rename one of the folders")
        if by_root.setdefault(root, name) != name:
            raise UserError(
                f"{given}: the same collection as '{by_root[root]}', whose files would count "
                "twice; name it once"
            )
    found = []
    for name, root in sorted(by_name.items()):
        with storage.fetched_index(root, work) as folder:
            found.append(Collection(name, root, check_index(folder)))
    return found


def _check_rate(fps: float) -> None:
    """Raise `UserError` where a frame lasts for no whole number of samples.

    A stream, which is given frames with their sound one by one, would hear other samples than its
    clips hold.
    """
    samples_a_frame = SOUND_HZ / fps
    if not math.isclose(samples_a_frame, round(samples_a_frame), rel_tol=1e-9):
        raise UserError(
            f"conf/ingest.yaml: clip.fps={fps:g}: a frame lasts for {samples_a_frame:.2f} of the "
            f"{SOUND_HZ} samples that sound has a second; take a rate with a whole number of them "
            "(12, 15, 20, 24, 25, 30, 50, 60), or set sound: off"
        )


def list_files(
    collections: Sequence[Collection], cfg: IngestConfig, work: Path, *, as_shown: bool
) -> Iterator[ListedFile]:
    """Yield the files of collections in the order of their indexes."""
    limits = foreign.DecodingLimits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    for collection in collections:
        with storage.fetched_index(collection.root, work) as folder:
            for row in iter_index(folder):
                task = FileTask(
                    collection.root,
                    row.path,
                    cfg.clip,
                    cfg.stride_frames,
                    limits,
                    work.resolve(),
                    as_shown,
                    cfg.sound,
                )
                yield ListedFile(collection, row, task)
