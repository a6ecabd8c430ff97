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
    """P(real_shooting) of a stream at the end of every clip, from it and what came before it, (N,).

    Every file is a stream of its own, cuts and all.

    Args:
        clips: N rows with `collection`, `path`, `start_s` and `clip_id`, in any order.
        probabilities: (N, 4) of each clip by itself, in the order of `CLASSES`.
        memory: how the clips of a file are summed up; without one each speaks for itself.
        clip_s: length of a clip.
    """
    if memory is None or not clips.num_rows:
        return probabilities[:, REAL_SHOOTING].copy()
    names = [
        np.unique(np.array(clips[name].to_pylist(), str), return_inverse=True)[1]
        for name in ("collection", "path")
    ]
    start_s = clips["start_s"].to_numpy()
    order = np.lexsort((np.array(clips["clip_id"].to_pylist(), str), start_s, *names))
    is_first = np.append(True, np.any([np.diff(one[order]) != 0 for one in names], axis=0))
    first = np.flatnonzero(is_first)
    step_s = np.where(is_first, clip_s, np.diff(start_s[order], prepend=0.0))
    seconds, unseen_s = np.minimum(step_s, clip_s), np.maximum(step_s - clip_s, 0.0)
    logits = torch.from_numpy(np.log(np.maximum(probabilities[order], _SMALLEST)))

    lengths = np.diff(np.append(first, order.size))
    # The longest first, so that those that go on are always the first ones.
    longest = np.argsort(-lengths, kind="stable")
    first, lengths = first[longest], lengths[longest]
    state = memory.start(first.size)
    found = np.zeros(order.size)
    for played in range(int(lengths[0])):
        num_playing = int(np.searchsorted(-lengths, -played))
        now = first[:num_playing] + played
        summed, state = memory.advance(
            logits[now],
            torch.from_numpy(seconds[now]),
            {name: value[:num_playing] for name, value in state.items()},
            torch.from_numpy(unseen_s[now]),
        )
        found[order[now]] = summed.softmax(1)[:, REAL_SHOOTING].numpy()
    return found
