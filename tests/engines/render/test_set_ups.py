import numpy as np
import pytest

from pipeline.engines.render import set_ups
from pipeline.engines.render.people.actors import Actor, Role
from pipeline.engines.render.people.weapons import PISTOL
from pipeline.engines.render.set_ups import draw_cuts, draw_set_up, look_at
from pipeline.engines.render.world.geometry import Material, MeshBuilder
from pipeline.engines.render.world.lighting import Lamp, LitWorld, Sky
from pipeline.engines.render.world.textures import atlas

HALF = 1.7


@pytest.fixture(scope="module")
def cell() -> LitWorld:
    """A closed cell of 3.4 m, too small for the longest distances."""
    builder = MeshBuilder(tessellation=1.0)
    builder.box((0, 0, 1.3), (HALF, HALF, 1.3), Material("paint", (0.5, 0.5, 0.5)))
    lamp = Lamp((0, 0, 2.4), (0.3, 0, 0), (0, 0.3, 0), (0, 0, -1), (5.0, 5.0, 5.0))
    return LitWorld(builder.build(), [lamp], Sky(), atlas(0), np.random.default_rng(0))


@pytest.fixture(scope="module")
def shooter(cell) -> Actor:
    return Actor(np.random.default_rng(0), Role("aim", (0.3, -0.2), 0.4, PISTOL, (1.0,)), cell)


def test_some_recordings_have_no_cut_and_some_have_two():
    counts = [len(draw_cuts(np.random.default_rng(seed), (), 4.4, 15.0)) for seed in range(300)]
    assert 0.2 < np.mean(np.array(counts) == 0) < 0.4
    assert np.mean(np.array(counts) == 1) > 0.3
    assert max(counts) == 2


def test_cuts_start_frames_keep_clear_of_discharges_and_leave_long_pieces():
    discharges = (0.8, 1.3, 1.62, 3.0)
    for seed in range(200):
        cuts = draw_cuts(np.random.default_rng(seed), discharges, 4.4, 15.0)
        for cut in cuts:
            assert cut * 15 == pytest.approx(round(cut * 15))
            assert min(abs(cut - t) for t in discharges) >= 0.15
        assert np.diff([0.0, *cuts, 4.4]).min() >= 1.1 - 1e-9


def test_rapid_discharges_leave_no_room_for_a_cut():
    discharges = tuple(np.arange(0.2, 4.3, 0.25))
    assert all(
        draw_cuts(np.random.default_rng(seed), discharges, 4.4, 15.0) == () for seed in range(50)
    )


def test_look_at_points_the_camera_at_its_target_with_the_sky_up():
    place, target = np.array([[1.0, 2.0, 1.5]]), np.array([[-2.0, 5.0, 0.5]])
    (turn,) = look_at(place, target)
    assert turn.T @ turn == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    assert -turn[:, 2] == pytest.approx((target - place)[0] / np.linalg.norm(target - place))
    assert turn[2, 0] == pytest.approx(0)
    assert turn[2, 1] > 0


def test_every_set_up_stands_in_the_room_and_in_sight_of_its_person(cell, shooter):
    found = []
    for seed in range(60):
        set_up = draw_set_up(np.random.default_rng(seed), shooter, 0.0, cell)
        if set_up is None:
            continue
        found.append(set_up.kind.name)
        x, y, z = set_up.place
        assert max(abs(x), abs(y)) < HALF - 0.05
        assert 0.2 < z < 2.5
    assert {"front", "shoulder", "weapon", "eyes"} <= set(found)


def test_what_a_set_up_focuses_on_stays_at_the_distance_it_says(cell, shooter):
    set_up = draw_set_up(np.random.default_rng(1), shooter, 0.0, cell)
    (turn,), (place,) = set_up.poses([1.0])
    along = turn.T @ (set_up.focus + set_up.focus_velocity - place)
    assert set_up.focus_m(1.0) == pytest.approx(max(0.3, -along[2]), abs=1e-9)


def test_the_camera_of_a_walk_keeps_its_walker_in_the_picture(cell):
    walker = Actor(np.random.default_rng(0), Role("walk", (0.0, -1.0), 0.0, speed=0.5), cell)
    for seed in range(20):
        set_up = draw_set_up(np.random.default_rng(seed), walker, 0.0, cell)
        if set_up is None or set_up.kind is set_ups.SHOULDER:
            continue
        (turn,), (place,) = set_up.poses([2.0])
        chest = turn.T @ (walker.place(2.0) + np.array((0, 0, 1.25)) - place)
        assert np.degrees(np.arctan2(abs(chest[0]), -chest[2])) < 0.6 * set_up.fov_deg


def test_a_set_up_differs_in_kind_from_the_one_before(cell, shooter):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        set_up = draw_set_up(rng, shooter, 0.0, cell, before=set_ups.SHOULDER)
        assert set_up is None or set_up.kind is not set_ups.SHOULDER


def test_a_set_up_is_judged_by_a_small_picture_of_its_shape():
    for width, height in ((256, 144), (320, 134)):
        small = set_ups.preview_size(width, height)
        assert small[0] < 100
        assert small[1] == pytest.approx(small[0] * height / width, abs=0.5)
