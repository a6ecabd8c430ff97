"""Holds layers that networks of pixels share."""

from __future__ import annotations

from torch import nn

from pipeline.store.manifest import CLASSES


def fresh_head(num_features: int) -> nn.Linear:
    """A layer to the logits that begins without an opinion.

    Confident first answers would cost the first epochs to unlearn.
    """
    head = nn.Linear(num_features, len(CLASSES))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
