"""Divide clips into train, val, test and unseen without ever dividing a recording."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline import manifest, workdir
from pipeline.config import SplitApp, SplitConfig
from pipeline.errors import UserError
from pipeline.manifest import CLASSES, SPLITS, Clip, class_index

log = logging.getLogger(__name__)


def clusters(clips: Sequence[Clip]) -> list[str]:
    """The cluster of each clip, named after its first recording.

    Clips of one recording, and clips with the same pixels, are in one cluster.
    """
    recordings = sorted({clip.recording for clip in clips})
    pixels = sorted({clip.pixels_sha256 for clip in clips})
    node = {name: i for i, name in enumerate([*recordings, *pixels])}
    edges = np.array([(node[clip.recording], node[clip.pixels_sha256]) for clip in clips])
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(node), len(node)))
    labels = connected_components(graph, directed=False)[1][: len(recordings)]
    first: dict[int, str] = {}
    for recording, label in zip(recordings, labels, strict=True):
        first.setdefault(label, recording)
    name = {r: first[label] for r, label in zip(recordings, labels, strict=True)}
    return [name[clip.recording] for clip in clips]


def assign(clips: Sequence[Clip], cfg: SplitConfig) -> list[Clip]:
    """Give each clip its cluster and, where its label is known, its split.

    Clusters are drawn in strata of equal sources and classes, each to the split that lacks most.
    Clips of `unseen_sources` are `unseen`; other clips of their clusters serve no split.
    """
    clustered = [replace(c, cluster=k) for c, k in zip(clips, clusters(clips), strict=True)]
    members: dict[str, list[Clip]] = defaultdict(list)
    for clip in clustered:
        assert clip.cluster is not None
        members[clip.cluster].append(clip)
    unseen = set(cfg.unseen_sources)
    strata: dict[tuple[tuple[str, int], ...], list[str]] = defaultdict(list)
    for name, of_cluster in sorted(members.items()):
        if not any(clip.source in unseen for clip in of_cluster):
            labels = {
                (clip.source, class_index(clip.origin, clip.discharge))
                for clip in of_cluster
                if clip.discharge is not None
            }
            strata[tuple(sorted(labels))].append(name)
    wanted = {
        "train": 1 - cfg.val_fraction - cfg.test_fraction,
        "val": cfg.val_fraction,
        "test": cfg.test_fraction,
    }
    rng = np.random.default_rng(cfg.seed)
    split_of: dict[str, str] = {}
    given: Counter[str] = Counter()
    for _, names in sorted(strata.items()):
        for i in rng.permutation(len(names)):
            total = given.total() + 1
            split = max(wanted, key=lambda s: wanted[s] * total - given[s])
            split_of[names[i]] = split
            given[split] += 1
    return [replace(clip, split=_split(clip, split_of, unseen)) for clip in clustered]


def _split(clip: Clip, split_of: dict[str, str], unseen: set[str]) -> str | None:
    if clip.discharge is None:
        return None
    if clip.source in unseen:
        return "unseen"
    assert clip.cluster is not None
    return split_of.get(clip.cluster)


def run(cfg: SplitApp) -> None:
    """Read the clips' manifest and write it with clusters and splits to `paths.splits`.

    Raises:
        UserError: fractions that leave nothing, unknown `unseen_sources`, an empty split.
    """
    if min(cfg.val_fraction, cfg.test_fraction) < 0 or cfg.val_fraction + cfg.test_fraction >= 1:
        raise UserError(
            f"conf/split.yaml: val_fraction {cfg.val_fraction} and test_fraction "
            f"{cfg.test_fraction} must be at least 0 and leave something to train on"
        )
    clips = manifest.read_manifest(Path(cfg.paths.clips))
    sources = {clip.source for clip in clips}
    for name in cfg.unseen_sources:
        if name not in sources:
            raise UserError(
                f"conf/split.yaml: unseen_sources: no source '{name}'; "
                f"there are {', '.join(sorted(sources))}"
            )
    assigned = assign(clips, cfg)
    wanted = {"train": 1.0, "val": cfg.val_fraction, "test": cfg.test_fraction}
    sizes = Counter(clip.split for clip in assigned)
    empty = [name for name, fraction in wanted.items() if fraction > 0 and not sizes[name]]
    if empty:
        raise UserError(
            f"split {', '.join(empty)}: empty, with {len(set(clusters(clips)))} clusters of "
            "recordings in all; add recordings or change the fractions in conf/split.yaml"
        )
    with workdir.replacing(Path(cfg.paths.splits), Path(cfg.paths.work)) as fresh:
        manifest.write_manifest(fresh, assigned)
        manifest.write_stats(fresh, _stats(assigned))
    log.info("split: %s", ", ".join(f"{name} {sizes[name]}" for name in SPLITS))


def _stats(clips: Sequence[Clip]) -> dict[str, object]:
    by_split: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    unused: Counter[str] = Counter()
    for clip in clips:
        if clip.split is not None:
            assert clip.discharge is not None
            by_split[clip.split][CLASSES[class_index(clip.origin, clip.discharge)]] += 1
        else:
            unused["label_unknown" if clip.discharge is None else "cluster_of_unseen"] += 1
    return {
        "clips": by_split,
        "recordings": {
            name: len({clip.recording for clip in clips if clip.split == name}) for name in SPLITS
        },
        "clusters": len({clip.cluster for clip in clips}),
        "unused": unused,
    }
