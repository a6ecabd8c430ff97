"""Whole recordings at a tiny size."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import RenderSettings
from pipeline.engines.bodycam import record
from pipeline.engines.render.script import NUM_CELLS
from pipeline.engines.take import Take
from pipeline.errors import UserError
from tests.engines.rendered import digest, digest_of_another_process

SEED = 5
SETTINGS = RenderSettings(num_recordings=8, duration_s=0.6, heights=[48], rates_fps=[15.0, 24.0])
FIRING, QUIET = 2, 2 + NUM_CELLS // 2


@pytest.fixture(scope="module")
def firing() -> Take:
    (take,) = record(SEED, FIRING, SETTINGS)
    return take


@pytest.fixture(scope="module")
def quiet() -> Take:
    (take,) = record(SEED, QUIET, SETTINGS)
    return take


def test_another_process_with_one_thread_renders_the_same_bytes(firing, quiet):
    other = digest_of_another_process(
        __name__, "record(SEED, QUIET, SETTINGS) + record(SEED, FIRING, SETTINGS)"
    )
    assert other == digest([quiet, firing])


def test_rendering_other_recordings_first_changes_nothing(firing, quiet):
    assert digest(record(SEED, FIRING, SETTINGS)) == digest([firing])


def test_discharges_lie_inside_the_take_and_only_where_the_cell_fires(firing, quiet):
    assert firing.discharges_s
    assert all(0 <= t < SETTINGS.duration_s for t in firing.discharges_s)
    assert quiet.discharges_s == ()


def test_frames_have_their_form_and_show_something(firing, quiet):
    for take in (firing, quiet):
        assert take.origin == "real"
        assert take.source.startswith("bodycam-")
        form = take.format
        num_frames = form.num_frames(SETTINGS.duration_s)
        assert take.frames.dtype == np.uint8
        assert take.frames.shape == (num_frames, form.height, form.width, 3)
        assert take.frames.std(axis=(1, 2, 3)).max() > 8
        assert np.abs(np.diff(take.frames.astype(int), axis=0)).mean() > 0.2


def test_other_seeds_differ(firing):
    assert digest(record(SEED + 1, FIRING, SETTINGS)) != digest([firing])


def test_a_height_that_cannot_be_encoded_is_the_users_error():
    with pytest.raises(UserError, match="change 35"):
        record(SEED, FIRING, replace(SETTINGS, heights=[48, 35]))
