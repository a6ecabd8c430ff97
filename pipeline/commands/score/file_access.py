"""Finds the files of a listing, and brings each of them to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pipeline.commands import fetching
from pipeline.commands.score.listing import ListingRow
from pipeline.config import ScoreApp
from pipeline.errors import UserError
from pipeline.footage import conversion, foreign
from pipeline.footage.conversion import FileTask, Unusable
from pipeline.live import addresses
from pipeline.system.visible_text import plain

_IN_STORE = ("s3",)
_MOST_SHOWN = 120
REMEDIES = fetching.REMEDIES | {
    "missing_file": "put the file there, mend its path or address, or take its row out of the "
    "listing",
    "unknown_scheme": "give a path, or an address that begins with s3:// or https://",
    "outside_listing": "give an absolute path, or one below the folder of the listing",
    "other_bytes": "look at which is right, and mend the listing or the file",
    "not_fetched": "look at its server and at the network; then remove the part of the scores that "
    "it is in, and run it again",
}
"""What to do about a row, by the reasons for which its file is not had."""


@dataclass(frozen=True)
class FileAccess:
    """Tells how files are had.

    Attributes:
        folder: that relative paths begin from.
        cfg: what a file may cost, and which addresses may be connected to.
    """

    folder: Path
    cfg: ScoreApp

    @contextmanager
    def at_hand(self, given: ListingRow) -> Iterator[FileTask]:
        """Have a file on this machine for as long as the block runs, or say why not.

        Yields:
            The task to convert it, with `local`, or with `refused`.

        Raises:
            UserError: a store that takes no credentials.
        """
        found = self._place(given.uri)
        if isinstance(found, Unusable):
            yield self._task("", "", refused=found)
        elif found[0] in fetching.SCHEMES:
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
            if scheme in fetching.SCHEMES:
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
            if path.name in ("", ".."):
                return Unusable("missing_file", f"{shown} names no file", is_lasting=False)
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
        limits = foreign.DecodingLimits(
            ingest.max_pixels, ingest.max_duration_s, ingest.max_output_mb
        )
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
        work = Path(self.cfg.paths.work)
        work.mkdir(parents=True, exist_ok=True)
        with fetching.fetched(url, work, self.cfg) as found:
            if isinstance(found, Path):
                yield self._task(str(found.parent), found.name, local=found)
            else:
                yield self._task("", "", refused=found)
