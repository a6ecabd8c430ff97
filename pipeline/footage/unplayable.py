"""What a file is that gives no picture: a pointer, a web page, an archive, encrypted, ….

Only looks; opens nothing that a file names, and reads a bounded part of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.footage import boxes

REMEDIES = {
    "empty": "copy the file again from where it came",
    "zeros": "copy the file again from where it came: its space is there, and its bytes are not",
    "git_lfs_pointer": "run git lfs pull",
    "git_annex_pointer": "run git annex get",
    "dvc_pointer": "run dvc pull, and name the file that it tracks",
    "web_page": "download the file again, signed in where that is needed",
    "archive": "unpack it, and name the files inside",
    "document": "give the video itself",
    "image": "give the video itself",
    "companion": "leave it out; name the file without '._'",
    "shortcut": "put the file itself there",
    "text": "give the video itself",
    "incomplete": "copy the whole file again from where it came: a part of it is missing",
    "encrypted": "decrypt it, or get it without copy protection from whoever released it",
}
"""What to do about each reason."""

_HEAD_BYTES = 1 << 16
_NUM_PROBES = 64
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "archive", "a ZIP archive"),
    (b"PK\x05\x06", "archive", "an empty ZIP archive"),
    (b"Rar!\x1a\x07", "archive", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive", "a 7z archive"),
    (b"\x1f\x8b", "archive", "a gzip file"),
    (b"BZh", "archive", "a bzip2 file"),
    (b"\xfd7zXZ\0", "archive", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "archive", "a zstd file"),
    (b"\x04\x22\x4d\x18", "archive", "an lz4 file"),
    (b"MSCF", "archive", "a cabinet archive"),
    (b"%PDF", "document", "a PDF document"),
    (b"{\\rtf", "document", "an RTF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "document", "an Office document"),
    (b"SQLite format 3\0", "document", "a database"),
    (b"\x7fELF", "document", "a program"),
    (b"\xff\xd8\xff", "image", "a JPEG photograph"),
    (b"\x89PNG\r\n\x1a\n", "image", "a PNG image"),
    (b"II*\0", "image", "a TIFF image"),
    (b"MM\0*", "image", "a TIFF image"),
    (b"8BPS", "image", "a Photoshop image"),
    (b"\0\x05\x16\x07", "companion", "what a Mac keeps beside a file (._…), not the file"),
    (b"\0\x05\x16\0", "companion", "what a Mac keeps beside a file (._…), not the file"),
    (b"L\0\0\0\x01\x14\x02\0", "shortcut", "a Windows shortcut"),
    (b"book\0\0\0\0mark", "shortcut", "a Mac alias"),
    (b"bplist00", "shortcut", "a property list, as of a file that is still in iCloud"),
    (b"[InternetShortcut]", "shortcut", "a link to a web page"),
    (b"Salted__", "encrypted", "encrypted with OpenSSL"),
    (b"age-encryption.org/", "encrypted", "encrypted with age"),
    (b"-----BEGIN PGP MESSAGE", "encrypted", "encrypted with PGP"),
    (b"-----BEGIN AGE ENCRYPTED", "encrypted", "encrypted with age"),
    (b"\x85\x01\x0c\x03", "encrypted", "encrypted with PGP"),
    (b"\x85\x02\x0c\x03", "encrypted", "encrypted with PGP"),
)
_STILLS = (b"heic", b"heix", b"mif1", b"avif")
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".!qb", ".aria2", ".filepart")
_TS_PACKET, _TS_SYNC = 188, 0x47
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_ENCRYPTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)


@dataclass(frozen=True)
class Description:
    """What a file is in place of a video: a key of `REMEDIES`, and words for people."""

    reason: str
    detail: str


def describe(path: Path) -> Description | None:
    """Say what a file is from which no picture came; None where it may well be a video.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        num_bytes = file.seek(0, 2)
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        if not head:
            return Description("empty", "the file is empty")
        if not any(head):
            return _zeros(file, num_bytes)
        found = _pointer(head) or _signature(head) or _text(head)
        if found is None and (_scrambled(head) or _is_protected_asf(head)):
            found = Description("encrypted", "its pictures are encrypted")
        return found or _contained(path, file, num_bytes)


