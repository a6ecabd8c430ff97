from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render.appearance.hud import SKINS
from pipeline.engines.render.appearance.menus import Menu, draw_menu

WIDTH, HEIGHT = 128, 72


@pytest.fixture(scope="module")
def menus() -> list[Menu]:
    return [
        draw_menu(np.random.default_rng(seed), SKINS[seed % 3], WIDTH, HEIGHT, 4.0)
        for seed in range(40)
    ]


def test_every_kind_is_drawn_and_covers_part_of_the_picture(menus):
    assert {menu.kind for menu in menus} == {"pause", "inventory", "scores"}
    picture = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    for menu in menus[:12]:
        plain = replace(menu, dim=0.0, blur_px=0.0)
        changed = np.abs(plain.draw(picture, menu.start_s) - picture).max(2) > 0.02
        assert 0.1 < changed.mean() < 0.9


def test_a_menu_shows_only_while_it_is_open(menus):
    menu = replace(menus[0], start_s=1.0, length_s=2.0)
    assert [menu.open_at(time_s) for time_s in (0.9, 1.0, 2.9, 3.1)] == [False, True, True, False]


@pytest.mark.parametrize("start_s", [-0.5, 0.0, 1.0])
def test_the_world_waits_while_a_game_is_paused_and_then_goes_on(menus, start_s):
    menu = replace(menus[0], start_s=start_s, length_s=2.0, pauses=True)
    opened = max(start_s, 0.0)
    closed = start_s + 2.0
    assert menu.world_time(opened) == menu.world_time(closed - 0.01) == pytest.approx(opened)
    assert menu.world_time(closed + 0.5) == pytest.approx(opened + 0.5)
    assert replace(menu, pauses=False).world_time(1.7) == 1.7
    for world_s in (0.5, 1.4, 2.0):
        assert menu.world_time(menu.recorded_time(world_s)) == pytest.approx(world_s)
    assert menu.recorded_time(opened + 0.2) == pytest.approx(closed + 0.2)
    assert replace(menu, pauses=False).recorded_time(1.7) == 1.7


def test_the_selection_moves(menus):
    menu = next(menu for menu in menus if len(set(menu.selections[:2])) == 2)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    first, second = (menu.draw(picture, menu.start_s + k * menu.step_s + 0.01) for k in (0, 1))
    assert np.abs(first - second).max() > 0.1
