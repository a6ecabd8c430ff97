"""What the indexes of several collections list, with the task that every file is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import IngestConfig
from pipeline.errors import UserError
from pipeline.footage import foreign
from pipeline.footage.collection import IndexRow, check_index, iter_index
from pipeline.footage.conversion import FileTask
from pipeline.store import storage


@dataclass(frozen=True)
class Collection:
    """A footage collection: its name, and where it is."""

    name: str
    root: str
    """A folder, or a URL such as `s3://bucket/prefix`."""
    num_files: int


@dataclass(frozen=True)
class Listed:
    """One row of an index, and what its file is to become."""

    collection: Collection
    row: IndexRow
    task: FileTask

    @property
    def recording(self) -> str:
        """Unique over collections."""
        return f"{self.collection.name}/{self.row.recording}"


def collections(roots: Sequence[str], cfg: IngestConfig, work: Path) -> list[Collection]:
    """The collections at `roots`, sorted by name, whose indexes are sound.

    Raises:
        UserError: there is none, two have one name, one is named twice, or an index has mistakes.
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


def listed(
    collections: Sequence[Collection], cfg: IngestConfig, work: Path, *, as_shown: bool
) -> Iterator[Listed]:
    """Yield the files of collections in the order of their indexes."""
    limits = foreign.Limits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
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
                yield Listed(collection, row, task)
