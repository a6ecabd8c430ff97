"""Tells of each window of a file what the index says, for the eye and for the ear."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config import ClipFormat
from pipeline.footage.collection import IndexRow
from pipeline.store.manifest import ABSENT, DAMAGED, INCOMPLETE, NO_TIMES, QUIET, SILENT

AFTERGLOW_S = 0.2
"""How long a muzzle flash may show: games draw it for up to seven frames of 35 a second."""
DELAY_S = 0.3
"""How much later than its flash a discharge may be heard: sound takes it for 100 m."""
BLAST_S = 0.1
"""How much of a discharge has to be heard for it to be told from other noise."""
ECHO_S = 2.0
"""How long after a discharge its echo may be heard, and an automatic gain is still low."""
UNLABELLED = {
    NO_TIMES: "have discharge 1 without times (fill in discharges_s in index.csv)",
    "discharge_beyond_end": "are of files that end before a time of discharges_s (correct it)",
    "heard_beyond_end": "are of files that end before all times of heard_s (correct them)",
    "discharge_at_edge": "have a discharge at their edge (nothing to do)",
    "discharge_only_heard": "have a discharge that is only heard, in them and not surely, or up to "
    f"{ECHO_S:g} s before them (nothing to do)",
    "heard_without_sound": "are of files without sound that have times in heard_s "
    "(give them with their sound, or correct heard_s in index.csv)",
}
"""Why a window may have no label, with what such windows have in common and the remedy."""
_NOTHING_HEARD = (ABSENT, SILENT, QUIET)
_PARTLY_HEARD = (INCOMPLETE, DAMAGED)


@dataclass(frozen=True)
class Labels:
    """Holds what is known of the discharges of a window."""

    discharge: bool | None
    """Whether there is one, seen or heard; None where that cannot be known."""
    unlabelled: str | None
    """Why it cannot be known, one of `UNLABELLED`."""
    seen: bool | None
    """Whether one can be seen; None also where one is heard that nobody sees."""
    heard: bool | None
    """Whether one can be heard; None also where there is no sound."""


@dataclass(frozen=True)
class WrongTimes:
    """Times of an index row that cannot be those of its file."""

    reason: str
    """One of `UNLABELLED`, for every window of the file."""
    column: str
    """Name of a column of the index."""
    times_s: tuple[float, ...]
    """Those in it that cannot be right."""


def wrong_times(row: IndexRow, file_s: float, *, is_mute: bool = False) -> WrongTimes | None:
    """Return what says that the times of a row are of another file, or were filled in wrongly.

    A flash beyond the end of the pictures does; so does sound of which no time lies before it,
    while some may, since sound can go on when pictures are over. So do times of what is heard in a
    file in which there was sound to be read and none was found.

    Args:
        row: of the file.
        file_s: length of its pictures in seconds; infinite where the file is cut off.
        is_mute: whether no window of the file has any sound, though there was sound to be read.
    """
    beyond = tuple(time_s for time_s in row.discharges_s if time_s >= file_s)
    if beyond:
        return WrongTimes("discharge_beyond_end", "discharges_s", beyond)
    if row.heard_s and min(row.heard_s) >= file_s:
        return WrongTimes("heard_beyond_end", "heard_s", row.heard_s)
    if row.heard_s and is_mute:
        return WrongTimes("heard_without_sound", "heard_s", row.heard_s)
    return None


def label(
    row: IndexRow,
    start_s: float,
    clip: ClipFormat,
    file_s: float,
    presence: str,
    *,
    is_mute: bool = False,
) -> Labels:
    """Return what the index tells of a window: there is a discharge where one is seen, or only
    heard.

    Args:
        row: of the file.
        start_s: of the window.
        clip: its format.
        file_s: length of its pictures.
        presence: what there is of its sound, one of `manifest.PRESENCES`.
        is_mute: whether no window of the file has any, though there was sound to be read.
    """
    seen, why = label_seen(row, start_s, clip, file_s, is_mute=is_mute)
    heard = label_heard(row, start_s, clip, file_s, presence)
    if why == "discharge_only_heard" and heard:
        return Labels(True, None, None, True)
    return Labels(seen, why, seen, heard)


def label_seen(
    row: IndexRow, start_s: float, clip: ClipFormat, file_s: float, *, is_mute: bool = False
) -> tuple[bool | None, str | None]:
    """Return whether a window shows a discharge, or None and why that cannot be known.

    Without times, the label of a file with discharges holds for its window only if that is the
    whole file, but for a frame. A discharge less than two frames before the end of a window may
    show in the next one only; one shortly before its start may still glow in it, as the flashes of
    games do. One that is only heard in a window, or so shortly before it that its echo may be, is
    none that is shown, and the window none in which nobody fires. `wrong_times` label nothing.
    """
    if not row.discharge:
        return False, None
    wrong = wrong_times(row, file_s, is_mute=is_mute)
    if wrong is not None:
        return None, wrong.reason
    if not (row.discharges_s or row.heard_s):
        return (True, None) if _is_whole(clip, file_s) else (None, NO_TIMES)
    end_s, frame_s = start_s + clip.num_frames / clip.fps, 1 / clip.fps
    if any(start_s <= time_s < end_s - 2 * frame_s for time_s in row.discharges_s):
        return True, None
    if any(start_s - AFTERGLOW_S <= time_s < end_s for time_s in row.discharges_s):
        return None, "discharge_at_edge"
    if any(start_s - ECHO_S < time_s < end_s for time_s in row.heard_s):
        return None, "discharge_only_heard"
    return False, None


def label_heard(
    row: IndexRow, start_s: float, clip: ClipFormat, file_s: float, presence: str
) -> bool | None:
    """Return whether a discharge can be heard in a window, or None where that cannot be known.

    In a file that was dubbed it never can.

    It can where the first `BLAST_S` of it surely fall into the window: after its flash the sound
    comes by up to `DELAY_S` later, at a time of `heard_s` at once. It cannot where all
    discharges are over, echo and all, or yet to come. Between the two, and where the window holds
    no sound, nobody knows; nor where a part of its sound is missing and might be what counts.

    Args:
        row: of the file.
        start_s: of the window.
        clip: its format.
        file_s: length of its pictures.
        presence: what there is of its sound, one of `manifest.PRESENCES`.
    """
    if presence in _NOTHING_HEARD or row.dubbed:
        return None
    if not row.discharge:
        return False
    times_s = (*row.discharges_s, *row.heard_s)
    if wrong_times(row, file_s) is not None:
        return None
    is_whole = presence not in _PARTLY_HEARD
    if not times_s:
        return True if is_whole and _is_whole(clip, file_s) else None
    end_s = start_s + clip.num_frames / clip.fps
    latest_s = end_s - BLAST_S
    surely = any(start_s <= time_s <= latest_s - DELAY_S for time_s in row.discharges_s) or any(
        start_s <= time_s <= latest_s for time_s in row.heard_s
    )
    if surely:
        return True if is_whole else None
    last_s = start_s - DELAY_S - ECHO_S
    return None if any(last_s < time_s < end_s for time_s in times_s) else False


def _is_whole(clip: ClipFormat, file_s: float) -> bool:
    """Return whether a window is the whole of a file, but for a frame."""
    return file_s - clip.num_frames / clip.fps < 2 / clip.fps
