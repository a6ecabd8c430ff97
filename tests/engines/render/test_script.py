import numpy as np
import pytest

from pipeline.engines.render.incidents.draw import draw_kinds
from pipeline.engines.render.script import NUM_CELLS, SCENES, Cell, write_script


def test_every_choice_meets_every_scene_with_and_without_discharges():
    cells = [Cell.of(index) for index in range(4 * NUM_CELLS)]
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
        assert bool(script.discharges_s) == Cell.of(index).firing
