"""Remembers what a stream has shown: its evidence on the origin, summed up in constant memory.

A stream hardly ever changes between a camera and a game, yet what a second of it says of the origin
goes up and down with what is in sight. So the log odds of the origin are averaged over the stream,
the latest most, and are the surer the longer it lasts. The discharge is that of the last clip,
averaged over a moment, since what is said of it in a single frame may be noise. How each number was
chosen, and what else was tried: docs/experiments.md.

`begin` and `follow` are how streams are followed wherever they are, with a memory or without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.config import MemoryConfig
from pipeline.learn.networks.base import State
from pipeline.learn.networks.product import (
    discharge_log_odds,
    origin_log_odds,
    with_discharge,
    with_origin,
)

_SHOWN = "frames"
"""How many answers a stream has had, up to one more than a clip has; exports name it so."""


@dataclass(frozen=True)
class Memory:
    """Means of log odds over a stream, whose weights fall exponentially with age.

    They are means over time, so that answers a clip and answers a frame give the same, and so does
    any rate. At its first answer a stream has nothing to remember, and that answer stays as it is,
    bit for bit.
    """

    answer_s: float
    """Length of what an answer is of, which is that of a clip; above 0."""
    origin_s: float
    """Seconds after which evidence on the origin counts for 1/e; above 0."""
    lasting: float
    """Correlation of the evidence on the origin between any two clips of a recording, 0 to 1.

    The mean of n clips is worth n / (1 + (n - 1) lasting) times the log odds of one (the design
    effect of Kish, 1965): n times where they are independent, and as much as one where they all say
    the same.
    """
    discharge_s: float
    """Seconds, as `origin_s`, after which evidence on the discharge counts for 1/e."""

    def start(self, num_streams: int, dtype: torch.dtype = torch.float64) -> State:
        """Return what is remembered before the first answer, zeros."""
        names = ("origin", "origin_weight", "discharge", "discharge_weight")
        return {name: torch.zeros(num_streams, dtype=dtype) for name in names}

    def advance(
        self, logits: Tensor, seconds: Tensor | float, state: State, unseen_s: Tensor | float = 0.0
    ) -> tuple[Tensor, State]:
        """Sum up the next answer of every stream with those before it, whatever it is of.

        Args:
            logits: (B, 4) of the classes, calibrated.
            seconds: how long the answer stands for, of every stream (B,) or of all: since the
                answer before, or the length of what was judged where that is shorter; above 0 for
                the first.
            state: what `start` or the call before gave; it is left as it was.
            unseen_s: (B,) or of all: what went by before these seconds without an answer.

        Returns:
            Logits (B, 4) with the log odds that all answers together give, and the next state.
        """
        new_s, gap_s = (
            torch.as_tensor(one, dtype=logits.dtype, device=logits.device)
            for one in (seconds, unseen_s)
        )
        after: State = {}

        def mean(name: str, now: Tensor, span_s: float) -> Tensor:
            weight = -torch.expm1(-new_s / span_s)
            total = state[f"{name}_weight"] * torch.exp(-(new_s + gap_s) / span_s) + weight
            found = state[name] + (now - state[name]) * (weight / total)
            after.update({name: found, f"{name}_weight": total})
            return found

        real, fired = origin_log_odds(logits), discharge_log_odds(logits)
        origin = mean("origin", real, self.origin_s)
        num_clips = (after["origin_weight"] * (self.origin_s / self.answer_s)).clamp(min=1)
        origin = origin * num_clips / (1 + (num_clips - 1) * self.lasting)
        discharge = mean("discharge", fired, self.discharge_s)
        return with_discharge(with_origin(logits, origin - real), discharge - fired), after

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
        for name in ("answer_s", "origin_s", "discharge_s"):
            if not 0 < getattr(found, name) < float("inf"):
                raise ValueError(f"memory.{name} is {getattr(found, name)}, and must be above 0")
        if not 0 <= found.lasting <= 1:
            raise ValueError(f"memory.lasting is {found.lasting}, and must be from 0 to 1")
        return found


def begin(memory: Memory | None, num_streams: int, dtype: torch.dtype = torch.float64) -> State:
    """Give what is known of streams before their first answers, and again after a break: zeros."""
    state = {} if memory is None else memory.start(num_streams, dtype)
    return state | {_SHOWN: torch.zeros(num_streams, dtype=torch.int64)}


def follow(
    memory: Memory | None,
    logits: Tensor,
    state: State,
    *,
    num_answers: int,
    clip_s: Tensor | float,
    unseen_s: Tensor | float = 0.0,
) -> tuple[Tensor, Tensor, State]:
    """Take the next answer of every stream, which speaks once it has shown a whole clip.

    Training asked about whole clips alone, and of fewer frames a network takes the first that moves
    for a flash (docs/experiments.md). So before it has shown one, a stream says nothing and
    remembers nothing; then that clip is what its first answer stands for.

    Args:
        memory: how a stream is summed up; without one each answer speaks for itself.
        logits: (B, 4) of the classes, calibrated.
        state: what `begin` or the call before gave; it is left as it was.
        num_answers: of a clip, equally far apart, the last of them at its end.
        clip_s: what they stand for together, of every stream (B,) or of all: the length of a clip,
            or what is new of one where clips overlap; above 0 for the first.
        unseen_s: (B,) or of all: what went by before the answer without one.

    Returns:
        Logits (B, 4), those that were given where a stream says nothing; which of them speak,
        bool (B,); and the next state.
    """
    shown = (state[_SHOWN] + 1).clamp(max=num_answers + 1)
    speaks = shown >= num_answers
    after: State = {}
    if memory is not None:
        whole_s = torch.as_tensor(clip_s, dtype=logits.dtype, device=logits.device)
        new_s = torch.where(shown == num_answers, whole_s, whole_s / num_answers)
        summed, summed_up = memory.advance(logits, new_s, state, unseen_s)
        logits = torch.where(speaks[:, None], summed, logits)
        after = {name: torch.where(speaks, new, state[name]) for name, new in summed_up.items()}
    return logits, speaks, after | {_SHOWN: shown}


def memory_of(cfg: MemoryConfig, clip_s: float) -> Memory | None:
    """The memory that `conf/train.yaml` asks for, for clips of `clip_s`; None for none."""
    if not cfg.origin_s:
        return None
    return Memory(clip_s, cfg.origin_s, cfg.lasting, cfg.discharge_s)
