from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from pipeline.assess import previews
from tests.assess import toy


def picture(uri: str) -> Image.Image:
    header, _, data = uri.partition(",")
    assert header == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_protected_previews_are_grey_small_and_have_no_detail_left() -> None:
    protected = picture(previews.strip(toy.frames(0), "protected"))
    assert protected.mode == "L"
    assert protected.size == (3 * previews.SIZE, previews.SIZE)
    checkered = np.zeros((4, 128, 128, 3), np.uint8)
    checkered[:, ::2, ::2] = checkered[:, 1::2, 1::2] = 255
    sharp = np.asarray(picture(previews.strip(checkered, "protected")), float)
    assert sharp[10:-10, 10:80].std() < 3


def test_clear_previews_keep_colour() -> None:
    red = np.zeros((3, 32, 32, 3), np.uint8)
    red[..., 0] = 255
    clear = picture(previews.strip(red, "clear"))
    assert clear.mode == "RGB"
    assert np.asarray(clear)[50, 50, 0] > 200 > 60 > np.asarray(clear)[50, 50, 1]


def test_first_middle_and_last_frame_stand_side_by_side() -> None:
    steps = (
        np.zeros((9, 32, 32, 3), np.uint8) + np.arange(0, 180, 20, np.uint8)[:, None, None, None]
    )
    row = np.asarray(picture(previews.strip(steps, "protected")), float)[50]
    centres = [row[(2 * i + 1) * previews.SIZE // 2] for i in range(3)]
    assert np.abs(np.array(centres) - [0, 80, 160]).max() < 4


def test_equal_frames_give_equal_bytes() -> None:
    frames = toy.frames(1)
    assert previews.strip(frames, "protected") == previews.strip(frames.copy(), "protected")
