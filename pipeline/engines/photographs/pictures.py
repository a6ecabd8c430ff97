"""Photographs, all round and flat, as what a camera sees in every direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render.world import backdrop
from pipeline.engines.render.world.location import PLACES
from pipeline.errors import UserError

Array = NDArray[np.float32]

_ONLY_CAMERA = "only the camera and its motion are Discern's"
_PAD = 2
_FLAT_WHITE = 0.88
# Around lights, so bright, scaling has left rims within so many pixels, so dark in a channel and
# so much darker than what is about them.
_LIGHT, _RIM, _RIM_DARK, _RIM_DEPTH = 230, 7, 40, 80
_BRIGHTEST = 250
_SHARES = 0.6, 1.0


class RadianceField(Protocol):
    """What lies around a camera. World axes: x right, y ahead, z up."""

    def radiance(self, rays: Array) -> Array:
        """Return linear radiance float32 (H, W, 3) along directions (H, W, 3) of any length."""
        ...


@dataclass(frozen=True)
class Photograph:
    """A photograph that recordings are made of.

    `level` is how bright it is beside daylight in the open; lamps, which flicker, light it where
    it is `indoors`. `package` and `path` name the installed file of a flat photograph; both are
    empty for a panorama of the project. `room` is its kind among `acoustics.room.ROOMS`.
    """

    name: str
    licence: str
    authority: str
    room: str
    level: float = 1.0
    indoors: bool = False
    package: str = ""
    path: str = ""

    @property
    def is_flat(self) -> bool:
        """Whether it shows a part of its surroundings only."""
        return bool(self.package)


def _flat(
    name: str,
    licence: str,
    photographer: str,
    package: str,
    path: str,
    room: str,
    indoors: bool = False,
) -> Photograph:
    authority = f"photograph by {photographer}; {_ONLY_CAMERA}"
    return Photograph(name, licence, authority, room, 1.0, indoors, package, path)


SOURCES = (
    *(
        Photograph(
            name=place.name,
            licence="CC0-1.0",
            authority=(
                "photographs by Poly Haven photographers, given to the public domain; "
                + _ONLY_CAMERA
            ),
            room=place.room,
            level=place.level,
            indoors=place.light == "day",
        )
        for place in PLACES
    ),
    _flat(
        "pagoda",
        "CC-BY-2.0",
        "danielbuechele (flickr.com/photos/danielbuechele/6061409035), in scikit-learn",
        "sklearn",
        "datasets/images/china.jpg",
        "courtyard",
    ),
    _flat(
        "flower",
        "CC-BY-2.0",
        "vultilion (flickr.com/photos/vultilion/6056698931), in scikit-learn",
        "sklearn",
        "datasets/images/flower.jpg",
        "field",
    ),
    _flat(
        "cup",
        "CC0-1.0",
        "Rachel Michetti, courtesy of Pikolo Espresso Bar, in scikit-image",
        "skimage",
        "data/coffee.png",
        "room",
        indoors=True,
    ),
    _flat(
        "rocket",
        "public domain",
        "SpaceX, given to the public domain, in scikit-image",
        "skimage",
        "data/rocket.jpg",
        "field",
    ),
    _flat(
        "cat",
        "CC0-1.0",
        "Stefan van der Walt, in scikit-image",
        "skimage",
        "data/chelsea.png",
        "room",
        indoors=True,
    ),
)
"""Photographs of places and things under licences that allow this, none of a person."""


class Panorama:
    """A photograph taken all round, turned about the vertical so that `heading` lies ahead."""

    def __init__(self, encoded: Array, heading: float) -> None:
        rows, columns = encoded.shape[:2]
        self._rows, self._columns, self._heading = rows, columns, heading
        around = np.pad(encoded, ((0, 0), (_PAD, _PAD), (0, 0)), "wrap")
        self._padded = np.pad(around, ((_PAD, _PAD), (0, 0), (0, 0)), "edge")

    def radiance(self, rays: Array) -> Array:  # noqa: D102 - see Picture
        x, y, z = rays[..., 0], rays[..., 1], rays[..., 2]
        turn = (np.arctan2(x, y) + np.float32(self._heading)) / np.float32(2 * np.pi) % 1
        up = np.asarray(np.arctan2(z, np.hypot(x, y)), np.float32)
        down = np.float32(0.5) - up / np.float32(np.pi)
        return _look_up(
            self._padded,
            turn * np.float32(self._columns) + np.float32(_PAD - 0.5),
            down * np.float32(self._rows) + np.float32(_PAD - 0.5),
        )


class Still:
    """A flat photograph, hung ahead of the camera so that it fills all that the camera sees."""

    def __init__(self, rng: np.random.Generator, encoded: Array, seen: Array) -> None:
        """Hang `encoded` (rows, columns, 3) so that directions `seen` (N, 3) fall into it.

        All of `seen` must point ahead.
        """
        self._encoded = encoded
        across, up = seen[:, 0] / seen[:, 1], seen[:, 2] / seen[:, 1]
        size = np.array((encoded.shape[1], encoded.shape[0])) - 1 - 2 * _PAD
        low = np.array((across.min(), -up.max()))
        span = np.array((across.max(), -up.min())) - low
        self._pixels = float((size / span).min() * rng.uniform(*_SHARES))
        spare = size - span * self._pixels
        origin = _PAD + spare * rng.random(2) - low * self._pixels
        self._left, self._top = origin.astype(np.float32)

    def radiance(self, rays: Array) -> Array:  # noqa: D102 - see Picture
        scale = np.float32(self._pixels) / rays[..., 1]
        x, y = rays[..., 0] * scale + self._left, self._top - rays[..., 2] * scale
        return _look_up(self._encoded, x, y)


def _look_up(encoded: Array, x: Array, y: Array) -> Array:
    # Interpolated as it is stored, since radiance rings around every lamp.
    found = cv2.remap(encoded, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return backdrop.radiance(np.asarray(found, np.float32))


@cache
def read(source: Photograph) -> Array:
    """Read a photograph, float32 (rows, columns, 3) RGB in [0, 1].

    `backdrop.radiance` says what a value stands for. White of a flat photograph is a few times
    as bright as its middle, as under the shoulder of a tone curve.

    Raises:
        UserError: the installed package has no such photograph.
    """
    if source.is_flat:
        return _read_flat(source).astype(np.float32) * np.float32(_FLAT_WHITE / 255)
    return _mended(backdrop.encoded(source.name)) / np.float32(255)


def _read_flat(source: Photograph) -> NDArray[np.uint8]:
    spec = find_spec(source.package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    for path in (Path(folder, source.path) for folder in folders):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
        if picture is not None:
            return np.asarray(picture, np.uint8)
    raise UserError(
        f"photographs: {source.package}/{source.path}: not in the installed package; install the "
        "versions of constraints.txt: pip install -c constraints.txt -e ."
    )


def _mended(encoded: NDArray[np.uint8]) -> Array:
    """Return a panorama, 0 to 255, without what scaling, overflow and JPEG did to its lights."""
    around = np.ones((_RIM, _RIM), np.uint8)
    dark = encoded.min(2)
    is_near = cv2.dilate(encoded.max(2), around) > _LIGHT
    is_thin = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, around).astype(int) - dark > _RIM_DEPTH
    is_rim = (dark < _RIM_DARK) & is_near & is_thin
    filled = cv2.inpaint(encoded, is_rim.astype(np.uint8), 2, cv2.INPAINT_TELEA)
    # One level of what is stored is much light up there, and so is an error of the JPEG.
    calm = np.minimum(cv2.medianBlur(filled, 3), _BRIGHTEST)
    is_light = cv2.dilate(filled.max(2), np.ones((3, 3), np.uint8)) > _LIGHT
    is_inside = cv2.erode(calm.max(2), np.ones((5, 5), np.uint8)) > _LIGHT
    even = cv2.GaussianBlur(calm.astype(np.float32), (0, 0), 1.2)
    mended = np.where(is_light[..., None], calm, filled)
    return np.asarray(np.where(is_inside[..., None], even, mended), np.float32)
