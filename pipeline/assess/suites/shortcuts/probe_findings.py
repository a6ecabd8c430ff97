"""Findings of the stage `probe`: how far one cheap cue tells the origin without the scene."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

from pipeline.assess import wording
from pipeline.assess.evidence import (
    Cell,
    Csv,
    Folders,
    State,
    Table,
    Verdict,
    gravest_key,
    measured,
    text,
)
from pipeline.assess.statistics.measured import Measured
from pipeline.errors import UserError
from pipeline.numbers.intervals import Interval

CUES = {
    "container": "the codec, size, rate and length of the file, and the place in it",
    "size": "the bytes of the canonical clip",
    "colour": "mean brightness, colour and contrast",
    "border": "the outermost pixels",
    "overlay": "corners, edges and middle, as means over time",
    "still": "one still of 16×16 pixels",
}
# The scene may show in pixels. A file must tell nothing, but few files stray further by chance.
_LIMITS = {"container": (0.65, 0.70), "size": (0.65, 0.70)}
_PIXEL_LIMITS = (0.60, 0.75)
_SETS = {"train": "training", "test": "test"}

_HEADER = ("set", "cue", "auroc", "low", "high")

Probed = Mapping[str, Mapping[str, Measured]]
"""AUROC of the better classifier, by set and cue."""


def read(places: Folders | None) -> Probed | str:
    """Return what was found, or a sentence that says why there is nothing.

    Raises:
        UserError: the file is none that the stage wrote.
    """
    if places is None:
        return "A collection that was not packed has no probes."
    path = places.probes / "metrics.json"
    if not path.is_file():
        return "The cues were not probed; run dvc repro probe."
    try:
        return {
            name: {
                cue: Measured(max(models.values()), Interval(**found["interval"][cue]))
                for cue, models in found["auroc"].items()
            }
            for name, found in json.loads(path.read_text()).items()
        }
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not as the stage writes it; run dvc repro probe") from error


def judge(cue: str, probed: Probed | str) -> Verdict:
    """Red where a cue reaches its upper limit and its interval excludes the lower one.

    Green at or below the lower limit with an interval below the upper one, else amber; the graver
    of training and test counts.
    """
    name = f"probe_{cue}"
    if isinstance(probed, str):
        return Verdict(name, "grey", probed)
    known = {one: probed[one][cue] for one in _SETS if cue in probed.get(one, {})}
    if not known:
        return Verdict(
            name,
            "grey",
            "Real and fictional footage need two sources and five recordings each.",
        )
    low, high = _LIMITS.get(cue, _PIXEL_LIMITS)
    states = {one: _state(result, low, high) for one, result in known.items()}
    found = " and ".join(
        f"{wording.decimal(result.known)} ({wording.interval('auroc', result)}) in {_SETS[one]}"
        for one, result in known.items()
    )
    return Verdict(
        name,
        states[gravest_key(states)],
        f"Seeing nothing but {CUES[cue]}, a simple classifier tells real from fictional with "
        f"AUROC {found}; 0.5 is chance.",
    )


def _state(auroc: Measured, acceptable: float, limit: float) -> State:
    if auroc.known >= limit and auroc.ends.low > acceptable:
        return "red"
    if auroc.known <= acceptable and auroc.ends.high < limit:
        return "green"
    return "amber"


def table(probed: Probed | str) -> Table:
    """AUROC by cue and set."""
    found = {} if isinstance(probed, str) else probed
    sets = [name for name in _SETS if name in found]
    rows = [
        [text(about), *(_cell(found[name].get(cue)) for name in sets)]
        for cue, about in CUES.items()
    ]
    return Table(
        "What one cheap cue tells",
        ["Seen alone", *(_SETS[name] for name in sets)],
        rows if sets else [],
        "AUROC of real against fictional of the better of two simple classifiers, tested on "
        "sources that they were not fitted to; 0.5 is chance. Intervals are over recordings, and "
        "not over sources, of which there are few.",
    )


def _cell(auroc: Measured | None) -> Cell:
    return text(wording.DASH) if auroc is None else measured("auroc", auroc)


def csv(probed: Probed | str) -> Csv:
    """Return a row a set and cue, for `dvc plots`."""
    found = {} if isinstance(probed, str) else probed
    return _HEADER, [
        [name, cue, *result.row]
        for name, cues in sorted(found.items())
        for cue, result in sorted(cues.items())
    ]


def rows(probed: Probed | str) -> pa.Table:
    """The rows of `csv`."""
    kinds = {"set": pa.string(), "cue": pa.string()}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in _HEADER])
    found = [dict(zip(_HEADER, row, strict=True)) for row in csv(probed)[1]]
    return pa.Table.from_pylist(found, schema=schema)
