"""Tells whether anything between source files and report was changed: `python -m pipeline verify`.

`paths.reports=<folder>` verifies another report.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pipeline import app
from pipeline.assess import lineage, wording
from pipeline.assess.lineage import (
    CODE,
    CONFIGURATION,
    FOLDERS,
    MADE_FROM,
    OTHER,
    SOURCES,
    Hashes,
)
from pipeline.commands import tables
from pipeline.config import IngestApp
from pipeline.errors import UserError
from pipeline.store import storage, workdir
from pipeline.system.visible_text import plain

_MAX_NAME = 300


def run(*roots: str, cfg: IngestApp) -> None:
    """Hash everything again, name each file that differs, and exit with 1 where any does.

    Args:
        roots: the root that was noted when the report was written, if it is known.
        cfg: where everything is.

    Raises:
        UserError: more than one root, no lineage, or one that was changed itself.
    """
    if len(roots) > 1:
        raise UserError(f"{' '.join(roots)}: give one root at most")
    paths = cfg.paths
    root, told = lineage.read_lineage(Path(paths.reports))
    folders = {name: Path(getattr(paths, name)) for name in FOLDERS}
    num_different = 0
    for found in lineage.compare(told, folders, app.CONF):
        folder = app.CONF.name if found.stage == CONFIGURATION else getattr(paths, found.stage)
        print(f"{_shown(f'{folder}/{found.path}')}: {found.kind}")
        num_different += 1
    sources = _Sources(told.get(SOURCES, {}), cfg)
    for line in sources.differing():
        print(line)
        num_different += 1
    for line in sources.unchecked:
        print(f"Not checked: {line}")
    other = told.get(OTHER, {})
    for name, digest in other.items():
        print(f"Not checked: {_shown(name)} of the model compared with, SHA-256 {_shown(digest)}")
    code = told.get(CODE, {})
    if code:
        commit = code.get("git/commit", "unknown")
        print(f"Made by code of SHA-256 {_shown(code['package'])}, commit {_shown(commit)}")
    absent = [name for name in MADE_FROM if name not in told and name not in (OTHER, CODE)]
    if absent:
        print(f"Not part of this lineage: {', '.join(absent)}")
    if roots and roots[0] != root:
        print(f"The root is not {_shown(roots[0])}: this is the lineage of another report")
    num_unchecked = sources.num_unchecked + len(other) + len(code)
    num_checked = sum(len(hashes) for hashes in told.values()) - num_unchecked
    print(f"{wording.count(num_checked, 'file')} checked, {num_different} differ")
    print(f"root {root}")
    if num_different or (roots and roots[0] != root):
        sys.exit(1)


class _Sources:
    """Source files, checked where their collections can be reached."""

    def __init__(self, told: Hashes, cfg: IngestApp) -> None:
        self._work = Path(cfg.paths.work)
        self._roots = {storage.name(root): root for root in tables.collections(cfg)}
        self._by_collection: dict[str, dict[str, str]] = defaultdict(dict)
        for name, digest in told.items():
            collection, _, path = name.partition("/")
            self._by_collection[collection][path] = digest
        self.unchecked: list[str] = []
        self.num_unchecked = 0

    def differing(self) -> Iterator[str]:
        """A line for each file that is missing or changed."""
        for collection, files in self._by_collection.items():
            name = _shown(collection)
            if collection not in self._roots:
                self._leave(files, f"of the collection {name}, which is not at hand")
                continue
            for number, (path, digest) in enumerate(files.items()):
                try:
                    found = self._sha256(self._roots[collection], path)
                except UserError as error:
                    rest = dict(list(files.items())[number:])
                    self._leave(rest, f"of the collection {name}: {_shown(str(error))}")
                    break
                if found != digest:
                    kind = "missing" if found is None else "changed"
                    yield f"source file {_shown(f'{collection}/{path}')}: {kind}"

    def _leave(self, files: Hashes, why: str) -> None:
        self.unchecked.append(f"{wording.count(len(files), 'source file')} {why}")
        self.num_unchecked += len(files)

    def _sha256(self, root: str, path: str) -> str | None:
        try:
            with storage.fetched(root, path, self._work) as local:
                return workdir.file_sha256(local)
        except FileNotFoundError:
            return None


def _shown(name: str) -> str:
    return plain(name, _MAX_NAME)
