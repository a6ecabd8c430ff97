from __future__ import annotations

import pytest
import torch

from pipeline.learn.networks import rebuild
from pipeline.learn.networks.flash import FlashNet
from pipeline.store.manifest import CLASSES
from tests.learn.networks.nets import frame_logits, random_clips, small_flash
from tests.learn.toy import toy_clip


@pytest.fixture
def network() -> FlashNet:
    return small_flash().eval()


def street(num_frames: int = 8, size: int = 64) -> torch.Tensor:
    """A still picture of grey spots, float (1, T, H, W, 3)."""
    generator = torch.Generator().manual_seed(3)
    spots = torch.rand((1, 1, size // 8, size // 8, 1), generator=generator) * 80 + 40
    picture = spots.repeat_interleave(8, 2).repeat_interleave(8, 3)
    return picture.expand(-1, num_frames, -1, -1, 3).clone()


@torch.no_grad()
def test_the_answer_forgets_what_lies_before_the_window_and_its_reach(network: FlashNet) -> None:
    clips = random_clips(2, network.window + 7)
    changed = clips.clone()
    changed[:, :4] = 255 - changed[:, :4]
    before, after = frame_logits(network, clips), frame_logits(network, changed)
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
def test_what_begins_to_move_looks_like_what_always_moved() -> None:
    network = small_flash(size=64, window=16)
    moving = torch.cat([street(1).roll(3 * step, dims=3) for step in range(16)], dim=1)
    begins, flash = moving.clone(), moving[:, :1].expand(-1, 16, -1, -1, -1).clone()
    begins[:, :8] = moving[:, 8:9]
    flash[:, 8, 16:32, 16:32] = 250
    always, begun, flashed = (network.embed(one)[0] for one in (moving, begins, flash))
    assert (begun - always).norm() < 0.2 * (flashed - always).norm()


def test_a_batch_of_one_can_be_learned_from() -> None:
    network = small_flash().train()
    network(random_clips(1, 8)).sum().backward()
    assert network.hidden.weight.grad is not None
    assert network.hidden.weight.grad.isfinite().all()


def test_weights_for_other_frames_in_order_are_refused() -> None:
    architecture = small_flash().architecture()
    assert rebuild(architecture).architecture() == architecture
    with pytest.raises(ValueError, match=r"it counts \[1, 2, 8\]"):
        rebuild({**architecture, "counted": [1, 2, 8]})
    del architecture["counted"]
    with pytest.raises(KeyError):
        rebuild(architecture)


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
