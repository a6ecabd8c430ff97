"""Compiled shading: textures, lamps, sky and small lights, ray by ray (numba, one thread)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.engines.render.kernels import STATIC, WEARER, sky_radiance

Array = NDArray[np.float32]

_MAX_WEIGHT = np.float32(400)
_REFLECTED = np.float32(0.3)
_SHARPNESS = 0.3
"""Below 1 a texture keeps detail finer than a pixel, which a pixel's several rays then average."""


class Shading(NamedTuple):
    """What shading leaves for each ray before shadows are known; `lamp_*` is the shadow ray."""

    point: Array
    normal: Array
    albedo: Array
    emission: Array
    ambient: Array
    direct: Array
    gloss: Array
    lamp_direction: Array
    lamp_distance: Array


def empty_shading(num_rays: int) -> Shading:
    """Allocate the buffers that `shade` fills."""
    vectors: list[Any] = [np.zeros((num_rays, 3), np.float32) for _ in range(7)]
    gloss, distance = np.zeros(num_rays, np.float32), np.zeros(num_rays, np.float32)
    point, normal, albedo, emission, ambient, direct, direction = vectors
    return Shading(point, normal, albedo, emission, ambient, direct, gloss, direction, distance)


@njit(cache=True)
def _texel(atlas, layer, x, y, level):  # type: ignore[no-untyped-def]
    size = atlas.sizes[level]
    column, row = x * size - 0.5, y * size - 0.5
    left, top = int(np.floor(column)), int(np.floor(row))
    f, g = np.float32(column - left), np.float32(row - top)
    base = atlas.offsets[level] + layer * size * size
    left, top = left % size, top % size
    right, bottom = (left + 1) % size, (top + 1) % size
    t00, t01 = base + top * size + left, base + top * size + right
    t10, t11 = base + bottom * size + left, base + bottom * size + right
    w00, w01, w10, w11 = (1 - f) * (1 - g), f * (1 - g), (1 - f) * g, f * g
    texels = atlas.texels
    red = w00 * texels[t00, 0] + w01 * texels[t01, 0] + w10 * texels[t10, 0] + w11 * texels[t11, 0]
    green = (
        w00 * texels[t00, 1] + w01 * texels[t01, 1] + w10 * texels[t10, 1] + w11 * texels[t11, 1]
    )
    blue = w00 * texels[t00, 2] + w01 * texels[t01, 2] + w10 * texels[t10, 2] + w11 * texels[t11, 2]
    return red, green, blue


@njit(cache=True)
def _lamp_sample(lamps, point, normal, random, i, estimate, out):  # type: ignore[no-untyped-def]
    """Pick one lamp by its unshadowed weight and a point on it; estimate its light if asked."""
    count = len(lamps.centre)
    weights = np.empty(count, np.float32)
    total = np.float32(0)
    for k in range(count):
        dx = lamps.centre[k, 0] - point[0]
        dy = lamps.centre[k, 1] - point[1]
        dz = lamps.centre[k, 2] - point[2]
        square = dx * dx + dy * dy + dz * dz + np.float32(0.05)
        length = np.sqrt(square)
        lit = (normal[0] * dx + normal[1] * dy + normal[2] * dz) / length + np.float32(0.12)
        n = lamps.normal[k]
        emit = np.float32(1)
        if n[0] != 0 or n[1] != 0 or n[2] != 0:
            emit = max(-(n[0] * dx + n[1] * dy + n[2] * dz) / length, np.float32(0.03))
        power = lamps.intensity[k, 0] + lamps.intensity[k, 1] + lamps.intensity[k, 2]
        weights[k] = power * max(lit, np.float32(0.01)) * emit / square
        total += weights[k]
    remaining, chosen = random[0, i] * total, count - 1
    for k in range(count):
        remaining -= weights[k]
        if remaining <= 0:
            chosen = k
            break
    probability = weights[chosen] / total
    a, b = random[1, i] - np.float32(0.5), random[2, i] - np.float32(0.5)
    square = np.float32(0)
    for k in range(3):
        target = lamps.centre[chosen, k] + a * lamps.edge_u[chosen, k] + b * lamps.edge_v[chosen, k]
        out.lamp_direction[i, k] = target - point[k]
        square += out.lamp_direction[i, k] ** 2
    length = np.sqrt(square)
    facing, emit = np.float32(0), np.float32(0)
    n = lamps.normal[chosen]
    for k in range(3):
        out.lamp_direction[i, k] /= length
        facing += normal[k] * out.lamp_direction[i, k]
        emit -= n[k] * out.lamp_direction[i, k]
    if n[0] == 0 and n[1] == 0 and n[2] == 0:
        emit = np.float32(1)
    out.lamp_distance[i] = length
    if estimate:
        gain = max(facing, np.float32(0)) * max(emit, np.float32(0))
        gain = min(gain / (square + np.float32(0.01)) / probability, _MAX_WEIGHT)
        for k in range(3):
            out.direct[i, k] = gain * lamps.intensity[chosen, k]


