import numpy as np
import pytest

from pipeline.engines.render.incidents.draw import KINDS, draw_incident
from pipeline.engines.render.incidents.incident import Setting, Switching
from pipeline.engines.render.motion import Movement
from pipeline.engines.render.people.handling import Move, draw_routine
from pipeline.engines.render.script import SCENES
from pipeline.engines.render.world import lighting

DURATION_S = 4.0


@pytest.fixture(scope="module")
def setting() -> Setting:
    patch = pytest.MonkeyPatch()
    patch.setattr(lighting, "NUM_GATHER_RAYS", 1)
    plan = SCENES[3](np.random.default_rng(0))
    world = plan.bake(np.random.default_rng(0))
    patch.undo()
    return Setting(plan, world, Movement((0.0, 0.0), 0.0), armed=False, duration_s=DURATION_S)


@pytest.mark.parametrize("kind", KINDS)
def test_an_incident_happens_within_its_recording_and_is_what_it_is_called(setting, kind):
    for seed in range(6):
        incident = draw_incident(np.random.default_rng(seed), kind, setting)
        again = draw_incident(np.random.default_rng(seed), kind, setting)
        assert incident.kind == kind
        assert incident.start_s == again.start_s
        assert 0 <= incident.start_s < DURATION_S
        lit = kind in ("camera_flash", "torch", "strobe", "fireworks")
        assert bool(incident.lights) == lit
        for light in incident.lights:
            assert np.isfinite(light.place).all()
            for pulse in light.pulses:
                assert -0.2 < pulse.start_s < DURATION_S
                assert pulse.colour.min() > 0
        assert (incident.door is not None) == (kind == "door")
        assert bool(incident.blanks) == (kind == "blank")
        assert bool(incident.routine.moves) == (kind == "handling")


def test_a_camera_flash_lasts_at_most_two_milliseconds_and_is_bright(setting):
    (light,) = draw_incident(np.random.default_rng(0), "camera_flash", setting).lights
    assert max(pulse.duration_s for pulse in light.pulses) <= 0.002
    assert max(pulse.colour.max() for pulse in light.pulses) > 20


@pytest.mark.parametrize("seed", range(4))
def test_a_strobe_flashes_four_to_twelve_times_a_second(setting, seed):
    (light,) = draw_incident(np.random.default_rng(seed), "strobe", setting).lights
    gap = np.diff([pulse.start_s for pulse in light.pulses]).min()
    assert 1 / 12.001 < gap < 1 / 3.999


def test_nobody_armed_has_a_light_bearer_in_front(setting):
    armed = Setting(setting.plan, setting.world, setting.movement, True, DURATION_S)
    for seed in range(10):
        incident = draw_incident(np.random.default_rng(seed), "torch", armed)
        assert incident.people == ()
        assert incident.lights[0].place[1] < 0


def test_a_door_falls_shut_faster_and_faster(setting):
    doors = [draw_incident(np.random.default_rng(k), "door", setting).door for k in range(9)]
    door = next(door for door in doors if door.angle(0.0) > 0.5)
    start_s = next(t for t in np.arange(0, 4, 0.01) if door.angle(t) < door.angle(0.0)) - 0.01
    times = start_s + door.duration_s * np.linspace(0, 1, 6)
    angles = np.array([door.angle(t) for t in times])
    assert (np.diff(angles, 2) < 0).all()
    assert angles[-1] == pytest.approx(0, abs=0.2)


def test_switched_lamps_hold_their_level_until_the_next_switch():
    lamps = Switching((1.0, 2.0), (0.05, 1.0))
    assert lamps.at([0.5, 1.0, 1.99, 2.5]) == pytest.approx([1.0, 0.05, 0.05, 1.0])


def test_handling_fits_its_time_and_leaves_the_weapon_as_it_was():
    for seed in range(20):
        moves = draw_routine(np.random.default_rng(seed), DURATION_S).moves
        ends = [move.start_s + move.duration_s for move in moves]
        assert all(end <= DURATION_S for end in ends)
        assert all(a <= b.start_s for a, b in zip(ends, moves[1:], strict=False))
    for kind in ("rack", "dry_fire", "magazine"):
        move = Move(kind, 1.0, 1.0, 1.0)
        for time_s in (0.5, 1.0, 2.0, 3.0):
            handling = move.at(time_s)
            assert np.abs([handling.place, handling.angles, handling.left_hand]).max() < 1e-9


def test_changing_the_magazine_takes_the_left_hand_to_the_belt_and_racking_to_the_slide():
    assert Move("magazine", 0.0, 1.0, 1.0).at(0.45).left_hand[2] < -0.3
    assert Move("rack", 0.0, 1.0, 1.0).at(0.5).left_hand[2] > 0.08


def test_a_drawn_weapon_comes_up_and_a_holstered_one_stays_down():
    draw, holster = Move("draw", 1.0, 0.5, 1.0), Move("holster", 1.0, 0.5, 1.0)
    assert draw.at(0.2).place[2] == holster.at(3.0).place[2] < -0.3
    assert draw.at(3.0).place[2] == holster.at(0.2).place[2] == 0
