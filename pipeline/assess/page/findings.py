"""Findings in sentences that a board member understands, and may quote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.assess.statistics.questions import tpr_key
from pipeline.assess.statistics.summary import Summary
from pipeline.assess.wording import (
    CLASS_NAMES,
    METRIC_NAMES,
    RATES,
    count,
    decimal,
    few_sources,
    interval,
    percent,
)
from pipeline.footage.collection import ORIGINS


def shootings(parts: Mapping[str, Summary]) -> str:
    """Name what the positives are, never promising more than they were."""
    total = sum(metrics.num_shootings for metrics in parts.values())
    rendered = sum(metrics.num_shootings_rendered for metrics in parts.values())
    if rendered == total:
        return "rendered shootings"
    return "real shootings" if not rendered else f"shootings ({rendered} of {total} rendered)"


_WHERE = {
    "test": "in recordings it has never seen",
    "unseen": "in sources it has never seen",
    "val": "in recordings that training was tuned on",
    "train": "in what training saw",
}


def verdict(parts: Mapping[str, Summary], unit: str) -> str:
    """Return one sentence with what was found; `parts` are the metrics by split or collection."""
    name, first = next(iter(parts.items()))
    if not first.num_shootings:
        return _verdict_without_shootings(first, unit)
    key = tpr_key(0.01)
    found = first.shooting[key].value
    if found is None:
        auroc = first.shooting["auroc"].value
        if auroc is None:
            return "This test holds nothing but shootings, so it cannot show a false alarm."
        return (
            f"Given one of the {shootings(parts)} and one other {unit}, the detector gives the "
            f"shooting the higher score {percent(auroc)} of the time; there are too few other "
            f"{unit}s to say what an alert would cost."
        )
    sentence = (
        f"At one false alarm in 100 {unit}s, the detector finds {percent(found)} of "
        f"{shootings(parts)}"
    )
    unseen = parts["unseen"].shooting[key].value if "unseen" in parts else None
    if name != "test" or unseen is None:
        return f"{sentence} {_WHERE.get(name, 'in this collection')}."
    return (
        f"{sentence} in new recordings from sources it knows, and {percent(unseen)} in sources "
        "it has never seen."
    )


def _verdict_without_shootings(metrics: Summary, unit: str) -> str:
    alarms = metrics.false_alarms.known
    count = round(alarms * metrics.num_examples)
    return (
        f"Of {metrics.num_examples} {unit}s without a real shooting, the detector takes "
        f"{count} for one ({percent(alarms)}); what it would find, this data cannot show."
    )


def real_footage(parts: Mapping[str, Summary], unit: str) -> str:
    """A sentence with what was found on real footage of the first part; empty without any."""
    found = next(iter(parts.values())).real_footage
    real, imitations = found.real, found.imitations.origin.auroc
    auroc = real.origin.auroc
    if auroc.value is None:
        return ""
    beside = (
        ""
        if imitations.value is None
        else f"; with imitations as the real side {decimal(imitations.value)}"
    )
    bounds = "" if auroc.interval is None else f" ({interval('auroc', auroc)})"
    return (
        "On footage that is no computer's imitation, the detector tells "
        f"{count(real.num_examples, f'real {unit}')} of {count(real.num_sources, 'source')} "
        f"from games and films with AUROC {decimal(auroc.value)}{bounds}{beside}."
        f"{few_sources(real.num_sources)}"
    )


def learned_from(
    encoders: Sequence[Mapping[str, Any]],
    footage: Sequence[Mapping[str, Any]],
    sound_encoders: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Say what the origin was learned from, and through which encoders, as the model card tells.

    Cards of networks without a frozen encoder, and older ones, have no footage of its own.

    Args:
        encoders: those of the card.
        footage: its rows of footage.
        sound_encoders: those of the card that hear.
    """
    heard = " The detector hears nothing: it is not given the sound that clips hold."
    if sound_encoders:
        ears = ", ".join(f"{one['name']} ({one['licence']})" for one in sound_encoders)
        heard = f" A discharge is heard by a frozen encoder trained elsewhere: {ears}."
    rows = footage if encoders else []
    if not rows or not all("origin_weight" in row for row in rows):
        return (
            f"The origin was learned from all footage together, rendered footage included.{heard}"
        )
    shown = _taught([row for row in rows if not row.get("rendered")], "{origin} {source}")
    rendered = ""
    if weights := sorted({row["origin_weight"] for row in rows if row.get("rendered")}):
        told = " to ".join(f"{weight:g}" for weight in dict.fromkeys((weights[0], weights[-1])))
        imitated = _taught(
            [row for row in rows if row.get("rendered")], "{source} rendered as {origin}"
        )
        rendered = "; rendered clips had no weight on it"
        if imitated:
            rendered = f"; and, with weight {told}, from rendered clips: {imitated}"
    told_by = ", ".join(f"{one['name']} ({one['licence']})" for one in encoders)
    return (
        f"The origin was learned from {shown or 'nothing that is not rendered'}{rendered}. It is "
        f"read from frozen encoders trained elsewhere: {told_by}.{heard}"
    )


