"""Deals clusters of recordings to splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.config import SplitConfig
from pipeline.design import long_recordings
from pipeline.store import executor, manifest
from pipeline.store.manifest import CLASSES, EVERY_SPLIT, LONG, SPLITS, Clip, class_index

NO_SPLIT = -1
NUM_DRAWN = len(SPLITS) - 1
"""Splits that clusters are drawn for: train, val and test."""
_NEIGHBOURS = 4
Labels = frozenset[int]
"""What a cluster holds clips of: twice the index into `CLASSES`, and one more where the discharge
is only heard."""
Need = tuple[str, Labels]
"""A split, and labels of which it needs a cluster that holds any."""


@dataclass(frozen=True)
class Columns:
    """Attributes of every clip for splitting, as indices into sorted names; -1 where missing."""

    recordings: list[str]
    recording: NDArray[np.int64]
    pixels: NDArray[np.int64]
    """Equal for clips of equal pixels."""
    sources: list[str]
    source: NDArray[np.int64]
    label: NDArray[np.int8]
    """Index into `CLASSES`; -1 where it is not known."""
    only_heard: NDArray[np.bool_]
    """Whether the discharge is heard and not seen, so that pictures learn nothing from it."""
    untimed: NDArray[np.int8]
    """The class of shootings that a clip may show for want of `discharges_s`, else -1."""
    size: NDArray[np.int64]
    """Bytes of the canonical clip."""


def read_columns(path: Path) -> Columns:
    """Read the columns of a manifest that splitting needs."""
    names = ["recording", "pixels_sha256", "source", "origin", "discharge", "seen", "unused"]
    names.append("size")
    with manifest.open_table(path, Clip) as file:
        table = file.read(names)
    recordings, recording = encode(table["recording"])
    sources, source = encode(table["source"])
    origins, origin = encode(table["origin"])
    reasons, reason = encode(table["unused"])
    discharge = table["discharge"].cast(pa.int8()).fill_null(-1).to_numpy()
    kinds = np.array([[class_index(name, fires) for fires in (False, True)] for name in origins])
    kinds = kinds.reshape(-1, 2)
    is_seen = table["seen"].is_valid().to_numpy()
    untimed = (
        reason == reasons.index(manifest.NO_TIMES) if manifest.NO_TIMES in reasons else reason < -1
    )
    return Columns(
        recordings,
        recording,
        encode(table["pixels_sha256"])[1],
        sources,
        source,
        np.where(discharge < 0, -1, kinds[origin, discharge]).astype(np.int8),
        (discharge >= 0) & ~is_seen,
        np.where(untimed, kinds[origin, 1], -1).astype(np.int8),
        table["size"].to_numpy(),
    )


def encode(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Return sorted names, and of each row the index of its name, int64 (N,); -1 for null."""
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


def joined_recordings(columns: Columns, cluster: NDArray[np.int64]) -> list[list[str]]:
    """Names of recordings that share a cluster with others, sorted, a list a cluster.

    Args:
        columns: of N clips.
        cluster: (N,) as `first_recordings` gives it.
    """
    members: dict[int, list[str]] = defaultdict(list)
    pairs = np.unique(np.stack([cluster, columns.recording]), axis=1)
    for first, recording in pairs.T.tolist():
        members[first].append(columns.recordings[recording])
    return [names for names in members.values() if len(names) > 1]


def are_named(columns: Columns, patterns: Sequence[str]) -> NDArray[np.bool_]:
    """Tell of each clip whether a pattern names its recording, `<collection>/<recording>`.

    Args:
        columns: of N clips.
        patterns: as `fnmatch` reads them, upper and lower case being different.

    Returns:
        bool (N,).
    """
    named = [any(fnmatchcase(name, one) for one in patterns) for name in columns.recordings]
    return np.array(named, bool)[columns.recording]


