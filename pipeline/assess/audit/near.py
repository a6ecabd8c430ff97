"""The proof that no clip looks like one of another split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.assess.audit.tables import Proof, offender_rows
from pipeline.copies import duplicates
from pipeline.errors import reading
from pipeline.store import manifest
from pipeline.store.manifest import EVERY_SPLIT
from pipeline.store.output_files import AUDIT

MAX_COMPARISONS = 4 * 10**9
"""Most comparisons of hashes: beyond it, a sample of the clips that were held out is compared."""
_SAMPLE_SEED = 0


def near_copies(clips: pa.Table, folder: Path, splits: Path) -> Proof:
    """That no clip looks like one of another split, within the distances of the split.

    Args:
        clips: the manifest of the splits, in the order of the fingerprints.
        folder: with the fingerprints.
        splits: with the audit, which names the distances.

    Raises:
        UserError: fingerprints or audit are missing or not readable.
    """
    rule = _rule(splits / AUDIT)
    hashes = duplicates.read_fingerprints(folder / manifest.FINGERPRINTS, clips.num_rows)
    names = np.array(clips["split"].fill_null("").to_pylist())
    groups = np.full(len(names), -1, np.int8)
    for number, name in enumerate(EVERY_SPLIT):
        groups[names == name] = number
    # A pair across splits has an end outside of train.
    held_out = np.flatnonzero(groups > EVERY_SPLIT.index("train")).astype(np.int64)
    used = groups >= 0
    each = 2 * hashes.shape[1] ** 2 * max(1, int(used.sum()))
    num_chosen = min(len(held_out), max(1, MAX_COMPARISONS // each))
    rng = np.random.default_rng(_SAMPLE_SEED)
    chosen = np.sort(rng.choice(held_out, num_chosen, replace=False)) if num_chosen else held_out
    found = duplicates.closest(chosen, groups, np.asarray(hashes), rule, num_threads=1)
    pair = found.matching or ()
    offenders = clips.take(pa.array(pair, pa.int64()))
    blank = int((used & ~hashes.any(axis=(1, 2, 3))).sum())
    note = (
        "Whole pictures and their mirror images are compared, frame by frame; crops, turned and "
        "half covered copies are looked for when the split is made."
    )
    if blank:
        note += f" {blank:,} clips are too flat to be compared."
    return Proof(
        "near_copies",
        _apart(found, rule, num_chosen, len(held_out), int(used.sum())),
        num_chosen,
        offender_rows("near_copies", offenders, pa.repeat("the first pair", len(pair))),
        note,
        found.num_matching,
    )


def _apart(
    found: duplicates.Closest, rule: duplicates.Rule, num_chosen: int, num_held: int, num_used: int
) -> str:
    closest = f"; the closest pair is {found.distance} bits of 256 apart" if found.pair else ""
    limit = f", and {rule.max_distance} or fewer would count as a copy" if found.pair else ""
    if num_chosen == num_held:
        compared = f"{num_chosen:,} held-out clips compared with {num_used:,}"
    else:
        # None in a sample of n: with 95 % confidence fewer than this share (exact binomial).
        share = 1 - 0.05 ** (1 / num_chosen)
        compared = (
            f"a sample of {num_chosen:,} of {num_held:,} held-out clips compared with "
            f"{num_used:,}, so that fewer than {100 * share:.2g} % can have one (95 % confidence)"
        )
    return f"No held-out clip looks like one of another split ({compared}){closest}{limit}."


def _rule(path: Path) -> duplicates.Rule:
    """The distances within which the split itself joined clips."""
    with reading(path, "split", "no audit of a split"):
        audit = json.loads(path.read_text(encoding="utf-8"))
        two_frames, one_frame = int(audit["max_distance"]), int(audit["max_single_distance"])
    return duplicates.Rule(two_frames, one_frame, max_half_distance=0, num_tables=1)
