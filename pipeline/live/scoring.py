"""Asks a detector about many streams, each of which has its clips when they come.

It is what an evaluation says of the same clips: the network follows each stream, and its memory
sums up what it says, as `detect.stream_scores` does for files. Streams whose clips are there at the
same time are asked about together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.detect.detector import Detector
from pipeline.detect.scores import marginals
from pipeline.detect.stream_scores import highest_scores
from pipeline.learn.memory import begin
from pipeline.learn.networks.base import State, Streaming
from pipeline.live.messages import StreamClip


@dataclass(frozen=True)
class StreamAnswer:
    """Holds what is said of a stream after a clip.

    Attributes:
        score: the highest P(real_shooting) of the stream at any frame of the clip; at the end of
            its first one.
        p_real, p_discharge: of the last clip alone, at its end.
    """

    score: float
    p_real: float
    p_discharge: float


@dataclass
class _Past:
    """Holds what is kept of a stream."""

    state: State
    memory: State
    ended_s: float


class StreamScorer:
    """A detector that follows streams by name, in memory that does not grow with time."""

    def __init__(self, detector: Detector) -> None:
        """Take a detector.

        Raises:
            UserError: it answers for whole clips only.
        """
        # What cannot follow says so, and what to do.
        detector.stream(1)
        assert isinstance(detector.network, Streaming)
        self._detector, self._network = detector, detector.network
        self._pasts: dict[str, _Past] = {}

    def restart(self, stream: str) -> None:
        """Forget all that a stream has shown, or that it was there at all."""
        self._pasts.pop(stream, None)

    def score(self, clips: Mapping[str, StreamClip]) -> dict[str, StreamAnswer]:
        """Take the next clip of some streams, each of which begins with its first one."""
        if not clips:
            return {}
        pasts = [
            self._pasts.setdefault(name, self._begun(one.start_s)) for name, one in clips.items()
        ]
        shown = list(clips.values())
        with torch.inference_mode():
            probabilities = self._followed(shown, pasts)
            scores = self._summed_up(shown, probabilities, pasts)
        real, fired = marginals(probabilities[:, -1].numpy())
        return {
            name: StreamAnswer(float(scores[row]), float(real[row]), float(fired[row]))
            for row, name in enumerate(clips)
        }

    def seen(self, clip: StreamClip, answer: StreamAnswer) -> StreamAnswer:
        """Return what the pictures of a clip say without its sound.

        Args:
            clip: the last one of a stream.
            answer: what was said of it by pictures and sound.
        """
        if not self._detector.hears:
            return answer
        real, fired = marginals(self._detector.predict(clip.frames[None]))
        return replace(answer, p_real=float(real[0]), p_discharge=float(fired[0]))

    def _begun(self, start_s: float) -> _Past:
        return _Past(self._network.start(1), begin(self._detector.card.memory, 1), start_s)

    def _followed(self, shown: list[StreamClip], pasts: list[_Past]) -> Tensor:
        """Calibrated probabilities (B, T, 4) of what was last seen at each frame."""
        device = self._detector.device

        def tensor(arrays: list[NDArray]) -> Tensor:
            return torch.from_numpy(np.stack(arrays)).to(device)

        heard = [tensor([one.sound for one in shown])] if self._detector.hears else []
        frames = tensor([one.frames for one in shown])
        logits, state = self._network.advance(frames, _joined([p.state for p in pasts]), *heard)
        for past, own in zip(pasts, _parted(state, len(pasts)), strict=True):
            past.state = own
        return (logits.double().cpu() / self._detector.card.temperature).softmax(-1)

    def _summed_up(
        self, shown: list[StreamClip], probabilities: Tensor, pasts: list[_Past]
    ) -> NDArray[np.float64]:
        """The highest score of each stream at any frame of its clip, (B,)."""
        card = self._detector.card
        clip_s = card.clip.num_frames / card.clip.fps
        start_s = np.array([one.start_s for one in shown])
        ended_s = np.array([past.ended_s for past in pasts])
        state = _joined([past.memory for past in pasts])
        scores, state = highest_scores(card.memory, probabilities, state, start_s, ended_s, clip_s)
        for past, own, end_s in zip(
            pasts, _parted(state, len(pasts)), start_s + clip_s, strict=True
        ):
            past.memory, past.ended_s = own, float(end_s)
        return scores


def _joined(states: list[State]) -> State:
    return {name: torch.cat([state[name] for state in states]) for name in states[0]}


def _parted(state: State, num_streams: int) -> list[State]:
    return [
        {name: value[row : row + 1].clone() for name, value in state.items()}
        for row in range(num_streams)
    ]
