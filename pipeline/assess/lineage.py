"""`lineage.json`: hashes of everything between source files and report, chained to one root.

Each stage has a digest of its own files and of the digests of the stages that it was made from, a
Merkle DAG (Merkle, "A Digital Signature Based on a Conventional Encryption Function", 1987): the
digest of the report, the root, stands for every byte before it. Who keeps the root elsewhere can
tell later whether anything is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.compute as pc

from pipeline.errors import UserError, reading
from pipeline.store import manifest, provenance, workdir
from pipeline.store.manifest import File

LINEAGE = "lineage.json"
CONFIGURATION, SOURCES, REPORTS = "configuration", "sources", "reports"
CODE = "code"
"""What made the report: the package, and the libraries that decide numbers."""
OTHER = "against"
"""The model that a report sets beside its own: from anywhere, so it has no folder of its own."""
MADE_FROM: Mapping[str, tuple[str, ...]] = {
    CONFIGURATION: (),
    SOURCES: (),
    "clips": (CONFIGURATION, SOURCES),
    "splits": (CONFIGURATION, "clips"),
    "augmented": (CONFIGURATION, "clips", "splits"),
    "packed": (CONFIGURATION, "clips", "splits", "augmented"),
    "features": (CONFIGURATION, "packed"),
    "probes": (CONFIGURATION, "clips", "augmented", "packed"),
    "models": (CONFIGURATION, "packed", "features"),
    "deployment": (),
    OTHER: (),
    CODE: (),
    REPORTS: (
        *(
            CONFIGURATION,
            CODE,
            SOURCES,
            "clips",
            "splits",
            "augmented",
            "packed",
            "features",
            "probes",
        ),
        *("models", "deployment", OTHER),
    ),
}
"""Stages in their order, and what each is made from; they are named as in `conf/paths.yaml`."""
FOLDERS = tuple(name for name in MADE_FROM if name not in (CONFIGURATION, SOURCES, OTHER, CODE))
HOW_TO_RUN = "run.yaml"
"""The file of `conf/` that is no part of the configuration: it changes no output."""
_EXPERIMENTS = "experiment/"
"""The folder of `conf/` with settings that count only once they stand in the other files."""
_NUM_THREADS = 2

Hashes = Mapping[str, str]
"""SHA-256 by path inside a folder, or by `<collection>/<path>`."""
DifferenceKind = Literal["missing", "changed", "extra"]


@dataclass(frozen=True)
class FileDifference:
    """A file that is not as it was."""

    stage: str
    path: str
    kind: DifferenceKind


def hash_folder(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, of any size, by its path inside it; sorted.

    A folder that is not there holds no file.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        digests = list(pool.map(workdir.file_sha256, paths))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return dict(sorted(zip(names, digests, strict=True)))


def hash_configuration(conf: Path) -> dict[str, str]:
    """SHA-256 of what decides about bytes in `conf/`."""
    found = hash_folder(conf)
    return {
        name: digest
        for name, digest in found.items()
        if name != HOW_TO_RUN and not name.startswith(_EXPERIMENTS)
    }


def source_hashes(clips: Path) -> dict[str, str]:
    """SHA-256 of every source file that ingest read, by `<collection>/<path>`.

    Raises:
        UserError: the table of files is missing or not readable.
    """
    with manifest.open_table(clips / manifest.FILES, File) as file:
        table = file.read(["collection", "path", "sha256"])
    known = table.filter(pc.is_valid(table["sha256"]))
    names = pc.binary_join_element_wise(known["collection"], known["path"], "/")
    return dict(sorted(zip(names.to_pylist(), known["sha256"].to_pylist(), strict=True)))


def made_by() -> dict[str, str]:
    """The hash of the package, its commit where that is known, and versions of libraries, by name.

    See `store.provenance` for why the commit is not simply the one that is checked out.
    """
    facts = provenance.facts()
    git = facts["git"] or {}
    return {
        "package": facts["code_sha256"],
        **{f"git/{name}": json.dumps(value).strip('"') for name, value in git.items()},
        **{f"libraries/{name}": version for name, version in facts["libraries"].items()},
    }


def hash_stages(folders: Mapping[str, Path], conf: Path) -> dict[str, Hashes]:
    """Hash everything that a report is made from.

    Args:
        folders: some of `FOLDERS` without the reports, local; what is left out, because it lies
            on a store, is no part of the lineage.
        conf: the folder of the configuration.

    Raises:
        UserError: the table of source files is missing or not readable.
    """
    hashes: dict[str, Hashes] = {CONFIGURATION: hash_configuration(conf), CODE: made_by()}
    if "clips" in folders:
        hashes[SOURCES] = source_hashes(folders["clips"])
    return hashes | {name: hash_folder(folder) for name, folder in folders.items()}


def write_lineage(reports: Path, before: Mapping[str, Hashes]) -> str:
    """Write `lineage.json` into a finished folder of reports, as its last file.

    Args:
        reports: everything in it becomes part of the lineage.
        before: what `hash_stages` gave.

    Returns:
        The root.
    """
    hashes = {**before, REPORTS: _without_lineage(hash_folder(reports))}
    stages = chain(hashes)
    lineage = {"root": stages[REPORTS]["digest"], "stages": stages}
    text = json.dumps(lineage, indent=1, sort_keys=True)
    (reports / LINEAGE).write_text(f"{text}\n", encoding="utf-8")
    return str(lineage["root"])


def chain(hashes: Mapping[str, Hashes]) -> dict[str, dict[str, Any]]:
    """The stages with their files, what they are made from, and their digests."""
    stages: dict[str, dict[str, Any]] = {}
    for name, made_from in MADE_FROM.items():
        if name in hashes:
            inputs = {other: stages[other]["digest"] for other in made_from if other in stages}
            stage = {"files": dict(hashes[name]), "inputs": inputs}
            text = json.dumps([name, stage], sort_keys=True, separators=(",", ":"))
            stages[name] = stage | {"digest": hashlib.sha256(text.encode()).hexdigest()}
    return stages


def read_lineage(reports: Path) -> tuple[str, dict[str, Hashes]]:
    """The root and the hashes of a lineage whose chain holds.

    Raises:
        UserError: it is missing, not readable, or was changed itself.
    """
    path = reports / LINEAGE
    with reading(path, "evaluate", "no lineage"):
        lineage = json.loads(path.read_text(encoding="utf-8"))
        told = lineage["stages"]
        hashes: dict[str, Hashes] = {name: {**stage["files"]} for name, stage in told.items()}
        root = str(lineage["root"])
    stages = chain(hashes)
    if stages != told or REPORTS not in stages or stages[REPORTS]["digest"] != root:
        raise UserError(
            f"{path}: changed; its digests do not follow from its own hashes. Take it from where "
            "the report came from (dvc checkout), or do not trust the report"
        )
    return root, hashes


def differences(stage: str, told: Hashes, here: Hashes) -> Iterator[FileDifference]:
    """Files of a stage that are not as its lineage says, in order of their paths."""
    for path in sorted(told.keys() | here.keys()):
        if path not in here:
            yield FileDifference(stage, path, "missing")
        elif path not in told:
            yield FileDifference(stage, path, "extra")
        elif told[path] != here[path]:
            yield FileDifference(stage, path, "changed")


def compare(
    told: Mapping[str, Hashes], folders: Mapping[str, Path], conf: Path
) -> Iterable[FileDifference]:
    """Hash everything but sources, code and the other model again, and find what differs.

    Args:
        told: hashes by stage, of `read_lineage`.
        folders: of `FOLDERS`, local.
        conf: the folder of the configuration.
    """
    for name, hashes in told.items():
        if name == CONFIGURATION:
            yield from differences(name, hashes, hash_configuration(conf))
        elif name == REPORTS:
            yield from differences(name, hashes, _without_lineage(hash_folder(folders[name])))
        elif name not in (SOURCES, OTHER, CODE):
            yield from differences(name, hashes, hash_folder(folders[name]))


def _without_lineage(hashes: Hashes) -> dict[str, str]:
    return {name: digest for name, digest in hashes.items() if name != LINEAGE}
