from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render import film_take, set_ups
from pipeline.engines.render.appearance.cinema import STYLES
from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.hero import Hero
from pipeline.engines.render.motion import Movement
from pipeline.engines.render.script import NUM_CELLS, DesignCell, Script, write_script
from pipeline.engines.take import UnusableDraw, VideoFormat

FORMAT = VideoFormat(width=64, height=36, fps=10.0, kbit_s=100, keyint=30)
DURATION_S = 1.6


def first(wanted) -> Script:
    """Return the first script that `wanted` accepts, judged before anything is rendered."""
    scripts = (write_script("film", 7, index, DURATION_S) for index in range(40))
    return next(script for script in scripts if wanted(script))


@pytest.fixture(scope="module")
def firing() -> Script:
    return first(lambda s: s.own_discharges_s and not s.incidents)


@pytest.fixture(scope="module")
def take(firing) -> FilmTake:
    return FilmTake(firing, FORMAT)


@pytest.fixture(scope="module")
def frames(take) -> np.ndarray:
    return take.frames()


def test_frames_have_their_form_and_show_something(frames):
    assert frames.shape == (16, 36, 64, 3)
    assert frames.dtype == np.uint8
    assert frames.std(axis=(1, 2, 3)).min() > 8
    assert np.abs(np.diff(frames.astype(int), axis=0)).mean() > 0.2


def test_the_wearer_stands_in_the_picture_and_fires_when_the_script_says(take, firing):
    hero = take.cast[-1]
    assert isinstance(hero, Hero)
    assert hero.role.discharges_s == firing.own_discharges_s
    muzzle, axis = hero.muzzle(firing.own_discharges_s[0])
    assert 0.6 < muzzle[2] < 1.7
    heading = firing.movement.heading
    assert axis[:2] @ (-np.sin(heading), np.cos(heading)) > 0.9


def test_every_discharge_flashes_in_the_frame_whose_shutter_it_meets(take, frames):
    brightness = frames.astype(float).mean(axis=(1, 2, 3))
    before = brightness[: int(take.script.discharges_s[0] * FORMAT.fps)].mean()
    for time_s in take.script.discharges_s:
        frame = int(time_s * FORMAT.fps)
        assert brightness[frame : frame + 2].max() > before + 2


def test_every_flash_outlasts_the_closed_shutter(take):
    closed_s = 0.5 / FORMAT.fps
    starts = sorted(flash.start_s for flash in take.events.flashes)
    assert starts == sorted(take.script.discharges_s)
    assert min(flash.duration_s for flash in take.events.flashes) > closed_s


def test_a_walk_becomes_a_walk_that_ends_where_the_wearer_stops(firing):
    movement = Movement((1.0, 2.0), np.pi / 2, speed=1.0, stop_s=0.8)
    walker = replace(firing, weapon=None, own_discharges_s=(), action="walk", movement=movement)
    hero = Hero(np.random.default_rng(0), walker)
    assert hero.role.activity == "walk"
    assert hero.place(DURATION_S) == pytest.approx((1.0 - 0.8, 2.0, 0), abs=1e-9)


def test_a_weapon_that_is_not_raised_points_down(firing):
    movement = replace(firing.movement, duck_s=None)
    quiet = replace(firing, own_discharges_s=(), incidents=(), movement=movement)
    low, high = (
        Hero(np.random.default_rng(0), replace(quiet, held_up=up)).muzzle(0.5)
        for up in (False, True)
    )
    assert low[1][2] < -0.4 < high[1][2]
    assert low[0][2] < high[0][2] - 0.2


def test_without_a_place_for_the_camera_the_draw_is_dropped(firing, monkeypatch):
    monkeypatch.setattr(set_ups, "draw_set_up", lambda *_: None)
    with pytest.raises(UnusableDraw, match="no_set_up"):
        FilmTake(firing, FORMAT).frames()


def test_a_hidden_person_is_not_filmed(firing, monkeypatch):
    monkeypatch.setattr(set_ups, "shows", lambda *_: False)
    with pytest.raises(UnusableDraw, match="no_set_up"):
        FilmTake(firing, FORMAT).frames()


def test_a_cut_changes_the_picture_more_than_motion_does():
    script = first(lambda s: FilmTake(s, FORMAT).cuts_s and not s.incidents)
    take = FilmTake(script, FORMAT)
    change = np.abs(np.diff(take.frames().astype(int), axis=0)).mean(axis=(1, 2, 3))
    cuts = [round(time_s * FORMAT.fps) - 1 for time_s in take.cuts_s]
    assert change[cuts].min() > 2 * np.median(change)


def test_films_are_about_the_armed_whether_anybody_fires_or_not():
    armed: dict[bool, list[bool]] = {True: [], False: []}
    for index in range(NUM_CELLS):
        script = write_script("film", 7, index, DURATION_S)
        hero = Hero(np.random.default_rng(0), script)
        is_armed = film_take.lead(script, hero).role.weapon is not None
        armed[script.cell.firing].append(is_armed)
    assert np.mean(armed[True]) == 1
    assert np.mean(armed[False]) > 0.65


def test_a_film_of_others_who_hold_their_weapons_is_about_one_of_them():
    script = first(lambda s: s.action == "others_hold")
    hero = Hero(np.random.default_rng(0), script)
    assert film_take.lead(script, hero) in script.actors
    assert film_take.lead(replace(script, actors=[]), hero) is hero


def test_every_style_meets_every_scene_with_and_without_discharges():
    cells = [DesignCell.of(index) for index in range(3 * NUM_CELLS)]
    met = {(cell.rotate(len(STYLES)), cell.scene, cell.firing) for cell in cells}
    assert len(met) == len(STYLES) * NUM_CELLS
