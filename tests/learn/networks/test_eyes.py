from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Joined
from pipeline.learn.networks.eyes import Eyes, pooled
from tests.learn.encoders.tiny import Colours, Pace, checkpoint_eyes, colour_eyes
from tests.learn.networks.nets import random_clips

EXACT = {"rtol": 0, "atol": 1e-5}


def by_pieces(eyes: Eyes, clips: Tensor, pieces: list[int]) -> Tensor:
    state, found = eyes.start(clips.shape[0]), []
    for piece in clips.split(pieces, dim=1):
        seen, state = eyes.advance(piece, state)
        found.append(seen)
    return torch.cat(found, dim=1)


def test_what_is_seen_is_the_mean_and_the_spread_of_the_looks() -> None:
    eyes, clips = colour_eyes(window=9, every_frames=3), random_clips(2, 9)
    views = clips[:, [1, 4, 7]].float().mean((2, 3)) / 255
    expected = torch.cat([views.mean(1), views.std(1, correction=0)], dim=1)
    assert eyes.num_views == 3
    assert eyes.see(clips).shape == (2, eyes.num_features) == (2, 6)
    torch.testing.assert_close(eyes.see(clips), expected)
    assert eyes.log_odds(expected).shape == (2,)


@pytest.mark.parametrize(("motion", "share"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0), (7.0, 1.0)])
def test_the_more_moves_the_more_counts_how_it_does(motion: float, share: float) -> None:
    eyes = colour_eyes()
    mean = torch.tensor([[0.2, 0.5, 0.4]])
    # Of three features alike: the root of the sum of their squares is what was asked for.
    spread = torch.full((1, 3), motion / 3**0.5) / eyes.motion_scale
    seen = torch.cat([mean, spread], dim=1)
    still = mean @ eyes.still.weight[0] + 0.5
    moving = seen @ eyes.moving.weight[0] + 0.5
    expected = share * moving + (1 - share) * still
    torch.testing.assert_close(eyes.log_odds(seen), expected)
    assert (moving - still).abs() > 0.1


def test_looks_that_are_not_there_count_for_nothing() -> None:
    views = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    is_there = torch.tensor([[False, False, True, True], [True] * 4])
    found = pooled(views, is_there)
    torch.testing.assert_close(found[:1], pooled(views[:1, 2:]))
    torch.testing.assert_close(found[1:], pooled(views[1:]))


