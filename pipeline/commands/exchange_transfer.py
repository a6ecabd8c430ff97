"""Reaches exchanges where they lie: in a folder, in object storage, or on a web server.

What is elsewhere is fetched to a folder of its own, no more of it than is new and than may come,
and told by the same code as a folder. Web servers are nobody's to trust, so that the rules of
`pipeline.live.addresses` hold for them; they are read, and never written to.
"""

from __future__ import annotations

import hashlib
import netrc
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipeline.config import ExchangeApp
from pipeline.copies import exchange_manifest
from pipeline.copies.exchange_manifest import MANIFEST, MAX_MANIFEST_BYTES, Manifest
from pipeline.errors import UserError
from pipeline.live import addresses, web
from pipeline.live.addresses import ForbiddenAddress, Rules
from pipeline.live.fetcher import FetchFailure
from pipeline.store import storage, workdir

_WEB = ("https://", "http://")
_IN_EXCHANGE = re.compile(rf"\d{{6}}\.jsonl|{re.escape(MANIFEST)}")


def check(address: str, what: str, *, written: bool = False) -> None:
    """Check that an address can be one of an exchange.

    Args:
        address: of it.
        what: is said of it.
        written: whether it is written to.

    Raises:
        UserError: it cannot.
    """
    if "::" in address:
        raise UserError(f"{what}={address}: no chain of file systems; give a folder or one URL")
    if not _is_web(address):
        return
    if written:
        raise UserError(
            f"{what}={addresses.public_part(address)}: a web server is only read; give a folder or "
            "an s3:// URL that it serves"
        )
    parts = urlsplit(address)
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(
            f"{what}={addresses.public_part(address)}: a password or a query has no place in a "
            "file that others may read; give the address alone, and the password in ~/.netrc"
        )


@contextmanager
def received(
    address: str,
    key: Ed25519PublicKey,
    num_taken: Callable[[Manifest], int],
    cfg: ExchangeApp,
    work: Path,
) -> Iterator[Path]:
    """The folder of an exchange, with what is new of it for as long as the block runs.

    Args:
        address: of the exchange.
        key: that it has to be signed with.
        num_taken: how many of its deltas were taken before.
        cfg: what it may cost, and which web servers may be asked.
        work: the folder to fetch it into.

    Raises:
        UserError: it cannot be fetched, or is not signed with the key.
    """
    if not storage.is_remote(address):
        yield Path(address)
        return
    with _own(work) as folder, _told_as(folder, address):
        source = _source(address, cfg)
        source.fetch(MANIFEST, folder / MANIFEST, MAX_MANIFEST_BYTES)
        manifest = exchange_manifest.read(folder, key)
        new = list(enumerate(manifest.deltas, 1))[num_taken(manifest) :]
        num_bytes = sum(delta.num_bytes for _, delta in new)
        if num_bytes > cfg.max_mb * 1e6:
            raise UserError(
                f"{folder}: {num_bytes / 1e6:.3f} MB are new, more than max_mb={cfg.max_mb:g}; "
                "nothing of it was taken, so give more if you expect that much"
            )
        for number, delta in new:
            path = exchange_manifest.delta_path(folder, number)
            source.fetch(path.name, path, delta.num_bytes)
        yield folder


@contextmanager
def received_file(address: str, cfg: ExchangeApp, work: Path) -> Iterator[Path]:
    """A file, fetched for as long as the block runs.

    Raises:
        UserError: it cannot be fetched.
    """
    if not storage.is_remote(address):
        yield Path(address)
        return
    base, _, name = address.rpartition("/")
    if name in ("", ".", ".."):
        raise UserError(f"{address}: names no file; give the address of a list")
    with _own(work) as folder, _told_as(folder, base):
        _source(base, cfg).fetch(name, folder / name, int(cfg.max_mb * 1e6))
        yield folder / name


