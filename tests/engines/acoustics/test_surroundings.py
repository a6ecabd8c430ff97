import numpy as np
import pytest

from pipeline.engines.acoustics.render import arrivals
from pipeline.engines.acoustics.room import ROOMS
from pipeline.engines.acoustics.scene import SoundScene
from pipeline.engines.acoustics.sources import BLANK, DISCHARGE, KINDS
from pipeline.engines.acoustics.surroundings import draw, draw_position

LONG_S = 2.3
VOICES = {"speech", "shout"}


def drawn(room: str, number: int = 200):
    return [draw(np.random.default_rng([4, k]), room, LONG_S) for k in range(number)]


def test_the_same_generator_draws_the_same_surroundings() -> None:
    one, other = (draw(np.random.default_rng(8), "street", LONG_S) for _ in range(2))
    assert one == other
    assert one != draw(np.random.default_rng(9), "street", LONG_S)


def test_nothing_that_is_drawn_is_fired() -> None:
    for room in ROOMS:
        kinds = {event.kind for around in drawn(room, 60) for event in around.events}
        assert kinds <= set(KINDS) - {DISCHARGE, BLANK}


def test_a_fourth_has_what_may_be_taken_for_a_discharge_and_three_of_ten_a_voice() -> None:
    for room in ("street", "room"):
        all_of_it = drawn(room, 400)
        kinds = [{event.kind for event in around.events} for around in all_of_it]
        assert np.mean([bool(some - VOICES) for some in kinds]) == pytest.approx(0.25, abs=0.06)
        assert np.mean([bool(some & VOICES) for some in kinds]) == pytest.approx(0.3, abs=0.06)


def test_what_only_the_open_has_is_never_drawn_indoors() -> None:
    outdoors = {event.kind for around in drawn("street", 400) for event in around.events}
    indoors = {event.kind for around in drawn("hall", 400) for event in around.events}
    assert {"thunder", "backfire", "whip"} <= outdoors
    assert not {"thunder", "backfire", "whip"} & indoors
    assert all(around.ambience.wind_m_s == 0 for around in drawn("hall", 40))


def test_all_of_it_is_heard_within_the_recording() -> None:
    for around in drawn("field", 300):
        scene = SoundScene(LONG_S, (1,), around.events, room=around.room, air=around.air)
        assert all(-0.3 < time_s < LONG_S for time_s in arrivals(scene))


def test_steps_keep_the_ground_of_the_place() -> None:
    for around in drawn("outdoor_range", 30):
        walked = around.walked((0.2, 0.7), running=True)
        assert walked.gait.times_s == (0.2, 0.7)
        assert walked.gait.running
        assert walked.gait.surface == around.ambience.gait.surface
        assert around.ambience.gait.times_s == ()


def test_what_is_heard_has_its_bearing_and_is_within_the_walls_but_for_next_door() -> None:
    rng, open_field, room = np.random.default_rng(0), ROOMS["field"], ROOMS["room"]
    assert open_field.size_m is None
    assert room.size_m is not None
    for _ in range(50):
        across, ahead = draw_position(rng, open_field, (20.0, 30.0), (0.5, 1.0))
        assert 20 <= np.hypot(across, ahead) <= 30
        assert 0.5 <= np.arctan2(across, ahead) <= 1
    walls = 0.45 * np.array(room.size_m[:2]) + 1e-9
    inside = [draw_position(rng, room, (1.0, 12.0), (0.0, 6.28)) for _ in range(200)]
    assert (np.abs(inside) <= walls).all()
    some = [
        draw_position(rng, room, (11.0, 12.0), (0.0, 6.28), next_door_share=0.3) for _ in range(400)
    ]
    beyond = (np.abs(some) > walls).any(axis=1).mean()
    assert beyond == pytest.approx(0.3, abs=0.08)
