"""Perceptual hashes of frames: PDQ and its mirror image, in numpy.

PDQ is Meta's hash of ThreatExchange: `pdq/cpp/hashing/pdqhashing.cpp` and
`downscaling/downscaling.cpp` of github.com/facebook/ThreatExchange, described in "The TMK+PDQF
Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook, 2019). It is written again
here because its Python package comes only as source, which needs a compiler wherever Discern runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

HASH_BYTES = 32
HASH_BITS = 8 * HASH_BYTES
FRAME_STEP = 4
"""A frame in so many is hashed: at 15 frames a second, 3.75 hashes a second."""
MIN_CLIP_QUALITY = 5
"""Below it, of PDQ's 0 to 100, a frame is too flat for its hash to mean anything."""
WINDOW_PLACES = {1: 3, 2: 3, 3: 5, 4: 5, 5: 7}
"""Windows smaller than the picture by so many times 4 %, and their places in a row: the middle is
one of them, and no two are farther apart than 4 % of the picture."""
TURNS_DEG = (-5.0, -2.5, 2.5, 5.0)
HALF = 9 / 16
"""A half is somewhat more, as overlays rarely end in the middle."""
NUM_PARTS = sum(places**2 for places in WINDOW_PLACES.values()) + len(TURNS_DEG)

_SIDE = 64
_NUM_FREQUENCIES = 16
_MIN_SIDE = 5