@pytest.mark.parametrize("num_views", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_views_that_are_alike_have_no_spread_at_all(num_views: int, dtype: torch.dtype) -> None:
    view = torch.randn(5, 1, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)
    found = pooled(view.expand(-1, num_views, -1))
    assert found.dtype == dtype
    assert torch.equal(found[:, :3], view[:, 0])
    assert torch.equal(found[:, 3:], torch.zeros(5, 3, dtype=dtype))


@pytest.mark.parametrize("every_frames", [1, 2, 4, 8])
@pytest.mark.parametrize("pieces", [[8], [1] * 8, [3, 1, 4]])
def test_at_its_last_frame_a_stream_sees_what_the_clip_shows(
    every_frames: int, pieces: list[int]
) -> None:
    eyes, clips = colour_eyes(every_frames=every_frames), random_clips(2, 8)
    found = by_pieces(eyes, clips, pieces)
    torch.testing.assert_close(found[:, -1], eyes.see(clips), **EXACT)


def test_a_stream_sees_the_last_looks_however_it_comes() -> None:
    eyes, clips = colour_eyes(window=9, every_frames=3), random_clips(2, 23)
    whole = by_pieces(eyes, clips, [23])
    for pieces in ([1] * 23, [1, 12, 3, 7]):
        torch.testing.assert_close(by_pieces(eyes, clips, pieces), whole, **EXACT)
    views = clips[:, [0, *range(1, 23, 3)]].float().mean((2, 3)) / 255
    for frame in range(23):
        newest = 1 + (frame + 2) // 3
        expected = pooled(views[:, max(0, newest - 3) : newest])
        torch.testing.assert_close(whole[:, frame], expected, **EXACT)


def test_streams_that_join_later_look_at_their_own_times() -> None:
    eyes, clips = colour_eyes(every_frames=4), random_clips(2, 12)
    early, late = clips.split(1)
    _, state = eyes.advance(early[:, :4], eyes.start(1))
    fresh = eyes.start(1)
    state = {name: torch.cat([state[name], fresh[name]]) for name in state}
    both = torch.cat([early[:, 4:11], late[:, :7]])
    found, _ = eyes.advance(both, state)
    torch.testing.assert_close(found[:1], by_pieces(eyes, early[:, :11], [11])[:, 4:], **EXACT)
    torch.testing.assert_close(found[1:], by_pieces(eyes, late[:, :7], [7]), **EXACT)


def test_between_looks_nothing_is_computed() -> None:
    eyes, clips = colour_eyes(every_frames=4), random_clips(2, 8)
    assert isinstance(eyes.encoder, Colours)
    state, num_seen = eyes.start(2), []
    for frame in clips.split(1, dim=1):
        _, state = eyes.advance(frame, state)
        num_seen.append(eyes.encoder.num_seen)
    assert num_seen == [2, 2, 4, 4, 4, 4, 6, 6]


def test_only_streams_whose_look_is_due_are_looked_at() -> None:
    eyes, clips = colour_eyes(every_frames=4), random_clips(2, 2)
    assert isinstance(eyes.encoder, Colours)
    _, state = eyes.advance(clips[:1, :1], eyes.start(1))
    fresh = eyes.start(1)
    state = {name: torch.cat([state[name], fresh[name]]) for name in state}
    eyes.encoder.num_seen = 0
    eyes.advance(clips[:, 1:], state)
    assert eyes.encoder.num_seen == 1


def test_the_state_neither_grows_nor_is_written_into() -> None:
    eyes, state = colour_eyes(), colour_eyes().start(2)
    shapes = {name: (value.shape, value.dtype) for name, value in state.items()}
    assert not any(value.any() for value in state.values())
    for frame in random_clips(2, 30).split(1, dim=1):
        before = {name: value.clone() for name, value in state.items()}
        _, after = eyes.advance(frame, state)
        assert {name: (value.shape, value.dtype) for name, value in after.items()} == shapes
        assert all(torch.equal(state[name], before[name]) for name in before)
        state = after


def test_an_encoder_of_video_answers_for_whole_clips_only() -> None:
    eyes, clips = Eyes(Pace(), window=8, every_frames=3), random_clips(2, 8)
    assert not eyes.can_stream
    assert colour_eyes().can_stream
    assert eyes.num_views == 1
    means = clips.float().mean((2, 3)) / 255
    torch.testing.assert_close(eyes.see(clips)[:, :3], means[:, -1] - means[:, 0])
    assert not eyes.see(clips)[:, 3:].any()


@pytest.mark.parametrize("pieces", [[8], [3, 1, 4]])
def test_streams_of_joined_encoders_see_what_the_clip_shows(
    tmp_path: Path, pieces: list[int]
) -> None:
    eyes, clips = checkpoint_eyes(tmp_path, num_encoders=2), random_clips(2, 8)
    assert eyes.num_features == 2 * 2 * 32
    found = by_pieces(eyes, clips, pieces)
    torch.testing.assert_close(found[:, -1], eyes.see(clips), **EXACT)


def test_one_of_video_beside_one_of_pictures_answers_for_whole_clips_only() -> None:
    eyes, clips = Eyes(Joined([Colours(), Pace()]), window=8, every_frames=4), random_clips(2, 8)
    assert not eyes.can_stream
    mean, spread = eyes.see(clips).chunk(2, dim=1)
    assert spread[:, :3].all()
    assert not spread[:, 3:].any()
    means = clips.float().mean((2, 3)) / 255
    torch.testing.assert_close(mean[:, 3:], means[:, -1] - means[:, 0])


@pytest.mark.parametrize("num_encoders", [1, 3])
def test_they_are_rebuilt_from_their_architecture_and_never_trained(
    tmp_path: Path, num_encoders: int
) -> None:
    eyes = checkpoint_eyes(tmp_path / "dino", num_encoders=num_encoders)
    again = Eyes.rebuild(eyes.architecture())
    assert not again.log_odds(again.see(random_clips(1, 8))).any()
    again.load_state_dict(eyes.state_dict())
    clips = random_clips(2, 8)
    assert torch.equal(again.see(clips), eyes.see(clips))
    assert again.architecture() == eyes.architecture()
    assert not any(p.requires_grad for p in again.parameters())


def test_a_step_that_does_not_divide_the_window_is_refused() -> None:
    with pytest.raises(UserError, match=r"every_frames=3 does not .* 8 frames .* of 1, 2, 4, 8$"):
        colour_eyes(window=8, every_frames=3)


def test_weights_of_views_of_other_frames_are_refused(tmp_path: Path) -> None:
    architecture = checkpoint_eyes(tmp_path / "dino").architecture()
    with pytest.raises(ValueError, match="its first view is frame 0 of a clip"):
        Eyes.rebuild(architecture | {"first_frame": 0})


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(UserError, match="encoder 'owl' is unknown"):
        Eyes.rebuild({"encoder": {"name": "owl"}, "window": 8, "every_frames": 3})
