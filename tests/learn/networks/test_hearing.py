from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.learn.encoders.waves import features_of_sounds
from pipeline.learn.networks.hearing import MOST_AGAINST, MOST_FOR, HeardNet, is_usable
from pipeline.store.manifest import PRESENT
from pipeline.store.sound import told_by_level
from tests.learn.networks.sounds import SAMPLES_A_FRAME, hearing, random_sounds

EXACT = {"rtol": 0, "atol": 1e-5}


@torch.no_grad()
def test_the_score_of_firearms_becomes_a_bounded_ratio() -> None:
    made, sounds = hearing(), random_sounds(6, 8)
    scores = features_of_sounds(made.encoder, made.resample, sounds)[:, 421:426].amax(1)
    torch.testing.assert_close(made(sounds), (0.4 * scores + 2.3).clamp(-1, 4), **EXACT)
    made.scale.fill_(100.0)
    assert set(made(sounds).tolist()) <= {MOST_AGAINST, MOST_FOR}


@torch.no_grad()
@pytest.mark.parametrize("level", [0, 1, 5, 20, 3000])
def test_what_is_next_to_nothing_says_exactly_nothing(level: int) -> None:
    made = hearing()
    noise = np.random.default_rng(0).normal(0, level, 8 * SAMPLES_A_FRAME).astype(np.int16)
    sounds = torch.from_numpy(noise)[None]
    is_heard = told_by_level(noise) == PRESENT
    assert is_usable(sounds).tolist() == [is_heard]
    assert bool(made(sounds) != 0) == is_heard


@torch.no_grad()
@pytest.mark.parametrize("every_frames", [1, 2, 4, 8])
def test_a_stream_hears_at_its_steps_what_clips_that_end_there_hold(every_frames: int) -> None:
    made, sounds = hearing(every_frames=every_frames), random_sounds(2, 21)
    found, state = [], made.start(2)
    for number, piece in enumerate(sounds.split(SAMPLES_A_FRAME, dim=1)):
        heard, state = made.advance(piece, state)
        found.append(heard[:, 0])
        assert state["sound"].shape == (2, 8 * SAMPLES_A_FRAME)
        if number >= 7 and (number + 1) % every_frames == 0:
            clip = sounds[:, (number - 7) * SAMPLES_A_FRAME : (number + 1) * SAMPLES_A_FRAME]
            torch.testing.assert_close(heard[:, 0], made(clip), **EXACT)
        elif (number + 1) % every_frames:
            before = found[-2] if number else torch.zeros(2)
            assert torch.equal(found[-1], before)
    whole, _ = made.advance(sounds, made.start(2))
    torch.testing.assert_close(whole, torch.stack(found, 1), **EXACT)
    assert whole.std() > 0.01


def test_it_is_rebuilt_from_its_architecture_with_the_same_bounds_alone() -> None:
    made = hearing()
    again = HeardNet.rebuild(made.architecture())
    again.load_state_dict(made.state_dict())
    sounds = random_sounds(2, 8)
    assert torch.equal(again(sounds), made(sounds))
    with pytest.raises(ValueError, match="bounded by"):
        HeardNet.rebuild(made.architecture() | {"bounds": [-9, 9]})
    with pytest.raises(UserError, match="encoder 'x' is unknown"):
        HeardNet.rebuild(made.architecture() | {"encoder": {"name": "x"}})
    with pytest.raises(AssertionError, match="12801"):
        HeardNet.rebuild(made.architecture() | {"num_samples": 12_801})


def test_nothing_of_it_is_trained() -> None:
    assert not [name for name, p in hearing().named_parameters() if p.requires_grad]
