"""Says which group watches a stream: consistent hashing, by the highest weight of both names.

Of groups that come and go, only streams of those that went, or that a new one draws, are placed
anew (Thaler and Ravishankar 1998, "Using name-based mappings to increase hit rates").
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection


def group_of(stream: str, groups: Collection[str]) -> str:
    """The group of a stream, the same on every machine; there is at least one."""
    return max(groups, key=lambda group: _weight(stream, group))


def _weight(stream: str, group: str) -> bytes:
    return hashlib.blake2b(f"{len(group)} {group} {stream}".encode(), digest_size=16).digest()
