"""Object storage: footage, packed samples and exchanges; the only module with fsspec.

A root is a local folder or an fsspec URL such as `s3://bucket/prefix`. Credentials and endpoints
come from the standard AWS variables and files. What stages write is local, and DVC's remotes carry
it elsewhere; only an exchange of banks is written here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pipeline.errors import UserError
from pipeline.store import workdir
from pipeline.system import disk, names

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_INDEX = "index.csv"
_WAITS_S = (1.0, 5.0)
# The first of these that a file system knows changes when a file does.
_VERSION_KEYS = ("ETag", "etag", "md5Hash", "checksum", "LastModified", "mtime", "created")


def is_remote(root: str) -> bool:
    """Return whether `root` is a URL and not a local folder."""
    return "://" in root


def name(root: str) -> str:
    """The last part of a root, by which a collection is called; of a link, its own name."""
    path = PurePosixPath(root) if is_remote(root) else names.absolute(root)
    return names.composed(path.name)


def identity(root: str, path: str) -> str:
    """A string that changes when the file at `path` inside `root` does, without reading it.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the path leaves the root, or the root cannot be reached.
    """
    if is_remote(root):
        return _version(_spelt(root, path)[1])
    return _local_version(_local(root, path))


@contextmanager
def fetched(root: str, path: str, work: Path) -> Iterator[Path]:
    """Yield the file at `path` inside `root`, downloaded to `work` for as long as the block runs.

    A file of a local root is yielded as it is. Names may be in another Unicode normal form than
    `path`, which is the same to a person.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the path leaves the root, or the root cannot be reached.
    """
    if not is_remote(root):
        local = _local(root, path)
        _local_version(local)
        if not local.is_file():
            raise FileNotFoundError(str(local))
        yield local
        return
    path, info = _spelt(root, path)
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="fetched-") as folder:
        local = Path(folder) / PurePosixPath(path).name
        _download(root, path, local, info["size"])
        yield local


def why_missing(root: str, path: str) -> str:
    """Return what a person should know about a path for which `fetched` finds no file."""
    return "no such file" if is_remote(root) else names.why_missing(Path(root), path)


@contextmanager
def fetched_index(root: str, work: Path) -> Iterator[Path]:
    """Yield a folder with the `index.csv` of a collection; mistakes in it name the root.

    Raises:
        UserError: no index there, or the root cannot be reached.
    """
    if not is_remote(root):
        yield Path(root)
        return
    try:
        with fetched(root, _INDEX, work) as index:
            try:
                yield index.parent
            except UserError as error:
                text = str(error).replace(str(index.parent), root.rstrip("/"))
                raise UserError(text) from error
    except FileNotFoundError as error:
        raise UserError(
            f"{_url(root, _INDEX)}: no such object; check bucket and prefix, and put the "
            "collection's index there"
        ) from error


def versions(root: str) -> dict[str, tuple[str, int]]:
    """Version and size in bytes of every file below a remote root, by path inside it.

    Raises:
        UserError: the root cannot be reached.
    """
    return {path: (_version(info), info["size"]) for path, info in _listing(root).items()}


def download(root: str, path: str, local: Path, version: str) -> None:
    """Fetch one version of a file, as `versions` gave it, to `local`.

    Raises:
        UserError: the file is gone or has another version by now, or cannot be reached.
    """
    try:
        info = _info(root, path)
        if _version(info) == version:
            _download(root, path, local, info["size"])
            return
    except FileNotFoundError:
        pass
    raise UserError(
        f"{_url(root, path)}: changed since its index was read; start again to read what is new"
    )


def upload(local: Path, root: str, path: str) -> None:
    """Put a file at `path` inside a remote root, in the place of what may be there; whole or not.

    Raises:
        UserError: the path leaves the root, or the root cannot be reached or written to.
    """

    def put(fs: Any, key: str) -> None:
        fs.put_file(str(local), key)

    try:
        _remote(root, path, put)
    except FileNotFoundError as error:
        raise UserError(f"{_url(root, path)}: no such bucket; make it, or give another") from error


def own_folder(parent: Path, root: str, key: str | None = None) -> Path:
    """The folder of `parent` that is called after `root`, and after no other root of that name.

    The first root of a name has the bare name; others get a hash of where they are behind it.
    Who has which is kept beside the folders, since it tells of this machine.

    Args:
        parent: of the folders.
        root: a folder, or a URL.
        key: of the configuration, which names `parent`.

    Raises:
        UserError: `parent` cannot be made.
    """
    workdir.make_folder(parent, key)
    identity = root.rstrip("/") if is_remote(root) else str(Path(root).resolve())
    digest = _key(identity)
    records = parent / ".places"
    records.mkdir(exist_ok=True)
    for called in (name(root), f"{name(root)}-{digest[:8]}", f"{name(root)}-{digest}"):
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


def _key(root: str) -> str:
    return hashlib.sha256(root.rstrip("/").encode()).hexdigest()[:16]


def _local(root: str, path: str) -> Path:
    return names.find(Path(root), _inside(root, path)) or Path(root) / path


def _spelt(root: str, path: str) -> tuple[str, dict[str, Any]]:
    """Say how the name of an object is written, perhaps in another normal form, and its `_info`."""
    for spelling in names.spellings(_inside(root, path)):
        try:
            return spelling, _info(root, spelling)
        except FileNotFoundError:
            continue
    raise FileNotFoundError(_url(root, path))


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


def _info(root: str, path: str) -> dict[str, Any]:
    info: dict[str, Any] = _remote(root, _inside(root, path), lambda fs, key: fs.info(key))
    if info["type"] != "file":
        raise FileNotFoundError(_url(root, path))
    return info


def _download(root: str, path: str, local: Path, size: int) -> None:
    def get(fs: Any, key: str) -> None:
        fs.get_file(key, str(local))
        if local.stat().st_size != size:
            raise OSError(f"{local.stat().st_size} bytes instead of {size}")

    _remote(root, path, get)


def _listing(root: str) -> dict[str, dict[str, Any]]:
    """Return what the file system tells of every file below a root, by path inside it, sorted."""

    def find(fs: Any, base: str) -> dict[str, dict[str, Any]]:
        found = fs.find(base, detail=True)
        prefix = base.rstrip("/") + "/"
        return {key.removeprefix(prefix): info for key, info in sorted(found.items())}

    try:
        found = _remote(root, "", find)
    except FileNotFoundError:
        return {}
    # Keys may hold anything; the file system of a copy would follow them out of it.
    return {
        _inside(root, path): info
        for path, info in found.items()
        if info["type"] == "file" and not path.endswith("/")
    }


def _inside(root: str, path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\0" in path:
        raise UserError(f"{root}: '{path}' leaves the folder; give a relative path inside it")
    return path


def _url(root: str, path: str) -> str:
    return f"{root.rstrip('/')}/{path}" if path else root


def _remote(root: str, path: str, act: Callable[[Any, str], Result]) -> Result:
    """Return `act(file system, key)`, tried again after trouble on the way.

    Raises:
        FileNotFoundError: there is no such object.
        UserError: everything else that can be wrong with a root.
    """
    url = _url(root, path)
    file_system, base = _open(root)
    key = f"{base.rstrip('/')}/{_inside(root, path)}" if path else base
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


def _open(root: str) -> tuple[Any, str]:
    try:
        import fsspec

        file_system, base = fsspec.core.url_to_fs(root, use_listings_cache=False)
    except ImportError as error:
        raise UserError(f"{root}: {error}; pip install -e '.[s3]'") from error
    except ValueError as error:
        raise UserError(f"{root}: {error}; name a folder or s3://bucket/prefix") from error
    if not base.strip("/"):
        raise UserError(f"{root}: names no bucket; give s3://bucket/prefix")
    return file_system, base


def _is_trouble_on_the_way(error: Exception) -> bool:
    """Return whether an exception comes from the network or the store and not from a bug."""
    if isinstance(error, OSError):
        return error.errno not in disk.REFUSALS
    return type(error).__module__.split(".")[0] in ("botocore", "aiobotocore", "aiohttp")
