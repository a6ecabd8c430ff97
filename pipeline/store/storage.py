"""Footage and outputs on object storage; the only module with fsspec.

A place is a local folder or an fsspec URL such as `s3://bucket/prefix`. Credentials and endpoints
come from the standard AWS variables and files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pipeline.errors import UserError
from pipeline.store import workdir
from pipeline.system import disk, interrupts, names

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_INDEX = "index.csv"
_WAITS_S = (1.0, 5.0)
# What tells readers that a folder is whole goes up last.
_LAST_SUFFIXES = (".parquet", ".json")
# Says that a prefix belongs to a stage, which may delete what is in it.
_MARKER = ".published"
# The first of these that a file system knows changes when a file does.
_VERSION_KEYS = ("ETag", "etag", "md5Hash", "checksum", "LastModified", "mtime", "created")


def is_remote(place: str) -> bool:
    """Whether `place` is a URL and not a local folder."""
    return "://" in place


def name(place: str) -> str:
    """The last part of a place, by which a collection is called; of a link, its own name."""
    path = PurePosixPath(place) if is_remote(place) else names.absolute(place)
    return names.composed(path.name)


def identity(place: str, path: str) -> str:
    """A string that changes when the file at `path` inside `place` does, without reading it.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the path leaves the place, or the place cannot be reached.
    """
    if is_remote(place):
        return _version(_spelt(place, path)[1])
    return _local_version(_local(place, path))


@contextmanager
def fetched(place: str, path: str, work: Path) -> Iterator[Path]:
    """Yield the file at `path` inside `place`, downloaded to `work` for as long as the block runs.

    A file of a local place is yielded as it is. Names may be in another Unicode normal form than
    `path`, which is the same to a person.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the path leaves the place, or the place cannot be reached.
    """
    if not is_remote(place):
        local = _local(place, path)
        _local_version(local)
        if not local.is_file():
            raise FileNotFoundError(str(local))
        yield local
        return
    path, info = _spelt(place, path)
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="fetched-") as folder:
        local = Path(folder) / PurePosixPath(path).name
        _download(place, path, local, info["size"])
        yield local


def why_missing(place: str, path: str) -> str:
    """What a person should know about a path for which `fetched` finds no file."""
    return "no such file" if is_remote(place) else names.why_missing(Path(place), path)


@contextmanager
def fetched_index(place: str, work: Path) -> Iterator[Path]:
    """Yield a folder with the `index.csv` of a collection; mistakes in it name the place.

    Raises:
        UserError: no index there, or the place cannot be reached.
    """
    if not is_remote(place):
        yield Path(place)
        return
    try:
        with fetched(place, _INDEX, work) as index:
            try:
                yield index.parent
            except UserError as error:
                text = str(error).replace(str(index.parent), place.rstrip("/"))
                raise UserError(text) from error
    except FileNotFoundError as error:
        raise UserError(
            f"{_url(place, _INDEX)}: no such object; check bucket and prefix, and put the "
            "collection's index there"
        ) from error


def versions(place: str) -> dict[str, tuple[str, int]]:
    """Version and size in bytes of every file below a remote place, by path inside it.

    Raises:
        UserError: the place cannot be reached.
    """
    return {path: (_version(info), info["size"]) for path, info in _listing(place).items()}


def download(place: str, path: str, local: Path, version: str) -> None:
    """Fetch one version of a file, as `versions` gave it, to `local`.

    Raises:
        UserError: the file is gone or has another version by now, or cannot be reached.
    """
    try:
        info = _info(place, path)
        if _version(info) == version:
            _download(place, path, local, info["size"])
            return
    except FileNotFoundError:
        pass
    raise UserError(
        f"{_url(place, path)}: changed since its index was read; start again to read what is new"
    )


def local_copy(place: str, work: Path) -> Path:
    """Where `mirror` keeps its copy of a place, and where a stage writes what it will publish.

    The local folder itself where the place is one.
    """
    return work / "remote" / _key(place) / name(place) if is_remote(place) else Path(place)


def mirror(place: str, work: Path) -> Path:
    """Make a local copy of a folder equal to the place, downloading what changed, and return it.

    Raises:
        UserError: the place is empty, or cannot be reached.
    """
    copy = local_copy(place, work)
    if not is_remote(place):
        # Tasks of a cluster may begin in another folder.
        return copy.resolve()
    there = _listing(place)
    there.pop(_MARKER, None)
    if not there:
        raise UserError(f"{place}: no object there; run the stage that writes it, or check the URL")
    copy.mkdir(parents=True, exist_ok=True)
    here = _recorded(copy)
    _remove_others(copy, there)
    with _record(copy).open("a") as record:
        for path, info in there.items():
            if path not in here or here[path] != _pair(copy / path, info):
                partial = copy.with_name(f"{copy.name}.partial")
                _download(place, path, partial, info["size"])
                (copy / path).parent.mkdir(parents=True, exist_ok=True)
                partial.rename(copy / path)
                record.write(_record_line(copy, path, info))
                record.flush()
    return copy


def publish(folder: Path, target: str) -> None:
    """Make a remote prefix equal to a local folder; a local target is left to the caller.

    What was published before loses its tables first and gets the new ones last, so that a
    reader finds no manifest, rather than one of other shards, after a kill.

    Raises:
        UserError: the prefix holds what no stage wrote, or it cannot be reached or written.
    """
    if not is_remote(target):
        return
    before = _listing(target)
    if before and _MARKER not in before:
        raise UserError(
            f"{target}: holds other objects, such as '{min(before)}', that would be deleted; "
            "name a prefix of its own"
        )
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    stale = {path for path in before if path not in paths or _rank(path)} - {_MARKER}
    try:
        _remote(target, _MARKER, lambda fs, key: fs.pipe_file(key, b""))
    except FileNotFoundError as error:
        raise UserError(f"{target}: no such bucket; create it, or check the URL") from error
    for path in sorted(stale, key=_order, reverse=True):
        _remote(target, path, lambda fs, key: fs.rm_file(key))
    for path in sorted(paths, key=_order):
        _upload(folder / path, target, path)
    if folder == folder.parent.with_name(_key(target)) / name(target):
        after = _listing(target)
        lines = [_record_line(folder, path, after[path]) for path in sorted(paths)]
        _record(folder).write_text("".join(lines))
    log.info("published %d objects to %s", len(paths), target)


@contextmanager
def replacing(target: str, work: Path, output: workdir.Output) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target`, here or on a store, at the end.

    As `workdir.replacing`, which see; `publish` says what it refuses on a store.

    Raises:
        UserError: `target` holds something else than such an output, or cannot be written.
    """
    # What a mirror that was cut short has of a store is no whole output, and no loss.
    own = None if is_remote(target) else output
    with workdir.replacing(local_copy(target, work), work, own) as fresh:
        yield fresh
    if is_remote(target):
        interrupts.keeps(f"{target} may lack objects; run it again to publish it whole")
        interrupts.resume()
        publish(local_copy(target, work), target)
        interrupts.too_late(f"{target} is whole; run it again to have the rest too")


