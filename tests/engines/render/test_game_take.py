from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render import game_take
from pipeline.engines.render.appearance import arcade
from pipeline.engines.render.appearance.hud import SKINS
from pipeline.engines.render.game_take import ArcadePlayer, GameTake
from pipeline.engines.render.script import write_script
from pipeline.engines.take import VideoFormat

FORMAT = VideoFormat(width=64, height=36, fps=10.0, kbit_s=100, keyint=30)
DURATION_S = 1.5


def flat(value: float) -> np.ndarray:
    return np.full((8, 8, 3), value, np.float32)


def test_players_settings_spread_brightness_as_widely_as_cameras_do():
    rng = np.random.default_rng(0)
    means = []
    for index in range(200):
        graphics = arcade.draw_graphics(rng, SKINS[index % 3])
        scene = flat(0.3)
        means.append(arcade.tone(scene, arcade.expose(graphics, scene), graphics).mean())
    assert np.std(means) > 0.05
    assert 0.3 < np.mean(means) < 0.55


def test_a_dark_scene_stays_darker_than_a_bright_one():
    graphics = arcade.draw_graphics(np.random.default_rng(1), SKINS[0])
    shown = [
        arcade.tone(flat(x), arcade.expose(graphics, flat(x)), graphics).mean()
        for x in (0.005, 1.0)
    ]
    assert shown[0] < shown[1]


def test_tone_keeps_the_order_of_brightness():
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], (8, 1, 3))
    for skin in SKINS:
        graphics = arcade.draw_graphics(np.random.default_rng(2), skin)
        luma = arcade.tone(ramp, 1.0, graphics).mean(axis=(0, 2))
        assert (np.diff(luma) > -1e-3).all()


def test_about_a_third_play_without_display_and_few_without_weapon_model():
    script = write_script("game", 3, 0, DURATION_S)
    bare, hidden = [], []
    for index in range(60):
        take = GameTake(replace(script, index=index), FORMAT)
        bare.append(take.hud is None)
        hidden.append(take.arms is None)
    assert 0.15 < np.mean(bare) < 0.55
    assert 0.0 < np.mean(hidden) < 0.4


@pytest.fixture(scope="module")
def firing() -> tuple[GameTake, np.ndarray]:
    for index in range(30):
        script = write_script("game", 3, index, DURATION_S)
        if script.own_discharges_s and not script.incidents:
            take = GameTake(script, FORMAT)
            return take, take.frames()
    raise AssertionError("nobody fires")


def test_the_game_flashes_in_the_frame_of_the_discharge(firing):
    take, frames = firing
    frame = int(np.ceil(take.script.own_discharges_s[0] * FORMAT.fps))
    brightness = frames.astype(float).mean(axis=(1, 2, 3))
    assert brightness[frame] > brightness[frame - 1] + 1


def spied(monkeypatch, script, name: str) -> list[bool]:
    """Whether each call of a function of `arcade` changed its picture as a script was played."""
    changes, sound = [], getattr(arcade, name)

    def spy(picture, *rest):
        before = picture.copy()
        sound(picture, *rest)
        changes.append(bool((picture != before).any()))

    monkeypatch.setattr(arcade, name, spy)
    GameTake(script, FORMAT).frames()
    return changes


def test_bullets_leave_a_tracer_each_and_marks_from_the_first_on(firing, monkeypatch):
    script = firing[0].script
    assert len(spied(monkeypatch, script, "tracer")) == len(script.discharges_s)
    marked = spied(monkeypatch, script, "hit_marks")
    first = int(np.ceil(script.own_discharges_s[0] * FORMAT.fps))
    assert not any(marked[: first + 1])
    assert any(marked[first + 1 :])


@pytest.mark.parametrize("outlines", [True, False])
def test_only_a_skin_with_outlines_draws_them(firing, monkeypatch, outlines):
    skins = [replace(skin, outlines=outlines) for skin in SKINS]
    monkeypatch.setattr(game_take, "SKINS", skins)
    drawn = spied(monkeypatch, firing[0].script, "outline")
    assert all(drawn)
    assert bool(drawn) == outlines


def test_a_menu_opens_only_in_a_recording_without_discharges(firing, monkeypatch):
    monkeypatch.setattr(game_take, "_MENU_SHARE", 1.0)
    script = firing[0].script
    assert GameTake(script, FORMAT).menu is None
    assert GameTake(replace(script, own_discharges_s=(), actors=[]), FORMAT).menu is not None


def test_a_weapon_that_is_not_raised_points_down_and_aside(firing):
    script = replace(firing[0].script, own_discharges_s=())
    low, high = (
        ArcadePlayer(np.random.default_rng(0), replace(script, held_up=up), script.weapon)
        for up in (False, True)
    )
    assert low.weapon_pose(0.5)[0][2, 1] < -0.4 < high.weapon_pose(0.5)[0][2, 1]
