from __future__ import annotations

import gc
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.footage import pictures
from pipeline.store import video
from tests.made import write_video


def patches(size: int = 128) -> np.ndarray:
    colours = np.random.default_rng(0).integers(30, 225, (4, 4, 3))
    return np.kron(colours, np.ones((size // 4, size // 4, 1))).astype(np.uint8)


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def shown(frame: av.VideoFrame, size: int = 32) -> np.ndarray:
    box = pictures.centre_square((0, 0, frame.width, frame.height), 1.0)
    return pictures.Squares(size).convert([frame], box)[0]


@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_range_matrix_and_depth_change_no_colour(matrix: str, is_full: bool, pix_fmt: str) -> None:
    image = patches()
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=128, height=128, format=av.VideoFormat("rgb24"), time_base=Fraction(1)
        ),
        graph.add(
            "scale",
            f"out_color_matrix={matrix}:out_range={'full' if is_full else 'limited'}"
            ":flags=accurate_rnd+full_chroma_int",
        ),
        graph.add("format", pix_fmt),
        graph.add("buffersink"),
    ).configure()
    graph.vpush(av.VideoFrame.from_ndarray(image, format="rgb24"))
    found = shown(graph.vpull())
    middles = (slice(3, None, 8), slice(3, None, 8))
    error = np.abs(found[middles].astype(int) - image[::32, ::32])
    assert error.max() <= 3


def test_unstated_matrices_are_those_of_the_size() -> None:
    frame = av.VideoFrame(64, 64, "yuv444p")
    for plane, level in zip(frame.planes, (100, 90, 180), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    large = av.VideoFrame(1280, 720, "yuv444p")
    for plane, level in zip(large.planes, (100, 90, 180), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    y, u, v = 1.164 * (100 - 16), 90 - 128, 180 - 128
    sd = y + 1.596 * v, y - 0.392 * u - 0.813 * v, y + 2.017 * u
    hd = y + 1.793 * v, y - 0.213 * u - 0.533 * v, y + 2.112 * u
    assert np.abs(shown(frame)[9, 9] - np.array(sd)).max() <= 2
    assert np.abs(shown(large)[9, 9] - np.array(hd)).max() <= 2


def test_transparent_pixels_are_black() -> None:
    image = np.dstack([patches(), np.full((128, 128), 255, np.uint8)])
    image[:, :64, 3] = 0
    found = shown(av.VideoFrame.from_ndarray(image, format="rgba"))
    assert found[:, :14].max() <= 2
    assert np.abs(found[3::8, 19::8].astype(int) - image[::32, 64::32, :3]).max() <= 3


def test_palettes_are_looked_up(tmp_path: Path) -> None:
    write_video(tmp_path / "p.gif", [patches()] * 2, codec="gif", pix_fmt="rgb8")
    found = shown(first_frame(tmp_path / "p.gif"))
    assert np.abs(found[3::8, 3::8].astype(int) - patches()[::32, ::32]).max() <= 45


def test_odd_sizes_are_cut_to_the_centre_square() -> None:
    frames = np.zeros((4, 63, 101, 3), np.uint8)
    frames[:, :, 19:82] = 200
    frame = av.VideoFrame.from_ndarray(frames[0], format="rgb24")
    assert shown(frame, 16)[:, 1:-1].min() > 170


def test_the_centre_square_is_square_on_the_screen() -> None:
    assert pictures.centre_square((0, 0, 64, 64), 2.0) == (16, 0, 32, 64)
    assert pictures.centre_square((0, 0, 64, 64), 0.5) == (0, 16, 64, 32)
    left, top, width, height = pictures.centre_square((3, 5, 101, 63), 1.0)
    assert (width, height) == (63, 63)
    assert left % 2 == 0
    assert top == 5


def with_matrix(data: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """An mp4 whose display matrix has these (a, b, c, d)."""
    a, b, c, d = (value << 16 for value in matrix)
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = data.index(identity, data.index(b"tkhd"))
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return data[:at] + turned + data[at + len(turned) :]


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, 1)),
        ((-1, 0, 0, -1), (1, 1)),
        ((0, -1, 1, 0), (1, 0)),
        ((-1, 0, 0, 1), (0, 1)),
        ((1, 0, 0, -1), (1, 0)),
        ((0, 1, 1, 0), (0, 0)),
        ((0, -1, -1, 0), (1, 1)),
    ],
)
def test_rotation_and_mirroring_are_applied(
    tmp_path: Path, matrix: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    frames[:, :32, :32] = 200
    frames[:, :32, 32:, 0] = 90
    path = tmp_path / "turned.mp4"
    path.write_bytes(with_matrix(video.encode(frames, 15), matrix))
    frame = first_frame(path)
    orientation = pictures.orientation(frame)
    image = orientation.show(shown(frame)[None])[0]
    bright = [(y, x) for y in (0, 1) for x in (0, 1) if image[4 + 16 * y, 4 + 16 * x, 1] > 150]
    assert bright == [corner]
    left, top, width, height = orientation.show_box((0, 0, 10, 20), 64, 48)
    is_turned = orientation.quarter_turns % 2
    assert (width, height) == ((20, 10) if is_turned else (10, 20))
    across, down = (48, 64) if is_turned else (64, 48)
    assert (left > 0, top > 0) == (bool(corner[1]), bool(corner[0]))
    assert left + width <= across
    assert top + height <= down


def test_a_frame_whose_rotation_was_read_goes_without_a_search_for_cycles(tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    frames = np.zeros((4, 64, 64, 3), np.uint8)
    path.write_bytes(with_matrix(video.encode(frames, 15), (0, 1, -1, 0)))
    gc.collect()
    gc.disable()
    try:
        frame = first_frame(path)
        assert pictures.orientation(frame).quarter_turns
        held = [one for one in gc.get_objects() if isinstance(one, av.VideoFrame)]
        assert any(one is frame for one in held)
        num_held = len(held)
        del frame, held
        assert sum(isinstance(one, av.VideoFrame) for one in gc.get_objects()) == num_held - 1
    finally:
        gc.enable()


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "rgb24", "nv12", "gray", "yuvj422p"])
def test_thumbnails_and_luma_show_the_picture_in_every_format(pix_fmt: str) -> None:
    image = np.zeros((144, 256, 3), np.uint8)
    image[:, 128:] = 200
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
    thumbnail = pictures.thumbnail(frame)
    assert thumbnail.shape == (3, 36, 64)
    assert thumbnail[0, :, :30].max() < 40
    assert thumbnail[0, :, 34:].min() > 150
    assert np.abs(thumbnail[1:] - 128).max() < 8
    luma = pictures.luma(frame)
    assert luma.shape == (144, 256)
    assert luma[:, :120].max() < 40
    assert luma[:, 140:].min() > 150


def test_tiny_frames_have_thumbnails() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((17, 9, 3), 100, np.uint8), format="rgb24")
    assert pictures.thumbnail(frame).shape == (3, 36, 64)


def test_a_thumbnail_holds_the_very_mean_of_a_row_of_each_cell() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (360, 1918), np.uint8)
    thumbnail = pictures.thumbnail(av.VideoFrame.from_ndarray(luma, format="gray"))[0]
    cells = luma[5::10, : 64 * 29].reshape(36, 64, 29).astype(np.int64)
    assert np.array_equal(thumbnail, (cells.sum(2) / 29).astype(np.float32))
