"""Which frames of a clip an encoder sees."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.learn.encoders.base import Encoder


def look(encoder: Encoder, clips: Tensor, every_frames: int) -> Tensor:
    """The features of every look at clips.

    An encoder of pictures sees the first frame and every `every_frames`-th after it; one of video
    sees as many frames as it takes, evenly over the clip, at once.

    Args:
        encoder: of pictures or of video.
        clips: (B, T, H, W, 3) RGB in [0, 255].
        every_frames: frames from one look to the next.

    Returns:
        (B, K, F) of K looks at each clip.
    """
    if encoder.modality == "video":
        taken = _spread(clips.shape[1], encoder.num_frames)
        return encoder(clips[:, taken])[:, None]
    seen = clips[:, ::every_frames]
    found: Tensor = encoder(seen.flatten(0, 1))
    return found.unflatten(0, (-1, seen.shape[1]))


def num_looks(encoder: Encoder, num_frames: int, every_frames: int) -> int:
    """How many looks `look` takes at a clip of `num_frames` frames."""
    return 1 if encoder.modality == "video" else -(-num_frames // every_frames)


def _spread(num_frames: int, num_taken: int) -> Tensor:
    """Numbers of `num_taken` of `num_frames` frames, evenly spread, repeated if there are fewer."""
    return torch.linspace(0, num_frames - 1, num_taken).round().long()