def own_folder(parent: Path, place: str, key: str | None = None) -> Path:
    """The folder of `parent` that is called after `place`, and after no other place of that name.

    The first place of a name has the bare name; others get a hash of where they are behind it.
    Who has which is kept beside the folders, since it tells of this machine.

    Args:
        parent: of the folders.
        place: a folder, or a URL.
        key: of the configuration, which names `parent`.

    Raises:
        UserError: `parent` cannot be made.
    """
    workdir.make_folder(parent, key)
    identity = place.rstrip("/") if is_remote(place) else str(Path(place).resolve())
    digest = _key(identity)
    records = parent / ".places"
    records.mkdir(exist_ok=True)
    for called in (name(place), f"{name(place)}-{digest[:8]}", f"{name(place)}-{digest}"):
        record, own = records / called, records / f".{called}-{os.getpid()}"
        own.write_text(digest)
        try:
            # Of two processes one is the first, and nobody reads half a record.
            record.hardlink_to(own)
        except FileExistsError:
            if record.read_text() != digest:
                continue
        finally:
            own.unlink()
        return parent / called
    raise AssertionError


def _rank(path: str) -> int:
    suffix = PurePosixPath(path).suffix
    return 1 + _LAST_SUFFIXES.index(suffix) if suffix in _LAST_SUFFIXES else 0


def _order(path: str) -> tuple[int, str]:
    return _rank(path), path


def _key(place: str) -> str:
    return hashlib.sha256(place.rstrip("/").encode()).hexdigest()[:16]


