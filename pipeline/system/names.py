"""Names as a person reads them: what looks the same, and which file of a folder is meant.

One letter may be written in several ways: `é` is one character where Windows and Linux type it,
and two where a Mac stores it (Unicode normal forms C and D, Unicode Standard Annex #15).
"""

from __future__ import annotations

import os
import stat
import unicodedata
from functools import lru_cache
from pathlib import Path, PurePosixPath

MISSING = "no such file"
_NOWHERE = "a link that leads nowhere; if DVC made it, run dvc checkout or dvc pull"
_MAX_ALIKE = 3


def composed(name: str) -> str:
    """A name in normal form C, in which names that are the same to a person are equal."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def trimmed(text: str) -> str:
    """A text without spaces, of any kind, and characters that show nothing at its ends."""
    start, end = 0, len(text)
    while start < end and _shows_nothing(text[start]):
        start += 1
    while start < end and _shows_nothing(text[end - 1]):
        end -= 1
    return text[start:end]


def absolute(path: Path | str) -> Path:
    """The path from the root, without `..`; links, which have names of their own, stay."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def spellings(path: str) -> tuple[str, ...]:
    """Ways to write a path, the given one first: without outer spaces, in each normal form."""
    bare = path.strip()
    forms = (path, bare, composed(bare), unicodedata.normalize("NFD", bare))
    return tuple(dict.fromkeys(form for form in forms if form))


def find(root: Path, path: str) -> Path | None:
    """Finds what is called `path` inside a folder, be it a dangling link; None if nothing is.

    Letters may be written in another normal form, if that leaves one candidate, and spaces around
    the path may be missing.
    """
    for spelling in spellings(path)[:2]:
        found = _find(root, spelling)
        if found is not None:
            return found
    return None


def why_missing(root: Path, path: str) -> str:
    """Says what a person should know about a path at which no file can be read."""
    found = find(root, path)
    if found is None:
        return _alike(root, path)
    try:
        kind = found.stat().st_mode
    except OSError as error:
        return _NOWHERE if found.is_symlink() else error.strerror or MISSING
    if stat.S_ISREG(kind):
        return MISSING
    return f"{'a folder' if stat.S_ISDIR(kind) else 'a pipe or a device'} and no file"


def _shows_nothing(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


def _find(root: Path, path: str) -> Path | None:
    if os.path.lexists(root / path):
        return root / path
    folder = root
    for part in PurePosixPath(path).parts:
        if os.path.lexists(folder / part):
            folder /= part
            continue
        same = [name for name in _listing(folder) if composed(name) == composed(part)]
        if len(same) != 1:
            return None
        folder /= same[0]
    return folder


def _alike(root: Path, path: str) -> str:
    """That there is no such file, and what is there that looks like it."""
    folder, differences = root, []
    parts = PurePosixPath(path).parts
    for number, part in enumerate(parts):
        found = _find(folder, part)
        if found is not None:
            folder = found
            if folder.is_symlink() and not folder.is_dir():
                return f"{part!r} is {_NOWHERE}"
            continue
        alike = [name for name in _listing(folder) if _look(name) == _look(part)]
        pointer = f"{part}.dvc"
        if len(alike) > 1 and number == len(parts) - 1:
            names = ", ".join(repr(name) for name in sorted(alike)[:_MAX_ALIKE])
            return f"{MISSING}; there are {names}, which look like it"
        if not alike and pointer in _listing(folder):
            return f"{MISSING}; there is {pointer!r}, so run dvc pull"
        if len(alike) != 1:
            return MISSING
        differences += _differences(part, alike[0])
        folder /= alike[0]
    there = folder.relative_to(root).as_posix()
    return f"{MISSING}; there is {there!r}, {' and '.join(dict.fromkeys(differences))}"


def _look(name: str) -> str:
    """Returns the name as a reader takes it who ignores case and spaces around it."""
    return unicodedata.normalize("NFKC", _shown(name)).strip().casefold()


def _differences(wanted: str, there: str) -> list[str]:
    """Says how a name that exists differs from the one that is wanted."""
    found = []
    for place, cut in (("start", str.lstrip), ("end", str.rstrip)):
        spaces = [cut(name) != name for name in (wanted, there)]
        if spaces[0] != spaces[1]:
            found.append(f"{'with' if spaces[1] else 'without'} a space at its {place}")
    hidden = [{c for c in name if unicodedata.category(c) == "Cf"} for name in (wanted, there)]
    for what, characters in (
        ("without", hidden[0] - hidden[1]),
        ("with", hidden[1] - hidden[0]),
    ):
        if characters:
            codes = ", ".join(sorted(f"U+{ord(c):04X}" for c in characters))
            found.append(f"{what} the invisible {codes}")
    if _shown(wanted) != _shown(there):
        is_case = _shown(wanted).casefold() == _shown(there).casefold()
        found.append("with other capitals" if is_case else "in other characters")
    return found or ["with other spaces"]


def _shown(name: str) -> str:
    """Returns what a name shows, without spaces around it."""
    return composed("".join(c for c in name if unicodedata.category(c) != "Cf").strip())


def _listing(folder: Path) -> tuple[str, ...]:
    try:
        status = folder.stat()
        return _names(str(folder), status.st_ino, status.st_mtime_ns)
    except OSError:
        return ()


@lru_cache(maxsize=64)
def _names(folder: str, inode: int, changed_ns: int) -> tuple[str, ...]:
    """Names in a folder; the other arguments tell when they are out of date."""
    return tuple(sorted(path.name for path in Path(folder).iterdir()))
