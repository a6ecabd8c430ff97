"""Contents of the page: judged parts, mistakes, sources and where all came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.assess.evidence import Examined
from pipeline.assess.examples import Examples
from pipeline.assess.statistics.summary import Summary


@dataclass(frozen=True)
class Part:
    """A split or a collection: what it is, and what was found on it."""

    name: str
    meaning: str
    examples: Examples
    metrics: Summary


@dataclass(frozen=True)
class Mistake:
    """A clip or file that was mistaken for another class."""

    preview: str
    """A `data:` URI."""
    truth: str
    said: str
    score: float
    source: str
    place: str
    """The file, and the second in it."""
    rendered: bool


@dataclass(frozen=True)
class MistakeGroup:
    """Mistakes of one kind in one part; `num_mistakes` counts those not shown as well."""

    title: str
    part: str
    num_mistakes: int
    shown: Sequence[Mistake]


@dataclass(frozen=True)
class DataRow:
    """The share of one source in one part; `counts` are in the order of `CLASSES`."""

    part: str
    source: str
    origin: str
    rendered: bool
    counts: Sequence[int]
    num_recordings: int
    licence: str
    authority: str


@dataclass(frozen=True)
class Provenance:
    """Everything that the report was made from."""

    config: str
    """The configuration as YAML."""
    model_card: str
    """The model card as JSON."""
    learned: str
    """A sentence on what the origin was learned from."""
    data_sha256: Mapping[str, str]
    weights_sha256: str


@dataclass(frozen=True)
class Report:
    """Everything that the page shows; `unit` is "clip" or "file"."""

    heading: str
    unit: str
    parts: Sequence[Part]
    suites: Sequence[Examined]
    tables: Sequence[str]
    """Parquet files beside the page, that hold what was judged."""
    threshold: float
    """The threshold at which the slider stands at first."""
    starts: str
    """The sentence that says why there."""
    alerts: str
    """A sentence on what the operating point does on files; empty where none are judged."""
    mistakes: Sequence[MistakeGroup]
    data: Sequence[DataRow]
    files: Sequence[Mapping[str, Any]]
    """Rows of `files.parquet`, where files were judged."""
    clip_s: float | None
    """Length of a clip."""
    provenance: Provenance
