"""Untracked work folders: finished work survives a kill, outputs change only as a whole.

And only one process at a time works on each of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.store import locks
from pipeline.store import output_files as named
from pipeline.system import interrupts

KEPT = "kept"
"""The folder in a work folder for finished work that outlives its run."""
PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = (".c", ".css", ".j2", ".js", ".py")


@dataclass(frozen=True)
class Output:
    """Holds what an earlier output is told by, so that nothing else is replaced."""

    writer: str
    """The stage or command that writes it."""
    key: str
    """Key of the configuration that names its folder."""
    has: tuple[str, ...]
    """Files that every one holds."""
    only: tuple[str, ...] = ("*",)
    """Patterns of the names of all that it holds, where other folders have those files as well;
    behind a slash, a file that the folder of that name holds."""

    def stranger(self, folder: Path) -> str | None:
        """A path inside `folder` that shows that it is no such output; None if it is one.

        An empty folder counts as one. A name that begins with a dot shows nothing where the rest
        is an output, since file managers leave such files.
        """
        names = sorted(entry.name for entry in folder.iterdir())
        # A link into a cache that was emptied is still a sign.
        if not all(os.path.lexists(folder / name) for name in self.has):
            return _some_file(folder, names)
        strange = [
            name for name in names if not (name.startswith(".") or self._knows(folder, name))
        ]
        return _some_file(folder, strange)

    def _knows(self, folder: Path, name: str) -> bool:
        return any(
            fnmatchcase(name, first) and os.path.lexists(folder / name / rest)
            for first, _, rest in (pattern.partition("/") for pattern in self.only)
        )


OUTPUTS = {
    one.writer: one
    for one in (
        Output(
            "synthesize",
            "paths.synthetic",
            (named.STATS,),
            only=(named.STATS, "*/index.csv"),
        ),
        Output("ingest", "paths.clips", (named.MANIFEST, named.FILES)),
        Output("split", "paths.splits", (named.MANIFEST, named.AUDIT)),
        Output(
            "augment",
            "paths.augmented",
            (named.MANIFEST, named.STATS),
            only=(named.MANIFEST, named.STATS, "shard-*"),
        ),
        Output("pack", "paths.packed", (named.INDEX, named.FORMAT)),
        Output(
            "embed",
            "paths.features",
            (named.STATS,),
            only=(
                *(named.STATS, named.ENCODER, named.INDEX, "features-*"),
                *(named.SOUND_ENCODER, named.SOUND_INDEX, "sounds-*"),
            ),
        ),
        Output("probe", "paths.probes", (named.METRICS,), only=(named.METRICS,)),
        Output("train", "paths.models", (named.CARD, named.CURVES)),
        Output("evaluate", "paths.reports", (named.REPORT, named.HEADLINE)),
        Output("adapt", "paths.adapted", (named.CARD, named.LEARNING_CURVE)),
        Output("export", "out", (named.EXPORT,)),
        Output(
            "join",
            "out",
            (named.CARD, named.WEIGHTS),
            only=(named.CARD, named.WEIGHTS, named.ENCODER_WEIGHTS),
        ),
    )
}
"""By the stage or command that writes them."""


@contextmanager
def claimed(place: str | Path, work: Path) -> Iterator[None]:
    """Let no other process that shares `work` claim `place` in the block.

    Of processes that train together the first one claims it for all.
    The kernel holds the lock and drops it with the process, however that ends; processes that are
    forked do not inherit it. What the file in `work` says is for people.

    Args:
        place: a folder that the block writes, or what else it changes, in words.
        work: the work folder.

    Raises:
        UserError: another process has it, or `work` cannot be made.
    """
    if not interrupts.is_first_rank():
        yield
        return
    make_folder(work, "paths.work")
    with locks.claim(work, key(str(Path(place).resolve()))).open("a+") as file:
        if not locks.claimed(file):
            raise UserError(_at_work(place, file.name))
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}")
        file.flush()
        yield


def _at_work(place: str | Path, lock: str) -> str:
    process_id, _, host = Path(lock).read_text().partition(" ")
    where = "" if host == socket.gethostname() else f" on {host}"
    return (
        f"{place}: process {process_id or 'unknown'}{where} is at work on it; wait until that has "
        "ended, or stop it, and run this again"
    )


def make_folder(folder: Path, key: str | None = None) -> None:
    """Make a folder, and those that it lies in, where they are missing.

    Args:
        folder: to make.
        key: of the configuration, which names it.

    Raises:
        UserError: a file is in the way, or nothing can lie there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        remedy = f"give another {key}=…" if key else "name a folder elsewhere in conf/paths.yaml"
        raise UserError(f"{folder}: no folder can be made there; {remedy}") from error


