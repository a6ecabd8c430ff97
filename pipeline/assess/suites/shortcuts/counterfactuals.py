"""Counterfactual pairs: decisions that turn when an overlay is drawn onto the same clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.assess import altered_clips, before_after, wording
from pipeline.assess.altered_clips import Change, ClipSubset
from pipeline.assess.evidence import Csv, State, Table, Verdict, text
from pipeline.assess.examples import Examples, origins_shown
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.measurement import Measured
from pipeline.assess.statistics.questions import (
    FEWEST_RECORDINGS,
    judge_share,
)
from pipeline.footage.collection import ORIGINS
from pipeline.transforms.registry import STRENGTHS

# Share of decisions that an overlay may turn, and what the interval of a green one excludes.
_MAX_FLIPS, _NO_MORE_FLIPS = 0.10, 0.20
_CLOCK_ONLY: dict[str, Any] = {"device": "", "rec": False, "battery": None, "viewfinder": False}
_OVERLAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "HUD": ("hud", {}),
    "crosshair": ("hud", {"widgets": ["crosshair"]}),
    "timestamp": ("recorder", _CLOCK_ONLY),
    "REC mark": ("recorder", _CLOCK_ONLY | {"rec": True, "clock": ""}),
    "letterbox": ("letterbox", {}),
    "logo": ("logo", {}),
}

Flips = Mapping[str, Mapping[str, Measured]]
"""The share of clips that turns, by overlay and group of clips."""


def overlays() -> dict[str, Change]:
    """Return the changes that make the counterfactual of a clip, by kind of overlay."""
    return {
        kind: altered_clips.drawn_change(name, STRENGTHS["medium"], **forced)
        for kind, (name, forced) in _OVERLAYS.items()
    }


def flips(
    chosen: ClipSubset, after: Mapping[str, Examples], limit: float | None, bootstrap: Bootstrap
) -> Flips:
    """Shares of clips whose class, or side of a threshold, is another with the overlay.

    Args:
        chosen: the clips as they are.
        after: the same clips with each kind of `overlays`.
        limit: the threshold, of `altered.threshold`; None if there is none.
        bootstrap: its intervals are widened for the number of kinds (Bonferroni), since the most
            turned of several is turned most by chance too.
    """
    before, recordings = chosen.examples, chosen.examples.clusters
    widened = replace(bootstrap, confidence=1 - (1 - bootstrap.confidence) / len(after))
    found: dict[str, dict[str, Measured]] = {}
    for kind, examples in after.items():
        turned = before.predicted != examples.predicted
        groups = {"all": np.ones(len(before), bool)}
        groups |= {origin: before.origin == origin for origin in origins_shown(before.origin)}
        found[kind] = {
            name: judge_share(turned[own], recordings[own], widened) for name, own in groups.items()
        }
        if limit is not None:
            above = (before.score > limit, examples.score > limit)
            fell, rose = above[0] & ~above[1], ~above[0] & above[1]
            found[kind]["fell_below"] = judge_share(fell, recordings, widened)
            found[kind]["rose_above"] = judge_share(rose, recordings, widened)
    return found


def judge(flips: Flips, chosen: ClipSubset) -> Verdict:
    """Red where an overlay surely turns the class of more than 10 % of clips.

    Green where it turns at most 10 %, and surely at most 20 %.
    """
    name = "overlays_turn_decisions"
    has = int(np.unique(chosen.examples.clusters).size)
    if has < FEWEST_RECORDINGS:
        return Verdict(name, "grey", f"It needs {FEWEST_RECORDINGS} recordings, and has {has}.")
    kind = max(flips, key=lambda one: flips[one]["all"].known)
    share = flips[kind]["all"]
    low, high = share.low, share.high
    state: State = "amber"
    if low is not None and low > _MAX_FLIPS:
        state = "red"
    elif np.unique(chosen.examples.predicted).size < 2:
        # What always says the same turns nothing, and shows nothing.
        state = "grey"
    elif high is not None and share.known <= _MAX_FLIPS and high <= _NO_MORE_FLIPS:
        state = "green"
    what = f"a {kind} turns most decisions: drawn onto a clip, it changes the class in"
    if share.value == 0:
        what = "none turns a decision: drawn onto a clip, each changes the class in"
    return Verdict(
        name,
        state,
        f"Of {len(flips)} overlays, {what} {wording.percent(share.known)} of "
        f"{len(chosen.examples)} clips ({before_after.said_share(share)}).",
    )


def table(flips: Flips, limit: float | None) -> Table:
    """Shares by overlay, of all clips and of each origin."""
    origins = [name for name in ORIGINS if any(name in found for found in flips.values())]
    keys = ("all", *origins, "fell_below", "rose_above")
    return Table(
        "The same clip with and without an overlay",
        ["Overlay", "class turns", *origins, "falls below threshold", "rises above it"],
        [
            [text(kind), *(before_after.share(found.get(key)) for key in keys)]
            for kind, found in flips.items()
        ],
        "Share of clips whose class is another once the overlay is drawn, and whose score then "
        f"falls below the threshold or rises above it. {altered_clips.said_threshold(limit)} "
        "Intervals are over recordings, and widened since the worst of several kinds is judged.",
    )


def csv(flips: Flips) -> Csv:
    """Return a row an overlay and group, for `dvc plots`."""
    rows = [
        [kind, group, *share.row] for kind, found in flips.items() for group, share in found.items()
    ]
    return ["overlay", "group", "share", "low", "high"], rows
