"""Decoded frames as arrays: thumbnails to find cuts by, luma to find bars by, and RGB squares."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH = 36, 64

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
# FFmpeg's names of matrices by their number in ITU-T H.273.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_HD_HEIGHT = 720

Box = tuple[int, int, int, int]
"""Left, top, width, height."""


@dataclass(frozen=True)
class Orientation:
    """Tells how stored pixels are shown: turned counter-clockwise, then mirrored left to right."""

    quarter_turns: int
    mirrored: bool

    def show(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn (T, S, S, 3) stored squares into displayed ones."""
        shown = np.rot90(frames, self.quarter_turns, (1, 2))
        return np.ascontiguousarray(shown[:, :, ::-1] if self.mirrored else shown)

    def show_box(self, box: Box, width: int, height: int) -> Box:
        """Give where a box of a stored picture of `width` by `height` lies in the displayed one."""
        left, top, box_width, box_height = box
        for _ in range(self.quarter_turns):
            left, top = top, width - left - box_width
            box_width, box_height = box_height, box_width
            width, height = height, width
        return (width - left - box_width if self.mirrored else left), top, box_width, box_height


def orientation(frame: Any) -> Orientation:
    """Read the display matrix of a frame, rounded to quarter turns."""
    from av.sidedata.sidedata import SideDataContainer

    # `frame.side_data` is kept by the frame and keeps the frame: its pixels would stay until Python
    # looks for cycles among old objects, which it seldom does where few are made.
    # The stubs of PyAV know of no argument.
    container: Any = SideDataContainer
    data = container(frame).get("DISPLAYMATRIX")
    if data is None:
        return Orientation(0, False)
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data)[:36])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, c = -a, -c
    angle = np.degrees(np.arctan2(-b, a))
    return Orientation(round(angle / 90) % 4, mirrored)


def thumbnail(frame: Any) -> NDArray[np.float32]:
    """Reduce a frame to float32 (3, 36, 64): luma and two colour differences, 0 to 255."""
    planes = _planes(frame)
    if (
        planes is None
        or planes[-1].shape[0] < THUMBNAIL_HEIGHT
        or planes[-1].shape[1] < THUMBNAIL_WIDTH
    ):
        small = frame.reformat(
            width=THUMBNAIL_WIDTH,
            height=THUMBNAIL_HEIGHT,
            format="yuv444p",
            interpolation="AREA",
            threads=1,
        )
        return small.to_ndarray().astype(np.float32)
    means = [_cell_means(plane) for plane in planes]
    if len(means) == 1:
        means += [np.full_like(means[0], 128)] * 2
    return np.stack(means)


def luma(frame: Any) -> NDArray[np.uint8]:
    """Brightness of every stored pixel, uint8 (H, W); black is 0 or 16."""
    planes = _planes(frame)
    return _gray(frame) if planes is None else planes[0]


def _gray(frame: Any) -> NDArray[np.uint8]:
    return np.asarray(frame.reformat(format="gray", threads=1).to_ndarray())


def _planes(frame: Any) -> list[NDArray[np.uint8]] | None:
    """Views of luma and colour differences, where they are planes of whole bytes."""
    name = frame.format.name
    if not name.startswith(("yuv4", "yuvj4", "gray")) or name.endswith(("be", "le")):
        return None
    views = []
    for plane in frame.planes[:3]:
        if plane.line_size < plane.width:
            return None
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        views.append(rows[: plane.height, : plane.width])
    return views


def _cell_means(plane: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of one row through the middle of each cell of a 36 by 64 grid."""
    height, width = plane.shape
    step, cell = height // THUMBNAIL_HEIGHT, width // THUMBNAIL_WIDTH
    rows = plane[step // 2 :: step][:THUMBNAIL_HEIGHT, : cell * THUMBNAIL_WIDTH]
    cells = rows.reshape(THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, cell).astype(np.float32)
    # A product sums faster than a sum does, and as exactly: the sums are integers below 2**24.
    sums = cells @ np.ones(cell, np.float32)
    return np.asarray(sums / np.float32(cell))


class Scaler:
    """Scales a part of frames to RGB, in one pass of swscale."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._graph: Any = None

    def convert(self, frame: Any, box: Box, width: int, height: int) -> NDArray[np.uint8]:
        """Return the uint8 (height, width, 3) RGB of a box of a frame, before black.

        Args:
            frame: an `av.VideoFrame`.
            box: stored pixels to show.
            width, height: of the result.
        """
        matrix, is_full = _colour(frame)
        shape = (frame.width, frame.height, frame.format.name)
        key = (*shape, box, width, height, matrix, is_full)
        if key != self._key:
            self._graph = _scaling(frame, box, (width, height), matrix, is_full)
            self._key = key
        self._graph.vpush(frame)
        image = np.asarray(self._graph.vpull().to_ndarray())
        if image.shape[-1] == 3:
            return image
        colour, alpha = image[..., :3].astype(np.uint16), image[..., 3:]
        return ((colour * alpha + 127) // 255).astype(np.uint8)


class Squares:
    """Scales the centre square of a part of frames to RGB."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._scaler = Scaler()

    def convert(self, frames: list[Any], box: Box) -> NDArray[np.uint8]:
        """Return the uint8 (T, size, size, 3) RGB of `box` of frames of one shape.

        Args:
            frames: `av.VideoFrame`s of one size and pixel format.
            box: stored pixels to show, as `centre_square` gives them.
        """
        size = self._size
        return np.stack([self._scaler.convert(frame, box, size, size) for frame in frames])


def _scaling(frame: Any, box: Box, size: tuple[int, int], matrix: str, is_full: bool) -> Any:
    import av

    left, top, width, height = box
    graph = av.filter.Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
        ),
        graph.add("crop", f"{width}:{height}:{left}:{top}:exact=1"),
        graph.add(
            "scale",
            f"{size[0]}:{size[1]}:flags=area+accurate_rnd+full_chroma_int+bitexact:"
            f"in_color_matrix={matrix}:in_range={'full' if is_full else 'limited'}",
        ),
        graph.add("format", "rgba" if _has_alpha(frame) else "rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _has_alpha(frame: Any) -> bool:
    name = frame.format.name
    return name == "pal8" or name.startswith(
        ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya")
    )


def _colour(frame: Any) -> tuple[str, bool]:
    """The matrix of luma and colour differences, and whether they use the full range."""
    guess = "bt709" if max(frame.height, frame.width) >= _HD_HEIGHT * 16 // 9 else "bt601"
    matrix = _MATRICES.get(frame.colorspace, guess)
    is_full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    return matrix, is_full


def centre_square(box: Box, aspect: float) -> Box:
    """The stored pixels in the middle of a box that show as a square.

    It begins at even places where it can, so that colour differences are not shifted.
    """
    left, top, width, height = box
    side = min(width * aspect, height)
    square_width = min(width, max(1, round(side / aspect)))
    square_height = min(height, max(1, round(side)))
    return (
        _even(left + (width - square_width) // 2, left),
        _even(top + (height - square_height) // 2, top),
        square_width,
        square_height,
    )


def _even(place: int, least: int) -> int:
    return place - 1 if place % 2 and place > least else place


def stretched(box: Box, aspect: float, factor: int = 1) -> Box:
    """A box in square pixels of a source `factor` times as large each way."""
    left, top, width, height = box
    across = aspect * factor
    return round(left * across), top * factor, round(width * across), height * factor
