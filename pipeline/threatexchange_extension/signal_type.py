"""A whole video as one signal: its pictures and its sound with their times, and its bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from threatexchange.content_type.content_base import ContentType
from threatexchange.content_type.video import VideoContent
from threatexchange.signal_type.signal_base import (
    FileHasher,
    SignalComparisonResult,
    SignalType,
)

from pipeline import app
from pipeline.commands import printed_files
from pipeline.commands.bank import RATE_HZ
from pipeline.copies import exchange_lines
from pipeline.copies.exchange_lines import Upload, id_of
from pipeline.copies.hash_datasets import OWN_TYPE
from pipeline.copies.records import sound_records
from pipeline.footage.conversion import Unusable
from pipeline.threatexchange_extension.segment_index import SegmentIndex, matches

_EXAMPLE = (
    '{"sha256": "", "md5": "0cc175b9c0f1b6a831c399e269772661", "duration_s": 1.0, '
    '"pictures": [], "mirrors": [], "sounds": []}'
)


class DiscernVideoSignal(SignalType, FileHasher):
    """A video as `discern bank add` hashes it, written as a line of an exchange has it."""

    @classmethod
    def get_name(cls) -> str:
        """Return what threatexchange calls it."""
        return OWN_TYPE

    @classmethod
    def get_content_types(cls) -> list[type[ContentType]]:
        """Return what it is of."""
        return [VideoContent]

    @classmethod
    def get_index_cls(cls) -> type[SegmentIndex[Any]]:
        """Return what looks it up."""
        return SegmentIndex

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """The signal as it is always written.

        Raises:
            ValueError: it is none.
        """
        return exchange_lines.prints_written(exchange_lines.prints_parsed(signal_str))

    @staticmethod
    def get_examples() -> list[str]:
        """A video of which nothing is known but its bytes."""
        return [_EXAMPLE]

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str) -> SignalComparisonResult:
        """Return whether the second video shows something of the first."""
        found = matches(*map(exchange_lines.prints_parsed, (hash2, hash1)))
        if not found:
            return SignalComparisonResult.from_no_match_only()
        return SignalComparisonResult(True, found[0])

    @classmethod
    def hash_from_file(cls, file: Path) -> str:
        """The signal of a video, decoded in the sandbox; empty where it cannot be decoded."""
        cfg: Any = app.compose("bank", "run.progress=false")
        (found,) = printed_files.hash_files(
            [Path(file)], RATE_HZ, cfg.ingest, cfg.run, OWN_TYPE, with_changes=True
        )
        if isinstance(found, Unusable):
            return ""
        hashes = printed_files.hash_records(found)
        sounds = sound_records(found.sound_times_ms, found.sounds)
        narrow = sound_records(found.narrow_times_ms, found.narrow_sounds)
        known, prints = (found.sha256, found.md5), (hashes, sounds, narrow)
        upload = Upload(id_of(*known, *prints), "", *known, found.duration_s, *prints)
        return exchange_lines.prints_written(upload)
