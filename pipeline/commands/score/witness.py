"""Notes what parts of a detector see and hear while it answers, which costs nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.learn.networks.base import Network, State

Advance = Callable[..., tuple[Tensor, State]]


@dataclass
class ClipEvidence:
    """Holds what was seen and heard while a detector was asked about some clips.

    Attributes:
        features: of every encoder of pictures, by its number: (N, F) of the frames that it saw.
        heard: what sound says for a discharge, of clips or of frames one after the other.
    """

    features: dict[int, list[NDArray[np.float32]]] = field(default_factory=dict)
    heard: list[NDArray[np.float64]] = field(default_factory=list)

    def embedding(self) -> list[float] | None:
        """The mean of the features over all frames; None where there is no encoder of pictures."""
        if not self.features:
            return None
        parts = [np.concatenate(self.features[number]) for number in sorted(self.features)]
        return [float(one) for part in parts for one in part.mean(0, dtype=np.float64)]

    def heard_in(self, num_clips: int) -> NDArray[np.float64]:
        """The most that sound says for a discharge in each clip (N,); 0 where nothing hears."""
        if not self.heard:
            return np.zeros(num_clips)
        most: NDArray[np.float64] = np.concatenate(self.heard).reshape(num_clips, -1).max(1)
        return most


class Witness:
    """Looks on while a network answers, in whatever thread that is."""

    def __init__(self, network: Network) -> None:
        self._here = threading.local()
        if (factors := network.factors) is None:
            return
        for number, part in enumerate(factors.origin.encoder.each()):
            if part.modality == "picture":
                part.register_forward_hook(self._saw(number))
        if (hearing := factors.hearing) is not None:
            hearing.register_forward_hook(self._heard)
            # Of a stream nothing is told to a hook.
            hearing.advance = self._followed(hearing.advance)  # type: ignore[method-assign]

    @contextmanager
    def looking(self, seen: ClipEvidence) -> Iterator[None]:
        """Add to `seen` what the network sees in this thread meanwhile."""
        self._here.seen = seen
        try:
            yield
        finally:
            self._here.seen = None

    def _saw(self, number: int) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, given: Any, found: Tensor) -> None:
            if (seen := getattr(self._here, "seen", None)) is not None:
                seen.features.setdefault(number, []).append(found.numpy(force=True))

        return hook

    def _followed(self, advance: Advance) -> Advance:
        def advanced(sounds: Tensor, state: State) -> tuple[Tensor, State]:
            found, after = advance(sounds, state)
            self._heard(None, None, found.flatten())
            return found, after

        return advanced

    def _heard(self, module: Any, given: Any, found: Tensor) -> None:
        if (seen := getattr(self._here, "seen", None)) is not None:
            seen.heard.append(found.numpy(force=True).astype(np.float64))
