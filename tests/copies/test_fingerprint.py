from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.copies import fingerprint
from tests.conftest import moving_frames

# By pdqhash 0.2.8: of `waves(height, width)`, of its mirror image (dihedral), and the quality.
GOLDEN = {
    (128, 128): (
        "1da5eb2ae22a2555da95b5a56b29e6494caa1152a6b5186de399ee3360c6ea3e",
        "48e0be3fb73f70008fc0e0f03e78b31c19ff4407b3e04938b6cc3b663592ba6b",
        100,
    ),
    (64, 64): (
        "25a5092bd22a35536a9595b5692dd6498c8a715ae6151c6d33d9be3360c7eb3e",
        "70f0dc7f877f60063fc0c0e03c78831cd9df240fb340c938668cfb663592be6b",
        100,
    ),
    (240, 426): (
        "1d2d8b2a954a6255cab595a55b2996490caa3152eeb5386de3992c33e0c7ef3e",
        "48789e7fc01f33009fe0c0f00e7cc31c59ff6407bbe06d38b6cc39663592ba6b",
        100,
    ),
    (33, 90): (
        "15b5692adb2ab5556a9594b5292d72498c8a715a8695b86de1d91e3361c7ea3e",
        "41f03c7f8e7f60003fc0c1e07c7c271cd9df240fd3c0ed38948c4b663592bf6b",
        100,
    ),
}


