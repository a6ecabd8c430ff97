"""The frozen variants of test clips: one transform each, at three strengths, the same in every run.

`augment` draws them from the clip's id alone, so that two detectors are judged by the same pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.assess import before_after
from pipeline.assess.before_after import Asked, PairedAuroc
from pipeline.assess.evidence import Evidence
from pipeline.assess.examples import Examples
from pipeline.errors import UserError
from pipeline.store import manifest
from pipeline.store.manifest import Clip
from pipeline.transforms.registry import STRENGTHS


@dataclass(frozen=True)
class Variants:
    """Effects of variants on the answers."""

    pairs: Mapping[str, Mapping[Asked, PairedAuroc]]
    """AUROC by strength and question, against the originals of the same clips."""
    num_clips: Mapping[str, int]
    """Number of clips by transform."""
    turned: Mapping[str, Mapping[str, int]]
    """Number of these clips whose class is another, by transform and strength."""
    table: pa.Table
    """Rows of `SCORE_SCHEMA`, with transform and strength in the column `change`."""


def read(evidence: Evidence) -> Variants | None:
    """Compare variants with their originals in the test split; None where there are none.

    Raises:
        UserError: a variant that the manifest of `augment` does not know.
    """
    originals = evidence.judged_set("test")
    if evidence.variants is None or evidence.folders is None or originals is None:
        return None
    table = evidence.variants.clips
    samples = table["sample_id"].to_pylist()
    wanted = set(samples)
    drawn = {
        clip.clip_id: json.loads(clip.variant)
        for clip in manifest.read_rows(evidence.folders.augmented / manifest.MANIFEST, Clip)
        if clip.clip_id in wanted and clip.variant is not None
    }
    if wanted - drawn.keys():
        raise UserError(
            f"{evidence.folders.augmented}: no variant {min(wanted - drawn.keys())}; "
            "the packed samples are of another run, run dvc repro"
        )
    strengths = np.array([drawn[sample]["strength"] for sample in samples])
    edits = np.array([drawn[sample]["edit"] for sample in samples])
    place = {clip: row for row, clip in enumerate(originals.clips["clip_id"].to_pylist())}
    rows = np.array([place[clip] for clip in table["clip_id"].to_pylist()])
    before = Examples.from_clips(originals.clips.take(rows))
    turned = before.predicted != evidence.variants.examples.predicted
    pairs: dict[str, dict[Asked, PairedAuroc]] = {}
    for strength in STRENGTHS:
        own = np.flatnonzero(strengths == strength)
        plain = Examples.from_clips(originals.clips.take(rows[own]))
        after = Examples.from_clips(table.take(own))
        pairs[strength] = before_after.compare(plain, after, evidence.settings.bootstrap)
    return Variants(
        pairs,
        {
            edit: len({rows[i] for i in np.flatnonzero(edits == edit)})
            for edit in sorted(set(edits))
        },
        {
            edit: {
                strength: int(turned[(edits == edit) & (strengths == strength)].sum())
                for strength in STRENGTHS
            }
            for edit in sorted(set(edits))
        },
        table.append_column(
            "change",
            pa.array([f"{e}, {s}" for e, s in zip(edits, strengths, strict=True)], pa.string()),
        ),
    )
