"""Compiled loops over rays and vertices, and the arrays that they share (numba, one thread)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]

STATIC, PEOPLE, WEARER = 0, 1, 2


class SurfaceArrays(NamedTuple):
    """What shading needs of one mesh; shapes as in `world.geometry.Mesh`.

    `ambient` and `direct` are (V, 3) baked irradiance: sky and bounced light, and lamps.
    """

    triangles: NDArray[np.int32]
    normals: Array
    uv: Array
    ambient: Array
    direct: Array
    layer: NDArray[np.int32]
    tint: Array
    emission: Array
    gloss: Array
    tiles_per_m: Array


class LampArrays(NamedTuple):
    """Rectangular lamps: `centre`, `edge_u`, `edge_v`, `normal`, `intensity` (L, 3).

    A lamp whose `normal` is zero shines to all sides.
    """

    centre: Array
    edge_u: Array
    edge_v: Array
    normal: Array
    intensity: Array


class Hits(NamedTuple):
    """The nearest hit of every ray; `surface` is -1 for the sky."""

    surface: NDArray[np.int8]
    triangle: NDArray[np.int32]
    u: Array
    v: Array
    distance: Array


@njit(cache=True)
def sky_radiance(sky, x, y, z):  # type: ignore[no-untyped-def]
    """Look up a (rows, columns, 3) sky: rows by sqrt of the height, columns by azimuth."""
    rows, columns = sky.shape[0], sky.shape[1]
    row = min(np.sqrt(max(z, np.float32(0))) * (rows - 1), rows - 1.001)
    turn = (np.arctan2(y, x) / (2 * np.pi) % 1.0) * columns
    top, left = int(row), int(turn) % columns
    right = (left + 1) % columns
    f, g = np.float32(row - top), np.float32(turn - int(turn))
    w00, w01, w10, w11 = (1 - f) * (1 - g), (1 - f) * g, f * (1 - g), f * g
    a, b, c, d = sky[top, left], sky[top, right], sky[top + 1, left], sky[top + 1, right]
    return (
        w00 * a[0] + w01 * b[0] + w10 * c[0] + w11 * d[0],
        w00 * a[1] + w01 * b[1] + w10 * c[1] + w11 * d[1],
        w00 * a[2] + w01 * b[2] + w10 * c[2] + w11 * d[2],
    )


@njit(cache=True)
def camera_rays(grid, jitter, rotations, positions, origins, directions):  # type: ignore[no-untyped-def]
    """Fill (N, 3) world rays from per-row camera poses.

    `grid` (H+1, W+1, 3) are lens directions at pixel corners, `jitter` (2, N) in [0, 1) the
    place in the pixel, `rotations` (H, 3, 3) and `positions` (H, 3) one pose a row.
    """
    height, width = grid.shape[0] - 1, grid.shape[1] - 1
    for row in range(height):
        turn, place = rotations[row], positions[row]
        for column in range(width):
            i = row * width + column
            a, b = jitter[0, i], jitter[1, i]
            w0, w1, w2, w3 = (1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b
            p0, p1 = grid[row, column], grid[row, column + 1]
            p2, p3 = grid[row + 1, column], grid[row + 1, column + 1]
            x = w0 * p0[0] + w1 * p1[0] + w2 * p2[0] + w3 * p3[0]
            y = w0 * p0[1] + w1 * p1[1] + w2 * p2[1] + w3 * p3[1]
            z = w0 * p0[2] + w1 * p1[2] + w2 * p2[2] + w3 * p3[2]
            scale = 1 / np.sqrt(x * x + y * y + z * z)
            for k in range(3):
                total = turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z
                directions[i, k] = total * scale
                origins[i, k] = place[k]


@njit(cache=True)
def through_lens(rotations, width, random, radius, focus, origins, directions):  # type: ignore[no-untyped-def]
    """Move pinhole rays (N, 3) onto a thin lens, keeping where they meet the plane of focus.

    `rotations` (H, 3, 3) are the camera's, `random` (2, N) in [0, 1) the place on the lens,
    `radius` of its opening and `focus` ahead along its axis in metres (Cook, Porter and
    Carpenter, "Distributed ray tracing", 1984).
    """
    for i in range(len(origins)):
        turn = rotations[i // width]
        ahead = np.float32(0)
        for k in range(3):
            ahead -= turn[k, 2] * directions[i, k]
        reach = focus / ahead
        away = radius * np.sqrt(random[0, i])
        angle = np.float32(2 * np.pi) * random[1, i]
        right, up = away * np.cos(angle), away * np.sin(angle)
        square = np.float32(0)
        for k in range(3):
            offset = turn[k, 0] * right + turn[k, 1] * up
            origins[i, k] += offset
            directions[i, k] = directions[i, k] * reach - offset
            square += directions[i, k] ** 2
        scale = 1 / np.sqrt(square)
        for k in range(3):
            directions[i, k] *= scale


@njit(cache=True)
def into_frame(rotations, positions, width, points, vectors, local_points, local_vectors):  # type: ignore[no-untyped-def]
    """Bring world points and vectors (N, 3) into the per-row frame (H, 3, 3), (H, 3)."""
    for i in range(len(points)):
        turn, place = rotations[i // width], positions[i // width]
        x, y, z = points[i, 0] - place[0], points[i, 1] - place[1], points[i, 2] - place[2]
        a, b, c = vectors[i, 0], vectors[i, 1], vectors[i, 2]
        for k in range(3):
            local_points[i, k] = turn[0, k] * x + turn[1, k] * y + turn[2, k] * z
            local_vectors[i, k] = turn[0, k] * a + turn[1, k] * b + turn[2, k] * c


@njit(cache=True)
def keep_nearest(hits, code, triangle, u, v, distance):  # type: ignore[no-untyped-def]
    """Overwrite `hits` wherever the hits of surface `code` are nearer."""
    for i in range(len(triangle)):
        if triangle[i] >= 0 and (hits.surface[i] < 0 or distance[i] < hits.distance[i]):
            hits.surface[i] = code
            hits.triangle[i] = triangle[i]
            hits.u[i], hits.v[i], hits.distance[i] = u[i], v[i], distance[i]


@njit(cache=True)
def hemisphere(normals, random):  # type: ignore[no-untyped-def]
    """Turn (2, N) uniform numbers into cosine-weighted directions around (N, 3) normals."""
    out = np.empty_like(normals)
    for i in range(len(normals)):
        z = 1 - 2 * random[0, i]
        radius = np.sqrt(max(np.float32(0), 1 - z * z))
        turn = 2 * np.pi * random[1, i]
        x = normals[i, 0] + np.float32(0.999) * radius * np.cos(turn)
        y = normals[i, 1] + np.float32(0.999) * radius * np.sin(turn)
        z = normals[i, 2] + np.float32(0.999) * z
        length = np.sqrt(x * x + y * y + z * z)
        out[i, 0], out[i, 1], out[i, 2] = x / length, y / length, z / length
    return out


@njit(cache=True)
def gather(triangles, corner_light, albedo, hit_triangle, u, v, out):  # type: ignore[no-untyped-def]
    """Add to `out` (V, 3) the mean light that (R, V) gather rays bring back from their hits."""
    num_rays = len(hit_triangle)
    for r in range(num_rays):
        for i in range(len(out)):
            triangle = hit_triangle[r, i]
            if triangle < 0:
                continue
            a, b, c = triangles[triangle]
            w = 1 - u[r, i] - v[r, i]
            for k in range(3):
                light = w * corner_light[a, k] + u[r, i] * corner_light[b, k]
                light += v[r, i] * corner_light[c, k]
                out[i, k] += albedo[triangle, k] * light / num_rays


@njit(cache=True)
def skin_vertices(vertices, normals, bones, weights, rotations, offsets, out_vertices, out_normals):  # type: ignore[no-untyped-def]
    """Linear-blend skinning with four bones a vertex: rotations (J, 3, 3), offsets (J, 3)."""
    for i in range(len(vertices)):
        for k in range(3):
            place, facing = np.float32(0), np.float32(0)
            for j in range(bones.shape[1]):
                weight, turn = weights[i, j], rotations[bones[i, j]]
                if weight == 0:
                    continue
                place += weight * offsets[bones[i, j], k]
                for m in range(3):
                    place += weight * turn[k, m] * vertices[i, m]
                    facing += weight * turn[k, m] * normals[i, m]
            out_vertices[i, k], out_normals[i, k] = place, facing


@njit(cache=True)
def look_around(grid, zoom, across, down, rotations, faces, total):  # type: ignore[no-untyped-def]
    """Add to `total` (H, W, 3) what a camera that only turns sees of a cube (6, F, F, 3).

    `grid` (H+1, W+1, 3) are lens directions at pixel corners, scaled about the centre by `zoom`;
    `across` and `down` the place in every pixel, `rotations` (H, 3, 3) one pose a row. The faces
    look along +x, -x, +y, -y, +z, -z and have a rim of one pixel (see `surround`).
    """
    height, width, size = grid.shape[0] - 1, grid.shape[1] - 1, faces.shape[1]
    middle, half = np.float32(size / 2 - 0.5), np.float32(size / 2 - 1)
    step = np.float32(1 / zoom)
    first_x = np.float32((across - width / 2) / zoom + width / 2)
    first_y = np.float32((down - height / 2) / zoom + height / 2)
    one = np.float32(1)
    for row in range(height):
        t = rotations[row]
        y = first_y + np.float32(row) * step
        top = min(max(int(y), 0), height - 1)
        g = y - np.float32(top)
        for column in range(width):
            x = first_x + np.float32(column) * step
            left = min(max(int(x), 0), width - 1)
            f = x - np.float32(left)
            w0, w1, w2, w3 = (one - f) * (one - g), f * (one - g), (one - f) * g, f * g
            bottom, right = top + 1, left + 1
            a = w0 * grid[top, left, 0] + w1 * grid[top, right, 0]
            a += w2 * grid[bottom, left, 0] + w3 * grid[bottom, right, 0]
            b = w0 * grid[top, left, 1] + w1 * grid[top, right, 1]
            b += w2 * grid[bottom, left, 1] + w3 * grid[bottom, right, 1]
            c = w0 * grid[top, left, 2] + w1 * grid[top, right, 2]
            c += w2 * grid[bottom, left, 2] + w3 * grid[bottom, right, 2]
            east = t[0, 0] * a + t[0, 1] * b + t[0, 2] * c
            north = t[1, 0] * a + t[1, 1] * b + t[1, 2] * c
            up = t[2, 0] * a + t[2, 1] * b + t[2, 2] * c
            if abs(east) >= abs(north) and abs(east) >= abs(up):
                face = 0 if east > 0 else 1
                u, v, ahead = north, up, abs(east)
            elif abs(north) >= abs(up):
                face = 2 if north > 0 else 3
                u, v, ahead = east, up, abs(north)
            else:
                face = 4 if up > 0 else 5
                u, v, ahead = east, north, abs(up)
            scale = half / ahead
            u, v = middle + scale * u, middle + scale * v
            i, j = int(v), int(u)
            r, s = v - np.float32(i), u - np.float32(j)
            w0, w1, w2, w3 = (one - s) * (one - r), s * (one - r), (one - s) * r, s * r
            for k in range(3):
                total[row, column, k] += (
                    w0 * faces[face, i, j, k]
                    + w1 * faces[face, i, j + 1, k]
                    + w2 * faces[face, i + 1, j, k]
                    + w3 * faces[face, i + 1, j + 1, k]
                )
