from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import ClipFormat, EngineSettings
from pipeline.engines import packages
from pipeline.errors import UserError
from pipeline.footage import canonical, foreign
from pipeline.store import video
from tests.conftest import moving_frames

SETTINGS = EngineSettings(num_recordings=1, duration_s=12.0)
RATE_HZ = 8000


def recording(num_frames: int = 30, fps: int = 10) -> bytes:
    """An AVI with sound."""
    written = io.BytesIO()
    with av.open(written, "w", format="avi") as file:
        video = file.add_stream("mjpeg", fps)
        video.width, video.height, video.pix_fmt = 64, 64, "yuvj420p"
        sound = file.add_stream("pcm_s16le", RATE_HZ, layout="mono")
        for number, pixels in enumerate(moving_frames(0, num_frames)):
            file.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            tone = np.full((1, RATE_HZ // fps), number, np.int16)
            heard = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            heard.sample_rate, heard.pts = RATE_HZ, number * tone.shape[1]
            file.mux(sound.encode(heard))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    return written.getvalue()


def counts(content: bytes) -> tuple[int, float]:
    """Pictures of a file, and seconds of its sound."""
    with av.open(io.BytesIO(content), "r") as file:
        pictures = sum(1 for _ in file.decode(video=0))
    with av.open(io.BytesIO(content), "r") as file:
        return pictures, sum(one.samples for one in file.decode(audio=0)) / RATE_HZ


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two views of one moment, the only one there is."""
    views = {f"views/{name}.avi": recording(30 + 10 * n) for n, name in enumerate("ab")}
    wheel = tmp_path / "Views-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, content in views.items():
            file.writestr(name, content)
    hashes = tuple((name, hashlib.sha256(one).hexdigest()) for name, one in views.items())
    source = packages.PackagedCamera(
        "views", "Views", hashes, "CC0-1.0", "made by a test", "tripod", ""
    )
    monkeypatch.setattr(packages, "FOLDER", tmp_path)
    monkeypatch.setattr(packages, "SOURCES", (source,))
    return wheel


def test_views_of_one_moment_are_files_of_one_recording(package: Path) -> None:
    found = packages.record(7, 0, SETTINGS)
    assert [one.name + one.suffix for one in found] == ["camera-views-a.avi", "camera-views-b.avi"]
    assert {(one.source, one.recording) for one in found} == {("camera-views", "camera-views")}
    assert {(one.origin, one.discharges_s, one.licence) for one in found} == {
        ("real", (), "CC0-1.0")
    }
    with zipfile.ZipFile(package) as file:
        assert [one.content for one in found] == [file.read(name) for name in file.namelist()]


def test_what_is_longer_is_cut_and_its_packets_stay_as_they_are(package: Path) -> None:
    long = recording(30)
    short = packages.cut(long, 1.0)
    assert counts(long) == (30, 3.0)
    pictures, sound_s = counts(short)
    assert pictures == 10
    assert sound_s == pytest.approx(1.0, abs=0.2)
    with av.open(io.BytesIO(long), "r") as was, av.open(io.BytesIO(short), "r") as now:
        for before, after in zip(was.decode(video=0), now.decode(video=0), strict=False):
            assert np.array_equal(before.to_ndarray(), after.to_ndarray())
    assert packages.cut(long, 1.0) == short
    assert packages.cut(long, 3.0) == long


def test_an_mp4_is_cut_too() -> None:
    long = video.encode(moving_frames(0, 45), 15.0, kbit_s=200, keyint=15)
    with av.open(io.BytesIO(packages.cut(long, 1.0)), "r") as file:
        assert sum(1 for _ in file.decode(video=0)) in range(14, 19)


def test_packages_that_were_not_fetched_are_named(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packages.missing() is None
    monkeypatch.setattr(packages, "FOLDER", package.parent / "elsewhere")
    assert packages.missing() == f"Views not in {packages.FOLDER}; run make footage"
    with pytest.raises(UserError, match=r"Views: not in .*run make footage"):
        packages.record(7, 0, SETTINGS)


def test_another_file_in_a_package_is_refused(package: Path) -> None:
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("views/a.avi", recording(20))
    with pytest.raises(UserError, match=r"views/a\.avi: another file than it was; .*constraints"):
        packages.record(7, 0, SETTINGS)
    package.write_bytes(b"")
    with pytest.raises(UserError, match=r"Views-1\.0.*: not readable .*run make footage"):
        packages.record(7, 0, SETTINGS)


def test_there_are_only_so_many(package: Path) -> None:
    with pytest.raises(UserError, match=r"packages\.num_recordings: .* set at most 1"):
        packages.record(7, 1, SETTINGS)


@pytest.mark.skipif(packages.missing() is not None, reason="make footage fetches the packages")
@pytest.mark.parametrize("index", range(len(packages.SOURCES)))
def test_recordings_are_long_enough_for_a_clip(index: int) -> None:
    for found in packages.record(7, index, SETTINGS):
        assert found.licence
        with av.open(io.BytesIO(found.content), "r") as file:
            assert file.duration is not None
            assert 16 / 15 < file.duration / av.time_base < 12.1


@pytest.mark.skipif(packages.missing() is not None, reason="make footage fetches the packages")
@pytest.mark.parametrize(
    ("index", "name", "codec", "presences"),
    [
        (2, "camera-laboratory-cam01", None, {"absent"}),
        (2, "camera-laboratory-cam02", "aac", {"silent"}),
        (3, "camera-dancer", "mp3float", {"present"}),
    ],
)
def test_recordings_keep_the_sound_that_they_have(
    tmp_path: Path, index: int, name: str, codec: str | None, presences: set[str]
) -> None:
    settings = EngineSettings(num_recordings=5, duration_s=4.0)
    (found,) = (one for one in packages.record(7, index, settings) if one.name == name)
    path = tmp_path / f"file{found.suffix}"
    path.write_bytes(found.content)
    clip = ClipFormat(num_frames=16, size=64, fps=15.0, crf=18)
    limits = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)
    made = canonical.canonicalise(path, clip, clip.num_frames, limits)
    assert made.track.codec == codec
    assert {window.presence for window in made.windows} == presences
    assert made.track.marks == ()
