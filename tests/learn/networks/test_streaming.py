"""What every network of ours that follows streams keeps to."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pipeline.learn.networks import rebuild
from tests.learn.networks.nets import frame_logits, random_clips, small_flash
from tests.learn.toy import FORMAT

EXACT = {"rtol": 0, "atol": 1e-5}
Network = Any


@pytest.fixture
def network() -> Network:
    return small_flash().eval()


def by_frame(network: Network, clips: torch.Tensor) -> torch.Tensor:
    state = network.start(len(clips))
    answers = []
    for frame in clips.unbind(1):
        logits, state = network.step(frame, state)
        answers.append(logits)
    return torch.stack(answers, dim=1)


@pytest.mark.parametrize("size", [32, 30])
@torch.no_grad()
def test_a_stream_gets_the_answers_of_the_whole_clip(size: int) -> None:
    network = small_flash(size=size).eval()
    clips = random_clips(3, 3 * network.window + 2, size)
    whole = frame_logits(network, clips)
    torch.testing.assert_close(by_frame(network, clips), whole, **EXACT)
    assert whole.std(1).min() > 0.01


@torch.no_grad()
def test_a_clip_in_unequal_pieces_gets_the_answers_of_the_whole(network: Network) -> None:
    clips = random_clips(2, 21)
    state, answers = network.start(2), []
    for piece in clips.split([1, 12, 3, 5], dim=1):
        logits, state = network.advance(piece, state)
        answers.append(logits)
    torch.testing.assert_close(torch.cat(answers, 1), frame_logits(network, clips), **EXACT)


@torch.no_grad()
def test_streams_join_and_leave_by_the_first_axis_of_the_state(network: Network) -> None:
    early, late = random_clips(2, 12).split(1)
    state = network.start(1)
    for frame in early[:, :7].unbind(1):
        _, state = network.step(frame, state)
    fresh = network.start(1)
    state = {name: torch.cat([state[name], fresh[name]]) for name in state}
    for number in range(5):
        frames = torch.cat([early[:, 7 + number], late[:, number]])
        logits, state = network.step(frames, state)
    torch.testing.assert_close(logits[:1], frame_logits(network, early)[:, -1], **EXACT)
    torch.testing.assert_close(logits[1:], frame_logits(network, late[:, :5])[:, -1], **EXACT)


@torch.no_grad()
def test_the_state_neither_grows_nor_is_written_into(network: Network) -> None:
    state = network.start(2)
    shapes = {name: (value.shape, value.dtype) for name, value in state.items()}
    for frame in random_clips(2, 30).unbind(1):
        before = {name: value.clone() for name, value in state.items()}
        _, after = network.step(frame, state)
        assert {name: (value.shape, value.dtype) for name, value in after.items()} == shapes
        assert all(torch.equal(state[name], before[name]) for name in before)
        state = after


@pytest.mark.parametrize("num_frames", [1, 5, FORMAT.num_frames, 20])
@torch.no_grad()
def test_the_answer_for_a_clip_is_that_at_its_last_frame(num_frames: int, network: Network) -> None:
    clips = random_clips(2, num_frames)
    torch.testing.assert_close(network(clips), frame_logits(network, clips)[:, -1], **EXACT)


@pytest.mark.parametrize("frame", [0, 3, 6])
@torch.no_grad()
def test_an_answer_depends_on_no_later_frame(frame: int, network: Network) -> None:
    clips = random_clips(2, 8)
    changed = clips.clone()
    changed[:, frame + 1 :] = 255 - changed[:, frame + 1 :]
    before, after = frame_logits(network, clips), frame_logits(network, changed)
    torch.testing.assert_close(before[:, : frame + 1], after[:, : frame + 1], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, -1], after[:, -1], atol=1e-3)


@torch.no_grad()
def test_a_clip_s_answer_does_not_depend_on_its_batch(network: Network) -> None:
    clips = random_clips(3, 8)
    torch.testing.assert_close(network(clips[1:2])[0], network(clips)[1], **EXACT)


@torch.no_grad()
def test_bytes_and_floats_get_the_same_answer(network: Network) -> None:
    clips = random_clips(2, 8)
    torch.testing.assert_close(network(clips.float()), network(clips), **EXACT)


def test_mixed_precision_gives_about_the_same_answer(network: Network) -> None:
    clips = random_clips(2, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = frame_logits(network, clips).float()
    torch.testing.assert_close(rounded, frame_logits(network, clips), rtol=0.1, atol=0.1)


def test_an_untrained_network_has_no_opinion() -> None:
    fresh = rebuild(small_flash().architecture())
    assert (fresh(random_clips(2, 4)) == 0).all()
