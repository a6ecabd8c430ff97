"""Every transform by family, and the strengths that have names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.store.video import Frames
from pipeline.transforms import camera, sensor
from pipeline.transforms.base import Transform
from pipeline.transforms.edits import codec, filters, geometry, graphics, screen, timing
from pipeline.transforms.overlays import hud, publisher, recorder, stream

STRENGTHS = {"mild": 0.2, "medium": 0.55, "severe": 1.0}

FAMILIES: dict[str, tuple[Transform, ...]] = {
    "camera": camera.TRANSFORMS,
    "sensor": sensor.TRANSFORMS,
    "overlays": (
        *hud.TRANSFORMS,
        *stream.TRANSFORMS,
        *recorder.TRANSFORMS,
        *publisher.TRANSFORMS,
    ),
    "edits": (
        *timing.TRANSFORMS,
        *geometry.TRANSFORMS,
        *filters.TRANSFORMS,
        *graphics.TRANSFORMS,
        *screen.TRANSFORMS,
        *codec.TRANSFORMS,
    ),
}
"""All transforms in the order in which the world applies them: film, overlay, edit, upload."""

TRANSFORMS: dict[str, Transform] = {
    transform.name: transform for family in FAMILIES.values() for transform in family
}


def apply(frames: Frames, steps: list[Mapping[str, Any]]) -> Frames:
    """Apply recorded steps in their order.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        steps: each with the `transform`'s name and its drawn `parameters`.

    Returns:
        uint8 (T, H, W, 3) RGB.
    """
    for step in steps:
        frames = TRANSFORMS[step["transform"]].apply(frames, step["parameters"])
    return frames
