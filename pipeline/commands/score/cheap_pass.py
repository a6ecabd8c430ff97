"""The cheap pass: what is heard and what flashes, which can exclude a file without an encoder.

A score is the probability of a real shooting, and so never above that of a discharge. The discharge
is told by sound and flashes, for a fraction of what the origin costs. Where its highest value over
the stream of a file stays below a threshold, nobody has to look at the file's pictures. The
threshold is the largest at which validation shows, at 95 % confidence, that a rate of missed
shootings is kept, and never above that of the operating point, so that no alert of the whole
detector is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from scipy.stats import beta
from torch import Tensor

from pipeline.detect import scores
from pipeline.detect.detector import Detector
from pipeline.detect.operating_point import OperatingPoint
from pipeline.detect.stream_scores import stream_scores
from pipeline.learn.memory import Memory
from pipeline.learn.networks.base import State, Streaming
from pipeline.store.manifest import LONG

_CONFIDENCE = 0.95
_SLACK = 1e-6
"""Keeps what is added up in another order from deciding."""
_SPLIT = "val"
_LEAST_RATE = 1e-12
"""No validation shows a smaller rate of misses, which would take trillions of shootings."""


@dataclass(frozen=True)
class PassThreshold:
    """A threshold, and what it was chosen on.

    Attributes:
        threshold: below which a file is excluded.
        miss_rate: that was asked for, and is kept at 95 % confidence.
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
        """Return how far the rate is kept, in words."""
        return (
            f"the cheap pass excludes a file whose probability of a discharge stays below "
            f"{self.threshold:.3f}; in validation it misses {self.num_missed} of "
            f"{self.num_shootings} real shootings (up to {_percent(self.bound)} at 95 % "
            f"confidence, allowed by miss_rate: {_percent(self.miss_rate)}), and excludes "
            f"{self.num_excluded} of {self.num_others} other recordings; no alert of the whole "
            "detector is lost"
        )


def choose(
    reports: Path, detector: Detector, point: OperatingPoint | str, miss_rate: float
) -> PassThreshold | str:
    """The threshold of the cheap pass for a rate of misses, or why there is none.

    Args:
        reports: where the evaluation of these weights has left its tables.
        detector: the weights.
        point: the operating point of that evaluation.
        miss_rate: share of real shootings that may be excluded, which validation has to show.
    """
    if detector.network.factors is None:
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
    num_shootings = int(shootings.size)
    highest = threshold_for(shootings, miss_rate)
    if highest is None:
        return (
            f"{num_shootings} real shootings in validation cannot show at 95 % confidence that at "
            f"most {_percent(miss_rate)} are missed, for which it takes "
            f"{_num_needed(miss_rate)}; all of the detector is asked about every file. "
            f"miss_rate={_least(num_shootings)} is the least that they can show, and miss_rate=1 "
            "excludes whatever cannot raise an alert"
        )
    threshold = min(point.choice.threshold, highest)
    num_missed = int((shootings < threshold - _SLACK).sum())
    return PassThreshold(
        threshold,
        miss_rate,
        num_shootings,
        num_missed,
        _bound(num_missed, num_shootings),
        int(others.size),
        int((others < threshold - _SLACK).sum()),
    )


def threshold_for(shootings: NDArray[np.float64], miss_rate: float) -> float | None:
    """The largest threshold at which a rate of misses is kept at 95 % confidence.

    How many of N shootings may be below it is told by N and the rate alone, before anybody looks at
    their levels, so that it is a tolerance limit without assumptions on how levels are spread
    (Wilks, 1941).

    Args:
        shootings: levels of N real shootings, (N,).
        miss_rate: share of all shootings that may be below the threshold.

    Returns:
        None where so few cannot show the rate at any threshold.
    """
    num = int(shootings.size)
    allowed = [missed for missed in range(num + 1) if _bound(missed, num) <= miss_rate]
    if not allowed:
        return None
    return math.inf if allowed[-1] == num else float(np.sort(shootings)[allowed[-1]])


def _bound(num_missed: int, num_shootings: int) -> float:
    """The upper end of the one-sided interval of Clopper and Pearson (1934)."""
    if num_missed == num_shootings:
        return 1.0
    return float(beta.ppf(_CONFIDENCE, num_missed + 1, num_shootings - num_missed))


def _num_needed(miss_rate: float) -> str:
    """Shootings of which none may be missed for a rate to be shown, in words."""
    if miss_rate < _LEAST_RATE:
        return "more than there can be"
    return f"{math.ceil(math.log(1 - _CONFIDENCE) / math.log1p(-miss_rate)):,}"


