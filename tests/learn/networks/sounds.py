"""Sounds that a network which hears is asked about."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.learn.encoders.base import SoundEncoder
from pipeline.learn.encoders.yamnet import Yamnet
from pipeline.learn.networks.hearing import HeardNet
from pipeline.store.sound import num_samples
from tests.learn.toy import FORMAT

SAMPLES_A_FRAME = num_samples(1, FORMAT.fps)


def hearing(
    num_frames: int = FORMAT.num_frames, every_frames: int = 4, encoder: SoundEncoder | None = None
) -> HeardNet:
    """What hears clips of the toy format, by YAMNet or another, with numbers as a fit gives."""
    found = HeardNet(
        encoder or Yamnet.published(),
        num_samples=num_frames * SAMPLES_A_FRAME,
        num_frames=num_frames,
        every_frames=every_frames,
    )
    found.scale.fill_(0.4)
    found.offset.fill_(2.3)
    return found.eval()


def random_sounds(num_clips: int, num_frames: int, seed: int = 0) -> Tensor:
    """int16 (B, S): noise in bursts, no two clips alike."""
    rng = np.random.default_rng(seed)
    wave = rng.normal(0, 3000, (num_clips, num_frames * SAMPLES_A_FRAME))
    level = np.repeat(rng.choice([0.02, 0.2, 1.0], (num_clips, num_frames)), SAMPLES_A_FRAME, 1)
    return torch.from_numpy(np.clip(wave * level, -32768, 32767).astype(np.int16))
