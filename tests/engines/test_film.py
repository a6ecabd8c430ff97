"""Whole recordings of the film engine at a tiny size."""

import pytest

from pipeline.config import RenderSettings
from pipeline.engines.film import record
from pipeline.engines.take import Take
from pipeline.errors import UserError
from tests.engines.rendered import digest, digest_of_another_process

SEED = 5
SETTINGS = RenderSettings(num_recordings=8, duration_s=1.3, heights=[48], rates_fps=[15.0, 24.0])
FIRING, QUIET = 3, 23


@pytest.fixture(scope="module")
def firing() -> Take:
    (take,) = record(SEED, FIRING, SETTINGS)
    return take


def test_another_process_with_one_thread_renders_the_same_bytes(firing):
    other = digest_of_another_process(__name__, "record(SEED, FIRING, SETTINGS)")
    assert other == digest([firing])


def test_rendering_another_recording_first_changes_nothing(firing):
    (quiet,) = record(SEED, QUIET, SETTINGS)
    assert quiet.discharges_s == ()
    assert digest(record(SEED, FIRING, SETTINGS)) == digest([firing])


def test_a_recording_is_one_film_of_a_production(firing):
    assert firing.origin == "film"
    assert firing.source in {"cinema-amber", "cinema-cobalt", "cinema-silver"}
    assert firing.viewpoint == "cinematic"
    assert firing.recording.startswith("film-")


def test_discharges_lie_inside_the_take(firing):
    assert firing.discharges_s
    assert all(0 <= t < len(firing.frames) / firing.format.fps for t in firing.discharges_s)


def test_other_seeds_differ(firing):
    assert digest(record(SEED + 1, FIRING, SETTINGS)) != digest([firing])


def test_a_height_that_cannot_be_encoded_is_the_users_error():
    with pytest.raises(UserError, match="heights"):
        record(
            SEED,
            FIRING,
            RenderSettings(num_recordings=1, duration_s=1.3, heights=[37], rates_fps=[15.0, 24.0]),
        )
