from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.learn.networks.causal import CausalNet
from pipeline.store.manifest import CLASSES
from tests.learn.networks.nets import random_clips, small_causal
from tests.learn.toy import toy_clip

EXACT = {"rtol": 0, "atol": 1e-5}


@pytest.fixture
def network() -> CausalNet:
    return small_causal().eval()


@torch.no_grad()
def test_the_age_of_a_stream_stops_at_the_window(network: CausalNet) -> None:
    state = network.start(2)
    for frame in random_clips(2, 30).unbind(1):
        _, state = network.step(frame, state)
    assert state["age"].tolist() == [network.window] * 2


@torch.no_grad()
def test_the_answer_forgets_what_lies_before_the_window_and_its_reach(network: CausalNet) -> None:
    reach = network.window + 2 * sum(network.dilations) + 1
    clips = random_clips(2, reach + 4)
    changed = clips.clone()
    changed[:, :4] = 255 - changed[:, :4]
    before, after = network.frame_logits(clips), network.frame_logits(changed)
    torch.testing.assert_close(before[:, -1], after[:, -1], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, network.window], after[:, network.window], atol=1e-3)


@torch.no_grad()
def test_a_still_clip_has_no_change_to_see_at_its_first_frame() -> None:
    network = small_causal(dilations=(1, 1)).eval()
    still = random_clips(1, 1).expand(-1, 8, -1, -1, -1)
    for module in network.pasts:
        torch.nn.init.zeros_(module.conv.weight)
    answers = network.frame_logits(still)
    torch.testing.assert_close(answers, answers[:, :1].expand_as(answers), **EXACT)


def test_one_batch_can_be_learnt_by_heart() -> None:
    network = small_causal().train()
    labels = torch.arange(8) % len(CLASSES)
    clips = torch.stack([torch.from_numpy(toy_clip(n, int(k))) for n, k in enumerate(labels)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(clips), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_mixed_precision_gives_about_the_same_answer(network: CausalNet) -> None:
    clips = random_clips(2, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = network.frame_logits(clips).float()
    torch.testing.assert_close(rounded, network.frame_logits(clips), rtol=0.1, atol=0.1)
