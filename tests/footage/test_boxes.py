from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import pytest

from pipeline.footage import boxes
from tests.made import scene, write_video


def box(kind: bytes, *content: bytes) -> bytes:
    inner = b"".join(content)
    return struct.pack(">I", 8 + len(inner)) + kind + inner


def large_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


def entry(kind: bytes, is_protected: int = 1) -> bytes:
    tenc = box(b"tenc", bytes(6), bytes([is_protected, 8]), bytes(16))
    scheme = box(b"schm", bytes(4), b"cenc", bytes(4))
    sinf = box(b"sinf", box(b"frma", b"avc1"), scheme, box(b"schi", tenc))
    return box(kind, bytes(78), sinf if kind == b"encv" else b"")


def track(*entries: bytes, handler: bytes = b"vide") -> bytes:
    stsd = box(b"stsd", bytes(4), struct.pack(">I", len(entries)), *entries)
    hdlr = box(b"hdlr", bytes(8), handler, bytes(13))
    return box(b"trak", box(b"mdia", hdlr, box(b"minf", box(b"stbl", stsd))))


def mp4(*tracks: bytes) -> bytes:
    return box(b"ftyp", b"isom", bytes(4)) + box(b"moov", *tracks) + box(b"mdat", bytes(100))


def element(identity: int, *content: bytes, is_open: bool = False) -> bytes:
    inner = b"".join(content)
    kind = identity.to_bytes((identity.bit_length() + 7) // 8, "big")
    size = b"\x01" + b"\xff" * 7 if is_open else struct.pack(">Q", len(inner) | 1 << 56)
    return kind + size + inner


def matroska(is_encrypted: bool, kind: int = 1, is_open: bool = False) -> bytes:
    encoding = element(0x6D80, element(0x6240, element(0x5035, b"\0" * 4)))
    parts = [element(0x83, bytes([kind])), encoding if is_encrypted else b""]
    tracks = element(0x1654AE6B, element(0xAE, *parts))
    cluster = element(0x1F43B675, bytes(50), is_open=is_open)
    segment = element(0x18538067, element(0x1549A966, bytes(9)), tracks, cluster, is_open=is_open)
    return element(0x1A45DFA3, bytes(20)) + segment


def headers(data: bytes) -> boxes.Headers:
    return boxes.read_headers(io.BytesIO(data))


def test_encrypted_pictures_of_an_mp4_are_told_wherever_its_headers_stand() -> None:
    seen = headers(mp4(track(entry(b"encv"))))
    assert seen.is_encrypted
    assert seen.protected == ["encv, cenc"]
    first, moov = box(b"ftyp", b"isom", bytes(4)), box(b"moov", track(entry(b"encv")))
    assert headers(first + large_box(b"mdat", bytes(5000)) + moov).is_encrypted
    assert headers(mp4(track(entry(b"drmi")))).is_encrypted


def test_pictures_that_can_be_seen_are_not_encrypted() -> None:
    assert not headers(mp4(track(entry(b"avc1")))).is_encrypted
    assert not headers(mp4(track(entry(b"encv"), entry(b"avc1")))).is_encrypted, "a clear lead"
    assert not headers(mp4(track(entry(b"encv")), track(entry(b"avc1")))).is_encrypted
    assert not headers(mp4(track(entry(b"encv", is_protected=0)))).is_encrypted
    sound = track(entry(b"enca"), handler=b"soun")
    assert not headers(mp4(sound, track(entry(b"avc1")))).is_encrypted
    assert not headers(mp4(sound)).is_encrypted, "no pictures at all"


@pytest.mark.parametrize("is_open", [False, True])
def test_encrypted_pictures_of_matroska_are_told(is_open: bool) -> None:
    assert headers(matroska(True, is_open=is_open)).is_encrypted
    assert not headers(matroska(False, is_open=is_open)).is_encrypted
    assert not headers(matroska(True, kind=2, is_open=is_open)).is_encrypted


def test_what_is_missing_is_told() -> None:
    whole = mp4(track(entry(b"avc1")))
    assert (headers(whole).has_index, headers(whole).missing_bytes) == (True, 0)
    assert headers(whole[:-60]).missing_bytes == 60
    alone = headers(box(b"ftyp", bytes(8)) + box(b"mdat", bytes(64)))
    assert (alone.has_media, alone.has_index) == (True, False)
    piece = headers(box(b"styp", bytes(8)) + box(b"moof", bytes(8)) + box(b"mdat", bytes(8)))
    assert (piece.has_fragments, piece.has_index) == (True, False)
    assert headers(matroska(False)[:-20]).missing_bytes == 20


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts", "a.avi"])
def test_real_files_are_whole_and_not_encrypted(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, scene(0, 8), codec=codec)
    with path.open("rb") as file:
        seen = boxes.read_headers(file)
    assert not any(seen.protected)
    assert seen.missing_bytes == 0
    assert len(seen.protected) == (name in ("a.mp4", "a.mkv", "a.mov"))


def test_an_encrypted_file_of_ffmpeg_is_told(tmp_path: Path) -> None:
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    path = write_video(tmp_path / "a.mp4", scene(0, 8), container_options=options)
    with av.open(str(path)) as container:
        assert container.streams.video
    with path.open("rb") as file:
        assert boxes.read_headers(file).is_encrypted


def test_hostile_sizes_end(tmp_path: Path) -> None:
    whole = mp4(track(entry(b"encv")))
    for at in range(len(whole)):
        for value in (0, 1, 0x7F, 0xFF):
            headers(whole[:at] + bytes([value]) + whole[at + 1 :])
    other = matroska(True)
    for at in range(len(other)):
        for value in (0, 1, 0x7F, 0xFF):
            headers(other[:at] + bytes([value]) + other[at + 1 :])
    headers(b"\0\0\0\x08free" * 300_000)


@pytest.mark.parametrize("size", [1 << 44, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_box_that_ends_where_no_file_can_be_sought_is_the_last(tmp_path: Path, size: int) -> None:
    path = tmp_path / "far.mp4"
    far = b"\0\0\0\x01free" + size.to_bytes(8, "big")
    path.write_bytes(far)
    with path.open("rb") as file:
        assert not boxes.read_headers(file).has_index
    path.write_bytes(bytes.fromhex("1a45dfa3") + b"\x01" + b"\xff" * 6 + b"\x00")
    with path.open("rb") as file:
        assert not boxes.read_headers(file).has_index
