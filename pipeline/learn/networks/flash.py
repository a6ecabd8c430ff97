"""A network that looks for a flash: what is brighter for a moment than before and after it.

What changes is measured on a grid of cells, so that noise and texture count little, and a small
perceptron learns from some numbers about it. It knows nothing of what a picture is of, and tells
discharges about as well as convolutions that can learn that of rendered footage
(docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import ClipFormat, ModelConfig
from pipeline.errors import UserError
from pipeline.learn.networks.base import Network, NetworkFactory, Rebuilding, State, Streaming
from pipeline.learn.networks.layers import fresh_head

_MOST_CELLS = 32
"""Cells of a side of the grid."""
_BEFORE, _AFTER = 3, 2
"""Frames before and after a frame that it is compared with."""
_RANKS = (1.0, 0.99, 0.95, 0.75, 0.5)
"""Places of the values that count among the cells of a frame in order, from the darkest."""
_SHARES = (0.02, 0.05, 0.1, 0.2)
"""How much brighter a cell has to be, of 1, to be counted."""
_DARK = 0.05
"""Keeps a ratio finite in the dark."""
_SCALE = 50.0
"""What differences are multiplied by before their logarithm is taken: 1/50 is hardly seen."""
_COUNTED = (1, 2, 4)
"""Places of the frames that count among those of a clip, from the one with the highest value.

