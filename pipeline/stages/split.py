"""Divide clips into train, val, test and unseen; recordings and near-duplicates stay whole."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline import executor, fingerprint, manifest, shards, storage, video
from pipeline.config import Run, SplitApp, SplitConfig
from pipeline.errors import UserError
from pipeline.manifest import CLASSES, SPLITS, Clip, class_index

log = logging.getLogger(__name__)

AUDIT = "audit.json"
AUDIT_COMPARISONS = 2 * 10**10
"""Of hashes by the audit: all clips with all while that is enough, else a sample with all."""
NO_SPLIT = -1
_CLIPS_PER_BLOCK = 256
_NEIGHBOURS = 4


@dataclass(frozen=True)
class Columns:
    """What splitting needs of every clip, as indices into sorted names; -1 for a missing value."""

    recordings: list[str]
    recording: NDArray[np.int64]
    pixels: NDArray[np.int64]
    """Equal for clips of equal pixels."""
    sources: list[str]
    source: NDArray[np.int64]
    label: NDArray[np.int8]
    """Index into `CLASSES`; -1 where it is not known."""
    size: NDArray[np.int64]
    """Bytes of the canonical clip."""


def read_columns(path: Path) -> Columns:
    """Read the columns of a manifest that splitting needs."""
    names = ["recording", "pixels_sha256", "source", "origin", "discharge", "size"]
    with manifest.open_table(path, Clip) as file:
        table = file.read(names)
    recordings, recording = _encode(table["recording"])
    sources, source = _encode(table["source"])
    origins, origin = _encode(table["origin"])
    discharge = table["discharge"].cast(pa.int8()).fill_null(-1).to_numpy()
    kinds = np.array([[class_index(name, fires) for fires in (False, True)] for name in origins])
    label = np.where(discharge < 0, -1, kinds[origin, discharge]) if len(kinds) else discharge
    return Columns(
        recordings,
        recording,
        _encode(table["pixels_sha256"])[1],
        sources,
        source,
        label.astype(np.int8),
        table["size"].to_numpy(),
    )


def _encode(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Sorted names, and for each row the index of its name; -1 for null."""
    coded = column.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(names)), -1
    return [names[i] for i in order], rank[coded.indices.fill_null(-1).to_numpy()]


def belonging_together(columns: Columns) -> NDArray[np.int64]:
    """A label for each clip, the same for clips of one recording and for clips of equal pixels."""
    num_recordings = len(columns.recordings)
    num_nodes = num_recordings + int(columns.pixels.max(initial=-1)) + 1
    edges = (columns.recording, num_recordings + columns.pixels)
    graph = coo_array((np.ones(len(columns.recording), bool), edges), shape=(num_nodes, num_nodes))
    labels = connected_components(graph, directed=False)[1]
    return np.asarray(labels[columns.recording], np.int64)