def _least(num_shootings: int) -> str:
    """The least rate that so many shootings can show, rounded up."""
    return f"{math.ceil(_bound(0, num_shootings) * 1000) / 1000:g}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _levels(
    tables: list[pa.Table], memory: Memory | None, clip_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The highest level of each recording of validation: of real shootings, and of the others."""
    highest: dict[str, float] = {}
    shootings: set[str] = set()
    for table in tables:
        _, p_discharge = scores.marginals(scores.joint(table))
        levels = _streamed(table, p_discharge[:, None], memory, clip_s)
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
    """The score (N,) of each clip in its stream, were everything real: no score can be higher.

    Args:
        clips: N of them.
        p_discharge: (N, T), after every frame or at the ends alone.
        memory: how a file is summed up.
        clip_s: length of a clip.
    """
    certain = np.zeros((*p_discharge.shape, 4))
    certain[..., 0], certain[..., 2] = p_discharge, 1 - p_discharge
    return stream_scores(clips, certain, memory, clip_s)


class CheapPass:
    """The answer on the discharge alone of a detector that has one, and a threshold."""

    def __init__(self, detector: Detector, threshold: float) -> None:
        factors = detector.network.factors
        assert factors is not None
        self._detector, self._factors = detector, factors
        self._threshold = threshold

    def of(
        self, frames: NDArray[np.uint8], sounds: NDArray[np.int16], batch_size: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The probability of a discharge, and what sound says for it.

        Both are (N, T), after every frame of a file that is followed, or (N, 1) of clips where
        these weights answer for clips only.

        Args:
            frames: uint8 (N, T, H, W, 3), the clips of a file in order.
            sounds: int16 (N, S).
            batch_size: clips at a time.
        """
        seen, heard = [], []
        # Where there is no sound nothing is heard, which takes no network to say.
        hears = self._factors.hearing is not None and bool(sounds.any())
        state = self._begun()
        with torch.inference_mode():
            for start in range(0, len(frames), batch_size):
                some = slice(start, start + batch_size)
                logits, state = self._look(self._tensor(frames[some]), state)
                seen.append(self._factors.seen(logits).double().cpu())
                ratio = torch.zeros_like(seen[-1])
                if hears:
                    ratio, state = self._listen(self._tensor(sounds[some]), state)
                heard.append(ratio.double().cpu())
            odds = (torch.cat(seen) + torch.cat(heard)) / self._detector.card.temperature
            return odds.sigmoid().numpy(), torch.cat(heard).numpy()

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self._detector.device)

    def _begun(self) -> State:
        network = self._detector.network
        return network.start(1) if isinstance(network, Streaming) else {}

    def _look(self, clips: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (N, T, 4) or (N, 1, 4), and what is remembered."""
        discharge = self._factors.discharge
        if not state:
            return discharge(clips)[:, None], state
        assert isinstance(discharge, Streaming)
        logits, after = discharge.advance(clips.flatten(0, 1)[None], state)
        return logits.unflatten(1, clips.shape[:2])[0], {**state, **after}

    def _listen(self, sounds: Tensor, state: State) -> tuple[Tensor, State]:
        """Log likelihood ratios (N, T) or (N, 1), and what is remembered."""
        hearing = self._factors.hearing
        assert hearing is not None
        if not state:
            return hearing(sounds)[:, None], state
        ratios, after = hearing.advance(sounds.flatten()[None], state)
        return ratios.unflatten(1, (len(sounds), -1))[0], {**state, **after}

    def level(self, clips: Callable[[], pa.Table], p_discharge: NDArray[np.float64]) -> float:
        """Return what no score of a file is above; no more than is needed to tell whether it is
        excluded.

        That is so after each of its frames, on which alerts are raised. The answers at the ends of
        its clips count too, by which validation tells shootings that would be missed.

        Args:
            clips: gives rows of `scores.CLIP_SCHEMA` of the file, and is not asked if that is told.
            p_discharge: what `of` gives of them.
        """
        # A stream says a mean of its answers, never more than the highest of them, and to follow
        # one takes as long as to look at it.
        highest = float(p_discharge.max())
        if self.excludes(highest):
            return highest
        card = self._detector.card
        clip_s = card.clip.num_frames / card.clip.fps
        ways = (p_discharge, p_discharge[:, -1:])
        table = clips()
        return max(float(_streamed(table, one, card.memory, clip_s).max()) for one in ways)

    def excludes(self, level: float) -> bool:
        """Return whether a file of a level cannot reach the threshold."""
        return level < self._threshold - _SLACK


def as_json(chosen: PassThreshold | None) -> Mapping[str, Any] | None:
    """Return what is told of the cheap pass where it decides numbers."""
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
