from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.copies import parts, screens
from pipeline.copies.fingerprint import pdq_of_luma

Pixels = NDArray[np.uint8]
CORNERS = {
    "straight": [[90, 60], [550, 60], [550, 300], [90, 300]],
    "beside": [[80, 40], [560, 95], [555, 270], [85, 330]],
    "above and turned": [[120, 70], [540, 40], [600, 290], [90, 325]],
}


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """A picture of random blobs of all sizes, 480 by 270, without black at its sides."""
    rng = np.random.default_rng(3)
    found = sum(
        cv2.resize(rng.normal(0, 1, (3 * n, 4 * n)), (480, 270), interpolation=cv2.INTER_CUBIC)
        for n in (2, 4, 8)
    )
    return (128 + 30 * np.asarray(found)).clip(50, 255).astype(np.uint8)


def filmed(picture: Pixels, corners: list[list[int]]) -> Pixels:
    """A screen with a black bezel on a grey wall, 640 by 360."""
    height, width = picture.shape
    rng = np.random.default_rng(1)
    outline = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(outline, np.array(corners, np.float32))
    seen = np.full((360, 640), 110, np.uint8)
    middle = np.mean(corners, axis=0)
    cv2.fillConvexPoly(seen, (middle + 1.06 * (corners - middle)).astype(np.int32), 12)
    cv2.warpPerspective(picture, matrix, (640, 360), dst=seen, borderMode=cv2.BORDER_TRANSPARENT)
    noisy = cv2.GaussianBlur(seen, (0, 0), 1).astype(np.float64) + rng.normal(0, 4, seen.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def nearest(shown: Pixels, picture: Pixels) -> int:
    """The least distance of what is looked up to the whole of an item's picture."""
    hashes, kinds = parts.of_query(shown)
    known = pdq_of_luma(picture[None].astype(np.float32))[0][0, 0]
    return int(np.bitwise_count(hashes[kinds == parts.WHOLE, 0] ^ known).sum(axis=1).min())


@pytest.mark.parametrize("place", CORNERS)
def test_corners_of_a_screen_are_found_to_the_pixel(picture: Pixels, place: str) -> None:
    scale = 640 / 480
    small = cv2.resize(filmed(picture, CORNERS[place]), (480, 270), interpolation=cv2.INTER_AREA)
    found = screens.corners_of(np.asarray(small, np.uint8))
    off = [np.abs(scale * one - CORNERS[place]).max() for one in found]
    assert min(off) < 4
    assert len(found) <= screens.MOST


@pytest.mark.parametrize("place", CORNERS)
def test_what_a_screen_shows_is_near_the_original(picture: Pixels, place: str) -> None:
    assert nearest(filmed(picture, CORNERS[place]), picture) <= 16


def test_no_window_would_find_it(picture: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "flattened", lambda luma, side: [])
    assert nearest(filmed(picture, CORNERS["beside"]), picture) > 31


def test_an_upright_picture_has_screens_too(picture: Pixels) -> None:
    upright = np.ascontiguousarray(np.rot90(picture))
    shown = np.ascontiguousarray(np.rot90(filmed(picture, CORNERS["beside"])))
    assert nearest(shown, upright) <= 16


def test_a_picture_between_bars_is_found_within_the_screen(picture: Pixels) -> None:
    narrow = cv2.resize(picture, (330, 270), interpolation=cv2.INTER_AREA)
    shown = np.pad(narrow, ((0, 0), (75, 75)))
    seen = filmed(np.asarray(shown, np.uint8), CORNERS["beside"])
    assert nearest(seen, np.asarray(narrow, np.uint8)) <= 16


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (300, 2), (5, 5), (90, 160)])
def test_flat_and_tiny_pictures_have_none(shape: tuple[int, int]) -> None:
    assert screens.flattened(np.full(shape, 90, np.uint8), 256) == []


def test_noise_has_none() -> None:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (270, 480)).astype(np.uint8)
    assert len(screens.flattened(noise, 256)) == 0


def test_a_screen_is_brought_to_a_square_without_its_bezel(picture: Pixels) -> None:
    found = screens.flattened(filmed(picture, CORNERS["beside"]), 64)
    whole = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    assert found[0].shape == (64, 64)
    assert min(float(np.abs(one - whole).mean()) for one in found) < 8
