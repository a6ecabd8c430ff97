from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from pipeline.learn.pixels import Pixels
from tests.learn.networks.nets import random_clips

PUBLISHED = {
    "size": {"shortest_edge": 48},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.2, 0.4],
}


def pixels(num_frames: int = 4, **changes: Any) -> Pixels:
    return Pixels.of_preprocessor({**PUBLISHED, **changes}, num_frames, size=48)


def test_frames_are_normalised_as_the_file_says() -> None:
    clips = random_clips(2, 4, 48)
    found = pixels()(clips)
    assert found.shape == (2, 4, 3, 48, 48)
    blue = (clips[1, 2, :, :, 2].double() / 255 - 0.3) / 0.4
    torch.testing.assert_close(found[1, 2, 2].double(), blue, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [48, 20])
@pytest.mark.parametrize("resample", [2, 3])
def test_frames_are_resized_as_pillow_does(resample: int, size: int) -> None:
    # Far from black and white, where Pillow cuts curves that swing beyond after each direction.
    clips = random_clips(1, 1, 32) // 2 + 64
    plain = {"do_normalize": False, "do_rescale": False}
    to = Pixels.of_preprocessor({"size": size, "resample": resample, **plain}, 1, size)
    image = PIL.Image.fromarray(clips[0, 0].numpy())
    expected = np.asarray(image.resize((size, size), PIL.Image.Resampling(resample)), np.float32)
    found = to(clips)[0, 0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 2


@pytest.mark.parametrize(
    ("num_frames", "chosen"), [(8, range(8)), (4, [0, 2, 5, 7]), (1, [0]), (16, None)]
)
def test_frames_are_chosen_at_even_distances(num_frames: int, chosen: Any) -> None:
    clips = torch.arange(8, dtype=torch.uint8)[None, :, None, None, None].expand(1, 8, 48, 48, 3)
    shown = pixels(num_frames, do_normalize=False, do_rescale=False)(clips)[0, :, 0, 0, 0]
    if chosen is None:
        assert shown.tolist() == sorted(shown.tolist())
        assert set(shown.tolist()) == set(range(8))
    else:
        assert shown.tolist() == list(chosen)


def test_vivit_s_pixels_go_from_minus_one_to_one() -> None:
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8)[None, :, None, None, None]
    clips = black_and_white.expand(1, 2, 48, 48, 3)
    found = pixels(2, rescale_factor=1 / 127.5, offset=True, do_normalize=False)(clips)
    torch.testing.assert_close(found[0, :, 0, 0, 0], torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize(
    "changes",
    [
        {"image_mean": None},
        {"image_mean": [0.5]},
        {"image_std": [0.5, 0.5, 0.0]},
        {"size": {"height": 48, "width": 64}},
        {"size": 224},
    ],
)
def test_what_describes_no_such_frames_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        pixels(**changes)


def test_they_survive_json() -> None:
    one = pixels(resample=3)
    assert Pixels.of_json(json.loads(json.dumps(asdict(one)))) == one
