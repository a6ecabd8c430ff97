from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.copies import parts
from pipeline.copies.fingerprint import pdq_of_luma

Image = NDArray[np.float32]


@pytest.fixture(scope="module")
def picture() -> Image:
    """A picture of random blobs of all sizes, 480 by 360."""
    rng = np.random.default_rng(3)
    found = sum(
        cv2.resize(rng.normal(0, 1, (3 * n, 4 * n)), (480, 360), interpolation=cv2.INTER_CUBIC)
        for n in (2, 4, 8)
    )
    return (128 + 40 * np.asarray(found)).clip(0, 255).astype(np.float32)


def pixels(image: Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image).round().astype(np.uint8)


def nearest(shown: Image, original: Image) -> dict[int, int]:
    """The least distance of a window of what is looked up to each kind of the original."""
    known, kinds = parts.of_item(pixels(original))
    whole, _ = pdq_of_luma(original[None])
    known = np.concatenate([whole[:, 0], known[:, 0]])
    hashes, of = parts.of_query(pixels(shown))
    found = {}
    for hash_, kind in zip(known, [parts.WHOLE, *kinds], strict=True):
        bits = np.bitwise_count(hashes[of == kind, 0] ^ hash_).sum(axis=1)
        found[int(kind)] = int(bits.min())
    return found


@pytest.mark.parametrize(
    ("left", "top", "size"), [(0, 0, 0.9), (0.1, 0.1, 0.9), (0.05, 0, 0.92), (0, 0.2, 0.8)]
)
def test_a_crop_shows_the_centre(picture: Image, left: float, top: float, size: float) -> None:
    height, width = picture.shape
    first_x, first_y = round(left * width), round(top * height)
    shown = picture[
        first_y : first_y + round(size * height), first_x : first_x + round(size * width)
    ]
    assert nearest(shown, picture)[parts.CENTRE] <= 31
    whole = pdq_of_luma(np.ascontiguousarray(shown)[None])[0] ^ pdq_of_luma(picture[None])[0]
    assert np.bitwise_count(whole[0, 0]).sum() > 40


@pytest.mark.parametrize(
    ("left", "top", "width", "height"),
    [(0, 0.1, 1, 0.8), (0, 0.2, 1, 0.8), (0.1, 0, 0.9, 1), (0, 0, 0.9, 0.8), (0.1, 0.05, 0.8, 0.9)],
)
def test_a_crop_that_takes_bars_with_it_shows_the_centre(
    picture: Image, left: float, top: float, width: float, height: float
) -> None:
    first_x, first_y = round(left * 480), round(top * 360)
    shown = picture[first_y : first_y + round(height * 360), first_x : first_x + round(width * 480)]
    assert nearest(shown, picture)[parts.CENTRE] <= 31


def test_a_picture_in_a_frame_is_whole_within_it(picture: Image) -> None:
    framed = np.pad(picture, ((45, 45), (60, 60)), constant_values=200)
    bar = np.pad(picture, ((72, 0), (0, 0)), constant_values=255)
    assert nearest(framed, picture)[parts.WHOLE] <= 31
    assert nearest(bar, picture)[parts.WHOLE] <= 31


@pytest.mark.parametrize(("height", "width"), [(480, 480), (854, 480), (360, 1150), (1000, 480)])
def test_a_picture_of_another_shape_is_found_in_what_is_filled_beside_it(
    picture: Image, height: int, width: int
) -> None:
    filled = cv2.GaussianBlur(cv2.resize(picture, (width, height)), (0, 0), 20)
    top, left = (height - 360) // 2, (width - 480) // 2
    filled[top : top + 360, left : left + 480] = picture
    found = nearest(filled, picture)
    assert found[parts.WHOLE] <= 31
    assert found[parts.CENTRE] <= 31


@pytest.mark.parametrize("angle", [-5, -2.5, 1.5, 4])
def test_a_turned_picture_shows_the_centre_also_in_a_frame(picture: Image, angle: float) -> None:
    height, width = picture.shape
    for scale in (1.0, 0.88):
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
        shown = cv2.warpAffine(picture, turn, (width, height))
        assert nearest(np.asarray(shown), picture)[parts.CENTRE] <= 31


def test_what_covers_one_half_leaves_the_other(picture: Image) -> None:
    for rows, free, covered in (
        (slice(200, 360), parts.UPPER, parts.LOWER),
        (slice(0, 150), parts.LOWER, parts.UPPER),
    ):
        shown = picture.copy()
        shown[rows, 60:420] = 20
        found = nearest(shown, picture)
        assert found[free] <= 8
        assert found[covered] > 31


def test_mirrored_parts_are_those_of_the_mirror_image(picture: Image) -> None:
    straight, kinds = parts.of_item(pixels(picture))
    mirrored, _ = parts.of_item(pixels(np.ascontiguousarray(picture[:, ::-1])))
    assert kinds.tolist() == [parts.CENTRE, parts.UPPER, parts.LOWER]
    assert np.bitwise_count(straight[:, 1] ^ mirrored[:, 0]).sum(axis=1).max() <= 4
    assert np.bitwise_count(straight[:, 0] ^ mirrored[:, 0]).sum(axis=1).min() > 60


def test_flat_parts_have_no_hash(picture: Image) -> None:
    half = picture.copy()
    half[: 360 * 6 // 10] = 90
    _, kinds = parts.of_item(pixels(half))
    assert parts.UPPER not in kinds
    assert parts.LOWER in kinds
    hashes, of = parts.of_query(np.full((90, 160), 90, np.uint8))
    assert hashes.shape == (0, 1, 32)
    assert len(of) == 0


def test_what_is_looked_up_is_hashed_window_by_window(picture: Image) -> None:
    """In the order of their places, whatever they share with others."""
    shown = pixels(picture[30:300, 50:401])
    small = parts._reduced(shown)
    hashes, kinds = parts.of_query(shown)
    number = 0
    for kind, width, left, height, top in parts._placements():
        first_x, last_x, first_y, last_y = parts._PLACES[kind]
        down = parts._waves(round(top + first_y * height, 4), round(top + last_y * height, 4))
        across = parts._waves(round(left + first_x * width, 4), round(left + last_x * width, 4))
        waves = (down @ small @ across.T)[None]
        if parts._is_varied(waves)[0]:
            apart = int(np.bitwise_count(hashes[number, 0] ^ parts._bits(waves)[0]).sum())
            # What is added up in another order may decide a frequency that is the median.
            assert apart <= 2, (kind, number)
            assert kinds[number] == kind
            number += 1
    assert number > 500
