"""Attribution: the regions and frames that drove the hardest mistakes, and known shortcuts there.

The verdicts are about these few mistakes, not about the detector at large: amber where the border,
or the strips that overlays stand in, carry more than twice their share of the area; else grey, also
where fewer than `MIN_CLIPS` mistakes react to anything. Nothing here turns red, since a detector
that is right may look anywhere, and nothing turns green: a handful of mistakes where nothing stands
out is no proof that nothing is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.assess import previews, wording
from pipeline.assess.evidence import (
    Cell,
    Evidence,
    Gallery,
    ProtectedPreview,
    Section,
    Table,
    Verdict,
    count,
    text,
)
from pipeline.assess.judged_sets import JudgedSet
from pipeline.assess.page.mistakes import hardest
from pipeline.assess.suites.attribution import heatmaps
from pipeline.assess.suites.attribution.occlusion import (
    GRID,
    REGIONS,
    Effects,
    Target,
    explain,
    region_masks,
)
from pipeline.numbers.metrics import FloatArray
from pipeline.numbers.rounding import rounded
from pipeline.store.manifest import CLASSES

TITLE = "Attribution"
MAX_CLIPS = 6
"""Predictions are dear: 84 for a clip of 16 frames."""
MIN_CLIPS = 4
TOO_MUCH = 2.0
"""Times its share of the area that a region may carry."""
_REACTS = 0.01
"""Log odds that hiding something must change at least, or a share of the effect means nothing."""
_NAMES = {
    "border": "the outermost pixels",
    "overlay": "the strips at top and bottom",
    "middle": "the middle",
}
_EFFECTS = pa.schema(
    [
        *((name, pa.string()) for name in ("part", "clip_id", "said", "actual", "hidden")),
        *((name, pa.int64()) for name in ("row", "column", "frame")),
        ("effect", pa.float64()),
    ]
)


@dataclass(frozen=True)
class _Mistake:
    part: JudgedSet
    kind: str
    row: int
    """Number among the judged examples."""
    number: int
    """Number of the clip that is looked at, among the clips of the part."""

    @property
    def clip_id(self) -> str:
        """Name of the clip that is looked at."""
        return str(self.part.clips["clip_id"][self.number].as_py())

    @property
    def sample(self) -> str:
        """Hash of what the clip that is looked at is decoded from; empty where not known."""
        return self.part.samples[self.number] if self.part.samples else ""

    @property
    def said(self) -> int:
        """Position in `CLASSES`."""
        return int(self.part.examples.predicted[self.row])

    @property
    def actual(self) -> int:
        """Position in `CLASSES`."""
        return int(self.part.examples.actual[self.row])


def run(evidence: Evidence) -> Section:
    """Hide parts of at most `MAX_CLIPS` clips: 68 predictions each, and one a frame."""
    mistakes = _chosen(evidence)
    targets = [
        Target(one.part.read(one.number), one.said, one.actual, one.sample) for one in mistakes
    ]
    effects = explain(evidence, targets)
    areas, shares = _region_shares(targets, effects)
    return Section(
        lead=(
            "Where did the detector look when it was wrong? Each part of a clip is hidden in turn "
            "and the detector asked again: where its mistaken answer weakens, that part had driven "
            "it. These are the surest mistakes only, so they say where to search for a fault, not "
            "how frequent it is."
        ),
        verdicts=[_verdict(name, areas, shares) for name in ("border", "overlay")],
        panels=[
            *_galleries(evidence, mistakes, targets, effects),
            *([_region_table(areas, shares)] if len(shares) else []),
        ],
        metrics={
            "num_clips": len(mistakes),
            "num_clips_that_react": len(shares),
            "regions": {
                name: {
                    "share_of_effect": _mean(shares[:, i]),
                    "share_of_area": None if areas is None else rounded(areas[i]),
                }
                for i, name in enumerate(REGIONS)
            },
        },
        plots={
            "regions.csv": (
                ("region", "share_of_effect", "share_of_area"),
                []
                if areas is None or not len(shares)
                else [
                    (name, _mean(shares[:, i]), rounded(areas[i])) for i, name in enumerate(REGIONS)
                ],
            )
        },
        rows={"effects.parquet": _effect_rows(mistakes, effects)},
    )


def _chosen(evidence: Evidence) -> list[_Mistake]:
    """The hardest of every kind and part in turn, then the next hardest."""
    kinds = [
        [_Mistake(part, group.title, row, part.clip_of(row)) for row in group.rows]
        for part in evidence.judged_sets
        for group in hardest(part.examples, evidence.settings.num_mistakes)
    ]
    turns = (one for turn in zip_longest(*kinds) for one in turn if one is not None)
    return list(islice(turns, MAX_CLIPS))


def _region_shares(
    targets: Sequence[Target], effects: Sequence[Effects]
) -> tuple[list[float] | None, FloatArray]:
    """Share of the area (3,), and of the effect (n, 3) in the n clips that react."""
    if not targets:
        return None, np.zeros((0, len(REGIONS)))
    areas = region_masks(*targets[0].clip.frames.shape[1:3]).mean(axis=(1, 2))
    sizes = np.abs([one.regions for one in effects])
    sizes = sizes[sizes.max(axis=1) >= _REACTS]
    return areas.tolist(), sizes / sizes.sum(axis=1, keepdims=True)


def _verdict(name: str, areas: Sequence[float] | None, shares: FloatArray) -> Verdict:
    if areas is None or len(shares) < MIN_CLIPS:
        return Verdict(
            name,
            "grey",
            f"{len(shares)} of the hardest mistakes react to hiding a part; it takes {MIN_CLIPS} "
            f"to say what {_NAMES[name]} carry.",
        )
    number = REGIONS.index(name)
    share, area = float(shares[:, number].mean()), areas[number]
    found = (
        f"In {len(shares)} of the hardest mistakes {_NAMES[name]} carry "
        f"{wording.percent(share)} of the effect on {wording.percent(area)} of the area"
    )
    if share > TOO_MUCH * area:
        return Verdict(name, "amber", f"{found}: look there for a shortcut.")
    return Verdict(
        name,
        "grey",
        f"{found}, no more than {TOO_MUCH:g} times their share: nothing stands out, which so few "
        "cannot prove.",
    )


def _galleries(
    evidence: Evidence,
    mistakes: Sequence[_Mistake],
    targets: Sequence[Target],
    effects: Sequence[Effects],
) -> list[Gallery]:
    mode = evidence.settings.previews
    pictures: dict[str, list[ProtectedPreview]] = {}
    for one, target, effect in zip(mistakes, targets, effects, strict=True):
        pictures.setdefault(one.kind, []).append(_picture(one, target, effect, mode))
    return [
        Gallery(
            kind,
            found,
            "Orange drove the mistake, blue spoke against it; strength is relative within a clip. "
            "Bars below are frames in order, the white mark the frame shown.",
        )
        for kind, found in pictures.items()
    ]


def _picture(one: _Mistake, target: Target, effects: Effects, mode: str) -> ProtectedPreview:
    clip = one.part.clips.slice(one.number, 1).to_pylist()[0]
    said, actual = (wording.CLASS_NAMES[CLASSES[i]] for i in (one.said, one.actual))
    place = f"{clip['source']}, {clip['path']} at {clip['start_s']:.1f} s ({one.part.name})"
    frame = int(np.abs(effects.frames).argmax())
    where = f"{_where(effects.cells)}; frame {frame + 1} of {effects.frames.size} matters most"
    kept = "Blurred grey preview" if mode == "protected" else "Preview"
    return ProtectedPreview(
        uri=previews.data_uri(heatmaps.draw(target.clip.frames, effects, mode)),
        alt=f"{kept} with a heat map. Said {said}, is {actual}; {where}.",
        caption=f"Said {said}, is {actual}; {where}. {place}",
        width=heatmaps.SIZE,
        height=heatmaps.SIZE + heatmaps.BARS,
    )


def _where(cells: FloatArray) -> str:
    """The cell that drove the mistake most, in words."""
    if cells.max() <= 0:
        return "no single region drove it"
    row, column = divmod(int(cells.argmax()), GRID)
    down = ("the top", "the middle", "the bottom")[3 * row // GRID]
    across = ("left", "centre", "right")[3 * column // GRID]
    return f"driven most by {down} {across}"


def _region_table(areas: Sequence[float] | None, shares: FloatArray) -> Table:
    assert areas is not None
    rows = []
    for i, name in enumerate(REGIONS):
        share = float(shares[:, i].mean())
        rows.append(
            [
                text(_NAMES[name].removeprefix("the ")),
                count(len(shares)),
                Cell(wording.percent(share), sort=share),
                Cell(wording.percent(areas[i]), sort=areas[i]),
                Cell(f"{share / areas[i]:.1f}", sort=share / areas[i]),
            ]
        )
    return Table(
        "What hiding a region changes",
        ("Region", "Clips", "Share of the effect", "Share of the area", "Times its area"),
        rows,
        "Each region is hidden as a whole; shares are means over clips.",
    )


def _effect_rows(mistakes: Sequence[_Mistake], effects: Sequence[Effects]) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for one, found in zip(mistakes, effects, strict=True):
        base = {
            "part": one.part.name,
            "clip_id": one.clip_id,
            "said": CLASSES[one.said],
            "actual": CLASSES[one.actual],
        }
        for (row, column), effect in np.ndenumerate(found.cells):
            rows.append(base | {"hidden": "cell", "row": row, "column": column, "effect": effect})
        for frame, effect in enumerate(found.frames):
            rows.append(base | {"hidden": "frame", "frame": frame, "effect": effect})
        for name, effect in zip(REGIONS, found.regions, strict=True):
            rows.append(base | {"hidden": name, "effect": effect})
    return pa.Table.from_pylist(rows, _EFFECTS)


def _mean(values: FloatArray) -> float | None:
    return rounded(values.mean()) if values.size else None
