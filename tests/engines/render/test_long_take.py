"""Recordings of minutes by cameras that stand, at a tiny size."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from pipeline.config import RenderSettings
from pipeline.engines import bodycam, location
from pipeline.engines.location import record_long
from pipeline.engines.render import episodes
from pipeline.engines.render.episodes import LongScript, cell_of, is_in_sight, people_at
from pipeline.engines.render.long_take import LongCameraTake
from pipeline.engines.render.script import LOCATIONS
from pipeline.engines.render.set_ups import look_at
from pipeline.engines.take import Take, VideoFormat
from pipeline.errors import UserError
from tests.engines.rendered import digest, digest_of_another_process

SEED, FIRING = 5, 0
FORMAT = VideoFormat(64, 48, 5.0, 100, 30)
SETTINGS = RenderSettings(num_recordings=4, duration_s=70.0, heights=[48], rates_fps=[5.0])


def short(index: int = FIRING) -> list[Take]:
    return record_long(SEED, index, replace(SETTINGS, duration_s=20.0))


@pytest.fixture(scope="module")
def camera() -> LongCameraTake:
    return LongCameraTake(location.RECIPE.place(SEED, FIRING, 70.0), FORMAT)


def test_three_of_five_have_discharges_and_every_fleet_and_place_is_met() -> None:
    cells = [cell_of(index) for index in range(105)]
    assert np.mean([cell.firing for cell in cells]) == pytest.approx(0.6)
    assert len({cell.rotate(7) for cell in cells[:7]}) == 7
    assert len({cell.pick(LOCATIONS) for cell in cells[:21]}) == len(LOCATIONS)


def test_nobody_is_in_sight_when_people_come_and_go(camera) -> None:
    assert len(camera.script.episodes) == 2
    for episode in camera.script.episodes:
        assert 6 <= episode.start_s <= 64
        for time_s in (episode.from_s, episode.to_s):
            (turn,), (eye,) = camera._motion.camera([time_s])
            for point in people_at(episode.script, time_s - episode.start_s):
                assert not is_in_sight(point, 0.3, (-turn[:, 2], eye), camera._half_rad - 0.3)


def test_somebody_fires_while_the_view_is_on_it(camera) -> None:
    assert camera.script.discharges_s
    for episode in camera.script.episodes:
        for actor in episode.script.actors:
            for time_s in actor.role.discharges_s:
                assert 0 <= time_s <= episode.script.duration_s
                turns, _ = camera._motion.camera([episode.start_s + time_s])
                towards = actor.place(time_s) + np.array((0, 0, 1)) - camera.eye
                assert -turns[0][:, 2] @ towards > 0


def traced_and_looked_up(camera: LongCameraTake) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures of an exposure just before somebody comes to the first episode."""
    time_s = camera.script.episodes[0].from_s - 0.01
    return camera._views[0].radiance(time_s, 0.01), camera._looked_up(time_s, 0.01)


def test_what_is_looked_up_is_what_would_be_traced(camera) -> None:
    """Nothing may jump where tracing begins: the same picture, but for the grain of sampling."""
    mapped = [one / (1 + one) for one in traced_and_looked_up(camera)]
    assert np.abs(mapped[0] - mapped[1]).mean() < 0.02
    assert np.corrcoef(mapped[0].ravel(), mapped[1].ravel())[0, 1] > 0.98


def test_only_what_may_show_something_is_traced(camera, monkeypatch) -> None:
    traced = []
    for view in camera._views:
        seen = partial(lambda view, start_s, _: traced.append(start_s) or 0, view)
        monkeypatch.setattr(view, "radiance", seen)
    monkeypatch.setattr(camera, "_looked_up", lambda start_s, exposure_s: 0)
    for number in range(350):
        camera.radiance(number / 5, 0.01)
    assert 5 < len(traced) < 90
    for episode in camera.script.episodes:
        if episode.script.actors:
            assert any(episode.from_s < time_s < episode.to_s for time_s in traced)


