"""Notes of an index on a clip: `key=value` words, and words of one table.

Notes are text of foreign hands: a word that is neither is passed over.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.numbers.metrics import BoolArray, IntArray

MAX_VALUES = 12
"""A key with more values is no slice but a name or a number."""
MAX_KEYS = 20
_SUDDEN_LIGHT = ("incident", "sudden light")
_MEANINGS = {
    "scene=indoor_range": ("scene", "indoor"),
    "scene=room": ("scene", "indoor"),
    "scene=corridor": ("scene", "indoor"),
    "scene=outdoor_range": ("scene", "outdoor"),
    "scene=street": ("scene", "outdoor"),
    "scene=car_park": ("scene", "car park"),
    "indoor": ("scene", "indoor"),
    "outdoor": ("scene", "outdoor"),
    "vehicle": ("scene", "vehicle"),
    "light=clear": ("light", "day"),
    "light=overcast": ("light", "day"),
    "light=dusk": ("light", "night"),
    "light=panels": ("light", "lamps"),
    "light=lamp": ("light", "lamps"),
    "light=dim": ("light", "lamps"),
    "day": ("light", "day"),
    "night": ("light", "night"),
    "camera_flash": _SUDDEN_LIGHT,
    "fireworks": _SUDDEN_LIGHT,
    "strobe": _SUDDEN_LIGHT,
    "switch": _SUDDEN_LIGHT,
    "torch": _SUDDEN_LIGHT,
    "blank": ("incident", "blank frames"),
    "door": ("incident", "door"),
    "handling": ("incident", "weapon handled"),
}
# What may happen in a recording, or not; other keys say something of every clip that has them.
_EVENTS = frozenset({"incident"})
_PAIR = re.compile(r"([a-z][a-z0-9_ -]{0,23})=([^=]{1,40})")
_TIME = re.compile(r" at [0-9.]+ s$")
Meaning = tuple[str, str]


@dataclass(frozen=True)
class Slice:
    """Clips of which something is known to be so, among those of which it is known at all."""

    name: str
    value: str
    member: BoolArray
    """(N,)"""
    known: BoolArray
    """(N,): the members, and those that are something else."""


def meanings(notes: str) -> set[Meaning]:
    """Return every (key, value) that the comma-separated words of `notes` say, in lower case."""
    found: set[Meaning] = set()
    for word in notes.lower().split(","):
        bare = _TIME.sub("", word.strip())
        if bare in _MEANINGS:
            found.add(_MEANINGS[bare])
        elif bare.isprintable() and (pair := _PAIR.fullmatch(bare)):
            found.add((pair[1].strip(), pair[2].strip()))
    return found


def slices(texts: Sequence[str], codes: IntArray) -> tuple[list[Slice], list[str]]:
    """Slices of clips by their notes.

    Args:
        texts: distinct notes.
        codes: (N,) position in `texts` of every clip's notes; -1 for a clip without any.

    Returns:
        The slices by key and value, and the keys that have too many values or are too many
        themselves.
    """
    said = [meanings(text) for text in texts]
    frequency = np.bincount(codes[codes >= 0], minlength=len(texts))
    holders: dict[Meaning, list[int]] = defaultdict(list)
    for number, pairs in enumerate(said):
        if frequency[number]:
            for pair in pairs:
                holders[pair].append(number)
    num_values = Counter(key for key, _ in holders)
    sizes: Counter[str] = Counter()
    for (key, _), numbers in holders.items():
        sizes[key] += int(frequency[numbers].sum())
    fitting = sorted(
        (key for key, num in num_values.items() if num <= MAX_VALUES),
        key=lambda key: (-sizes[key], key),
    )[:MAX_KEYS]
    found = []
    for key in sorted(fitting):
        own = sorted(pair for pair in holders if pair[0] == key)
        members = [_among(holders[pair], len(texts), codes) for pair in own]
        if key in _EVENTS:
            known = _among([i for i, text in enumerate(texts) if text], len(texts), codes)
        else:
            known = np.logical_or.reduce(members)
        found += [
            Slice(key, value, member, known)
            for (_, value), member in zip(own, members, strict=True)
        ]
    return found, sorted(set(num_values) - set(fitting))


def _among(numbers: Sequence[int], num_texts: int, codes: IntArray) -> BoolArray:
    # The last place is that of clips without notes.
    holds = np.zeros(num_texts + 1, bool)
    holds[list(numbers)] = True
    return np.asarray(holds[codes], bool)
