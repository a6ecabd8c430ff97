"""Shortcuts: whether the detector could lean on what is not the scene, and whether it does.

What simple classifiers tell from one cheap cue (the stage `probe`), what the detector still tells
when a cue is destroyed or left alone, and two kinds of counterfactual pairs: the same clip with and
without an overlay, and the same moment in several appearances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pipeline.assess import altered_clips, before_after, wording
from pipeline.assess.before_after import ASKED, Asked, PairedAuroc
from pipeline.assess.evidence import (
    Cell,
    Csv,
    Evidence,
    Figure,
    Section,
    State,
    Table,
    Verdict,
    text,
)
from pipeline.assess.examples import Examples
from pipeline.assess.page import figures
from pipeline.assess.statistics.measurement import as_json
from pipeline.assess.statistics.questions import ACCEPTABLE_DROP
from pipeline.assess.suites.shortcuts import (
    counterfactuals,
    probe_findings,
    single_cue,
    sound_changes,
    twins,
)
from pipeline.assess.suites.shortcuts.sound_changes import MUTED
from pipeline.detect.scores import VALIDATION
from pipeline.numbers.rounding import rounded

TITLE = "Shortcuts"
# Sixteen alterations of each: 768 clips, each of which a frozen encoder sees anew.
NUM_CLIPS = 48
_HALF, _MOST = 0.5, 0.8
_MUTE_CLIPS = "the clips without sound"
# Networks answer a little differently in batches of other sizes.
_SAME_SCORE = 1e-4

_STILL_FICTION = "still_fiction"
_CHANGES = {
    MUTED: "sound muted",
    "music": "music over the sound",
    "swapped": "sound of something else",
    "late": "sound half a second late",
    "shuffled": "muted, frames shuffled",
    "frozen": "muted, first frame frozen",
    "normalised": "muted, grey, equally bright",
    "border_only": "muted, border only",
    "centre_only": "muted, all but the border",
    "overlays_only": "muted, corners and strips",
    _STILL_FICTION: "muted, first frame of fiction frozen",
}
assert _CHANGES.keys() == {*single_cue.CHANGES, *sound_changes.NAMES, _STILL_FICTION}


def run(evidence: Evidence) -> Section:
    """Judge shortcuts on clips of the first part, and on twins of the sources held out too.

    The share that is kept of what lies above chance judges the cues of the detector. What leaves a
    cue alone is red when surely more than half is kept, and at least 0.8; what destroys it is red
    when surely less than half is kept and the rest may be chance; motion is destroyed in fictional
    clips alone too, and sound is taken away or is that of something else. That a frozen frame of
    all clips surely does worse is green. Cues of the pictures are judged without any sound, against
    the muted clips.
    `probe_findings.judge`, `counterfactuals.judge` and `twins.TwinComparison` say what makes a
    probe, turned decisions and twins red. What is neither red nor surely good is amber; grey is
    what cannot be told, for want of recordings or since the detector tells little from whole clips.
    """
    chosen = altered_clips.subset(evidence.judged_sets[0], NUM_CLIPS)
    overlays, of_sound = counterfactuals.overlays(), sound_changes.changes()
    of_pictures = single_cue.changes(of_sound[MUTED])
    tables = altered_clips.score(
        evidence, chosen, {**of_pictures, **of_sound, **overlays}, "shortcuts"
    )
    after = {name: Examples.from_clips(table) for name, table in tables.items()}
    bootstrap = evidence.settings.bootstrap
    cues = probe_findings.read(evidence.folders)
    plain, muted = chosen.examples, after[MUTED]
    after[_STILL_FICTION] = _still_fiction(muted, after["frozen"])
    pairs = {
        name: before_after.compare(plain if name in of_sound else muted, after[name], bootstrap)
        for name in _CHANGES
    }
    limit = altered_clips.threshold(evidence.val)
    drawn = {kind: after[kind] for kind in overlays}
    flips = counterfactuals.flips(chosen, drawn, limit, bootstrap)
    found = twins.measure(evidence)
    return Section(
        lead=(
            "A detector learns whatever tells its classes apart most cheaply: a clock in a corner, "
            "the brightness of a game. Here simple classifiers see one cheap cue each; the "
            "detector sees clips from which a cue was taken, or in which little else is left; and "
            "it sees the same clips with and without an overlay, and the same moments as real, as "
            "game and as film."
        ),
        verdicts=[
            *(probe_findings.judge(cue, cues) for cue in probe_findings.CUES),
            _judge_destroyed(
                "reads_brightness",
                "Without colour, and with every frame equally bright,",
                pairs["normalised"],
            ),
            _judge_destroyed(
                "takes_stillness_for_real",
                "Where nothing moves in what is fictional, and all real footage is as it is,",
                pairs[_STILL_FICTION],
            ),
            _judge_alone("reads_border", "the border", pairs["border_only"]),
            _judge_alone("reads_overlays", "corners and strips", pairs["overlays_only"]),
            _judge_motion(pairs["frozen"]),
            *(
                _judge_sound(name, what, plain, after[change], pairs[change])
                for name, what, change in (
                    ("needs_sound", "Without any sound,", MUTED),
                    ("follows_any_sound", "With the sound of something else,", "swapped"),
                )
            ),
            counterfactuals.judge(flips, chosen),
            twins.judge(found),
        ],
        panels=[
            probe_findings.table(cues),
            _pair_figure(pairs),
            _pair_table(pairs, len(chosen.examples)),
            counterfactuals.table(flips, limit),
            twins.table(found),
        ],
        metrics=as_json(
            {
                "num_clips": len(chosen.examples),
                "probes": None if isinstance(cues, str) else cues,
                "altered": {name: before_after.summary(own) for name, own in pairs.items()},
                "threshold_at_fpr_0.01": None if limit is None else rounded(limit),
                "flips": flips,
                "twins": twins.summary(found),
            }
        ),
        plots={
            "probes.csv": probe_findings.csv(cues),
            "altered.csv": _pair_csv(pairs),
            "flips.csv": counterfactuals.csv(flips),
        },
        rows={
            "altered.parquet": altered_clips.stacked([("none", chosen.clips), *tables.items()]),
            "twins.parquet": found.rows,
            "probes.parquet": probe_findings.rows(cues),
        },
        tables=(VALIDATION,),
        beyond=""
        if isinstance(cues, str)
        else "Probes have a row a cue: the stage that fits them keeps none of clips.",
    )


def _still_fiction(plain: Examples, frozen: Examples) -> Examples:
    """Join the answers on real clips as they are and on fictional ones whose first frame stays."""
    is_real = plain.origin == "real"
    said = ("score", "p_real", "p_discharge", "predicted")
    return replace(
        plain,
        **{name: np.where(is_real, getattr(plain, name), getattr(frozen, name)) for name in said},
    )


def _judge_destroyed(
    name: str, what: str, pairs: Mapping[Asked, PairedAuroc], plain: str = _MUTE_CLIPS
) -> Verdict:
    def state(pair: PairedAuroc) -> State:
        kept = pair.beyond(_HALF)
        if kept.ends.high < 0 and pair.altered.ends.low <= 0.5:
            return "red"
        return "green" if pair.drop.known <= ACCEPTABLE_DROP and kept.ends.low > 0 else "amber"

    return before_after.judge(name, what, pairs, state, plain)


def _judge_sound(
    name: str, what: str, plain: Examples, after: Examples, pairs: Mapping[Asked, PairedAuroc]
) -> Verdict:
    if np.allclose(plain.score, after.score, rtol=0, atol=_SAME_SCORE):
        return Verdict(name, "grey", f"{what} nothing changes: sound has no say in these clips.")
    return _judge_destroyed(name, what, pairs, before_after.PLAIN)


def _judge_alone(name: str, place: str, pairs: Mapping[Asked, PairedAuroc]) -> Verdict:
    def state(pair: PairedAuroc) -> State:
        half, most = pair.beyond(_HALF), pair.beyond(_MOST)
        if half.ends.low > 0 and most.known >= 0:
            return "red"
        return "green" if half.known <= 0 and most.ends.high < 0 else "amber"

    return before_after.judge(name, f"Seeing {place} alone,", pairs, state, _MUTE_CLIPS)


def _judge_motion(pairs: Mapping[Asked, PairedAuroc]) -> Verdict:
    def state(pair: PairedAuroc) -> State:
        return "green" if pair.drop.ends.low > 0 else "amber"

    what = "Seeing one frozen frame,"
    return before_after.judge("needs_motion", what, pairs, state, _MUTE_CLIPS)


def _pair_figure(pairs: Mapping[str, Mapping[Asked, PairedAuroc]]) -> Figure:
    first = next(iter(pairs.values()))
    groups = {
        question: [
            ("whole clips", first[asked].plain),
            *((_CHANGES[name], own[asked].altered) for name, own in pairs.items()),
        ]
        for asked, question in ASKED.items()
    }
    return Figure(
        "What the detector tells from altered clips",
        figures.dots(groups, "AUROC", chance=0.5),
        "Where a cue alone does nearly as well as whole clips, the detector may live on it; where "
        "taking a cue leaves chance (dotted), it does.",
    )


def _pair_table(pairs: Mapping[str, Mapping[Asked, PairedAuroc]], num_clips: int) -> Table:
    first = next(iter(pairs.values()))
    nothing = text(wording.DASH)
    rows: list[list[Cell]] = [
        [
            text("nothing"),
            *(cell for asked in ASKED for cell in (before_after.cell(first[asked].plain), nothing)),
        ]
    ]
    for name, own in pairs.items():
        cells = [
            before_after.cell(result)
            for asked in ASKED
            for result in (own[asked].altered, own[asked].drop)
        ]
        rows.append([text(_CHANGES[name]), *cells])
    columns = [
        "Altered",
        *(name for question in ASKED.values() for name in (question, "lost")),
    ]
    return Table(
        "The same clips, altered",
        columns,
        rows,
        f"AUROC of {num_clips} clips before and after, and what is lost, with intervals over "
        "recordings; both see the same resamples. What of the pictures alone is altered is set "
        "against the muted clips.",
    )


def _pair_csv(pairs: Mapping[str, Mapping[Asked, PairedAuroc]]) -> Csv:
    rows = []
    for name, own in pairs.items():
        for asked, pair in own.items():
            rows.append([name, asked, *pair.altered.row])
    return ["altered", "question", "auroc", "low", "high"], rows
