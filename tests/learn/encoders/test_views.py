from __future__ import annotations

import pytest
import torch

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Joined
from pipeline.learn.encoders.views import features_of_views, num_views
from tests.learn.encoders.tiny import Colours, Pace
from tests.learn.networks.nets import random_clips


@pytest.mark.parametrize(
    ("num_frames", "every_frames", "seen"),
    [(8, 4, [2, 6]), (8, 8, [4]), (9, 3, [1, 4, 7]), (3, 1, [0, 1, 2]), (16, 8, [4, 12])],
)
def test_pictures_are_the_frames_in_the_middle_of_steps(
    num_frames: int, every_frames: int, seen: list[int]
) -> None:
    clips = random_clips(2, num_frames)
    found = features_of_views(Colours(), clips, every_frames)
    expected = clips[:, seen].float().mean((2, 3)) / 255
    torch.testing.assert_close(found, expected)
    assert num_views(Colours(), num_frames, every_frames) == len(seen)


@pytest.mark.parametrize(("num_frames", "every_frames"), [(8, 3), (9, 8), (8, 20)])
def test_a_step_that_does_not_divide_the_clip_is_refused(
    num_frames: int, every_frames: int
) -> None:
    with pytest.raises(UserError, match=f"every_frames={every_frames} does not divide"):
        num_views(Colours(), num_frames, every_frames)
    assert num_views(Pace(), num_frames, every_frames) == 1


@pytest.mark.parametrize(("num_frames", "ends"), [(9, (0, 8)), (3, (0, 2)), (2, (0, 1))])
def test_video_is_seen_at_once_evenly_over_the_clip(num_frames: int, ends: tuple[int, int]) -> None:
    clips = random_clips(2, num_frames)
    found = features_of_views(Pace(), clips, every_frames=4)
    means = clips[:, list(ends)].float().mean((2, 3)) / 255
    torch.testing.assert_close(found, (means[:, 1] - means[:, 0])[:, None])
    assert num_views(Pace(), num_frames, 4) == 1


def test_pictures_that_are_alike_are_looked_at_once() -> None:
    looked = []

    class Counting(Colours):
        def forward(self, taken: torch.Tensor) -> torch.Tensor:
            looked.append(len(taken))
            return super().forward(taken)

    clips = random_clips(4, 8)
    # One that another repeats, and one that stands still.
    clips[2], clips[3] = clips[0], clips[3, :1]
    found = features_of_views(Counting(), clips, 4)
    assert looked == [5]
    torch.testing.assert_close(found, clips[:, [2, 6]].float().mean((2, 3)) / 255)


def test_video_shorter_than_an_encoder_takes_is_repeated() -> None:
    clips = torch.arange(2, dtype=torch.uint8)[None, :, None, None, None].expand(1, 2, 4, 4, 3)

    class Seen(Pace):
        num_frames = 4

        def forward(self, taken: torch.Tensor) -> torch.Tensor:
            return taken[:, :, 0, 0, 0].float()

    assert features_of_views(Seen(), clips, 1).tolist() == [[[0, 0, 1, 1]]]


def test_what_joined_encoders_see_stands_side_by_side() -> None:
    clips = random_clips(2, 8)
    pictures, video = features_of_views(Colours(), clips, 4), features_of_views(Pace(), clips, 4)
    found = features_of_views(Joined([Colours(), Pace(), Colours()]), clips, 4)
    # Video is seen once a clip, and stands beside each view.
    expected = torch.cat([pictures, video.expand(-1, 2, -1), pictures], dim=2)
    assert torch.equal(found, expected)
    assert torch.equal(
        features_of_views(Joined([Pace(), Pace()]), clips, 3), torch.cat([video, video], dim=2)
    )


def test_joined_encoders_look_as_often_as_pictures_are_looked_at() -> None:
    assert num_views(Joined([Pace(), Colours()]), 8, 2) == 4
    assert num_views(Joined([Pace(), Pace()]), 8, 3) == 1
    with pytest.raises(UserError, match="every_frames=3 does not divide"):
        num_views(Joined([Pace(), Colours()]), 8, 3)