def _taught(footage: Sequence[Mapping[str, Any]], wording: str) -> str:
    """How many clips of which sources of each origin the answer on the origin learned from."""
    counted = [row for row in footage if row["origin_weight"] > 0 and row["train"]]
    given = []
    for origin in ORIGINS:
        own = [row for row in counted if row["origin"] == origin]
        names = sorted({row["source"] for row in own})
        if names:
            clips = count(sum(row["train"] for row in own), "clip")
            listed = f" ({', '.join(names)})" if len(names) <= _MOST_NAMED else ""
            source = "source" if len(names) == 1 else "sources"
            said = wording.format(origin=origin, source=source)
            given.append(f"{clips} of {len(names):,} {said}{listed}")
    return ", ".join(given)


_MOST_NAMED = 3
_MOST_FILES = 10


def faults(states: Sequence[str | None]) -> str:
    """Say what sections found, from the worst verdict of each; it may end with a list."""
    total, (red, amber, grey) = len(states), map(states.count, ("red", "amber", "grey"))
    sections = "section" if total == 1 else "sections"
    if red:
        return f"{red} of {total} {sections} found a fault"
    beside = ", ".join(
        f"{number} {words}"
        for number, words in ((amber, "with caution"), (grey, "that could not tell"))
        if number
    )
    return f"None of {total} {sections} found a fault" + (f"; {beside}" if beside else "")


def file_alerts(
    smoothing: str, threshold: float, shootings: Sequence[bool], others: Sequence[bool]
) -> str:
    """Say how many files with a real shooting, and of the others, an operating point alerts on.

    Args:
        smoothing: what the threshold is held against, in words.
        threshold: of the operating point.
        shootings: an item a file.
        others: an item a file.
    """
    never = ", which no score reaches" if threshold > 1 else ""
    risen = [
        f"{sum(alerts)} of {len(alerts)} files {words} a real shooting"
        for alerts, words in ((shootings, "with"), (others, "without"))
        if alerts
    ]
    return (
        "At the operating point that the last evaluation of these weights chose on validation "
        f"({threshold:.3f}{never}, {smoothing}), an alert rises in {' and in '.join(risen)}."
    )


def warning(parts: Mapping[str, Summary]) -> str:
    """Return what must stand beside every number, since readers quote numbers alone."""
    total = sum(metrics.num_shootings for metrics in parts.values())
    rendered = sum(metrics.num_shootings_rendered for metrics in parts.values())
    if not total:
        return "No real shooting was in this data. Nothing here says what the detector would find."
    if rendered == total:
        return (
            "No attack was in this test. Every shooting in it was rendered by a computer: the "
            "numbers describe rendered footage and are no evidence about real attacks."
        )
    if rendered:
        return (
            f"{rendered} of the {total} shootings in this test were rendered by a computer: the "
            "numbers are not those of a test on attacks."
        )
    return (
        "Released footage of shootings is mostly police training and police work, staged or "
        "recorded by officers: the numbers are not those of a test on attacks."
    )


