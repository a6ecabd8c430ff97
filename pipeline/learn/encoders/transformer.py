"""A block of a vision transformer (Dosovitskiy et al., 2021), and what its pictures need."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Attention, then a perceptron, each added to what came in.

    Args:
        width: of a token.
        num_heads: of the attention.
        epsilon: of the normalisations.
        activation: of the perceptron.
        is_scaled: whether what is added is multiplied by a learned scale (LayerScale).
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        epsilon: float,
        activation: Callable[[Tensor], Tensor],
        is_scaled: bool,
    ) -> None:
        super().__init__()
        self.num_heads, self.activation = num_heads, activation
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.scale1 = nn.Parameter(torch.ones(width)) if is_scaled else None
        self.scale2 = nn.Parameter(torch.ones(width)) if is_scaled else None

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, width) to the same."""
        heads = self.qkv(self.norm1(tokens)).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + _scaled(self.out(found.transpose(1, 2).flatten(-2)), self.scale1)
        found = self.down(self.activation(self.up(self.norm2(tokens))))
        return tokens + _scaled(found, self.scale2)


def _scaled(added: Tensor, scale: Tensor | None) -> Tensor:
    return added if scale is None else added * scale


def brought_to(frames: Tensor, size: int) -> Tensor:
    """Frames (N, 3, H, W) resampled to (N, 3, size, size), squeezed if they are not square."""
    return functional.interpolate(frames, (size, size), mode="bilinear", antialias=True)


def places_at(places: Tensor, side: int) -> Tensor:
    """What a network adds to its patches, learned for (1, F, G, G), for (1, side * side, F)."""
    scaled = functional.interpolate(places, size=(side, side), mode="bicubic")
    return scaled.flatten(2).transpose(1, 2)
