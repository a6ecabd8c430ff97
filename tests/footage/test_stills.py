from __future__ import annotations

import hashlib
import os
import struct
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.footage import foreign
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import Printed, PrintTask
from pipeline.footage.printing import hash_file as as_video
from pipeline.footage.stills import hash_still_or_video
from tests.made import grey, scene, write_video

LIMITS = foreign.DecodingLimits(max_pixels=200 * 200, max_duration_s=600)
SRGB = ImageCms.createProfile("sRGB")
PICTURE = scene(3, 1, 120, 160, noise=0)[0]


def told(path: Path) -> Printed | Unusable:
    return hash_still_or_video(PrintTask(path, 1.0, False, LIMITS))


def made(path: Path) -> Printed:
    result = told(path)
    assert isinstance(result, Printed), result
    return result


def write(path: Path, picture: np.ndarray) -> Path:
    """Write a picture, uint8 or uint16, of 1, 3 or 4 channels, the first of them red."""
    if picture.ndim == 3:
        picture = np.concatenate([picture[..., 2::-1], picture[..., 3:]], axis=-1)
    assert cv2.imwrite(str(path), np.ascontiguousarray(picture))
    return path


def distance(one: Printed, other: Printed, *, mirrored: bool = False) -> int:
    return int(np.bitwise_count(one.hashes[0, 0] ^ other.hashes[0, int(mirrored)]).sum())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """What the picture is told by, written without loss."""
    return made(write(tmp_path_factory.mktemp("whole") / "whole.png", PICTURE))


def test_a_still_is_told_by_its_whole_picture_and_by_its_bytes(
    tmp_path: Path, whole: Printed
) -> None:
    path = write(tmp_path / "a.png", PICTURE)
    video = as_video(
        PrintTask(write_video(tmp_path / "a.mp4", [PICTURE] * 15, rate=15), 1.0, False, LIMITS)
    )
    assert isinstance(video, Printed)
    assert distance(whole, video) <= 8
    assert whole.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert whole.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert (whole.duration_s, whole.times_ms.tolist()) == (0.0, [0])
    assert whole.quality[0] >= 50
    assert not len(whole.part_kinds)
    assert not len(whole.sounds)
    mirrored = made(write(tmp_path / "b.png", PICTURE[:, ::-1]))
    assert distance(mirrored, whole, mirrored=True) <= 31
    assert distance(mirrored, whole) > 60


def test_a_still_may_be_of_any_usual_kind(tmp_path: Path, whole: Printed) -> None:
    brightness = cv2.cvtColor(PICTURE, cv2.COLOR_RGB2GRAY)
    opaque = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    kinds = {
        "photograph.jpg": PICTURE,
        "web.webp": PICTURE,
        "print.tiff": PICTURE,
        "paint.bmp": PICTURE,
        "no name of its own.mp4": PICTURE,
        "grey.jpg": brightness,
        "grey.png": brightness,
        "deep.png": PICTURE.astype(np.uint16) * 257,
        "deep and grey.png": brightness.astype(np.uint16) * 257,
        "seen through.png": opaque,
    }
    for name, picture in kinds.items():
        # OpenCV writes what the suffix says.
        path = write(tmp_path / name.replace(".mp4", ".jpg"), picture)
        path = path.rename(tmp_path / name)
        assert distance(made(path), whole) <= 10, name
    shown = Image.fromarray(PICTURE)
    shown.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    shown.convert("CMYK").save(tmp_path / "to be printed.jpg")
    # A profile of colours.
    shown.save(tmp_path / "profiled.png", icc_profile=ImageCms.ImageCmsProfile(SRGB).tobytes())
    for name in ("palette.png", "to be printed.jpg", "profiled.png"):
        assert distance(made(tmp_path / name), whole) <= 10, name