def check_replaceable(target: Path, work: Path, output: Output | None) -> None:
    """Raise what `replacing` would, which is too late after hours of work.

    Args:
        target: the folder to replace.
        work: the work folder.
        output: what `target` holds, if anything; None where it is a copy that anything may be in.

    Raises:
        UserError: `target` is a file, or holds something else; it cannot be made; or it and
            `work` lie on different file systems.
    """
    make_folder(work, "paths.work")
    make_folder(target.parent, output.key if output else None)
    if work.stat().st_dev != target.parent.stat().st_dev:
        raise UserError(
            f"{work}: not on the file system of {target}, so that nothing can be moved between "
            "them; set both in conf/paths.yaml"
        )
    if output is None or not os.path.lexists(target):
        return
    if not target.is_dir():
        raise UserError(f"{target}: no folder; move it away, or give another {output.key}=…")
    if stranger := output.stranger(target):
        raise UserError(
            f"{target}: holds files that are no output of {output.writer} (such as {stranger}); "
            f"move them away, or give another {output.key}=…"
        )


def _some_file(folder: Path, names: Sequence[str]) -> str | None:
    """The path inside `folder` of the first file of what is called so; of a folder if none."""
    for name in names:
        if not (folder / name).is_dir():
            return name
        for place, folders, files in os.walk(folder / name):
            folders.sort()
            if files:
                return str(Path(place, min(files)).relative_to(folder))
    return names[0] if names else None


@contextmanager
def replacing(target: Path, work: Path, output: Output | None) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` if the block succeeds.

    On an exception, or a signal, `target` stays as it was. Once it is replaced, it is too late
    for a signal (`interrupts.resume` for whoever has more to do).

    Args:
        target: the folder to replace.
        work: the work folder.
        output: what `target` holds, if anything; None where it is a copy that anything may be in.

    Raises:
        UserError: `target` must not be replaced, or cannot be (`check_replaceable`).
    """
    check_replaceable(target, work, output)
    _clear_leftovers(target, work)
    fresh = work / f"{target.name}-{os.getpid()}"
    old = work / f"{fresh.name}-old"
    fresh.mkdir()
    try:
        yield fresh
        interrupts.postpone()
        interrupts.check()
        with _alone_in(target.parent):
            if target.exists():
                target.rename(old)
            fresh.rename(target)
        interrupts.too_late(f"{target} is in place; run it again to have the rest too")
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait for processes that have another work folder to replace what they replace in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        locks.locked(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _clear_leftovers(target: Path, work: Path) -> None:
    """Remove what processes that were killed left of `replacing`.

    An earlier output that one of them had moved away, and not yet replaced, is put back.
    """
    for folder in sorted(work.iterdir()):
        number = folder.name.removeprefix(f"{target.name}-").removesuffix("-old")
        if number.isdigit() and folder.name != number and not _is_running(int(number)):
            if folder.name.endswith("-old") and not target.exists():
                folder.rename(target)
            else:
                shutil.rmtree(folder)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def becoming(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder` if the body succeeds.

    Where another process was faster, what it made stays; both make the same.
    """
    partial = folder.with_name(f"{folder.name}-{os.getpid()}.partial")
    # A task that failed here may have left it.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    yield partial
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial, ignore_errors=True)


def key(*parts: Any) -> str:
    """Hash of JSON-able values, as the name of a folder of finished work."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_sha256(*places: str) -> str:
    """Hash of the source of modules and packages of `pipeline`, given by path inside it."""
    digest = hashlib.sha256()
    for place in places:
        path = PACKAGE / place
        files = [path]
        if path.is_dir():
            files = sorted(f for f in path.rglob("*") if f.suffix in _SOURCES)
        for file in files:
            digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
