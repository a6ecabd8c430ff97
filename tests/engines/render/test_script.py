import numpy as np
import pytest

from pipeline.engines.render.episodes import cell_of
from pipeline.engines.render.incidents.draw import draw_kinds
from pipeline.engines.render.script import (
    ALL_ROUND,
    NUM_CELLS,
    SCENES,
    DesignCell,
    write_episode,
    write_script,
)


def test_every_choice_meets_every_scene_with_and_without_discharges():
    cells = [DesignCell.of(index) for index in range(4 * NUM_CELLS)]
    for num_choices in (2, 3, 4):
        met = {(cell.rotate(num_choices), cell.scene, cell.firing) for cell in cells}
        assert len(met) == num_choices * 2 * len(SCENES)


def test_a_script_is_a_pure_function():
    for index in (0, 2):
        script, again = (write_script("test", 7, index, 2.0) for _ in range(2))
        assert script.discharges_s == again.discharges_s
        assert script.movement == again.movement
        assert [a.role for a in script.actors] == [a.role for a in again.actors]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_incidents_suit_the_scene_and_about_half_of_the_quiet_recordings_have_one(scene):
    rng = np.random.default_rng(0)
    plan = scene(np.random.default_rng(1))
    quiet = [draw_kinds(rng, plan, False, True) for _ in range(300)]
    firing = [draw_kinds(rng, plan, True, False) for _ in range(300)]
    assert np.mean([len(kinds) > 0 for kinds in quiet]) == pytest.approx(0.55, abs=0.08)
    assert np.mean([len(kinds) > 0 for kinds in firing]) == pytest.approx(0.3, abs=0.08)
    met = {kind for kinds in quiet for kind in kinds}
    assert "handling" not in {kind for kinds in firing for kind in kinds}
    assert ("fireworks" in met) == plan.outdoors
    assert ("torch" in met) == (plan.light not in ("clear", "overcast"))
    assert ("switch" in met) == plan.switchable
    assert ("door" in met) == (plan.door is not None)


def test_quiet_recordings_have_no_discharge_whatever_happens_in_them():
    for index in range(len(SCENES), NUM_CELLS, 2):
        script = write_script("test", 3, index, 1.0)
        assert script.discharges_s == ()
        assert script.action not in ("fire", "others_fire")


def test_a_bystander_carries_and_fires_nothing_and_sees_as_much_happen():
    for index in range(0, NUM_CELLS, 3):
        script = write_script("test", 5, index, 2.0, bystander=True)
        assert script.weapon is None
        assert script.own_discharges_s == ()
        assert bool(script.discharges_s) == DesignCell.of(index).firing


def test_the_place_of_a_long_recording_has_a_shut_door_and_nothing_happens_in_it():
    for index in (0, 3, 5):
        place = write_script("place", 5, index, 60.0, scenes=ALL_ROUND, place_of=cell_of(index))
        assert place.cell == cell_of(index)
        assert place.plan.kind != "vehicle"
        assert place.plan.door is None
        assert place.incidents == ()


def test_whoever_holds_the_camera_of_an_episode_stands_and_watches_or_acts_anew():
    place = write_script("place", 5, 4, 60.0, bystander=True, scenes=ALL_ROUND, place_of=cell_of(4))
    starts, armed = set(), []
    for number in range(8):
        watched, acted = (
            write_episode(place, number, 2.0, firing=True, bystander=one) for one in (True, False)
        )
        assert watched.discharges_s
        assert acted.discharges_s
        assert watched.weapon is None
        assert watched.movement.start == place.movement.start
        starts.add(acted.movement.start)
        armed.append(acted.weapon is not None)
    assert len(starts) > 1
    assert any(armed)


def test_lamps_that_somebody_switches_in_an_episode_shine_again_after_it():
    place = write_script(
        "place", 5, 2, 60.0, bystander=True, scenes=ALL_ROUND, place_of=DesignCell(4, False, 0)
    )
    scripts = (
        write_episode(place, number, 2.0, firing=False, bystander=True) for number in range(99)
    )
    switched = [one for one in scripts if any(i.switching is not None for i in one.incidents)]
    assert len(switched) > 2
    for script in switched:
        assert script.room_light(np.linspace(0, 1.99, 99)).min() < 0.1
        assert script.room_light([-0.01, 2.01, 50.0]).tolist() == [1, 1, 1]
