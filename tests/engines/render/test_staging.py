import numpy as np
import pytest

from pipeline.engines.render.people.weapons import PISTOL
from pipeline.engines.render.script import SCENES
from pipeline.engines.render.staging import draw_roles, draw_wearer

DURATION_S = 4.4


def ahead_and_aside(place, start, yaw: float) -> tuple[float, float]:
    """Return how far a place lies along a heading, and to its side."""
    x, y = np.subtract(place, start)
    return -x * np.sin(yaw) + y * np.cos(yaw), abs(x * np.cos(yaw) + y * np.sin(yaw))


@pytest.mark.parametrize("action", ["fire", "others_fire"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_nobody_stands_before_a_fired_weapon(scene, action):
    plan = scene(np.random.default_rng(2))
    for seed in range(25):
        rng = np.random.default_rng(seed)
        movement, own = draw_wearer(rng, plan, action, PISTOL, DURATION_S)
        roles = draw_roles(rng, plan, action, movement, DURATION_S)
        assert bool(own) == (action == "fire")
        fired = [(movement.start, movement.heading)] if own else []
        fired += [(role.place, role.yaw) for role in roles if role.discharges_s]
        assert fired
        for start, yaw in fired:
            for place in [movement.start, *(role.place for role in roles)]:
                if place != start:
                    ahead, aside = ahead_and_aside(place, start, yaw)
                    assert ahead < 0.4 or aside > 0.6


@pytest.mark.parametrize("action", ["hold", "others_hold", "talk", "walk", "run", "look", "cover"])
def test_nothing_is_fired_otherwise(action):
    plan = SCENES[3](np.random.default_rng(0))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        movement, own = draw_wearer(rng, plan, action, PISTOL, DURATION_S)
        roles = draw_roles(rng, plan, action, movement, DURATION_S)
        assert own == ()
        assert all(role.discharges_s == () for role in roles)
        assert (movement.speed > 2) <= (action in ("run", "hold"))


def test_people_crouch_walk_and_run_and_the_wearer_aims_at_what_is_ahead():
    plan = SCENES[3](np.random.default_rng(0))
    activities = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        movement, _ = draw_wearer(rng, plan, "look", PISTOL, DURATION_S)
        roles = draw_roles(rng, plan, "look", movement, DURATION_S)
        activities |= {role.activity for role in roles}
        assert all(role.duck_s is not None for role in roles if role.activity == "cover")
        aiming, _ = draw_wearer(rng, plan, "fire", PISTOL, DURATION_S)
        assert abs(aiming.heading) < 0.5
    assert {"idle", "talk", "walk", "run", "cover"} <= activities


@pytest.mark.parametrize("action", ["fire", "others_fire", "talk", "run", "cover"])
def test_who_sits_in_a_vehicle_stays_in_the_seat(action):
    plan = SCENES[6](np.random.default_rng(0))
    assert plan.seated
    for seed in range(10):
        movement, _ = draw_wearer(np.random.default_rng(seed), plan, action, PISTOL, DURATION_S)
        assert movement.start == plan.start
        assert movement.duck_s is None
        assert movement.speed == 0 or movement.stop_s == 0
