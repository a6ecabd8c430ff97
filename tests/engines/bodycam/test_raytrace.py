import numpy as np
import pytest

from pipeline.engines.bodycam.kernels import STATIC
from pipeline.engines.bodycam.look.lens import PinholeLens
from pipeline.engines.bodycam.motion import CAMERA_IN_BODY
from pipeline.engines.bodycam.raytrace import PointLight, RowPoses, Sample, Tracer
from pipeline.engines.bodycam.world.geometry import Material, MeshBuilder
from pipeline.engines.bodycam.world.lighting import Lamp, LitWorld, Sky
from pipeline.engines.bodycam.world.textures import atlas

WIDTH, HEIGHT = 48, 32
NOBODY = np.zeros((0, 2), np.float32)


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    """A camera at the origin looks along +y at a wall 3 m away."""
    builder = MeshBuilder(tessellation=0.5)
    builder.sheet((-9, 3, -9), (18, 0, 0), (0, 0, 18), Material("paint", (0.5, 0.5, 0.5)))
    lamp = Lamp((0, 0, 0), (0.1, 0, 0), (0, 0, 0.1), None, (1.0, 1.0, 1.0))
    world = LitWorld(builder.build(), [lamp], Sky(), atlas(0), np.random.default_rng(0))
    return Tracer(world, PinholeLens(WIDTH, HEIGHT, 60), WIDTH, HEIGHT)


def sample(lights: tuple[PointLight, ...] = ()) -> Sample:
    turn, place = np.tile(np.eye(3), (HEIGHT, 1, 1)), np.zeros((HEIGHT, 3))
    return Sample(RowPoses(np.tile(CAMERA_IN_BODY, (HEIGHT, 1, 1)), place, turn, place), lights)


def trace(tracer: Tracer, one: Sample):
    return tracer.trace(np.random.default_rng(0), [one], None, NOBODY, None)


def test_depth_and_light_of_a_wall_follow_geometry(tracer):
    traced = trace(tracer, sample())
    assert (traced.surface == STATIC).all()
    assert traced.depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(3, abs=0.02)
    assert traced.depth.max() == pytest.approx(3 / np.cos(np.radians(34.6)), abs=0.1)
    centre = traced.radiance[HEIGHT // 2, WIDTH // 2].mean()
    assert centre == pytest.approx(0.5 * 0.97 * 1.0 / 9, rel=0.1)
    assert traced.radiance[0, 0].mean() < centre


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
