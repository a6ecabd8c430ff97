"""Divide clips into train, val, test and unseen, and long recordings apart from these.

Recordings and near-duplicates stay whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import Run, SplitApp
from pipeline.copies import fingerprint
from pipeline.design.assignment import (
    NO_SPLIT,
    Columns,
    assign,
    belonging_together,
    encode,
    first_recordings,
    joined_recordings,
    read_columns,
)
from pipeline.design.composition import Composition
from pipeline.design.unused_files import CLUSTER_OF_UNSEEN, UnusedFiles
from pipeline.errors import UserError
from pipeline.store import manifest, shards, video, workdir
from pipeline.store.finished_work import FinishedWork, Piece, made_by, name_of
from pipeline.store.manifest import CLASSES, EVERY_SPLIT, SPLITS, Clip
from pipeline.store.output_files import AUDIT as AUDIT
from pipeline.store.reuse import Pieces

log = logging.getLogger(__name__)

AUDIT_COMPARISONS = 2 * 10**10
"""Most comparisons of hashes by the audit: all clips with all, or else a sample with all."""
_FILES_PER_BLOCK = 32
# A log of more would not be read.
_MOST_JOINED = 10
_CODE = ("stages/split.py", "copies/fingerprint.py", "store/video.py")
_LIBRARIES = (video.READER, "numpy", "opencv-python-headless")


def run(cfg: SplitApp) -> None:
    """Read the clips' manifest and write it with clusters and splits to `paths.splits`.

    Raises:
        UserError: fractions that leave nothing, unknown `unseen_sources`, recordings too few to
            train on or to judge by, fingerprints of another manifest, near-duplicates in two
            splits.
    """
    if cfg.val_fraction == 0 or cfg.val_fraction + cfg.test_fraction >= 1:
        raise UserError(
            f"conf/split.yaml: val_fraction {cfg.val_fraction} and test_fraction "
            f"{cfg.test_fraction} must leave something to train on, and val something to choose "
            "and calibrate weights by"
        )
    from pipeline.copies import duplicates

    work = Path(cfg.paths.work)
    clips = Path(cfg.paths.clips).resolve()
    columns = read_columns(clips / manifest.MANIFEST)
    unknown = [name for name in cfg.unseen_sources if name not in columns.sources]
    if unknown:
        raise UserError(
            f"conf/split.yaml: unseen_sources: no source {', '.join(map(repr, unknown))}; there "
            f"are {', '.join(columns.sources)}; take what is not there out of the list, or to hold "
            "out none, write unseen_sources: []"
        )
    rule = duplicates.Rule(
        cfg.max_distance, cfg.max_single_distance, cfg.max_half_distance, cfg.num_tables
    )
    hashes = duplicates.read_fingerprints(clips / manifest.FINGERPRINTS, len(columns.recording))
    parts, halves = (
        _read_parts(clips, hashes.shape, work, cfg.run) if cfg.find_parts else (None, None)
    )
    joined = duplicates.clusters(
        belonging_together(columns),
        hashes,
        rule,
        parts=parts,
        halves=halves,
        num_threads=_num_threads(cfg.run),
    )
    cluster = first_recordings(columns, joined)
    splits = assign(columns, cluster, cfg)
    _tell_joined(joined_recordings(columns, cluster), Path(cfg.paths.splits))
    _tell_composition(Composition.of(columns, cluster, splits), cfg)
    with workdir.replacing(Path(cfg.paths.splits), work, workdir.OUTPUTS["split"]) as fresh:
        _write(clips, fresh, columns, cluster, splits)
        report = audit(fresh, hashes, parts, halves, rule, cfg)
        (fresh / AUDIT).write_text(json.dumps(report, indent=2) + "\n")
        unused_files = UnusedFiles.of(clips, fresh)
        manifest.write_stats(fresh, _stats(fresh, columns, splits, unused_files))
    if sentence := unused_files.sentence():
        log.warning("split: %s", sentence)
    sizes = Counter(splits.tolist())
    told = ", ".join(f"{name} {sizes[i]}" for i, name in _shown(splits))
    if number := ((splits != NO_SPLIT) & (columns.label < 0)).sum():
        told += f"; {number} of train are of files without times (bags in conf/train.yaml)"
    log.info("split: %s", told)


def _shown(splits: NDArray[np.int8]) -> list[tuple[int, str]]:
    """Numbers and names of the splits, those of long recordings where there are any."""
    there = set(np.unique(splits).tolist())
    named = enumerate(EVERY_SPLIT)
    return [(number, name) for number, name in named if name in SPLITS or number in there]


def _num_threads(run: Run) -> int:
    return 1 if run.executor == "serial" else max(1, run.num_workers)


def _read_parts(
    folder: Path, shape: tuple[int, ...], work: Path, run: Run
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Hash parts and halves of every clip's picture: uint8 (N, P, 32) and (N, 4, K, 2, 32).

    They are kept by file, so that a later run looks at new files alone.
    """
    parts = np.empty((shape[0], fingerprint.NUM_PARTS, fingerprint.HASH_BYTES), np.uint8)
    halves = np.empty((shape[0], 4, *shape[1:]), np.uint8)
    code = made_by(_CODE, _LIBRARIES)
    done = 0
    with FinishedWork(work, "split") as kept:
        names = [_name(file, code) for file in _files(folder)]
        pieces = Pieces(kept, names, partial(_files, folder), _parts_of, run, "split: parts")
        pieces.make(_FILES_PER_BLOCK)
        for file, piece in pieces.read():
            here = slice(done, done + len(file.clips))
            for found, data in zip((parts, halves), piece.blobs, strict=True):
                found[here] = np.frombuffer(data, np.uint8).reshape(found[here].shape)
            done = here.stop
        kept.trim(run.keep_gb)
    return parts, halves


