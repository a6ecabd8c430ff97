"""Works out once what parts of a network say of a file, which two passes ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from pipeline.learn.networks.base import Network, State, Streaming

Advance = Callable[..., tuple[Tensor, State]]


class AskedOnce:
    """Keeps what the answers on the discharge say of a file while it is looked at.

    The cheap pass asks them, and all of the detector does so again in the same order, about the
    same clips and from the same beginning.
    """

    def __init__(self, network: Network) -> None:
        """Put itself before the parts of a network that follows streams; of others keep nothing."""
        self._here = threading.local()
        if (factors := network.factors) is not None and isinstance(network, Streaming):
            parts: tuple[Any, Any] = factors.discharge, factors.hearing
            for part in parts:
                if part is not None:
                    part.advance = self._kept(part.advance)

    @contextmanager
    def of_a_file(self) -> Iterator[None]:
        """Keep what is said in this thread for as long as the block runs."""
        self._here.said = {}
        self.begin()
        try:
            yield
        finally:
            del self._here.said, self._here.places

    def begin(self) -> None:
        """Go through the file again from its beginning."""
        self._here.places = {}

    def _kept(self, advance: Advance) -> Advance:
        def asked(*given: Any) -> tuple[Tensor, State]:
            if (all_said := getattr(self._here, "said", None)) is None:
                return advance(*given)
            said, places = all_said.setdefault(advance, []), self._here.places
            place = places.get(advance, 0)
            places[advance] = place + 1
            if place == len(said):
                said.append(advance(*given))
            return said[place]

        return asked
