"""Every transform, of pictures by family and of sound, and the strengths that have names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.store.sound import Samples
from pipeline.store.video import Frames
from pipeline.transforms import camera, sensor
from pipeline.transforms.base import Transform
from pipeline.transforms.edits import codec, filters, geometry, graphics, screen, timing
from pipeline.transforms.overlays import hud, publisher, recorder, stream
from pipeline.transforms.sound import band, covering, level, place
from pipeline.transforms.sound import timing as sound_timing
from pipeline.transforms.sound.base import SoundTransform

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
"""Transforms of pictures in the order in which the world applies them: film, overlay, edit."""

TRANSFORMS: dict[str, Transform] = {
    transform.name: transform for family in FAMILIES.values() for transform in family
}

SOUND: tuple[SoundTransform, ...] = (
    *place.TRANSFORMS,
    *level.TRANSFORMS,
    *covering.TRANSFORMS,
    *sound_timing.TRANSFORMS,
    *band.TRANSFORMS,
)
"""Transforms of sound in the order in which the world applies them."""

SOUND_TRANSFORMS: dict[str, SoundTransform] = {transform.name: transform for transform in SOUND}

EVERY: dict[str, Transform | SoundTransform] = {**TRANSFORMS, **SOUND_TRANSFORMS}
"""Transforms of both kinds by name, in the order in which the world applies those of each."""


def draw_step(
    name: str, rng: np.random.Generator, strength: float, **forced: Any
) -> dict[str, Any]:
    """Draw a step that `apply` and `apply_to_sound` take.

    Args:
        name: of a transform of either kind.
        rng: draws its parameters.
        strength: in [0, 1], from the faintest to the most severe.
        forced: parameters that are these, whatever is drawn.

    Returns:
        JSON-able: the `transform`'s name, the `strength`, and the `parameters`.
    """
    parameters = EVERY[name].draw(rng, strength) | forced
    return {"transform": name, "strength": strength, "parameters": parameters}


def apply(frames: Frames, steps: Sequence[Mapping[str, Any]]) -> Frames:
    """Apply recorded steps in their order to the pictures of a clip; those of sound do nothing.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        steps: each with the `transform`'s name and its drawn `parameters`.

    Returns:
        uint8 (T, H, W, 3) RGB.
    """
    for step in steps:
        if step["transform"] not in SOUND_TRANSFORMS:
            frames = TRANSFORMS[step["transform"]].apply(frames, step["parameters"])
    return frames


def apply_to_sound(samples: Samples, steps: Sequence[Mapping[str, Any]]) -> Samples:
    """Apply recorded steps in their order to the sound of a clip.

    Args:
        samples: int16 (n,) at `SOUND_HZ`, as long as the clip.
        steps: as `apply` has them; of those of pictures only some change the sound.

    Returns:
        int16 (n,).
    """
    for step in steps:
        name, parameters = step["transform"], step["parameters"]
        if name in SOUND_TRANSFORMS:
            samples = SOUND_TRANSFORMS[name].apply(samples, parameters)
        elif (follow := TRANSFORMS[name].follow) is not None:
            samples = follow(samples, parameters)
    return samples
