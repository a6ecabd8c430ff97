"""Proposes moments at which a firearm is fired in a video of which only that is known.

A detector answers for a clip, and what it saw or heard may be anywhere in it. Here the network that
looks for flashes answers for a few frames at a time, and what is heard counts where the sound rises
at once, as that of a blast does. Both are log odds, and add up as they do in the detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn.networks import rebuild
from pipeline.learn.networks.base import Streaming
from pipeline.learn.networks.hearing import HeardNet
from pipeline.learn.networks.product import discharge_log_odds

_WINDOW = 5
"""Frames that are looked at together: the one that flashes, and those that it stands out from."""
_LOOKS_BACK = 2 + (_WINDOW - 2) // 2
"""Frames by which an answer comes after the middle of what it is of."""
_FIRST = 2
"""Frames at the beginning that nothing can be compared with."""
_HEARD_EVERY = 3
"""Frames from one hearing to the next; a patch of what hears lasts a second."""
_LISTENS_S = 0.005
_BEFORE_S, _GAP_S = 0.15, 0.01
"""What the level of sound is compared with: the time before, up to a moment before."""
_BLAST_DB = 20.0
"""A rise from which on what is heard counts in full."""
_APART_S = 0.3
"""Proposals are no nearer to each other than this."""
_USUAL_S, _RARER = 2.3, 0.5
"""In longer files than those of training a discharge is rarer in every second: the log odds fall by
so much for each logarithm of the length (chosen on validation)."""
_AT_ONCE = 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Holds what is seen and heard at every frame of a video, (T,) each.

    Attributes:
        time_s: in the file.
        seen: log odds of a discharge, unbounded; NaN where nothing can be compared.
        heard: log likelihood ratio of the second of sound around it; 0 where there is none.
        rise_db: how much louder the sound becomes at once.
    """

    time_s: Floats
    seen: Floats
    heard: Floats
    rise_db: Floats


@dataclass(frozen=True)
class Proposal:
    """A moment, the probability that a firearm is fired there, and whether sound speaks for it."""

    time_s: float
    confidence: float
    heard: bool


