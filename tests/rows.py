"""Rows of tables that tests make, of which they name what matters to them."""

from __future__ import annotations

from typing import Any

from pipeline.store.manifest import Clip


def clip_row(**values: Any) -> Clip:
    """An original clip of which nothing is known beside `values`."""
    unknown: dict[str, Any] = {"parent_id": None, "viewpoint": "", "notes": "", "pixels_sha256": ""}
    unknown["seen"] = values.get("discharge")
    return Clip(**{**unknown, **values})
