"""What negative banks cover: parts of a file or a stream that are known to be harmless."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.copies.chromaprint import SPAN_S
from pipeline.copies.matching import TOLERANCE_MS, Stretch
from pipeline.copies.sound_matching import SoundStretch


def covering(
    stretch: Stretch | SoundStretch, negatives: Sequence[Stretch | SoundStretch]
) -> list[int]:
    """The places of the stretches that cover another one between them; none if a part is left.

    Pictures cover pictures and sound covers sound. What ends are uncertain by may be missing once
    at each end of what is covered, and once between neighbours. All are of one file, or of one
    stream.
    """
    slack_s = SPAN_S if isinstance(stretch, SoundStretch) else TOLERANCE_MS / 1000
    covered_s, used = stretch.start_s, list[int]()
    for place in sorted(range(len(negatives)), key=lambda one: negatives[one].start_s):
        other = negatives[place]
        # A single picture begins where it ends.
        goes_on = other.end_s > covered_s or (not used and other.end_s == covered_s)
        reaches = other.start_s - slack_s <= covered_s
        if goes_on and reaches and isinstance(other, type(stretch)):
            covered_s = other.end_s
            used.append(place)
    return used if covered_s + slack_s >= stretch.end_s else []
