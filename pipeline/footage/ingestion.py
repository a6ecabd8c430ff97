"""Canonical clips of collections: each file is decoded once, and what it became is kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.config import ClipFormat, IngestConfig, Run
from pipeline.copies.fingerprint import HASH_BYTES, num_hashes
from pipeline.errors import UserError
from pipeline.footage import account, conversion, listing, sandbox_work, sightings
from pipeline.footage.canonical import Canonical, muted
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.footage.labels import UNLABELLED
from pipeline.footage.listing import ListedFile
from pipeline.footage.sightings import FileOutcome, Key, Sightings
from pipeline.footage.tombstones import Tombstones
from pipeline.store import bank_matches, executor, manifest, workdir
from pipeline.store.bank_matches import BankMatch
from pipeline.store.contents import Contents, is_stand_in
from pipeline.store.finished_work import FinishedWork
from pipeline.store.manifest import Clip, File, FilePrint, FramePrint, Reject, TableWriter
from pipeline.store.shards import ShardWriter

log = logging.getLogger(__name__)

_FILES_HASHED_AT_ONCE = 1024
_FORGOTTEN = Unusable("forgotten", "the recording was to be forgotten")
_FORGOTTEN_BYTES = Unusable("forgotten", "the same bytes were to be forgotten")


@dataclass(frozen=True)
class Soundless:
    """Holds the name of the piece of a file without its sound, and the mark that says why."""

    name: str
    mark: str


@dataclass
class FilePieces:
    """Holds what there is of every file of a run, by its number."""

    of_file: list[str | Unusable] = field(default_factory=list)
    """The name of the piece that holds what became of it, or why nothing can be made of it."""
    stand_ins: dict[int, str] = field(default_factory=dict)
    """Stand-ins for hashes that are not known yet, of files that are not on this machine."""
    passing: dict[str, Unusable] = field(default_factory=dict)
    """By the name of a piece, why there is none in this run, though there may be in another."""
    soundless: dict[str, Soundless] = field(default_factory=dict)
    """By the name of a piece whose file ends its worker with sound, the piece without."""


def ingest(
    roots: Sequence[str],
    output: str,
    cfg: IngestConfig,
    work: Path,
    run: Run,
    tombstones: Tombstones,
    *,
    as_shown: bool = False,
    known: Sightings | None = None,
) -> None:
    """Write shards, tables, fingerprints, `format.json` and `stats.json` to `output`.

    What a file became is kept in `work` under the hash of its bytes, without what the index says of
    it: a later run, or one that goes on after a kill, decodes what is new alone.

    Args:
        roots: collections, as folders or URLs.
        output: a folder.
        cfg: what to make of them.
        work: a folder for what is unfinished or kept, on the file system of the output.
        run: how to run.
        tombstones: what to refuse.
        as_shown: make clips to be scored, of all that a player shows; else clips to train on.
        known: looks files up in banks; without it, none is.

    Raises:
        UserError: a bad index; or, once everything is written, no clip at all, or more rejects
            than `max_reject_rate`.
    """
    collections = listing.collections(roots, cfg, work)

    def listed() -> Iterator[ListedFile]:
        return listing.list_files(collections, cfg, work, as_shown=as_shown)

    with FinishedWork(work, "ingest") as kept:
        contents = Contents(work)
        found = _find(listed(), contents, kept, run, tombstones)
        num_new = _convert(listed(), found, contents, kept, cfg, run, tombstones, known)
        if known is not None:
            known.look_up(_tasks(listed(), found), kept, cfg, run)
        with workdir.replacing(Path(output), work, workdir.OUTPUTS["ingest"]) as fresh:
            results = _results(listed(), found, kept, cfg, run)
            counts = _assemble(results, fresh, cfg, known)
        kept.trim(run.keep_gb)
    for sentence in counts.wrong_times:
        log.warning("ingest: %s", sentence)
    stats = counts.deciding()
    _check(stats, Path(output), cfg)
    log.info(
        "ingest: %d files, %d of them new, %d clips, %d rejects%s",
        stats["files"],
        num_new,
        *(stats[name] for name in ("clips", "rejects")),
        "".join(
            f"; no label for {stats[why]} that {what}"
            for why, what in UNLABELLED.items()
            if stats[why]
        ),
    )


def _find(
    listed: Iterator[ListedFile],
    contents: Contents,
    kept: FinishedWork,
    run: Run,
    tombstones: Tombstones,
) -> FilePieces:
    """Hash every file, and take from what is kept the files that were to be forgotten."""
    found, made_by, gone = FilePieces(), conversion.recipe_of(), set(tombstones.sha256s)
    with ThreadPoolExecutor(max(1, run.num_workers)) as threads:
        for block in executor.in_blocks(listed, _FILES_HASHED_AT_ONCE):
            hashed = threads.map(partial(conversion.content_of, contents), [o.task for o in block])
            for one, content in zip(block, hashed, strict=True):
                if one.recording in tombstones.recordings:
                    found.of_file.append(_FORGOTTEN)
                    gone |= {content} if isinstance(content, str) else set()
                elif isinstance(content, Unusable):
                    found.of_file.append(content)
                elif content in tombstones.sha256s:
                    found.of_file.append(_FORGOTTEN_BYTES)
                else:
                    if is_stand_in(content):
                        found.stand_ins[len(found.of_file)] = content
                    found.of_file.append(conversion.piece_name(one.task, content, made_by))
    kept.forget(gone)
    return found


def _convert(
    listed: Iterator[ListedFile],
    found: FilePieces,
    contents: Contents,
    kept: FinishedWork,
    cfg: IngestConfig,
    run: Run,
    tombstones: Tombstones,
    known: Sightings | None,
) -> int:
    """Convert what is not kept, and keep it; returns how many files that were."""
    # Files of the same bytes are converted once.
    first: dict[str, int] = {}
    for number, name in enumerate(found.of_file):
        if isinstance(name, str) and (name in first or name not in kept):
            first.setdefault(name, number)
    todo = set(first.values())
    wanted = (((number, one), one.task) for number, one in enumerate(listed) if number in todo)
    died = []
    for (number, one), seen in _converted(wanted, len(todo), cfg, run, known):
        result = seen.made
        if (mark := conversion.muted_mark(one.task, result)) is not None:
            mute = replace(one, task=replace(one.task, with_sound=False))
            died.append(((number, mute, mark), mute.task))
            continue
        _keep(number, one, result, found, contents, kept, tombstones)
        name = found.of_file[number]
        if known and seen.told_by is not None and isinstance(name, str):
            known.keep(name, one.task, seen.told_by, kept)
    for (number, one, mark), result in (
        sandbox_work.each(conversion.convert, died, len(died), cfg, run) if died else ()
    ):
        name = found.of_file[number]
        assert isinstance(name, str)
        _keep(number, one, result, found, contents, kept, tombstones)
        soundless = found.of_file[number]
        if isinstance(result, Canonical) and isinstance(soundless, str):
            log.warning(
                "ingest: %s/%s: its sound ends the process that decodes it, or takes more than "
                "conf/ingest.yaml lets a file cost, and is left out (%s); re-encode it to have it "
                "heard",
                *(one.collection.name, one.row.path, mark),
            )
            found.soundless[name] = Soundless(soundless, mark)
            found.of_file[number] = name
    return len(todo)


def _converted(
    wanted: Iterable[tuple[Key, FileTask]],
    num_files: int,
    cfg: IngestConfig,
    run: Run,
    known: Sightings | None,
) -> Iterator[tuple[Key, FileOutcome]]:
    if known is not None:
        return known.converted(wanted, num_files, cfg, run)
    made = sandbox_work.each(conversion.convert, wanted, num_files, cfg, run)
    return ((key, FileOutcome(result)) for key, result in made)


def _keep(
    number: int,
    one: ListedFile,
    result: Canonical | Unusable,
    found: FilePieces,
    contents: Contents,
    kept: FinishedWork,
    tombstones: Tombstones,
) -> None:
    name = found.of_file[number]
    assert isinstance(name, str)
    if isinstance(result, Canonical):
        # It may have changed since it was hashed, or have been hashed by its converter.
        name = conversion.piece_name(one.task, result.sha256, conversion.recipe_of())
        found.of_file[number] = name
        if number in found.stand_ins:
            contents.remember(found.stand_ins[number], result.sha256)
    if isinstance(result, Canonical) and result.sha256 in tombstones.sha256s:
        found.of_file[number] = _FORGOTTEN_BYTES
    elif isinstance(result, Unusable) and not result.is_lasting:
        found.passing[name] = result
    else:
        kept.write(name, conversion.packed_up(result))


def _tasks(listed: Iterator[ListedFile], found: FilePieces) -> dict[str, FileTask]:
    """By the names of pieces, the files of which they hold what became of them."""
    tasks = dict[str, FileTask]()
    for one, name in zip(listed, found.of_file, strict=True):
        if isinstance(name, str) and name not in found.passing:
            has_sound = one.task.with_sound and name not in found.soundless
            held = found.soundless[name].name if name in found.soundless else name
            tasks.setdefault(held, replace(one.task, with_sound=has_sound))
    return tasks


def _results(
    listed: Iterator[ListedFile], found: FilePieces, kept: FinishedWork, cfg: IngestConfig, run: Run
) -> Iterator[tuple[ListedFile, Canonical | Unusable]]:
    for one, name in zip(listed, found.of_file, strict=True):
        if isinstance(name, Unusable):
            yield one, name
        elif name in found.passing:
            yield one, found.passing[name]
        else:
            yield one, _made(one, name, found, kept, cfg, run)


def _made(
    one: ListedFile, name: str, found: FilePieces, kept: FinishedWork, cfg: IngestConfig, run: Run
) -> Canonical | Unusable:
    soundless = found.soundless.get(name)
    name = soundless.name if soundless else name
    if (piece := kept.read(name)) is not None:
        result = conversion.unpacked(piece)
    else:
        log.warning("%s/%s: what was kept is damaged", one.collection.name, one.row.path)
        task = replace(one.task, with_sound=one.task.with_sound and soundless is None)
        ((_, result),) = sandbox_work.each(conversion.convert, [(None, task)], 1, cfg, run)
        if isinstance(result, Canonical) or result.is_lasting:
            kept.write(name, conversion.packed_up(result))
    return muted(result, soundless.mark) if soundless and isinstance(result, Canonical) else result


def _assemble(
    results: Iterator[tuple[ListedFile, Canonical | Unusable]],
    fresh: Path,
    cfg: IngestConfig,
    known: Sightings | None,
) -> account.Tally:
    """Write the output; returns what it holds, counted."""
    counts, matches = account.Tally(), list[BankMatch]()
    with (
        ShardWriter(fresh, cfg.shard_clips) as tar,
        TableWriter(fresh / manifest.MANIFEST, Clip) as clips,
        TableWriter(fresh / manifest.FILES, File) as files,
        TableWriter(fresh / manifest.REJECTS, Reject) as rejects,
        TableWriter(fresh / manifest.FILE_PRINTS, FilePrint) as file_prints,
        TableWriter(fresh / manifest.FRAME_PRINTS, FramePrint) as frame_prints,
        (fresh / manifest.FINGERPRINTS).open("wb") as fingerprints,
    ):
        _write_header(fingerprints, 0, cfg.clip)
        for listed, result in results:
            sighting = sightings.NONE
            if known is not None and isinstance(result, Canonical):
                sighting = known.of(listed, result)
            matches += sighting.matches
            reject = account.why_not(listed, result, sighting)
            file = account.file_row(listed, result, reject, sighting)
            files.add(file)
            counts.add_file(file)
            if isinstance(result, Canonical):
                whole, frames = account.print_rows(listed, result)
                file_prints.add(whole)
                for frame in frames:
                    frame_prints.add(frame)
            if reject is not None:
                rejects.add(reject)
            elif isinstance(result, Canonical):
                counts.add_times(listed, result)
                for window in result.windows:
                    clip = account.clip_row(listed, window, result, tar, sighting)
                    clips.add(clip)
                    counts.add_clip(clip)
                    fingerprints.write(window.fingerprint.tobytes())
        fingerprints.seek(0)
        _write_header(fingerprints, counts.classes.total(), cfg.clip)
    if known is not None:
        bank_matches.write(fresh, matches)
    manifest.write_format(fresh, cfg.clip)
    manifest.write_stats(fresh, counts.stats())
    return counts


def _write_header(file: BinaryIO, num_clips: int, clip: ClipFormat) -> None:
    """Write the header of an array of fingerprints, which is as long for any number of clips."""
    shape = (num_clips, num_hashes(clip.num_frames), 2, HASH_BYTES)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _check(stats: dict[str, int], output: Path, cfg: IngestConfig) -> None:
    """Raise where the output, which is in place already, holds too little of the footage."""
    rejects = manifest.read_rows(output / manifest.REJECTS, Reject)
    wanted = (reject for reject in rejects if reject.reason != "forgotten")
    examples = "".join(
        f"\n  {reject.collection}/{reject.path}: {reject.reason}: {reject.detail}; {reject.remedy}"
        for reject, _ in zip(wanted, range(10), strict=False)
    )
    everything = f"\nall of them: {output / manifest.REJECTS}"
    if not stats["clips"]:
        raise UserError(f"no file of {stats['files']} became a clip{examples}{everything}")
    num_rejects, num_files = (stats[key] - stats["forgotten"] for key in ("rejects", "files"))
    if num_rejects > cfg.max_reject_rate * num_files:
        raise UserError(
            f"{num_rejects} of {num_files} files rejected, more than "
            f"max_reject_rate={cfg.max_reject_rate} in conf/ingest.yaml{examples}{everything}"
        )
