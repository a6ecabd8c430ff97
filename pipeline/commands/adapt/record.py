"""Records what adapting found: as JSON, as rows of tables, and as the card of the new weights."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.assess.page.adaptation import NEW, SHIFTED, UNCHANGED, FileRow
from pipeline.assess.statistics.measurement import as_json
from pipeline.commands.adapt.footage import CollectionClips
from pipeline.commands.adapt.judgement import (
    ALL,
    CONFIDENCE,
    MAX_FPR,
    Point,
    RankingResult,
    judge,
)
from pipeline.commands.adapt.layer import ChosenLayer
from pipeline.config import AdaptApp, TrainApp
from pipeline.detect.detector import Detector
from pipeline.learn.data import origin_weight
from pipeline.numbers.rounding import rounded

ADAPTED = "adapted"
"""What a model card says of the adaptation under."""
_OF_THE_WEIGHTS = (
    *("architecture", "classes", "preprocessing", "temperature", "memory"),
    *("weights_sha256", "encoder_sha256", "made_by"),
)


def metrics(
    cfg: AdaptApp,
    settings: TrainApp,
    own: CollectionClips,
    chosen: ChosenLayer,
    points: Sequence[Point],
    reason: str,
) -> dict[str, Any]:
    """Return what was found, as JSON values.

    Args:
        cfg: how it was adapted.
        settings: those of the detector's training.
        own: the collection.
        chosen: the layer of the adapted detector.
        points: of the learning curve.
        reason: why there is no learning curve, or empty.
    """
    judged = judge(chosen.new, own.origins, own.sources)
    # Both on the same files.
    was = np.where(np.isnan(chosen.new), np.nan, chosen.was)
    is_real, is_told = own.origins == "real", ~np.isnan(chosen.now)
    before = judge(was, own.origins, own.sources)
    return {
        "collection": own.name,
        "files": len(own.files),
        "sources": len(set(own.sources.tolist())),
        "clips": len(own.clips),
        "files_by_origin": dict(sorted(Counter(own.origins.tolist()).items())),
        "sources_by_origin": {
            origin: len(np.unique(own.sources[own.origins == origin]))
            for origin in sorted(set(own.origins.tolist()))
        },
        "rejected_files": len(own.rejects),
        "rendered_files": own.num_rendered,
        "rendered_weight": settings.rendered_weight.origin,
        "known_files": list(own.known),
        "weight": cfg.weight,
        "clips_per_file": cfg.clips_per_file,
        "max_fpr": MAX_FPR,
        "before": {one.against: _plain(one) for one in before},
        "sources_left_out": {one.against: _plain(one) for one in judged},
        "gain": {
            against: {**as_json(gain.measured), "is_shown": gain.is_shown}
            for against, gain in chosen.gains.items()
        },
        "confidence": CONFIDENCE,
        "layer": _layer(chosen),
        "taken_wrongly": {
            side: {
                "files": int(of_side.sum()),
                "before": int((of_side & ((chosen.was > 0) != is_real)).sum()),
                "after": int((of_side & ((chosen.now > 0) != is_real)).sum()),
            }
            for side, of_side in (("real", is_told & is_real), ("fictional", is_told & ~is_real))
        },
        "learning_curve": list(_curve(points)),
        "no_learning_curve": reason or None,
    }


def table(points: Sequence[Point]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of the learning curve, a row a draw and what real is told from."""
    header = ["files", "draw", "sources_drawn", "against", "auroc", "found_at_1_percent"]
    header += ["judged_real_files", "judged_fictional_files", "judged_sources"]
    rows = []
    for point in points:
        one = point.found
        row = [point.num_files, point.draw, point.num_drawn_sources, one.against]
        row += [rounded(one.auroc), rounded(one.found)]
        rows.append([*row, one.num_real, one.num_fictional, one.num_sources])
    return header, rows


def outcome(chosen: ChosenLayer) -> str:
    """One line on what was gained, and so on what the adapted weights are."""
    kept = "a new layer is in the weights" if chosen.is_new else "the layer before is kept"
    if chosen.is_shifted:
        kept += ", with P(real) shifted"
    if (found := chosen.gains.get(ALL)) is None:
        return f"there is nothing to judge a new layer by; {kept}"
    gain = found.measured
    ends = gain.reason if gain.low is None else f"{gain.low:+.3f} to {gain.high:+.3f}"
    return (
        f"{'a' if found.is_shown else 'no'} gain is shown: on sources left out a new layer changes "
        f"the AUROC by {gain.known:+.3f} ({ends}); {kept}"
    )


def files(own: CollectionClips, chosen: ChosenLayer) -> list[FileRow]:
    """The files of the collection."""
    return [
        FileRow(
            path=file.path,
            origin=file.origin,
            source=file.source,
            num_clips=int((own.file_of == number).sum()),
            before=_probability(chosen.was[number]),
            after=None if np.isnan(chosen.now[number]) else _probability(chosen.now[number]),
        )
        for number, file in enumerate(own.files)
    ]


def card(
    cfg: AdaptApp,
    settings: TrainApp,
    detector: Detector,
    own: CollectionClips,
    chosen: ChosenLayer,
    val_auroc: float | None,
) -> dict[str, Any]:
    """Return what the new card says beside what belongs to its weights."""
    kept = {
        name: value
        for name, value in detector.card.everything.items()
        if name not in _OF_THE_WEIGHTS
    }
    names = ("source", "origin", "licence", "authority", "rendered")
    weight = cfg.weight if chosen.is_new else 0.0
    counts = Counter(tuple(getattr(clip, name) for name in names) for clip in own.clips)
    rows = [
        {
            **dict(zip(names, group, strict=True)),
            **{"train": count, "val": 0, "adapted": True},
            "origin_weight": weight * origin_weight(group[names.index("rendered")], settings),
        }
        for group, count in sorted(counts.items())
    ]
    pixels = "\n".join(sorted(clip.pixels_sha256 for clip in own.clips))
    return {
        **kept,
        "data": {**kept["data"], "footage": [*kept["data"]["footage"], *rows]},
        "metrics": {**kept["metrics"], "val_origin_auroc": val_auroc},
        ADAPTED: {
            "from_weights_sha256": detector.sha256,
            "collection": own.name,
            "files": len(own.files),
            "sources": len(set(own.sources.tolist())),
            "clips": len(own.clips),
            "pixels_sha256": hashlib.sha256(pixels.encode()).hexdigest(),
            "weight": cfg.weight,
            "clips_per_file": cfg.clips_per_file,
            "layer": _layer(chosen),
        },
    }


def _curve(points: Sequence[Point]) -> list[Mapping[str, Any]]:
    groups: dict[tuple[int, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.num_files, point.found.against), []).append(point)
    return [
        {
            "files": size,
            "against": against,
            "draws": len(group),
            "sources_drawn": _range([point.num_drawn_sources for point in group]),
            **{
                name: _range([getattr(point.found, name) for point in group])
                for name in ("auroc", "found", "num_real", "num_fictional", "num_sources")
            },
        }
        for (size, against), group in groups.items()
    ]


def _range(values: Sequence[float]) -> dict[str, float]:
    # Python's own sum rounds otherwise from 3.12 on.
    return {"mean": math.fsum(values) / len(values), "least": min(values), "most": max(values)}


def _layer(chosen: ChosenLayer) -> str:
    if chosen.is_new:
        return NEW
    return SHIFTED if chosen.is_shifted else UNCHANGED


def _plain(one: RankingResult) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name != "against"}


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(float(log_odds), -700.0), 700.0)))
