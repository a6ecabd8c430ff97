from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from pipeline.engines.acoustics.ambience import draw
from pipeline.engines.acoustics.render import arrivals, capture, pressure, render
from pipeline.engines.acoustics.room import ROOMS, Room
from pipeline.engines.acoustics.scene import (
    Ambience,
    FilmMix,
    Footsteps,
    Microphone,
    SoundEvent,
    SoundScene,
)
from pipeline.engines.acoustics.signals import RATE_HZ, Vector, level_db, rms

HUSHED = Ambience(hush_db=10.0)
FREE = Room("free", 0.5, ground=0.0)


def scene(kind: str = "discharge", y: float = 4.0, **changed: object) -> SoundScene:
    event = SoundEvent(0.3, kind, (0.5, y, 0.0), (1.0, 0.0, 0.0))
    whole = SoundScene(1.2, (5, 2), (event,), Microphone(), FREE, ambience=HUSHED)
    return replace(whole, **changed)  # type: ignore[arg-type]


def test_samples_are_as_many_as_asked_for() -> None:
    for rate_hz in (16_000, 24_000, 44_100, 48_000):
        samples = render(scene(), rate_hz)
        assert samples.dtype == np.int16
        assert samples.shape == (round(1.2 * rate_hz),)
    sixteenths = scene(duration_s=16 / 15)
    assert render(sixteenths, 24_000).shape == (16 * 1600,)


def test_the_same_scene_is_the_same_bytes_in_any_process() -> None:
    scenes = [scene("rocket"), scene(room=ROOMS["street"], capture=FilmMix(music_db=0.0))]
    here = [render(one).tobytes() for one in scenes]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        there = [samples.tobytes() for samples in pool.map(render, scenes)]
    assert here == there
    assert render(replace(scenes[0], seed=(5, 3))).tobytes() != here[0]


def test_an_event_does_not_change_the_others() -> None:
    one = scene("door", room=ROOMS["room"])
    more = replace(one, events=(*one.events, SoundEvent(0.9, "clap", (1.0, 1.0, 0.0))))
    before = round(0.88 * RATE_HZ)
    assert np.allclose(pressure(one)[:before], pressure(more)[:before], rtol=0, atol=1e-12)
    assert not np.allclose(pressure(one)[before:], pressure(more)[before:])


@pytest.mark.parametrize("away", [3.0, 30.0])
def test_levels_and_times_come_from_the_distance(away: float) -> None:
    silent = Ambience(hush_db=-40.0)
    heard = pressure(scene("firecracker", away, ambience=silent))
    first = int(np.argmax(np.abs(heard) > 0.5 * np.abs(heard).max()))
    way = np.hypot(0.5, away)
    assert first / RATE_HZ == pytest.approx(0.3 + way / 343.2, abs=2e-4)
    loss = 20 * np.log10(way) + 1.3 * np.log10(way)
    # 140 to 152 dB at 1 m; the air takes a decibel or so of the front.
    assert 136 - loss < level_db(float(np.abs(heard).max())) < 156 - loss


def test_a_supersonic_bullet_is_heard_first() -> None:
    event = SoundEvent(0.3, "discharge", (3.0, 80.0, 0.0), (0.0, -1.0, 0.0), "carbine_556")
    fired = scene(events=(event,))
    (heard_s,) = arrivals(fired)
    bang_s = 0.3 + np.hypot(3, 80) / 343.2
    assert 0.08 < bang_s - heard_s < 0.16
    wave = np.abs(pressure(fired))
    crack = wave[round((heard_s - 2e-3) * RATE_HZ) : round((heard_s + 5e-3) * RATE_HZ)]
    assert crack.max() > 20
    assert wave[: round((heard_s - 2e-3) * RATE_HZ)].max() < 0.1
    (away_s,) = arrivals(scene(events=(replace(event, aim=(0.0, 1.0, 0.0)),)))
    assert away_s == pytest.approx(bang_s, abs=1e-3)
    assert arrivals(scene("door")) == [pytest.approx(0.3 + np.hypot(0.5, 4) / 343.2, abs=1e-3)]


