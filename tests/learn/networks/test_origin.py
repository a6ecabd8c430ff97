from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Joined
from pipeline.learn.networks.origin import OriginNet, averaged
from tests.learn.encoders.tiny import Colours, Pace, checkpoint_origin, colour_origin
from tests.learn.networks.nets import random_clips

EXACT = {"rtol": 0, "atol": 1e-5}


def by_pieces(origin: OriginNet, clips: Tensor, pieces: list[int]) -> Tensor:
    state, found = origin.start(clips.shape[0]), []
    for piece in clips.split(pieces, dim=1):
        seen, state = origin.advance(piece, state)
        found.append(seen)
    return torch.cat(found, dim=1)


def test_what_is_seen_is_the_mean_of_the_looks() -> None:
    origin, clips = colour_origin(window=9, every_frames=3), random_clips(2, 9)
    expected = (clips[:, [1, 4, 7]].float().mean((2, 3)) / 255).mean(1)
    assert origin.num_views == 3
    assert origin.embed(clips).shape == (2, origin.num_features) == (2, 3)
    torch.testing.assert_close(origin.embed(clips), expected)


def test_a_layer_answers() -> None:
    origin = colour_origin()
    seen = torch.tensor([[0.2, 0.5, 0.4], [0.9, 0.1, 0.3]])
    expected = seen @ origin.layer.weight[0] + 0.5
    torch.testing.assert_close(origin.log_odds(seen), expected)
    assert (expected[0] - expected[1]).abs() > 0.1


def test_looks_that_are_not_there_count_for_nothing() -> None:
    views = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    is_there = torch.tensor([[False, False, True, True], [True] * 4])
    found = averaged(views, is_there)
    torch.testing.assert_close(found[:1], averaged(views[:1, 2:]))
    torch.testing.assert_close(found[1:], averaged(views[1:]))


