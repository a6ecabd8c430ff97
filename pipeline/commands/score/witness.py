"""What parts of a detector see and hear while it answers, which costs nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.learn.networks.base import Network
from pipeline.learn.networks.hearing import Hears
from pipeline.learn.networks.origin import HasOrigin


@dataclass
class Seen:
    """What was seen and heard while a detector was asked about some clips.

    Attributes:
        features: of every encoder of pictures, by its number: (N, F) of the frames that it saw.
        heard: what sound says for a discharge, (B,) of each time.
    """

    features: dict[int, list[NDArray[np.float32]]] = field(default_factory=dict)
    heard: list[NDArray[np.float64]] = field(default_factory=list)

    def embedding(self) -> list[float] | None:
        """The mean of the features over all frames; None where there is no encoder of pictures."""
        if not self.features:
            return None
        parts = [np.concatenate(self.features[number]) for number in sorted(self.features)]
        return [float(one) for part in parts for one in part.mean(0, dtype=np.float64)]


class Witness:
    """Looks on while a network answers, in whatever thread that is."""

    def __init__(self, network: Network) -> None:
        self._here = threading.local()
        if isinstance(network, HasOrigin):
            for number, part in enumerate(network.origin.encoder.each()):
                if part.modality == "picture":
                    part.register_forward_hook(self._saw(number))
        if isinstance(network, Hears) and network.hearing is not None:
            network.hearing.register_forward_hook(self._heard)

    @contextmanager
    def looking(self, seen: Seen) -> Iterator[None]:
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

    def _heard(self, module: nn.Module, given: Any, found: Tensor) -> None:
        if (seen := getattr(self._here, "seen", None)) is not None:
            seen.heard.append(found.numpy(force=True).astype(np.float64))
