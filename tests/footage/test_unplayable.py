from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.footage import unplayable
from pipeline.footage.unplayable import describe, is_encrypted
from tests.footage.test_boxes import box, entry, matroska, mp4, track
from tests.made import scene, write_video

LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.mp4", "x")
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.mp4"))
    return data.getvalue()


def scrambled() -> bytes:
    return b"".join(b"\x47\x01\x00\x90" + bytes(range(184)) for _ in range(40))


CASES = {
    "empty": (b"", "empty", "the file is empty"),
    "zeros": (bytes(300_000), "zeros", "300000 bytes, all zero"),
    "zeros first": (bytes(300_000) + b"x" * 9, "zeros", "its first 65536 bytes or more are zero"),
    "git lfs": (LFS, "git_lfs_pointer", "for a file of 12345 bytes"),
    "git lfs, windows": (LFS.replace(b"\n", b"\r\n"), "git_lfs_pointer", "12345"),
    "git-annex": (b"/annex/objects/SHA256E-s1--ab.mp4\n", "git_annex_pointer", "git-annex"),
    "git-annex link": (
        b"../.git/annex/objects/Xx/1/SHA256E-s1--ab.mp4",
        "git_annex_pointer",
        "git-annex",
    ),
    "dvc": (b"outs:\n- md5: 0cc1\n  size: 1\n  path: a.mp4\n", "dvc_pointer", "DVC pointer"),
    "page": (
        b"<!DOCTYPE html><html><head><title>403\n Forbidden</title></head></html>",
        "web_page",
        "a web page ('403 Forbidden')",
    ),
    "page with a mark": (b"\xef\xbb\xbf\n<html lang=en><body>", "web_page", "a web page"),
    "page in UTF-16": ("<html><body>é".encode("utf-16"), "web_page", "a web page"),
    "page that is cut": (b"<html>" + "é".encode() * 40_000, "web_page", "a web page"),
    "error of a store": (
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "web_page",
        "a message in XML ('AccessDenied')",
    ),
    "json": (b'{"error": {"code": 401}}', "web_page", "a message in JSON"),
    "zip": (zipped(), "archive", "ZIP"),
    "tar": (tarred(), "archive", "tar"),
    "gzip": (gzip.compress(b"x"), "archive", "gzip"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(range(99)), "archive", "RAR"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(range(99)), "archive", "7z"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "document", "PDF"),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(99)), "image", "JPEG"),
    "heic": (box(b"ftyp", b"heic", bytes(4), b"mif1heic"), "image", "HEIF"),
    "resource fork": (b"\0\x05\x16\x07\0\x02\0\0Mac OS X" + bytes(99), "companion", "Mac"),
    "shortcut": (b"L\0\0\0\x01\x14\x02\0" + bytes(99), "shortcut", "Windows"),
    "text": ("1\n00:00:01 --> 00:00:02\nGrüße\n".encode(), "text", "a text file"),
    "pgp": (b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n", "encrypted", "PGP"),
    "cenc": (mp4(track(entry(b"encv"))), "encrypted", "encrypted (encv, cenc)"),
    "webm": (matroska(True), "encrypted", "encrypted (ContentEncryption)"),
    "pay TV": (scrambled(), "encrypted", "encrypted"),
    "no moov": (box(b"ftyp", bytes(8)) + box(b"mdat", b"x" * 64), "incomplete", "moov"),
    "a segment": (
        box(b"styp", bytes(8)) + box(b"moof", b"x" * 8) + box(b"mdat", b"x" * 8),
        "incomplete",
        "without its beginning",
    ),
    "cut": (mp4(track(entry(b"avc1")))[:-60], "incomplete", "60 bytes are missing at its end"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_described_by_what_it_is(tmp_path: Path, case: str) -> None:
    data, reason, detail = CASES[case]
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    found = describe(path)
    assert found is not None
    assert found.reason == reason
    assert detail in found.detail
    assert found.detail.isprintable()


def test_a_download_that_is_not_finished_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4.crdownload"
    path.write_bytes(bytes(range(256)) * 9)
    found = describe(path)
    assert found is not None
    assert found.reason == "incomplete"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.webm"])
def test_nothing_is_said_of_videos(tmp_path: Path, name: str) -> None:
    codec = "libvpx" if name == "a.webm" else "libx264"
    path = write_video(tmp_path / name, scene(0, 8), codec=codec)
    assert describe(path) is None
    assert not is_encrypted(path)


@pytest.mark.parametrize("data", [b"rubbish", bytes(range(256)) * 99, b"RIFF\0\0\0\0AVI LIST"])
def test_nothing_is_said_of_what_is_not_known(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    assert describe(tmp_path / "a.mp4") is None


def test_encrypted_files_are_told_before_they_are_decoded(tmp_path: Path) -> None:
    for name, data in (("a.mp4", mp4(track(entry(b"encv")))), ("a.webm", matroska(True))):
        (tmp_path / name).write_bytes(data)
        assert is_encrypted(tmp_path / name)


def test_every_reason_has_a_remedy() -> None:
    reasons = {reason for _, reason, _ in unplayable._SIGNATURES}
    reasons |= {reason for _, reason, _ in CASES.values()}
    assert reasons == set(unplayable.REMEDIES)