@contextmanager
def uploading(address: str, work: Path) -> Iterator[Path]:
    """The folder of an exchange, of which what the block changes comes to the address at its end.

    Raises:
        UserError: it cannot be fetched or written, or somebody else has written it meanwhile.
    """
    if not storage.is_remote(address):
        yield Path(address)
        return
    with _own(work) as folder, _told_as(folder, address):
        there = storage.versions(address)
        if MANIFEST in there:
            for name in filter(_IN_EXCHANGE.fullmatch, there):
                with storage.fetched(address, name, folder) as found:
                    found.rename(folder / name)
        elif not all(map(_IN_EXCHANGE.fullmatch, there)):
            raise UserError(f"{folder}: not empty, and no exchange; give another prefix")
        before = _digests(folder)
        yield folder
        after = _digests(folder)
        changed = sorted(name for name in after if after[name] != before.get(name))
        if changed and storage.versions(address) != there:
            raise UserError(
                f"{folder}: somebody else has written it meanwhile; nothing was sent, so run it "
                "again, from one machine alone"
            )
        # Nobody may read of a delta that is not there yet.
        for name in sorted(changed, key=lambda name: name == MANIFEST):
            storage.upload(folder / name, address, name)


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.startswith(".")
    }


@contextmanager
def _own(work: Path) -> Iterator[Path]:
    workdir.make_folder(work)
    with tempfile.TemporaryDirectory(dir=work, prefix="exchange-") as folder:
        yield Path(folder)


@contextmanager
def _told_as(folder: Path, address: str) -> Iterator[None]:
    """Have what is said of a folder be said of the address that it was fetched from."""
    shown = (
        addresses.public_part(address).removesuffix("/…")
        if _is_web(address)
        else address.rstrip("/")
    )
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(str(folder), shown)) from error


def _is_web(address: str) -> bool:
    return address.lower().startswith(_WEB)


def _source(address: str, cfg: ExchangeApp) -> _Web | _Store:
    return _Web(address, cfg) if _is_web(address) else _Store(address)


class _Store:
    """A prefix of object storage."""

    def __init__(self, address: str) -> None:
        self._address, self._there = address, storage.versions(address)

    def fetch(self, name: str, path: Path, max_bytes: int) -> None:
        """Fetch an object of a size that it may have.

        Raises:
            UserError: there is none, it is larger, or it cannot be reached.
        """
        if name not in self._there:
            raise UserError(
                f"{path}: no such object; nothing of it was taken, so check bucket and prefix"
            )
        if self._there[name][1] > max_bytes:
            raise _too_large(path, max_bytes)
        with storage.fetched(self._address, name, path.parent) as found:
            found.rename(path)


class _Web:
    """A folder of a web server."""

    def __init__(self, address: str, cfg: ExchangeApp) -> None:
        self._base, self._cfg = address.rstrip("/"), cfg
        schemes = ("https", "http") if cfg.allow_private else ("https",)
        self._rules = Rules(schemes, allow_private=cfg.allow_private)
        self._until = time.monotonic() + cfg.limit_s

    def fetch(self, name: str, path: Path, max_bytes: int) -> None:
        """Fetch a file of a size that it may have.

        Raises:
            UserError: there is none, it is larger, it takes too long, or the server must not be
                asked.
        """
        cfg = self._cfg
        try:
            url = _with_password(f"{self._base}/{name}")
            with web.get(url, self._rules, cfg.timeout_s) as answer, path.open("wb") as file:
                for piece in answer.pieces(max_bytes):
                    file.write(piece)
                    if time.monotonic() > self._until:
                        raise TimeoutError(f"not all of it came within {cfg.limit_s:g} s")
        except ForbiddenAddress as error:
            is_plain = self._base.startswith("http:") and not cfg.allow_private
            remedy = "; give its address by https, or allow_private=true" if is_plain else ""
            raise UserError(f"{error}{remedy}; nothing of it was taken") from error
        except FetchFailure as error:
            if error.report.reason == "too_large":
                raise _too_large(path, max_bytes) from error
            why = error.report.detail or error.report.reason
            raise UserError(
                f"{path}: {why}; nothing of it was taken, so ask whose server it is"
            ) from error
        except OSError as error:
            why = error.strerror or str(error) or type(error).__name__
            raise UserError(
                f"{path}: cannot be fetched ({why}); nothing of it was taken, so run it again"
            ) from error


def _too_large(path: Path, max_bytes: int) -> UserError:
    return UserError(
        f"{path}: more than the {max_bytes} bytes that it may have; nothing of it was taken, so "
        "ask the sender for a whole copy"
    )


def _with_password(url: str) -> str:
    """An address with what `~/.netrc` has for its host, if it has anything.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        found = netrc.netrc().authenticators(urlsplit(url).hostname or "")
    except FileNotFoundError:
        return url
    except (netrc.NetrcParseError, OSError) as error:
        raise UserError(f"~/.netrc: cannot be read ({error}); mend it") from error
    if found is None or not found[2]:
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(found[0], safe='')}:{quote(found[2], safe='')}@{rest}"
