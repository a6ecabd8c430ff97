"""One scene in three appearances, at a tiny size."""

import numpy as np
import pytest

from pipeline.config import RenderSettings
from pipeline.engines.render.camera_take import fleet_of
from pipeline.engines.render.script import NUM_CELLS, DesignCell
from pipeline.engines.take import Take, draw_format
from pipeline.engines.twins import record
from tests.engines.rendered import digest, digest_of_another_process, first_kept

SEED = 5
SETTINGS = RenderSettings(num_recordings=24, duration_s=1.3, heights=[48], rates_fps=[15.0, 24.0])


def num_pixels(index: int) -> float:
    format = draw_format(SEED, index, "twins", SETTINGS.heights, SETTINGS.rates_fps)
    return format.fps * format.width


def first(firing: bool) -> list[Take]:
    """Return the smallest recording that is not dropped."""
    indices = [index for index in range(4 * NUM_CELLS) if DesignCell.of(index).firing == firing]
    return first_kept(lambda index: record(SEED, index, SETTINGS), sorted(indices, key=num_pixels))


@pytest.fixture(scope="module")
def firing() -> list[Take]:
    return first(firing=True)


@pytest.fixture(scope="module")
def quiet() -> list[Take]:
    return first(firing=False)


def test_another_process_with_one_thread_renders_the_same_bytes(firing):
    other = digest_of_another_process(__name__, "first(firing=True)")
    assert other == digest(firing)


def test_all_looks_share_recording_and_discharges(firing, quiet):
    for takes in (firing, quiet):
        assert [take.origin for take in takes] == ["real", "game", "film"]
        assert len({take.recording for take in takes}) == 1
        assert len({take.discharges_s for take in takes}) == 1
        assert len({take.format for take in takes}) == 1
        assert len({take.name for take in takes}) == 3
    assert firing[0].discharges_s
    assert not quiet[0].discharges_s


def test_sources_and_viewpoints_name_their_look(firing):
    assert [take.source.split("-")[0] for take in firing] == ["bodycam", "arcade", "cinema"]
    camera, game, film = (take.viewpoint for take in firing)
    is_worn = fleet_of(DesignCell.of(int(firing[0].name.split("-")[-1]))).is_worn
    assert camera in (("body", "hand-held", "fixed") if is_worn else ("fixed",))
    assert (game, film) == ("first-person", "cinematic")


def test_notes_say_what_is_seen(firing, quiet):
    for take in [*firing, *quiet]:
        words = dict(word.split("=") for word in take.notes.split(", ") if "=" in word)
        assert set(words) == {"scene", "light", "weapon", "overlay"}
        assert words["weapon"] in ("own", "others", "none")
    assert len({take.notes.split(", ")[0] for take in firing}) == 1


def test_every_take_has_the_frames_of_its_own_format(firing, quiet):
    for take in [*firing, *quiet]:
        num_frames = take.format.num_frames(SETTINGS.duration_s)
        size = (take.format.height, take.format.width)
        assert take.frames.shape == (num_frames, *size, 3)
        assert take.frames.dtype == np.uint8


def test_the_looks_are_different_pictures(firing):
    thumbnails = [take.frames[0].mean(axis=(0, 1)) for take in firing]
    assert np.abs(thumbnails[0] - thumbnails[1]).max() > 1
    assert np.abs(thumbnails[1] - thumbnails[2]).max() > 1
