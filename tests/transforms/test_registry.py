from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pipeline import app
from pipeline.commands.testcard import testcard as moving_scene
from pipeline.store.video import Frames
from pipeline.transforms import registry
from pipeline.transforms.base import Transform
from tests.transforms.replaying import replayed

SCENE = moving_scene(8, 96)
EVERY = list(registry.TRANSFORMS.values())


def varied(transform: Transform, strength: float, seed: int, frames: Frames = SCENE) -> Frames:
    return transform.apply(frames, transform.draw(np.random.default_rng(seed), strength))


def distance(frames: Frames) -> float:
    return float(np.abs(frames.astype(int) - SCENE).mean())


def digest() -> str:
    """Of all transforms at two strengths, applied to the scene."""
    total = hashlib.sha256()
    for transform in EVERY:
        for strength in (0.3, 1.0):
            total.update(varied(transform, strength, 5).tobytes())
    return total.hexdigest()


def test_names_are_unique_and_the_families_of_the_issue_are_there() -> None:
    names = [t.name for family in registry.FAMILIES.values() for t in family]
    assert len(names) == len(set(names)) == len(EVERY)
    assert list(registry.FAMILIES) == ["camera", "sensor", "overlays", "edits"]
    assert list(registry.STRENGTHS) == ["mild", "medium", "severe"]


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: t.name)
def test_every_strength_keeps_shape_and_type_and_replays_from_its_record(
    transform: Transform,
) -> None:
    for _, changed in replayed(transform, SCENE, registry.apply):
        assert changed.dtype == np.uint8


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: t.name)
def test_the_more_severe_the_farther_from_the_original_on_average(transform: Transform) -> None:
    mild, medium, severe = (
        np.mean([distance(varied(transform, strength, seed)) for seed in range(6)])
        for strength in registry.STRENGTHS.values()
    )
    assert 0 < mild < medium < severe


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: t.name)
def test_another_size_and_length_work_too(transform: Transform) -> None:
    assert varied(transform, 1, 0, moving_scene(5, 64)).shape == (5, 64, 64, 3)


def test_a_step_of_either_kind_is_drawn_by_its_name_and_changes_what_it_is_of() -> None:
    assert list(registry.EVERY) == [*registry.TRANSFORMS, *registry.SOUND_TRANSFORMS]
    heard = np.random.default_rng(0).integers(-9000, 9000, 12_800).astype(np.int16)
    changed = {
        name: (
            not np.array_equal(registry.apply(SCENE, [step]), SCENE),
            not np.array_equal(registry.apply_to_sound(heard, [step]), heard),
        )
        for name in ("letterbox", "speed", "gain")
        for step in [registry.draw_step(name, np.random.default_rng(3), 0.9)]
    }
    assert changed == {"letterbox": (True, False), "speed": (True, True), "gain": (False, True)}


def test_what_is_forced_is_a_step_s_whatever_is_drawn() -> None:
    mute = registry.SOUND_TRANSFORMS["mute"]
    step = registry.draw_step("mute", np.random.default_rng(3), 0.5, share=1.0)
    assert step == {
        "transform": "mute",
        "strength": 0.5,
        "parameters": mute.draw(np.random.default_rng(3), 0.5) | {"share": 1.0},
    }


def test_another_process_with_one_thread_makes_the_same_bytes() -> None:
    code = (
        "import cv2; cv2.setNumThreads(1);"
        "from tests.transforms.test_registry import digest; print(digest())"
    )
    command = [sys.executable, "-c", code]
    environment: dict[str, Any] = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "PATH": ""}
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=app.PROJECT, env=environment
    )
    assert result.stdout.strip() == digest()
