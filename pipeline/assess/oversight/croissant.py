"""The clips as a data set in Croissant 1.0, which search engines and loaders of data read.

After the Croissant Format Specification 1.0 (MLCommons, 2024), in JSON-LD with the vocabulary of
schema.org. `url`, `creator` and `datePublished`, which the specification asks of what is published,
are for whoever publishes: nothing here knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import PurePosixPath
from typing import Any

from pipeline.assess.audit.facts import DataFacts
from pipeline.assess.lineage import Hashes
from pipeline.assess.oversight.gaps import gaps
from pipeline.store.manifest import MANIFEST, Clip
from pipeline.system.visible_text import plain

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
TABLE = "splits/manifest.parquet"
STAGES = ("clips", "splits", "augmented", "packed")
"""Whose files are the data set."""
_MAX_TEXT = 300
_TYPES = {"str": "sc:Text", "float": "sc:Float", "int": "sc:Integer", "bool": "sc:Boolean"}
_FORMATS = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".tar": "application/x-tar",
}
FIELDS = {
    "clip_id": "Name of the clip.",
    "parent_id": "The clip that a variant was made from.",
    "collection": "The footage collection that the file is in.",
    "path": "The source file, inside its collection.",
    "source": "Where recordings come from: a device fleet, a site, a game, a film, a generator.",
    "origin": "real (a camera in the world), game, film or generated, as the index says.",
    "recording": "One continuous file, match or film; never divided between splits.",
    "start_s": "Start of the clip in its file, in seconds.",
    "box": "left,top,width,height of what the clip shows, in pixels of the file.",
    "discharge": "Whether a firearm is fired, seen or heard; missing where nobody can tell.",
    "licence": "As the index says.",
    "authority": "Who released the file, and on what basis; empty where the index does not say.",
    "viewpoint": "As the index says.",
    "notes": "As the index says.",
    "pixels_sha256": "SHA-256 of the RGB frames before encoding.",
    "shard": "The tar in the folder of the clips that holds the clip's mp4.",
    "offset": "Where the mp4 begins in the tar, in bytes.",
    "size": "Bytes of the mp4.",
    "cluster": "Clips that look alike, themselves or through others, have the same.",
    "split": "train, val, test or unseen; missing for a clip that none uses.",
    "unused": "Why no split uses the clip.",
    "marks": "JSON list of what is odd about a clip that is only there to be scored.",
    "variant": "JSON of how a variant was made.",
    "file_sha256": "SHA-256 of the source file.",
    "rendered": "Whether a computer made an imitation of what the origin names, as the index says.",
    "sound": "What there is of its sound: present, absent, silent (digital silence), quiet (below "
    "-70 dB of full scale), incomplete or damaged.",
    "seen": "Whether a discharge can be seen; missing where one is only heard, or none can know.",
    "heard": "Whether a discharge can be heard; missing where there is no sound, or none can know.",
    "sound_offset": "Offset of its FLAC (24 kHz, mono, 16 bit) in the shard, in bytes.",
    "sound_size": "Bytes of its FLAC; 0 where every sample is zero.",
}
"""Type and description of each column of the table of clips."""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the specification, with its vocabulary for responsible AI (`rai`)."""


def croissant(heading: str, data: DataFacts, hashes: Mapping[str, Hashes]) -> dict[str, Any]:
    """The metadata of the clips as JSON.

    Args:
        heading: of the report.
        data: of splits, not of a collection.
        hashes: of files, by stage of `STAGES`; the splits' manifest is among them.
    """
    assert MANIFEST in hashes["splits"]
    licences = sorted({plain(one.licence, _MAX_TEXT) for one in data.sources})
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "discern-clips",
        "description": f"{data.num_clips:,} clips of {data.num_recordings:,} recordings from "
        f"{data.num_files:,} files, labelled by origin (real, game, film, generated) and by "
        f"whether a firearm is fired, behind “{plain(heading, _MAX_TEXT)}”. Files are named "
        "relative to the folder that holds clips, splits, augmented and packed.",
        "conformsTo": CONFORMS_TO,
        "license": licences,
        "rai:dataLimitations": [plain(gap, 2 * _MAX_TEXT) for gap in gaps(data)],
        "rai:dataCollection": (
            "Ingested from labelled footage collections; see datasheet.md beside this file."
        ),
        "distribution": [
            _file(f"{stage}/{name}", digest)
            for stage in STAGES
            for name, digest in hashes.get(stage, {}).items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "clips",
                "name": "clips",
                "description": "A row a clip; its mp4 lies in a tar by offset and size.",
                "key": {"@id": "clips/clip_id"},
                "field": [_field(f.name, str(f.type)) for f in fields(Clip)],
            }
        ],
    }


def _file(path: str, digest: str) -> dict[str, Any]:
    name = plain(path, _MAX_TEXT)
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": _FORMATS.get(PurePosixPath(path).suffix, "application/octet-stream"),
        "sha256": digest,
    }


def _field(name: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"clips/{name}",
        "name": name,
        "description": FIELDS[name],
        "dataType": _TYPES[kind.partition(" | ")[0]],
        "source": {"fileObject": {"@id": TABLE}, "extract": {"column": name}},
    }
