"""Where the files of a listing are, and how each of them comes to this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline.commands.score.listing import Given
from pipeline.config import ScoreApp
from pipeline.errors import UserError
from pipeline.footage import conversion, foreign
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.live import addresses, web
from pipeline.live.addresses import Refused, Rules
from pipeline.live.fetcher import Failed
from pipeline.system import disk
from pipeline.system.untrusted import plain

_BY_HTTP = ("https", "http")
_IN_STORE = ("s3",)
_WAITS_S = (1.0, 5.0)
_READ_BYTES = 2**16
_MOST_SUFFIX = 10
_MOST_SHOWN = 120
REMEDIES = {
    "unknown_scheme": "give a path, or an address that begins with s3:// or https://",
    "outside_listing": "give an absolute path, or one below the folder of the listing",
    "refused_address": "give another address, or see hosts and allow_private",
    "other_bytes": "look at which is right, and mend the listing or the file",
    "too_large_to_fetch": "divide the file or raise max_fetch_mb",
    "not_fetched": "look at its server and at the network; then remove the part of the scores that "
    "it is in, and run it again",
}
"""What to do about a row, by the reasons for which its file is not had."""


@dataclass(frozen=True)
class Places:
    """How files are had.

    Attributes:
        folder: that relative paths begin from.
        cfg: what a file may cost, and which addresses may be connected to.
    """

    folder: Path
    cfg: ScoreApp

    @contextmanager
    def at_hand(self, given: Given) -> Iterator[FileTask]:
        """Have a file on this machine for as long as the block runs, or say why not.

        Yields:
            The task to convert it, with `local`, or with `refused`.

        Raises:
            UserError: a store that takes no credentials.
        """
        found = self._place(given.uri)
        if isinstance(found, Unusable):
            yield self._task("", "", refused=found)
        elif found[0] in _BY_HTTP:
            with self._fetched(given.uri) as task:
                yield task
        else:
            try:
                with conversion.at_hand(self._task(*found)) as task:
                    yield task
            except UserError as error:
                # Without credentials no row of the store can be had, and all would be rejects.
                if "credentials" in str(error) or found[0].partition("://")[0] not in _IN_STORE:
                    raise
                detail = plain(str(error), 3 * _MOST_SHOWN)
                yield self._task("", "", refused=Unusable("not_fetched", detail))

    def _place(self, uri: str) -> tuple[str, str] | Unusable:
        """The root and the path inside it; of what is fetched by HTTP, the scheme and nothing."""
        shown = f"'{plain(addresses.redacted(uri), _MOST_SHOWN)}'"
        if not uri.strip():
            return Unusable("unknown_scheme", "the address is empty")
        if addresses.is_address(uri):
            scheme, _, rest = uri.partition("://")
            scheme = scheme.lower()
            if scheme in _BY_HTTP:
                return scheme, ""
            if scheme in _IN_STORE:
                bucket, _, key = rest.partition("/")
                inside = PurePosixPath(key)
                if bucket and key and not inside.is_absolute() and ".." not in inside.parts:
                    prefix, _, name = key.rpartition("/")
                    return f"{scheme}://{bucket}{'/' * bool(prefix)}{prefix}", name
                return Unusable("unknown_scheme", f"{shown} names no object of a bucket")
            if scheme != "file":
                return Unusable("unknown_scheme", f"{shown}: of no scheme that is read")
            try:
                uri = unquote(urlsplit(uri).path)
            except ValueError:
                return Unusable("unknown_scheme", f"{shown}: an address that cannot be read")
        if "\0" in uri:
            return Unusable("outside_listing", f"{shown} holds a NUL, which no path can")
        path = PurePosixPath(uri)
        if path.is_absolute():
            return str(path.parent), path.name
        if ".." in path.parts or not path.name:
            return Unusable("outside_listing", f"{shown} leaves the folder of the listing")
        return str(self.folder), uri

    def _task(
        self,
        root: str,
        path: str,
        *,
        local: Path | None = None,
        refused: Unusable | None = None,
    ) -> FileTask:
        ingest = self.cfg.ingest
        limits = foreign.Limits(ingest.max_pixels, ingest.max_duration_s, ingest.max_output_mb)
        task = FileTask(
            root,
            path,
            ingest.clip,
            ingest.stride_frames,
            limits,
            Path(self.cfg.paths.work).resolve(),
            as_shown=True,
            with_sound=ingest.sound,
        )
        return replace(task, local=local, refused=refused)

    @contextmanager
    def _fetched(self, url: str) -> Iterator[FileTask]:
        cfg = self.cfg
        work = Path(cfg.paths.work)
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work, prefix="fetched-") as folder:
            local = Path(folder) / f"video{_suffix(url)}"
            reason = self._fetch(url, local)
            if reason is not None:
                yield self._task("", "", refused=reason)
            else:
                yield self._task(folder, local.name, local=local)

    def _fetch(self, url: str, local: Path) -> Unusable | None:
        """Write what an address answers with; returns why not where that cannot be done."""
        cfg = self.cfg
        rules = Rules(_BY_HTTP, tuple(cfg.hosts), cfg.allow_private)
        last: Unusable | None = None
        for wait_s in (*_WAITS_S, None):
            try:
                with web.get(url, rules, cfg.timeout_s) as answer, local.open("wb") as file:
                    return _written(answer, file.write, cfg.max_fetch_mb)
            except Refused as error:
                return Unusable("refused_address", str(error))
            except Failed as error:
                report = error.report
                if report.reason == "not_found":
                    return Unusable("missing_file", report.detail)
                last = Unusable("not_fetched", report.detail or report.reason)
                if report.is_final:
                    return last
            except OSError as error:
                if error.errno in disk.REFUSALS:
                    raise
                told = error.strerror or type(error).__name__
                last = Unusable("not_fetched", f"{addresses.told(url)}: {told}")
            if wait_s is not None:
                time.sleep(wait_s)
        return last


def _written(answer: web.Answer, write: Any, max_mb: float) -> Unusable | None:
    size, most = 0, max_mb * 1e6
    while data := answer.read(_READ_BYTES):
        size += len(data)
        if size > most:
            where = addresses.told(answer.url)
            return Unusable("too_large_to_fetch", f"{where}: more than {max_mb:g} MB")
        write(data)
    if answer.length is not None and size < answer.length:
        raise Failed("cut_off", f"{addresses.told(answer.url)}: the answer ended before its end")
    return None


def _suffix(url: str) -> str:
    """What the name of a file ends with, if that is one of a kind of file."""
    try:
        suffix = PurePosixPath(unquote(urlsplit(url).path)).suffix
    except ValueError:
        # Who fetches it will say why.
        return ""
    return suffix if suffix[1:].isalnum() and len(suffix) <= _MOST_SUFFIX else ""
