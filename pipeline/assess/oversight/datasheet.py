"""The datasheet of the data, after Gebru et al., "Datasheets for Datasets", 2021."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.assess.audit.facts import UNUSED, DataFacts
from pipeline.assess.oversight.gaps import gaps
from pipeline.assess.oversight.markdown import bullets, safe, section, table
from pipeline.assess.wording import CLASS_NAMES
from pipeline.config import ClipFormat

_MAX_SENTENCE = 1_000


def datasheet(heading: str, data: DataFacts, clip: ClipFormat) -> str:
    """The datasheet as Markdown; see `bundle.write_bundle`."""
    return "\n".join(
        [
            f"# Datasheet: {safe(heading)}\n",
            section("Known gaps", bullets([safe(gap, _MAX_SENTENCE) for gap in gaps(data)])),
            section("Motivation", _MOTIVATION),
            section("Composition", _what(data, clip), _classes(data), _sources(data), _left(data)),
            section("Separation of the splits", _proofs(data)),
            section("Collection process", _COLLECTED),
            section("Preprocessing, cleaning and labelling", _processed(clip)),
            section("Uses", _USES),
            section("Distribution", _licences(data)),
            section("Maintenance", _MAINTAINED),
        ]
    )


_MOTIVATION = (
    "To teach a detector to tell a real shooting from a game, a film or a generated video, and "
    "to measure how far it can be trusted. Who paid for it, the tables do not tell."
)
_COLLECTED = (
    "From footage collections: folders of video files with an index that states, for each file, "
    "origin, source, licence, and whether a firearm is fired in it. Whoever wrote an index "
    "answers for it; the authority column says who released the footage and on what basis. The "
    "pipeline gathers no footage itself, and whether people who are shown agreed is not recorded."
)
_USES = (
    "To train and test detectors whose alerts a human looks at. Not to identify people, not to "
    "learn to render or to restage shootings, and not to show that a detector works on attacks: "
    "see the known gaps."
)
_MAINTAINED = (
    "A recording is removed for good by `python -m pipeline forget`; everything made from it, "
    "weights included, is then made again. `lineage.json` holds the hash of every file, and "
    "`python -m pipeline verify` tells whether anything was changed. Who maintains the "
    "collections, their indexes have to say."
)


def _what(data: DataFacts, clip: ClipFormat) -> str:
    variants = sum(data.num_variants.values())
    return (
        f"{data.num_files:,} files of {data.num_recordings:,} recordings gave {data.num_clips:,} "
        f"clips of {clip.num_frames / clip.fps:.2f} s"
        + (f", and {variants:,} variants of them by augmentation" if variants else "")
        + ". A recording is one continuous file, match or film. No clip holds sound. "
        + _copies(data)
    )


def _copies(data: DataFacts) -> str:
    found = data.copies
    if found is None:
        return "Whether clips are copies of each other was not looked for."
    return (
        f"{found.num_equal_clips:,} clips share their exact pixels with another; "
        f"{found.num_alike_recordings:,} recordings look like another, in "
        f"{found.num_alike_clusters:,} clusters."
    )


def _classes(data: DataFacts) -> str:
    def cell(place: str, kind: str) -> str:
        clips = data.clips_by_class[place][kind]
        return f"{clips:,} ({data.recordings_by_class[place][kind]:,})"

    rows = [[safe(place), *(cell(place, kind) for kind in CLASS_NAMES)] for place in data.places]
    columns = ["Part", *(f"{name.capitalize()}" for name in CLASS_NAMES.values())]
    return f"Clips, and recordings in brackets:\n\n{table(columns, rows)}"


def _sources(data: DataFacts) -> str:
    places = [*data.places, UNUSED]
    rows = [
        [
            safe(one.source),
            safe(one.origin) + (", rendered" if one.rendered else ""),
            safe(one.licence) or "none",
            safe(one.authority) or "not given",
            f"{one.num_files:,}",
            f"{one.num_recordings:,}",
            *(f"{one.clips.get(place, 0):,}" for place in places),
        ]
        for one in data.sources
    ]
    heads = [f"Clips: {safe(place)}" for place in places]
    columns = ["Source", "Origin", "Licence", "Authority", "Files", "Recordings", *heads]
    return table(columns, rows)


def _left(data: DataFacts) -> str:
    kinds: dict[str, Mapping[str, int]] = {
        "file that was rejected": data.rejects,
        "clip that no split uses": data.unused,
    }
    rows = [
        [what, safe(reason), f"{number:,}"]
        for what, found in kinds.items()
        for reason, number in found.items()
    ]
    return f"Left out:\n\n{table(['What', 'Reason', 'Number'], rows)}"


def _proofs(data: DataFacts) -> str:
    if not data.proofs:
        return "There are no splits."
    rows = [
        [
            safe(proof.name.replace("_", " ")),
            f"**{proof.num_broken:,} broken**" if proof.num_broken else safe(proof.holds, 500),
            safe(proof.note, 500),
        ]
        for proof in data.proofs
    ]
    return table(["What must not cross", "Found", "What it leaves open"], rows)


def _processed(clip: ClipFormat) -> str:
    return (
        "Every file, real or rendered, is decoded, turned upright, freed of black bars, divided at "
        f"cuts, resampled to {clip.fps:g} frames a second, cut into windows of {clip.num_frames} "
        f"frames, taken at its centre square of {clip.size} x {clip.size} pixels, and encoded "
        "alike, so that container, codec, bit rate, size and frame rate cannot tell the class. "
        "The source files stay where they were. A clip's label follows from the times of "
        "discharges in the index; where they do not tell, no split uses the clip."
    )


def _licences(data: DataFacts) -> str:
    counts: dict[str, int] = {}
    for one in data.sources:
        counts[one.licence] = counts.get(one.licence, 0) + sum(one.clips.values())
    rows = [[safe(name) or "none", f"{number:,}"] for name, number in sorted(counts.items())]
    return (
        f"{table(['Licence, as the index says', 'Clips'], rows)}\nThe clips stay under the "
        "licences of their files. Whether they are published is for those who hold the rights.\n"
    )
