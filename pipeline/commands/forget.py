"""Removes a recording for good: `python -m pipeline forget <collection>/<recording>`."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc

from pipeline.assess import wording
from pipeline.commands import bank_holdings, tables
from pipeline.commands.evaluation.outputs import EVALUATED
from pipeline.config import IngestApp, Paths
from pipeline.errors import UserError
from pipeline.footage.collection import iter_index
from pipeline.footage.tombstones import FORGOTTEN, Tombstone, read_tombstones, write_tombstones
from pipeline.store import storage, workdir
from pipeline.store.finished_work import FinishedWork
from pipeline.store.manifest import FILES, MANIFEST
from pipeline.store.packed_samples import INDEX as PACKED_INDEX
from pipeline.system.names import composed

_NEXT = """Next:
  dvc repro                      makes everything again without it
  git add {forgotten}   keeps the next ingest from taking it in again
  dvc gc --workspace             deletes earlier versions of the outputs on this machine
  dvc gc --workspace --cloud     deletes them on the DVC remote
The source files are still where they were: delete them, and `dvc add` a collection under DVC
again."""
_CALL_BACK = "Weights trained on them that left this machine have to be called back."


def run(recording: str, cfg: IngestApp) -> None:
    """Write tombstones for a recording and say what was made from it.

    Raises:
        UserError: neither the files of ingest nor a collection know the recording.
    """
    recording = composed(recording)
    footage = Path(cfg.paths.footage)
    before = read_tombstones(footage)
    stones = {row for row in before if row.recording == recording} | _files(recording, cfg)
    if not stones:
        near = tables.nearest(recording, _recordings(cfg))
        raise UserError(f"no recording '{recording}'; {near}".rstrip("; "))
    # A file that ingest has refused since has no hash any more; its earlier tombstone does.
    hashed = {row.path for row in stones if row.sha256}
    stones = {row for row in stones if row.sha256 or row.path not in hashed}
    write_tombstones(footage, stones | {row for row in before if row.recording != recording})
    print(f"{recording}: {wording.count(len(stones), 'file')} in {footage / FORGOTTEN}")
    for row in sorted(stones):
        print(f"  {row.path}  {row.sha256[:16] or 'bytes never seen'}")
    _print_derived(recording, cfg.paths)
    known = {row.sha256 for row in stones} - {""}
    for item in bank_holdings.removed(known, Path(cfg.paths.banks), Path(cfg.paths.work)):
        print(f"Removed from a bank: {item}")
    for item in bank_holdings.shown_by(known, Path(cfg.paths.clips)):
        print(f"It shows or sounds like an item with other bytes, which stays: {item}")
    with FinishedWork(Path(cfg.paths.work), "ingest") as kept:
        num_pieces = kept.forget({row.sha256 for row in stones} - {""} | _samples(recording, cfg))
    print(f"Removed from what is kept for later runs: {wording.count(num_pieces, 'piece')}")
    for folder in _evaluated({row.sha256 for row in stones}, Path(cfg.paths.work)):
        shutil.rmtree(folder)
        print(f"Removed what an evaluation made of it and of its collection: {folder}")
    print(_NEXT.format(forgotten=footage / FORGOTTEN))
    if Path(cfg.paths.models).exists():
        print(_CALL_BACK)


def _files(recording: str, cfg: IngestApp) -> set[Tombstone]:
    """The files of a recording that the last ingest saw, or else those of its collection."""
    rows = tables.select(
        Path(cfg.paths.clips) / FILES, pc.field("recording") == recording, ["path", "sha256"]
    )
    seen = {Tombstone(recording, row["path"], row["sha256"] or "") for row in rows}
    if seen and all(stone.sha256 for stone in seen):
        return seen
    collection, _, name = recording.partition("/")
    listed = {
        row_path: Tombstone(recording, row_path, _sha256(root, row_path))
        for root in tables.collections(cfg)
        if storage.name(root) == collection
        for row_path, row_recording in _index(root, cfg)
        if row_recording == name
    }
    # What ingest rejected unread may lie there all the same.
    whole = {stone if stone.sha256 else listed.get(stone.path, stone) for stone in seen}
    return whole or set(listed.values())


def _evaluated(sha256s: set[str], work: Path) -> list[Path]:
    """Folders of clips of collections that were evaluated, any of whose files has such bytes."""
    found = []
    for folder in sorted((work / EVALUATED).glob("*")):
        files = folder / FILES
        if files.is_file() and sha256s & (set(tables.column(files, "sha256")) - {None, ""}):
            found.append(folder)
    return found


def _samples(recording: str, cfg: IngestApp) -> set[str]:
    """The hashes of its packed samples, under which their features are kept."""
    of_it = pc.field("recording") == recording
    rows = tables.select(Path(cfg.paths.packed) / PACKED_INDEX, of_it, ["sha256"])
    return {row["sha256"] for row in rows}


def _sha256(root: str, path: str) -> str:
    if storage.is_remote(root):
        return ""
    try:
        with storage.fetched(root, path, Path(root)) as local:
            return workdir.file_sha256(local)
    except FileNotFoundError:
        return ""


def _index(root: str, cfg: IngestApp) -> Iterator[tuple[str, str]]:
    with storage.fetched_index(root, Path(cfg.paths.work)) as folder:
        yield from ((row.path, row.recording) for row in iter_index(folder))


def _recordings(cfg: IngestApp) -> Iterator[str]:
    files = Path(cfg.paths.clips) / FILES
    if files.is_file():
        yield from tables.column(files, "recording")
        return
    for root in tables.collections(cfg):
        yield from (f"{storage.name(root)}/{recording}" for _, recording in _index(root, cfg))


def _print_derived(recording: str, paths: Paths) -> None:
    """Tell what was made from a recording, and which recordings look like it."""
    of_it = pc.field("recording") == recording
    splits = Path(paths.splits) / MANIFEST
    clips = tables.select(Path(paths.clips) / MANIFEST, of_it, ["clip_id"])
    in_split = Counter(row["split"] or "none" for row in tables.select(splits, of_it, ["split"]))
    variants = tables.select(Path(paths.augmented) / MANIFEST, of_it, ["clip_id"])
    samples = tables.select(Path(paths.packed) / PACKED_INDEX, of_it, ["sample_id"])
    print("Made from it so far:")
    print(f"  {wording.count(_len(clips), 'clip')}", end="")
    print(
        f" ({', '.join(f'{n} {split}' for split, n in sorted(in_split.items()))})" * bool(in_split)
    )
    print(f"  {wording.count(_len(variants), 'variant')}")
    print(f"  {wording.count(_len(samples), 'packed sample')}")
    if Path(paths.models).exists() and (in_split["train"] or in_split["val"]):
        print(f"  the weights in {paths.models}, which learned from it or were chosen by it")
    alike = _alike(recording, splits)
    if alike:
        print("In its cluster, so that you may want to forget them too:")
        print("\n".join(f"  {other}" for other in alike))


def _alike(recording: str, splits: Path) -> list[str]:
    """Other recordings in the clusters of a recording, sorted."""
    rows = tables.select(splits, pc.field("recording") == recording, ["cluster"])
    clusters = sorted({row["cluster"] for row in rows} - {None})
    others = tables.select(splits, pc.field("cluster").isin(clusters), ["recording"])
    return sorted({row["recording"] for row in others} - {recording})


def _len(rows: Iterator[object]) -> int:
    return sum(1 for _ in rows)
