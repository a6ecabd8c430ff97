"""An answer on the origin: a frozen encoder with a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.learn import encoders
from pipeline.learn.encoders.base import Encoder
from pipeline.learn.encoders.views import features_of_views, first_view, num_views


class OriginNet(nn.Module):
    """Log odds of real against fictional, from the views that an encoder has of a clip.

    A linear layer answers from the mean of each feature over the last views, as many as a clip
    has: how much the picture moves has no say, so that nothing seems real because it stands still.
    Nothing is trained by gradients; `fit_origin` finds the layer.

    Args:
        encoder: of pictures, or of video, which answers for whole clips only.
        window: frames back that an answer rests on, `num_frames` of a clip.
        every_frames: frames from one view to the next; it divides `window`.

    Raises:
        UserError: it does not.
    """

    def __init__(self, encoder: Encoder, *, window: int, every_frames: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.window, self.every_frames = window, every_frames
        self.num_views = num_views(encoder, window, every_frames)
        self.num_features = encoder.num_features
        self.layer = nn.Linear(self.num_features, 1)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        self.is_mixed = False
        """Whether the encoder multiplies matrices in bfloat16; its features are float32."""
        self.requires_grad_(False)

    def architecture(self) -> dict[str, Any]:
        """JSON values that `OriginNet.rebuild` makes the same of, weights apart."""
        return {
            "encoder": self.encoder.architecture(),
            "window": self.window,
            "every_frames": self.every_frames,
            "first_frame": first_view(self.every_frames),
        }

    @classmethod
    def rebuild(cls, architecture: Mapping[str, Any]) -> OriginNet:
        """The network of an `architecture()`, with fresh weights.

        Raises:
            UserError: no such encoder exists.
            KeyError, TypeError, ValueError: values that fit no encoder, or views of other frames
                than those that are taken here.
        """
        made = cls(
            encoders.rebuild(architecture["encoder"]),
            window=architecture["window"],
            every_frames=architecture["every_frames"],
        )
        if architecture["first_frame"] != first_view(made.every_frames):
            raise ValueError(f"its first view is frame {architecture['first_frame']} of a clip")
        return made

    @property
    def can_stream(self) -> bool:
        """Return whether frames can be seen one by one."""
        return self.encoder.modality == "picture"

    def mixed(self) -> OriginNet:
        """The same network, of the same weights, whose encoder computes in bfloat16."""
        made = copy(self)
        made.is_mixed = True
        return made

    def embed(self, clips: Tensor) -> Tensor:
        """Whole clips to features: (B, T, H, W, 3) in [0, 255] to (B, num_features)."""
        with self._mixed(clips):
            views = features_of_views(self.encoder, clips, self.every_frames)
        return averaged(views.to(self.layer.weight.dtype))

    def start(self, num_streams: int) -> dict[str, Tensor]:
        """Return what B streams remember before their first frames: zeros, (B, ...) each."""
        device = self.layer.weight.device
        count = torch.zeros(num_streams, dtype=torch.int64, device=device)
        seen = torch.zeros(num_streams, self.num_views, self.num_features, device=device)
        return {"since": count, "views": count.clone(), "seen": seen}

    def advance(
        self, clips: Tensor, state: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what is seen at every frame, and the next state.

        A stream is looked at where a clip is that begins with it, and at its first frame, so that
        there is an answer from there on; between views nothing is computed.

        Args:
            clips: (B, T, H, W, 3) in [0, 255].
            state: as `start` or the call before gave it; it may hold more.

        Returns:
            (B, T, num_features): of the last views, as many as a clip has, or of all there were.
        """
        ages = torch.arange(self.num_views, 0, -1, device=clips.device)
        since, views, seen = state["since"], state["views"], state["seen"]
        due, num_seen = [], []
        for _ in range(clips.shape[1]):
            due.append((since == first_view(self.every_frames)) | (views == 0))
            views = (views + due[-1].long()).clamp(max=self.num_views)
            since = (since + 1) % self.every_frames
            num_seen.append(views)
        is_due = torch.stack(due, dim=1)
        # At once, since many frames cost less together than one by one.
        new = self._view(clips.flatten(0, 1), is_due.flatten()).unflatten(0, is_due.shape)
        found = []
        for number, count in enumerate(num_seen):
            latest = torch.cat([seen[:, 1:], new[:, number, None]], dim=1)
            seen = torch.where(due[number][:, None, None], latest, seen)
            found.append(averaged(seen, ages <= count[:, None]))
        return torch.stack(found, dim=1), {"since": since, "views": views, "seen": seen}

    def _view(self, frames: Tensor, is_due: Tensor) -> Tensor:
        """Features (B, F) of the frames that are due, zeros for others."""
        if torch.compiler.is_compiling():
            # An exported graph sees all streams or none.
            found: Tensor = torch.cond(is_due.any(), self._see_all, self._see_none, (frames,))
            return found
        seen = self._see_none(frames)
        if is_due.any():
            seen[is_due] = self._see_all(frames[is_due])
        return seen

    def _see_all(self, frames: Tensor) -> Tensor:
        with self._mixed(frames):
            seen: Tensor = self.encoder(frames)
        return seen.to(self.layer.weight.dtype)

    def _see_none(self, frames: Tensor) -> Tensor:
        size = (frames.shape[0], self.num_features)
        return torch.zeros(size, dtype=self.layer.weight.dtype, device=frames.device)

    def _mixed(self, taken: Tensor) -> AbstractContextManager[object]:
        if not self.is_mixed:
            return nullcontext()
        return torch.autocast(taken.device.type, torch.bfloat16)

    def log_odds(self, seen: Tensor) -> Tensor:
        """Log odds of real against fictional: (..., num_features) to (...)."""
        odds: Tensor = self.layer(seen)[..., 0]
        return odds


def averaged(views: Tensor, is_there: Tensor | None = None) -> Tensor:
    """The mean of the features of views: (B, K, F) to (B, F).

    Args:
        is_there: bool (B, K), the last of them true; views that are not there count for nothing.
            All are if not given.
    """
    if is_there is None:
        is_there = torch.ones(views.shape[:2], dtype=torch.bool, device=views.device)
    share = (is_there.to(views.dtype) / is_there.sum(1, keepdim=True))[..., None]
    # From the last view on, so that the mean of views that are all alike is that view.
    last = views[:, -1]
    return last + ((views - last[:, None]) * share).sum(1)
