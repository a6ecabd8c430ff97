"""The datasheet of the data, after Gebru et al., "Datasheets for Datasets", 2021."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from pipeline.assess.audit.facts import UNUSED, DataFacts
from pipeline.assess.oversight.gaps import gaps
from pipeline.assess.oversight.markdown import render, safe, table
from pipeline.assess.wording import CLASS_NAMES
from pipeline.config import ClipFormat


def datasheet(heading: str, data: DataFacts, clip: ClipFormat) -> str:
    """The datasheet as Markdown; see `bundle.write_bundle`."""
    return render(
        "datasheet.md.j2",
        heading=heading,
        data=data,
        clip=clip,
        gaps=gaps(data),
        num_variants=sum(data.num_variants.values()),
        classes=_classes(data),
        sources=_sources(data),
        left_out=_left_out(data),
        proofs=_proofs(data),
        licences=_licences(data),
    )


def _classes(data: DataFacts) -> Markup:
    def cell(split: str, kind: str) -> str:
        clips = data.clips_by_class[split][kind]
        return f"{clips:,} ({data.recordings_by_class[split][kind]:,})"

    rows = [[safe(split), *(cell(split, kind) for kind in CLASS_NAMES)] for split in data.splits]
    columns = ["Part", *(f"{name.capitalize()}" for name in CLASS_NAMES.values())]
    return table(columns, rows)


def _sources(data: DataFacts) -> Markup:
    splits = [*data.splits, UNUSED]
    rows = [
        [
            safe(one.source),
            safe(one.origin) + (", rendered" if one.rendered else ""),
            safe(one.licence) or "none",
            safe(one.authority) or "not given",
            f"{one.num_files:,}",
            f"{one.num_recordings:,}",
            *(f"{one.clips.get(split, 0):,}" for split in splits),
        ]
        for one in data.sources
    ]
    heads = [f"Clips: {safe(split)}" for split in splits]
    columns = ["Source", "Origin", "Licence", "Authority", "Files", "Recordings", *heads]
    return table(columns, rows)


def _left_out(data: DataFacts) -> Markup:
    kinds: dict[str, Mapping[str, int]] = {
        "file that was rejected": data.rejects,
        "clip that no split uses": data.unused,
    }
    rows = [
        [what, safe(reason), f"{number:,}"]
        for what, found in kinds.items()
        for reason, number in found.items()
    ]
    return table(["What", "Reason", "Number"], rows)


def _proofs(data: DataFacts) -> Markup:
    if not data.proofs:
        return Markup("There are no splits.")
    rows = [
        [
            safe(proof.name.replace("_", " ")),
            f"**{proof.num_broken:,} broken**" if proof.num_broken else safe(proof.holds, 500),
            safe(proof.note, 500),
        ]
        for proof in data.proofs
    ]
    return table(["What must not cross", "Found", "What it leaves open"], rows)


def _licences(data: DataFacts) -> Markup:
    counts: dict[str, int] = {}
    for one in data.sources:
        counts[one.licence] = counts.get(one.licence, 0) + sum(one.clips.values())
    rows = [[safe(name) or "none", f"{number:,}"] for name, number in sorted(counts.items())]
    return table(["Licence, as the index says", "Clips"], rows)