@dataclass(frozen=True)
class FileClips:
    """Neighbouring clips of one file, and where their shards are."""

    folder: Path
    clips: Sequence[Clip]


def _files(folder: Path) -> Iterator[FileClips]:
    rows = manifest.read_rows(folder / manifest.MANIFEST, Clip)
    for _, clips in groupby(rows, lambda clip: (clip.collection, clip.path)):
        yield FileClips(folder, list(clips))


def _name(file: FileClips, code: list[str | None]) -> str:
    mp4s = [shards.read_clip(file.folder, clip) for clip in file.clips]
    made_of = [hashlib.sha256(mp4).hexdigest() for mp4 in mp4s]
    return name_of(file.clips[0].file_sha256, code, made_of)


def _parts_of(file: FileClips) -> Piece:
    found = [video.decode(shards.read_clip(file.folder, clip)) for clip in file.clips]
    parts = [fingerprint.part_hashes(frames) for frames in found]
    halves = [fingerprint.half_hashes(frames) for frames in found]
    return Piece(None, [np.stack(parts).tobytes(), np.stack(halves).tobytes()])


def _tell_joined(joined: Sequence[Sequence[str]], splits: Path) -> None:
    """Name recordings that hold copies of each other, which count as one and stay together."""
    if not joined:
        return
    listed = [_some(names) for names in joined[:_MOST_JOINED]]
    if len(joined) > _MOST_JOINED:
        listed.append(f"{len(joined) - _MOST_JOINED} more")
    log.info(
        "split: recordings that hold copies of each other, which count as one (column cluster of "
        "%s; discern explain tells of a file why):\n%s",
        splits / manifest.MANIFEST,
        "\n".join(f"  {one}" for one in listed),
    )


def _some(names: Sequence[str]) -> str:
    more = [f"{len(names) - _MOST_JOINED} more"] * (len(names) > _MOST_JOINED)
    return ", ".join([*names[:_MOST_JOINED], *more])


def _tell_composition(found: Composition, cfg: SplitApp) -> None:
    """Print the table and what will be missing; raise where there can be no training."""
    log.info("split: %s", found.table())
    problem = found.problem(cfg)
    if problem:
        raise UserError(problem)
    for sentence in found.shortcomings(cfg):
        log.warning("split: %s", sentence)


def _write(
    clips: Path,
    fresh: Path,
    columns: Columns,
    cluster: NDArray[np.int64],
    splits: NDArray[np.int8],
) -> None:
    rows = manifest.read_rows(clips / manifest.MANIFEST, Clip)
    with manifest.TableWriter(fresh / manifest.MANIFEST, Clip) as table:
        for clip, first, split in zip(rows, cluster, splits, strict=True):
            table.add(
                replace(
                    clip,
                    cluster=columns.recordings[first],
                    split=None if split == NO_SPLIT else EVERY_SPLIT[split],
                    unused=_why_unused(clip, split),
                )
            )


def _why_unused(clip: Clip, split: int) -> str | None:
    if split != NO_SPLIT:
        return None
    return clip.unused if clip.discharge is None else CLUSTER_OF_UNSEEN


