"""Says what a detector makes of a file that is played as a stream, clip by clip."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.learn.memory import Memory, begin, follow
from pipeline.learn.networks.base import State
from pipeline.store.manifest import REAL_SHOOTING

FloatArray = NDArray[np.float64]
_SMALLEST = 1e-30
"""Smallest probability whose logarithm is taken."""


def stream_scores(
    clips: pa.Table, probabilities: FloatArray, memory: Memory | None, clip_s: float
) -> FloatArray:
    """The highest P(real_shooting) of a stream during every clip, (N,); at its end of the first.

    Every file is a stream of its own, cuts and all.

    Args:
        clips: N rows with `collection`, `path`, `start_s` and `clip_id`, in any order.
        probabilities: (N, T, 4) in the order of `CLASSES`, of what was last seen at T times that
            are equally far apart, the last of them the clip's end.
        memory: how a file is summed up; without one each answer speaks for itself.
        clip_s: length of a clip.
    """
    if not clips.num_rows:
        return np.zeros(0)
    files = files_of(clips)
    start_s = clips["start_s"].to_numpy()
    answers = torch.from_numpy(probabilities)
    # The longest first, so that those that go on are always the first ones.
    files.sort(key=len, reverse=True)
    state = begin(memory, len(files))
    ended_s = start_s[[own[0] for own in files]]
    found = np.zeros(clips.num_rows)
    for played in range(len(files[0])):
        now = np.array([own[played] for own in files if len(own) > played])
        state = {name: value[: now.size] for name, value in state.items()}
        found[now], state = highest_scores(
            memory, answers[now], state, start_s[now], ended_s[: now.size], clip_s
        )
        ended_s = start_s[now] + clip_s
    return found


def highest_scores(
    memory: Memory | None,
    answers: Tensor,
    state: State,
    start_s: FloatArray,
    ended_s: FloatArray,
    clip_s: float,
) -> tuple[FloatArray, State]:
    """The highest P(real_shooting) of B streams during their next clips; of the first, at its end.

    Args:
        memory: how a stream is summed up; without one each answer speaks for itself.
        answers: (B, T, 4) probabilities in the order of `CLASSES` of what was last seen, at T times
            of each clip that are equally far apart, the last of them its end.
        state: what `memory.begin` or the call before gave; it is left as it was.
        start_s: (B,) when the clips start.
        ended_s: (B,) when the clip before each ended; when it starts where it is a stream's first.
        clip_s: length of a clip.

    Returns:
        (B,), and the next state.
    """
    # Of clips that overlap, only what is new stands for time.
    new_s = torch.from_numpy(np.minimum(start_s + clip_s - ended_s, clip_s))
    unseen_s = torch.from_numpy(np.maximum(start_s - ended_s, 0.0))
    found = torch.zeros(len(start_s), dtype=torch.float64)
    for answer in answers.unbind(1):
        logits, speaks, state = follow(
            memory,
            answer.clamp(min=_SMALLEST).log(),
            state,
            num_answers=answers.shape[1],
            clip_s=new_s,
            unseen_s=unseen_s,
        )
        said = answer if memory is None else logits.softmax(-1)
        found = torch.where(speaks, torch.maximum(found, said[:, REAL_SHOOTING]), found)
        unseen_s = torch.zeros_like(unseen_s)
    return found.numpy(), state


def files_of(clips: pa.Table) -> list[NDArray[np.int64]]:
    """Rows of each file, in the order of time."""
    names = [
        np.unique(np.array(clips[name].to_pylist(), str), return_inverse=True)[1]
        for name in ("collection", "path")
    ]
    order = np.lexsort(
        (np.array(clips["clip_id"].to_pylist(), str), clips["start_s"].to_numpy(), *names)
    )
    begins = np.any([np.diff(one[order]) != 0 for one in names], axis=0)
    return np.split(order, np.flatnonzero(begins) + 1)
