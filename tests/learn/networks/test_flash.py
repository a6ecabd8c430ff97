from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.learn.networks import rebuild
from pipeline.learn.networks.flash import FlashNet
from pipeline.store.manifest import CLASSES
from tests.learn.networks.nets import random_clips
from tests.learn.toy import FORMAT, toy_clip

EXACT = {"rtol": 0, "atol": 1e-5}


def small_flash(**changes: Any) -> FlashNet:
    """With an opinion, and spreads that are not 1."""
    torch.manual_seed(0)
    values = {"width": 8, "dropout": 0.0, "window": FORMAT.num_frames, "size": FORMAT.size}
    network = FlashNet(**{**values, **changes})
    torch.nn.init.normal_(network.head.weight)
    network.norm.running_mean.normal_(std=0.3)
    network.norm.running_var.uniform_(0.5, 1.5)
    return network


@pytest.fixture
def network() -> FlashNet:
    return small_flash().eval()


def by_frame(network: FlashNet, clips: torch.Tensor) -> torch.Tensor:
    state = network.start(len(clips))
    answers = []
    for frame in clips.unbind(1):
        logits, state = network.step(frame, state)
        answers.append(logits)
    return torch.stack(answers, dim=1)


def street(num_frames: int = 8, size: int = 64) -> torch.Tensor:
    """A still picture of grey spots, float (1, T, H, W, 3)."""
    generator = torch.Generator().manual_seed(3)
    spots = torch.rand((1, 1, size // 8, size // 8, 1), generator=generator) * 80 + 40
    picture = spots.repeat_interleave(8, 2).repeat_interleave(8, 3)
    return picture.expand(-1, num_frames, -1, -1, 3).clone()


@pytest.mark.parametrize("size", [32, 30])
@torch.no_grad()
def test_a_stream_gets_the_answers_of_the_whole_clip(size: int) -> None:
    network = small_flash(size=size).eval()
    clips = random_clips(3, 3 * network.window + 2, size)
    whole = network.frame_logits(clips)
    torch.testing.assert_close(by_frame(network, clips), whole, **EXACT)
    assert whole.std(1).min() > 0.01


@torch.no_grad()
def test_a_clip_in_unequal_pieces_gets_the_answers_of_the_whole(network: FlashNet) -> None:
    clips = random_clips(2, 21)
    state, answers = network.start(2), []
    for piece in clips.split([1, 12, 3, 5], dim=1):
        logits, state = network.advance(piece, state)
        answers.append(logits)
    torch.testing.assert_close(torch.cat(answers, 1), network.frame_logits(clips), **EXACT)


@torch.no_grad()
def test_streams_join_and_leave_by_the_first_axis_of_the_state(network: FlashNet) -> None:
    early, late = random_clips(2, 12).split(1)
    state = network.start(1)
    for frame in early[:, :7].unbind(1):
        _, state = network.step(frame, state)
    fresh = network.start(1)
    state = {name: torch.cat([state[name], fresh[name]]) for name in state}
    for number in range(5):
        frames = torch.cat([early[:, 7 + number], late[:, number]])
        logits, state = network.step(frames, state)
    torch.testing.assert_close(logits[:1], network.frame_logits(early)[:, -1], **EXACT)
    torch.testing.assert_close(logits[1:], network.frame_logits(late[:, :5])[:, -1], **EXACT)


@torch.no_grad()
def test_the_state_neither_grows_nor_is_written_into(network: FlashNet) -> None:
    state = network.start(2)
    shapes = {name: (value.shape, value.dtype) for name, value in state.items()}
    for frame in random_clips(2, 30).unbind(1):
        before = {name: value.clone() for name, value in state.items()}
        _, after = network.step(frame, state)
        assert {name: (value.shape, value.dtype) for name, value in after.items()} == shapes
        assert all(torch.equal(state[name], before[name]) for name in before)
        state = after


@pytest.mark.parametrize("num_frames", [1, 5, FORMAT.num_frames])
@torch.no_grad()
def test_the_answer_for_a_clip_is_that_at_its_last_frame(
    num_frames: int, network: FlashNet
) -> None:
    clips = random_clips(2, num_frames)
    torch.testing.assert_close(network(clips), network.frame_logits(clips)[:, -1], **EXACT)


@pytest.mark.parametrize("frame", [0, 3, 6])
@torch.no_grad()
def test_an_answer_depends_on_no_later_frame(frame: int, network: FlashNet) -> None:
    clips = random_clips(2, 8)
    changed = clips.clone()
    changed[:, frame + 1 :] = 255 - changed[:, frame + 1 :]
    before, after = network.frame_logits(clips), network.frame_logits(changed)
    torch.testing.assert_close(before[:, : frame + 1], after[:, : frame + 1], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, -1], after[:, -1], atol=1e-3)


@torch.no_grad()
def test_the_answer_forgets_what_lies_before_the_window_and_its_reach(network: FlashNet) -> None:
    clips = random_clips(2, network.window + 7)
    changed = clips.clone()
    changed[:, :4] = 255 - changed[:, :4]
    before, after = network.frame_logits(clips), network.frame_logits(changed)
    torch.testing.assert_close(before[:, -1], after[:, -1], rtol=0, atol=1e-6)
    assert not torch.allclose(
        before[:, network.window - 1], after[:, network.window - 1], atol=1e-3
    )


@torch.no_grad()
def test_a_flash_is_seen_and_a_lamp_that_stays_on_is_not() -> None:
    network = small_flash(size=64)
    flash, lamp, still = street(), street(), street()
    flash[:, 4, 16:32, 16:32] = 250
    lamp[:, 4:, 16:32, 16:32] = 250
    seen, on, nothing = (network.embed(one)[0] for one in (flash, lamp, still))
    # The highest peak over time, then the highest rise over what is usual.
    assert seen[0] > 1.5 > 0.2 > on[0] >= nothing[0]
    assert torch.equal(nothing[:10], torch.zeros(10))


@torch.no_grad()
def test_every_frame_but_the_last_two_can_be_the_one_that_flashes() -> None:
    network = small_flash(size=64)
    peaks = []
    for frame in range(8):
        clip = street()
        clip[:, frame, 16:32, 16:32] = 250
        peaks.append(float(network.embed(clip)[0, 0]))
    # Nobody knows what was before the first.
    assert [peak > 1.5 for peak in peaks] == [False, *[True] * 5, False, False]


@torch.no_grad()
def test_a_clip_s_answer_does_not_depend_on_its_batch(network: FlashNet) -> None:
    clips = random_clips(3, 8)
    torch.testing.assert_close(network(clips[1:2])[0], network(clips)[1], **EXACT)


@torch.no_grad()
def test_bytes_and_floats_get_the_same_answer(network: FlashNet) -> None:
    clips = random_clips(2, 8)
    torch.testing.assert_close(network(clips.float()), network(clips), **EXACT)


def test_an_untrained_network_has_no_opinion() -> None:
    fresh = rebuild(small_flash().architecture())
    assert (fresh(random_clips(2, 4)) == 0).all()


def test_a_batch_of_one_can_be_learned_from() -> None:
    network = small_flash().train()
    network(random_clips(1, 8)).sum().backward()
    assert network.hidden.weight.grad is not None
    assert network.hidden.weight.grad.isfinite().all()


def test_clips_of_too_few_frames_are_refused() -> None:
    with pytest.raises(AssertionError):
        small_flash(window=2)


def test_one_batch_can_be_learnt_by_heart() -> None:
    network = small_flash(width=32).train()
    labels = torch.arange(8) % len(CLASSES)
    clips = torch.stack([torch.from_numpy(toy_clip(n, int(k))) for n, k in enumerate(labels)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(200):
        loss = torch.nn.functional.cross_entropy(network(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    assert (network(clips).argmax(-1) == labels).float().mean() >= 0.75
