"""Staged scenes before photographs, at a tiny size."""

import numpy as np
import pytest

from pipeline.config import RenderSettings
from pipeline.engines.location import record
from pipeline.engines.render.script import LOCATIONS, NUM_CELLS, SCENES, write_script
from pipeline.engines.render.world.location import PLACES
from pipeline.engines.take import Take
from tests.engines.rendered import digest, digest_of_another_process, first_kept

SEED = 5
SETTINGS = RenderSettings(num_recordings=42, duration_s=1.3, heights=[48], rates_fps=[15.0])


def first_firing() -> list[Take]:
    return first_kept(lambda index: record(SEED, index, SETTINGS), range(len(SCENES)))


@pytest.fixture(scope="module")
def firing() -> list[Take]:
    return first_firing()


def test_another_process_with_one_thread_renders_the_same_bytes(firing):
    assert digest_of_another_process(__name__, "first_firing()") == digest(firing)


def test_one_scene_is_filmed_as_real_and_as_film(firing):
    assert [take.origin for take in firing] == ["real", "film"]
    assert len({take.recording for take in firing}) == 1
    assert len({take.discharges_s for take in firing}) == 1
    assert firing[0].discharges_s
    for take in firing:
        assert take.frames.dtype == np.uint8
        assert take.source.startswith("location-")


def test_it_says_what_is_photographed_and_what_rendered(firing):
    for take in firing:
        assert "photograph" in take.authority
        assert take.rendered
        assert take.licence == "CC0-1.0"
        words = dict(word.split("=") for word in take.notes.split(", ") if "=" in word)
        assert words["scene"] in ("indoor", "outdoor")
        assert words["place"] in {place.name for place in PLACES}


def test_every_place_is_filmed_with_discharges_and_without():
    assert len(LOCATIONS) % len(SCENES) == 0
    rounds = len(LOCATIONS) // len(SCENES)
    met = set()
    for index in range(rounds * NUM_CELLS):
        script = write_script("location", SEED, index, 1.0, scenes=LOCATIONS)
        assert script.plan.backdrop is not None
        met.add((script.plan.backdrop.place, script.cell.firing))
    assert len(met) == 2 * len(LOCATIONS)
