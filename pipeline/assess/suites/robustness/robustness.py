"""Robustness to what happens to a video before it is uploaded again.

Three measurements: a curve over the strength of every edit; the worst edit and the worst pair that
a greedy search finds, measured anew on clips that had no say in it; and the frozen variants of test
clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.assess import altered_clips, before_after, wording
from pipeline.assess.before_after import ASKED, Asked, PairedAuroc
from pipeline.assess.evidence import (
    Cell,
    Csv,
    Evidence,
    Figure,
    Panel,
    Section,
    State,
    Table,
    Verdict,
    count,
    text,
)
from pipeline.assess.page import figures
from pipeline.assess.statistics.measurement import Measured, as_json
from pipeline.assess.statistics.questions import ACCEPTABLE_DROP, WORTH_HAVING
from pipeline.assess.suites.robustness import edits, variants
from pipeline.assess.suites.robustness.edits import Effect, Search
from pipeline.assess.suites.robustness.variants import Variants
from pipeline.detect.scores import SCORES, VALIDATION
from pipeline.transforms.registry import STRENGTHS

TITLE = "Robustness"
# 63 edits and strengths and five pairs of the former, two of the latter: 1,760 clips, each of which
# a frozen encoder sees anew.
NUM_SEARCHED, NUM_CONFIRMED = 24, 64
_NO_MORE_DROP = 0.2
_HEADINGS = [
    f"{question}, {end}" for question in ASKED.values() for end in ("plain", "after", "lost")
]
_ENDS = [f"{asked}_{end}" for asked in ASKED for end in ("auroc", "low", "high")]
_FOUND = ["tpr", "tpr_low", "tpr_high"]
_PLAIN = {"none": 0.0}
"""The strength at which a curve begins: the clips as they are."""
_LEAD = (
    "Whoever uploads a video again crops it, films it off a screen, writes on it, compresses it. "
    "Here every edit is applied to the same clips, ever more severely. The edit that does most "
    "harm, and its worst partner, are then tried on other clips: the worst of many is the worst "
    "by chance too."
)


def run(evidence: Evidence) -> Section:
    """Judge robustness on clips of the first part, by the question that fares worse.

    Red where a detector that is surely good (AUROC above 0.6) is surely no longer so; green where
    at most 0.1 of AUROC is lost, and surely at most 0.2; amber between. Grey is what the recordings
    cannot tell, and a detector that is not surely good on the clips as they are.
    """
    search = edits.search(evidence, NUM_SEARCHED, NUM_CONFIRMED)
    frozen = variants.read(evidence)
    panels: list[Panel] = []
    rows: dict[str, pa.Table] = {}
    if isinstance(search, str):
        says = f"Too few recordings to search: it {search}."
        verdicts = [Verdict(name, "grey", says) for name in ("worst_edit", "worst_pair")]
    else:
        edit, pair = search.worst_edit, search.worst_pair
        verdicts = [
            _judge(
                "worst_edit",
                f"After the most harmful severe edit found, {_title(edit)},",
                edit.pairs,
            ),
            _judge(
                "worst_pair",
                f"After the most harmful severe pair found, {_title(pair)},",
                pair.pairs,
            ),
        ]
        panels += [*_figures(search), _worst_table(search), _edit_table(search)]
        rows["edited.parquet"] = altered_clips.stacked(
            (f"{_title(one)}, {one.strength}{clips}", one.table)
            for clips, tried in (
                ("", [*search.singles, *search.pairs]),
                (", other clips", [edit, pair]),
            )
            for one in tried
        )
    if frozen is None:
        says = "There are no frozen variants of what is judged here."
        verdicts.append(Verdict("frozen_variants", "grey", says))
    else:
        what = "After one severe transform a clip, the same in every run,"
        verdicts.append(_judge("frozen_variants", what, frozen.pairs[edits.HARDEST]))
        panels += [_strength_table(frozen), _turned_table(frozen)]
        rows["variants.parquet"] = frozen.table
    return Section(
        lead=_LEAD,
        verdicts=verdicts,
        panels=panels,
        metrics=as_json(_metrics(search, frozen)),
        plots={"edits.csv": _edit_csv(search), "variants.csv": _variant_csv(frozen)},
        rows=rows,
        tables=(SCORES, VALIDATION),
    )


def _judge(name: str, what: str, pairs: Mapping[Asked, PairedAuroc]) -> Verdict:
    def state(pair: PairedAuroc) -> State:
        drop = pair.drop
        if pair.altered.ends.high < WORTH_HAVING:
            return "red"
        small = drop.known <= ACCEPTABLE_DROP and drop.ends.high <= _NO_MORE_DROP
        return "green" if small else "amber"

    return before_after.judge(name, what, pairs, state)


def _title(effect: Effect) -> str:
    return edits.title(effect.names)


def _curves(search: Search) -> dict[str, list[Effect]]:
    """Effects by edit, the most harmful first."""
    found: dict[str, list[Effect]] = {}
    for one in search.singles:
        found.setdefault(_title(one), []).append(one)
    return dict(sorted(found.items(), key=lambda item: edits.damage(item[1][-1])))


def _figures(search: Search) -> list[Figure]:
    curves = {name: own for name, own in _curves(search).items() if len(own) == len(STRENGTHS)}
    found = []
    for asked, question in ASKED.items():
        plain = search.singles[0].pairs[asked].plain.known
        values = {
            name: [plain, *(one.pairs[asked].altered.known for one in own)]
            for name, own in curves.items()
        }
        found.append(
            Figure(
                f"Edits, from faint to severe: {question}",
                figures.strengths(values, _PLAIN | STRENGTHS, "AUROC"),
                f"{len(search.searched.rows)} clips; the edits that harm most are in colour, all "
                "others grey. 0.5 is chance.",
            )
        )
    if search.found is not None and search.found.value is not None:
        shares = {
            name: [share.known for share in (search.found, *(one.found for one in own)) if share]
            for name, own in curves.items()
        }
        found.append(
            Figure(
                "Edits, from faint to severe: real shootings found (TPR)",
                figures.strengths(shares, _PLAIN | STRENGTHS, "Real shootings found"),
                f"{int(search.searched.examples.is_shooting.sum())} real shootings, at 1 % false "
                "alarms of validation clips; colours as above. The threshold, and intervals, stand "
                "in the table below.",
            )
        )
    return found


def _worst_table(search: Search) -> Table:
    def row(effect: Effect, clips: str) -> list[Cell]:
        return [text(_title(effect)), text(clips), *_cells(effect.pairs)]

    searched, confirmed = (
        f"{len(one.rows)} {word}"
        for one, word in ((search.searched, "searched"), (search.confirmed, "others"))
    )
    return Table(
        "The worst combination",
        ["Severe edits", "Clips", *_HEADINGS],
        [
            row(search.worst_edit, confirmed),
            row(search.worst_pair, confirmed),
            *(row(one, searched) for one in search.pairs),
        ],
        "AUROC before and after. A greedy search on some clips: the severe edit that leaves least, "
        f"then each of the next {len(search.pairs)} as its partner. The worst is measured anew on "
        "others, where chance did not choose it.",
    )


def _edit_table(search: Search) -> Table:
    rows = []
    for name, own in _curves(search).items():
        by_strength = {one.strength: one for one in own}
        cells = [
            before_after.cell(by_strength[strength].pairs["shooting"].altered)
            if strength in by_strength
            else text(wording.DASH)
            for strength in STRENGTHS
        ]
        last = by_strength[edits.HARDEST].pairs["origin"].altered
        shares = [
            before_after.share(by_strength[strength].found)
            if strength in by_strength
            else text(wording.DASH)
            for strength in STRENGTHS
        ]
        rows.append([text(name), *cells, before_after.cell(last), *shares])
    plain = search.singles[0].pairs
    as_they_are = [before_after.cell(plain[asked].plain) for asked in ASKED]
    before = before_after.share(search.found)
    rows.insert(0, [text("none"), *[as_they_are[0]] * 3, as_they_are[1], *[before] * 3])
    return Table(
        "Every edit",
        [
            "Edit",
            *STRENGTHS,
            f"real against fictional, {edits.HARDEST}",
            *(f"found, {strength}" for strength in STRENGTHS),
        ],
        rows,
        f"AUROC of {len(search.searched.rows)} clips, of real shootings against all else where "
        "nothing else is said. What cameras do is applied at its most severe alone. Found are real "
        f"shootings that score above the threshold. {altered_clips.said_threshold(search.limit)}",
    )


def _strength_table(frozen: Variants) -> Table:
    return Table(
        "Frozen variants",
        ["Strength", *_HEADINGS],
        [[text(strength), *_cells(pairs)] for strength, pairs in frozen.pairs.items()],
        f"AUROC before and after, of {sum(frozen.num_clips.values())} clips, each under one "
        "transform that its name decides.",
    )


def _cells(pairs: Mapping[Asked, PairedAuroc]) -> list[Cell]:
    return [
        before_after.cell(result)
        for pair in pairs.values()
        for result in (pair.plain, pair.altered, pair.drop)
    ]


def _turned_table(frozen: Variants) -> Table:
    return Table(
        "What variants turn into another class",
        ["Transform", "clips", *STRENGTHS],
        [
            [
                text(edits.title((name,))),
                count(number),
                *(count(frozen.turned[name][strength]) for strength in STRENGTHS),
            ]
            for name, number in frozen.num_clips.items()
        ],
        "Of the clips under a transform, those whose class is another than the original's.",
    )


def _metrics(search: Search | str, frozen: Variants | None) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(
        ("edits", "found_before", "worst_edit", "worst_pair", "variants")
    )
    if not isinstance(search, str):
        found["edits"] = {
            name: {one.strength: _summary(one) for one in own}
            for name, own in sorted(_curves(search).items())
        }
        found["found_before"] = search.found
        for name, one in (("worst_edit", search.worst_edit), ("worst_pair", search.worst_pair)):
            found[name] = {"edits": list(one.names), "num_clips": one.table.num_rows}
            found[name] |= _summary(one)
    if frozen is not None:
        found["variants"] = {
            strength: before_after.summary(pairs) for strength, pairs in frozen.pairs.items()
        }
    return found


def _summary(effect: Effect) -> dict[str, Any]:
    return before_after.summary(effect.pairs) | {"found": effect.found}


def _edit_csv(search: Search | str) -> Csv:
    header = ["edit", "strength", "value", *_ENDS, *_FOUND]
    rows: list[list[Any]] = []
    if isinstance(search, str):
        return header, rows
    for name, own in sorted(_curves(search).items()):
        plain = _ends({asked: pair.plain for asked, pair in own[0].pairs.items()})
        rows.append([name, "none", _PLAIN["none"], *plain, *_shares(search.found)])
        for one in own:
            after = _ends({asked: pair.altered for asked, pair in one.pairs.items()})
            strength = one.strength, STRENGTHS[one.strength]
            rows.append([name, *strength, *after, *_shares(one.found)])
    return header, rows


def _shares(found: Measured | None) -> Sequence[float | None]:
    return [None] * 3 if found is None else found.row


def _variant_csv(frozen: Variants | None) -> Csv:
    found = {} if frozen is None else frozen.pairs
    header = ["strength", "value", *_ENDS]
    return header, [
        [
            strength,
            STRENGTHS[strength],
            *_ends({asked: pair.altered for asked, pair in pairs.items()}),
        ]
        for strength, pairs in found.items()
    ]


def _ends(results: Mapping[Asked, Measured]) -> list[float | None]:
    return [end for asked in ASKED for end in results[asked].row]