def scene(index: int, seed: int = SEED) -> LongCameraTake:
    """A scene of the ray tracer; 1 is a room, 4 an outdoor range and 5 a street."""
    return LongCameraTake(bodycam.RECIPE.place(seed, index, 24.0), FORMAT)


@pytest.fixture(scope="module")
def room() -> LongCameraTake:
    return scene(1)


def test_a_scene_is_looked_up_as_it_would_be_traced(room) -> None:
    assert len(room.script.place.plan.lamps) > 0
    for camera in (room, scene(5)):
        pictures = traced_and_looked_up(camera)
        mapped = [one / (float(pictures[0].mean()) + one) for one in pictures]
        assert np.abs(mapped[0] - mapped[1]).mean() < 0.03
        assert np.corrcoef(mapped[0].ravel(), mapped[1].ravel())[0, 1] > 0.95


def test_lamps_that_somebody_switches_darken_what_is_looked_up(room, monkeypatch) -> None:
    lit = room._looked_up(0.0, 0.01)
    monkeypatch.setattr(LongScript, "room_light", lambda _, times_s: np.full(len(times_s), 0.25))
    assert room._looked_up(0.0, 0.01) == pytest.approx(0.25 * lit)


def test_the_sun_is_looked_up_where_nothing_stands_before_it(monkeypatch) -> None:
    cameras = (scene(4, seed) for seed in range(40))
    camera = next(one for one in cameras if one.script.place.plan.light == "clear")
    sun = camera.script.place.world.sky.sun.astype(float)
    towards = look_at(np.zeros((1, 3)), sun[None])

    def at_the_sun(times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.repeat(towards, len(times_s), 0), np.repeat(camera.eye[None], len(times_s), 0)

    monkeypatch.setattr(camera._motion, "camera", at_the_sun)
    camera._far[:] = 1000 if camera._sees_sun() else 0
    brightest = camera._looked_up(0.0, 0.01)[20:28, 28:36].max()
    assert (brightest > 100) == camera._sees_sun()
    camera._far[:] = 0
    assert camera._looked_up(0.0, 0.01).max() < 100


def test_who_stands_in_a_scene_looks_ahead_in_between(room) -> None:
    heading = room.script.place.movement.heading
    turns, _ = room._motion.camera(np.linspace(0, 23.9, 240))
    ahead = -turns[:, :2, 2] @ (-np.sin(heading), np.cos(heading))
    assert ahead[0] > 0.5
    assert (ahead > 0.3).mean() > 0.4


def test_a_scene_is_filmed_by_the_fleets_that_film_short_recordings() -> None:
    (take,) = bodycam.record_long(SEED, 1, replace(SETTINGS, duration_s=20.0))
    assert take.origin == "real"
    assert take.name == take.recording == "bodycam-long-00001"
    assert take.source.startswith("bodycam-")
    assert take.authority.startswith("rendered by")
    assert "scene=room" in take.notes
    assert "place=" not in take.notes
    assert take.discharges_s == ()


def test_a_recording_is_one_real_file_whose_sound_is_as_long(camera) -> None:
    (take,) = short()
    assert take.origin == "real"
    assert take.name == take.recording == "location-long-00000"
    assert take.source.startswith("location-")
    assert len(take.frames) == 100
    assert take.sound is not None
    assert len(take.sound) == 20 * 48_000
    assert take.discharges_s
    assert all(0 < time_s < 20 for time_s in take.discharges_s)
    assert take.frames.std() > 6


@pytest.mark.slow
def test_another_process_with_one_thread_renders_the_same_bytes() -> None:
    assert digest_of_another_process(__name__, "short()") == digest(short())


def test_a_length_without_room_for_an_episode_is_refused() -> None:
    with pytest.raises(UserError, match=r"location\.long\.duration_s=5: .* needs 20 s"):
        record_long(SEED, 0, replace(SETTINGS, duration_s=5.0))
    assert episodes.SHORTEST_S == 20
