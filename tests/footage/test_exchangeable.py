from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.config import ClipFormat
from pipeline.copies import chromaprint
from pipeline.copies.chromaprint import RATE_HZ, Chromaprint
from pipeline.copies.fingerprint import pdq
from pipeline.footage import exchangeable, foreign
from pipeline.footage.canonical import Canonical, canonicalise
from pipeline.footage.exchangeable import TrackPrinter
from pipeline.footage.foreign.mixing import Heard
from tests.made import grey, scene, write_video, write_with_sound

CLIP = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)
LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)


def made(path: Path, **options: bool) -> Canonical:
    return canonicalise(path, CLIP, 8, LIMITS, **options)


def bits(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(text), np.uint8)


def distance(one: str, other: str) -> int:
    return int(np.bitwise_count(bits(one) ^ bits(other)).sum())


def shown_hash(frame: NDArray[np.uint8]) -> str:
    return pdq(frame[None])[0][0, 0].tobytes().hex()


def test_the_first_picture_of_each_second_and_after_each_cut_is_hashed(tmp_path: Path) -> None:
    frames = np.concatenate([scene(0, 40), scene(1, 40)])
    prints = made(write_video(tmp_path / "a.mp4", frames, rate=15)).frame_prints
    times = [(one.time_s, one.after_cut) for one in prints]
    assert times == [
        (0, False),
        (1, False),
        (2, False),
        (pytest.approx(40 / 15), True),
        (3, False),
        (4, False),
        (5, False),
    ]
    for one in prints:
        assert distance(one.pdq, shown_hash(frames[round(one.time_s * 15)])) <= 24
        assert one.quality > 50
    assert distance(prints[0].pdq, prints[3].pdq) > 80


def test_the_full_picture_is_hashed_with_bars_and_black_ones_have_no_quality(
    tmp_path: Path,
) -> None:
    barred = scene(3, 20, height=96)
    barred[:, :16] = barred[:, -16:] = 0
    frames = np.concatenate([barred, np.zeros_like(barred), np.zeros_like(barred)])
    result = made(write_video(tmp_path / "a.mp4", frames, rate=15))
    assert distance(result.frame_prints[0].pdq, shown_hash(frames[0])) <= 24
    assert distance(result.frame_prints[0].pdq, shown_hash(frames[0, 16:-16])) > 40
    assert result.frame_prints[-1].quality == 0


def test_giants_are_reduced_and_hashed_alike(tmp_path: Path) -> None:
    frames = scene(5, 8, height=90, width=320, noise=0).repeat(8, axis=1).repeat(8, axis=2)
    options = {"qp": "4"}
    (one,) = made(write_video(tmp_path / "a.mp4", frames, rate=15, options=options)).frame_prints
    assert frames.shape[2] > exchangeable.LONGEST_SIDE
    assert distance(one.pdq, shown_hash(frames[0])) <= 10


def test_hashes_equal_those_of_the_package_where_it_is_installed(tmp_path: Path) -> None:
    pdqhash = pytest.importorskip("pdqhash")
    av = pytest.importorskip("av")
    path = write_video(tmp_path / "a.mp4", scene(5, 16, height=240, width=320), rate=15)
    with av.open(str(path)) as file:
        decoded = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    expected, quality = pdqhash.compute(decoded[0])
    one, _ = made(path).frame_prints
    assert distance(one.pdq, np.packbits(expected).tobytes().hex()) <= 6
    assert abs(one.quality - quality) <= 1


def test_files_of_which_no_clip_is_made_have_fingerprints_too(tmp_path: Path) -> None:
    result = made(write_video(tmp_path / "a.mp4", grey([90] * 30), rate=15))
    assert result.windows == ()
    assert [one.time_s for one in result.frame_prints] == [0, 1]


