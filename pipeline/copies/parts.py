"""Hashes of parts of pictures, by which crops, framed pictures and half covered ones are found.

An item of a bank is known by three parts of its pictures beside the whole: the centre, which every
crop of up to 20 % still shows, and a part above and one below the middle, one of which a caption or
an overlay leaves free. Of a picture that is looked up, all the windows are hashed that would show
one of these, or the whole, if the picture was cropped, or shown smaller within another one; and the
whole and its parts of every screen that is seen in it. Hashes are PDQ's of each part: signs of its
16 by 16 lowest frequencies against their median.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies import screens
from pipeline.copies.fingerprint import HASH_BYTES

SIDE = 256
"""Pixels of the square that pictures are reduced to before their parts are hashed."""
WHOLE, CENTRE, UPPER, LOWER = range(4)
"""Kinds of hashes: of the whole picture, which is PDQ itself, and of its parts."""
PARTS = {
    CENTRE: (0.2, 0.8, 0.2, 0.8),
    UPPER: (0.1, 0.9, 0.1, 0.55),
    LOWER: (0.1, 0.9, 0.45, 0.9),
}
"""Left, right, top and bottom of parts, as shares of the picture."""
MIN_CONTRAST = 8.0
"""Mean strength of its frequencies below which a part is too flat to be told from others."""

_PLACES = PARTS | {WHOLE: (0.0, 1.0, 0.0, 1.0)}
# How large the original picture is, in what is looked up: more than 1 where that was cropped.
_CROPPED = (1.0, 1.04, 1.08, 1.12, 1.165, 1.21, 1.25)
_SIZES = {CENTRE: _CROPPED, UPPER: _CROPPED[:4], LOWER: _CROPPED[:4]}
_FRAMED = (0.965, 0.93, 0.9, 0.865, 0.83, 0.8, 0.77)
# A picture of another shape lies in the middle, from side to side, and what is beside it is filled.
_FILLED = tuple(0.77 * 0.965**step for step in range(1, 26))
# And where it may be turned too, by so much, as what is filmed from a screen is.
_TURNED = (1.04, 1.0, 0.96, 0.925, 0.89, 0.86, 0.83)
_TURNS_DEG = (-5.0, -3.4, -1.7, 0.0, 1.7, 3.4, 5.0)
_OFF_MIDDLE_TURNED = 0.03
# Two windows next to each other are so far apart, as a share of the window.
_STEP = 0.04
# How far from the middle a picture in a frame may lie, likewise.
_OFF_MIDDLE = 0.08
_SAMPLES, _FREQUENCIES = 64, 16

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
Hashes = NDArray[np.uint8]
Kinds = NDArray[np.uint8]
_Placement = tuple[int, float, float, float, float]
"""Kind, and width, left, height and top of the whole original in a picture, all as shares."""


@dataclass(frozen=True)
class _Family:
    """Windows of a picture that is looked up.

    Attributes:
        kinds: uint8 (K,), what each is compared with.
        rows, columns: float32 (n, 16, SIDE), what takes the lowest frequencies out of rows and out
            of columns.
        groups: of every one of the columns, the windows that have it, and the rows of each.
    """

    kinds: Kinds
    rows: Floats
    columns: Floats
    groups: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]

    def of(self, small: Floats) -> Floats:
        """The frequencies of all windows of a reduced picture: (K, 16, 16)."""
        across = self.rows @ small
        found = np.empty((len(self.kinds), _FREQUENCIES, _FREQUENCIES), np.float32)
        # What all windows take would not stay in a processor's cache.
        for columns, (windows, rows) in zip(self.columns, self.groups, strict=True):
            found[windows] = across[rows] @ columns.T
        return found


def of_item(luma: Pixels) -> tuple[Hashes, Kinds]:
    """Hash the parts of a picture of an item.

    Args:
        luma: uint8 (H, W), brightness.

    Returns:
        uint8 (K, 2, 32), of each part that is not too flat and of its mirror image; and which part
        it is, uint8 (K,).
    """
    waves = _of_places(_reduced(luma), PARTS)
    # A mirror image has the opposite sign in every other horizontal frequency, the first included.
    signs = np.where(np.arange(_FREQUENCIES) % 2, 1, -1).astype(np.float32)
    is_varied = _is_varied(waves)
    waves = waves[is_varied]
    kinds = np.array(list(PARTS), np.uint8)[is_varied]
    return np.stack([_bits(waves), _bits(waves * signs)], axis=1), kinds


def of_query(luma: Pixels) -> tuple[Hashes, Kinds]:
    """Hash the windows of a picture that is looked up, but for flat ones.

    Args:
        luma: uint8 (H, W), as of an item.

    Returns:
        uint8 (K, 1, 32), and the kind that each is to be compared with, uint8 (K,).
    """
    height, width = luma.shape
    small = _reduced(luma)
    upright, turned = _family(_placements), _family(_turned_placements)
    waves = [upright.of(small)]
    waves += [turned.of(_turned(small, height, width, angle)) for angle in _TURNS_DEG]
    flattened = screens.flattened(luma, SIDE)
    waves += [_of_places(one, _PLACES) for one in flattened]
    of_screens = np.tile(np.array(list(_PLACES), np.uint8), len(flattened))
    kinds = np.concatenate([upright.kinds, *[turned.kinds] * len(_TURNS_DEG), of_screens])
    found = np.concatenate(waves)
    is_varied = _is_varied(found)
    return _bits(found[is_varied])[:, None], kinds[is_varied]


def _reduced(luma: Pixels) -> Floats:
    import cv2

    small = cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _turned(small: Floats, height: int, width: int, angle_deg: float) -> Floats:
    """A reduced picture, turned as its original of `height` by `width` would be."""
    import cv2

    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[cos, sin * height / width], [-sin * width / height, cos]])
    middle = np.full(2, (SIDE - 1) / 2)
    moved = np.column_stack([turn, middle - turn @ middle])
    return np.asarray(
        cv2.warpAffine(small, moved, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _of_places(small: Floats, places: Mapping[int, tuple[float, float, float, float]]) -> Floats:
    """The frequencies of places in a reduced picture: (K, 16, 16)."""
    return np.stack(
        [
            _waves(top, bottom) @ small @ _waves(left, right).T
            for left, right, top, bottom in places.values()
        ]
    )


def _is_varied(waves: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.abs(waves).mean(axis=(1, 2)) >= MIN_CONTRAST)


def _bits(waves: Floats) -> Hashes:
    """A bit for each frequency stronger than the median one, as PDQ packs them: (K, 32)."""
    flat = waves.reshape(len(waves), _FREQUENCIES**2)
    if not len(flat):
        return np.zeros((0, HASH_BYTES), np.uint8)
    middle = flat.shape[1] // 2 - 1
    median = np.partition(flat, middle, axis=1)[:, middle : middle + 1]
    return np.packbits((flat > median)[:, ::-1], axis=1)


@cache
def _waves(first: float, last: float) -> Floats:
    """What takes the frequencies 1 to 16 out of a part of a line of `SIDE` pixels: (16, SIDE).

    64 samples of the part, each under a tent as wide as PDQ has it, and their cosine transform.
    """
    step = (last - first) / _SAMPLES
    centres = np.clip(first + (np.arange(_SAMPLES) + 0.5) * step, 0, 1)
    pixels = (np.arange(SIDE) + 0.5) / SIDE
    tents = np.clip(1 - np.abs(pixels - centres[:, None]) / max(step / 2, 1 / SIDE), 0, None)
    tents /= tents.sum(axis=1, keepdims=True)
    frequency = np.arange(1, _FREQUENCIES + 1)[:, None]
    at = 2 * np.arange(_SAMPLES) + 1
    cosines = np.sqrt(2 / _SAMPLES) * np.cos(np.pi / (2 * _SAMPLES) * frequency * at)
    return np.asarray(cosines @ tents, np.float32)


@cache
def _family(placements: Callable[[], list[_Placement]]) -> _Family:
    rows: dict[tuple[float, float], int] = {}
    columns: dict[tuple[float, float], int] = {}
    kinds, of_rows, of_columns = [], [], []
    for kind, width, left, height, top in placements():
        first_x, last_x, first_y, last_y = _PLACES[kind]
        row = round(top + first_y * height, 4), round(top + last_y * height, 4)
        column = round(left + first_x * width, 4), round(left + last_x * width, 4)
        kinds.append(kind)
        of_rows.append(rows.setdefault(row, len(rows)))
        of_columns.append(columns.setdefault(column, len(columns)))
    return _Family(
        np.array(kinds, np.uint8),
        np.stack([_waves(*ends) for ends in rows]),
        np.stack([_waves(*ends) for ends in columns]),
        [
            (windows, np.array(of_rows)[windows])
            for windows in map(np.flatnonzero, np.equal.outer(range(len(columns)), of_columns))
        ],
    )


def _placements() -> list[_Placement]:
    """Where the whole original may lie in a picture that shows it upright."""
    found = [
        (kind, size, left, size, top)
        for kind, sizes in _SIZES.items()
        for size in sizes
        for left in _offsets(kind, size, across=True)
        for top in _offsets(kind, size, across=False)
    ]
    # What has bars at two of its sides may lose these alone with them.
    for kind, sizes in _SIZES.items():
        for size in sizes[1:]:
            found += [(kind, 1.0, 0.0, size, top) for top in _offsets(kind, size, across=False)]
            found += [(kind, size, left, 1.0, 0.0) for left in _offsets(kind, size, across=True)]
    # Or more of the others than of these, about its middle or in a corner.
    for less, more in combinations(_CROPPED[1:], 2):
        for width, height in ((less, more), (more, less)):
            ends = [(left, top) for left in (0.0, 1 - width) for top in (0.0, 1 - height)]
            for left, top in [*ends, ((1 - width) / 2, (1 - height) / 2)]:
                found.append((CENTRE, width, left, height, top))
    for size in _FRAMED:
        offsets = _offsets(WHOLE, size, across=True)
        near = _near_middle(offsets, size)
        found += [(WHOLE, size, left, size, top) for left in near for top in near]
        found += [(WHOLE, 1.0, 0.0, size, top) for top in offsets]
        found += [(WHOLE, size, left, 1.0, 0.0) for left in offsets]
    for size in _FILLED:
        for kind in (WHOLE, CENTRE):
            found.append((kind, 1.0, 0.0, size, (1 - size) / 2))
            found.append((kind, size, (1 - size) / 2, 1.0, 0.0))
    return found


def _turned_placements() -> list[_Placement]:
    """Where it may lie in one that shows it turned, as who films a screen does."""
    found: list[_Placement] = []
    for size in _TURNED:
        step = _STEP * (PARTS[CENTRE][1] - PARTS[CENTRE][0]) * size
        num_steps = round(_OFF_MIDDLE_TURNED / step)
        near = [(1 - size) / 2 + step * at for at in range(-num_steps, num_steps + 1)]
        found += [(CENTRE, size, left, size, top) for left in near for top in near]
    return found


def _near_middle(offsets: Sequence[float], size: float) -> list[float]:
    return [one for one in offsets if abs(one - (1 - size) / 2) <= _OFF_MIDDLE * size]


def _offsets(kind: int, size: float, *, across: bool) -> list[float]:
    """Where the original may begin, in steps that are fine enough; the middle is one of them."""
    first_x, last_x, first_y, last_y = _PLACES[kind]
    window = (last_x - first_x if across else last_y - first_y) * size
    num_steps = 2 * int(np.ceil(abs(1 - size) / (2 * _STEP * window) - 1e-9))
    return np.linspace(min(0.0, 1 - size), max(0.0, 1 - size), num_steps + 1).tolist()
