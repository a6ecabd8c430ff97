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
from numpy.typing import NDArray

from pipeline import app
from pipeline.assess import scores, wording
from pipeline.assess.bootstrap import Bootstrap
from pipeline.assess.questions import Question, judge_auroc
from pipeline.learn import weights
from pipeline.manifest import CLASSES, class_index
from pipeline.packed import Packed
from pipeline.transforms.registry import STRENGTHS

BOOTSTRAP = Bootstrap(1000, 0.95, 0)


def row_of(
    name: str, labels: NDArray[np.int64], p: NDArray[np.float64], recordings: list[str]
) -> str:
    """One line of the table: AUROC of the score and of the origin."""
    clusters = np.unique(recordings, return_inverse=True)[1].astype(np.int64)
    cells = []
    shooting = CLASSES.index("real_shooting")
    is_real = np.isin(labels, [shooting, CLASSES.index("real_other")])
    for positive, probability in (
        (labels == shooting, p[:, shooting]),
        (is_real, scores.marginals(p)[0]),
    ):
        found = judge_auroc(Question(positive, probability, clusters), BOOTSTRAP)
        interval = wording.interval("auroc", found)
        cells.append(f"{wording.number('auroc', found['value'])} {interval}".strip())
    return f"{name} | {' | '.join(cells)}"


def main() -> None:
    paths = app.compose("evaluate").paths
    packed = Packed.open(Path(paths.packed))
    rows = packed.select(["test"], variants=True)
    if len(rows) == len(packed.select(["test"], variants=False)):
        sys.exit(f"{packed.folder}: no variants of test clips; set test_variants: true")
    index = packed.index.take(rows)
    probabilities, _ = scores.predict(
        index.select(scores.CLIP_SCHEMA.names),
        lambda number: packed.read(int(rows[number])),
        weights.load(Path(paths.models)).predict,
        batch_size=16,
    )
    clips = index.to_pylist()
    labels = np.array([class_index(clip["origin"], bool(clip["discharge"])) for clip in clips])
    drawn = [json.loads(clip["variant"]) if clip["variant"] else None for clip in clips]
    strength_of = np.array([one["strength"] if one else "none" for one in drawn])
    edit_of = np.array([one["edit"] if one else "none" for one in drawn])
    print("strength | real shooting against all else | real against fictional")
    for strength in ("none", *STRENGTHS):
        chosen = np.flatnonzero(strength_of == strength)
        recordings = [clips[i]["recording"] for i in chosen]
        print(row_of(strength, labels[chosen], probabilities[chosen], recordings))

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
