from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render.motion import (
    BodyMotion,
    Mount,
    Movement,
    draw_mount,
    rotations,
)
from pipeline.engines.render.people.humanoid import Build, body
from pipeline.engines.render.people.skeleton import JOINT, pose
from pipeline.engines.render.people.weapons import PISTOL
from pipeline.engines.render.script import SCENES
from pipeline.engines.render.weapon_motion import WeaponMotion
from pipeline.engines.render.world import textures
from pipeline.engines.render.world.doors import Door
from pipeline.engines.render.world.geometry import Material, MeshBuilder
from pipeline.engines.render.world.lighting import Lamp, LitWorld, Sky

MOUNT = Mount("chest", (0.0, 0.15, 1.2), 0.0, 0.0, 0.0)


def test_textures_are_albedos_and_their_mean_survives_the_pyramid():
    atlas = textures.atlas(0)
    assert atlas.texels.min() > 0
    assert atlas.texels.max() <= 1
    smallest = atlas.texels[atlas.offsets[-1] :].reshape(len(textures.LAYER), -1, 3)
    assert smallest.mean(1) == pytest.approx(atlas.mean, abs=1e-4)


def test_noise_tiles():
    noise = textures.tiling_noise(np.random.default_rng(0), 1.8)
    inside = np.abs(np.diff(noise, axis=1)).mean()
    assert np.abs(noise[:, 0] - noise[:, -1]).mean() < 2 * inside


def test_a_box_shades_the_floor_below_a_lamp():
    builder = MeshBuilder(tessellation=0.2)
    builder.sheet((-2, -2, 0), (4, 0, 0), (0, 4, 0), Material("paint"))
    num_floor = len(builder.parts[0].vertices)
    builder.box((0, 0, 0.5), (0.4, 0.4, 0.02), Material("paint"))
    lamp = Lamp((0, 0, 2.5), (0.2, 0, 0), (0, 0.2, 0), (0, 0, -1), (5.0, 5.0, 5.0))
    world = LitWorld(builder.build(), [lamp], Sky(), textures.atlas(0), np.random.default_rng(0))
    place = builder.build().vertices[:num_floor]
    away = np.hypot(place[:, 0], place[:, 1])
    light = world.arrays.direct[:num_floor, 0]
    assert light[away < 0.2].max() == 0
    assert light[(away > 0.8) & (away < 1.2)].min() > 0.1


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_scene_starts_in_the_open_and_has_something_to_aim_at(scene):
    for seed in range(4):
        plan = scene(np.random.default_rng(seed))
        mesh = plan.builder.build()
        assert np.isfinite(mesh.vertices).all()
        assert np.einsum("ij,ij->i", mesh.normals, mesh.normals) == pytest.approx(1, abs=1e-3)
        assert plan.targets
        assert all(target[1] > plan.start[1] + 2 for target in plan.targets)
        eye = np.array((*plan.start, 1.4))
        assert np.linalg.norm(mesh.vertices - eye, axis=1).min() > 0.25


def test_skinning_at_rest_leaves_the_body_where_it_was():
    mesh = body(Build())
    vertices, _ = pose({}).skin(mesh)
    assert vertices == pytest.approx(mesh.vertices, abs=1e-5)


def test_the_hand_reaches_its_target_and_bones_keep_their_length():
    posture = pose({})
    target = posture.positions[JOINT["shoulderR"]] + (0.05, 0.35, -0.1)
    posture.reach("R", target, (0.5, 0, -1), (0, 1, 0))
    assert posture.positions[JOINT["wristR"]] == pytest.approx(target)
    upper = posture.positions[JOINT["elbowR"]] - posture.positions[JOINT["shoulderR"]]
    assert np.linalg.norm(upper) == pytest.approx(0.2852, abs=1e-3)


def test_rotations_are_rotations():
    angles = np.random.default_rng(0).normal(size=(3, 20))
    turns = rotations(*angles)
    assert np.einsum("nij,nkj->nik", turns, turns) == pytest.approx(
        np.broadcast_to(np.eye(3), (20, 3, 3)), abs=1e-12
    )
    assert np.linalg.det(turns) == pytest.approx(1)


