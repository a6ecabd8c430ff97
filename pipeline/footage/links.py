"""Tells where links lead: to collections, into the cache of DVC, or out of a collection."""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import yaml

from pipeline.errors import UserError
from pipeline.footage.collection import INDEX
from pipeline.system import names

log = logging.getLogger(__name__)

_MISNAMED = re.compile(r"index\.(csv|tsv|xlsx?|ods)(\.\w+)?", re.IGNORECASE)
_NO_FOOTAGE = (".git", ".dvc")
# DVC names an object by its hash, below `files/md5` since its version 3.
_OBJECT = re.compile(r"(files/md5/)?[0-9a-f]{2}/[0-9a-f]{30}")


def find_collections(folder: Path) -> list[Path]:
    """The folders below `folder`, itself included, that hold an index; links are followed.

    Raises:
        UserError: something there would be left out: a link that leads nowhere, a folder that
            cannot be read or that DVC has not brought yet, an index under another name; or two
            ways lead to one collection.
    """
    if folder.is_symlink() and not folder.exists():
        raise UserError(_leads_nowhere(folder))
    if not folder.is_dir():
        return []
    ways: dict[str, list[Path]] = defaultdict(list)
    for root in _collections(folder, (), is_inside=False):
        ways[os.path.realpath(root)].append(root)
    for real, roots in ways.items():
        first, *others = sorted(roots, key=lambda root: (str(names.absolute(root)) != real, root))
        if others:
            raise UserError(
                f"{others[0]}: leads to the same collection as {first}, whose files would count "
                "twice; remove one of the links"
            )
    return sorted(root for roots in ways.values() for root in roots)


def leads_outside(root: Path, file: Path) -> bool:
    """Return whether a file of a collection is a link out of it that DVC did not make.

    DVC may replace files by links to its cache (`cache.type symlink`), to objects that are
    called by their hashes, which no one else has reason to imitate.
    """
    try:
        target = file.resolve()
        if target.is_relative_to(root.resolve()):
            return False
    except (OSError, RuntimeError):
        # A loop of links leads nowhere.
        return False
    return not any(_is_object(target, cache) for cache in _caches(root))


def _collections(folder: Path, above: tuple[str, ...], *, is_inside: bool) -> Iterator[Path]:
    """Yield the collections below a folder.

    Args:
        folder: to look through.
        above: real paths of the folders that led here.
        is_inside: a folder above holds an index, which accounts for the files.
    """
    real = os.path.realpath(folder)
    if real in above:
        log.warning("%s: a link to a folder above it, which adds nothing", folder)
        return
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be looked through ({error.strerror}); give the user who runs this "
            "the right to read it, or move it elsewhere"
        ) from error
    listed = {entry.name for entry in entries}
    if INDEX in listed:
        is_inside = True
        yield folder
    if not is_inside:
        _check_names(folder, listed)
    num_found, has_files = 0, False
    for entry in entries:
        path = folder / entry.name
        if path.is_dir():
            if entry.name not in _NO_FOOTAGE:
                for root in _collections(path, (*above, real), is_inside=is_inside):
                    num_found += 1
                    yield root
        elif entry.is_symlink() and not is_inside and not path.exists():
            raise UserError(_leads_nowhere(path))
        else:
            has_files |= not entry.name.startswith(".")
    if above and has_files and not is_inside and not num_found:
        log.warning("%s: holds files and no %s, so it is no collection", folder, INDEX)


def _leads_nowhere(path: Path) -> str:
    return (
        f"{path}: a link to {path.readlink()}, which is not there; "
        "mount what it leads to, run dvc checkout if DVC made it, or remove it"
    )


def _check_names(folder: Path, listed: set[str]) -> None:
    """Refuse an index that is called otherwise, and what DVC knows of and has not brought."""
    for name in sorted(listed):
        path = folder / name
        if _MISNAMED.fullmatch(name) and path.is_file():
            raise UserError(
                f"{path}: the index of a collection is called {INDEX}; save it as CSV under that "
                "name, or move it elsewhere"
            )
        if name.endswith(".dvc"):
            for output in _tracked_folders(path):
                if not os.path.lexists(output):
                    raise UserError(
                        f"{output}: not here, although {path} tracks it; run dvc pull, or "
                        f"dvc remove {path}"
                    )


def _tracked_folders(pointer: Path) -> list[Path]:
    """The folders that a file of `dvc add` stands for."""
    try:
        told = yaml.safe_load(pointer.read_text(encoding="utf-8"))
        folder = pointer.parent / str(told.get("wdir", "."))
        return [
            folder / str(out["path"])
            for out in told["outs"]
            if str(out.get("md5", "")).endswith(".dir")
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        # DVC itself says what is wrong with it.
        return []


def _is_object(target: Path, cache: Path) -> bool:
    return target.is_relative_to(cache) and bool(
        _OBJECT.fullmatch(target.relative_to(cache).as_posix())
    )


def _caches(root: Path) -> list[Path]:
    """The caches of the DVC repositories of a collection, of what it is a link to, and of ours."""
    starts = (Path.cwd(), names.absolute(root), root.resolve())
    repositories = {
        folder: None
        for start in starts
        for folder in (start, *start.parents)
        if (folder / ".dvc").is_dir()
    }
    return [cache for folder in repositories if (cache := _cache(folder)) is not None]


@lru_cache(maxsize=64)
def _cache(repository: Path) -> Path | None:
    """Return where DVC keeps the objects of a repository, as `dvc cache dir` says."""
    # Few runs meet a link that leads outside.
    from dvc.config import Config, ConfigError

    dvc = repository / ".dvc"
    try:
        cache = Config(dvc_dir=str(dvc))["cache"].get("dir") or dvc / "cache"
    except ConfigError as error:
        raise UserError(f"{dvc}: {error}; mend it, so that its cache can be found") from error
    # A URL is no folder that a link leads to.
    return Path(cache).resolve() if "://" not in str(cache) else None