def turned(orientation: int) -> np.ndarray:
    """The picture as it is stored where Exif says how it is to be turned."""
    return {
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.swapaxes(0, 1),
        6: np.rot90(PICTURE),
        7: PICTURE[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(PICTURE, -1),
    }[orientation]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_photograph_is_turned_as_its_camera_was(
    tmp_path: Path, whole: Printed, orientation: int
) -> None:
    data = write(tmp_path / "a.jpg", turned(orientation)).read_bytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    path = tmp_path / "turned.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    assert distance(made(path), whole) <= 10


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path: Path, width: int, height: int) -> Path:
    """A small file that says it is a large picture, all black."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3 * width + 1) * 100, 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


@pytest.mark.parametrize("side", [201, 60_000])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, side: int
) -> None:
    found = told(bomb(tmp_path / "bomb.png", side, side))
    assert found == Unusable("too_large", f"{side}x{side} pixels a frame")


def test_what_is_damaged_is_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "a.webp", "a.tiff", "a.bmp"):
        path = write(tmp_path / name, PICTURE)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 3 // 4])
        found = told(path)
        assert isinstance(found, Unusable), name
        assert found.reason == "damaged", name


def test_what_would_be_told_by_a_part_or_by_nothing_is_refused(tmp_path: Path) -> None:
    entry = b"infe\x02\0\0\0\0\x31\0\0grid\0"
    tiled = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x40meta\0\0\0\0" + entry
    animated = b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(90)
    for name, data in {"a.heic": tiled, "b.webp": animated, "c.psd": b"8BPS" + bytes(90)}.items():
        (tmp_path / name).write_bytes(data)
        found = told(tmp_path / name)
        assert isinstance(found, Unusable), name
        assert found.reason == "still_format", name


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    # A pipe that nobody writes to keeps its reader, so this one would wait for ever.
    found: list[Printed | Unusable] = []
    waiting = threading.Thread(target=lambda: found.append(told(tmp_path / "a.jpg")), daemon=True)
    waiting.start()
    waiting.join(timeout=120)
    assert found == [Unusable("not_a_file", "a folder, a pipe or a device", is_lasting=False)]


def test_a_tiff_that_would_be_told_by_black_or_by_noise_is_refused(tmp_path: Path) -> None:
    shown, path = Image.fromarray(PICTURE), tmp_path / "a.tiff"
    shown.save(path, compression="jpeg")
    found = told(path)
    assert isinstance(found, Unusable)
    assert found.reason == "still_format"
    shown.save(path, compression="tiff_lzw")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 40] = bytes(range(100, 140))
    path.write_bytes(data)
    found = told(path)
    assert isinstance(found, Unusable)
    assert found.reason == "damaged"


def test_a_still_of_a_kind_that_is_not_read_is_told_as_one(tmp_path: Path) -> None:
    shown = Image.fromarray(PICTURE)
    for name in ("a.ppm", "a.tga", "a.ico", "a.pcx", "a.jp2"):
        shown.save(tmp_path / name)
    shown.convert("LAB").save(tmp_path / "lab.tiff")
    Image.fromarray(PICTURE[..., 0].astype(np.float32)).save(tmp_path / "float.tiff")
    # Neither is a list of files to play.
    (tmp_path / "noise.jpg").write_bytes(np.random.default_rng(1).bytes(5000))
    (tmp_path / "cut.bmp").write_bytes(b"BM")
    for path in sorted(tmp_path.iterdir()):
        found = told(path)
        assert isinstance(found, Unusable), path.name
        assert found.reason == "still_format", path.name


def test_what_is_flat_has_no_hash_and_what_is_no_still_is_as_it_was(tmp_path: Path) -> None:
    assert not len(made(write(tmp_path / "flat.png", grey([0])[0])).times_ms)
    text = tmp_path / "a.jpg"
    text.write_text("no picture, but words\n" * 50)
    assert told(text) == Unusable("text", "a text file")
    assert told(tmp_path / "none.jpg") == Unusable(
        "not_a_file", "a folder, a pipe or a device", is_lasting=False
    )
    path = write_video(tmp_path / "a.mp4", scene(1, 30), rate=15)
    task = PrintTask(path, 1.0, False, LIMITS)
    video, same = as_video(task), hash_still_or_video(task)
    assert isinstance(video, Printed)
    assert isinstance(same, Printed)
    assert same.hashes.tobytes() == video.hashes.tobytes()
    # Ingest goes on refusing stills.
    still = as_video(PrintTask(write(tmp_path / "b.jpg", PICTURE), 1.0, False, LIMITS))
    assert isinstance(still, Unusable)
    assert still.reason == "image"
