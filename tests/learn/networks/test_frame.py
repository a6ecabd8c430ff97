from __future__ import annotations

import torch

from tests.learn.networks.nets import random_clips, small_causal, small_frame


@torch.no_grad()
def test_the_order_of_frames_changes_nothing() -> None:
    network = small_frame().eval()
    clips = random_clips(2, 8)
    shuffled = clips[:, torch.randperm(8, generator=torch.Generator().manual_seed(3))]
    torch.testing.assert_close(network(shuffled), network(clips), rtol=0, atol=1e-5)
    assert not torch.allclose(small_causal().eval()(shuffled), small_causal().eval()(clips))


@torch.no_grad()
def test_the_answer_is_the_mean_of_the_frames_logits() -> None:
    network = small_frame().eval()
    clips = random_clips(2, 5)
    each = torch.stack([network(frame[:, None]) for frame in clips.unbind(1)])
    torch.testing.assert_close(network(clips), each.mean(0), rtol=0, atol=1e-5)
    assert each.std(0).min() > 0.001
