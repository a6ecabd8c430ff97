"""An answer on the origin from what a frozen encoder sees, a few looks a clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pipeline.learn import encoders
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.encoders.looks import first_look, look, num_looks


class Eyes(nn.Module):
    """Log odds of real against fictional, from what the looks of an encoder have in common.

    Of the last looks, as many as a clip has: the mean of each feature, and its standard deviation
    over them, which says how the picture moves. One linear layer answers from both, another from
    the mean alone; the more moves, the more the first one counts, so that nothing seems real
    because it stands still. Nothing is trained by gradients; `fit_origin` finds both layers.

    Args:
        encoder: of pictures, or of video, which answers for whole clips only.
        window: frames back that an answer rests on, `num_frames` of a clip.
        every_frames: frames from one look to the next; it divides `window`.

    Raises:
        UserError: it does not.
    """

    motion_scale: Tensor
    """(F,): what the deviation of each feature is multiplied by before the root of their squares
    says how much moves; 1 is as much as in the median clip that was learned from."""

    def __init__(self, encoder: Encoder, *, window: int, every_frames: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.window, self.every_frames = window, every_frames
        self.num_looks = num_looks(encoder, window, every_frames)
        self.num_features = 2 * encoder.num_features
        self.moving = nn.Linear(self.num_features, 1)
        self.still = nn.Linear(encoder.num_features, 1)
        for layer in (self.moving, self.still):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("motion_scale", torch.zeros(encoder.num_features))
        self.requires_grad_(False)

    def architecture(self) -> dict[str, Any]:
        """JSON values that `Eyes.rebuild` makes the same of, weights apart."""
        return {
            "encoder": self.encoder.architecture(),
            "window": self.window,
            "every_frames": self.every_frames,
            "first_frame": first_look(self.every_frames),
        }

    @classmethod
    def rebuild(cls, architecture: Mapping[str, Any]) -> Eyes:
        """The eyes of an `architecture()`, with fresh weights.

        Raises:
            UserError: no such encoder exists.
            KeyError, TypeError, ValueError: values that fit no encoder, or looks at other frames
                than those that are taken here.
        """
        eyes = cls(
            encoders.rebuild(architecture["encoder"]),
            window=architecture["window"],
            every_frames=architecture["every_frames"],
        )
        if architecture["first_frame"] != first_look(eyes.every_frames):
            raise ValueError(f"it looked at frame {architecture['first_frame']} of a clip first")
        return eyes

    @property
    def can_stream(self) -> bool:
        """Whether frames can be seen one by one."""
        return self.encoder.modality == "picture"

    def see(self, clips: Tensor) -> Tensor:
        """What is seen of whole clips: (B, T, H, W, 3) in [0, 255] to (B, num_features)."""
        return pooled(look(self.encoder, clips, self.every_frames))

    def start(self, num_streams: int) -> dict[str, Tensor]:
        """What streams remember before their first frames; zeros all of it."""
        device = self.motion_scale.device
        count = torch.zeros(num_streams, dtype=torch.int64, device=device)
        seen = torch.zeros(num_streams, self.num_looks, self.encoder.num_features, device=device)
        return {"since": count, "looks": count.clone(), "seen": seen}

    def advance(
        self, clips: Tensor, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What is seen at every frame, and the next state.

        A stream is looked at where a clip is that begins with it, and at its first frame, so that
        there is an answer from there on; between looks nothing is computed.

        Args:
            clips: (B, T, H, W, 3) in [0, 255].
            state: as `start` or the call before gave it; it may hold more.

        Returns:
            (B, T, num_features): of the last looks, as many as a clip has, or of all there were.
        """
        places = torch.arange(self.num_looks, 0, -1, device=clips.device)
        since, looks, seen = state["since"], state["looks"], state["seen"]
        found = []
        for frames in clips.unbind(1):
            is_due = (since == first_look(self.every_frames)) | (looks == 0)
            new = self._look(frames, is_due)
            seen = torch.where(
                is_due[:, None, None], torch.cat([seen[:, 1:], new[:, None]], dim=1), seen
            )
            looks = (looks + is_due.long()).clamp(max=self.num_looks)
            since = (since + 1) % self.every_frames
            found.append(pooled(seen, places <= looks[:, None]))
        return torch.stack(found, dim=1), {"since": since, "looks": looks, "seen": seen}

    def _look(self, frames: Tensor, is_due: Tensor) -> Tensor:
        """Features (B, F) of the frames that are due, zeros for others."""
        if torch.compiler.is_compiling():
            # An exported graph looks at all streams or at none.
            found: Tensor = torch.cond(is_due.any(), self._see_all, self._see_none, (frames,))
            return found
        seen = self._see_none(frames)
        if is_due.any():
            seen[is_due] = self.encoder(frames[is_due])
        return seen

    def _see_all(self, frames: Tensor) -> Tensor:
        seen: Tensor = self.encoder(frames)
        return seen

    def _see_none(self, frames: Tensor) -> Tensor:
        size = (frames.shape[0], self.encoder.num_features)
        return torch.zeros(size, dtype=self.motion_scale.dtype, device=frames.device)

    def log_odds(self, seen: Tensor) -> Tensor:
        """Log odds of real against fictional: (..., num_features) to (...)."""
        mean, spread = seen.chunk(2, dim=-1)
        motion = (spread * self.motion_scale).square().sum(-1).sqrt().clamp(max=1)
        still = self.still(mean)[..., 0]
        odds: Tensor = still + motion * (self.moving(seen)[..., 0] - still)
        return odds


@runtime_checkable
class Seeing(Protocol):
    """A network whose answer on the origin is that of its eyes alone, which can be refitted."""

    eyes: Eyes


def pooled(looks: Tensor, is_there: Tensor | None = None) -> Tensor:
    """The mean of the features of looks and their standard deviation: (B, K, F) to (B, 2F).

    Args:
        is_there: bool (B, K), the last of them true; looks that are not there count for nothing.
            All are if not given.
    """
    if is_there is None:
        is_there = torch.ones(looks.shape[:2], dtype=torch.bool, device=looks.device)
    share = (is_there.to(looks.dtype) / is_there.sum(1, keepdim=True))[..., None]
    # From the last look on, so that looks that are all alike have no spread at all.
    beyond = looks - looks[:, -1:]
    mean = (beyond * share).sum(1)
    variance = ((beyond - mean[:, None]).square() * share).sum(1)
    return torch.cat([looks[:, -1] + mean, variance.sqrt()], dim=1)
