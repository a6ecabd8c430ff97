"""Films of minutes, at a tiny size."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import RenderSettings
from pipeline.engines.acoustics.sources import BLANK, DISCHARGE
from pipeline.engines.film import RECIPE, record_long
from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.long_film_take import LongFilmTake
from pipeline.engines.render.sound import long_sound_scene
from pipeline.engines.take import Take, UnusableDraw, VideoFormat
from tests.engines.rendered import digest, digest_of_another_process

SEED, FIRING, QUIET = 5, 0, 1
FORMAT = VideoFormat(64, 36, 5.0, 100, 30)
SETTINGS = RenderSettings(num_recordings=4, duration_s=20.0, heights=[36], rates_fps=[5.0])


def film(index: int, duration_s: float) -> LongFilmTake:
    return LongFilmTake(RECIPE.place(SEED, index, duration_s), FORMAT)


def short() -> list[Take]:
    return record_long(SEED, FIRING, SETTINGS)


@pytest.fixture(scope="module")
def take() -> LongFilmTake:
    return film(FIRING, 70.0)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return film(FIRING, 40.0).frames()


def test_people_act_in_episodes_of_a_few_seconds_that_begin_with_a_frame(take) -> None:
    assert len(take.script.episodes) == 2
    for episode, acted in zip(take.script.episodes, take._takes, strict=True):
        assert 3 <= episode.start_s <= 62
        assert 2.8 <= acted.script.duration_s <= 5
        assert episode.start_s * FORMAT.fps == pytest.approx(round(episode.start_s * FORMAT.fps))
        assert acted.cast


def test_frames_have_their_form_and_show_something(frames) -> None:
    assert frames.shape == (200, 36, 64, 3)
    assert frames.std(axis=(1, 2, 3)).min() > 4


def test_an_episode_is_shown_when_its_discharges_are(take, monkeypatch) -> None:
    shown = iter((201, 202))

    def acted(self: FilmTake) -> np.ndarray:
        size = FORMAT.num_frames(self.script.duration_s), FORMAT.height, FORMAT.width, 3
        return np.full(size, next(shown), np.uint8)

    monkeypatch.setattr(FilmTake, "frames", acted)
    frames = take.frames()
    assert take.script.discharges_s
    for episode, value in zip(take.script.episodes, (201, 202), strict=True):
        times_s = np.flatnonzero((frames == value).all(axis=(1, 2, 3))) / FORMAT.fps
        assert times_s[0] == pytest.approx(episode.start_s)
        assert times_s[-1] == pytest.approx(episode.to_s - 1 / FORMAT.fps)
        for time_s in episode.script.discharges_s:
            assert times_s[0] < episode.start_s + time_s < times_s[-1] + 1 / FORMAT.fps


def test_discharges_are_heard_when_they_are_seen_and_steps_of_every_lead(take) -> None:
    walking = [replace(one, steps_s=(0.5, 1.0)) for one in take.listeners()]
    scene = long_sound_scene(take.script, walking, 70.0)
    fired = [one.time_s for one in scene.events if one.kind in (DISCHARGE, BLANK)]
    assert sorted(fired) == pytest.approx(take.script.discharges_s, abs=1e-3)
    steps = [one.start_s + time_s for one in take.script.episodes for time_s in (0.5, 1.0)]
    assert scene.ambience.gait.times_s == pytest.approx(steps)


def test_the_picture_cuts_every_few_seconds(frames) -> None:
    change = np.abs(np.diff(frames.astype(int), axis=0)).mean(axis=(1, 2, 3))
    cuts = np.flatnonzero(change > 4 * np.median(change)) / FORMAT.fps
    assert len(cuts) > 5
    assert np.diff([0, *cuts, 40]).max() < 16


def test_only_episodes_are_traced_frame_by_frame(monkeypatch) -> None:
    traced = []
    radiance = FilmTake._radiance
    monkeypatch.setattr(
        FilmTake,
        "_radiance",
        lambda self, camera, start_s: traced.append(start_s) or radiance(self, camera, start_s),
    )
    take = film(QUIET, 20.0)
    assert take.frames().shape[0] == 100
    (episode,) = take.script.episodes
    assert len(traced) == round((episode.to_s - episode.from_s) * FORMAT.fps)
    assert take.script.discharges_s == ()


def test_a_view_that_pans_shows_what_would_be_traced_from_there(take) -> None:
    """A picture that is turned from another one is that of a camera that is turned."""
    view = take._find_view(None)
    pan = np.array((0.1, 0.0, 0.0))
    still = replace(view.set_up, target_velocity=np.zeros(3), wobble=np.zeros((3, 3)))
    panned = replace(view, set_up=replace(still, target_velocity=pan))
    later = replace(still, target=still.target + 4 * pan)
    shown = []
    for one, count in ((panned, 21), (replace(view, set_up=later), 1)):
        part = np.zeros((count, 36, 64, 3), np.uint8)
        lab = take._takes[0]._filming[0]
        lab._stock = replace(lab._stock, grain=0.0)
        take._film_view(lab, part, one)
        shown.append(part[-1].astype(float))
    assert np.abs(shown[0] - shown[1]).mean() < 6
    assert np.corrcoef(shown[0].ravel(), shown[1].ravel())[0, 1] > 0.97


def test_a_film_fires_blanks_in_all_its_episodes_or_in_none(take) -> None:
    listeners = take.listeners()
    assert len({one.fires_blanks for one in listeners}) == 1
    assert len(listeners) == len(take.script.episodes)


def test_a_recording_is_one_film_whose_sound_is_as_long() -> None:
    (take,) = short()
    assert take.origin == "film"
    assert take.name == take.recording == "film-long-00000"
    assert take.source in {"cinema-amber", "cinema-cobalt", "cinema-silver"}
    assert take.viewpoint == "cinematic"
    assert "place=" not in take.notes
    assert take.authority.startswith("rendered by")
    assert take.sound is not None
    assert len(take.sound) == 20 * 48_000
    assert take.discharges_s


def test_an_episode_is_drawn_anew_while_no_set_up_shows_anybody(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(
        FilmTake, "can_be_shown", lambda self: asked.append(self.script.engine) or len(asked) > 2
    )
    film(FIRING, 20.0)
    assert asked == ["film long 0", "film long 1000", "film long 2000"]
    monkeypatch.setattr(FilmTake, "can_be_shown", lambda _: False)
    with pytest.raises(UnusableDraw, match="no_set_up"):
        film(FIRING, 20.0)


@pytest.mark.slow
def test_another_process_with_one_thread_renders_the_same_bytes() -> None:
    assert digest_of_another_process(__name__, "short()") == digest(short())
