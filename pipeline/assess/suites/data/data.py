"""Data audit: what was judged, who gave it, what was left out, and whether the splits leak.

Each proof is red where anything breaks it: a leak is a fact, not an estimate, so that no interval
stands between it and its colour; where only a sample was compared, the sentence says what share
could still be a copy. Gaps of licence, authority, origin or class are amber, since they
limit what numbers mean without making them wrong. Nothing here runs the detector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.assess.audit.facts import DataFacts
from pipeline.assess.evidence import Csv, Evidence, Section
from pipeline.assess.suites.data.panels import offenders, panels
from pipeline.assess.suites.data.verdicts import MAX_NAME, gap_verdicts, split_verdicts
from pipeline.store.manifest import CLASSES, FILES
from pipeline.system.visible_text import plain

TITLE = "Data audit"
COMPOSITION = ("split", "class", "num_clips", "num_recordings")
"""Columns of the plot `composition.csv`."""


def run(evidence: Evidence) -> Section:
    """Judge the audit of the data; see `pipeline.assess.audit`.

    Raises:
        UserError: a table of an earlier stage is missing or not readable.
    """
    data = evidence.facts
    return Section(
        lead=(
            "A detector that has met the test footage before looks better than it is. Here is what "
            "footage there is and who gave it, what was left out and why, and a proof, made again "
            "from the tables themselves, that nothing to be tested on was there to learn from."
            if data.proofs
            else "Here is what footage was judged, who gave it, and what was left out and why. A "
            "collection has no splits: whether training saw any of it, these tables cannot tell."
        ),
        verdicts=[*split_verdicts(data), *gap_verdicts(data)],
        panels=panels(data),
        metrics=_metrics(data),
        plots={"composition.csv": _composition(data)},
        rows={
            "clips.parquet": data.clips,
            FILES: data.files,
            "offenders.parquet": offenders(data),
        },
        tables=(),
        beyond=(
            "What the proofs checked, and the variants, are counted from the tables of the stages "
            "before, whose hashes are in lineage.json."
            if data.proofs
            else ""
        ),
    )


def _composition(data: DataFacts) -> Csv:
    rows = [
        [
            plain(split, MAX_NAME),
            kind,
            data.clips_by_class[split][kind],
            data.recordings_by_class[split][kind],
        ]
        for split in data.splits
        for kind in CLASSES
    ]
    return COMPOSITION, rows


def _metrics(data: DataFacts) -> dict[str, Any]:
    return {
        "num_files": data.num_files,
        "num_recordings": data.num_recordings,
        "num_clips": data.num_clips,
        "num_sources": len({one.source for one in data.sources}),
        "num_variants": _plain_counts(data.num_variants),
        "clips": {plain(name, MAX_NAME): dict(n) for name, n in data.clips_by_class.items()},
        "rejects": _plain_counts(data.rejects),
        "unused": _plain_counts(data.unused),
        "copies": None if data.copies is None else vars(data.copies),
        "proofs": {
            proof.name: {"checked": proof.num_checked, "broken": proof.num_broken}
            for proof in data.proofs
        },
    }


def _plain_counts(counts: Mapping[str, int]) -> dict[str, int]:
    return {plain(name, MAX_NAME): number for name, number in counts.items()}
