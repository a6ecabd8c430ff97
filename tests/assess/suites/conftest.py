"""What tests of suites share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.engines.acoustics import music
from pipeline.engines.acoustics.music import bed

_BEDS: dict[str, tuple[Any, np.ndarray]] = {}
"""Music, and what it leaves of the chance that it was drawn by, by that chance before."""


@pytest.fixture(autouse=True)
def music_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the same music over the same clips of the next test, which takes seconds to make."""

    def remembered(rng: np.random.Generator, duration_s: float, tempo_bpm: float) -> np.ndarray:
        key = f"{rng.bit_generator.state} {duration_s} {tempo_bpm}"
        if key not in _BEDS:
            made = bed(rng, duration_s, tempo_bpm)
            _BEDS[key] = rng.bit_generator.state, made
        rng.bit_generator.state, made = _BEDS[key]
        return made.copy()

    monkeypatch.setattr(music, "bed", remembered)
