"""What re-upload edits and overlays do to the scores: the frozen variants of the test clips.

    python benchmarks/robustness.py

Needs the packed samples and the weights of `dvc repro`. Prints AUROC of both questions for the
test clips as they are and at each strength, with intervals over recordings, and for every edit the
share of clips that it turns into another class.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from runs import BATCH, by_clip, cell

from pipeline import app
from pipeline.assess import scores
from pipeline.learn import weights
from pipeline.packed import Packed
from pipeline.transforms.registry import STRENGTHS


def main() -> None:
    paths = app.compose("evaluate").paths
    packed = Packed.open(paths.packed, Path(paths.work))
    rows = packed.select(["test"], variants=True)
    if len(rows) == len(packed.select(["test"], variants=False)):
        sys.exit(f"{packed.place}: no variants of test clips; set test_variants: true")
    index = packed.index.take(rows)
    probabilities, _ = scores.predict(
        index.select(scores.CLIP_SCHEMA.names),
        lambda number: packed.read(int(rows[number])),
        weights.load(Path(paths.models)).predict,
        batch_size=BATCH,
    )
    table = scores.score_table(index.select(scores.CLIP_SCHEMA.names), probabilities)
    clips = index.to_pylist()
    drawn = [json.loads(clip["variant"]) if clip["variant"] else None for clip in clips]
    strength_of = np.array([one["strength"] if one else "none" for one in drawn])
    edit_of = np.array([one["edit"] if one else "none" for one in drawn])
    print("strength | real shooting against all else | real against fictional")
    for strength in ("none", *STRENGTHS):
        found = by_clip(table.take(np.flatnonzero(strength_of == strength))).judge()
        print(" | ".join([strength, *(cell(one, [found[one]]) for one in ("score", "origin"))]))

    original = {
        clip["clip_id"]: int(probabilities[i].argmax())
        for i, clip in enumerate(clips)
        if drawn[i] is None
    }
    turned = probabilities.argmax(axis=1) != [original[clip["clip_id"]] for clip in clips]
    print(f"\ntransform | clips | of them turned into another class: {', '.join(STRENGTHS)}")
    for edit in sorted(set(edit_of) - {"none"}):
        counts = [int(turned[(edit_of == edit) & (strength_of == s)].sum()) for s in STRENGTHS]
        number = int((edit_of == edit).sum()) // len(STRENGTHS)
        print(f"{edit} | {number} | {', '.join(map(str, counts))}")


if __name__ == "__main__":
    main()
