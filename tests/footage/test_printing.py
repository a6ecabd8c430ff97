from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.copies.chromaprint import ITEM_S, RATE_HZ, Chromaprint, is_sound
from pipeline.copies.fingerprint import pdq
from pipeline.copies.hash_lists import MIN_QUALITY
from pipeline.footage import conversion, foreign
from pipeline.footage.canonical import canonicalise
from pipeline.footage.conversion import Unusable
from pipeline.footage.printing import FilePrinter, Printed, PrintTask, hash_file
from tests.made import grey, scene, write_video, write_with_sound

LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)
HASHES, KINDS = np.ones((1, 1, 32), np.uint8), np.ones(1, np.uint8)


def made(path: Path, rate_hz: float = 1.0, with_changes: bool = False) -> Printed:
    result = hash_file(PrintTask(path, rate_hz, with_changes, LIMITS))
    assert isinstance(result, Printed)
    return result


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.bitwise_count(a ^ b).sum(axis=-1)


def test_hashes_are_of_pictures_and_of_their_mirror_images(tmp_path: Path) -> None:
    frames = scene(0, 50)
    path = write_video(tmp_path / "a.mp4", frames, rate=15)
    result = made(path)
    assert result.times_ms.tolist() == [0, 1000, 2000, 3000]
    assert result.duration_s == pytest.approx(50 / 15)
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    expected, _ = pdq(frames[[0, 15, 30, 45]])
    assert distances(result.hashes, expected).max() <= 24
    assert result.quality.min() >= MIN_QUALITY


def test_they_are_those_that_ingest_gives_to_others(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(1, 40), rate=15)
    clip = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)
    exchanged = canonicalise(path, clip, 8, LIMITS).frame_prints
    result = made(path)
    assert [one.pdq for one in exchanged] == [one[0].tobytes().hex() for one in result.hashes]
    assert [one.quality for one in exchanged] == result.quality.tolist()


def test_nothing_is_said_of_colours_that_are_tagged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    tags = {"colorspace": 6, "color_range": 1}
    made(write_video(tmp_path / "a.mp4", scene(1, 30), rate=15, tags=tags))
    assert (capfd.readouterr().err, caplog.text) == ("", "")


def test_pictures_that_change_are_hashed_between(tmp_path: Path) -> None:
    fast = write_video(tmp_path / "a.mp4", scene(2, 30, speed_px=6.0), rate=15)
    still = write_video(tmp_path / "b.mp4", scene(2, 30, speed_px=0.0, noise=0), rate=15)
    assert made(fast, 4.0, with_changes=True).times_ms.tolist() == [
        round(1000 * n / 15) for n in range(30)
    ]
    assert len(made(still, 4.0, with_changes=True).times_ms) == 8
    assert len(made(fast, 4.0).times_ms) == 8


def test_flat_pictures_are_left_out(tmp_path: Path) -> None:
    frames = np.concatenate([grey([90] * 30, 96, 128), scene(3, 15)])
    assert made(write_video(tmp_path / "a.mp4", frames, rate=15)).times_ms.tolist() == [2000]
    flat = made(write_video(tmp_path / "b.mp4", grey([90] * 30), rate=15))
    assert flat.hashes.shape == (0, 2, 32)
    assert flat.duration_s == pytest.approx(2)


def test_clips_are_the_same_where_their_pictures_are_hashed_meanwhile(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, (1, 3 * 48_000))
    path = write_with_sound(tmp_path / "a.mkv", scene(5, 40), sound, codec="pcm_s16le", fps=15)
    clip = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)
    task = PrintTask(path, 1.0, False, LIMITS, lambda _: (HASHES, KINDS))
    alone, printer = canonicalise(path, clip, 8, LIMITS), FilePrinter(task)
    beside = canonicalise(path, clip, 8, LIMITS, pictures_of=printer.passing)
    assert conversion.packed_up(beside) == conversion.packed_up(alone)
    told, expected = printer.finished(alone.sha256, alone.md5), hash_file(task)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(told, name), value)
    assert len(expected.part_kinds) == 3


def test_a_picture_that_cannot_be_hashed_ends_the_hashes_and_not_the_clips(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", scene(5, 40), rate=15)
    clip = ClipFormat(num_frames=8, size=64, fps=15.0, crf=18)
    num_seen = [0]

    def fails(_: object) -> tuple[np.ndarray, np.ndarray]:
        num_seen[0] += 1
        if num_seen[0] > 1:
            raise foreign.DecodeError("decode_error", "no picture")
        return HASHES, KINDS

    printer = FilePrinter(PrintTask(path, 1.0, False, LIMITS, fails))
    beside = canonicalise(path, clip, 8, LIMITS, pictures_of=printer.passing)
    told = printer.finished(beside.sha256, beside.md5)
    assert len(beside.windows) == 5
    assert isinstance(told, Printed)
    assert (told.times_ms.tolist(), told.duration_s) == ([0], pytest.approx(40 / 15))


def test_what_is_no_video_is_told_with_its_reason(tmp_path: Path) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("no video, but words\n" * 50)
    assert hash_file(PrintTask(text, 1.0, False, LIMITS)).reason == "text"  # type: ignore[union-attr]
    folder = hash_file(PrintTask(tmp_path, 1.0, False, LIMITS))
    assert isinstance(folder, Unusable)
    assert folder.reason == "not_a_file"
    long = write_video(tmp_path / "b.mp4", scene(4, 45), rate=15)
    limits = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=1)
    result = hash_file(PrintTask(long, 1.0, False, limits))
    assert isinstance(result, Unusable)
    assert result.reason == "too_long"


