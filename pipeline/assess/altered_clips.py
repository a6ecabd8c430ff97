"""Clips altered on purpose: what the detector says of the same clips before and after."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.assess.evidence import Evidence, predict_all
from pipeline.assess.examples import Examples
from pipeline.assess.judged_sets import JudgedSet
from pipeline.detect import scores
from pipeline.numbers.metrics import IntArray, score_at_fpr
from pipeline.store import workdir
from pipeline.store.manifest import CLASSES
from pipeline.store.packed_samples import Sample
from pipeline.store.video import Frames
from pipeline.transforms import registry

_CODE = ("assess/altered_clips.py", "copies/fingerprint.py", "transforms")
MAX_FPR = 0.01


@dataclass(frozen=True)
class Change:
    """Something that is done to a clip."""

    identity: Any
    """JSON values that, with the clip, decide what comes out."""
    apply: Callable[[Sample, str], Sample]

    def __call__(self, clip: Sample, clip_id: str) -> Sample:
        """Change a clip.

        Args:
            clip: what is seen and heard, which is left as it is.
            clip_id: the clip's id, which chance is drawn from.

        Returns:
            Frames and sound of the same shapes.
        """
        return self.apply(clip, clip_id)


@dataclass(frozen=True)
class ClipSubset:
    """A choice among the clips of a part."""

    part: JudgedSet
    rows: IntArray
    """Numbers of the chosen rows of `part.clips`."""

    @cached_property
    def clips(self) -> pa.Table:
        """Rows of `SCORE_SCHEMA`: what the detector says of the clips as they are."""
        return self.part.clips.take(self.rows)

    @cached_property
    def examples(self) -> Examples:
        """The clips as they are."""
        return Examples.from_clips(self.clips)


def rank(*names: str) -> bytes:
    """Return a key whose order is a draw in which no candidate moves another.

    Rendezvous hashing (Thaler and Ravishankar, 1998).
    """
    return hashlib.sha256("\0".join(names).encode()).digest()


def subset(part: JudgedSet, most: int) -> ClipSubset:
    """Choose at most `most` labelled clips of a part, taking classes and recordings in turn.

    A smaller one is the beginning of a larger one.
    """
    known = np.flatnonzero(pc.is_valid(part.clips["discharge"]).to_numpy(zero_copy_only=False))
    clips = part.clips.take(known)
    actual, recordings = Examples.from_clips(clips).actual, clips["recording"].to_pylist()
    ranks = [rank(clip_id) for clip_id in clips["clip_id"].to_pylist()]
    rounds: Counter[tuple[int, str]] = Counter()
    turns: Counter[int] = Counter()
    spread: list[tuple[int, int, bytes, int]] = []
    for place in sorted(range(len(known)), key=ranks.__getitem__):
        group = int(actual[place]), recordings[place]
        spread.append((rounds[group], group[0], ranks[place], place))
        rounds[group] += 1
    order: list[tuple[int, bytes, int]] = []
    for _, number, key, place in sorted(spread):
        order.append((turns[number], key, place))
        turns[number] += 1
    return ClipSubset(part, known[[place for *_, place in sorted(order)[:most]]])


def of_pictures(change: Callable[[Frames, str], Frames]) -> Callable[[Sample, str], Sample]:
    """A change of frames, by the id of their clip, that leaves the sound as it is."""

    def changed(clip: Sample, clip_id: str) -> Sample:
        return replace(clip, frames=change(clip.frames, clip_id))

    return changed


def drawn_change(name: str, strength: float, **forced: Any) -> Change:
    """A transform as a change, drawn from the clip's id; strengths share a seed.

    Args:
        name: of a transform of pictures, which the sound follows where their pace changes, or of
            sound, which leaves the pictures as they are.
        strength: in [0, 1].
        forced: parameters that are these, whatever is drawn.
    """

    def change(clip: Sample, clip_id: str) -> Sample:
        steps = [registry.draw_step(name, generator(clip_id, name), strength, **forced)]
        return replace(
            clip,
            frames=registry.apply(clip.frames, steps),
            sound=registry.apply_to_sound(clip.sound, steps),
        )

    return Change([name, strength, forced], change)


def in_turn(steps: Sequence[Change]) -> Change:
    """Changes one after the other."""

    def change(clip: Sample, clip_id: str) -> Sample:
        for step in steps:
            clip = step(clip, clip_id)
        return clip

    return Change([step.identity for step in steps], change)


def generator(clip_id: str, name: str) -> np.random.Generator:
    """Chance that depends on the clip and on the name of what is done to it alone."""
    return np.random.default_rng(int.from_bytes(rank(clip_id, name)[:8]))


def score(
    evidence: Evidence, chosen: ClipSubset, changes: Mapping[str, Change], title: str
) -> dict[str, pa.Table]:
    """Rows of `SCORE_SCHEMA` for the clips of a subset after each change; a clip is read once."""
    names, ids = list(changes), chosen.clips["clip_id"].to_pylist()
    latest: dict[int, Sample] = {}

    def altered(number: int) -> Sample:
        clip, change = divmod(number, len(names))
        if clip not in latest:
            latest.clear()
            latest[clip] = chosen.part.read(int(chosen.rows[clip]))
        return changes[names[change]](latest[clip], ids[clip])

    code, samples = workdir.code_sha256(*_CODE), chosen.part.samples

    def identity(number: int) -> Any:
        clip, change = divmod(number, len(names))
        sample = samples[int(chosen.rows[clip])]
        return [code, sample, ids[clip], changes[names[change]].identity]

    flat = predict_all(
        evidence, title, len(ids) * len(names), altered, identity if samples else None
    )
    found = flat.reshape(len(ids), len(names), len(CLASSES))
    who = chosen.clips.select(scores.CLIP_SCHEMA.names)
    return {name: scores.score_table(who, found[:, i]) for i, name in enumerate(names)}


def stacked(tables: Iterable[tuple[str, pa.Table]]) -> pa.Table:
    """Score tables below each other, with their names in the column `change`."""
    return pa.concat_tables(
        table.append_column("change", pa.array([name] * table.num_rows, pa.string()))
        for name, table in tables
    )


def threshold(val: JudgedSet | None) -> float | None:
    """The score above which at most 1 % of the negatives of validation lie.

    It looks at single clips, and is another than the operating point of streams. None where
    validation holds no negatives.
    """
    if val is None:
        return None
    return score_at_fpr(val.examples.score[~val.examples.is_shooting], MAX_FPR)


def said_threshold(limit: float | None) -> str:
    """The sentence that says which score counts as passing, given what `threshold` found."""
    if limit is None:
        return "There is no validation set to choose a threshold on."
    return (
        f"The threshold is {limit:.3f}, at 1 % false alarms of validation clips; streams have "
        "another one, their operating point."
    )
