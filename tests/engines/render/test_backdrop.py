"""Photographs as what lies behind a scene."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.motion import CAMERA_IN_BODY
from pipeline.engines.render.raytrace import CameraSample, PointLight, RowPoses, Tracer
from pipeline.engines.render.world import backdrop as module
from pipeline.engines.render.world.backdrop import Backdrop, photograph
from pipeline.engines.render.world.lighting import LitWorld, Sky
from pipeline.engines.render.world.location import PLACES, location
from pipeline.engines.render.world.textures import atlas

WIDTH, HEIGHT = 48, 32
NOBODY = np.zeros((0, 2), np.float32)
CENTRE = np.array((0.3, -0.2, 1.6), np.float32)


def striped() -> np.ndarray:
    """Radiance (64, 128, 3) that rises with the azimuth in red and falls with height in blue."""
    panorama = np.ones((64, 128, 3), np.float32)
    panorama[..., 0] = 1 + np.sin(np.arange(128) / 128 * 2 * np.pi)
    panorama[..., 2] = 0.5 + (np.arange(64) / 64)[:, None]
    return panorama


def lit(panorama: np.ndarray, radius_m: float = 8.0) -> LitWorld:
    behind = Backdrop("somewhere", panorama, CENTRE, radius_m, 1.0)
    mesh = behind.mesh()
    return LitWorld(mesh, [], Sky(), atlas(0), np.random.default_rng(0), behind)


def look(world: LitWorld, place: np.ndarray, lights: tuple[PointLight, ...] = ()) -> np.ndarray:
    """What a camera at (3,) sees that looks along +y, (HEIGHT, WIDTH, 3)."""
    turn = np.tile(np.eye(3), (HEIGHT, 1, 1))
    places = np.tile(place.astype(float), (HEIGHT, 1))
    poses = RowPoses(np.tile(CAMERA_IN_BODY, (HEIGHT, 1, 1)), places, turn, places)
    tracer = Tracer(world, PinholeLens(WIDTH, HEIGHT, 70), WIDTH, HEIGHT)
    return tracer.trace(
        np.random.default_rng(0), [CameraSample(poses, lights)], None, NOBODY, None
    ).radiance


def test_from_where_it_was_taken_a_photograph_is_seen_as_it_is():
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = PinholeLens(WIDTH, HEIGHT, 70).directions(x, y) @ CAMERA_IN_BODY.T
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    seen = look(lit(striped()), CENTRE)
    turn = np.arctan2(rays[..., 1], rays[..., 0])
    down = np.arccos(rays[..., 2]) / np.pi
    assert seen[..., 0] == pytest.approx(1 + np.sin(turn), abs=0.05)
    assert seen[..., 1] == pytest.approx(1, abs=1e-3)
    assert seen[..., 2] == pytest.approx(0.5 + down, abs=0.03)


def test_a_step_aside_moves_what_is_near_more_than_what_is_far():
    panorama = striped()
    aside = CENTRE + np.array((1.0, 0, 0), np.float32)
    near, far = (
        np.abs(look(lit(panorama, radius), aside) - look(lit(panorama, radius), CENTRE))[..., 0]
        for radius in (4.0, 40.0)
    )
    # Above the horizon; the ground below is as near in either.
    assert near[: HEIGHT // 2 - 2].mean() > 4 * far[: HEIGHT // 2 - 2].mean()


def test_a_flash_lights_a_photographed_floor():
    place = np.tile((0.3, 1.5, 1.0), (HEIGHT, 1))
    axis = np.tile((0.0, 1.0, -0.5), (HEIGHT, 1))
    light = PointLight(place, axis, np.ones(HEIGHT), np.array((9.0, 8.0, 6.0)))
    world = lit(striped())
    gain = look(world, CENTRE, (light,)) - look(world, CENTRE)
    assert gain[-4:].mean() > 0.1
    assert gain.min() >= -1e-5


def test_it_lights_what_stands_before_it():
    panorama = np.ones((64, 128, 3), np.float32)
    panorama[:, :64] = (4.0, 2.0, 1.0)
    bright, dark = lit(panorama).light_cube((0.3, 0, 1.6))[[1, 4]]
    assert bright == pytest.approx((4, 2, 1), rel=0.1)
    assert dark == pytest.approx((1, 1, 1), rel=0.1)


def test_its_mesh_faces_inwards_and_has_as_many_parts_as_it_says():
    behind = Backdrop("somewhere", striped(), CENTRE, 8.0, 1.0)
    mesh = behind.mesh()
    assert len(mesh.vertices) == behind.num_vertices
    assert len(mesh.triangles) == behind.num_triangles
    middle = mesh.vertices[mesh.triangles].mean(1)
    normal = mesh.normals[mesh.triangles].mean(1)
    inside = np.array((0.3, -0.2, 1.0), np.float32)
    assert (np.einsum("ij,ij->i", inside - middle, normal) > 0).all()


def test_every_place_has_its_photograph_and_every_photograph_a_place():
    folder = Path(module.__file__).parent / "panoramas"
    assert {path.stem for path in folder.glob("*.jpg")} == {place.name for place in PLACES}
    for place in PLACES:
        panorama = photograph(place.name)
        rows, columns, channels = panorama.shape
        assert (columns, channels) == (2 * rows, 3)
        assert np.isfinite(panorama).all()
        assert 0.1 < np.median(panorama) < 3


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_location_leaves_room_to_stand_and_something_to_aim_at(place):
    for seed in range(4):
        plan = location(place, np.random.default_rng(seed))
        assert plan.backdrop is not None
        assert plan.targets
        reach = plan.backdrop.radius_m
        assert all(2 < target[1] - plan.start[1] < reach for target in plan.targets)
        standing = [*plan.places, *plan.shooting_places, (0, plan.room_m), (0, -plan.back_m)]
        assert max(np.hypot(*place) for place in standing) < reach - 0.3
        assert plan.outdoors == (place.light != "day")
        assert not plan.switchable