def _record(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.objects.jsonl")


def _record_line(copy: Path, path: str, info: dict[str, Any]) -> str:
    return json.dumps([path, _pair(copy / path, info)]) + "\n"


def _pair(local: Path, info: dict[str, Any]) -> list[str]:
    """Versions of an object and of its copy, which only belong together as a pair."""
    return [_version(info), _local_version(local) if local.is_file() else ""]


def _recorded(copy: Path) -> dict[str, list[str]]:
    """The pairs that were downloaded or published whole; later lines count."""
    record = _record(copy)
    if not record.is_file():
        return {}
    lines = record.read_text().splitlines(keepends=True)
    return dict(json.loads(line) for line in lines if line.endswith("]\n"))


def _remove_others(copy: Path, there: dict[str, dict[str, Any]]) -> None:
    for path in sorted(copy.rglob("*"), reverse=True):
        relative = path.relative_to(copy).as_posix()
        if path.is_file() and relative not in there:
            path.unlink()
        elif path.is_dir() and (relative in there or not any(path.iterdir())):
            shutil.rmtree(path)


def _local(place: str, path: str) -> Path:
    return names.find(Path(place), _inside(place, path)) or Path(place) / path


def _spelt(place: str, path: str) -> tuple[str, dict[str, Any]]:
    """How the name of an object is written, perhaps in another normal form, and its `_info`."""
    for spelling in names.spellings(_inside(place, path)):
        try:
            return spelling, _info(place, spelling)
        except FileNotFoundError:
            continue
    raise FileNotFoundError(_url(place, path))


def _local_version(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        # A loop of links, a name too long, a folder that is closed to us: no file either.
        raise FileNotFoundError(str(path)) from error
    return f"{status.st_size}-{status.st_mtime_ns}"


def _version(info: dict[str, Any]) -> str:
    marks = [str(info[key]) for key in _VERSION_KEYS if info.get(key) is not None]
    return f"{info['size']}-{marks[0] if marks else ''}"


def _info(place: str, path: str) -> dict[str, Any]:
    info: dict[str, Any] = _remote(place, _inside(place, path), lambda fs, key: fs.info(key))
    if info["type"] != "file":
        raise FileNotFoundError(_url(place, path))
    return info


def _download(place: str, path: str, local: Path, size: int) -> None:
    def get(fs: Any, key: str) -> None:
        fs.get_file(key, str(local))
        if local.stat().st_size != size:
            raise OSError(f"{local.stat().st_size} bytes instead of {size}")

    _remote(place, path, get)


def _upload(local: Path, place: str, path: str) -> None:
    _remote(place, path, lambda fs, key: fs.put_file(str(local), key))


def _listing(place: str) -> dict[str, dict[str, Any]]:
    """What the file system tells of every file below a place, by path inside it, sorted."""

    def find(fs: Any, root: str) -> dict[str, dict[str, Any]]:
        found = fs.find(root, detail=True)
        prefix = root.rstrip("/") + "/"
        return {key.removeprefix(prefix): info for key, info in sorted(found.items())}

    try:
        found = _remote(place, "", find)
    except FileNotFoundError:
        return {}
    # Keys may hold anything; the file system of a copy would follow them out of it.
    return {
        _inside(place, path): info
        for path, info in found.items()
        if info["type"] == "file" and not path.endswith("/")
    }


def _inside(place: str, path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\0" in path:
        raise UserError(f"{place}: '{path}' leaves the folder; give a relative path inside it")
    return path


def _url(place: str, path: str) -> str:
    return f"{place.rstrip('/')}/{path}" if path else place


def _remote(place: str, path: str, act: Callable[[Any, str], Result]) -> Result:
    """Return `act(file system, key)`, tried again after trouble on the way.

    Raises:
        FileNotFoundError: there is no such object.
        UserError: everything else that can be wrong with a place.
    """
    url = _url(place, path)
    file_system, root = _open(place)
    key = f"{root.rstrip('/')}/{_inside(place, path)}" if path else root
    for wait_s in (*_WAITS_S, None):
        try:
            return act(file_system, key)
        except FileNotFoundError as error:
            raise FileNotFoundError(url) from error
        except PermissionError as error:
            raise UserError(
                f"{url}: access denied ({error}); check the credentials and their rights"
            ) from error
        except Exception as error:
            if "Credentials" in type(error).__name__:
                raise UserError(
                    f"{url}: no credentials ({error}); set AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                ) from error
            if not _is_trouble_on_the_way(error):
                raise
            if wait_s is None:
                raise UserError(
                    f"{url}: not reachable ({type(error).__name__}: {error}); check the network "
                    "and AWS_ENDPOINT_URL, and run it again"
                ) from error
            log.warning("%s: %s: %s; again in %g s", url, type(error).__name__, error, wait_s)
            time.sleep(wait_s)
    raise AssertionError


def _open(place: str) -> tuple[Any, str]:
    try:
        import fsspec

        file_system, root = fsspec.core.url_to_fs(place, use_listings_cache=False)
    except ImportError as error:
        raise UserError(f"{place}: {error}; pip install -e '.[s3]'") from error
    except ValueError as error:
        raise UserError(f"{place}: {error}; name a folder or s3://bucket/prefix") from error
    if not root.strip("/"):
        raise UserError(f"{place}: names no bucket; give s3://bucket/prefix")
    return file_system, root


def _is_trouble_on_the_way(error: Exception) -> bool:
    """Whether an exception comes from the network or the store and not from a bug."""
    if isinstance(error, OSError):
        return error.errno not in disk.REFUSALS
    return type(error).__module__.split(".")[0] in ("botocore", "aiobotocore", "aiohttp")
