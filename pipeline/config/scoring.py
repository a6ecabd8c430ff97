"""Types of the keys of commands that load a detector, and of `discern score`."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.config.fetching import FetchConfig
from pipeline.config.ranges import between, one_of


@dataclass
class LoadConfig:
    """Tells whose code may run to load a detector."""

    factory: str | None = None
    """`module:factory` of your own network, whose code may run to load the weights."""


@dataclass
class DetectorConfig(LoadConfig):
    """Tells how a detector is loaded, and how exactly it computes."""

    precision: str = one_of("32-true", "bf16-mixed", default="32-true")
    """Whether the encoder of pictures computes in float32, or in bfloat16, for answers that differ
    a little: in about half of its time where the processor can multiply that, else in four times
    as much."""


@dataclass
class ScoreConfig(DetectorConfig, FetchConfig):
    """Holds what files are scored with, and where the scores go."""

    out: str | None = None
    """Folder for the scores of a listing; without one, the scores of files are printed."""
    rows_per_part: int = between(1, 1_000_000, default=1000)
    """Rows of the listing in a file of scores, which is what a task of a cluster is."""
    batch_size: int = between(1, default=4)
    """Clips of a file that the detector takes together, at most; more cost hardly less."""
    miss_rate: float | None = between(0, 1, default=0.01)
    """Share of real shootings that the cheap pass may exclude, if validation shows at 95 %
    confidence that it does not exclude more; 1 for all that cannot raise an alert, and `null` for
    no cheap pass."""
    banks: list[str] = field(default_factory=list)
    """Names of banks of known videos that files are looked up in first; none where empty."""
    price: float = between(0, default=0.04)
    """What a processor costs an hour, in any currency, for the estimate at the end."""
    format: str = one_of("lines", "json", default="lines")
    """How the scores of files are printed."""
