"""A small causal video network: its answer at a frame depends on no later frame.

Space and time are convolved in turn, as in R(2+1)D (Tran et al., 2018), and time only
backwards, as in WaveNet (van den Oord et al., 2016). The one path through it takes any number of
frames and the state that earlier ones left, so that a stream gets the answers of a whole clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import ClipFormat, ModelConfig
from pipeline.errors import UserError
from pipeline.learn.networks.base import Kind, Network, Rebuilding, State, Streaming
from pipeline.learn.networks.layers import Halve, fresh_head, whole_frame
from pipeline.learn.networks.stem import Changes, Colours, luma_of


class CausalNet(Network, Streaming):
    """Class logits of a clip, which are those at its last frame, or at every frame of a stream.

    Args:
        widths: channels of the stem, then of each layer.
        dilations: frames between the three taps in time of each layer.
        window: frames back that the answer is pooled over, `num_frames` of a clip.
        size: pixels of a frame's side.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int],
        dilations: Sequence[int],
        dropout: float,
        window: int,
        size: int,
    ) -> None:
        super().__init__()
        assert len(widths) == len(dilations) + 1 > 1, (widths, dilations)
        self.widths, self.dilations = tuple(widths), tuple(dilations)
        self.window, self.size = window, size
        self.colours = Colours(widths[0])
        self.changes = Changes(widths[1])
        self.halves = nn.ModuleList(Halve(width_in, width) for width_in, width in pairwise(widths))
        self.pasts = nn.ModuleList(
            TimeTaps(width, dilation) for width, dilation in zip(widths[1:], dilations, strict=True)
        )
        self.norm = nn.LayerNorm(4 * widths[-1])
        self.dropout = nn.Dropout(dropout)
        self.head = fresh_head(4 * widths[-1])
        self.num_features = 4 * widths[-1]

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, weights apart."""
        return {
            "name": "causal",
            "widths": list(self.widths),
            "dilations": list(self.dilations),
            "dropout": self.dropout.p,
            "window": self.window,
            "size": self.size,
        }

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D): what was pooled over the last `window` frames."""
        state = self.start(clips.shape[0])
        frames, _ = self._frames(clips, state)
        frames = frames[:, -self.window :]
        features: Tensor = self.norm(torch.cat([frames.mean(1), frames.amax(1)], dim=-1))
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4)."""
        logits: Tensor = self.head(self.dropout(features))
        return logits

    def start(self, num_streams: int) -> State:
        """The state before the first frame: zeros, float32 but for `age`."""
        device = self.head.weight.device
        num_cells = [(-(-self.size // 2 ** (3 + number))) ** 2 for number in range(len(self.pasts))]
        state = {
            "age": torch.zeros(num_streams, dtype=torch.int64, device=device),
            "luma": torch.zeros(num_streams, self.size, self.size, device=device),
        }
        for number, (width, dilation) in enumerate(
            zip(self.widths[1:], self.dilations, strict=True)
        ):
            state[f"past_{number}"] = torch.zeros(
                num_streams, 2 * dilation, num_cells[number], width, device=device
            )
        num_pooled = 2 * self.widths[-1]
        pool = torch.zeros(num_streams, self.window - 1, num_pooled, device=device)
        return {**state, "pool": pool}

    def advance(
        self, clips: Tensor, state: State, sounds: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The next frames of every stream: (B, T, H, W, 3) to logits (B, T, 4), and the state."""
        num_frames = clips.shape[1]
        ages = self._ages(clips, state)
        frames, state = self._frames(clips, state)
        known = torch.cat([state["pool"].to(frames.dtype), frames], dim=1)
        # Nothing is below the zeros that stand for frames before the first.
        windows = known.unfold(1, self.window, 1)
        counts = ages.clamp(max=self.window)[..., None]
        pooled = torch.cat([windows.sum(-1) / counts, windows.amax(-1)], dim=-1)
        logits = self.classify(self.norm(pooled))
        # Clamped, because it would overflow some day.
        age = ages[:, -1].clamp(max=self.window)
        pool = known[:, num_frames:]
        return logits, {**state, "age": age, "pool": pool}

    @staticmethod
    def _ages(clips: Tensor, state: State) -> Tensor:
        """How many frames of its video each is the last of, int64 (B, T)."""
        steps = torch.arange(1, clips.shape[1] + 1, device=clips.device)
        return state["age"][:, None] + steps

    def _frames(self, clips: Tensor, state: State) -> tuple[Tensor, State]:
        """Features of each frame, (B, T, 2C) and not negative, and the state but for the pool."""
        num_frames = clips.shape[1]
        luma = luma_of(clips)
        is_first = state["age"][:, None, None] == 0
        before = torch.where(is_first, luma[:, 0], state["luma"])
        state = {**state, "luma": luma[:, -1]}
        frames = self.colours(clips)
        for number, (halve, past) in enumerate(zip(self.halves, self.pasts, strict=True)):
            frames = halve(frames)
            if number == 0:
                frames = frames + self.changes(torch.cat([before[:, None], luma], dim=1))
            frames, state[f"past_{number}"] = past(frames, num_frames, state[f"past_{number}"])
        return whole_frame(frames).unflatten(0, (-1, num_frames)), state


class TimeTaps(nn.Module):
    """Add to every cell what three taps in time find there, the latest of them now."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, (3, 1), dilation=(dilation, 1), bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, frames: Tensor, num_frames: int, past: Tensor) -> tuple[Tensor, Tensor]:
        """(B*T, C, H, W) and the past (B, 2 * dilation, H*W, C) to the same and the new past."""
        _, num_channels, height, width = frames.shape
        # Images of T rows and H*W columns make time an axis of a plain 2D convolution.
        rows = frames.movedim(1, -1).reshape(-1, num_frames, height * width, num_channels)
        known = torch.cat([past.to(rows.dtype), rows], dim=1)
        found = self.norm(self.conv(known.movedim(-1, 1))).movedim(1, -1)
        rows = functional.relu(rows + found).reshape(-1, height, width, num_channels)
        return rows.movedim(-1, 1), known[:, num_frames:]


def _build(model: ModelConfig, clip: ClipFormat) -> CausalNet:
    settings = model.causal
    if len(settings.widths) != len(settings.dilations) + 1 or not settings.dilations:
        raise UserError(
            f"conf/train.yaml: model.causal has {len(settings.widths)} widths and "
            f"{len(settings.dilations)} dilations; "
            "give one width for the stem, then one width and one dilation for each layer"
        )
    return CausalNet(
        widths=settings.widths,
        dilations=settings.dilations,
        dropout=model.dropout,
        window=clip.num_frames,
        size=clip.size,
    )


def _rebuild(values: Mapping[str, Any], rebuilding: Rebuilding) -> CausalNet:
    return CausalNet(**values)


KIND = Kind(build=_build, rebuild=_rebuild)
