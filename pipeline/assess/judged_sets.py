"""A split or a collection, clip by clip, as the detector sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.examples import Examples
from pipeline.detect.scores import FILES, SCORES, Read


@dataclass(frozen=True)
class JudgedSet:
    """A split or a collection after the detector has seen it.

    Where `files` is given they are what is judged, else the clips themselves.
    """

    name: str
    meaning: str
    clips: pa.Table
    """Rows of `SCORE_SCHEMA`."""
    read: Read
    """What is seen and heard in row i of `clips`."""
    data_sha256: str
    samples: Sequence[str] = ()
    """Hash of what each row of `clips` is decoded from; empty where that is not known."""
    files: pa.Table | None = None
    """Rows of `FILE_SCHEMA`, those of rejected files included."""
    learned_from: Sequence[str] | None = ()
    """Paths of files that the weights were made by; None where that could not be told."""

    def joined(self, other: JudgedSet | None) -> JudgedSet:
        """The clips of both under the name of this one, as they are played and not counted."""
        if other is None:
            return self
        size, hashes = self.clips.num_rows, self.data_sha256 + other.data_sha256
        return replace(
            self,
            clips=pa.concat_tables([self.clips, other.clips]),
            read=lambda row: self.read(row) if row < size else other.read(row - size),
            data_sha256=hashlib.sha256(hashes.encode()).hexdigest(),
            samples=[*self.samples, *other.samples],
        )

    @property
    def unit(self) -> str:
        """Return what is judged: "clip" or "file"."""
        return "clip" if self.files is None else "file"

    @property
    def num_rejected(self) -> int | None:
        """Files that could not be judged; None where clips are."""
        return None if self.files is None else self.files.num_rows - self.judged.num_rows

    @cached_property
    def judged(self) -> pa.Table:
        """The rows behind `examples`, in the same order."""
        if self.files is None:
            return self.clips
        return self.files.filter(pc.equal(self.files["status"], "scored"))

    @cached_property
    def examples(self) -> Examples:
        """Return what metrics are taken of."""
        if self.files is None:
            return Examples.from_clips(self.clips)
        return Examples.from_files(self.files)

    def clip_of(self, row: int) -> int:
        """The clip to look at for a judged row: itself, or the file's highest-scored one."""
        if self.files is None:
            return row
        path = self.judged["path"][row].as_py()
        own = np.flatnonzero(pc.equal(self.clips["path"], path).to_numpy(zero_copy_only=False))
        return int(own[self.clips["stream_score"].to_numpy()[own].argmax()])


def tables(parts: Sequence[JudgedSet]) -> dict[str, pa.Table]:
    """Return what a detector says of the clips of all parts, and of files where they are judged."""
    files = [one.files for one in parts if one.files is not None]
    found = {SCORES: pa.concat_tables([one.clips for one in parts])}
    return found | ({FILES: pa.concat_tables(files)} if files else {})
