"""Chooses clips of long recordings, and which of those choose an operating point or judge it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def divide(
    strata: Sequence[tuple[frozenset[int], Sequence[int]]],
    num_clips: NDArray[np.int64],
    splits: Sequence[str],
    rng: np.random.Generator,
) -> dict[int, str]:
    """Divide clusters of long recordings evenly, by their number within each stratum.

    Of two splits that have had as many of a stratum, the one that has had fewer of the same classes
    is next, then the one with less footage in all.

    Args:
        strata: classes, and the clusters of equal sources that have these.
        num_clips: of each cluster, by its name.
        splits: what they are divided into, at least one; the first of equals is next.
        rng: draws the order within each stratum.

    Returns:
        The split of each cluster.
    """
    found: dict[int, str] = {}
    footage: Counter[str] = Counter()
    alike: Counter[tuple[frozenset[int], str]] = Counter()
    for classes, members in strata:
        given: Counter[str] = Counter()
        for member in rng.permutation(np.asarray(members, np.int64)).tolist():
            split = min(splits, key=lambda name: (given[name], alike[classes, name], footage[name]))
            found[member] = split
            alike[classes, split] += 1
            given[split] += 1
            footage[split] += int(num_clips[member])
    return found