def test_pictures_with_bars_are_hashed_without_them_too(tmp_path: Path) -> None:
    frames = scene(5, 15, height=96)
    barred = np.zeros((15, 136, 128, 3), np.uint8)
    barred[:, 20:116] = frames
    plain = made(write_video(tmp_path / "a.mp4", frames, rate=15))
    result = made(write_video(tmp_path / "b.mp4", barred, rate=15))
    assert result.times_ms.tolist() == [0, 0]
    whole, _ = pdq(barred[:1])
    assert distances(result.hashes[0], whole[0]).max() <= 24
    assert distances(result.hashes[1], plain.hashes[0]).max() <= 31
    assert distances(result.hashes[0], plain.hashes[0]).min() > 60


def tune(num_s: int) -> np.ndarray:
    """Sound whose pitch changes three times a second, (n,)."""
    pitches = np.random.default_rng(0).uniform(200, 2000, 3 * num_s).repeat(RATE_HZ // 3)
    return np.asarray(0.4 * np.sin(2 * np.pi * np.cumsum(pitches) / RATE_HZ))


def items_of(samples: np.ndarray) -> np.ndarray:
    printer = Chromaprint()
    printer.add(samples)
    return printer.items()


def test_sound_is_hashed_on_the_clock_of_the_pictures_without_its_silence(tmp_path: Path) -> None:
    silence = np.zeros(5 * RATE_HZ)
    path = tmp_path / "a.mkv"
    samples = np.concatenate([tune(10), silence, tune(10)])
    write_with_sound(path, scene(0, 15 * 25), samples[None], codec="flac", rate=RATE_HZ, fps=15)
    result = made(path)
    items = items_of(samples)
    times_ms = np.rint(1000 * ITEM_S * np.arange(len(items))).astype(np.uint32)
    assert 10 < np.count_nonzero(~is_sound(items)) < 25
    assert np.array_equal(result.sound_times_ms, times_ms[is_sound(items)])
    # The track is decoded to 16 bits.
    assert np.bitwise_count(result.sounds ^ items[is_sound(items)]).mean() < 0.5


def test_a_narrow_band_is_hashed_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    silence = np.zeros(5 * RATE_HZ)
    samples = np.concatenate([tune(10), silence, tune(10)])
    write_with_sound(path, scene(0, 15 * 25), samples[None], codec="flac", rate=RATE_HZ, fps=15)
    result = made(path)
    printer = Chromaprint()
    printer.add(samples)
    items = printer.narrow_items()
    times_ms = np.rint(1000 * ITEM_S * np.arange(len(items))).astype(np.uint32)
    assert np.array_equal(result.narrow_times_ms, times_ms[is_sound(items)])
    assert np.bitwise_count(result.narrow_sounds ^ items[is_sound(items)]).mean() < 0.5
    assert np.bitwise_count(result.narrow_sounds ^ result.sounds).mean() > 2


def test_a_track_that_cannot_be_read_costs_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 3 * 2000))
    write_with_sound(path, scene(0, 45), samples, codec="pcm_s16le", rate=2000, fps=15)
    result = made(path)
    assert (result.sounds.size, len(result.times_ms)) == (0, 3)
    quiet = made(write_video(tmp_path / "b.mp4", scene(0, 45), rate=15))
    assert (quiet.sounds.size, quiet.sound_times_ms.dtype) == (0, np.uint32)


def test_sound_that_starts_late_is_on_the_clock_of_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    sound = tune(10)[None]
    write_with_sound(
        path, scene(0, 15 * 13), sound, codec="flac", rate=RATE_HZ, fps=15, sound_start_s=3.0
    )
    result = made(path)
    assert result.sound_times_ms[0] == pytest.approx(3000, abs=2)
    assert np.bitwise_count(result.sounds ^ items_of(sound[0])).mean() < 0.5


def test_sound_goes_on_after_the_last_picture_until_a_file_may_last_no_longer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.mkv"
    samples = tune(12)
    write_with_sound(path, scene(0, 30), samples[None], codec="flac", rate=RATE_HZ, fps=15)
    result = made(path)
    assert result.duration_s == pytest.approx(2, abs=0.01)
    assert len(result.sounds) == len(items_of(samples))
    limits = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=6)
    shorter = hash_file(PrintTask(path, 1.0, False, limits))
    assert isinstance(shorter, Printed)
    assert len(shorter.sounds) == len(items_of(samples[: 6 * RATE_HZ]))


def test_channels_that_cancel_each_other_are_heard_by_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    samples = tune(8)
    stereo = np.stack([samples, -samples])
    write_with_sound(path, scene(0, 15 * 8), stereo, codec="flac", rate=RATE_HZ, fps=15)
    result = made(path)
    expected = items_of(samples)
    assert len(result.sounds) == len(expected)
    assert np.bitwise_count(result.sounds ^ expected).mean() < 0.5