def limits(parts: Mapping[str, Summary], unit: str, clip_s: float | None) -> list[str]:
    """Return sentences on what the data did not test, from what it lacks."""
    first = next(iter(parts.values()))
    found = [_rendered_sources(parts)]
    for metrics in parts.values():
        if metrics.num_rejected:
            total = metrics.num_examples + metrics.num_rejected
            found.append(
                f"{metrics.num_rejected} of {total} files could not be judged; they are listed "
                "with the reason below, and count in no number."
            )
        found += learned_files(metrics.learned_from, metrics.num_examples)
        if metrics.num_sources_left_out:
            found.append(
                f"{count(metrics.num_sources_left_out, 'source')} with few recordings: counted "
                "in all numbers, and not judged apart."
            )
    if first.num_shootings:
        found.append(
            f"Shootings come from {first.num_shooting_recordings} recordings "
            f"({first.num_shootings} {unit}s); every interval is over recordings."
        )
    within = first.rendered_only["auroc"]
    if first.num_shootings_rendered and within.value is not None:
        found.append(
            "A detector that merely recognises the renderer would profit here. Among rendered "
            f"{unit}s labelled real alone, AUROC is {decimal(within.value)} "
            f"({interval('auroc', within)})."
        )
    every = [source for metrics in parts.values() for source in metrics.sources.values()]
    cameras = [s for s in every if s.origin_label == "real" and not s.rendered]
    if not cameras:
        found.append("No footage of a real camera was tested.")
    for origin in ("game", "film"):
        if not any(source.origin_label == origin for source in every):
            found.append(f"No {origin} footage was tested.")
    for actual, text in CLASS_NAMES.items():
        if actual != "real_shooting" and not any(actual in m.confusion for m in parts.values()):
            found.append(f"No example of \u201c{text}\u201d was tested.")
    if unit == "clip" and "unseen" not in parts:
        found.append(
            "No source was held out: nothing here says how the detector fares on a camera, game, "
            "film or generator that it was not trained on."
        )
    for key in RATES:
        result = first.shooting[key]
        if result.value is None and first.num_shootings:
            found.append(f"{METRIC_NAMES[key]} cannot be measured: {result.reason}.")
    if clip_s:
        alarms = round(86_400 / clip_s * 0.01)
        found.append(
            f"A camera that streams all day shows {86_400 / clip_s:,.0f} clips: one false alarm "
            f"in 100 clips is about {alarms:,} a day, one in 1,000 about {alarms / 10:,.0f}."
        )
    found.append(
        "Police training footage is itself staged, and rendered body-camera footage more so; "
        "neither shows what an attacker films."
    )
    return found


def learned_files(learned_from: Sequence[str] | None, num_files: int) -> list[str]:
    """Return a sentence on the files of a collection that training had, if it had any.

    Args:
        learned_from: their paths; None where that could not be told.
        num_files: that were judged.
    """
    if learned_from is None:
        return [
            "Whether training had any of these files could not be told, because the samples that "
            "the weights were trained on are not at hand."
        ]
    if not learned_from:
        return []
    listed = ", ".join(learned_from[:_MOST_FILES])
    more = len(learned_from) - _MOST_FILES
    return [
        f"{len(learned_from)} of {count(num_files, 'file')} "
        f"{'was' if len(learned_from) == 1 else 'were'} among the samples that training learned "
        "from or was tuned on. All numbers count them, and so may be too good: "
        f"{listed}{f' and {more} more, which metrics.json lists' if more > 0 else ''}."
    ]


def _rendered_sources(parts: Mapping[str, Summary]) -> str:
    names: dict[str, list[str]] = {}
    for metrics in parts.values():
        for name, source in metrics.sources.items():
            if source.rendered:
                names.setdefault(source.origin_label, []).append(name)
    if not names:
        return "No source says of itself that a computer rendered it."
    listed = "; ".join(
        f"labelled {origin}: {', '.join(names[origin])}" for origin in ORIGINS if origin in names
    )
    return f"Rendered by a computer, as the index says, and {listed}."
