from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.config import EncoderConfig, PicturesConfig
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.encoders.base import Encoder, Joined
from tests.learn.encoders.tiny import Colours, Pace, write_checkpoint
from tests.learn.networks.nets import random_clips


class Ears(Colours):
    modality: Any = "sound"


def asked(first: str, *more: str) -> PicturesConfig:
    return PicturesConfig(first, 16, [EncoderConfig(name, 16) for name in more], 4)


def test_features_of_frames_stand_side_by_side() -> None:
    frames = random_clips(3, 1)[:, 0]
    one = Colours()(frames)
    joined = Joined([Colours(), Joined([Colours(), Colours()])])
    assert torch.equal(joined(frames), torch.cat([one, one, one], dim=1))
    assert joined.num_features == 9
    assert [type(part) for part in joined.each()] == [Colours] * 3
    assert list(Colours().each()) != []


@pytest.mark.parametrize(
    ("parts", "modality"),
    [
        ([Colours(), Colours()], "picture"),
        ([Colours(), Pace()], "video"),
        ([Pace(), Ears(), Colours()], "sound"),
    ],
)
def test_what_they_take_is_what_the_most_demanding_takes(
    parts: list[Encoder], modality: str
) -> None:
    assert Joined(parts).modality == modality


def test_they_are_built_as_asked_for_and_rebuilt_without_their_folders(tmp_path: Path) -> None:
    names = [write_checkpoint(tmp_path / str(seed), seed) for seed in (0, 1)]
    joined = encoders.build(asked(*names))
    alone = [encoders.build(asked(name)) for name in names]
    frames = random_clips(2, 1)[:, 0]
    expected = torch.cat([one(frames) for one in alone], dim=1)
    assert torch.equal(joined(frames), expected)
    assert not torch.equal(*expected.chunk(2, dim=1))
    assert joined.provenance() == [one.provenance()[0] for one in alone]
    again = encoders.rebuild(joined.architecture())
    again.load_state_dict(joined.state_dict())
    assert torch.equal(again(frames), expected)
    assert again.architecture() == joined.architecture()
    assert again.provenance() == joined.provenance()


def test_an_unknown_one_beside_the_first_is_named(tmp_path: Path) -> None:
    name = write_checkpoint(tmp_path / "dino")
    with pytest.raises(UserError, match=r"pictures\.more\[1\]\.name=owl is no encoder; take clip"):
        encoders.build(asked(name, name, "owl"))
