"""What the index says of a file, told of each of its windows."""

from __future__ import annotations

from pipeline.config import ClipFormat
from pipeline.footage.collection import IndexRow

AFTERGLOW_S = 0.2
"""How long a muzzle flash may show: games draw it for up to seven frames of 35 a second."""
UNLABELLED = {
    "no_discharge_times": "have discharge 1 without times (fill in discharges_s in index.csv)",
    "discharge_beyond_end": "are of files that end before a time of discharges_s (correct it)",
    "discharge_at_edge": "have a discharge at their edge (nothing to do)",
}
"""Why a window may have no label, with what such windows have in common and the remedy."""


def label(
    row: IndexRow, start_s: float, clip: ClipFormat, file_s: float
) -> tuple[bool | None, str | None]:
    """Whether a window shows a discharge, or None and why that cannot be known.

    Without discharge times, the label of a file with discharges holds for its window only if
    that is the whole file, but for a frame. A discharge less than two frames before the end of a
    window may show in the next one only; one shortly before its start may still glow in it, as the
    flashes of games do. A time beyond the file's end, of `file_s` seconds, says that the times are
    of something else.
    """
    if not row.discharge:
        return False, None
    if any(time_s >= file_s for time_s in row.discharges_s):
        return None, "discharge_beyond_end"
    whole = file_s - clip.num_frames / clip.fps < 2 / clip.fps
    if not row.discharges_s:
        return (True, None) if whole else (None, "no_discharge_times")
    end_s, frame_s = start_s + clip.num_frames / clip.fps, 1 / clip.fps
    if any(start_s <= time_s < end_s - 2 * frame_s for time_s in row.discharges_s):
        return True, None
    if any(start_s - AFTERGLOW_S <= time_s < end_s for time_s in row.discharges_s):
        return None, "discharge_at_edge"
    return False, None
