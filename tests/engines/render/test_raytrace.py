from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.kernels import STATIC
from pipeline.engines.render.motion import CAMERA_IN_BODY, rotations
from pipeline.engines.render.raytrace import Aperture, CameraSample, PointLight, RowPoses, Tracer
from pipeline.engines.render.world.geometry import Material, MeshBuilder
from pipeline.engines.render.world.lighting import Lamp, LitWorld, Sky
from pipeline.engines.render.world.textures import LAYER, atlas

WIDTH, HEIGHT = 48, 32
NOBODY = np.zeros((0, 2), np.float32)


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    """A camera at the origin looks along +y at an even wall 3 m away."""
    builder = MeshBuilder(tessellation=0.5)
    paint = Material("paint", (0.5, 0.5, 0.5), metres=0.01)
    builder.sheet((-9, 3, -9), (18, 0, 0), (0, 0, 18), paint)
    lamp = Lamp((0, 0, 0), (0.1, 0, 0), (0, 0, 0.1), None, (1.0, 1.0, 1.0))
    world = LitWorld(builder.build(), [lamp], Sky(), atlas(0), np.random.default_rng(0))
    return Tracer(world, PinholeLens(WIDTH, HEIGHT, 60), WIDTH, HEIGHT)


def sample(lights: tuple[PointLight, ...] = ()) -> CameraSample:
    turn, place = np.tile(np.eye(3), (HEIGHT, 1, 1)), np.zeros((HEIGHT, 3))
    return CameraSample(
        RowPoses(np.tile(CAMERA_IN_BODY, (HEIGHT, 1, 1)), place, turn, place), lights
    )


def trace(tracer: Tracer, one: CameraSample):
    return tracer.trace(np.random.default_rng(0), [one], None, NOBODY, None)


def test_depth_and_light_of_a_wall_follow_geometry(tracer):
    traced = trace(tracer, sample())
    assert (traced.surface == STATIC).all()
    assert traced.depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(3, abs=0.02)
    assert traced.depth.max() == pytest.approx(3 / np.cos(np.radians(34.6)), abs=0.1)
    paint = atlas(0).mean[LAYER["paint"]].mean()
    light = (3 / traced.depth) ** 3 / 9
    reflected = traced.radiance.mean(axis=-1) / (0.5 * paint * light)
    assert reflected.min() > 0.93
    assert reflected.max() < 1.07


def test_a_flash_brightens_only_its_rows(tracer):
    weight = np.zeros(HEIGHT)
    weight[10:20] = 0.5
    place = np.tile((0.0, 1.0, 0.0), (HEIGHT, 1))
    axis = np.tile((0.0, 1.0, 0.0), (HEIGHT, 1))
    light = PointLight(place, axis, weight, np.array((4.0, 3.0, 2.0)))
    gain = trace(tracer, sample((light,))).radiance - trace(tracer, sample()).radiance
    rows = gain.mean(axis=(1, 2))
    assert rows[10:20].min() > 0.05
    assert np.abs(rows[:10]).max() == 0
    assert np.abs(rows[20:]).max() == 0


@pytest.fixture(scope="module")
def screen() -> Tracer:
    """A camera at the origin looks along +y at a screen 3 m away, its right half glowing."""
    builder = MeshBuilder(tessellation=9.0)
    for x, glow in ((-9, 0.0), (0, 1.0)):
        material = Material("paint", (0.0, 0.0, 0.0), emission=np.ones(3) * glow)
        builder.sheet((x, 3, -9), (9, 0, 0), (0, 0, 18), material)
    world = LitWorld(builder.build(), [], Sky(), atlas(0), np.random.default_rng(0))
    return Tracer(world, PinholeLens(WIDTH, HEIGHT, 60), WIDTH, HEIGHT)


def edge_width(tracer: Tracer, aperture: Aperture | None) -> float:
    """Return over how many pixels the edge of the screen's glow rises from 10 to 90 percent."""
    samples = [replace(sample(), aperture=aperture)] * 24
    traced = tracer.trace(np.random.default_rng(0), samples, None, NOBODY, None)
    profile = traced.radiance[4:-4].mean(axis=(0, 2))
    return float(
        np.interp(0.9, profile, np.arange(WIDTH)) - np.interp(0.1, profile, np.arange(WIDTH))
    )


def test_a_lens_blurs_what_is_out_of_focus_by_its_circle_of_confusion(screen):
    sharp = edge_width(screen, None)
    # Blur disc of 0.1 (1/1 - 1/3) rad; a disc's edge rises from 10 to 90 % in 1.37 radii.
    radius = 0.1 * (1 / 1.0 - 1 / 3.0) * PinholeLens(WIDTH, HEIGHT, 60).pixels_per_radian
    assert edge_width(screen, Aperture(0.1, 1.0)) == pytest.approx(1.37 * radius, rel=0.15)
    assert sharp < 1.5


def test_a_lens_keeps_what_is_in_focus(screen):
    assert edge_width(screen, Aperture(0.1, 3.0)) < edge_width(screen, None) + 0.2


def test_a_closed_aperture_sees_what_a_pinhole_sees(tracer):
    closed = trace(tracer, replace(sample(), aperture=Aperture(0.0, 2.0)))
    assert closed.radiance == pytest.approx(trace(tracer, sample()).radiance, rel=1e-3)


def test_frames_of_what_stands_still_are_alike(tracer):
    """A new draw for each would be a grain that renderers have and cameras do not."""
    rng = np.random.default_rng(4)
    first, second = (tracer.trace(rng, [sample()] * 3, None, NOBODY, None) for _ in range(2))
    assert np.array_equal(first.radiance, second.radiance)


def panned(tracer: Tracer, pan: float) -> float:
    """Return over how many pixels the edge of the screen's glow spreads in a pan (radians)."""
    samples = []
    for yaw in np.linspace(-pan / 2, pan / 2, 24):
        turn = rotations(np.zeros(1), np.array([yaw]), np.zeros(1))[0] @ CAMERA_IN_BODY
        still = sample()
        poses = replace(still.poses, camera_turn=np.tile(turn, (HEIGHT, 1, 1)))
        samples.append(replace(still, poses=poses))
    traced = tracer.trace(np.random.default_rng(0), samples, None, NOBODY, None)
    profile = traced.radiance[4:-4].mean(axis=(0, 2))
    return float(((profile > 0.02) & (profile < 0.98)).sum())


def test_sub_frames_of_a_moving_camera_blur_by_its_way_and_of_a_still_one_do_not(screen):
    way = 0.15 * PinholeLens(WIDTH, HEIGHT, 60).pixels_per_radian
    assert panned(screen, 0.15) == pytest.approx(way, abs=1.5)
    assert panned(screen, 0.0) <= 1
