"""Findings of the stage `probe`: how far one cheap cue tells the truth without the scene."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.assess import wording
from pipeline.assess.evidence import (
    Cell,
    Csv,
    State,
    Table,
    Verdict,
    gravest_key,
    measured,
    text,
)
from pipeline.assess.settings import Folders
from pipeline.assess.statistics.measurement import Measured
from pipeline.errors import UserError
from pipeline.numbers.intervals import Interval
from pipeline.store.output_files import METRICS


@dataclass(frozen=True)
class Cue:
    """Holds what one probe sees, what it is asked, and how much it may tell."""

    about: str
    """What it sees, for the page."""
    acceptable: float
    """AUROC up to which nothing is wrong."""
    limit: float
    """AUROC from which it is a shortcut."""
    asked: str = "origin"
    """What is to be told: `origin` or `discharge`."""


_CODEC = "the presence, codec, rate and channels of the sound track"
_LEVEL = "the loudness of the sound, its peak and its silence"
_SPECTRUM = "the bandwidth, noise floor and spectrum of the sound"
_VOICES = "how much speech and music there is in the sound"
CUES = {
    # The scene may show in pixels. A file must tell nothing, but few files stray further by chance.
    "container": Cue(
        "the codec, size, rate and length of the file, and the place in it", 0.65, 0.70
    ),
    "size": Cue("the bytes of the canonical clip", 0.65, 0.70),
    "colour": Cue("mean brightness, colour and contrast", 0.60, 0.75),
    "border": Cue("the outermost pixels", 0.60, 0.75),
    "overlay": Cue("corners, edges and middle, as means over time", 0.60, 0.75),
    "still": Cue("one still of 16×16 pixels", 0.60, 0.75),
    "track": Cue(_CODEC, 0.65, 0.70),
    "loudness": Cue(_LEVEL, 0.60, 0.75),
    "spectrum": Cue(_SPECTRUM, 0.60, 0.75),
    "voices": Cue(_VOICES, 0.60, 0.75),
    "track_of_discharge": Cue(_CODEC, 0.65, 0.70, "discharge"),
    # A discharge is loud and broad, and drowns speech. Where that alone tells it, nothing else
    # needs to be learned.
    "loudness_of_discharge": Cue(_LEVEL, 0.85, 0.95, "discharge"),
    "spectrum_of_discharge": Cue(_SPECTRUM, 0.85, 0.95, "discharge"),
    "voices_of_discharge": Cue(_VOICES, 0.75, 0.85, "discharge"),
}
"""By the name of the probe."""
_OF_DISCHARGE = "_of_discharge"
_SIDES = {
    "origin": "real and fictional footage",
    "discharge": "clips with a discharge and of others",
}
_TELLS = {"origin": "real from fictional", "discharge": "clips with a discharge from others"}
_SETS = {"train": "training", "test": "test"}

_HEADER = ("set", "cue", "auroc", "low", "high")

Probed = Mapping[str, Mapping[str, Measured]]
"""AUROC of the better classifier, by set and cue."""


def read(folders: Folders | None) -> Probed | str:
    """Return what was found, or a sentence that says why there is nothing.

    Raises:
        UserError: the file is none that the stage wrote.
    """
    if folders is None:
        return "A collection that was not packed has no probes."
    path = folders.probes / METRICS
    if not path.is_file():
        return "The cues were not probed; run dvc repro probe."
    try:
        return {
            name: dict(_told(found, "")) | dict(_told(found["discharge"], _OF_DISCHARGE))
            for name, found in json.loads(path.read_text()).items()
        }
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not as the stage writes it; run dvc repro probe") from error


def _told(found: Mapping[str, Any], suffix: str) -> Iterator[tuple[str, Measured]]:
    for cue, models in found["auroc"].items():
        interval = Interval(**found["interval"][cue])
        yield cue + suffix, Measured(max(models.values()), interval)


def judge(cue: str, probed: Probed | str) -> Verdict:
    """Red where a cue reaches its upper limit and its interval excludes the lower one.

    Green at or below the lower limit with an interval below the upper one, else amber; the graver
    of training and test counts.
    """
    name, about = f"probe_{cue}", CUES[cue]
    if isinstance(probed, str):
        return Verdict(name, "grey", probed)
    known = {one: probed[one][cue] for one in _SETS if cue in probed.get(one, {})}
    if not known:
        return Verdict(
            name,
            "grey",
            f"It takes two sources and five recordings each of {_SIDES[about.asked]}, of which "
            "the cue is known.",
        )
    states = {one: _state(result, about) for one, result in known.items()}
    found = " and ".join(
        f"{wording.decimal(result.known)} ({wording.interval('auroc', result)}) in {_SETS[one]}"
        for one, result in known.items()
    )
    return Verdict(
        name,
        states[gravest_key(states)],
        f"Given nothing but {about.about}, a simple classifier tells {_TELLS[about.asked]} with "
        f"AUROC {found}; 0.5 is chance.",
    )


def _state(auroc: Measured, cue: Cue) -> State:
    if auroc.known >= cue.limit and auroc.ends.low > cue.acceptable:
        return "red"
    if auroc.known <= cue.acceptable and auroc.ends.high < cue.limit:
        return "green"
    return "amber"


def table(probed: Probed | str) -> Table:
    """AUROC by cue and set."""
    found = {} if isinstance(probed, str) else probed
    sets = [name for name in _SETS if name in found]
    rows = [
        [
            text(about.about),
            text(about.asked),
            *(_cell(found[name].get(cue)) for name in sets),
        ]
        for cue, about in CUES.items()
    ]
    return Table(
        "What one cheap cue tells",
        ["Given alone", "Asked", *(_SETS[name] for name in sets)],
        rows if sets else [],
        "AUROC of the better of two simple classifiers, asked for the origin, real against "
        "fictional, or for the discharge, and tested on sources that they were not fitted to; 0.5 "
        "is chance. Intervals are over recordings, and not over sources, of which there are few.",
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
