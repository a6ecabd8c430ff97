"""Events that a page shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from pipeline.assess import previews
from tests.made import scene

STILLS = previews.strip(scene(0, 16), "protected")
CLIP = {"seen_and_heard": {"p_real": 0.91, "p_discharge": 0.88}}


def event(kind: str, stream: str, **data: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"id": "1", "type": kind, "time": now, "data": {"stream": stream, **data}}


def opened(alert: str, stream: str, **changes: Any) -> dict[str, Any]:
    values = {
        "alert": alert,
        "opened_s": 12.8,
        "at_s": 12.8,
        "highest_level": 0.87,
        "num_clips_above": 1,
        "lag_s": 0.7,
        "last_clip": CLIP,
        "stills": STILLS,
    }
    return event("alert.opened", stream, **{**values, **changes})


def levels(seed: int, num: int = 60) -> tuple[tuple[float, float], ...]:
    """A level that wanders."""
    rng = np.random.default_rng(seed)
    found = np.clip(np.cumsum(rng.normal(0, 0.05, num)) + 0.2, 0, 1)
    return tuple((float(second), round(float(level), 3)) for second, level in enumerate(found))
