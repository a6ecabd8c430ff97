"""Colours and cloth of a body, drawn once a person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.people import humanoid
from pipeline.engines.render.people.humanoid import Body
from pipeline.engines.render.world.geometry import Mesh
from pipeline.engines.render.world.textures import LAYER

_CLOTH = np.array(
    [
        (0.05, 0.06, 0.09),
        (0.10, 0.10, 0.11),
        (0.22, 0.20, 0.14),
        (0.13, 0.15, 0.09),
        (0.30, 0.27, 0.20),
        (0.35, 0.08, 0.07),
        (0.12, 0.18, 0.32),
        (0.50, 0.50, 0.48),
        (0.04, 0.04, 0.045),
        (0.55, 0.45, 0.32),
        (0.62, 0.62, 0.64),
        (0.45, 0.22, 0.10),
        (0.30, 0.38, 0.52),
        (0.72, 0.70, 0.62),
    ]
)
_DARK_CLOTH = _CLOTH[[0, 1, 2, 3, 8]]
_UNIFORM_CLOTH = _CLOTH[[0, 1, 2, 3, 4, 8, 9, 12]]
_CAMOUFLAGE_SHARE = 0.3


def dress(rng: np.random.Generator, body: Body, uniform: bool) -> Mesh:
    """Return the body at rest as a coloured mesh; uniforms are darker and may be camouflage."""
    palette = _UNIFORM_CLOTH if uniform else _CLOTH
    skin = np.array((0.78, 0.55, 0.43)) * rng.uniform(0.25, 1.05)
    skin = skin * (1, rng.uniform(0.92, 1.02), rng.uniform(0.88, 1.0))
    shirt, trousers, cap = (
        palette[rng.integers(len(palette))] * rng.uniform(0.8, 1.2) for _ in range(3)
    )
    vest = _DARK_CLOTH[rng.integers(len(_DARK_CLOTH))] * 0.8
    hair = np.array((0.09, 0.06, 0.04)) * rng.uniform(0.3, 2.0)
    short_sleeves = rng.random() < 0.35
    tints = np.zeros((9, 3))
    tints[[humanoid.SKIN, humanoid.SHIRT, humanoid.TROUSERS]] = skin, shirt, trousers
    tints[[humanoid.HAIR, humanoid.VEST, humanoid.CAP]] = hair, vest, cap * 0.7
    tints[humanoid.BOOTS], tints[humanoid.BELT] = (0.05, 0.04, 0.035), (0.04, 0.035, 0.03)
    tints[humanoid.GLOVE] = 0.04
    layers = np.full(9, LAYER["fabric"])
    layers[humanoid.SKIN], layers[humanoid.BOOTS] = LAYER["skin"], LAYER["rubber"]
    camouflage = uniform and rng.random() < _CAMOUFLAGE_SHARE
    if camouflage:
        layers[[humanoid.SHIRT, humanoid.TROUSERS]] = LAYER["camouflage"]
        tints[[humanoid.SHIRT, humanoid.TROUSERS]] = 1.0
    centroid = body.vertices[body.triangles].mean(1)
    tint, layer = tints[body.material], layers[body.material]
    if short_sleeves:
        bare = (body.material == humanoid.SHIRT) & (np.abs(centroid[:, 0]) > 0.4)
        tint[bare], layer[bare] = skin, LAYER["skin"]
    watch = (centroid[:, 0] < -0.69) & (centroid[:, 0] > -0.72)
    tint[watch & (body.material != humanoid.GLOVE)] = 0.02
    _draw_face(tint, centroid, body.material == humanoid.SKIN)
    metres = 0.8 if camouflage else 0.35
    uv = np.stack(
        [
            body.vertices[:, 0] + 0.7 * body.vertices[:, 1],
            body.vertices[:, 2] + 0.3 * body.vertices[:, 1],
        ],
        1,
    )
    count = len(body.triangles)
    return Mesh(
        vertices=body.vertices,
        normals=body.normals,
        uv=(uv / metres).astype(np.float32),
        triangles=body.triangles,
        layer=layer.astype(np.int32),
        tint=tint.astype(np.float32),
        emission=np.zeros((count, 3), np.float32),
        gloss=np.full(count, 0.02, np.float32),
        tiles_per_m=np.full(count, 1 / metres, np.float32),
    )


def _draw_face(
    tint: NDArray[np.float64], centroid: NDArray[np.float32], skin: NDArray[np.bool_]
) -> None:
    for x in (-0.032, 0.032):
        eye = np.linalg.norm(centroid - (x, 0.082, 1.625), axis=1) < 0.02
        tint[eye & skin] *= 0.25
    mouth = (centroid - (0, 0.085, 1.55)) * (0.6, 1, 1.8)
    tint[(np.linalg.norm(mouth, axis=1) < 0.022) & skin] *= 0.5
