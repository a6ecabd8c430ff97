"""What a stream has shown so far: its evidence on the origin, summed up in constant memory.

A stream hardly ever changes between a camera and a game, yet what a second of it says of the origin
goes up and down with what is in sight. So the log odds of the origin are averaged over the stream,
the latest most; the discharge is that of the last second, since it lasts no longer. How the mean
was chosen, and what else was tried: docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.learn.networks.base import State
from pipeline.learn.networks.product import origin_log_odds, with_origin


@dataclass(frozen=True)
class Memory:
    """A mean of the log odds of the origin whose weights fall exponentially with age.

    The mean is that of the time which a stream lasts, so that answers a second and answers a frame
    give the same, and so does any rate. At its first answer a stream has nothing to remember, and
    that answer stays as it is, bit for bit; evidence that never changes stays what it is too.
    """

    span_s: float
    """Seconds after which evidence counts for 1/e; above 0."""

    def start(self, num_streams: int, dtype: torch.dtype = torch.float64) -> State:
        """What is remembered before the first answer, zeros."""
        return {name: torch.zeros(num_streams, dtype=dtype) for name in ("lasted", "origin")}

    def advance(
        self, logits: Tensor, seconds: Tensor | float, state: State, unseen_s: Tensor | float = 0.0
    ) -> tuple[Tensor, State]:
        """Take the next answer of every stream.

        Args:
            logits: (B, 4) of the classes, calibrated.
            seconds: how long the answer stands for, of every stream (B,) or of all: since the
                answer before, or the length of what was judged where that is shorter; above 0.
            state: what `start` or the call before gave; it is left as it was.
            unseen_s: (B,) or of all: what went by before these seconds without an answer.

        Returns:
            Logits (B, 4) with the log odds of the origin that all answers together give, and the
            next state.
        """
        now = origin_log_odds(logits)
        seconds, unseen_s = (
            torch.as_tensor(one, dtype=logits.dtype, device=logits.device)
            for one in (seconds, unseen_s)
        )
        weight = -torch.expm1(-seconds / self.span_s)
        lasted = state["lasted"] * torch.exp(-(seconds + unseen_s) / self.span_s) + weight
        origin = state["origin"] + (now - state["origin"]) * (weight / lasted)
        return with_origin(logits, origin - now), {"lasted": lasted, "origin": origin}

    def architecture(self) -> dict[str, Any]:
        """JSON values that `Memory.parse` makes the same of."""
        return asdict(self)

    @classmethod
    def parse(cls, values: Mapping[str, Any] | None) -> Memory | None:
        """The memory of an `architecture()`; None for none.

        Raises:
            TypeError, ValueError: values that no memory has.
        """
        if values is None:
            return None
        if not isinstance(values, Mapping):
            raise TypeError(f"memory is {values!r}")
        found = cls(**{name: float(value) for name, value in values.items()})
        if not 0 < found.span_s < float("inf"):
            raise ValueError(f"memory.span_s is {found.span_s}, and must be above 0")
        return found


def memory_of(span_s: float) -> Memory | None:
    """The memory that `conf/train.yaml: memory_s` asks for; None for 0."""
    return Memory(span_s) if span_s else None
