"""Photographs out of a package of Debian, and the resource of Qt that they lie in."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from pipeline.config import RenderSettings
from pipeline.engines.acoustics.room import ROOMS
from pipeline.engines.photographs.pictures import SOURCES as PHOTOGRAPHS
from pipeline.engines.photographs.pictures import Source, read
from pipeline.engines.sights import engine, resources
from pipeline.errors import UserError
from tests.conftest import moving_frames

SETTINGS = RenderSettings(num_recordings=1, duration_s=0.8, heights=[96], rates_fps=[15.0])
LICENCES = {"public domain", "CC0-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-4.0"}


def resource(version: int, files: dict[str, bytes], compressed: bool = False) -> bytes:
    """A compiled resource, as `rcc` writes it, with all files in one folder `sights`."""
    names = data = b""
    at: dict[str, tuple[int, int]] = {}
    for name, content in {"sights": b"", **files}.items():
        at[name] = len(names), len(data)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        packed = struct.pack(">I", len(content)) + zlib.compress(content)
        stored = packed if compressed else content
        data += struct.pack(">I", len(stored)) + stored
    changed = b"" if version == 1 else bytes(8)
    tree = struct.pack(">IHII", 0, 2, 1, 1) + changed
    tree += struct.pack(">IHII", at["sights"][0], 2, len(files), 2) + changed
    for name in files:
        name_at, content_at = at[name]
        tree += struct.pack(">IHHHI", name_at, compressed, 0, 1, content_at) + changed
    ends = 20, 20 + len(tree), 20 + len(tree) + len(data)
    return b"qres" + struct.pack(">4I", version, *ends) + tree + data + names


def picture(rows: int, columns: int) -> bytes:
    """A photograph as PNG, coarse enough to be made smaller."""
    pixels = cv2.resize(moving_frames(3, 1)[0], (columns, rows))
    return bytes(cv2.imencode(".png", pixels[..., ::-1])[1])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_files_of_a_resource_come_out_as_they_went_in(version: int, compressed: bool) -> None:
    files = {"großer Wall.png": bytes(range(200)) * 3, "b.txt": b"b", "empty": b""}
    found = resources.files(resource(version, files, compressed))
    assert found == {f"sights/{name}": content for name, content in files.items()}


@pytest.mark.parametrize("content", [b"", b"RIFF" + bytes(40), resource(4, {"a": b"a"})])
def test_what_is_no_resource_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="compiled resource of"):
        resources.files(content)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A resource of two photographs, the only ones there are."""
    content = resource(2, {"wide.png": picture(120, 1000), "small.png": picture(300, 400)})
    path = tmp_path / "views.rcc"
    path.write_bytes(content)
    reader = engine.SOURCES[0].reader
    one = Source("wide", "CC0-1.0", "by a test", "field", 1.0, False, "views", "wide.png", reader)
    sources = one, replace(one, name="small", path="small.png")
    monkeypatch.setattr(engine, "FOLDER", tmp_path)
    monkeypatch.setattr(engine, "SHA256", {"views": hashlib.sha256(content).hexdigest()})
    monkeypatch.setattr(engine, "SOURCES", sources)
    read.cache_clear()
    return path


def test_large_photographs_are_made_smaller(package: Path) -> None:
    wide, small = engine.SOURCES
    assert read(wide).shape == (77, 640, 3)
    assert read(small).shape == (300, 400, 3)
    assert 0 <= read(small).min() < read(small).max() <= 1


def test_indices_take_the_photographs_in_turn_and_nothing_is_fired_in_sight(package: Path) -> None:
    takes = [take for index in range(3) for take in engine.record(5, index, SETTINGS)]
    assert [take.source for take in takes] == [
        "photograph-wide",
        "photograph-small",
        "photograph-wide",
    ]
    assert len({take.recording for take in takes}) == 3
    for take in takes:
        assert (take.origin, take.discharges_s, take.licence) == ("real", (), "CC0-1.0")
        assert take.rendered == bool(take.heard_s)
        assert take.frames.std() > 6


def test_a_package_that_was_not_fetched_or_is_another_is_named(package: Path) -> None:
    assert engine.missing() is None
    package.write_bytes(package.read_bytes() + b" ")
    assert "views.rcc: of another version of gcompris-qt-data than 3.1-2" in str(engine.missing())
    with pytest.raises(UserError, match=r"sights: .*views\.rcc: of another version"):
        engine.record(5, 0, SETTINGS)
    package.unlink()
    assert "views.rcc: not there; run make footage on Debian 12" in str(engine.missing())


def test_every_photograph_has_a_name_of_its_own_a_licence_and_an_author() -> None:
    names = [source.name for source in (*PHOTOGRAPHS, *engine.SOURCES)]
    assert len(set(names)) == len(names)
    for source in engine.SOURCES:
        assert source.licence in LICENCES
        assert source.room in ROOMS
        assert source.package in engine.SHA256
        assert source.authority.startswith("photograph by ")
        assert "https://" in source.authority


@pytest.mark.skipif(engine.missing() is not None, reason="make footage fetches the package")
def test_every_photograph_is_there_and_large_enough() -> None:
    for source in engine.SOURCES:
        assert min(read(source).shape[:2]) >= 280, source.name
        assert max(read(source).shape[:2]) == 640, source.name


@pytest.mark.skipif(engine.missing() is not None, reason="make footage fetches the package")
def test_the_package_names_the_same_photographer_and_licence() -> None:
    for source in engine.SOURCES:
        found = resources.files((engine.FOLDER / f"{source.package}.rcc").read_bytes())
        (said,) = (text.decode() for path, text in found.items() if path.endswith("/README"))
        # One name is misspelt in the package.
        name = source.path.removeprefix("image/").replace("aulaPalatina", "audaPalatina")
        (block,) = (one for one in said.split("\n\n") if name in one.split())
        photographer = source.authority.removeprefix("photograph by ").split(" (https")[0]
        assert photographer in block
        licence = block.partition("License: ")[2].split("\n")[0]
        assert licence.replace(" ", "-").lower() == source.licence.replace(" ", "-").lower()
