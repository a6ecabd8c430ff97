from __future__ import annotations

import av
import numpy as np
import pytest

from pipeline.footage import pictures, scenes
from tests.made import scene


def found(frames: np.ndarray, breaks: set[int] = frozenset()) -> list[tuple[int, str]]:
    sampled = [
        scenes.SampledFrame(number, thumbnail(image), number in breaks)
        for number, image in enumerate(frames)
    ]
    divided = list(scenes.divide(sampled))
    assert [item for item, _ in divided] == list(range(len(frames)))
    return [(item, kind) for item, kind in divided if kind]


def thumbnail(image: np.ndarray) -> np.ndarray:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return pictures.thumbnail(frame.reformat(format="yuv420p"))


@pytest.mark.parametrize("seed", [0, 10, 20])
def test_a_cut_is_found_at_its_frame(seed: int) -> None:
    frames = np.concatenate([scene(seed, 20), scene(seed + 1, 13), scene(seed + 2, 20)])
    assert found(frames) == [(20, "cut"), (33, "cut")]


def test_a_cut_near_the_ends_is_found() -> None:
    frames = np.concatenate([scene(0, 2), scene(1, 12), scene(2, 2)])
    assert found(frames) == [(2, "cut"), (14, "cut")]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_that_drowns_the_picture_is_no_cut(length: int) -> None:
    frames = scene(3, 30)
    frames[12 : 12 + length] = 255
    assert found(frames) == []


