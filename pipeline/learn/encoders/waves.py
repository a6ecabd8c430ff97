"""Canonical sound as an encoder of sound takes it: at its own rate, in [-1, 1]."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Encoder
from pipeline.store.pcm import FULL_SCALE
from pipeline.store.sound import SOUND_HZ


def features_of_sounds(encoder: Encoder, resample: Resampler, sounds: Tensor) -> Tensor:
    """Features of whole stretches of canonical sound.

    Args:
        encoder: of sound.
        resample: to its rate.
        sounds: int16 (B, S) at `SOUND_HZ`.

    Returns:
        (B, F).
    """
    found: Tensor = encoder(resample(sounds.to(torch.float32) / FULL_SCALE))
    return found


def check_every(every_frames: int, num_frames: int) -> None:
    """Raise `UserError` where a clip that begins with a stream is not heard when it is over.

    Args:
        every_frames: frames from one hearing of a stream to the next.
        num_frames: of a clip.
    """
    if every_frames < 1 or num_frames % every_frames:
        fit = [str(step) for step in range(1, num_frames + 1) if not num_frames % step]
        raise UserError(
            f"conf/embed.yaml: sound.every_frames={every_frames} does not divide the "
            f"{num_frames} frames of a clip; take one of {', '.join(fit)}"
        )


class Resampler(nn.Module):
    """Sound at `SOUND_HZ` at another rate, with the filter of `scipy.signal.resample_poly`.

    Args:
        rate_hz: the new rate.
    """

    kernels: Tensor

    def __init__(self, rate_hz: float) -> None:
        super().__init__()
        ratio = Fraction(rate_hz) / SOUND_HZ
        self.up, self.down = ratio.numerator, ratio.denominator
        kernels, self.before, self.after = _kernels(self.up, self.down)
        self.register_buffer("kernels", torch.from_numpy(kernels)[:, None], persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        """Floating point (B, S) to (B, ceil(S * rate_hz / SOUND_HZ)); silence lies around it."""
        if self.up == self.down:
            return waves
        length = -(-waves.shape[1] * self.up // self.down)
        # One more group than there are whole ones, so that the last samples are there as well.
        padded = functional.pad(waves[:, None], (self.before, self.after + self.down))
        phases = functional.conv1d(padded, self.kernels.to(waves.dtype), stride=self.down)
        return phases.transpose(1, 2).flatten(1)[:, :length]


def _kernels(up: int, down: int) -> tuple[NDArray[np.float32], int, int]:
    """Return what each of `up` samples that follow `down` is summed by, and how far that reaches.

    Returns:
        Weights (up, W), and how many of the W samples lie before the first of the `down` ones and
        how many after it.
    """
    if up == down:
        return np.ones((1, 1), np.float32), 0, 0
    half = 10 * max(up, down)
    taps = up * signal.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0))
    before, after = -(-half // up), -(-(half + (up - 1) * down) // up)
    found = np.zeros((up, before + 1 + after))
    for phase in range(up):
        for at in range(-before, after + 1):
            place = phase * down - at * up + half
            if 0 <= place < len(taps):
                found[phase, at + before] = taps[place]
    return found.astype(np.float32), before, after