def is_encrypted(path: Path) -> bool:
    """Whether an MP4 or a Matroska file says that all of its pictures are encrypted.

    Reads headers only. A decoder may make garbage of such pictures, without a complaint.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return boxes.read_headers(file).is_encrypted


def _zeros(file: BinaryIO, num_bytes: int) -> Description:
    for probe in range(_NUM_PROBES):
        file.seek(num_bytes * probe // _NUM_PROBES)
        if any(file.read(_HEAD_BYTES)):
            return Description("zeros", f"its first {_HEAD_BYTES} bytes or more are zero")
    return Description("zeros", f"{num_bytes} bytes, all zero as far as they were looked at")


def _pointer(head: bytes) -> Description | None:
    if head.startswith((b"version https://git-lfs", b"version https://hawser")):
        size = re.search(rb"^size (\d{1,15})\s*$", head, re.MULTILINE)
        what = f" for a file of {int(size[1])} bytes" if size else ""
        return Description("git_lfs_pointer", f"a Git LFS pointer{what}")
    if re.match(rb"\S*[/\\]?(\.git/)?annex[/\\]objects[/\\]", head):
        return Description("git_annex_pointer", "a git-annex pointer")
    if re.match(rb"(#[^\n]*\n)*(outs:|md5:|wdir:|frozen:|deps:)", head) and b"outs:" in head:
        return Description("dvc_pointer", "a DVC pointer (.dvc)")
    return None


def _signature(head: bytes) -> Description | None:
    for signature, reason, what in _SIGNATURES:
        if head.startswith(signature):
            if signature.startswith(b"\x89PNG") and b"acTL" in head:
                return None
            return Description(reason, what)
    if head[257:262] == b"ustar":
        return Description("archive", "a tar archive")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Description("image", "a WebP image")
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return Description("image", "a BMP image")
    if head[4:8] == b"ftyp" and head[8:12] in _STILLS:
        return Description("image", "a HEIF or AVIF image")
    return None


def _text(head: bytes) -> Description | None:
    """What a file is that holds text only."""
    text = _decoded(head)
    if text is None:
        return None
    start = text.lstrip()
    if re.match(r"(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|script)\b", start, re.I | re.S):
        title = re.search(r"<title[^>]*>(.*?)</title", start, re.I | re.S)
        return Description("web_page", f"a web page{_quoted(title[1] if title else '')}")
    if start.startswith(("<?xml", "<Error")):
        message = re.search(r"<(?:Message|Code)>(.*?)</", start, re.S)
        return Description("web_page", f"a message in XML{_quoted(message[1] if message else '')}")
    if start.startswith(("{", "[")) and _is_json(start, len(head) < _HEAD_BYTES):
        return Description("web_page", "a message in JSON")
    if re.match(r"HTTP/\d", start):
        return Description("web_page", "an answer of a web server")
    return Description("text", "a text file") if "\n" in start.strip() else None


def _decoded(head: bytes) -> str | None:
    for encoding in ("utf-16",) if head[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            # The last character may be cut.
            text = head[: len(head) - len(head) % 2].decode(encoding, "strict")
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:
                return None
            text = head[: error.start].decode(encoding, "ignore")
        is_text = all(c.isprintable() or c in "\t\n\r\f" for c in text)
        return text if text and is_text else None
    return None


def _is_json(text: str, is_whole: bool) -> bool:
    if not is_whole:
        return True
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _quoted(text: str) -> str:
    """What a page says of itself, in printable letters, to be shown behind what it is."""
    shown = " ".join("".join(c if " " <= c <= "~" else " " for c in text).split())[:60]
    return f" ('{shown}')" if shown else ""


def _scrambled(head: bytes) -> bool:
    """Whether a transport stream says that most of its packets are scrambled (ISO 13818-1)."""
    packets = [head[at : at + _TS_PACKET] for at in range(0, len(head), _TS_PACKET)]
    packets = [packet for packet in packets if len(packet) == _TS_PACKET]
    if len(packets) < 8 or any(packet[0] != _TS_SYNC for packet in packets):
        return False
    num_scrambled = sum(packet[3] & 0x80 != 0 for packet in packets)
    return num_scrambled > len(packets) // 2


def _is_protected_asf(head: bytes) -> bool:
    return head.startswith(_ASF_HEADER) and any(guid in head for guid in _ASF_ENCRYPTION)


def _contained(path: Path, file: BinaryIO, num_bytes: int) -> Description | None:
    """What the headers of an MP4 or a Matroska file tell of it."""
    headers = boxes.read_headers(file)
    protected = [how for how in dict.fromkeys(headers.protected) if how]
    if protected:
        return Description("encrypted", f"its pictures are encrypted ({'; '.join(protected)})")
    if headers.missing_bytes:
        what = f"{headers.missing_bytes} bytes are missing at its end"
        return Description("incomplete", f"{what}, of {num_bytes + headers.missing_bytes}")
    if headers.has_fragments and not headers.has_index:
        return Description("incomplete", "a piece of a file without its beginning (moov)")
    if headers.has_media and not headers.has_index:
        return Description("incomplete", "its table of pictures (moov) is missing")
    if path.name.lower().endswith(_UNFINISHED):
        return Description("incomplete", "its name says that a download is not finished")
    return None
