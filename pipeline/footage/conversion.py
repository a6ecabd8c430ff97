"""One file of a collection to canonical clips, whatever its index says of it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from pipeline.config import ClipFormat
from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.errors import UserError
from pipeline.footage import foreign, links, unplayable
from pipeline.footage.canonical import Canonical, Dropped, PicturesOf, canonicalise
from pipeline.footage.exchangeable import TimedPrint
from pipeline.footage.pictures import Box
from pipeline.footage.sound import Track
from pipeline.footage.windows import Window
from pipeline.store import finished_work, storage
from pipeline.store.contents import Contents
from pipeline.store.finished_work import Piece

log = logging.getLogger(__name__)

_ENCRYPTED = ("encrypted", "its pictures are encrypted")
# What a decoder says of these, it says of a video.
_IS_VIDEO = ("too_long", "too_large", "too_much_output", "not_a_file", "unreadable")
# What the disk is to blame for may be otherwise tomorrow.
_PASSING = ("not_a_file", "unreadable")
# How a worker may end by a file's sound alone, and the mark of a file that was then read without.
_MUTED_BY = {
    "worker_died": "sound_worker_died",
    **dict.fromkeys(("cpu_time", "out_of_memory", "timeout"), "sound_over_limits"),
}
# FFmpeg takes names with these for lists of pictures.
_PATTERNS = frozenset("%*?[{")
_LIBRARIES = ("av", "numpy", "opencv-python-headless", "scipy")
_CODE = (
    "footage/conversion.py",
    "footage/boxes.py",
    "footage/canonical.py",
    "footage/exchangeable.py",
    "footage/foreign",
    "footage/pictures.py",
    "footage/scenes.py",
    "footage/sound.py",
    "footage/stretches.py",
    "footage/unplayable.py",
    "footage/windows.py",
    "copies/chromaprint.py",
    "copies/fingerprint.py",
    "store/pcm.py",
    "store/sound.py",
    "store/video.py",
)


@dataclass(frozen=True)
class Unusable:
    """Tells why no clip can be made of a file."""

    reason: str
    detail: str
    is_lasting: bool = True
    """Whether the bytes of the file are the reason, so that it will be so again."""


@dataclass(frozen=True)
class FileTask:
    """One file to convert, and how."""

    root: str
    """Root of its collection: a folder, or a URL."""
    path: str
    """Inside the collection, as the index writes it."""
    clip: ClipFormat
    stride_frames: int
    limits: foreign.DecodingLimits
    work: Path
    as_shown: bool = False
    """Whether to keep all that a player shows, as `canonicalise` has it."""
    with_sound: bool = True
    """Whether clips are given the sound of the file."""
    local: Path | None = None
    """Where its bytes are while a worker has it."""
    refused: Unusable | None = None
    """Why it is not even opened."""


def content_of(contents: Contents, task: FileTask) -> str | Unusable:
    """The hash of a file's bytes, or what stands for it while nobody has read them, or why not."""
    try:
        if storage.is_remote(task.root):
            version = storage.identity(task.root, task.path)
            return contents.of_version([task.root, task.path, version])
        with at_hand(task) as here:
            if here.refused is not None:
                return here.refused
            assert here.local is not None
            return contents.of_file(here.local)
    except FileNotFoundError:
        return _missing(task)
    except OSError as error:
        return Unusable("unreadable", error.strerror or "not readable", is_lasting=False)


@contextmanager
def at_hand(task: FileTask) -> Iterator[FileTask]:
    """Have the file's bytes on this machine for as long as the block runs."""
    with ExitStack() as stack:
        try:
            local = stack.enter_context(storage.fetched(task.root, task.path, task.work))
        except FileNotFoundError:
            yield replace(task, refused=_missing(task))
            return
        if not storage.is_remote(task.root) and links.leads_outside(Path(task.root), local):
            detail = "a link out of the collection, and not into the cache of DVC"
            refused = Unusable("outside_collection", detail, is_lasting=False)
            yield replace(task, refused=refused)
        else:
            yield replace(task, local=local)


def _missing(task: FileTask) -> Unusable:
    detail = storage.why_missing(task.root, task.path)
    return Unusable("missing_file", detail, is_lasting=False)