def test_a_walk_covers_its_distance_and_recoil_kicks_up():
    rng = np.random.default_rng(0)
    motion = BodyMotion(rng, Movement((0, 0), 0.0, speed=1.0), MOUNT, 2.0)
    places = motion.body([0.0, 2.0])[1]
    assert places[1, 1] - places[0, 1] == pytest.approx(2.0, abs=0.5)
    still = BodyMotion(rng, Movement((0, 0), 0.0), MOUNT, 2.0, (1.0,))
    weapon = WeaponMotion(rng, PISTOL, still, (1.0,), held_up=True)
    before, after = weapon.muzzle(0.999)[1], weapon.muzzle(1.03)[1]
    assert np.degrees(np.arcsin(after[2]) - np.arcsin(before[2])) > 5


def test_a_startle_moves_the_camera_only_afterwards():
    calm = Movement((0, 0), 0.0)
    still, startled = (
        BodyMotion(np.random.default_rng(0), movement, MOUNT, 2.0).camera([0.9, 1.15, 1.2, 1.25])[0]
        for movement in (calm, replace(calm, startles_s=(1.0,)))
    )
    assert startled[0] == pytest.approx(still[0])
    assert np.abs(startled[1:] - still[1:]).max() > 0.01


def test_who_ducks_lowers_the_camera_and_rises_again():
    motion = BodyMotion(
        np.random.default_rng(0), Movement((0, 0), 0.0, duck_s=(0.5, 2.0)), MOUNT, 4
    )
    before, down, up = motion.camera([0.4, 1.5, 3.5])[1][:, 2]
    assert before - down == pytest.approx(0.5, abs=0.06)
    assert up == pytest.approx(before, abs=0.06)


@pytest.mark.parametrize("where", ["chest", "shoulder", "head", "hand"])
def test_mounts_sit_before_the_body_at_their_height(where):
    mount = draw_mount(np.random.default_rng(0), where)
    low, high = {"chest": (1.1, 1.3), "hand": (1.2, 1.7)}.get(where, (1.4, 1.7))
    assert low < mount.place[2] < high
    assert mount.place[1] > 0.05


def test_a_door_is_flush_when_shut_and_turns_about_its_hinge():
    door = Door((1.0, 2.0), (0, 1), (-1, 0), (0.5, 0.4, 0.3))
    leaf = door.leaf().vertices
    shut, wide = (leaf @ turn.T + place for turn, place in (door.pose(0.0), door.pose(np.pi / 2)))
    assert np.abs(shut[:, 0] - 1.0).max() < 0.05
    assert shut[:, 1].max() == pytest.approx(2.9)
    assert wide[:, 0].min() == pytest.approx(0.1, abs=0.03)
    assert np.abs(wide[:, 1] - 2.0).max() < 0.05


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_an_open_door_leaves_no_leaf_and_shutting_adds_one(scene):
    plans = (scene(np.random.default_rng(seed)) for seed in range(9))
    plan = next(plan for plan in plans if plan.door is not None)
    num_parts = len(plan.builder.parts)
    plan.door.shut(plan.builder)
    assert len(plan.builder.parts) == num_parts + 6


def test_a_camera_that_stands_does_not_move_with_anybody_and_seldom_turns():
    movement = Movement((1.0, 2.0), 0.3, speed=1.2, look_deg=20, startles_s=(0.4,))
    turned = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        turns, places = BodyMotion(rng, movement, draw_mount(rng, "fixed"), 2.0).camera(
            np.linspace(0, 2, 9)
        )
        assert places == pytest.approx(np.tile(places[0], (9, 1)))
        assert places[0, :2] == pytest.approx((1.0, 2.0), abs=0.2)
        turned.append(np.abs(turns - turns[0]).max())
    assert sum(change == 0 for change in turned) >= 4
    assert max(turned) > 0