@pytest.mark.parametrize("num_views", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_mean_of_views_that_are_alike_is_that_view(num_views: int, dtype: torch.dtype) -> None:
    view = torch.randn(5, 1, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)
    found = averaged(view.expand(-1, num_views, -1))
    assert found.dtype == dtype
    assert torch.equal(found, view[:, 0])


@pytest.mark.parametrize("every_frames", [1, 2, 4, 8])
@pytest.mark.parametrize("pieces", [[8], [1] * 8, [3, 1, 4]])
def test_at_its_last_frame_a_stream_sees_what_the_clip_shows(
    every_frames: int, pieces: list[int]
) -> None:
    origin, clips = colour_origin(every_frames=every_frames), random_clips(2, 8)
    found = by_pieces(origin, clips, pieces)
    torch.testing.assert_close(found[:, -1], origin.embed(clips), **EXACT)


def test_a_stream_sees_the_last_looks_however_it_comes() -> None:
    origin, clips = colour_origin(window=9, every_frames=3), random_clips(2, 23)
    whole = by_pieces(origin, clips, [23])
    for pieces in ([1] * 23, [1, 12, 3, 7]):
        torch.testing.assert_close(by_pieces(origin, clips, pieces), whole, **EXACT)
    views = clips[:, [0, *range(1, 23, 3)]].float().mean((2, 3)) / 255
    for frame in range(23):
        newest = 1 + (frame + 2) // 3
        expected = averaged(views[:, max(0, newest - 3) : newest])
        torch.testing.assert_close(whole[:, frame], expected, **EXACT)


def test_streams_that_join_later_look_at_their_own_times() -> None:
    origin, clips = colour_origin(every_frames=4), random_clips(2, 12)
    early, late = clips.split(1)
    _, state = origin.advance(early[:, :4], origin.start(1))
    fresh = origin.start(1)
    state = {name: torch.cat([state[name], fresh[name]]) for name in state}
    both = torch.cat([early[:, 4:11], late[:, :7]])
    found, _ = origin.advance(both, state)
    torch.testing.assert_close(found[:1], by_pieces(origin, early[:, :11], [11])[:, 4:], **EXACT)
    torch.testing.assert_close(found[1:], by_pieces(origin, late[:, :7], [7]), **EXACT)


def test_between_looks_nothing_is_computed() -> None:
    origin, clips = colour_origin(every_frames=4), random_clips(2, 8)
    assert isinstance(origin.encoder, Colours)
    state, num_seen = origin.start(2), []
    for frame in clips.split(1, dim=1):
        _, state = origin.advance(frame, state)
        num_seen.append(origin.encoder.num_seen)
    assert num_seen == [2, 2, 4, 4, 4, 4, 6, 6]


def test_only_streams_whose_look_is_due_are_looked_at() -> None:
    origin, clips = colour_origin(every_frames=4), random_clips(2, 2)
    assert isinstance(origin.encoder, Colours)
    _, state = origin.advance(clips[:1, :1], origin.start(1))
    fresh = origin.start(1)
    state = {name: torch.cat([state[name], fresh[name]]) for name in state}
    origin.encoder.num_seen = 0
    origin.advance(clips[:, 1:], state)
    assert origin.encoder.num_seen == 1


def test_the_state_neither_grows_nor_is_written_into() -> None:
    origin, state = colour_origin(), colour_origin().start(2)
    shapes = {name: (value.shape, value.dtype) for name, value in state.items()}
    assert not any(value.any() for value in state.values())
    for frame in random_clips(2, 30).split(1, dim=1):
        before = {name: value.clone() for name, value in state.items()}
        _, after = origin.advance(frame, state)
        assert {name: (value.shape, value.dtype) for name, value in after.items()} == shapes
        assert all(torch.equal(state[name], before[name]) for name in before)
        state = after


def test_an_encoder_of_video_answers_for_whole_clips_only() -> None:
    origin, clips = OriginNet(Pace(), window=8, every_frames=3), random_clips(2, 8)
    assert not origin.can_stream
    assert colour_origin().can_stream
    assert origin.num_views == 1
    means = clips.float().mean((2, 3)) / 255
    torch.testing.assert_close(origin.embed(clips), means[:, -1] - means[:, 0])


@pytest.mark.parametrize("pieces", [[8], [3, 1, 4]])
def test_streams_of_joined_encoders_see_what_the_clip_shows(
    tmp_path: Path, pieces: list[int]
) -> None:
    origin, clips = checkpoint_origin(tmp_path, num_encoders=2), random_clips(2, 8)
    assert origin.num_features == 2 * 32
    found = by_pieces(origin, clips, pieces)
    torch.testing.assert_close(found[:, -1], origin.embed(clips), **EXACT)


def test_one_of_video_beside_one_of_pictures_answers_for_whole_clips_only() -> None:
    origin, clips = (
        OriginNet(Joined([Colours(), Pace()]), window=8, every_frames=4),
        random_clips(2, 8),
    )
    assert not origin.can_stream
    means = clips.float().mean((2, 3)) / 255
    torch.testing.assert_close(origin.embed(clips)[:, :3], means[:, [2, 6]].mean(1))
    torch.testing.assert_close(origin.embed(clips)[:, 3:], means[:, -1] - means[:, 0])


@pytest.mark.parametrize("num_encoders", [1, 3])
def test_they_are_rebuilt_from_their_architecture_and_never_trained(
    tmp_path: Path, num_encoders: int
) -> None:
    origin = checkpoint_origin(tmp_path / "dino", num_encoders=num_encoders)
    again = OriginNet.rebuild(origin.architecture())
    assert not again.log_odds(again.embed(random_clips(1, 8))).any()
    again.load_state_dict(origin.state_dict())
    clips = random_clips(2, 8)
    assert torch.equal(again.embed(clips), origin.embed(clips))
    assert again.architecture() == origin.architecture()
    assert not any(p.requires_grad for p in again.parameters())


def test_a_step_that_does_not_divide_the_window_is_refused() -> None:
    with pytest.raises(UserError, match=r"every_frames=3 does not .* 8 frames .* of 1, 2, 4, 8$"):
        colour_origin(window=8, every_frames=3)


def test_weights_of_views_of_other_frames_are_refused(tmp_path: Path) -> None:
    architecture = checkpoint_origin(tmp_path / "dino").architecture()
    with pytest.raises(ValueError, match="its first view is frame 0 of a clip"):
        OriginNet.rebuild(architecture | {"first_frame": 0})


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(UserError, match="encoder 'owl' is unknown"):
        OriginNet.rebuild({"encoder": {"name": "owl"}, "window": 8, "every_frames": 3})
