from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.learn.networks.blocks import HalfInstanceNorm, Halve
from tests.learn.networks.nets import small_causal, small_frame


def test_half_of_the_channels_forget_brightness_and_contrast_of_their_frame() -> None:
    norm = HalfInstanceNorm(6).eval()
    frames = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    dark, faded = norm(frames), norm(40 * frames + 90)
    torch.testing.assert_close(faded[:, :3], dark[:, :3], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(faded[:, 3:], dark[:, 3:], atol=1)


def test_the_first_half_is_an_instance_norm_and_the_second_a_batch_norm() -> None:
    norm = HalfInstanceNorm(5).train()
    frames = torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    found = norm(frames.to(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found[:, :2], functional.instance_norm(frames[:, :2]))
    expected = functional.batch_norm(frames[:, 2:], None, None, training=True)
    torch.testing.assert_close(found[:, 2:], expected)


def test_a_frame_of_one_colour_is_no_division_by_zero() -> None:
    found = Halve(3, 4, instance_norm=True)(torch.zeros(2, 3, 8, 8))
    assert found.isfinite().all()


@pytest.mark.parametrize("make", [small_causal, small_frame])
def test_a_network_has_instance_norms_only_if_asked(make: type) -> None:
    def count(network: torch.nn.Module) -> int:
        return sum(isinstance(module, HalfInstanceNorm) for module in network.modules())

    # The stem and two blocks.
    assert count(make(instance_norm=True)) == 3
    assert count(make(instance_norm=False)) == 0
