"""Canonical sound as an encoder of sound takes it: at its own rate, in [-1, 1]."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Encoder
from pipeline.store.sound import SOUND_HZ

FULL_SCALE = 2.0**15


def features_of_sounds(encoder: Encoder, sounds: Tensor) -> Tensor:
    """Features of whole stretches of canonical sound.

    Args:
        encoder: of sound.
        sounds: int16 (B, S) at `SOUND_HZ`.

    Returns:
        (B, F).
    """
    waves = resampled(sounds.to(torch.float32) / FULL_SCALE, Fraction(encoder.rate_hz))
    found: Tensor = encoder(waves)
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


def resampled(waves: Tensor, rate_hz: Fraction) -> Tensor:
    """Sound at `SOUND_HZ` at another rate, with the filter of `scipy.signal.resample_poly`.

    Args:
        waves: floating point (B, S).
        rate_hz: the new rate.

    Returns:
        (B, ceil(S * rate_hz / SOUND_HZ)), with silence taken to lie on either side.
    """
    ratio = rate_hz / SOUND_HZ
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return waves
    kernels, before, after = _kernels(up, down)
    weights = torch.from_numpy(kernels).to(waves)[:, None]
    length = -(-waves.shape[1] * up // down)
    # One more group than there are whole ones, so that the last samples are there as well.
    padded = functional.pad(waves[:, None], (before, after + down))
    phases = functional.conv1d(padded, weights, stride=down)
    return phases.transpose(1, 2).flatten(1)[:, :length]


@lru_cache(maxsize=4)
def _kernels(up: int, down: int) -> tuple[NDArray[np.float32], int, int]:
    """What each of `up` samples that follow `down` is summed by, and how far that reaches.

    Returns:
        Weights (up, W), and how many of the W samples lie before the first of the `down` ones and
        how many after it.
    """
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