@njit(cache=True)
def shade(  # type: ignore[no-untyped-def]
    code, hits, origins, directions, surface, atlas, lamps, random, rotations, pixel_angle, out
):
    """Fill `out` for the rays whose nearest hit lies on surface `code`.

    `random` (3, N) in [0, 1). `rotations` (H, 3, 3) turns the normals of the wearer's own arms,
    which live in a moving frame, into the world. Static surfaces take their lamp light from the
    bake; moving ones estimate it with one sample.
    """
    num_rays = len(hits.surface)
    width = num_rays // len(rotations)
    normal = np.empty(3, np.float32)
    for i in range(num_rays):
        if hits.surface[i] != code:
            continue
        triangle, u, v = hits.triangle[i], hits.u[i], hits.v[i]
        a, b, c = surface.triangles[triangle]
        w = np.float32(1) - u - v
        for k in range(3):
            normal[k] = (
                w * surface.normals[a, k] + u * surface.normals[b, k] + v * surface.normals[c, k]
            )
            out.point[i, k] = origins[i, k] + hits.distance[i] * directions[i, k]
            out.ambient[i, k] = (
                w * surface.ambient[a, k] + u * surface.ambient[b, k] + v * surface.ambient[c, k]
            )
            out.direct[i, k] = (
                w * surface.direct[a, k] + u * surface.direct[b, k] + v * surface.direct[c, k]
            )
            out.emission[i, k] = surface.emission[triangle, k]
        if code == WEARER:
            turn = rotations[i // width]
            x, y, z = normal[0], normal[1], normal[2]
            for k in range(3):
                normal[k] = turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z
        length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + np.float32(1e-9)
        facing = np.float32(0)
        for k in range(3):
            normal[k] /= length
            facing += normal[k] * directions[i, k]
        if facing > 0:
            for k in range(3):
                normal[k] = -normal[k]
        for k in range(3):
            out.normal[i, k] = normal[k]
        texels_per_pixel = hits.distance[i] * pixel_angle * atlas.sizes[0]
        texels_per_pixel *= surface.tiles_per_m[triangle] / max(abs(facing), np.float32(0.25))
        level = int(np.log2(max(texels_per_pixel * _SHARPNESS, 1.0)))
        level = min(level, len(atlas.sizes) - 1)
        x = w * surface.uv[a, 0] + u * surface.uv[b, 0] + v * surface.uv[c, 0]
        y = w * surface.uv[a, 1] + u * surface.uv[b, 1] + v * surface.uv[c, 1]
        colour = _texel(atlas, surface.layer[triangle], x, y, level)
        out.albedo[i, 0] = colour[0] * surface.tint[triangle, 0]
        out.albedo[i, 1] = colour[1] * surface.tint[triangle, 1]
        out.albedo[i, 2] = colour[2] * surface.tint[triangle, 2]
        out.gloss[i] = surface.gloss[triangle]
        if len(lamps.centre) > 0:
            _lamp_sample(lamps, out.point[i], normal, random, i, code != STATIC, out)


@njit(cache=True)
def shade_backdrop(hits, num_triangles, panorama, centre, level, out):  # type: ignore[no-untyped-def]
    """Give the rays that hit the first `num_triangles` still ones what a photograph shows there.

    `panorama` (rows, columns, 3) is radiance, seen from `centre` (3,), `level` its mean: how much
    a place reflects is guessed from how bright it is, for shadows and flashes that fall on it.
    """
    rows, columns = panorama.shape[0], panorama.shape[1]
    for i in range(len(hits.surface)):
        if hits.surface[i] != STATIC or hits.triangle[i] >= num_triangles:
            continue
        x, y = out.point[i, 0] - centre[0], out.point[i, 1] - centre[1]
        z = out.point[i, 2] - centre[2]
        down = np.arccos(z / np.sqrt(x * x + y * y + z * z)) / np.pi * rows - 0.5
        turn = (np.arctan2(y, x) / (2 * np.pi) % 1.0) * columns - 0.5
        top, left = int(np.floor(down)), int(np.floor(turn))
        f, g = np.float32(down - top), np.float32(turn - left)
        top, bottom = max(top, 0), min(top + 1, rows - 1)
        left, right = left % columns, (left + 1) % columns
        for k in range(3):
            upper = (1 - g) * panorama[top, left, k] + g * panorama[top, right, k]
            lower = (1 - g) * panorama[bottom, left, k] + g * panorama[bottom, right, k]
            radiance = (1 - f) * upper + f * lower
            share = min(max(_REFLECTED * radiance / level, np.float32(0.03)), np.float32(0.8))
            out.albedo[i, k] = share
            out.ambient[i, k] = radiance / share
            out.direct[i, k] = out.emission[i, k] = 0
        out.gloss[i] = 0


@njit(cache=True)
def shade_sky(hits, directions, sky, out):  # type: ignore[no-untyped-def]
    """Give the rays that hit nothing the radiance of the sky."""
    for i in range(len(hits.surface)):
        if hits.surface[i] < 0:
            hits.distance[i] = 1e3
            colour = sky_radiance(sky, directions[i, 0], directions[i, 1], directions[i, 2])
            for k in range(3):
                out.emission[i, k] = colour[k]
                out.albedo[i, k] = out.ambient[i, k] = out.direct[i, k] = 0
                out.point[i, k] = directions[i, k] * 1e3
            out.gloss[i] = 0


@njit(cache=True)
def spotlight(shading, hits, source, axis, cosines, row_weight, gain, direction, distance):  # type: ignore[no-untyped-def]
    """Compute the unshadowed gain (N,) of a small light and the shadow rays towards it.

    `source` and `axis` (H, 3) per row, `cosines` (inner, outer) of its cone, `row_weight` (H,)
    the share of the row's exposure in which it shines.
    """
    width = len(gain) // len(row_weight)
    inner, outer = cosines
    for i in range(len(gain)):
        row = i // width
        gain[i] = 0
        if row_weight[row] <= 0 or hits.surface[i] < 0:
            continue
        square = np.float32(0)
        for k in range(3):
            direction[i, k] = source[row, k] - shading.point[i, k]
            square += direction[i, k] ** 2
        length = np.sqrt(square)
        facing, along = np.float32(0), np.float32(0)
        for k in range(3):
            direction[i, k] /= length
            facing += direction[i, k] * shading.normal[i, k]
            along -= direction[i, k] * axis[row, k]
        cone = min(max((along - outer) / (inner - outer), np.float32(0)), np.float32(1))
        distance[i] = length
        if facing > 0:
            gain[i] = row_weight[row] * facing * cone * cone / (square + np.float32(0.05))


@njit(cache=True)
def accumulate(  # type: ignore[no-untyped-def]
    shading, directions, sky, ambient_share, lamp_share, sun, sun_light, sun_share, extra, total
):
    """Add one sample's radiance to `total` (N, 3).

    The shares (N,) are the visible parts of sky, lamp and sun; `sun` (3,) points to it,
    `sun_light` (3,) is its irradiance, `extra` (N, 3) the radiance of flashes and torches.
    """
    for i in range(len(total)):
        normal, view = shading.normal[i], directions[i]
        towards = normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2]
        sunny = max(towards, np.float32(0)) * sun_share[i]
        gloss = shading.gloss[i]
        mirror = (np.float32(0), np.float32(0), np.float32(0))
        fresnel, lamp_shine, sun_shine = np.float32(0), np.float32(0), np.float32(0)
        if gloss > 0.03:
            facing = -(normal[0] * view[0] + normal[1] * view[1] + normal[2] * view[2])
            x = view[0] + 2 * facing * normal[0]
            y = view[1] + 2 * facing * normal[1]
            z = view[2] + 2 * facing * normal[2]
            grazing = (1 - max(facing, np.float32(0))) ** 4
            fresnel = gloss * (np.float32(0.15) + np.float32(0.85) * grazing)
            mirror = sky_radiance(sky, x, y, z)
            lamp = shading.lamp_direction[i]
            shine = max(x * lamp[0] + y * lamp[1] + z * lamp[2], np.float32(0))
            lamp_shine = gloss * 4 * shine**20 * lamp_share[i]
            shine = max(x * sun[0] + y * sun[1] + z * sun[2], np.float32(0))
            sun_shine = gloss * 8 * shine**40 * sun_share[i]
        for k in range(3):
            light = shading.ambient[i, k] * ambient_share[i]
            light += shading.direct[i, k] * lamp_share[i] + sun_light[k] * sunny
            value = shading.emission[i, k] + shading.albedo[i, k] * light + extra[i, k]
            value += fresnel * mirror[k]
            value += shading.direct[i, k] * lamp_shine + sun_light[k] * sun_shine
            total[i, k] += min(value, np.float32(2e3))


@njit(cache=True)
def near_people(hits, shading, feet, reach):  # type: ignore[no-untyped-def]
    """Mark static points within `reach` metres, on the ground plan, of any of `feet` (P, 2)."""
    near = np.zeros(len(hits.surface), np.bool_)
    for i in range(len(hits.surface)):
        if hits.surface[i] == STATIC:
            for k in range(len(feet)):
                dx = shading.point[i, 0] - feet[k, 0]
                dy = shading.point[i, 1] - feet[k, 1]
                if dx * dx + dy * dy < reach * reach:
                    near[i] = True
                    break
    return near
