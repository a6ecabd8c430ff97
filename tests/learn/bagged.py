from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.store.manifest import CLASSES, class_index
from pipeline.store.packed_samples import INDEX, INDEX_SCHEMA, Packed
from tests.learn.toy import write_toy

WINDOWS = 5
"""Of each bag."""


def write_bagged(folder: Path, *, num_bags: int = 6) -> Path:
    """The toy samples, and bags of which window `n % WINDOWS` of bag `n` alone shows a discharge.

    The rows of a bag do not stand together.
    """
    num_train = 32 + 4 * num_bags * WINDOWS
    write_toy(folder, num_train=num_train, num_val=16)
    samples = Packed.open(folder, folder)
    rows = samples.index.to_pylist()
    spare: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number in range(32, num_train):
        # What flashes in the last frames is seen by nobody, and in the first by few.
        brightest = samples.read(number).frames.mean((1, 2, 3)).argmax()
        if 2 <= brightest <= 5 or not rows[number]["discharge"]:
            spare[class_name(rows[number])].append(rows[number])
    found = []
    for window in range(WINDOWS):
        for number in range(num_bags):
            origin = "real" if number % 2 else "fictional"
            kind = "shooting" if number % WINDOWS == window else "other"
            row = spare[f"{origin}_{kind}"].pop()
            place = {"path": f"bag{number}", "sample_id": f"bag{number}-{window}"}
            found.append(row | place | {"discharge": 1, "seen": None, "heard": None})
    kept = [*rows[:32], *found, *rows[num_train:]]
    pq.write_table(pa.Table.from_pylist(kept, INDEX_SCHEMA), folder / INDEX)
    return folder


def class_name(row: dict[str, Any]) -> str:
    return CLASSES[class_index(row["origin"], bool(row["discharge"]))]


def planted(num_bags: int = 6) -> np.ndarray:
    """Rows of the packed index of the windows that show a discharge, (B,), a bag each."""
    numbers = np.arange(num_bags)
    return 32 + num_bags * (numbers % WINDOWS) + numbers