def first_recordings(columns: Columns, cluster: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cluster of each clip named after its first recording, as an index into the names."""
    first = np.full(int(cluster.max(initial=-1)) + 1, len(columns.recordings))
    np.minimum.at(first, cluster, columns.recording)
    return np.asarray(first[cluster])


def assign(columns: Columns, cluster: NDArray[np.int64], cfg: SplitConfig) -> NDArray[np.int8]:
    """Give each clip whose label is known a split: an index into `SPLITS`, else `NO_SPLIT`.

    Clusters are drawn in strata of equal sources and classes, each to the split that lacks most,
    in the order of their clips' mean size but for chance among neighbours (systematic sampling;
    Cochran, 1977, chapter 8): splits of few recordings are then as busy as each other, and chance
    ties size and bit rate to no origin in any of them. Clips of `unseen_sources` are `unseen`;
    other clips of their clusters serve no split.

    Args:
        columns: of N clips.
        cluster: (N,) as `first_recordings` names them.
        cfg: fractions, seed and unseen sources.
    """
    is_unseen = np.isin(columns.source, [columns.sources.index(s) for s in cfg.unseen_sources])
    known = columns.label >= 0
    wanted = {
        "train": 1 - cfg.val_fraction - cfg.test_fraction,
        "val": cfg.val_fraction,
        "test": cfg.test_fraction,
    }
    rng = np.random.default_rng(cfg.seed)
    split_of = np.full(len(columns.recordings), NO_SPLIT, np.int8)
    given: Counter[str] = Counter()
    bytes_of = np.bincount(cluster, columns.size) / np.maximum(np.bincount(cluster), 1)
    for members in _strata(columns, cluster, np.unique(cluster[is_unseen])):
        by_size = sorted(members, key=bytes_of.__getitem__)
        for neighbours in executor.in_blocks(by_size, _NEIGHBOURS):
            for member in rng.permutation(neighbours):
                total = given.total() + 1
                split = max(wanted, key=lambda s: wanted[s] * total - given[s])
                split_of[member] = SPLITS.index(split)
                given[split] += 1
    found = np.where(is_unseen, np.int8(SPLITS.index("unseen")), split_of[cluster])
    return np.where(known, found, np.int8(NO_SPLIT))


def _strata(
    columns: Columns, cluster: NDArray[np.int64], tainted: NDArray[np.int64]
) -> Iterator[list[int]]:
    """Clusters with the same sources and classes, in order; without the tainted ones."""
    kind = columns.source * len(CLASSES) + columns.label
    some = np.stack([cluster, kind])[:, columns.label >= 0]
    kinds_of: dict[int, tuple[int, ...]] = dict.fromkeys(np.unique(cluster).tolist(), ())
    for name in tainted.tolist():
        del kinds_of[name]
    for name, one in np.unique(some, axis=1).T.tolist():
        if name in kinds_of:
            kinds_of[name] += (one,)
    strata: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for name, kinds in kinds_of.items():
        strata[kinds].append(name)
    for _, members in sorted(strata.items()):
        yield members


def run(cfg: SplitApp) -> None:
    """Read the clips' manifest and write it with clusters and splits to `paths.splits`.

    Raises:
        UserError: fractions that leave nothing, unknown `unseen_sources`, an empty split,
            fingerprints of another manifest, near-duplicates in two splits.
    """
    if min(cfg.val_fraction, cfg.test_fraction) < 0 or cfg.val_fraction + cfg.test_fraction >= 1:
        raise UserError(
            f"conf/split.yaml: val_fraction {cfg.val_fraction} and test_fraction "
            f"{cfg.test_fraction} must be at least 0 and leave something to train on"
        )
    from pipeline import duplicates

    work = Path(cfg.paths.work)
    clips = storage.mirror(cfg.paths.clips, work)
    columns = read_columns(clips / manifest.MANIFEST)
    for name in cfg.unseen_sources:
        if name not in columns.sources:
            raise UserError(
                f"conf/split.yaml: unseen_sources: no source '{name}'; "
                f"there are {', '.join(columns.sources)}"
            )
    rule = duplicates.Rule(
        cfg.max_distance, cfg.max_single_distance, cfg.max_half_distance, cfg.num_tables
    )
    hashes = read_fingerprints(clips, len(columns.recording))
    parts, halves = _read_parts(clips, hashes.shape, cfg.run) if cfg.find_parts else (None, None)
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
    _check_sizes(splits, cluster, cfg)
    with storage.replacing(cfg.paths.splits, work) as fresh:
        _write(clips, fresh, columns, cluster, splits)
        report = audit(fresh, hashes, parts, halves, rule, cfg)
        (fresh / AUDIT).write_text(json.dumps(report, indent=2) + "\n")
        manifest.write_stats(fresh, _stats(fresh, columns, splits))
    sizes = Counter(splits.tolist())
    log.info("split: %s", ", ".join(f"{name} {sizes[i]}" for i, name in enumerate(SPLITS)))


def read_fingerprints(folder: Path, num_clips: int) -> NDArray[np.uint8]:
    """Map the fingerprints of a manifest of `num_clips` rows: uint8 (N, K, 2, 32).

    Raises:
        UserError: missing, unreadable, or not a row for each clip.
    """
    path = folder / manifest.FINGERPRINTS
    try:
        hashes = np.load(path, mmap_mode="r")
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run ingest again (dvc repro ingest)") from error
    except ValueError as error:
        raise UserError(f"{path}: not readable ({error}); run ingest again") from error
    is_right = hashes.ndim == 4 and hashes.shape[2:] == (2, fingerprint.HASH_BYTES)
    if len(hashes) != num_clips or not is_right or hashes.dtype != np.uint8:
        raise UserError(
            f"{path}: {hashes.dtype} {hashes.shape} instead of a fingerprint for each of "
            f"{num_clips} clips of {manifest.MANIFEST}; run ingest again (dvc repro ingest)"
        )
    return hashes


def _num_threads(run: Run) -> int:
    return 1 if run.executor == "serial" else max(1, run.num_workers)


def _read_parts(
    folder: Path, shape: tuple[int, ...], run: Run
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Hash parts and halves of every clip's picture: uint8 (N, P, 32) and (N, 4, K, 2, 32)."""
    parts = np.empty((shape[0], fingerprint.NUM_PARTS, fingerprint.HASH_BYTES), np.uint8)
    halves = np.empty((shape[0], 4, *shape[1:]), np.uint8)
    done = 0
    rows = manifest.read_rows(folder / manifest.MANIFEST, Clip)
    for block in executor.map_blocks(
        partial(_parts_of, folder),
        executor.in_blocks(rows, _CLIPS_PER_BLOCK),
        run,
        title="split: parts",
        num_items=shape[0],
    ):
        for found in block:
            if isinstance(found, executor.Lost):
                raise UserError(f"split: {found.detail}; run it again")
            parts[done], halves[done] = found
            done += 1
    return parts, halves