A flash lasts a frame or two. The fourth tells of motion, and where a part of the clip stands still
too: by the median of all frames what begins to move was taken for a flash (docs/experiments.md).
"""
_DROPPED = 0.2
"""Share of the numbers that are left out of each draw."""

_NUM_RANKED = 5 * len(_RANKS)
_NUM_COLOURS = 4
_NUM_SCENE = 7
_NUM_MEASURES = _NUM_RANKED + len(_SHARES) + _NUM_COLOURS + _NUM_SCENE


class FlashNet(Network, Streaming):
    """Class logits of a clip by what flashes in it, or at every frame of a stream.

    Args:
        width: hidden units.
        dropout: before the head.
        window: frames that an answer is of, `num_frames` of a clip; at least 3.
        size: pixels of a frame's side.
    """

    def __init__(self, *, width: int, dropout: float, window: int, size: int) -> None:
        super().__init__()
        assert width > 0 and window > _AFTER, (width, window)
        self.width, self.window, self.size = width, window, size
        self.num_cells = gcd(size, _MOST_CELLS)
        num_alone = len(_SHARES) + _NUM_COLOURS
        self.num_features = len(_COUNTED) * (_NUM_RANKED + _NUM_SCENE) + num_alone
        self.norm = nn.BatchNorm1d(self.num_features, affine=False)
        self.left_out = nn.Dropout(_DROPPED)
        self.hidden = nn.Linear(self.num_features, width)
        self.dropout = nn.Dropout(dropout)
        self.head = fresh_head(width)

    def architecture(self) -> dict[str, Any]:
        """JSON values that the same network is rebuilt from, weights apart."""
        return {
            "name": "flash",
            "width": self.width,
            "dropout": self.dropout.p,
            "window": self.window,
            "size": self.size,
            "counted": list(_COUNTED),
        }

    def embed(self, clips: Tensor) -> Tensor:
        """Clips to features, (B, D): what flashes in the last `window` frames."""
        measured, _ = self._follow(clips, self.start(clips.shape[0]))
        return _summed_up(measured[:, clips.shape[1] - 1 :])

    def classify(self, features: Tensor) -> Tensor:
        """Features (B, D) to logits (B, 4)."""
        # A batch of one has no spread of its own.
        is_drawn = self.training and features.shape[0] > 1
        normal = functional.batch_norm(
            features.float(), self.norm.running_mean, self.norm.running_var, training=is_drawn
        )
        hidden = functional.relu(self.hidden(self.left_out(normal)))
        logits: Tensor = self.head(self.dropout(hidden))
        return logits

    def start(self, num_streams: int) -> State:
        """The state before the first frame, zeros."""
        cells = (num_streams, _BEFORE + _AFTER, 3, self.num_cells, self.num_cells)
        device = self.head.weight.device
        num_past = self.window - _AFTER - 1
        return {
            "cells": torch.zeros(cells, device=device),
            "measures": torch.zeros(num_streams, num_past, _NUM_MEASURES, device=device),
            "begun": torch.zeros(num_streams, device=device),
        }

    def advance(
        self, clips: Tensor, state: State, sounds: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The next frames of every stream: (B, T, H, W, 3) to logits (B, T, 4), and the state."""
        measured, after = self._follow(clips, state)
        windows = measured.unfold(1, self.window - _AFTER, 1).movedim(-1, 2)
        logits = self.classify(_summed_up(windows.flatten(0, 1)))
        return logits.unflatten(0, clips.shape[:2]), after

    def _follow(self, clips: Tensor, state: State) -> tuple[Tensor, State]:
        """Measures (B, K - 1 + T, M), K those of a clip, and the next state.

        The last K are those of the last frame, and before its first frame a stream stood still.
        """
        cells = self._cells(clips)
        num_frames, first = clips.shape[1], cells[:, :1]
        has_begun = state["begun"][:, None, None] > 0
        before = first.expand(-1, _BEFORE + _AFTER, -1, -1, -1)
        past = torch.where(has_begun[..., None, None], state["cells"], before)
        still = _measures(torch.cat([before, first], dim=1))
        known = torch.cat([past, cells], dim=1)
        measured = torch.cat(
            [torch.where(has_begun, state["measures"], still), _measures(known)], dim=1
        )
        after = {
            "cells": known[:, num_frames:],
            "measures": measured[:, num_frames:],
            "begun": torch.ones_like(state["begun"]),
        }
        return measured, after

    def _cells(self, clips: Tensor) -> Tensor:
        """Mean colours of cells: (B, T, H, W, 3) in [0, 255] to (B, T, 3, g, g) in [0, 1]."""
        frames = clips.flatten(0, 1).movedim(-1, 1).float() / 255
        cells = functional.avg_pool2d(frames, self.size // self.num_cells)
        return cells.unflatten(0, clips.shape[:2])


def _measures(cells: Tensor) -> Tensor:
    """Return what is seen of a flash in each frame, compared with the frames around it.

    Args:
        cells: (B, _BEFORE + T + _AFTER, 3, g, g) in [0, 1].

    Returns:
        (B, T, M): cells in order of several differences, shares of cells that flash, the colour of
        the one that flashes most, and how much else there is and changes.
    """
    num_frames = cells.shape[1] - _BEFORE - _AFTER
    # A sum of products, because mixed precision would round a matrix product to 8 bits.
    red, green, blue = (one.flatten(2) for one in cells.unbind(2))
    luma, warmth = 0.299 * red + 0.587 * green + 0.114 * blue, red - blue

    def off(values: Tensor, by: int) -> Tensor:
        return values[:, _BEFORE + by : _BEFORE + by + num_frames]

    def usual(values: Tensor) -> Tensor:
        """The median of the five frames around each."""
        return _median_of_five(*(off(values, by) for by in range(-_BEFORE, _AFTER + 1) if by))

    now, before, after = off(luma, 0), off(luma, -1), off(luma, 1)
    background = usual(luma)
    peak, rise = now - torch.maximum(before, after), now - background
    maps = (
        peak,
        torch.minimum(before, after) - now,
        rise,
        rise / (background + _DARK),
        off(warmth, 0) - usual(warmth),
    )
    last = luma.shape[-1] - 1
    ranks = [round(rank * last) for rank in _RANKS]
    ranked = [one.sort(-1).values[..., ranks] for one in maps]
    shares = [(peak > least).to(peak.dtype).mean(-1, keepdim=True) for least in _SHARES]
    place = peak.argmax(-1, keepdim=True)
    colours = [off(one, 0).gather(-1, place) for one in (red, green, blue)]
    colours.append(background.gather(-1, place))
    change = (now - before).abs()
    ordered = change.sort(-1).values
    half, much = (ordered[..., round(share * last)] for share in (0.5, 0.9))
    light = now.mean(-1)
    scene = [
        half,
        much,
        change.mean(-1),
        peak.amax(-1) - much,
        light,
        now.std(-1),
        light - before.mean(-1),
    ]
    return torch.cat([*ranked, *shares, *colours, torch.stack(scene, -1)], -1)


def _median_of_five(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) -> Tensor:
    """The third of five in order, element by element: a fraction of the cost of sorting them."""
    low = torch.maximum(torch.minimum(a, b), torch.minimum(c, d))
    high = torch.minimum(torch.maximum(a, b), torch.maximum(c, d))
    return torch.maximum(torch.minimum(e, low), torch.minimum(torch.maximum(e, low), high))


def _summed_up(measures: Tensor) -> Tensor:
    """Measures of the frames of a clip, (B, K, M), to its features (B, D)."""
    sizes = [_NUM_RANKED, len(_SHARES), _NUM_COLOURS, _NUM_SCENE]
    ranked, shares, colours, scene = measures.split(sizes, dim=-1)
    # The frame in which a cell flashes most.
    frame = ranked[..., :1].argmax(1, keepdim=True).expand(-1, -1, _NUM_COLOURS)
    values = [
        _over_time(ranked),
        shares.amax(1),
        colours.gather(1, frame)[:, 0],
        _over_time(scene),
    ]
    found = torch.cat(values, 1)
    return found.sign() * torch.log1p(_SCALE * found.abs())


def _over_time(values: Tensor) -> Tensor:
    """The highest, the second and so on of the frames: (B, K, N) to (B, len(_COUNTED) N)."""
    ordered = values.sort(1).values
    return torch.cat([ordered[:, -min(place, ordered.shape[1])] for place in _COUNTED], 1)


def _build(model: ModelConfig, clip: ClipFormat) -> FlashNet:
    if clip.num_frames <= _AFTER:
        raise UserError(
            f"conf/ingest.yaml: clip.num_frames={clip.num_frames}: too few for model.name=flash, "
            f"which needs {_AFTER + 1}; choose another network in conf/train.yaml"
        )
    return FlashNet(
        width=model.flash.width, dropout=model.dropout, window=clip.num_frames, size=clip.size
    )


def _rebuild(values: Mapping[str, Any], rebuilding: Rebuilding) -> FlashNet:
    # Weights for other frames than these fit, and would mean something else.
    if values["counted"] != list(_COUNTED):
        raise ValueError(f"of the frames of a clip in order it counts {values['counted']}")
    return FlashNet(**{name: value for name, value in values.items() if name != "counted"})


FACTORY = NetworkFactory(build=_build, rebuild=_rebuild)