class Finder:
    """Looks for moments with the parts of a detector that see and hear a discharge."""

    def __init__(self, detector: Detector) -> None:
        """Take what is needed of a detector.

        Raises:
            UserError: its network does not tell a discharge frame by frame.
        """
        factors = detector.network.factors
        part = None if factors is None else factors.discharge
        architecture = {} if part is None else dict(part.architecture())
        if part is None or not isinstance(part, Streaming) or "window" not in architecture:
            raise UserError(
                f"weights of the network '{detector.card.name}' do not tell when a firearm is "
                "fired; train with model.name=flash"
            )
        short = rebuild(architecture | {"window": _WINDOW}, None)
        short.load_state_dict(part.state_dict())
        assert factors is not None and isinstance(short, Streaming)
        self._short, self._scale = short.to(detector.device).eval(), factors.discharge_scale
        self._most = np.inf if factors.most_seen is None else factors.most_seen
        self._hearing, self._device = factors.hearing, detector.device
        self._fps = detector.card.clip.fps

    def curves(
        self, frames: NDArray[np.uint8], sounds: NDArray[np.int16], time_s: Floats
    ) -> Curves:
        """Return what is seen and heard of frames that follow each other.

        Args:
            frames: uint8 (T, H, W, 3) RGB, in the canonical size and rate.
            sounds: int16 (S,), as long as they; zeros where there is none.
            time_s: (T,), of each in the file.
        """
        with torch.inference_mode():
            seen = self._seen(frames)
            has_sound = self._hearing is not None and bool(sounds.any())
            nothing = np.zeros(len(frames))
            heard = self._heard(self._hearing, sounds, len(frames)) if has_sound else nothing
        return Curves(time_s, seen, heard, rises(sounds, len(frames), self._fps))

    def proposals(self, curves: Sequence[Curves], most: int) -> list[Proposal]:
        """The moments that are likeliest, the first one most.

        That a firearm is fired somewhere is known, and so the likeliest moments are likelier than
        they would be anywhere: each has its share of what is left once nothing happens at any.

        Args:
            curves: of stretches of a video.
            most: proposals at most.
        """
        time_s = np.concatenate([one.time_s for one in curves])
        seen = np.concatenate([one.seen for one in curves])
        bounded = np.clip(seen, -self._most, self._most)
        odds = bounded + np.concatenate([heard_odds(one) for one in curves])
        odds -= _RARER * np.log(max(1.0, len(odds) / self._fps / _USUAL_S))
        # Of equal odds, what the bound has made so is told apart.
        order = np.lexsort((time_s, -seen, -odds))
        chosen: list[int] = []
        for frame in order[np.isfinite(seen[order])]:
            if all(abs(time_s[frame] - time_s[other]) > _APART_S for other in chosen):
                chosen.append(int(frame))
        chance = expit(odds[chosen])
        somewhere = -np.expm1(np.log1p(-chance).sum())
        heard = np.concatenate([one.heard for one in curves])
        return [
            Proposal(float(time_s[frame]), float(min(1.0, one / somewhere)), bool(heard[frame] > 0))
            for frame, one in list(zip(chosen, chance, strict=True))[:most]
        ]

    def _seen(self, frames: NDArray[np.uint8]) -> Floats:
        assert isinstance(self._short, Streaming)
        state, found = self._short.start(1), list[Tensor]()
        for start in range(0, len(frames), _AT_ONCE):
            some = torch.from_numpy(np.ascontiguousarray(frames[None, start : start + _AT_ONCE]))
            logits, state = self._short.advance(some.to(self._device), state)
            found.append(self._scale * discharge_log_odds(logits)[0])
        answers = torch.cat(found).double().cpu().numpy()
        # What the last frames show nobody has seen the end of.
        seen = np.concatenate([answers[_LOOKS_BACK:], np.repeat(answers[-1:], _LOOKS_BACK)])
        seen = seen[: len(frames)]
        seen[:_FIRST] = np.nan
        return np.asarray(seen)

    def _heard(self, hearing: HeardNet | None, sounds: NDArray[np.int16], num: int) -> Floats:
        assert hearing is not None
        half = np.zeros(hearing.num_samples // 2, np.int16)
        padded = torch.from_numpy(np.concatenate([half, sounds, half])).to(self._device)
        windows = padded.unfold(0, hearing.num_samples, hearing.samples_a_frame * _HEARD_EVERY)
        found = torch.cat([hearing(part) for part in windows.split(_AT_ONCE)])
        at = np.arange(len(found)) * _HEARD_EVERY
        return np.interp(np.arange(num), at, found.double().cpu().numpy())


def heard_odds(curves: Curves) -> Floats:
    """Say what sound adds to the log odds of each frame: for a discharge where it rises at once."""
    share = np.clip(curves.rise_db / _BLAST_DB, 0, 1)
    return np.where(curves.heard > 0, curves.heard * share, curves.heard)


def rises(sounds: NDArray[np.int16], num: int, fps: float) -> Floats:
    """Return how many dB the level of 5 ms rises above what was there before, at most in each
    frame.

    Args:
        sounds: int16 (S,) that last as long as the frames.
        num: of frames.
        fps: their rate.
    """
    rate = len(sounds) / num * fps
    step = max(1, round(rate * _LISTENS_S))
    parts = sounds[: len(sounds) // step * step].astype(np.float64).reshape(-1, step)
    level = 10 * np.log10(np.square(parts).mean(1) + 1)
    length, gap = round(_BEFORE_S / _LISTENS_S), round(_GAP_S / _LISTENS_S)
    padded = np.concatenate([np.full(length + gap, np.median(level[:length])), level])
    before = np.median(np.lib.stride_tricks.sliding_window_view(padded, length), axis=1)
    rise = np.maximum(level - before[: len(level)], 0)
    frame = np.minimum((np.arange(len(level)) * step / rate * fps).astype(np.int64), num - 1)
    found = np.zeros(num)
    np.maximum.at(found, frame, rise)
    return found