def _parts_of(folder: Path, clip: Clip) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    frames = video.decode(shards.read_clip(folder, clip))
    return fingerprint.part_hashes(frames), fingerprint.half_hashes(frames)


def _check_sizes(splits: NDArray[np.int8], cluster: NDArray[np.int64], cfg: SplitConfig) -> None:
    wanted = {"train": 1.0, "val": cfg.val_fraction, "test": cfg.test_fraction}
    empty = [
        name
        for name, fraction in wanted.items()
        if fraction > 0 and not (splits == SPLITS.index(name)).any()
    ]
    if empty:
        raise UserError(
            f"split {', '.join(empty)}: empty, with {len(np.unique(cluster))} clusters of "
            "recordings in all; add recordings or change the fractions in conf/split.yaml"
        )


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
            left_out = split == NO_SPLIT and clip.discharge is not None
            table.add(
                replace(
                    clip,
                    cluster=columns.recordings[first],
                    split=None if split == NO_SPLIT else SPLITS[split],
                    unused="cluster_of_unseen" if left_out else clip.unused,
                )
            )


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
    from pipeline import duplicates

    with manifest.open_table(folder / manifest.MANIFEST, Clip) as file:
        table = file.read(["clip_id", "recording", "cluster", "split"])
    names, split = _encode(table["split"])
    for column in ("recording", "cluster"):
        values, value = _encode(table[column])
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


def _stats(folder: Path, columns: Columns, splits: NDArray[np.int8]) -> dict[str, object]:
    with manifest.open_table(folder / manifest.MANIFEST, Clip) as file:
        table = file.read(["cluster", "unused"])
    of_split = {name: splits == i for i, name in enumerate(SPLITS)}
    return {
        "clips": {
            name: {
                CLASSES[label]: int(number)
                for label, number in enumerate(np.bincount(columns.label[here], minlength=4))
                if number
            }
            for name, here in of_split.items()
        },
        "recordings": {
            name: len(np.unique(columns.recording[here])) for name, here in of_split.items()
        },
        "clusters": len(table["cluster"].unique()),
        "unused": {
            row["values"]: row["counts"]
            for row in table["unused"].drop_null().value_counts().to_pylist()
        },
    }
