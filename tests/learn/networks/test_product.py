from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.learn.networks import rebuild
from pipeline.learn.networks.base import Streaming
from pipeline.learn.networks.origin import OriginNet
from pipeline.learn.networks.product import (
    StreamingProductNet,
    discharge_log_odds,
    product_logits,
    product_of,
)
from pipeline.store.manifest import CLASSES, IS_DISCHARGE, IS_REAL
from tests.learn.encoders.tiny import Pace, checkpoint_origin, colour_origin
from tests.learn.networks.nets import (
    FRAMEWISE,
    frame_logits,
    random_clips,
    small_flash,
    small_framewise,
)
from tests.learn.networks.sounds import SAMPLES_A_FRAME, hearing, random_sounds

EXACT = {"rtol": 0, "atol": 1e-5}
REAL, DISCHARGE = torch.tensor(IS_REAL), torch.tensor(IS_DISCHARGE)


def network() -> StreamingProductNet:
    found = product_of(small_flash(), colour_origin()).eval()
    assert isinstance(found, StreamingProductNet)
    found.discharge_scale.fill_(0.7)
    return found


def hearing_network() -> StreamingProductNet:
    found = product_of(small_flash(), colour_origin(), hearing()).eval()
    assert isinstance(found, StreamingProductNet)
    return found


