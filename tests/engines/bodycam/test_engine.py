"""Whole recordings at a tiny size."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import BodycamSettings
from pipeline.engines.bodycam import record
from pipeline.engines.bodycam.script import NUM_CELLS, SCENES, Cell
from pipeline.engines.take import Take
from pipeline.errors import UserError

SEED = 5
SETTINGS = BodycamSettings(num_recordings=8, duration_s=0.5, width=64, height=36, game_share=1.0)
FIRING, QUIET = 2, 5


def digest(takes: list[Take]) -> str:
    data = hashlib.sha256()
    for take in takes:
        data.update(f"{take.name}{take.fps}{take.source}{take.discharges_s}".encode())
        data.update(take.frames.tobytes())
    return data.hexdigest()


@pytest.fixture(scope="module")
def firing() -> list[Take]:
    return record(SEED, FIRING, SETTINGS)


@pytest.fixture(scope="module")
def quiet() -> list[Take]:
    return record(SEED, QUIET, SETTINGS)


def test_another_process_with_one_thread_renders_the_same_bytes(firing):
    code = (
        "import cv2; cv2.setNumThreads(1);"
        "from tests.engines.bodycam.test_engine import *;"
        "print(digest(record(SEED, FIRING, SETTINGS)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert other.stdout.strip() == digest(firing)


def test_rendering_other_recordings_first_changes_nothing(firing, quiet):
    assert digest(record(SEED, FIRING, SETTINGS)) == digest(firing)


def test_both_looks_share_recording_and_discharges(firing):
    real, game = firing
    assert (real.origin, game.origin) == ("real", "game")
    assert real.source.startswith("bodycam-")
    assert game.source.startswith("arcade-")
    assert real.recording == game.recording
    assert real.discharges_s == game.discharges_s
    assert real.name != game.name


def test_discharges_lie_inside_the_take_and_only_where_the_cell_fires(firing, quiet):
    for take in firing:
        assert take.discharges_s
        assert all(0 <= t < len(take.frames) / take.fps for t in take.discharges_s)
    assert all(take.discharges_s == () for take in quiet)


def test_frames_have_their_form_and_show_something(firing, quiet):
    for take in [*firing, *quiet]:
        assert take.frames.dtype == np.uint8
        assert take.frames.shape[0] == round(SETTINGS.duration_s * take.fps)
        assert take.frames.shape[1] == 36
        assert take.frames.shape[2] % 2 == 0
        assert take.frames.std(axis=(1, 2, 3)).min() > 8
        assert np.abs(np.diff(take.frames.astype(int), axis=0)).mean() > 0.2


def test_the_game_flashes_in_the_frame_of_the_discharge(firing):
    game = firing[1]
    frame = int(np.ceil(game.discharges_s[0] * game.fps))
    brightness = game.frames.astype(float).mean(axis=(1, 2, 3))
    assert brightness[frame] > brightness[frame - 1] + 1


def test_other_indices_and_seeds_differ(firing):
    assert digest(record(SEED + 1, FIRING, SETTINGS)) != digest(firing)


def test_every_choice_meets_every_scene_with_and_without_discharges():
    cells = [Cell.of(index) for index in range(4 * NUM_CELLS)]
    for num_choices in (3, 4):
        met = {(cell.rotate(num_choices), cell.scene, cell.firing) for cell in cells}
        assert len(met) == num_choices * 2 * len(SCENES)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_game_looks_is_met_for_both_classes(share):
    cells = [Cell.of(index) for index in range(8 * NUM_CELLS)]
    for firing in (False, True):
        chosen = [cell.has_game(share) for cell in cells if cell.firing == firing]
        assert np.mean(chosen) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("change", "named"), [({"width": 65}, "width=65"), ({"height": 8}, "height=8")]
)
def test_a_size_that_cannot_be_encoded_is_the_users_error(change, named):
    with pytest.raises(UserError, match=named):
        record(SEED, FIRING, replace(SETTINGS, **change))