def convert(task: FileTask, pictures_of: PicturesOf | None = None) -> Canonical | Unusable:
    """Make the canonical clips of one file, or say why it cannot be done; runs in the sandbox.

    Args:
        task: the file, and how.
        pictures_of: as `canonicalise` has it.
    """
    if task.refused is not None:
        return task.refused
    assert task.local is not None
    is_encrypted = _is_encrypted(task.local)
    if is_encrypted and not task.as_shown:
        return Unusable(*_ENCRYPTED)
    try:
        made = canonicalise(
            task.local,
            task.clip,
            task.stride_frames,
            task.limits,
            as_shown=task.as_shown,
            with_sound=task.with_sound,
            pictures_of=pictures_of,
        )
        # What a file says of itself may be false: it is scored where its pictures are sound.
        if is_encrypted and all("damaged" in window.marks for window in made.windows):
            return Unusable(*_ENCRYPTED)
        return made
    except foreign.DecodeError as error:
        found = None if error.reason in _IS_VIDEO else unplayable.describe(task.local)
        # Playlists are text, and photographs are opened as FFmpeg opens lists of them.
        if found is not None and (error.reason != "playlist" or found.reason == "image"):
            return Unusable(found.reason, found.detail)
        # Where the file lay on this machine is nobody's business.
        detail = str(error)
        for own in (task.local, task.local.parent):
            for text in (str(own), repr(str(own))[1:-1]):
                detail = detail.replace(text, "…")
        return Unusable(error.reason, detail, is_lasting=error.reason not in _PASSING)
    except (MemoryError, UserError):
        raise
    except Exception as error:
        # What nobody foresaw may cost this file, and no other.
        log.exception("ingest: %s: please report this as a bug", task.path)
        return Unusable("unforeseen", _told(error), is_lasting=False)


def _told(error: Exception) -> str:
    """An error and where it rose, without its text, which may hold paths of this machine."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {PurePath(last.filename).name}, line {last.lineno}"


def _is_encrypted(path: Path) -> bool:
    try:
        return path.is_file() and unplayable.is_encrypted(path)
    except OSError:
        # The decoder will say why it cannot be read.
        return False


def muted_mark(task: FileTask, result: Canonical | Unusable) -> str | None:
    """The mark of a file that has to be tried without its sound, which may be to blame.

    Args:
        task: it was converted by.
        result: what became of it.

    Returns:
        None where `result` is to stay.
    """
    if isinstance(result, Canonical) or not task.with_sound:
        return None
    return _MUTED_BY.get(result.reason)


@cache
def recipe_of() -> list[str | None]:
    """Return what decides about the clips of a file besides its bytes and the settings."""
    return finished_work.made_by(_CODE, _LIBRARIES)


def piece_name(task: FileTask, sha256: str, code: list[str | None]) -> str:
    """The name under which the clips of a file are kept.

    Args:
        task: what to make of it.
        sha256: of its bytes.
        code: what `recipe_of` gives.
    """
    # Readers look at no more of a file's name.
    called = PurePosixPath(task.path).name
    called = called if _PATTERNS & set(called) else PurePosixPath(called).suffix
    shown = [task.as_shown, task.with_sound]
    settings = [asdict(task.clip), task.stride_frames, asdict(task.limits), *shown]
    return finished_work.name_of(sha256, code, settings, called)


def packed_up(result: Canonical | Unusable) -> Piece:
    """Return what became of a file, as a piece to keep."""
    if isinstance(result, Unusable):
        return Piece({"unusable": asdict(result)})
    windows = [
        {
            "start_frame": window.start_frame,
            "pixels_sha256": window.pixels_sha256,
            "fingerprint": window.fingerprint.tobytes().hex(),
            "box": [int(side) for side in window.box],
            "presence": window.presence,
            "marks": window.marks,
        }
        for window in result.windows
    ]
    told = asdict(replace(result, windows=()))
    blobs = [blob for window in result.windows for blob in (window.mp4, window.flac or b"")]
    return Piece({"canonical": told, "windows": windows}, blobs)


def _box(sides: list[int]) -> Box:
    left, top, width, height = sides
    return left, top, width, height


def unpacked(piece: Piece) -> Canonical | Unusable:
    """Return what `packed_up` made a piece of."""
    if "unusable" in piece.header:
        return Unusable(**piece.header["unusable"])
    told = piece.header["canonical"]
    windows = tuple(
        Window(
            start_frame=one["start_frame"],
            mp4=mp4,
            pixels_sha256=one["pixels_sha256"],
            fingerprint=np.frombuffer(bytes.fromhex(one["fingerprint"]), np.uint8).reshape(
                -1, 2, HASH_BYTES
            ),
            box=_box(one["box"]),
            flac=flac or None,
            presence=one["presence"],
            marks=tuple(one["marks"]),
        )
        for one, mp4, flac in zip(
            piece.header["windows"], piece.blobs[::2], piece.blobs[1::2], strict=True
        )
    )
    lists = {
        "marks": tuple(told["marks"]),
        "cuts_s": tuple(told["cuts_s"]),
        "dropped": tuple(Dropped(**one) for one in told["dropped"]),
        "frame_prints": tuple(TimedPrint(**one) for one in told["frame_prints"]),
        "track": Track(**{**told["track"], "marks": tuple(told["track"]["marks"])}),
    }
    return Canonical(**{**told, **lists, "windows": windows})
