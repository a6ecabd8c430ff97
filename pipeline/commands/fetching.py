"""Files that are given by the address of a web server, and how one comes to this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pipeline.config import FetchConfig
from pipeline.footage.conversion import Unusable
from pipeline.live import addresses, web
from pipeline.live.addresses import ForbiddenAddress, Rules
from pipeline.live.fetcher import FetchFailure

SCHEMES = ("https", "http")
REMEDIES = {
    "refused_address": "give another address, or see hosts and allow_private",
    "too_large_to_fetch": "divide the file or raise max_fetch_mb",
    "not_fetched": "look at its server and at the network, and run it again",
}
"""What to do about a file that is not had, by the reason."""
_WAITS_S = (1.0, 5.0)
_AT_ONCE = {"not_found": "missing_file", "too_large": "too_large_to_fetch"}
"""Failures that another try would meet again, and what they are called of a file."""
_MOST_SUFFIX = 10


@contextmanager
def fetched(url: str, work: Path, cfg: FetchConfig) -> Iterator[Path | Unusable]:
    """A file of an address, in a folder of its own for as long as the block runs, or why not.

    Raises:
        OSError: the disk refuses what is written.
    """
    with tempfile.TemporaryDirectory(dir=work, prefix="fetched-") as folder:
        local = Path(folder) / f"video{_suffix(url)}"
        yield _fetch(url, local, cfg) or local


def _fetch(url: str, local: Path, cfg: FetchConfig) -> Unusable | None:
    """Write what an address answers with; returns why not where that cannot be done."""
    rules = Rules(SCHEMES, cfg.hosts, cfg.allow_private)
    last: Unusable | None = None
    for wait_s in (*_WAITS_S, None):
        try:
            with web.get(url, rules, cfg.timeout_s) as answer, _writing(local) as write:
                for piece in answer.pieces(int(cfg.max_fetch_mb * 1e6)):
                    write(piece)
                return None
        except _NotWritten as error:
            raise error.refused from None
        except ForbiddenAddress as error:
            return Unusable("refused_address", str(error))
        except FetchFailure as error:
            report = error.report
            if report.reason in _AT_ONCE:
                return Unusable(_AT_ONCE[report.reason], report.detail)
            last = Unusable("not_fetched", report.detail or report.reason)
            if report.is_final:
                return last
        except OSError as error:
            told = error.strerror or type(error).__name__
            last = Unusable("not_fetched", f"{addresses.public_part(url)}: {told}")
        if wait_s is not None:
            time.sleep(wait_s)
    return last


class _NotWritten(Exception):
    """The disk of this machine refuses what came.

    Networks have errors of the same numbers: a certificate that is not trusted has that of a file
    that must not be touched.
    """

    def __init__(self, refused: OSError) -> None:
        super().__init__(str(refused))
        self.refused = refused


@contextmanager
def _writing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Yield what writes a file, and tells what the disk says from what the network says."""

    def write(data: bytes) -> None:
        try:
            file.write(data)
            file.flush()
        except OSError as error:
            raise _NotWritten(error) from error

    try:
        file = path.open("wb")
    except OSError as error:
        raise _NotWritten(error) from error
    with file:
        yield write


def _suffix(url: str) -> str:
    """Return what the name of a file ends with, if that is one of a kind of file."""
    try:
        found = PurePosixPath(unquote(urlsplit(url).path)).suffix
    except ValueError:
        # Who fetches it will say why.
        return ""
    return found if found[1:].isalnum() and len(found) <= _MOST_SUFFIX else ""