def num_hashes(num_frames: int) -> int:
    """Number of frames that `fingerprint` hashes of a clip."""
    return -(-num_frames // FRAME_STEP)


def fingerprint(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash every fourth frame of a clip.

    The third, seventh, … frame, so that no frame of the clip, nor of a copy that begins some
    frames earlier or later, is more than half a step away from a hashed one.

    Args:
        frames: uint8 (T, H, W, 3) RGB.

    Returns:
        uint8 (ceil(T / 4), 2, 32): `[:, 0]` the hash of the frame, `[:, 1]` of its mirror image;
        all zero for frames whose quality is below `MIN_CLIP_QUALITY`.
    """
    hashes, quality = pdq(frames[_hashed(len(frames))])
    hashes[quality < MIN_CLIP_QUALITY] = 0
    return hashes


def _hashed(num_frames: int) -> NDArray[np.int64]:
    """Indices of the frames that are hashed."""
    middles = np.arange(num_hashes(num_frames)) * FRAME_STEP + FRAME_STEP // 2
    return np.minimum(middles, num_frames - 1)


def part_hashes(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash what cropped and slightly rotated copies of a clip show of one of its frames.

    Windows of 96 to 80 % of the sides, at most 4 % of the picture from one to the next, and the
    picture turned by `TURNS_DEG`. A copy that shows nearly such a part has nearly such a hash.

    Args:
        frames: uint8 (T, H, W, 3) RGB.

    Returns:
        uint8 (NUM_PARTS, 32); all zero where the part's quality is below `MIN_CLIP_QUALITY`.
    """
    hashed = _hashed(len(frames))
    middle = luma(frames[hashed[len(hashed) // 2]])
    found = [pdq_of_luma(images) for images in (*_windows(middle), _turned(middle))]
    hashes = np.concatenate([part[:, 0] for part, _ in found])
    hashes[np.concatenate([quality for _, quality in found]) < MIN_CLIP_QUALITY] = 0
    return hashes


def half_hashes(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hash the upper, lower, left and right half of frames, so that what covers one spares another.

    Args:
        frames: uint8 (T, H, W, 3) RGB.

    Returns:
        uint8 (4, ceil(T / 4), 2, 32): of each half the hashes of the frames that `fingerprint`
        hashes, and of that half of their mirror images; all zero where they are too flat.
    """
    images = luma(frames[_hashed(len(frames))])
    height, width = (round(side * HALF) for side in images.shape[1:])
    pieces = (
        images[:, :height],
        images[:, -height:],
        images[:, :, :width],
        images[:, :, -width:],
    )
    hashes = np.empty((len(pieces), len(images), 2, HASH_BYTES), np.uint8)
    for half, piece in enumerate(pieces):
        found, quality = pdq_of_luma(piece)
        found[quality < MIN_CLIP_QUALITY] = 0
        hashes[half] = found
    # The left half of the mirrored frame is the mirror image of the right half.
    hashes[2:, :, 1] = hashes[[3, 2], :, 1]
    return hashes


def _windows(image: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The windows of each size, stacked: (n, height, width)."""
    for steps, places in WINDOW_PLACES.items():
        height, width = (round(side * (1 - 0.04 * steps)) for side in image.shape)
        tops = np.linspace(0, image.shape[0] - height, places).round().astype(int)
        lefts = np.linspace(0, image.shape[1] - width, places).round().astype(int)
        yield np.stack(
            [image[top : top + height, left : left + width] for top in tops for left in lefts]
        )


def _turned(image: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    height, width = image.shape
    centre = ((width - 1) / 2, (height - 1) / 2)
    turns = (cv2.getRotationMatrix2D(centre, angle, 1.0) for angle in TURNS_DEG)
    return np.stack([cv2.warpAffine(image, turn, (width, height)) for turn in turns])


def pdq(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Hash frames with PDQ.

    Args:
        frames: uint8 (T, H, W, 3) RGB.

    Returns:
        Hashes uint8 (T, 2, 32) of each frame and of its mirror image, most significant bit first,
        as PDQ prints them; and their quality int64 (T,), 0 (flat) to 100. Frames narrower or
        lower than 5 pixels have an all-zero hash and quality 0.
    """
    return pdq_of_luma(luma(frames))


def luma(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness 0 to 255 of uint8 (..., W, 3) RGB: float32 (..., W)."""
    import cv2

    pixels = frames.reshape(-1, *frames.shape[-2:]).astype(np.float32)
    # Thousandths are whole numbers that float32 holds, so that no order of sums matters.
    thousandths = cv2.transform(pixels, np.array([[299, 587, 114]], np.float32))
    return np.asarray(thousandths.reshape(frames.shape[:-1]) / np.float32(1000))


def pdq_of_luma(images: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Hash images given by their brightness, float32 (T, H, W), as `pdq` does."""
    num_images, height, width = images.shape
    if min(height, width) < _MIN_SIDE:
        return np.zeros((num_images, 2, HASH_BYTES), np.uint8), np.zeros(num_images, np.int64)
    small = _downsample(_downsample(images).swapaxes(1, 2)).swapaxes(1, 2)
    cosines = _cosines()
    waves = cosines @ small @ cosines.T
    # A mirror image has the opposite sign in every other horizontal frequency, the first included.
    signs = np.where(np.arange(_NUM_FREQUENCIES) % 2, 1.0, -1.0)
    return np.stack([_bits(waves), _bits(waves * signs)], axis=1), _quality(small)


def _bits(waves: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A bit for each frequency stronger than the median one, packed: (T, 16, 16) to (T, 32)."""
    # What is zero by symmetry is noise of rounding otherwise, which processors do not share.
    flat = np.round(waves.reshape(len(waves), -1), 6)
    middle = flat.shape[1] // 2 - 1
    median = np.partition(flat, middle, axis=1)[:, middle : middle + 1]
    return np.packbits((flat > median)[:, ::-1], axis=1)


def _quality(small: NDArray[np.float64]) -> NDArray[np.int64]:
    """PDQ's count of significant gradients: (T, 64, 64) to (T,)."""
    gradients = sum(
        np.abs(np.trunc(np.diff(small, axis=axis) * (100 / 255))).sum(axis=(1, 2))
        for axis in (1, 2)
    )
    return np.minimum(np.asarray(gradients, np.int64) // 90, 100)


def _downsample(images: NDArray[Any]) -> NDArray[np.float64]:
    """Two box filters (together Jarosz' tent), then 64 samples of the rows: (T, n, m), (T, 64, m).

    Tap by tap, as one product of matrices would wake a thread on every core for each small clip.
    """
    rows, weights = _taps(images.shape[1])
    terms = (images[:, row] * weight[:, None] for row, weight in zip(rows, weights, strict=True))
    return np.asarray(sum(terms))


@lru_cache
def _taps(side: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The places that each of 64 samples is a sum of, and their weights: two of (taps, 64)."""
    window = (side + 2 * _SIDE - 1) // (2 * _SIDE)
    after = window // 2
    before = window - 1 - after
    offset = np.arange(side) - np.arange(side)[:, None]
    box = ((offset >= -before) & (offset <= after)).astype(np.float64)
    box /= box.sum(axis=1, keepdims=True)
    centres = ((np.arange(_SIDE) + 0.5) * side / _SIDE).astype(np.int64)
    rows = centres + np.arange(-2 * before, 2 * after + 1)[:, None]
    inside = (rows >= 0) & (rows < side)
    rows = np.clip(rows, 0, side - 1)
    return rows, np.where(inside, (box @ box)[centres, rows], 0.0)


@lru_cache
def _cosines() -> NDArray[np.float64]:
    """The discrete cosine transform's frequencies 1 to 16 of 64 samples: (16, 64)."""
    frequency = np.arange(1, _NUM_FREQUENCIES + 1)[:, None]
    at = 2 * np.arange(_SIDE) + 1
    return np.sqrt(2 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * frequency * at)