def waves(height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (1, height, width, 3): a texture of whole numbers, the same on every machine."""
    y, x = np.mgrid[0:height, 0:width]
    red = x * 7 * 255 // width + (y * y * 5 // height) % 97
    green = (x * y * 900) // (height * width) % 251
    blue = 255 - y * 255 // height
    return np.stack([red % 256, green, blue], -1).astype(np.uint8)[None]


def blobs(seed: int, height: int, width: int, most: int = 40) -> NDArray[np.uint8]:
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (*rng.integers(4, most, 2), 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)[None]


def distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    return int(np.bitwise_count(a ^ b).sum())


@pytest.mark.parametrize("size", GOLDEN)
def test_hashes_equal_those_of_the_reference(size: tuple[int, int]) -> None:
    hashes, quality = fingerprint.pdq(waves(*size))
    plain, mirrored, expected_quality = GOLDEN[size]
    assert hashes[0, 0].tobytes().hex() == plain
    assert hashes[0, 1].tobytes().hex() == mirrored
    assert quality[0] == expected_quality


@pytest.mark.parametrize(
    ("height", "width"), [(128, 128), (64, 64), (127, 129), (240, 320), (37, 513), (5, 9)]
)
def test_hashes_equal_those_of_the_package_where_it_is_installed(height: int, width: int) -> None:
    pdqhash = pytest.importorskip("pdqhash")
    for seed in range(6):
        image = blobs(seed, height, width)
        hashes, quality = fingerprint.pdq(image)
        bits, expected_quality = pdqhash.compute(image[0])
        # The package computes in single precision, which may turn a bit near the median.
        assert distance(hashes[0, 0], np.packbits(bits)) <= 2
        mirrored = pdqhash.compute_dihedral(image[0])[0][5]
        assert distance(hashes[0, 1], np.packbits(mirrored)) <= 2
        assert quality[0] == expected_quality


def test_the_second_hash_is_that_of_the_mirrored_frame() -> None:
    frames = moving_frames(3, size=512)[:2]
    mirrored, _ = fingerprint.pdq(frames[:, :, ::-1])
    hashes, _ = fingerprint.pdq(frames)
    assert distance(hashes[0, 1], mirrored[0, 0]) <= 8
    assert distance(hashes[0, 0], mirrored[0, 0]) > 80


@pytest.mark.parametrize(("num_frames", "num_hashes"), [(1, 1), (4, 1), (5, 2), (16, 4), (17, 5)])
def test_every_fourth_frame_is_hashed(num_frames: int, num_hashes: int) -> None:
    frames = moving_frames(1, num_frames)
    hashes = fingerprint.fingerprint(frames)
    assert hashes.shape == (num_hashes, 2, 32)
    assert hashes.dtype == np.uint8
    assert fingerprint.num_hashes(num_frames) == num_hashes
    single, _ = fingerprint.pdq(frames)
    expected = [min(2 + 4 * k, num_frames - 1) for k in range(num_hashes)]
    assert np.array_equal(hashes, single[expected])


def test_flat_frames_have_no_hash() -> None:
    frames = np.full((16, 128, 128, 3), 30, np.uint8)
    frames[8:] = waves(128, 128)
    hashes = fingerprint.fingerprint(frames)
    assert not hashes[:2].any()
    assert hashes[2:].any(axis=(1, 2)).all()


def test_frames_of_less_than_five_pixels_have_no_hash() -> None:
    hashes, quality = fingerprint.pdq(
        np.random.default_rng(0).integers(0, 256, (2, 4, 9, 3), np.uint8)
    )
    assert not hashes.any()
    assert quality.tolist() == [0, 0]


def test_a_symmetric_picture_has_the_hash_of_its_mirror_image() -> None:
    half = blobs(5, 64, 32)
    hashes, _ = fingerprint.pdq(np.concatenate([half, half[:, :, ::-1]], axis=2))
    assert np.array_equal(hashes[0, 0], hashes[0, 1])


def test_small_edits_move_few_bits_and_other_pictures_many() -> None:
    frame = blobs(1, 128, 128)
    noise = np.random.default_rng(0).normal(0, 6, frame.shape)
    noisy = np.clip(frame * 0.8 + 20 + noise, 0, 255).astype(np.uint8)
    others = np.concatenate([blobs(seed, 128, 128) for seed in range(2, 12)])
    hashes, _ = fingerprint.pdq(np.concatenate([frame, noisy, others]))
    assert distance(hashes[0, 0], hashes[1, 0]) <= 16
    assert min(distance(hashes[0, 0], other) for other in hashes[2:, 0]) > 70


@pytest.mark.parametrize(
    ("left", "top", "side"), [(6, 6, 115), (0, 0, 102), (13, 13, 102), (13, 9, 110)]
)
def test_some_part_has_the_hash_of_a_crop(left: int, top: int, side: int) -> None:
    cv2 = pytest.importorskip("cv2")
    clip = np.repeat(blobs(7, 128, 128, most=16), 16, axis=0)
    crop = cv2.resize(clip[0, top : top + side, left : left + side], (128, 128))
    parts = fingerprint.part_hashes(clip)
    assert parts.shape == (fingerprint.NUM_PARTS, 32)
    hashes, _ = fingerprint.pdq(crop[None])
    whole, _ = fingerprint.pdq(clip[:1])
    assert min(distance(part, hashes[0, 0]) for part in parts) <= 40
    assert distance(whole[0, 0], hashes[0, 0]) > 50


def test_some_part_has_the_hash_of_a_turned_picture() -> None:
    cv2 = pytest.importorskip("cv2")
    clip = np.repeat(blobs(7, 128, 128, most=16), 16, axis=0)
    turn = cv2.getRotationMatrix2D((63.5, 63.5), 4, 1)
    turned = cv2.warpAffine(clip[0], turn, (128, 128))
    hashes, _ = fingerprint.pdq(turned[None])
    assert min(distance(part, hashes[0, 0]) for part in fingerprint.part_hashes(clip)) <= 50


def test_halves_are_hashed_by_themselves_and_mirrored_with_their_sides() -> None:
    clip = np.repeat(blobs(9, 128, 128), 16, axis=0)
    covered = clip.copy()
    covered[:, 80:] = 30
    halves, others = fingerprint.half_hashes(clip), fingerprint.half_hashes(covered)
    assert halves.shape == (4, 4, 2, 32)
    assert np.array_equal(halves[0], others[0])
    assert distance(halves[1, 0, 0], others[1, 0, 0]) > 50
    mirrored = fingerprint.half_hashes(clip[:, :, ::-1])
    for half in range(4):
        assert distance(halves[half, 0, 1], mirrored[half, 0, 0]) <= 24
