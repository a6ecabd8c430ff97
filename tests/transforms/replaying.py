"""What every transform has to do, of pictures and of sound."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.transforms import registry
from pipeline.transforms.base import Transform
from pipeline.transforms.sound.base import SoundTransform


def replayed(
    transform: Transform | SoundTransform,
    given: np.ndarray,
    apply: Callable[[Any, Sequence[Mapping[str, Any]]], np.ndarray],
) -> Iterator[tuple[float, np.ndarray]]:
    """Each strength and what it makes of `given`: of its shape and type, and from its record too.

    `apply` is that of the registry.
    """
    before = given.copy()
    for number, strength in enumerate((0.0, *registry.STRENGTHS.values())):
        drawn = transform.draw(np.random.default_rng(number), strength)
        recorded = json.loads(json.dumps(drawn, sort_keys=True))
        changed = transform.apply(given, drawn)
        assert changed.shape == given.shape
        assert changed.dtype == before.dtype
        assert np.array_equal(given, before), "it wrote into what it was given"
        steps = [{"transform": transform.name, "parameters": recorded}]
        assert np.array_equal(changed, apply(given, steps))
        yield strength, changed
