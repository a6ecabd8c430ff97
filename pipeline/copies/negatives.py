"""What negative banks cover: parts of a file or a stream that are known to be harmless."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.copies.chromaprint import SPAN_S
from pipeline.copies.matching import TOLERANCE_MS, VideoStretch
from pipeline.copies.sound_matching import SoundStretch


def covering(
    stretch: VideoStretch | SoundStretch, negatives: Sequence[VideoStretch | SoundStretch]
) -> list[int]:
    """The places of the stretches that cover another one between them; none if a part is left.

    Pictures cover pictures, of which both sides looked at the same ones: what begins before a
    negative stretch, or ends after it, is left. Neighbours may be a step between two of them apart.
    Sound covers sound, and a moment of it tells where it ends no better than it is long, which may
    be missing once at each end and once between neighbours. All are of one file, or of one stream.
    """
    is_sound = isinstance(stretch, SoundStretch)
    at_ends_s, between_s = (SPAN_S, SPAN_S) if is_sound else (0.0, TOLERANCE_MS / 1000)
    covered_s, used = stretch.start_s, list[int]()
    for place in sorted(range(len(negatives)), key=lambda one: negatives[one].start_s):
        other = negatives[place]
        # A single picture begins where it ends.
        goes_on = other.end_s > covered_s or (not used and other.end_s == covered_s)
        reaches = other.start_s - (between_s if used else at_ends_s) <= covered_s
        if goes_on and reaches and isinstance(other, type(stretch)):
            covered_s = other.end_s
            used.append(place)
    return used if covered_s + at_ends_s >= stretch.end_s else []
