from __future__ import annotations

import pytest
import torch

from pipeline.learn.networks import stem
from pipeline.learn.networks.stem import Traces, high_pass, luma_of, patches


def test_luma_is_that_of_rec_601_and_takes_bytes_and_floats() -> None:
    pixel = torch.tensor([200, 100, 50], dtype=torch.uint8)
    expected = torch.tensor(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    torch.testing.assert_close(luma_of(pixel), expected)
    torch.testing.assert_close(luma_of(pixel.float()), expected)


def test_the_filter_passes_grains_and_neither_slopes_nor_straight_edges() -> None:
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    assert (high_pass(3 * rows - 2 * columns + 50) == 0).all()
    assert (high_pass(200.0 * (rows > 7)) == 0).all()
    grain = torch.zeros(16, 16)
    grain[8, 8] = 1
    assert high_pass(grain)[8, 8].item() == pytest.approx(4 / 4 / stem.LIMIT)
    assert high_pass(grain)[7, 8].item() == pytest.approx(-2 / 4 / stem.LIMIT)


def test_the_filter_finds_how_strong_noise_is() -> None:
    noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    inside = high_pass(100 + noise)[1:-1, 1:-1] * stem.LIMIT
    assert inside.std().item() == pytest.approx(1.5, abs=0.05)


def test_patches_hold_the_pixels_under_each_place() -> None:
    plane = torch.arange(2 * 20 * 24.0).reshape(1, 2, 20, 24)
    found = patches([plane, -plane])
    assert found.shape == (2, 3, 3, 2, 64)
    assert torch.equal(found[1, 1, 2, 0].reshape(8, 8), plane[0, 1, 8:16, 16:])
    assert torch.equal(found[..., 1, :], -found[..., 0, :])
    assert (found[0, 2, 0, 0].reshape(8, 8)[4:] == 0).all()


def test_noise_that_stands_still_does_not_flicker() -> None:
    frame = 100 + torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    changes, noise, flicker = Traces(4, in_time=True, residual=True).planes(
        torch.cat([frame, frame, frame + 9], dim=1)
    )
    assert (changes[:, 0] == 0).all()
    torch.testing.assert_close(changes[:, 1], torch.full((1, 16, 16), 9 / stem.SPREAD))
    assert noise[:, 0].std() > 0.1
    assert flicker.abs().max() < 1e-5


def test_edges_do_not_drown_the_rest() -> None:
    luma = torch.zeros(1, 1, 16, 16)
    luma[..., 8, 8] = 255
    (noise,) = Traces(4, in_time=False, residual=True).planes(luma)
    assert noise.abs().max() == 1


@pytest.mark.parametrize(("in_time", "residual"), [(True, False), (True, True), (False, True)])
def test_traces_are_an_eighth_of_the_size_and_not_negative(in_time: bool, residual: bool) -> None:
    luma = torch.rand(2, 3 + in_time, 36, 40) * 255
    found = Traces(6, in_time=in_time, residual=residual)(luma)
    assert found.shape == (6, 6, 5, 5)
    assert found.min() == 0
    assert found.max() > 0
