"""Says how an evaluation judges, what it shows, and which folders it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.assess import previews
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.config import OperatingConfig
from pipeline.detect import operating_point
from pipeline.errors import UserError


@dataclass(frozen=True)
class Folders:
    """Folders of the stages before, as `conf/paths.yaml` names them; local paths."""

    clips: Path
    splits: Path
    augmented: Path
    probes: Path
    models: Path


@dataclass(frozen=True)
class JudgingSettings:
    """Tells how to judge and what to show; see conf/evaluate.yaml."""

    bootstrap: Bootstrap
    num_bins: int
    num_mistakes: int
    previews: str
    operating: OperatingConfig = field(
        default_factory=lambda: OperatingConfig(
            false_alerts_per_1000_h=10.0,
            reviewer_minutes_per_day=None,
            streams=1000,
            minutes_per_alert=2.0,
            refractory_s=60.0,
        )
    )

    def __post_init__(self) -> None:
        operating_point.cost_of(self.operating)
        checks = (
            ("num_bootstrap", self.bootstrap.num_resamples, self.bootstrap.num_resamples >= 1),
            ("confidence", self.bootstrap.confidence, 0 < self.bootstrap.confidence < 1),
            ("num_bins", self.num_bins, self.num_bins >= 2),
            ("num_mistakes", self.num_mistakes, self.num_mistakes >= 0),
            ("previews", self.previews, self.previews in previews.MODES),
        )
        for key, value, good in checks:
            if not good:
                raise UserError(
                    f"conf/evaluate.yaml: {key} is {value}; give a positive number of resamples, "
                    "a confidence between 0 and 1, at least 2 bins, no negative number of "
                    f"mistakes, and previews of {' or '.join(previews.MODES)}"
                )
