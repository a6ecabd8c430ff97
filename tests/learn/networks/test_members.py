from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.detect.detector import Detector
from pipeline.learn import weights
from pipeline.learn.networks import rebuild
from pipeline.learn.networks.base import Streaming
from pipeline.learn.networks.members import Member, members_net
from pipeline.learn.networks.product import product_of
from tests.learn.encoders.tiny import checkpoint_origin, colour_origin
from tests.learn.networks.nets import frame_logits, random_clips, small_flash, small_framewise
from tests.learn.networks.sounds import hearing, random_sounds
from tests.learn.toy import FORMAT

EXACT = {"rtol": 0, "atol": 1e-5}


def three() -> list[Member]:
    """Members with answers, temperatures and numbers of features of their own."""
    made = [small_flash(), small_flash(width=4), small_flash()]
    torch.nn.init.normal_(made[2].head.weight, std=2.0)
    temperatures = (0.5, 1.0, 3.0)
    return [
        Member(network.eval(), temperature)
        for network, temperature in zip(made, temperatures, strict=True)
    ]


def mean_of(members: list[Member], clips: torch.Tensor) -> torch.Tensor:
    answers = [(one.network(clips) / one.temperature).softmax(-1) for one in members]
    return torch.stack(answers).mean(0)


@torch.no_grad()
def test_the_answer_is_the_mean_of_the_calibrated_answers() -> None:
    members, clips = three(), random_clips(4, 8)
    found = members_net(members).eval()(clips).softmax(-1)
    torch.testing.assert_close(found, mean_of(members, clips), **EXACT)
    uncalibrated = torch.stack([one.network(clips).softmax(-1) for one in members]).mean(0)
    assert (found - uncalibrated).abs().max() > 0.01


@torch.no_grad()
def test_a_stream_ends_where_the_clip_does() -> None:
    network, clips = members_net(three()).eval(), random_clips(3, FORMAT.num_frames)
    assert isinstance(network, Streaming)
    state = network.start(3)
    assert not any(value.any() for value in state.values())
    for frames in clips.unbind(1):
        logits, state = network.step(frames, state)
    torch.testing.assert_close(logits, network(clips), **EXACT)


@torch.no_grad()
def test_those_members_that_hear_are_given_the_sound() -> None:
    deaf = product_of(small_flash(), colour_origin()).eval()
    ears = product_of(small_flash(), colour_origin(), hearing()).eval()
    clips, sounds = random_clips(2, 8), random_sounds(2, 8)
    network = members_net([Member(deaf, 1.0), Member(ears, 1.0)]).eval()
    assert isinstance(network, Streaming)
    assert network.hears
    assert not members_net(three()).hears
    expected = torch.stack([deaf(clips).softmax(-1), ears(clips, sounds).softmax(-1)]).mean(0)
    torch.testing.assert_close(network(clips, sounds).softmax(-1), expected, **EXACT)
    last = frame_logits(network, clips, sounds)[:, -1]
    torch.testing.assert_close(last.softmax(-1), expected, **EXACT)
    assert not torch.allclose(network(clips).softmax(-1), expected, **EXACT)


def test_members_stream_only_where_all_of_them_do() -> None:
    mixed = members_net([*three(), Member(small_framewise(), 1.0)])
    assert not isinstance(mixed, Streaming)
    assert (
        members_net([Member(small_framewise(), 1.0)]).num_features == small_framewise().num_features
    )


@torch.no_grad()
def test_members_are_rebuilt_from_their_architecture() -> None:
    network, clips = members_net(three()).eval(), random_clips(2, 8)
    again = rebuild(json.loads(json.dumps(network.architecture()))).eval()
    again.load_state_dict(network.state_dict())
    assert again.architecture() == network.architecture()
    assert torch.equal(again(clips), network(clips))


def test_members_with_encoders_are_saved_and_loaded(tmp_path: Path) -> None:
    origins = [checkpoint_origin(tmp_path / name) for name in ("first", "second")]
    pixels = [small_flash(), small_flash()]
    torch.nn.init.normal_(pixels[1].head.weight, std=3.0)
    made = [product_of(*parts).eval() for parts in zip(pixels, origins, strict=True)]
    members = [Member(one, 1.0) for one in made]
    network, clips = members_net(members), random_clips(2, FORMAT.num_frames)
    models = tmp_path / "models"
    models.mkdir()
    weights.save(models, network, clip=FORMAT, temperature=1.0, provenance={})
    found = Detector.load(models).predict(clips.numpy())
    np.testing.assert_allclose(found, network(clips).softmax(-1).detach(), atol=1e-3)
    assert np.abs(found - members[0].network(clips).softmax(-1).detach().numpy()).max() > 0.01


@pytest.mark.parametrize("temperature", [None, "warm"])
def test_a_member_without_a_temperature_is_refused(temperature: object) -> None:
    architecture = members_net(three()).architecture()
    architecture["members"][1]["temperature"] = temperature
    with pytest.raises((TypeError, ValueError)):
        rebuild(architecture)


def test_encoders_of_members_are_frozen_parts_under_their_number() -> None:
    members = [Member(product_of(small_flash(), colour_origin()), 1.0) for _ in range(2)]
    assert list(members_net(members).frozen()) == [
        "members.0.origin.encoder",
        "members.1.origin.encoder",
    ]
