"""The cheap pass: what is heard and what flashes, which can exclude a file without an encoder.

A score is the probability of a real shooting, and so never above that of a discharge. The discharge
is told by sound and flashes, for a fraction of what the origin costs. Where its highest value over
the stream of a file stays below a threshold, nobody has to look at the file's pictures. The
threshold is the largest that keeps to a rate of missed shootings of validation, and never above
that of the operating point, so that no alert of the whole detector is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from scipy.stats import beta

from pipeline.detect import scores
from pipeline.detect.detector import Detector
from pipeline.detect.operating_point import OperatingPoint
from pipeline.detect.stream_scores import stream_scores
from pipeline.learn.memory import Memory
from pipeline.learn.networks.product import ProductNet, discharge_log_odds
from pipeline.store.manifest import LONG

_CONFIDENCE = 0.95
_SLACK = 1e-6
"""Keeps what is added up in another order from deciding."""
_SPLIT = "val"


@dataclass(frozen=True)
class Chosen:
    """A threshold, and what it was chosen on.

    Attributes:
        threshold: below which a file is excluded.
        miss_rate: that was asked for.
        num_shootings: recordings of real shootings in validation.
        num_missed: of them, those that it excludes.
        bound: what the rate of misses may be, at 95 % confidence.
        num_others: other recordings of validation.
        num_excluded: of them, those that it excludes.
    """

    threshold: float
    miss_rate: float
    num_shootings: int
    num_missed: int
    bound: float
    num_others: int
    num_excluded: int

    @property
    def says(self) -> str:
        """How far the rate is kept, in words."""
        return (
            f"the cheap pass excludes a file whose probability of a discharge stays below "
            f"{self.threshold:.3f}; in validation it misses {self.num_missed} of "
            f"{self.num_shootings} real shootings (up to {self.bound:.0%} at 95 % confidence, "
            f"asked for: {self.miss_rate:g}), and excludes {self.num_excluded} of "
            f"{self.num_others} other recordings; no alert of the whole detector is lost"
        )


def choose(
    reports: Path, detector: Detector, point: OperatingPoint | str, miss_rate: float
) -> Chosen | str:
    """The threshold of the cheap pass for a rate of misses, or why there is none.

    Args:
        reports: where the evaluation of these weights has left its tables.
        detector: the weights.
        point: the operating point of that evaluation.
        miss_rate: share of the shootings of validation that may be excluded.
    """
    if not isinstance(detector.network, ProductNet):
        return f"the network '{detector.card.name}' has no answer on the discharge alone"
    if isinstance(point, str):
        return point
    files = [reports / scores.VALIDATION, reports / scores.LONG]
    tables = [pq.read_table(file) for file in files if file.is_file()]
    if not tables:
        return f"{reports}: no {scores.VALIDATION} of an evaluation"
    form = detector.card.clip
    shootings, others = _levels(tables, detector.card.memory, form.num_frames / form.fps)
    if not shootings.size:
        return f"{reports}: no real shooting in validation to choose a threshold on"
    allowed = int(miss_rate * shootings.size)
    threshold = point.choice.threshold
    if allowed < shootings.size:
        threshold = min(threshold, float(np.sort(shootings)[allowed]))
    num_missed = int((shootings < threshold - _SLACK).sum())
    return Chosen(
        threshold,
        miss_rate,
        int(shootings.size),
        num_missed,
        _bound(num_missed, int(shootings.size)),
        int(others.size),
        int((others < threshold - _SLACK).sum()),
    )


def _bound(num_missed: int, num_shootings: int) -> float:
    """The upper end of the one-sided interval of Clopper and Pearson (1934)."""
    if num_missed == num_shootings:
        return 1.0
    return float(beta.ppf(_CONFIDENCE, num_missed + 1, num_shootings - num_missed))


def _levels(
    tables: list[pa.Table], memory: Memory | None, clip_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The highest level of each recording of validation: of real shootings, and of the others."""
    highest: dict[str, float] = {}
    shootings: set[str] = set()
    for table in tables:
        _, p_discharge = scores.marginals(scores.joint(table))
        levels = _streamed(table, p_discharge, memory, clip_s)
        for clip, level in zip(table.to_pylist(), levels.tolist(), strict=True):
            if clip["split"] not in (_SPLIT, _SPLIT + LONG):
                continue
            name = clip["recording"]
            highest[name] = max(highest.get(name, 0.0), level)
            if clip["origin"] == "real" and clip["discharge"]:
                shootings.add(name)
    both = (
        [v for n, v in highest.items() if (n in shootings) is wanted] for wanted in (True, False)
    )
    first, second = (np.array(values, np.float64) for values in both)
    return first, second


def _streamed(
    clips: pa.Table, p_discharge: NDArray[np.float64], memory: Memory | None, clip_s: float
) -> NDArray[np.float64]:
    """The score of each clip in its stream, were everything real: no score can be higher."""
    certain = np.zeros((len(p_discharge), 4))
    certain[:, 0], certain[:, 2] = p_discharge, 1 - p_discharge
    return stream_scores(clips, certain[:, None], memory, clip_s)


class CheapPass:
    """The answer on the discharge alone of a detector that has one, and a threshold."""

    def __init__(self, detector: Detector, threshold: float) -> None:
        assert isinstance(detector.network, ProductNet)
        self._detector, self._network = detector, detector.network
        self._threshold = threshold

    def of(
        self, frames: NDArray[np.uint8], sounds: NDArray[np.int16], batch_size: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The probability of a discharge in each clip (N,), and what sound says for it (N,).

        Args:
            frames: uint8 (N, T, H, W, 3).
            sounds: int16 (N, S).
            batch_size: clips at a time.
        """
        found, heard = np.zeros(len(frames)), np.zeros(len(frames))
        for start in range(0, len(frames), batch_size):
            some = slice(start, start + batch_size)
            found[some], heard[some] = self._ask(frames[some], sounds[some])
        return found, heard

    def _ask(
        self, frames: NDArray[np.uint8], sounds: NDArray[np.int16]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        network, device = self._network, self._detector.device
        with torch.inference_mode():
            logits = network.discharge(torch.from_numpy(frames).to(device))
            odds = network.discharge_scale * discharge_log_odds(logits)
            heard = torch.zeros_like(odds)
            if network.hearing is not None:
                heard = network.hearing(torch.from_numpy(sounds).to(device))
            odds = (odds + heard).double().cpu() / self._detector.card.temperature
            return odds.sigmoid().numpy(), heard.double().cpu().numpy()

    def excludes(self, clips: pa.Table, p_discharge: NDArray[np.float64]) -> bool:
        """Whether a file cannot reach the threshold.

        Args:
            clips: of the file, rows of `scores.CLIP_SCHEMA`.
            p_discharge: what `of` gives of them.
        """
        card = self._detector.card
        clip_s = card.clip.num_frames / card.clip.fps
        levels = _streamed(clips, p_discharge, card.memory, clip_s)
        return bool(levels.max() < self._threshold - _SLACK)


def as_json(chosen: Chosen | None) -> Mapping[str, Any] | None:
    """What is told of the cheap pass where it decides numbers."""
    if chosen is None:
        return None
    return {
        "threshold": chosen.threshold,
        "miss_rate": chosen.miss_rate,
        "validation": {
            "shootings": chosen.num_shootings,
            "missed": chosen.num_missed,
            "missed_at_most": chosen.bound,
            "others": chosen.num_others,
            "others_excluded": chosen.num_excluded,
        },
    }
