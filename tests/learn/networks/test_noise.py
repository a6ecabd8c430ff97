from __future__ import annotations

import torch
from torch.nn import functional

from pipeline.learn.networks.base import Network
from tests.learn.networks.nets import small_causal, small_frame


def grainy(num_clips: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft scenes under grain of one grey level, which in every second clip stands still."""
    generator = torch.Generator().manual_seed(seed)
    soft = 40 + 160 * torch.rand(num_clips, 3, 5, 5, generator=generator)
    scenes = functional.interpolate(soft, (32, 32), mode="bicubic").movedim(1, -1)[:, None]
    grain = torch.randn(num_clips, 8, 32, 32, 1, generator=generator)
    flickers = torch.arange(num_clips) % 2
    grain[flickers == 0] = grain[flickers == 0, :1]
    return (scenes + grain).round().clamp(0, 255).to(torch.uint8), flickers


def accuracy_after_learning(network: Network) -> float:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for step in range(40):
        clips, labels = grainy(16, step)
        optimizer.zero_grad()
        functional.cross_entropy(network.train()(clips), labels).backward()
        optimizer.step()
    clips, labels = grainy(64, 1000)
    with torch.no_grad():
        return (network.eval()(clips).argmax(1) == labels).float().mean().item()


def test_noise_of_one_grey_level_that_flickers_is_told_from_noise_that_stands_still() -> None:
    assert accuracy_after_learning(small_causal()) > 0.9
    assert accuracy_after_learning(small_frame()) < 0.75
