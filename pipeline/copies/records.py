"""What the files of hashes of a bank consist of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies.fingerprint import HASH_BYTES

RECORD = np.dtype(
    {
        "names": ["item", "time_ms", "pdq", "mirror", "quality", "kind", "zeros"],
        "formats": [
            *("<u4", "<u4", (np.uint8, HASH_BYTES), (np.uint8, HASH_BYTES), np.uint8, np.uint8),
            (np.uint8, 6),
        ],
    }
)
"""A hashed picture: number of its item, its time, PDQ, PDQ of its mirror image, quality, and which
part of it that is (`parts`). The zeros are a field since numpy copies no bytes that are in none."""
SOUND_RECORD = np.dtype([("item", "<u4"), ("time_ms", "<u4"), ("print", "<u4")])
"""A moment of sound: number of its item, when it begins, and what Chromaprint says of it."""


def sound_records(times_ms: NDArray[np.uint32], sounds: NDArray[np.uint32]) -> NDArray[Any]:
    """Sound as records of a bank, `SOUND_RECORD` (M,), from times and items of Chromaprint."""
    records = np.zeros(len(sounds), SOUND_RECORD)
    records["time_ms"], records["print"] = times_ms, sounds
    return records
