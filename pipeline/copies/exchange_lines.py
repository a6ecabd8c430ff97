"""The lines of an exchange between banks: what is uploaded, deleted, labelled, and thought of it.

Nothing is in them but hashes with their times, labels, lengths and opinions. What does not look
exactly so is refused, as lines come from others.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.copies.bank_log import CONFIRMED, DISPUTED, OPINIONS, WITHDRAWN, Item, is_label
from pipeline.copies.banks import RECORD, SOUND_RECORD, Bank
from pipeline.copies.fingerprint import HASH_BYTES

MAX_LINE_BYTES = 64 << 20
"""Some ten hours of a video that changes all the time."""
MAX_LABEL = 200
"""Letters of a label."""
SAYABLE = frozenset(OPINIONS) - {WITHDRAWN}

_ID = re.compile(r"[0-9a-f]{64}")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_MD5 = re.compile(r"([0-9a-f]{32})?")
_PICTURE = re.compile(r"([0-9a-f]{64}),(\d{1,3}),(\d{1,7})\.(\d{3})")
_MIRROR = re.compile(r"[0-9a-f]{64}")
_SOUND = re.compile(r"([0-9a-f]{8}),(\d{1,7})\.(\d{3})")
_MAX_MS = 2**32 - 1
_MAX_S = _MAX_MS / 1000
_IDENTITY = np.dtype(
    [
        ("time_ms", "<u4"),
        ("pdq", np.uint8, HASH_BYTES),
        ("mirror", np.uint8, HASH_BYTES),
        ("quality", np.uint8),
    ]
)


class Malformed(ValueError):
    """A line is none; its text says why."""


@dataclass(frozen=True)
class Upload:
    """A known video.

    Attributes:
        id: `id_of` what it holds.
        label: what it is known as.
        sha256, md5: of its bytes, or empty.
        duration_s: of the video.
        hashes: of its pictures, `banks.RECORD` (N,), of item 0.
        sounds: `banks.SOUND_RECORD` (M,), of item 0.
        narrow: the same of a narrow band, (K,).
    """

    id: str
    label: str
    sha256: str
    md5: str
    duration_s: float
    hashes: NDArray[Any]
    sounds: NDArray[Any]
    narrow: NDArray[Any] = field(default_factory=lambda: np.zeros(0, SOUND_RECORD))


@dataclass(frozen=True)
class Delete:
    """The sender no longer holds a video."""

    id: str


@dataclass(frozen=True)
class Label:
    """What the sender knows a video as from now on."""

    id: str
    label: str


@dataclass(frozen=True)
class Opinion:
    """All that the sender says of a video from now on, but that it uploaded what it did."""

    id: str
    said: frozenset[str]


Line = Upload | Delete | Label | Opinion


def id_in(bank: Bank, item: Item) -> str:
    """What an item of a bank is called wherever it is."""
    prints = bank.hashes_of(item), bank.sounds_of(item), bank.narrow_of(item)
    return id_of(item.sha256, item.md5, *prints)


def id_of(
    sha256: str,
    md5: str,
    hashes: NDArray[Any],
    sounds: NDArray[Any],
    narrow: NDArray[Any] | None = None,
) -> str:
    """What an item is called wherever it is.

    It is the SHA-256, in hexadecimal digits, of: the bytes of SHA-256 and MD5 as far as they are
    known; of each picture its time in milliseconds, PDQ, PDQ of the mirror image and quality; of
    each moment of sound its time and its item of Chromaprint; and, if there are any of a narrow
    band, `narrow` in ASCII and the same of each of these; all numbers little-endian.
    """
    digest = hashlib.sha256(bytes.fromhex(sha256) + bytes.fromhex(md5))
    pictures = np.zeros(len(hashes), _IDENTITY)
    for name in _IDENTITY.names or ():
        pictures[name] = hashes[name]
    digest.update(pictures.tobytes())
    digest.update(np.stack([sounds["time_ms"], sounds["print"]], axis=1).tobytes())
    if narrow is not None and len(narrow):
        digest.update(b"narrow" + np.stack([narrow["time_ms"], narrow["print"]], axis=1).tobytes())
    return digest.hexdigest()


def as_line(line: Line) -> bytes:
    """A line as JSON, with its newline."""
    entry: dict[str, Any]
    match line:
        case Upload():
            entry = {"op": "upload", "id": line.id, "label": line.label, **_prints(line)}
        case Delete():
            entry = {"op": "delete", "id": line.id}
        case Label():
            entry = {"op": "label", "id": line.id, "label": line.label}
        case Opinion():
            entry = {"op": "opinion", "id": line.id, "said": sorted(line.said)}
    return json.dumps(entry).encode() + b"\n"


def _prints(line: Upload) -> dict[str, Any]:
    told = {
        "sha256": line.sha256,
        "md5": line.md5,
        "duration_s": line.duration_s,
        "pictures": [
            f"{one['pdq'].tobytes().hex()},{one['quality']},{_seconds(one['time_ms'])}"
            for one in line.hashes
        ],
        "mirrors": [one.tobytes().hex() for one in line.hashes["mirror"]],
        "sounds": _moments(line.sounds),
    }
    return told | ({_NARROW: _moments(line.narrow)} if len(line.narrow) else {})


def _moments(sounds: NDArray[Any]) -> list[str]:
    return [f"{one['print']:08x},{_seconds(one['time_ms'])}" for one in sounds]


def prints_written(line: Upload) -> str:
    """What a video is known by as one line of JSON, without how it is called."""
    return json.dumps(_prints(line))


def prints_parsed(text: str, label: str = "") -> Upload:
    """The video that is known by such a line.

    Raises:
        Malformed: it is none.
    """
    entry = _entry(text)
    if set(entry) - {_NARROW} != _PRINTS:
        raise Malformed("its fields are not those of a video")
    return _upload(entry, label)


def _seconds(time_ms: np.uint32) -> str:
    return f"{int(time_ms) // 1000}.{int(time_ms) % 1000:03d}"


def parsed(text: bytes) -> Line:
    """What a line says.

    Raises:
        Malformed: it is none.
    """
    entry = _entry(text)
    kind, keys = entry.pop("op", None), set(entry)
    if not _is_text(entry.get("id"), _ID):
        raise Malformed("its id is no SHA-256")
    if kind == "delete" and keys == {"id"}:
        return Delete(entry["id"])
    if kind == "label" and keys == {"id", "label"}:
        return Label(entry["id"], _label(entry["label"]))
    if kind == "opinion" and keys == {"id", "said"}:
        return Opinion(entry["id"], _said(entry["said"]))
    if kind == "upload" and keys - {_NARROW} == {"id", "label", *_PRINTS}:
        upload = _upload(entry, _label(entry["label"]))
        if entry["id"] != upload.id:
            raise Malformed("its id is not that of what it holds")
        return upload
    raise Malformed("an operation, or a field, that this version of Discern does not know")


_PRINTS = {"sha256", "md5", "duration_s", "pictures", "mirrors", "sounds"}
_NARROW = "narrow"


def _entry(text: bytes | str) -> dict[str, Any]:
    try:
        # Of bytes, the module would guess UTF-16 and pass over a byte order mark.
        text = text if isinstance(text, str) else text.decode()
        entry = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Malformed("no line of JSON") from error
    if not isinstance(entry, dict):
        raise Malformed("no line of JSON")
    return entry


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(name)


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _label(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_LABEL:
        raise Malformed(f"its label is no text of at most {MAX_LABEL} letters")
    if not is_label(value):
        raise Malformed("its label holds a line break, or what controls, turns or hides text")
    return value


def _said(value: Any) -> frozenset[str]:
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    said = frozenset(value) if is_list else frozenset({""})
    if not said <= SAYABLE or said >= {CONFIRMED, DISPUTED}:
        words = ", ".join(sorted(SAYABLE))
        raise Malformed(f"what it says is not of {words}, or contradicts itself")
    return said


def _upload(entry: dict[str, Any], label: str) -> Upload:
    duration_s, pictures, mirrors = entry["duration_s"], entry["pictures"], entry["mirrors"]
    if not (_is_text(entry["sha256"], _SHA256) and _is_text(entry["md5"], _MD5)):
        raise Malformed("its sha256 or md5 is none")
    is_number = isinstance(duration_s, (int, float)) and not isinstance(duration_s, bool)
    if not is_number or not 0 <= duration_s <= _MAX_S:
        raise Malformed("its duration_s is no length")
    found = _matches(pictures, _PICTURE, "picture")
    other = _matches(mirrors, _MIRROR, "mirror image")
    sounds, narrow = _sounds(entry["sounds"]), _sounds(entry.get(_NARROW, []))
    if len(found) != len(other):
        raise Malformed("it has not as many mirrors as pictures")
    hashes = np.zeros(len(found), RECORD)
    hashes["pdq"] = _bytes("".join(one[1] for one in found))
    hashes["mirror"] = _bytes("".join(one[0] for one in other))
    quality = [int(one[2]) for one in found]
    if max(quality, default=0) > 100:
        raise Malformed("the quality of a picture is over 100")
    hashes["quality"] = quality
    hashes["time_ms"] = _times(found, 3)
    return Upload(
        id_of(entry["sha256"], entry["md5"], hashes, sounds, narrow),
        label,
        entry["sha256"],
        entry["md5"],
        float(duration_s),
        hashes,
        sounds,
        narrow,
    )


def _sounds(values: Any) -> NDArray[Any]:
    moments = _matches(values, _SOUND, "sound")
    sounds = np.zeros(len(moments), SOUND_RECORD)
    sounds["print"] = [int(one[1], 16) for one in moments]
    sounds["time_ms"] = _times(moments, 2)
    return sounds


def _matches(values: Any, pattern: re.Pattern[str], what: str) -> list[re.Match[str]]:
    found = [
        one
        for value in (values if isinstance(values, list) else [None])
        if isinstance(value, str) and (one := pattern.fullmatch(value))
    ]
    if not isinstance(values, list) or len(found) < len(values):
        raise Malformed(f"a {what} is none")
    return found


def _bytes(digits: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(digits), np.uint8).reshape(-1, HASH_BYTES)


def _times(found: list[re.Match[str]], group: int) -> list[int]:
    times_ms = [1000 * int(one[group]) + int(one[group + 1]) for one in found]
    if times_ms != sorted(times_ms) or max(times_ms, default=0) > _MAX_MS:
        raise Malformed("its times are not in order")
    return times_ms
