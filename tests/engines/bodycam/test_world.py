import numpy as np
import pytest

from pipeline.engines.bodycam.motion import BodyMotion, Mount, Movement, WeaponMotion, rotations
from pipeline.engines.bodycam.people.humanoid import Build, body
from pipeline.engines.bodycam.people.skeleton import JOINT, pose
from pipeline.engines.bodycam.people.weapons import PISTOL
from pipeline.engines.bodycam.script import SCENES, write_script
from pipeline.engines.bodycam.world import textures
from pipeline.engines.bodycam.world.geometry import Material, MeshBuilder
from pipeline.engines.bodycam.world.lighting import Lamp, LitWorld, Sky

MOUNT = Mount((0.0, 0.15, 1.2), 0.0, 0.0, 0.0)


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
    for seed in range(6):
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


def test_a_script_is_a_pure_function_and_nobody_stands_before_a_fired_weapon():
    for index in (0, 2):
        script, again = (write_script(7, index, 2.0) for _ in range(2))
        assert script.discharges_s == again.discharges_s
        assert script.movement == again.movement
        assert [a.role for a in script.actors] == [a.role for a in again.actors]
        for actor in script.actors:
            if script.own_discharges_s:
                offset = np.array(actor.role.place) - script.movement.start
                heading = script.movement.heading
                ahead = -offset[0] * np.sin(heading) + offset[1] * np.cos(heading)
                aside = offset[0] * np.cos(heading) + offset[1] * np.sin(heading)
                assert ahead < 0.4 or abs(aside) > 0.6