def test_a_suppressor_is_a_gain() -> None:
    (event,) = scene().events
    loud, quiet = (
        np.abs(pressure(scene(events=(replace(event, gain_db=gain),)))).max() for gain in (0, -20)
    )
    assert 20 * np.log10(loud / quiet) == pytest.approx(20, abs=0.5)


def test_ambience_has_its_level_its_gusts_and_its_steps() -> None:
    def alone(ambience: Ambience) -> Vector:
        return pressure(scene(events=(), ambience=ambience, duration_s=4.0))

    assert level_db(rms(alone(Ambience(hush_db=50)))) == pytest.approx(50, abs=0.5)
    windy = alone(Ambience(hush_db=20, wind_m_s=4.0))
    assert 78 < level_db(rms(windy)) < 92
    power = np.abs(np.fft.rfft(windy)) ** 2
    assert power[: 4 * 200].sum() > 0.9 * power.sum()
    strikes = (0.5, 1.1, 1.7)
    walked = alone(Ambience(hush_db=20, gait=Footsteps(strikes), cloth=0.0))
    still = alone(Ambience(hush_db=20))
    steps = np.abs(walked - still)
    for time_s in strikes:
        place = round(time_s * RATE_HZ)
        assert steps[place : place + 9600].max() > 10 * steps[place - 4800 : place].max()
    assert level_db(rms(alone(Ambience(hush_db=20, babble_db=60)))) == pytest.approx(60, abs=1)
    assert level_db(rms(alone(Ambience(hush_db=20, hum_db=55)))) == pytest.approx(55, abs=1)


def test_a_microphone_overloads_and_a_film_does_not() -> None:
    near = scene(y=1.0, room=ROOMS["street"])
    body = render(replace(near, capture=Microphone(gain_db=0.0)))
    film = render(replace(near, capture=FilmMix()))
    assert np.abs(film).max() <= round(32767 * 10 ** (-1 / 20)) + 1
    # A microphone's bang is a square of its overload; a film's is a wave, with a thump under it.
    assert np.mean(np.abs(body) > 0.97 * np.abs(body).max()) > 2e-4

    def deep(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
        return float(power[: round(120 * 1.2)].sum())

    bare = render(replace(near, capture=FilmMix(layers=False)))
    assert deep(film) > 4 * deep(bare)


def test_music_lies_under_a_film_everywhere() -> None:
    quiet = scene(events=(), capture=FilmMix())
    music = render(replace(quiet, capture=FilmMix(music_db=0.0)))
    assert rms(render(quiet).astype(float)) < 30
    parts = [rms(part.astype(float)) for part in np.array_split(music, 6)]
    assert min(parts) > 300


def test_a_place_is_drawn_that_fits_its_room() -> None:
    drawn = {
        name: [draw(np.random.default_rng(seed), room) for seed in range(40)]
        for name, room in ROOMS.items()
    }
    assert drawn["street"][0] == draw(np.random.default_rng(0), ROOMS["street"])
    assert not any(one.wind_m_s for one in drawn["room"])
    assert not any(one.hum_db for one in drawn["field"])
    assert 0.3 < np.mean([one.wind_m_s > 0 for one in drawn["field"]]) < 0.7
    assert all(30 <= one.hush_db <= 65 for some in drawn.values() for one in some)
    assert np.mean([one.hush_db for one in drawn["street"]]) > 8 + np.mean(
        [one.hush_db for one in drawn["hall"]]
    )


def test_a_file_is_turned_up_or_down_and_cut_off_at_full_scale() -> None:
    plain, down, up = (capture(scene(level_db=gain_db)) for gain_db in (0.0, -6.0, 60.0))
    assert np.allclose(down, 10 ** (-6 / 20) * plain)
    assert np.abs(up).max() == 1.0
    assert (np.abs(up) == 1.0).sum() > (np.abs(plain) == 1.0).sum()