def _whole(cluster: NDArray[np.int64], some: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tells of each clip whether its cluster holds one of some."""
    return np.isin(cluster, cluster[some])


def wanted_shares(cfg: SplitConfig) -> dict[str, float]:
    """The share of the clusters that each split is to have, where it is to have any."""
    shares = {
        "train": 1 - cfg.val_fraction - cfg.test_fraction,
        "val": cfg.val_fraction,
        "test": cfg.test_fraction,
    }
    return {name: share for name, share in shares.items() if share > 0}


def assign(columns: Columns, cluster: NDArray[np.int64], cfg: SplitConfig) -> NDArray[np.int8]:
    """Give each clip that is of use a split: an index into `EVERY_SPLIT`, else `NO_SPLIT`.

    Clusters are drawn in strata of equal sources and classes, each to the split that lacks most,
    in the order of their clips' mean size but for chance among neighbours (systematic sampling;
    Cochran, 1977, chapter 8): splits of few recordings are then as busy as each other, and chance
    ties size and bit rate to no origin in any of them. A cluster goes elsewhere only where the
    rest could not bring each split what it needs of every class any more, or only beyond its
    share: a class of three clusters is in train, val and test. Clips of `unseen_sources` are
    `unseen`; other clips of their clusters serve no split. Clusters that hold a recording of
    `long_recordings` are for the streams suite alone. Those that hold one of `train_only` are in
    train beside its share, so that others are divided as if these were not there; recordings of
    `train_only` serve no split where their cluster is held out or long.

    Of use are clips whose label is known, and in train also those of files that show a discharge
    nobody knows when. A cluster that holds no others is in train beside its share, as those of
    `train_only` are.

    Args:
        columns: of N clips.
        cluster: (N,) as `first_recordings` names them.
        cfg: fractions, seed and unseen sources.
    """
    is_unseen = np.isin(columns.source, [columns.sources.index(s) for s in cfg.unseen_sources])
    known = columns.label >= 0
    wanted = wanted_shares(cfg)
    rng = np.random.default_rng(cfg.seed)
    split_of = np.full(len(columns.recordings), NO_SPLIT, np.int8)
    given: Counter[str] = Counter()
    bytes_of = np.bincount(cluster, columns.size) / np.maximum(np.bincount(cluster), 1)
    is_long = _whole(cluster, are_named(columns, cfg.long_recordings))
    is_chosen = are_named(columns, cfg.train_only)
    is_untimed = columns.untimed >= 0
    is_weak = _whole(cluster, is_untimed) & ~_whole(cluster, known)
    only_train = _whole(cluster, is_chosen) | is_weak
    only_train &= ~_whole(cluster, is_unseen | is_long)
    strata = _strata(columns, cluster, np.unique(cluster[is_unseen | is_long | only_train]))
    left: Counter[Labels] = Counter()
    for labels, members in strata:
        left[labels] += len(members)
    needs, num_clusters = _needs(list(wanted), left), left.total()
    for labels, members in strata:
        by_size = sorted(members, key=bytes_of.__getitem__)
        for neighbours in executor.in_blocks(by_size, _NEIGHBOURS):
            for member in rng.permutation(neighbours):
                total = given.total() + 1
                left[labels] -= 1
                lack = {name: share * total - given[name] for name, share in wanted.items()}
                kept = {
                    name
                    for name in {name for name, _ in needs}
                    if _is_kept(needs, name, labels, wanted[name] * num_clusters - given[name])
                }
                split, needs = next(
                    (name, rest)
                    for name in sorted(wanted, key=lambda name: (name in kept, -lack[name]))
                    if _can_meet(rest := _without(needs, name, labels), _some(left))
                )
                split_of[member] = SPLITS.index(split)
                given[split] += 1
    long_strata = _strata(columns, cluster, np.unique(cluster[is_unseen | ~is_long]))
    for member, split in long_recordings.divide(
        long_strata,
        np.bincount(cluster),
        [name + LONG for name in wanted if name != "train"],
        rng,
    ).items():
        split_of[member] = EVERY_SPLIT.index(split)
    unseen, unseen_long = (np.int8(EVERY_SPLIT.index("unseen" + end)) for end in ("", LONG))
    found = np.where(is_unseen, np.where(is_long, unseen_long, unseen), split_of[cluster])
    train = SPLITS.index("train")
    found = np.where(only_train, train, np.where(is_chosen, NO_SPLIT, found))
    is_of_use = known | (is_untimed & (found == train))
    return np.where(is_of_use, found, NO_SPLIT).astype(np.int8)


def _strata(
    columns: Columns, cluster: NDArray[np.int64], tainted: NDArray[np.int64]
) -> list[tuple[Labels, list[int]]]:
    """Clusters with the same sources and labels, in order; without the tainted ones."""
    kind = 2 * (columns.source * len(CLASSES) + columns.label) + columns.only_heard
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
    return [
        (frozenset(one % (2 * len(CLASSES)) for one in kinds), members)
        for kinds, members in sorted(strata.items())
    ]


def _needs(splits: Sequence[str], left: Mapping[Labels, int]) -> frozenset[Need]:
    """Returns what the splits need a cluster of, as far as clusters exist.

    Each class in train, without which it cannot be learned; anything in val and test, without
    which there is no training and no report; each class in test and val, first those of which
    there are enough for all three. In train and val a discharge that is only heard is none, since
    weights are fitted to pictures and chosen by them; test is judged by it too.
    """
    seen = [frozenset({2 * label}) for label in range(len(CLASSES))]
    each = {
        split: [one | {label + 1 for label in one} for one in seen] if split == "test" else seen
        for split in ("train", "val", "test")
    }
    num_clusters = {
        label: sum(n for labels, n in left.items() if labels & one)
        for label, one in enumerate(seen)
    }
    order: list[Need] = [
        *(("train", one) for one in each["train"]),
        *((split, frozenset().union(*each[split])) for split in ("val", "test")),
        *(
            (split, each[split][label])
            for label in sorted(num_clusters, key=lambda one: num_clusters[one] < NUM_DRAWN)
            for split in ("test", "val")
        ),
    ]
    needs: frozenset[Need] = frozenset()
    for need in order:
        if need[0] in splits and _can_meet(needs | {need}, _some(left)):
            needs |= {need}
    return needs


def _without(needs: frozenset[Need], split: str, labels: Labels) -> frozenset[Need]:
    """Returns what is still needed once a cluster of these labels serves the split."""
    return frozenset(need for need in needs if need[0] != split or not need[1] & labels)


def _is_kept(needs: frozenset[Need], split: str, labels: Labels, room: float) -> bool:
    """Tells whether the rest of a split's share is kept for needs that none of `labels` meets."""
    own = [wanted for name, wanted in needs if name == split]
    return len(own) >= room and not any(wanted & labels for wanted in own)


def _some(left: Mapping[Labels, int]) -> tuple[tuple[Labels, int], ...]:
    """Clusters by their labels, of each kind one a split at most, since more change nothing."""
    kinds = ((labels, min(number, NUM_DRAWN)) for labels, number in left.items() if number)
    return tuple(sorted(kinds, key=lambda kind: sorted(kind[0])))


@lru_cache(maxsize=2**16)
def _can_meet(needs: frozenset[Need], left: tuple[tuple[Labels, int], ...]) -> bool:
    """Tells whether the given numbers of clusters of each kind can meet all needs."""
    if not needs:
        return True
    # Any need will do, since some cluster has to meet it; one of few kinds is told soonest.
    split, wanted = min(
        needs,
        key=lambda need: (
            sum(number for labels, number in left if labels & need[1]),
            need[0],
            sorted(need[1]),
        ),
    )
    for at, (labels, number) in enumerate(left):
        if labels & wanted:
            one_less = ((labels, number - 1),) if number > 1 else ()
            rest = (*left[:at], *one_less, *left[at + 1 :])
            if _can_meet(_without(needs, split, labels), rest):
                return True
    return False
