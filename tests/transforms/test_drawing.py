from __future__ import annotations

import numpy as np
import pytest

from pipeline.transforms.drawing import FACES, Canvas, lay_over, lettering

BLACK = np.zeros((2, 64, 64, 3), np.uint8)


@pytest.mark.parametrize("face", FACES)
def test_every_face_writes_at_the_height_asked_for_and_like_no_other(face: str) -> None:
    mask = lettering("Rec 12:30", 24, face)
    assert mask.height == 24
    assert 0.1 < np.asarray(mask).mean() / 255 < 0.6
    others = [np.asarray(lettering("Rec 12:30", 24, other)) for other in FACES if other != face]
    assert not any(np.array_equal(np.asarray(mask), other) for other in others)


def test_half_covered_pixels_show_half_of_each() -> None:
    sheet = Canvas(64, 64)
    sheet.panel((0, 0, 1, 1), (200, 100, 0, 128))
    shown = lay_over(BLACK + np.uint8(100), [sheet, Canvas(64, 64)])
    assert shown[0, 32, 32].tolist() == [150, 100, 50]
    assert (shown[1] == 100).all()


def test_edges_of_light_shapes_have_no_dark_seam() -> None:
    sheet = Canvas(64, 64)
    sheet.disc((0.5, 0.5), 0.3, (255, 255, 255))
    assert lay_over(BLACK + np.uint8(255), [sheet] * 2).min() == 255


def test_text_stands_at_its_anchor_and_shrinks_to_its_room() -> None:
    sheet = Canvas(64, 64)
    left, top, _, _ = sheet.text((0.1, 0.2), "ab", 0.1, (255, 255, 255))
    assert (left, top) == pytest.approx((0.1, 0.2))
    _, _, right, bottom = sheet.text((0.9, 0.8), "ab", 0.1, (255, 255, 255), anchor="rb")
    assert (right, bottom) == pytest.approx((0.9, 0.8))
    long = sheet.text((0.5, 0.5), "a much too long line", 0.3, (255,) * 3, anchor="mm")
    assert 0.8 < long[2] - long[0] <= 0.96


def test_what_lies_outside_of_the_sheet_is_cut_off() -> None:
    sheet = Canvas(64, 64)
    for place in ((-0.2, 0.5), (1.2, 0.5), (0.5, -0.3), (3.0, 3.0)):
        sheet.text(place, "wide words", 0.3, (255, 255, 255), anchor="mm", edge=(0, 0, 0))
    assert lay_over(BLACK, [sheet] * 2).shape == BLACK.shape
