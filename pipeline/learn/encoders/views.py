"""The views of a clip: the frames of it that an encoder sees."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.learn.encoders.base import Encoder


def features_of_views(encoder: Encoder, clips: Tensor, every_frames: int) -> Tensor:
    """The features of the views of clips, which are the frames that an encoder sees of each.

    An encoder of pictures sees the frame in the middle of each step of `every_frames`, which tells
    the origin better than its first (docs/experiments.md); one of video sees as many frames as it
    takes, evenly over the clip, at once. Where both are joined, what the latter sees stands beside
    every view.

    Args:
        encoder: of pictures or of video.
        clips: (B, T, H, W, 3) RGB in [0, 255].
        every_frames: frames from one view to the next.

    Returns:
        (B, K, F) of K views of each clip.
    """
    parts = [_features(part, clips, every_frames) for part in encoder.each()]
    most = max(part.shape[1] for part in parts)
    return torch.cat([part.expand(-1, most, -1) for part in parts], dim=2)


def _features(encoder: Encoder, clips: Tensor, every_frames: int) -> Tensor:
    if encoder.modality == "video":
        taken = _spread(clips.shape[1], encoder.num_frames)
        return encoder(clips[:, taken])[:, None]
    seen = clips[:, first_view(every_frames) :: every_frames]
    return _of_each(encoder, seen.flatten(0, 1)).unflatten(0, (-1, seen.shape[1]))


def _of_each(encoder: Encoder, frames: Tensor) -> Tensor:
    """Features (N, F) of frames (N, H, W, 3), of which a processor is shown those alike once.

    Clips that differ in their sound alone have the same frames, and clips that stand still repeat
    theirs.
    """
    if frames.device.type != "cpu" or torch.compiler.is_compiling():
        every: Tensor = encoder(frames)
        return every
    numbers: dict[bytes, int] = {}
    places: list[int] = []
    firsts: list[int] = []
    for row, frame in enumerate(frames):
        number = numbers.setdefault(frame.numpy(force=True).tobytes(), len(firsts))
        if number == len(firsts):
            firsts.append(row)
        places.append(number)
    found: Tensor = encoder(frames[firsts])
    return found[places]


def num_views(encoder: Encoder, num_frames: int, every_frames: int) -> int:
    """The number of views of a clip of `num_frames` frames.

    Raises:
        UserError: the step between views does not divide the clip, so that the last views of a
            stream, as many as a clip has, would reach further back than a clip does.
    """
    if all(part.modality == "video" for part in encoder.each()):
        return 1
    if every_frames < 1 or num_frames % every_frames:
        fit = [str(step) for step in range(1, num_frames + 1) if not num_frames % step]
        raise UserError(
            f"conf/embed.yaml: pictures.every_frames={every_frames} does not divide the "
            f"{num_frames} frames of a clip; take one of {', '.join(fit)}"
        )
    return num_frames // every_frames


def first_view(every_frames: int) -> int:
    """The number, from 0, of the first frame that is looked at."""
    return every_frames // 2


def _spread(num_frames: int, num_taken: int) -> Tensor:
    """Numbers of `num_taken` of `num_frames` frames, evenly spread, repeated if there are fewer."""
    return torch.linspace(0, num_frames - 1, num_taken).round().long()