def noise(num_samples: int, seed: int = 0) -> NDArray[np.float64]:
    """A tune of sines that step every half second."""
    rng = np.random.default_rng(seed)
    at = np.arange(num_samples) / RATE_HZ
    pitch = rng.uniform(200, 2000, num_samples // (RATE_HZ // 2) + 1)
    tune = np.sin(2 * np.pi * at * pitch[np.arange(num_samples) // (RATE_HZ // 2)])
    return 0.5 * tune + rng.normal(0, 0.02, num_samples)


def heard(samples: NDArray[np.float64], piece: int = 1000, start_s: float = 0.0) -> list[Heard]:
    return [
        Heard(start_s + at / RATE_HZ, RATE_HZ, samples[at : at + piece], begins=at == 0)
        for at in range(0, len(samples), piece)
    ]


def printed(parts: list[Heard], end_s: float = 1e6) -> tuple[str | None, float | None]:
    printer = TrackPrinter(end_s, of_mean=True)
    assert len(list(printer.passing(iter(parts)))) <= len(parts)
    found = printer.finish()
    return (None, None) if found is None else (chromaprint.encoded(found.items), found.start_s)


def expected(samples: NDArray[np.float64]) -> str:
    printer = Chromaprint()
    printer.add(samples)
    return chromaprint.encoded(printer.items())


@pytest.mark.parametrize("piece", [100, 1024, 10**6])
def test_a_track_is_printed_as_a_whole_however_it_is_divided(piece: int) -> None:
    samples = noise(25 * RATE_HZ)
    assert printed(heard(samples, piece)) == (expected(samples), 0.0)


def test_gaps_are_silence_and_the_start_is_told() -> None:
    first, second = noise(8 * RATE_HZ), noise(6 * RATE_HZ, seed=1)
    silence = np.zeros(2 * RATE_HZ)
    parts = [*heard(first, start_s=0.5), *heard(second, start_s=10.5)]
    assert printed(parts) == (
        expected(np.concatenate([first, silence, second])),
        round(0.5 * RATE_HZ) / RATE_HZ,
    )


def test_nothing_after_the_last_picture_is_read() -> None:
    samples = noise(8 * RATE_HZ)
    printer = TrackPrinter(5.0, of_mean=True)
    passed = list(printer.passing(iter(heard(samples))))
    assert sum(one.samples.size for one in passed) < 5.1 * RATE_HZ
    found = printer.finish()
    assert found is not None
    assert (chromaprint.encoded(found.items), found.start_s) == (
        expected(samples[: 5 * RATE_HZ]),
        0.0,
    )


def test_no_sound_has_no_fingerprint() -> None:
    assert printed([]) == (None, None)


def test_the_track_of_a_file_is_printed_and_left_alone_where_sound_is_off(tmp_path: Path) -> None:
    samples = noise(6 * RATE_HZ)
    wide = np.repeat(samples, 4)[None] * 0.8
    path = tmp_path / "a.mkv"
    write_with_sound(path, scene(0, 180), wide, codec="flac", rate=4 * RATE_HZ)
    track = made(path).track
    assert track.chromaprint is not None
    assert track.chromaprint_start_s == 0
    assert len(track.chromaprint) > 60
    assert made(path, with_sound=False).track.chromaprint is None


@pytest.mark.parametrize(("num_frames", "is_printed"), [(81, False), (84, True)])
def test_a_track_too_short_for_an_item_has_no_fingerprint_as_fpcalc_gives_none(
    tmp_path: Path, num_frames: int, is_printed: bool
) -> None:
    wide = np.repeat(noise(num_frames * RATE_HZ // 30), 4)[None] * 0.8
    path = tmp_path / "a.mkv"
    write_with_sound(path, scene(0, num_frames), wide, codec="flac", rate=4 * RATE_HZ)
    track = made(path).track
    assert track.codec == "flac"
    assert (track.chromaprint is not None, track.chromaprint_start_s) == (
        is_printed,
        0 if is_printed else None,
    )
