"""YAMNet, which names 521 kinds of sound, as plain torch with its published weights."""

from __future__ import annotations

from pipeline.learn.encoders.yamnet.network import (
    FIREARMS,
    LABELS,
    LICENCE,
    NAME,
    ORIGIN,
    SHA256,
    WEIGHTS,
    Yamnet,
)

__all__ = ["FIREARMS", "LABELS", "LICENCE", "NAME", "ORIGIN", "SHA256", "WEIGHTS", "Yamnet"]
