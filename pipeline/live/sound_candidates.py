"""Which items of banks may sound like a stream, with each moment compared with a bank once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import candidates
from pipeline.copies.banks import Bank


class SoundCandidates:
    """Remembers which items half a window of sound was near, until the window must be whole."""

    def __init__(self, *, narrow: bool) -> None:
        """Begin with nothing.

        Args:
            narrow: what comes is of a narrow band.
        """
        self._narrow = narrow
        self._found: dict[str, dict[int, int]] = {}
        self._looked_in: dict[str, Bank] = {}

    def of(self, items: NDArray[np.uint32], num_new: int, num_so_far: int, bank: Bank) -> list[int]:
        """Numbers of the items with a window that may agree and ends with what is new, ascending.

        Args:
            items: of Chromaprint of late, uint32 (n,), one after the other.
            num_new: how many of them came since this was asked the last time.
            num_so_far: how many came since the stream began.
            bank: to look in.
        """
        half, name = candidates.sound_part(narrow=self._narrow), bank.name
        found: dict[int, int] = {}
        num_ends = num_new
        if self._looked_in.get(name) is bank:
            since = num_so_far - num_new - half
            found = {number: at for number, at in self._found[name].items() if at > since}
        else:
            # What was heard before may be near items that are new.
            num_ends += half
        near = candidates.by_sound(items, num_ends, bank, narrow=self._narrow)
        self._found[name] = found | dict.fromkeys(near, num_so_far)
        self._looked_in[name] = bank
        return sorted(self._found[name])
