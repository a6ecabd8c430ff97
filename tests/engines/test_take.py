from __future__ import annotations

import numpy as np

from pipeline.engines.take import draw_format


def test_a_format_is_a_pure_function_of_what_it_is_drawn_for() -> None:
    assert draw_format(1, 2, "film", [144]) == draw_format(1, 2, "film", [144])
    others = [draw_format(2, 2, "film", [144]), draw_format(1, 3, "film", [144])]
    others.append(draw_format(1, 2, "game", [144]))
    assert all(other != draw_format(1, 2, "film", [144]) for other in others)


def test_every_look_draws_from_one_distribution() -> None:
    looks = {
        look: [draw_format(7, index, look, [144, 180]) for index in range(600)]
        for look in ("bodycam real", "vizdoom")
    }
    for name in ("width", "height", "fps", "kbit_s", "keyint"):
        means = [np.mean([getattr(form, name) for form in forms]) for forms in looks.values()]
        assert np.ptp(means) < 0.12 * np.mean(means)


def test_sides_are_even_and_the_picture_has_a_common_aspect() -> None:
    forms = [draw_format(3, index, "x", [144]) for index in range(100)]
    assert all(form.width % 2 == 0 and form.height == 144 for form in forms)
    assert len({form.width for form in forms}) == 4
    assert {1.2 < form.width / form.height < 1.8 for form in forms} == {True}
