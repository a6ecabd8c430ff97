"""The sound of canonical clips: cut from a foreign track, resampled, and judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.copies import chromaprint
from pipeline.footage.exchangeable import TrackPrinter
from pipeline.footage.foreign.mixing import Heard
from pipeline.footage.foreign.refusals import Budget, DecodeError, DecodingLimits, OutputError
from pipeline.footage.foreign.sound import Sound
from pipeline.footage.stretches import ContiguousSound, append, overlaid
from pipeline.store.manifest import ABSENT, DAMAGED, INCOMPLETE, PRESENT, QUIET, SILENT
from pipeline.store.pcm import samples_of
from pipeline.store.sound import QUIET_RMS, SOUND_HZ, Samples, encode

_MISSING_SAMPLES = SOUND_HZ // 50
# Where a device stops both at once, they end within tenths of a second of each other.
_ENDS_EARLY_S = 1.0


@dataclass(frozen=True)
class ClipSound:
    """The sound of one clip.

    Attributes:
        samples: int16 (n,) at `SOUND_HZ`; zero where there is none.
        presence: one of `manifest.PRESENCES`.
    """

    samples: Samples
    presence: str


@dataclass(frozen=True)
class Track:
    """Holds what the track of a file is that its clips were given: as `foreign.Sound` has it.

    Attributes:
        marks: those of `foreign.Sound`, and "sound_ends_early" (more than a second before the
            pictures).
        chromaprint: of the mean of the channels while there are pictures, as `chromaprint.encoded`
            writes it; None without a track, and of one too short for an item of it.
        chromaprint_start_s: when the first item of it begins, by a player's clock.
    """

    codec: str | None = None
    rate_hz: int | None = None
    channels: int | None = None
    marks: tuple[str, ...] = ()
    chromaprint: str | None = None
    chromaprint_start_s: float | None = None


def sounds_of(
    path: Path,
    limits: DecodingLimits,
    budget: Budget,
    zeros_s: Sequence[float],
    starts: Sequence[int],
    num_samples: int,
    end_s: float,
) -> tuple[Track, list[tuple[bytes | None, str]]]:
    """Cut the sound of clips out of a file's track, encoded.

    A track that cannot be read costs a file no clip.

    Args:
        path: the file.
        limits: what it may cost.
        budget: what its clips may take together, of which the pictures have taken their part.
        zeros_s: as `foreign.Video.zeros_s` has it once the pictures have been read.
        starts: the output samples with which clips begin, in ascending order.
        num_samples: of a clip.
        end_s: when the last picture ends, after which the track is not read.

    Returns:
        The track, and for each clip the bytes of `store.sound.encode`, which are None where every
        sample is zero, and one of `manifest.PRESENCES`.

    Raises:
        OutputError: pictures and sound take more than `budget` allows.
    """
    made: list[tuple[bytes | None, str]] = []
    marks: set[str] = set()
    told, printer = Track(), TrackPrinter(end_s, of_mean=True)
    try:
        with Sound(path, limits, zeros_s) as track:
            marks = track.marks
            heard = printer.passing(track.heard())
            for one in clip_sounds(heard, track.damaged, starts, num_samples):
                flac = encode(one.samples) if one.samples.any() else None
                budget.spend(len(flac or b""))
                made.append((flac, one.presence))
            if "sound_refused" in marks:
                made = [(None, ABSENT)] * len(starts)
            deque(heard, maxlen=0)
            told = Track(track.codec, track.rate, track.channels)
            is_read = track.codec is not None and "sound_refused" not in marks
            if is_read and printer.heard_until_s < end_s - _ENDS_EARLY_S:
                marks.add("sound_ends_early")
    except OutputError:
        raise
    except DecodeError:
        marks.add("sound_damaged")
    made += [(None, DAMAGED)] * (len(starts) - len(made))
    told = replace(told, marks=tuple(sorted(marks)))
    if (found := printer.finish()) is not None and found.items.size:
        text = chromaprint.encoded(found.items)
        told = replace(told, chromaprint=text, chromaprint_start_s=found.start_s)
    return told, made


def clip_sounds(
    heard: Iterable[Heard],
    damaged: Sequence[tuple[float, float]],
    starts: Sequence[int],
    num_samples: int,
) -> Iterator[ClipSound]:
    """Yield the sound of clips that begin at output samples `starts`, in that order.

    No more is decoded than the last clip needs, and no more held than one clip does.

    Args:
        heard: the samples of a track in order of time.
        damaged: stretches in seconds that could not be decoded; may grow while `heard` is read.
        starts: in ascending order.
        num_samples: of a clip.
    """
    source = iter(heard)
    stretches: list[ContiguousSound] = []
    is_over = False
    for start in starts:
        end = start + num_samples
        for stretch in stretches[:-1]:
            stretch.forget(start)
        if stretches:
            stretches[-1].forget(start)
        stretches = [one for one in stretches if one.held] or stretches[-1:]
        # What comes after the end may still show that there was damage before it.
        while not is_over and not (stretches and stretches[-1].end > end + SOUND_HZ // 4):
            one = next(source, None)
            if one is None:
                is_over = True
            else:
                append(stretches, one, SOUND_HZ)
                stretches[-1].forget(start)
        yield _clip_sound(stretches, damaged, start, end)


def _clip_sound(
    stretches: Sequence[ContiguousSound],
    damaged: Sequence[tuple[float, float]],
    start: int,
    end: int,
) -> ClipSound:
    values, is_there = overlaid(stretches, start, end)
    samples = samples_of(values)
    presence = PRESENT
    if any(a * SOUND_HZ < end and start < b * SOUND_HZ for a, b in damaged):
        presence = DAMAGED
    elif not is_there.any():
        presence = ABSENT
    elif np.count_nonzero(~is_there) > _MISSING_SAMPLES:
        presence = INCOMPLETE
    elif not samples.any():
        presence = SILENT
    elif np.sqrt(np.mean(np.square(values))) < QUIET_RMS:
        presence = QUIET
    return ClipSound(samples, presence)
