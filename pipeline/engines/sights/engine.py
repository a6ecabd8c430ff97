"""`record`: one photograph of the package and one camera."""

from __future__ import annotations

import csv
import hashlib
import sys
from functools import cache
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config import RenderSettings
from pipeline.engines.photographs.engine import filmed
from pipeline.engines.photographs.pictures import ONLY_CAMERA, Source
from pipeline.engines.sights import resources
from pipeline.engines.take import Take
from pipeline.errors import UserError

PACKAGE = "gcompris-qt-data"
FOLDER = Path(sys.prefix, "footage", PACKAGE)
SHA256 = MappingProxyType(
    {
        "explore_monuments": "337878371e443f7401d4fe4798c88dde44569953bf5fa8f2738d45be4ec59ab1",
        "erase": "0c92974491a4a4e90bebe79156720122adaf084b2e2fcc4513ce6907c3e14d6b",
        "details": "555de36db64bf67bbc35a3cc9308cedfcffc6c1273a69285467a572c20963b85",
    }
)
"""The resources that hold the photographs, as version 3.1-2 of the package has them (Debian 12)."""
_FETCH = "run make footage on Debian 12"
# Larger ones would flicker when they are looked up, and in the picture they are 256 pixels wide.
_LARGEST = 640


def _sources() -> tuple[Source, ...]:
    with Path(__file__).with_name("photographs.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Source(
                name=row["name"],
                licence=row["licence"],
                authority=(
                    f"photograph by {row['photographer']} ({row['origin']}), in GCompris; "
                    + ONLY_CAMERA
                ),
                room=row["room"],
                package=row["resource"],
                path=row["path"],
                reader=_read,
            )
            for row in csv.DictReader(file)
        )


def missing() -> str | None:
    """Say in one line which resource is not there or is another than it was, or None."""
    for name, sha256 in SHA256.items():
        path = _path(name)
        if not path.is_file():
            return f"{path}: not there; {_FETCH}"
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            return f"{path}: of another version of {PACKAGE} than 3.1-2; {_FETCH}"
    return None


def record(seed: int, index: int, settings: RenderSettings) -> list[Take]:
    """Film the photograph of an index as the engine `photographs` does.

    Raises:
        UserError: a height that cannot be encoded, or a package that was not fetched.
        UnusableDraw: the camera sees nothing but one surface.
    """
    source = SOURCES[index % len(SOURCES)]
    return [filmed(seed, index, settings, "sights", source)]


def _path(resource: str) -> Path:
    return FOLDER / f"{resource}.rcc"


def _read(source: Source) -> NDArray[np.uint8]:
    found = _files(_path(source.package))
    encoded = next(content for path, content in found.items() if path.endswith(f"/{source.path}"))
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    rows, columns = picture.shape[:2]
    if (larger := max(rows, columns)) > _LARGEST:
        size = round(columns * _LARGEST / larger), round(rows * _LARGEST / larger)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(picture, np.uint8)


@cache
def _files(path: Path) -> dict[str, bytes]:
    if (absent := missing()) is not None:
        raise UserError(f"sights: {absent}")
    return resources.files(path.read_bytes())


SOURCES = _sources()
"""Photographs under licences that allow this: of buildings and landscapes, and of animals."""
