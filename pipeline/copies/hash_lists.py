"""Lists of hashes as others keep them: PDQ, vPDQ, MD5 and SHA-256, a line each.

A line is a hash, with or without the name of its kind before it, as the file exchange of
`threatexchange` (https://github.com/facebook/ThreatExchange) has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.copies.fingerprint import HASH_BYTES
from pipeline.errors import UserError

KINDS = {"pdq": "pdq", "vpdq": "vpdq", "md5": "video_md5", "sha256": "video_sha256"}
"""The name of each kind before its lines."""
MIN_QUALITY = 50
"""Below it, of PDQ's 0 to 100, the industry makes no use of a hash, and neither do banks."""

_SIDE = 16
_MAX_LINE = 64 << 20
_DIGITS = {"pdq": 64, "md5": 32, "sha256": 64}
_FRAME = re.compile(
    r"([0-9a-f]{64}),(\d{1,3}),(\d{1,7}(?:\.\d+)?(?:e[+-]?\d{1,2})?)", re.IGNORECASE
)


@dataclass(frozen=True)
class HashEntry:
    """What a line says of a video or a picture.

    Attributes:
        sha256, md5: in hexadecimal digits, or empty.
        hashes: `banks.RECORD` (N,), of item 0.
        sounds: `banks.SOUND_RECORD` (M,), of item 0.
        narrow: the same of a narrow band, (K,).
        tags: what it is called.
        said: of it, `bank_log.CONFIRMED` or `DISPUTED`; empty where nothing is.
    """

    sha256: str
    md5: str
    hashes: NDArray[Any]
    sounds: NDArray[Any] = field(default_factory=lambda: np.zeros(0, SOUND_RECORD))
    narrow: NDArray[Any] = field(default_factory=lambda: np.zeros(0, SOUND_RECORD))
    tags: tuple[str, ...] = ()
    said: str = ""


def read(path: Path, kind: str) -> Iterator[HashEntry]:
    """What a list says, in order.

    Raises:
        UserError: it cannot be read, or a line is none of its kind.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_LINE + 1):
                number += 1
                text = line.decode("utf-8", "replace").strip()
                text = text.removeprefix(f"{KINDS[kind]} ").strip()
                if not text or text.startswith("#"):
                    continue
                try:
                    if len(line) > _MAX_LINE:
                        raise ValueError("too long")
                    yield parse_entry(text, kind)
                except (ValueError, RecursionError) as error:
                    raise UserError(
                        f"{path}, line {number}: no {kind}; nothing of the list was taken, so give "
                        "format=… as it is, or mend the line"
                    ) from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a list of {kind}") from error


def parse_entry(text: str, kind: str) -> HashEntry:
    """What a hash of a kind says.

    Raises:
        ValueError, RecursionError: it is none.
    """
    if kind == "vpdq":
        return HashEntry("", "", _video(json.loads(text)))
    # Others put the quality or remarks after a comma.
    digits = text.split(",")[0].strip().lower()
    if not re.fullmatch(f"[0-9a-f]{{{_DIGITS[kind]}}}", digits):
        raise ValueError(digits)
    if kind == "pdq":
        return HashEntry("", "", _records([(digits, 100, 0)]))
    return HashEntry(
        digits if kind == "sha256" else "", digits if kind == "md5" else "", _records([])
    )


def _video(frames: Any) -> NDArray[Any]:
    if not isinstance(frames, list) or not all(isinstance(one, str) for one in frames):
        raise ValueError("no list of frames")
    found = [_FRAME.fullmatch(one) for one in frames]
    told = [(one[1].lower(), int(one[2]), round(1000 * float(one[3]))) for one in found if one]
    if len(told) < len(frames) or any(q > 100 or ms >= 2**32 for _, q, ms in told):
        raise ValueError("a frame is none")
    kept = [one for one in told if one[1] >= MIN_QUALITY]
    return _records(sorted(kept, key=lambda one: one[2]))


def _records(frames: list[tuple[str, int, int]]) -> NDArray[Any]:
    records = np.zeros(len(frames), RECORD)
    if frames:
        digits = bytes.fromhex("".join(one[0] for one in frames))
        records["pdq"] = np.frombuffer(digits, np.uint8).reshape(-1, HASH_BYTES)
        records["mirror"] = mirrored(records["pdq"])
        records["quality"] = [one[1] for one in frames]
        records["time_ms"] = [one[2] for one in frames]
    return records


def mirrored(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """About the PDQ of mirror images, from PDQ alone, both uint8 (N, 32).

    A mirror image has the opposite sign in every other horizontal frequency. A bit says whether a
    coefficient is above the median, which is near zero and not zero, so that some bits are wrong.
    """
    bits = np.unpackbits(hashes, axis=1)[:, ::-1].reshape(len(hashes), _SIDE, _SIDE)
    bits[:, :, ::2] ^= 1
    return np.packbits(bits.reshape(len(hashes), -1)[:, ::-1], axis=1)


def list_lines(bank: Bank, kind: str) -> Iterator[str]:
    """The lines of a list of what was made here of a bank, each once."""
    seen: set[str] = set()
    for item in bank.items.values():
        if item.feed:
            continue
        if kind in ("md5", "sha256"):
            found = [item.md5 if kind == "md5" else item.sha256]
        else:
            records = bank.hashes_of(item)
            _, first = np.unique(records["time_ms"] // 1000, return_index=True)
            frames = [(one["pdq"].tobytes().hex(), one) for one in records[first]]
            if kind == "pdq":
                found = [digits for digits, _ in frames]
            else:
                shown = [
                    f"{digits},{one['quality']},{int(one['time_ms']) / 1000:.3f}"
                    for digits, one in frames
                ]
                found = [json.dumps(shown)] if shown else []
        for text in found:
            if text and text not in seen:
                seen.add(text)
                yield f"{KINDS[kind]} {text}\n"
