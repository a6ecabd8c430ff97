"""Gaps of the data, in sentences that a reader outside the field understands."""

from __future__ import annotations

from pipeline.assess.audit.facts import DataFacts
from pipeline.assess.wording import CLASS_NAMES
from pipeline.store.manifest import CLASSES

FEW_RECORDINGS = 30
"""A share of so many is uncertain by 18 percentage points (95 %, Wald, at one half)."""


def gaps(data: DataFacts) -> list[str]:
    """Known gaps of the data, none of them softened; they hold names of an index."""
    real = [one for one in data.sources if one.origin == "real"]
    clips = sum(sum(one.clips.values()) for one in real)
    rendered = sum(sum(one.clips.values()) for one in real if one.rendered)
    return [
        _attacks(clips, rendered),
        *_rendered(clips, rendered),
        "Labels are those of the indexes that came with the footage; nobody has checked them "
        "against the pictures.",
        *_small(data),
        *_absent(data),
        *_unstated(data),
        "Nothing about the people shown is labelled: whether the detector fares differently with "
        "different groups of people is not known.",
    ]


def _attacks(clips: int, rendered: int) -> str:
    if clips == rendered:
        return "No footage of a real attack is in the data, and none of any real shooting."
    return (
        "No index says whether a real shooting is an attack. Released footage is mostly police "
        "training and police work; it does not show what an attacker films."
    )


def _rendered(clips: int, rendered: int) -> list[str]:
    if not rendered:
        return []
    share = "All" if clips == rendered else f"{rendered:,} of the"
    return [
        f"{share} {clips:,} clips labelled “real” were rendered by a computer, in "
        "whole or in part: numbers on them are no evidence about real cameras."
    ]


def _small(data: DataFacts) -> list[str]:
    found = []
    for split, kinds in data.recordings_by_class.items():
        few = [
            f"{number:,} of “{CLASS_NAMES[kind]}”"
            for kind, number in kinds.items()
            if 0 < number < FEW_RECORDINGS
        ]
        if few and split not in ("train", "val"):
            found.append(
                f"In {split}, few recordings stand behind a class ({', '.join(few)}): numbers "
                "about them are uncertain."
            )
    return found


def _absent(data: DataFacts) -> list[str]:
    found = [
        f"No clip of “{CLASS_NAMES[kind]}” is in {split}."
        for split in data.splits
        for kind in CLASSES
        if not data.clips_by_class[split][kind]
    ]
    origins = {one.origin for one in data.sources}
    found += [
        f"No {origin} footage is in the data."
        for origin in ("game", "film")
        if origin not in origins
    ]
    if data.proofs and "unseen" not in data.splits:
        found.append("No source was held out: nothing is known about cameras or titles never seen.")
    if not data.proofs:
        found.append("Whether training saw any of this footage, the tables cannot tell.")
    return found


def _unstated(data: DataFacts) -> list[str]:
    silent = sorted({one.source for one in data.sources if not one.authority.strip()})
    if not silent:
        return []
    return [
        f"{len(silent):,} sources do not say who released them and on what basis: "
        f"{', '.join(silent)}."
    ]
