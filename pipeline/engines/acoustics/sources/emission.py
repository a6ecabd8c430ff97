"""What a source sends out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Emission:
    """One waveform of an event."""

    wave: Vector
    """Pascal at 1 m (at right angles to the line of fire); it begins `signals.LEAD` early."""
    delay_s: float = 0.0
    """After the event, negative before it."""
    directed: bool = False
    """Whether it has the directivity of a muzzle."""
    is_shock: bool = False
    """Whether it is so strong a blast that it loses more on the way than 1 / r."""