def marginals(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities of real and of a discharge."""
    probabilities = logits.softmax(-1)
    return probabilities[..., REAL].sum(-1), probabilities[..., DISCHARGE].sum(-1)


def test_classes_are_the_product_of_two_probabilities() -> None:
    generator = torch.Generator().manual_seed(0)
    origin, discharge = 3 * torch.randn(2, 50, generator=generator)
    found = product_logits(origin, discharge).softmax(-1)
    real, fired = origin.sigmoid(), discharge.sigmoid()
    for number, name in enumerate(CLASSES):
        first = real if name.startswith("real") else 1 - real
        second = fired if name.endswith("shooting") else 1 - fired
        torch.testing.assert_close(found[:, number], first * second, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(discharge_log_odds(product_logits(origin, discharge)), discharge)


@torch.no_grad()
def test_pictures_say_no_more_of_a_discharge_than_their_bound_in_clips_and_streams() -> None:
    free, clips = network(), 40 * random_clips(6, 8)
    bound = float(discharge_log_odds(free(clips)).abs().median())
    made = product_of(free.discharge, free.origin, most_seen=bound).eval()
    made.discharge_scale.copy_(free.discharge_scale)
    assert isinstance(made, StreamingProductNet)
    found, expected = (discharge_log_odds(one(clips)) for one in (made, free))
    torch.testing.assert_close(found, expected.clamp(-bound, bound), **EXACT)
    assert (found != expected).any()
    streamed, _ = made.advance(clips, made.start(6))
    torch.testing.assert_close(discharge_log_odds(streamed[:, -1]), found, **EXACT)
    assert made.architecture()["most_seen"] == bound
    with pytest.raises(ValueError, match="most_seen is 0, and must be above 0"):
        product_of(free.discharge, free.origin, most_seen=0)


@torch.no_grad()
def test_what_the_pixels_say_of_a_discharge_leaves_the_origin_as_it_is() -> None:
    made, clips = network(), random_clips(3, 8)
    real, fired = marginals(made(clips))
    torch.nn.init.normal_(made.discharge.head.weight, std=3.0)
    real_after, fired_after = marginals(made(clips))
    torch.testing.assert_close(real_after, real, **EXACT)
    assert (fired_after - fired).abs().max() > 0.05
    expected = made.origin.log_odds(made.origin.embed(clips)).sigmoid()
    torch.testing.assert_close(real, expected, **EXACT)


@torch.no_grad()
def test_what_the_eyes_say_of_the_origin_leaves_the_discharge_as_it_is() -> None:
    made, clips = network(), random_clips(3, 8)
    real, fired = marginals(made(clips))
    made.origin.layer.bias += 2.0
    real_after, fired_after = marginals(made(clips))
    torch.testing.assert_close(fired_after, fired, **EXACT)
    assert (real_after - real).abs().max() > 0.05
    expected = (0.7 * discharge_log_odds(made.discharge(clips))).sigmoid()
    torch.testing.assert_close(fired, expected, **EXACT)


@torch.no_grad()
def test_what_the_pixels_say_of_the_origin_is_left_out() -> None:
    made, clips = network(), random_clips(3, 8)
    before = made(clips)
    made.discharge.head.bias += torch.where(REAL, 2.0, -2.0)
    logits = made.discharge(clips)
    # It does change the odds of a discharge, unless these are the same in either origin.
    odds = 0.7 * discharge_log_odds(logits)
    torch.testing.assert_close(marginals(made(clips))[0], marginals(before)[0], **EXACT)
    torch.testing.assert_close(marginals(made(clips))[1], odds.sigmoid(), **EXACT)


@torch.no_grad()
def test_a_stream_gets_the_answers_of_the_whole_clip() -> None:
    made, clips = network(), random_clips(3, 23)
    whole, state = frame_logits(made, clips), made.start(3)
    found = []
    for piece in clips.split([1, 12, 1, 9], dim=1):
        logits, state = made.advance(piece, state)
        found.append(logits)
    torch.testing.assert_close(torch.cat(found, 1), whole, **EXACT)
    torch.testing.assert_close(whole[:, 7], made(clips[:, :8]), **EXACT)
    assert whole.std(1).min() > 0.01


@torch.no_grad()
def test_streams_join_and_leave_by_the_first_axis_of_the_state() -> None:
    made = network()
    early, late = random_clips(2, 12).split(1)
    _, state = made.advance(early[:, :7], made.start(1))
    fresh = made.start(1)
    state = {name: torch.cat([state[name], fresh[name]]) for name in state}
    for number in range(5):
        frames = torch.cat([early[:, 7 + number], late[:, number]])
        logits, state = made.step(frames, state)
    torch.testing.assert_close(logits[:1], frame_logits(made, early)[:, -1], **EXACT)
    torch.testing.assert_close(logits[1:], frame_logits(made, late[:, :5])[:, -1], **EXACT)
    alone = {name: value[1:] for name, value in state.items()}
    logits, _ = made.step(late[:, 5], alone)
    torch.testing.assert_close(logits, frame_logits(made, late[:, :6])[:, -1], **EXACT)


@torch.no_grad()
def test_sound_is_added_to_the_discharge_and_leaves_the_origin_as_it_is() -> None:
    made, clips, sounds = hearing_network(), random_clips(3, 8), random_sounds(3, 8)
    assert made.hears
    assert made.hearing is not None
    seen, found = made(clips), made(clips, sounds)
    odds = discharge_log_odds(found) - discharge_log_odds(seen)
    torch.testing.assert_close(odds, made.hearing(sounds), rtol=0, atol=1e-5)
    assert odds.abs().min() > 0.01
    torch.testing.assert_close(marginals(found)[0], marginals(seen)[0], **EXACT)


@torch.no_grad()
def test_without_a_track_the_answer_is_exactly_that_of_the_pictures() -> None:
    made, clips = hearing_network(), random_clips(3, 8)
    deaf = product_of(small_flash(), colour_origin()).eval()
    seen = deaf(clips)
    assert torch.equal(made(clips), seen)
    silent = torch.zeros_like(random_sounds(3, 8))
    assert torch.equal(made(clips, silent), seen)
    # Below −70 dB of full scale.
    quiet = torch.ones_like(silent)
    quiet[:, ::2] = -1
    assert torch.equal(made(clips, quiet), seen)
    # One that is heard changes nothing for its neighbours.
    silent[1] = random_sounds(1, 8)
    found = made(clips, silent)
    assert torch.equal(found[[0, 2]], seen[[0, 2]])
    assert not torch.equal(found[1], seen[1])
    expected = frame_logits(deaf, clips)
    assert torch.equal(frame_logits(made, clips), expected)
    assert torch.equal(frame_logits(made, clips, torch.zeros_like(silent)), expected)


@torch.no_grad()
def test_a_stream_with_sound_gets_the_answer_of_the_whole_clip() -> None:
    made, clips, sounds = hearing_network(), random_clips(2, 8), random_sounds(2, 8)
    whole, state = made(clips, sounds), made.start(2)
    for frames, heard in zip(clips.unbind(1), sounds.split(SAMPLES_A_FRAME, 1), strict=True):
        logits, state = made.step(frames, state, heard)
    torch.testing.assert_close(logits, whole, **EXACT)
    assert not torch.allclose(logits, made(clips), **EXACT)


def test_it_streams_where_both_parts_do() -> None:
    assert isinstance(product_of(small_flash(), colour_origin()), Streaming)
    video = OriginNet(Pace(), window=8, every_frames=3)
    for made in (product_of(small_framewise(), colour_origin()), product_of(small_flash(), video)):
        assert not isinstance(made, Streaming)
        assert made.eval()(random_clips(2, 8)).shape == (2, len(CLASSES))


def test_features_are_those_of_both_parts() -> None:
    made, clips = network(), random_clips(2, 8)
    found = made.embed(clips)
    assert found.shape == (2, made.num_features)
    expected = torch.cat([made.discharge.embed(clips), made.origin.embed(clips)], dim=1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(made.classify(found), made(clips))


@pytest.mark.parametrize("pixels", [small_flash, small_framewise])
def test_it_is_rebuilt_from_its_architecture(tmp_path: Path, pixels) -> None:
    made = product_of(pixels(), checkpoint_origin(tmp_path / "dino"), most_seen=0.1).eval()
    made.discharge_scale.fill_(0.7)
    again = rebuild(made.architecture(), FRAMEWISE).eval()
    assert type(again) is type(made)
    again.load_state_dict(made.state_dict())
    clips = random_clips(2, 8)
    assert torch.equal(again(clips), made(clips))
    assert again.architecture() == made.architecture()


@torch.no_grad()
def test_one_that_hears_is_rebuilt_from_its_architecture(tmp_path: Path) -> None:
    origin = checkpoint_origin(tmp_path / "dino")
    made = product_of(small_flash(), origin, hearing()).eval()
    again = rebuild(made.architecture()).eval()
    again.load_state_dict(made.state_dict())
    clips, sounds = random_clips(2, 8), random_sounds(2, 8)
    assert torch.equal(again(clips, sounds), made(clips, sounds))
    assert made.frozen().keys() == {"origin.encoder", "hearing.encoder"}


def test_every_tensor_has_one_name_and_the_state_of_streams_too() -> None:
    made = network()
    values = made.state_dict()
    pointers = [value.data_ptr() for value in values.values() if value.numel()]
    assert len(pointers) == len(set(pointers))
    assert {name.split(".")[0] for name in values} == {"discharge", "origin", "discharge_scale"}
    both = [made.discharge.start(1), made.origin.start(1)]
    assert not both[0].keys() & both[1].keys()
    assert made.start(1).keys() == both[0].keys() | both[1].keys()


def test_nothing_of_the_eyes_is_trained_with_the_rest() -> None:
    made = network()
    grouped = {id(p) for group in made.parameter_groups() for p in group.parameters}
    assert grouped == {id(p) for p in made.discharge.parameters()}
