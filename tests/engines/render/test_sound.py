"""What scripts sound like: times, places and who hears them, without a picture."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline.engines import location, twins
from pipeline.engines.acoustics.air import Air
from pipeline.engines.acoustics.render import arrivals, capture
from pipeline.engines.acoustics.room import Room
from pipeline.engines.acoustics.scene import Ambience, FilmMix, Microphone, SoundScene
from pipeline.engines.acoustics.signals import RATE_HZ
from pipeline.engines.acoustics.sources import BLANK, DISCHARGE, KINDS
from pipeline.engines.render.incidents.draw import draw_incident
from pipeline.engines.render.incidents.incident import Incident, Noise, Setting
from pipeline.engines.render.people.actors import Actor, Role
from pipeline.engines.render.people.gait import RUN_CYCLE_M, WALK_CYCLE_M
from pipeline.engines.render.script import Script
from pipeline.engines.render.sound import Listener, camera_microphone, sound_scene
from pipeline.engines.render.takes import Appearance
from pipeline.engines.render.world.interiors import corridor
from pipeline.engines.take import VideoFormat

LONG_S = 2.0
FORMAT = VideoFormat(width=64, height=48, fps=15.0, kbit_s=100, keyint=30)
HIGH = np.array((0.0, 0.0, 1.4))
QUIET = 11, 9
FIRED = (DISCHARGE, BLANK)
BARE = Room("free", 0.5, ground=0.0)


@cache
def script(index: int, engine: str = "twins") -> Script:
    return {"twins": twins, "location": location}[engine].RECIPE.script(3, index, LONG_S)


@cache
def appearances(index: int) -> tuple[Appearance, ...]:
    return tuple(make(script(index), FORMAT) for make in twins.RECIPE.appearances)


def standing(place: np.ndarray = HIGH, **changed: object) -> Listener:
    plain = Listener(Microphone(), lambda _: place, lambda _: (HIGH, np.array((0, 1.0, 0))), ())
    return replace(plain, **changed)  # type: ignore[arg-type]


def only_fired(scene: SoundScene) -> SoundScene:
    """The scene with nothing but its discharges, in the open, by a microphone without limits."""
    fired = tuple(event for event in scene.events if event.kind in FIRED)
    plain = Microphone(
        overload_db=170, noise_db=-20, low_pass_hz=20_000, high_pass_hz=20, gain_db=0
    )
    hushed = Ambience(hush_db=-20.0)
    return replace(scene, events=fired, capture=plain, room=BARE, air=Air(), ambience=hushed)


def test_a_discharge_is_heard_as_much_later_than_its_flash_as_sound_needs() -> None:
    for index in (1, 4):
        for take in appearances(index):
            listener = take.listener()
            scene = sound_scene(take.script, listener, LONG_S)
            heard = [(event, at) for event, at in zip(scene.events, arrivals(scene), strict=True)]
            fired = [(event, at) for event, at in heard if event.kind in FIRED]
            assert sorted(event.time_s for event, _ in fired) == list(take.script.discharges_s)
            for event, at in fired:
                away = float(np.linalg.norm(event.offset_m))
                # Before a muzzle the shock of a bullet comes first.
                assert event.time_s < at <= event.time_s + away / scene.air.speed_m_s + 1e-9
                assert away < 30


def test_the_first_front_in_the_samples_is_the_arrival() -> None:
    for index in (1, 4):
        whole = sound_scene(script(index), appearances(index)[0].listener(), LONG_S)
        scene = only_fired(whole)
        first = min(arrivals(scene))
        loud = np.flatnonzero(np.abs(capture(scene)) > 1e-4)
        assert loud[0] / RATE_HZ == pytest.approx(first, abs=0.004)


def test_twins_hear_the_same_discharges_in_the_same_place() -> None:
    for index in (1, 4):
        scenes = [
            sound_scene(script(index), take.listener(), LONG_S) for take in appearances(index)
        ]
        times = [[e.time_s for e in scene.events if e.kind in FIRED] for scene in scenes]
        assert times[0] == times[1] == times[2] != []
        weapons = [[e.weapon for e in scene.events if e.kind in FIRED] for scene in scenes]
        assert weapons[0] == weapons[1] == weapons[2]
        assert len({scene.room for scene in scenes}) == len({scene.air for scene in scenes}) == 1
        assert [type(scene.capture) for scene in scenes] == [Microphone, FilmMix, FilmMix]
        places = [scene.events[0].offset_m for scene in scenes]
        assert len(set(places)) == 3


def test_without_discharges_none_is_heard() -> None:
    quiet = script(QUIET[0]), script(QUIET[1]), script(QUIET[0], "location")
    for one in quiet:
        assert not one.discharges_s
        scene = sound_scene(one, standing(), LONG_S)
        assert not any(event.kind in FIRED or event.kind == "ricochet" for event in scene.events)


def test_what_else_is_heard_does_not_depend_on_who_hears_it_or_on_discharges() -> None:
    firing = script(4)
    quiet = replace(firing, own_discharges_s=(), actors=[], incidents=(), action="look")
    for one in (firing, quiet):
        scenes = [
            sound_scene(one, listener, LONG_S)
            for listener in (standing(), standing(HIGH + 3, fires_blanks=True))
        ]
        others = [[e for e in scene.events if e.kind not in FIRED] for scene in scenes]
        assert scenes[0].ambience == scenes[1].ambience
        assert len(others[0]) >= len(others[1])
    assert sound_scene(quiet, standing(), LONG_S).ambience == scenes[0].ambience
    assert sound_scene(firing, standing(), LONG_S).room == scenes[0].room


def test_incidents_are_heard_where_and_when_they_are() -> None:
    bang = Noise("firecracker", 0.7, np.array((3.0, 4.0, 0.2)), -3.0)
    click = Noise("dry_fire", 1.1)
    one = replace(
        script(QUIET[0]),
        incidents=(Incident("x", 0.7, noises=(bang, click)),),
        action="hold",
        actors=[],
    )
    away = np.array((1.0, 0.0, 1.4))
    events = sound_scene(one, standing(away), LONG_S).events[:2]
    assert [(e.kind, e.time_s, e.gain_db) for e in events] == [
        ("firecracker", 0.7, -3.0),
        ("dry_fire", 1.1, 0.0),
    ]
    assert events[0].offset_m == pytest.approx((2.0, 4.0, -1.2))
    assert events[1].offset_m == pytest.approx((-1.0, 0.0, 0.0))


def test_every_noise_of_incidents_is_a_kind_of_the_renderer() -> None:
    one = script(4)
    rng = np.random.default_rng(5)
    setting = Setting(corridor(rng), one.world, one.movement, True, LONG_S)
    heard = {
        kind: [noise for _ in range(30) for noise in draw_incident(rng, kind, setting).noises]
        for kind in ("door", "handling", "fireworks", "strobe")
    }
    assert {noise.kind for noise in heard["door"]} == {"door"}
    assert {noise.kind for noise in heard["handling"]} == {"rack", "dry_fire", "magazine"}
    assert {noise.kind for noise in heard["fireworks"]} == {"rocket", "fountain", "firecracker"}
    assert heard["strobe"] == []
    for noise in [noise for some in heard.values() for noise in some]:
        assert noise.kind in KINDS
        assert 0 <= noise.time_s < LONG_S + 0.5
        assert (noise.place is None) == (noise.kind in ("rack", "dry_fire", "magazine"))


def test_a_world_that_stands_still_is_silent_meanwhile() -> None:
    late = standing(recorded_s=lambda time_s: time_s + 0.5)
    now, then = (sound_scene(script(4), one, LONG_S).events[0] for one in (standing(), late))
    assert then.time_s == pytest.approx(now.time_s + 0.5)
    assert then.offset_m == now.offset_m


def test_who_carries_the_microphone_is_heard_walking() -> None:
    for index in QUIET:
        movement = script(index).movement
        for take in appearances(index)[:2]:
            steps = take.listener().steps_s
            assert list(steps) == sorted(steps)
            if movement.speed == 0:
                assert steps == ()
            elif movement.stop_s is None and take.viewpoint != "fixed":
                assert LONG_S <= len(steps) <= 4 * LONG_S


def test_a_buffer_without_sound_swallows_no_discharge() -> None:
    buffered = standing(capture=Microphone(buffer_s=1.9))
    heard = sound_scene(script(4), buffered, LONG_S).capture
    assert isinstance(heard, Microphone)
    assert heard.buffer_s == pytest.approx(max(0.0, script(4).discharges_s[0] - 0.1))
    quiet = sound_scene(script(QUIET[0]), buffered, LONG_S).capture
    assert quiet == buffered.capture


def test_people_who_walk_strike_the_ground_twice_in_a_cycle() -> None:
    world = script(4).world
    for activity, speed, metres in (("walk", 1.2, WALK_CYCLE_M), ("run", 3.0, RUN_CYCLE_M)):
        role = Role(activity, (0.0, 2.0), 0.0, speed=speed)
        steps = Actor(np.random.default_rng(2), role, world).steps_s(10.0)
        assert len(steps) == pytest.approx(10 * 2 * speed / metres, rel=0.1)
        assert np.ptp(np.diff(steps)) < 1e-9
        assert 0 <= steps[0] < steps[1] - steps[0] + 1e-9
    stands = Actor(np.random.default_rng(2), Role("idle", (0.0, 2.0), 0.0), world)
    assert stands.steps_s(10.0) == ()


def test_microphones_follow_from_what_carries_the_camera() -> None:
    drawn = {
        where: [camera_microphone(np.random.default_rng(k), where, LONG_S) for k in range(200)]
        for where in ("chest", "hand", "fixed")
    }
    buffered = {where: sum(m.buffer_s > 0 for m in some) for where, some in drawn.items()}
    assert 0 < buffered["chest"] < 30
    assert buffered["hand"] == buffered["fixed"] == 0
    free = {where: np.mean([m.low_pass_hz for m in some]) for where, some in drawn.items()}
    assert free["chest"] < free["hand"]
