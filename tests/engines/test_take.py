from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.engines.take import draw_format
from pipeline.errors import UserError

RATES_FPS = [15.0, 20.0, 24.0, 25.0, 30.0]


def test_a_format_is_a_pure_function_of_what_it_is_drawn_for() -> None:
    assert draw_format(1, 2, "film", [144], RATES_FPS) == draw_format(
        1, 2, "film", [144], RATES_FPS
    )
    others = [
        draw_format(2, 2, "film", [144], RATES_FPS),
        draw_format(1, 3, "film", [144], RATES_FPS),
    ]
    others.append(draw_format(1, 2, "game", [144], RATES_FPS))
    assert all(other != draw_format(1, 2, "film", [144], RATES_FPS) for other in others)


def test_files_last_no_longer_than_their_recording_whatever_the_rate() -> None:
    for fps in RATES_FPS:
        form = replace(draw_format(1, 2, "film", [144], RATES_FPS), fps=fps)
        for duration_s in (2.3, 4.4, 10.0):
            assert -1e-6 < duration_s - form.num_frames(duration_s) / fps < 1 / fps


def test_an_odd_height_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"heights=.145.*change 145"):
        draw_format(1, 2, "film", [145], RATES_FPS)


def test_sides_are_even_and_the_picture_has_a_common_aspect() -> None:
    forms = [draw_format(3, index, "x", [144], RATES_FPS) for index in range(100)]
    assert all(form.width % 2 == 0 and form.height == 144 for form in forms)
    assert len({form.width for form in forms}) == 4
    assert {form.fps for form in forms} == set(RATES_FPS)
    assert {1.2 < form.width / form.height < 1.8 for form in forms} == {True}


def test_few_recordings_of_every_engine_have_the_same_spread_of_formats() -> None:
    for engine in ("a", "b", "c"):
        forms = [draw_format(3, index, engine, [144], RATES_FPS) for index in range(40)]
        assert [form.fps for form in forms].count(15.0) in (7, 8, 9)
        assert [form.keyint for form in forms].count(60) in (9, 10, 11)
        assert [form.width for form in forms].count(256) in (19, 20, 21)
        bits = sorted(form.kbit_s / form.width / form.fps for form in forms)
        assert bits[20] / bits[0] == pytest.approx((1.0 / 0.05) ** 0.5, rel=0.15)
