"""What a detector with a memory says of a file that is played as a stream, clip by clip."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from pipeline.learn.memory import Memory
from pipeline.store.manifest import REAL_SHOOTING

FloatArray = NDArray[np.float64]
_SMALLEST = 1e-30
"""Of a probability, whose logarithm is taken."""


def stream_scores(
    clips: pa.Table, probabilities: FloatArray, memory: Memory | None, clip_s: float
) -> FloatArray:
    """The highest P(real_shooting) of a stream during every clip, (N,).

    Every file is a stream of its own, cuts and all.

    Args:
        clips: N rows with `collection`, `path`, `start_s` and `clip_id`, in any order.
        probabilities: (N, T, 4) in the order of `CLASSES`, of what was last seen at T times that
            are equally far apart, the last of them the clip's end.
        memory: how a file is summed up; without one each answer speaks for itself.
        clip_s: length of a clip.
    """
    if memory is None or not clips.num_rows:
        return np.asarray(probabilities[..., REAL_SHOOTING].max(axis=1))
    files = files_of(clips)
    start_s = clips["start_s"].to_numpy()
    logits = torch.from_numpy(np.log(np.maximum(probabilities, _SMALLEST)))
    # The longest first, so that those that go on are always the first ones.
    files.sort(key=len, reverse=True)
    state, ended_s = memory.start(len(files)), np.array([start_s[own[0]] for own in files])
    found = np.zeros(clips.num_rows)
    for played in range(len(files[0])):
        now = np.array([own[played] for own in files if len(own) > played])
        state = {name: value[: now.size] for name, value in state.items()}
        until_s, ended_s = start_s[now] + clip_s, ended_s[: now.size]
        # Of clips that overlap, only what is new stands for time.
        new_s = torch.from_numpy(np.minimum(until_s - ended_s, clip_s) / logits.shape[1])
        unseen_s = torch.from_numpy(np.maximum(start_s[now] - ended_s, 0.0))
        for answer in logits[now].unbind(1):
            summed, state = memory.advance(answer, new_s, state, unseen_s)
            score = summed.softmax(-1)[:, REAL_SHOOTING].numpy()
            found[now], unseen_s = np.maximum(found[now], score), torch.zeros_like(unseen_s)
        ended_s = until_s
    return found


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