def audit(
    folder: Path,
    hashes: NDArray[np.uint8],
    parts: NDArray[np.uint8] | None,
    halves: NDArray[np.uint8] | None,
    rule: Any,
    cfg: SplitApp,
) -> dict[str, object]:
    """Prove on the written manifest that nothing crosses splits; returns what was checked.

    Near-duplicates are looked for by comparing clips one by one, without the join that made the
    clusters: all with all, or among very many a sample with all.

    Raises:
        UserError: a recording, a cluster, or two clips that match are in two splits.
    """
    from pipeline.copies import duplicates

    with manifest.open_table(folder / manifest.MANIFEST, Clip) as file:
        table = file.read(["clip_id", "recording", "cluster", "split"])
    names, split = encode(table["split"])
    for column in ("recording", "cluster"):
        values, value = encode(table[column])
        pairs = np.unique(np.stack([value, split])[:, split >= 0], axis=1)[0]
        crossing = np.unique(pairs[:-1][pairs[1:] == pairs[:-1]])
        if len(crossing):
            raise UserError(
                f"split: {column} '{values[crossing[0]]}' is in two splits, and {len(crossing)} "
                "are in all; the splits were not written. Please report this as a bug"
            )
    num_frames = hashes.shape[1]
    each = 2 * num_frames * num_frames
    if parts is not None:
        each += 2 * num_frames * (2 * parts.shape[1] + 4 * num_frames)
    num_chosen = min(len(hashes), max(1, AUDIT_COMPARISONS // max(1, each * len(hashes))))
    rng = np.random.default_rng(cfg.seed)
    chosen = np.sort(rng.choice(len(hashes), num_chosen, replace=False))
    found = duplicates.closest(
        chosen,
        split.astype(np.int8),
        hashes,
        rule,
        parts=parts,
        halves=halves,
        num_threads=_num_threads(cfg.run),
    )

    def told(pair: tuple[int, int]) -> list[dict[str, str]]:
        columns = ("clip_id", "recording", "split")
        return [{name: table[name][i].as_py() for name in columns} for i in pair]

    if found.matching:
        a, b = told(found.matching)
        raise UserError(
            f"split: clip {a['clip_id']} of {a['recording']} ({a['split']}) and clip "
            f"{b['clip_id']} of {b['recording']} ({b['split']}) look alike but are in two splits; "
            "raise num_tables in conf/split.yaml, so that more near-duplicates are found"
        )
    used = np.bincount(split[split >= 0], minlength=len(names))
    others = used.sum() - used
    pairs_checked = int(others[split[chosen][split[chosen] >= 0]].sum())
    is_exact = num_chosen == len(hashes)
    report: dict[str, object] = {
        "crossings": 0,
        "checked": {
            "recordings": len(table["recording"].unique()),
            "clusters": len(table["cluster"].unique()),
            "pairs_of_clips": pairs_checked // 2 if is_exact else pairs_checked,
        },
        "search": "all clips with all" if is_exact else f"{num_chosen} clips with all",
        # The share of clips that could yet have a near-duplicate in another split (exact, 95 %).
        "crossing_share_below": 0.0 if is_exact else 1 - 0.05 ** (1 / num_chosen),
        "max_distance": rule.max_distance,
        "max_single_distance": rule.max_single_distance,
        "max_half_distance": None if halves is None else rule.max_half_distance,
        "closest": {"distance": found.distance, "clips": told(found.pair)} if found.pair else None,
    }
    log.info("split: audit: %s", _sentence(report, found.distance))
    return report


def _sentence(report: dict[str, Any], distance: int) -> str:
    text = f"no crossing in {report['checked']['pairs_of_clips']} pairs of clips"
    if report["closest"]:
        a, b = (clip["clip_id"] for clip in report["closest"]["clips"])
        text += f"; closest {a} and {b} at {distance}, near-duplicates are at most "
        text += f"{report['max_distance']} apart"
    return text


def _stats(
    folder: Path, columns: Columns, splits: NDArray[np.int8], unused_files: UnusedFiles
) -> dict[str, object]:
    with manifest.open_table(folder / manifest.MANIFEST, Clip) as file:
        table = file.read(["cluster", "unused"])
    of_split = {name: splits == number for number, name in _shown(splits)}
    known = columns.label >= 0
    in_bags = int(((splits != NO_SPLIT) & ~known).sum())
    labels = {name: columns.label[here & known] for name, here in of_split.items()}
    return {
        "clips": {
            name: {
                CLASSES[label]: int(number)
                for label, number in enumerate(np.bincount(found, minlength=4))
                if number
            }
            for name, found in labels.items()
        },
        "recordings": {
            name: len(np.unique(columns.recording[here])) for name, here in of_split.items()
        },
        "clusters": len(table["cluster"].unique()),
        "unused": {
            row["values"]: row["counts"]
            for row in table["unused"].drop_null().value_counts().to_pylist()
        },
        "files_without_split": unused_files.counts(),
        **({"clips_of_bags": in_bags} if in_bags else {}),
    }
