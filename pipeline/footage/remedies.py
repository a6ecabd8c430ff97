"""Says by the reason what to do about a file that cannot be used."""

from __future__ import annotations

from pipeline.footage import unplayable

_REMEDIES = {
    "missing_file": "put the file there or take its row out of the index",
    "outside_collection": "put the file itself there, or run dvc checkout if DVC made the link",
    "forgotten": "take its row out of the index, and delete the file",
    "too_short": "give a longer piece of the recording",
    "too_long": "divide the file or raise max_duration_s",
    "too_large": "scale the file down or raise max_pixels",
    "too_much_output": "divide the file or raise max_output_mb",
    "timeout": "re-encode the file or raise timeout_s",
    "cpu_time": "re-encode the file or raise max_cpu_s",
    "out_of_memory": "re-encode the file or raise max_memory_mb",
    "worker_died": "run it again; if it is the same, re-encode the file: decoding it ends the "
    "process, with its sound and without",
    "playlist": "give the video itself",
    "container": "give a video; put it into mp4 or mkv",
    "no_decoder": "re-encode the file to H.264",
    "black": "give footage that shows something, or leave the file out",
    "still": "give footage in which something moves, or leave the file out",
    "not_a_file": "give the path of the video itself, or leave this one out",
    "unreadable": "give the user who runs this the right to read it, or look at the disk",
    "damaged": "copy the file again from where it came, or leave it out",
    "ends_early": "copy the file again from where it came: its end is missing",
    "gap": "give a longer piece of the recording",
    "starts_late": "copy the file again from where it came: its beginning is missing",
    "few_pictures": "give footage of four pictures a second and more, or leave the file out",
    "no_video": "give a file with moving pictures, or leave this one out",
    "in_bank": "take its row out of the index, or have the bank mark files alone: banks in "
    "conf/ingest.yaml",
    "not_looked_up": "run it again; if it is the same, re-encode the file",
    "unforeseen": "re-encode the file, and report what the log says as a bug",
    **unplayable.REMEDIES,
}
_DEFAULT_REMEDY = "play the file; if it plays, re-encode it, or else leave it out"


def remedy(reason: str) -> str:
    """Return what to do about a file that is rejected for a reason."""
    return _REMEDIES.get(reason, _DEFAULT_REMEDY)