@pytest.mark.parametrize("length", [4, 9])
def test_what_bursts_before_the_camera_and_hides_all_else_is_no_cut(length: int) -> None:
    frames = scene(3, 50, speed_px=2)
    burst = np.random.default_rng(1).integers(0, 2, (length, 9, 12, 1), np.uint8)
    blue = np.where(burst, (40, 40, 230), (240, 240, 255)).astype(np.uint8)
    down, across = -(-frames.shape[1] // 9), -(-frames.shape[2] // 12)
    large = blue.repeat(down, 1).repeat(across, 2)
    frames[20 : 20 + length] = large[:, : frames.shape[1], : frames.shape[2]]
    assert found(frames) == []


def test_a_muzzle_flash_with_recoil_is_no_cut() -> None:
    frames = scene(3, 30, speed_px=0)
    frames[12] = np.minimum(frames[12].astype(int) * 3 + 60, 255)
    frames[13:] = np.roll(frames[13:], (5, 9), axis=(1, 2))
    assert found(frames) == []


@pytest.mark.parametrize("period", [1, 2, 3])
def test_a_strobe_is_no_cut(period: int) -> None:
    frames = scene(4, 40)
    dark = np.arange(40) // period % 2 == 1
    frames[dark] = frames[dark] // 20
    assert found(frames) == []


@pytest.mark.parametrize("speed_px", [10, 25, 40])
def test_a_turn_of_the_camera_is_no_cut(speed_px: int) -> None:
    assert found(scene(5, 30, speed_px=speed_px)) == []


def test_an_inserted_flash_hides_no_cut_elsewhere() -> None:
    frames = np.concatenate([scene(6, 20), scene(7, 20)])
    frames[8] = 255
    assert found(frames) == [(20, "cut")]


def test_a_break_divides_and_is_told_apart() -> None:
    assert found(scene(8, 20), breaks={9}) == [(9, "break")]


def luma(height: int = 90, width: int = 160, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(60, 220, (height, width)).astype(np.uint8)


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"),
    [(12, 12, 0, 0), (0, 0, 20, 20), (12, 12, 20, 20), (5, 21, 0, 0), (0, 10, 0, 33), (0, 0, 0, 0)],
)
@pytest.mark.parametrize("black", [0, 16])
def test_bars_are_found_to_the_pixel_or_one_inside(
    top: int, bottom: int, left: int, right: int, black: int
) -> None:
    image = luma()
    height, width = image.shape
    framed = np.full_like(image, black)
    inside = slice(top, height - bottom), slice(left, width - right)
    framed[inside] = image[inside]
    bars = scenes.find_bars([framed, framed])
    for measured, true in zip(
        (bars.top, bars.bottom, bars.left, bars.right), (top, bottom, left, right), strict=True
    ):
        assert true <= measured <= true + (true > 0)


def test_a_night_sky_is_no_bar() -> None:
    image = luma()
    skyline = (30 + 8 * np.sin(np.arange(160) / 9)).astype(int)
    for column, depth in enumerate(skyline):
        image[:depth, column] = 16
    assert scenes.find_bars([image]) == scenes.Bars(0, 0, 0, 0)


def test_noise_in_the_dark_is_no_bar() -> None:
    image = luma()
    image[:30] = np.random.default_rng(1).normal(20, 5, (30, 160)).clip(0, 255)
    assert scenes.find_bars([image]).top == 0


def test_bars_hold_where_the_picture_is_too_dark_to_tell() -> None:
    image = np.full((90, 160), 16, np.uint8)
    image[40:50, 70:80] = 120
    known = scenes.Bars(0, 12, 0, 12)
    assert scenes.find_bars([image], known) == known
    assert scenes.find_bars([image]).top == 0


def test_a_subtitle_in_a_bar_ends_it() -> None:
    image = luma()
    image[60:] = 16
    image[70:76, 40:120] = 200
    assert scenes.find_bars([image]).bottom < 30


def test_black_still_and_moving_windows_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    picture = np.repeat(scene(0, 1, 64, 64), 16, axis=0)
    assert scenes.blank_reason(np.full((16, 64, 64, 3), 3, np.uint8)) == "black"
    assert scenes.blank_reason(picture) == "still"
    noisy = (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)
    assert scenes.blank_reason(noisy) == ""
    pointer = picture.copy()
    pointer[8:, 10:14, 10:14] ^= 128
    assert scenes.blank_reason(pointer) == ""


def is_cut_by_all_pairs(before: list[scenes._KnownFrame], after: list[scenes._KnownFrame]) -> bool:
    """Whether no picture before looks like any after, all of them compared."""
    pairs = [(one, other) for one in before for other in after]
    least = min(one.distance(other) for one, other in pairs)
    if before[-1].distance(after[0]) < scenes._MIN_CHANGE or least < scenes._MIN_DISTANCE:
        return False
    usual = max(scenes._usual_change(before), scenes._usual_change(after))
    score = scenes._score(least, usual, min(one.difference(other) for one, other in pairs))
    best = max(match for one, other in pairs for match in one.matches(other))
    return score + min(0.0, scenes._WEIGHTS[2] * best) > 0 and score > 0


def test_that_the_nearest_pair_rules_a_cut_out_is_what_all_pairs_say() -> None:
    rng = np.random.default_rng(0)
    fast = np.concatenate([scene(seed, 12, speed_px=9) for seed in range(4)])
    flashing = scene(5, 30, speed_px=6)
    flashing[[9, 10, 20]] = 255
    flickering = scene(6, 24, speed_px=12) * rng.uniform(0.3, 1, (24, 1, 1, 1))
    num_cuts = num_ruled_out = 0
    for frames in (fast, flashing, flickering.astype(np.uint8)):
        known = [scenes._KnownFrame(thumbnail(image)) for image in frames]
        for place in range(1, len(known)):
            before, after = known[max(0, place - 10) : place], known[place : place + 10]
            is_cut = is_cut_by_all_pairs(before, after)
            assert scenes._is_cut(before, after) == is_cut
            num_cuts += is_cut
            num_ruled_out += not is_cut and before[-1].distance(after[0]) > scenes._MIN_CHANGE
    assert num_cuts == 3
    assert num_ruled_out > 20


def test_a_picture_that_moves_is_compared_with_the_one_before_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    difference = scenes._KnownFrame.difference

    def counted(frame: scenes._KnownFrame, later: scenes._KnownFrame) -> float:
        compared.append(later)
        return difference(frame, later)

    monkeypatch.setattr(scenes._KnownFrame, "difference", counted)
    assert found(scene(3, 40, speed_px=9)) == []
    assert 20 < len(compared) < 40
