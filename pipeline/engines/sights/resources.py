"""Files inside a compiled resource of Qt (`rcc`), without Qt."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = b"qres"
_COMPRESSED, _FOLDER = 1, 2
# Of an entry of the tree: before version 2 it held no time of change.
_ENTRY_BYTES = {1: 14, 2: 22, 3: 22}


@dataclass(frozen=True)
class _Resource:
    content: bytes
    entry_bytes: int
    tree: int
    data: int
    names: int

    def name(self, at: int) -> str:
        (length,) = struct.unpack_from(">H", self.content, self.names + at)
        # A hash lies between the length and the letters.
        start = self.names + at + 6
        return self.content[start : start + 2 * length].decode("utf-16-be")

    def files(self, entry: int = 0, folder: str = "") -> Iterator[tuple[str, bytes]]:
        start = self.tree + entry * self.entry_bytes
        name_at, flags = struct.unpack_from(">IH", self.content, start)
        path = folder + self.name(name_at) if entry else ""
        if flags & _FOLDER:
            count, first = struct.unpack_from(">II", self.content, start + 6)
            for child in range(first, first + count):
                yield from self.files(child, path + "/" if path else "")
        else:
            yield path, self._bytes(start, flags)

    def _bytes(self, start: int, flags: int) -> bytes:
        (at,) = struct.unpack_from(">I", self.content, start + 10)
        (length,) = struct.unpack_from(">I", self.content, self.data + at)
        begins = self.data + at + 4
        stored = self.content[begins : begins + length]
        # What zlib made stands after the length that it had before.
        return zlib.decompress(stored[4:]) if flags & _COMPRESSED else stored


def files(content: bytes) -> dict[str, bytes]:
    """Return the files of a resource by their paths, with forward slashes.

    Files that are compressed in another way than by zlib stay so.

    Raises:
        ValueError: it is no resource, or of a version that is not known.
    """
    if not content.startswith(_MAGIC) or len(content) < 20:
        raise ValueError("no compiled resource of Qt")
    version, tree, data, names = struct.unpack_from(">4I", content, 4)
    if version not in _ENTRY_BYTES:
        raise ValueError(f"a compiled resource of version {version}, which is not known")
    return dict(_Resource(content, _ENTRY_BYTES[version], tree, data, names).files())
