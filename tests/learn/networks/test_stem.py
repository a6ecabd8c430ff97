from __future__ import annotations

import torch

from pipeline.learn.networks import stem
from pipeline.learn.networks.stem import Changes, luma_of, patches


def test_luma_is_that_of_rec_601_and_takes_bytes_and_floats() -> None:
    pixel = torch.tensor([200, 100, 50], dtype=torch.uint8)
    expected = torch.tensor(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    torch.testing.assert_close(luma_of(pixel), expected)
    torch.testing.assert_close(luma_of(pixel.float()), expected)


def test_patches_hold_the_pixels_under_each_place() -> None:
    plane = torch.arange(2 * 20 * 24.0).reshape(1, 2, 20, 24)
    found = patches(plane)
    assert found.shape == (2, 3, 3, 64)
    assert torch.equal(found[1, 1, 2].reshape(8, 8), plane[0, 1, 8:16, 16:])
    assert (found[0, 2, 0].reshape(8, 8)[4:] == 0).all()


def test_changes_are_an_eighth_of_the_size_and_not_negative() -> None:
    luma = torch.rand(2, 4, 36, 40) * 255
    found = Changes(6)(luma)
    assert found.shape == (6, 6, 5, 5)
    assert found.min() == 0
    assert found.max() > 0


@torch.no_grad()
def test_what_stands_still_changes_nothing() -> None:
    frame = 100 + torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    changes = Changes(4).eval()
    still, brighter = changes(torch.cat([frame, frame, frame + 9], dim=1))
    expected = changes.norm(changes.mix(torch.full((1, 64), 9 / stem.SPREAD))[..., None, None])
    assert (still == 0).all()
    torch.testing.assert_close(brighter, expected.relu().expand(1, 4, 2, 2)[0])
