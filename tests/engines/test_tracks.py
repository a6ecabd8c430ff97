from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.engines import tracks
from pipeline.engines.take import draw_format
from pipeline.engines.tracks import SOUND_HZ, Music, TrackFormat, draw_track, processed
from pipeline.footage import canonical, foreign
from pipeline.store import sound, video
from tests.conftest import moving_frames

CLIP = ClipFormat(num_frames=16, size=32, fps=15.0, crf=18)
LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)
FPS, NUM_FRAMES = 30, 70
FLASHES = (12, 46)
PLAIN = TrackFormat("aac", 48_000, 1, 128, -37.0, None, is_muted=False, music=None)
EVERY = [(name, rate_hz) for name, _, rates_hz in tracks._CODECS for rate_hz in rates_hz]


def flashing() -> np.ndarray:
    """A moving picture with a white patch in two frames, which canonical clips show both."""
    frames = moving_frames(0, NUM_FRAMES).copy()
    for number in FLASHES:
        frames[number, 16:48, 16:48] = 250
    return frames


def clicking(level: float = 0.9) -> np.ndarray:
    """A quiet tone, int16 (N,), and a click at the start of every flash."""
    t = np.arange(NUM_FRAMES * SOUND_HZ // FPS) / SOUND_HZ
    wave = 0.02 * np.sin(2 * np.pi * 300 * t)
    for number in FLASHES:
        n = np.arange(SOUND_HZ // 200)
        first = number * SOUND_HZ // FPS
        wave[first : first + n.size] += level * np.exp(-n / 40) * np.cos(n * 0.25)
    return np.rint(32767 * wave).astype(np.int16)


def ingested(path: Path, samples: np.ndarray, form: TrackFormat) -> canonical.Canonical:
    """What ingest makes of a file with a track of the format."""
    mp4 = video.encode(flashing(), FPS, kbit_s=300, keyint=30, track=processed(samples, form))
    path.write_bytes(mp4)
    return canonical.canonicalise(path, CLIP, CLIP.num_frames, LIMITS)


def heard(made: canonical.Canonical) -> np.ndarray:
    """The sound of all clips, float64 in -1 to 1."""
    flacs = [window.flac for window in made.windows]
    return np.concatenate([sound.decode(flac) for flac in flacs if flac]) / 32768


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("codec", "rate_hz"), EVERY)
def test_a_click_stays_within_5_ms_of_its_flash_through_ingest(
    tmp_path: Path, codec: str, rate_hz: int, channels: int
) -> None:
    kbit_s = round(rate_hz * channels / 1000)
    form = replace(PLAIN, codec=codec, rate_hz=rate_hz, channels=channels, kbit_s=kbit_s)
    made = ingested(tmp_path / "a.mp4", clicking(), form)
    assert [window.presence for window in made.windows] == ["present", "present"]
    assert made.track.channels == channels
    assert made.track.rate_hz == (48_000 if codec == "libopus" else rate_hz)
    assert made.track.marks == ()
    levels = np.abs(heard(made))
    for number in FLASHES:
        at = number * sound.SOUND_HZ // FPS
        near = levels[at - 2400 : at + 2400]
        starts = int(np.argmax(near > 0.4 * near.max())) - 2400
        assert abs(starts) / sound.SOUND_HZ < 0.005
    shown = np.concatenate([video.decode(window.mp4) for window in made.windows])
    patch = shown[:, 10:22, 10:22].mean(axis=(1, 2, 3))
    assert set(np.flatnonzero(patch > 200)) == {number // 2 for number in FLASHES}


def test_pictures_are_encoded_as_without_a_track_and_bytes_are_the_same_twice() -> None:
    def packets(mp4: bytes) -> list[tuple[int, bytes]]:
        with av.open(io.BytesIO(mp4)) as file:
            found = [one for one in file.demux(video=0) if one.size]
            return [(int(one.pts * one.time_base * 90_000), bytes(one)) for one in found]

    alone = video.encode(flashing(), FPS, kbit_s=300, keyint=30)
    for codec in ("aac", "libmp3lame", "libopus"):
        track = processed(clicking(), replace(PLAIN, codec=codec, channels=2))
        both = [video.encode(flashing(), FPS, kbit_s=300, keyint=30, track=track) for _ in range(2)]
        assert both[0] == both[1]
        assert packets(both[0]) == packets(alone)


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus"])
def test_a_muted_track_is_digital_silence_and_a_bed_is_heard_in_its_place(
    tmp_path: Path, codec: str
) -> None:
    muted = ingested(tmp_path / "a.mp4", clicking(), replace(PLAIN, codec=codec, is_muted=True))
    assert {window.presence for window in muted.windows} == {"silent"}
    bed = Music(seed=(1, 2), tempo_bpm=120.0, level_dbfs=-20.0, left_db=None)
    covered = ingested(tmp_path / "b.mp4", clicking(), replace(PLAIN, codec=codec, music=bed))
    assert {window.presence for window in covered.windows} == {"present"}
    assert 20 * np.log10(np.sqrt(np.mean(heard(covered) ** 2))) == pytest.approx(-20, abs=1.5)


def test_music_leaves_of_a_recording_what_is_drawn() -> None:
    samples = clicking()
    alone = processed(samples, PLAIN).samples[0]
    for left_db, share in ((-6.0, 10 ** (-6 / 20)), (None, 0.0)):
        bed = Music(seed=(1, 2), tempo_bpm=120.0, level_dbfs=-20.0, left_db=left_db)
        with_it = processed(samples, replace(PLAIN, music=bed)).samples[0]
        without = processed(np.zeros_like(samples), replace(PLAIN, music=bed)).samples[0]
        np.testing.assert_allclose(with_it - without, share * alone, atol=1e-4)


def test_a_track_of_which_next_to_nothing_is_left_is_dubbed() -> None:
    bed = Music(seed=(1, 2), tempo_bpm=120.0, level_dbfs=-20.0, left_db=-6.0)
    assert not PLAIN.is_dubbed
    assert not replace(PLAIN, music=bed).is_dubbed
    assert replace(PLAIN, music=replace(bed, left_db=-20.0)).is_dubbed
    assert replace(PLAIN, music=replace(bed, left_db=None)).is_dubbed


def background_db(samples: np.ndarray) -> float:
    blocks = samples.reshape(-1, 2400)
    return float(20 * np.log10(np.median(np.sqrt(np.mean(blocks**2, axis=1)))))


@pytest.mark.parametrize("recorded_db", [-75.0, -45.0, -15.0])
@pytest.mark.parametrize("bang", [0, 1000])
def test_the_background_has_the_level_drawn_however_loud_it_was_recorded(
    recorded_db: float, bang: int
) -> None:
    noise = np.random.default_rng(0).normal(0, 32768 * 10 ** (recorded_db / 20), SOUND_HZ)
    noise[20_000:20_200] += bang
    # What was before the device was switched on does not count.
    noise[: SOUND_HZ // 4] = 0
    recorded = np.clip(noise, -32768, 32767).astype(np.int16)
    heard = processed(recorded, replace(PLAIN, background_dbfs=-35.0)).samples[0]
    assert background_db(heard[SOUND_HZ // 4 :]) == pytest.approx(-35, abs=1)
    assert np.abs(heard).max() <= 1


def test_a_bang_is_limited_in_its_place_and_silence_stays() -> None:
    heard = processed(clicking(), replace(PLAIN, background_dbfs=-26.0)).samples[0]
    assert 0.9 < np.abs(heard).max() < 1
    assert (
        abs(int(np.argmax(np.abs(heard) > 0.5)) - FLASHES[0] * SOUND_HZ // FPS) < 0.005 * SOUND_HZ
    )
    assert not processed(np.zeros(SOUND_HZ, np.int16), PLAIN).samples.any()


def test_a_narrow_band_ends_where_it_was_drawn_to() -> None:
    noise = np.random.default_rng(0).normal(0, 3000, SOUND_HZ).astype(np.int16)
    narrow = processed(noise, replace(PLAIN, bandwidth_hz=4000.0)).samples[0]
    spectrum = np.abs(np.fft.rfft(narrow)) ** 2
    assert spectrum[6000:].mean() < 0.01 * spectrum[:3000].mean()


def test_a_track_is_a_pure_function_of_what_it_is_drawn_for_and_one_for_a_pair() -> None:
    drawn = [draw_track(3, index, "film") for index in range(200)]
    assert drawn == [draw_track(3, index, "film") for index in range(200)]
    for even, odd in zip(drawn[::2], drawn[1::2], strict=True):
        assert (even is None) == (odd is None)
        if even is not None and odd is not None:
            assert replace(even, music=None) == replace(odd, music=None)
            assert (even.music is None) == (odd.music is None)
            assert even.music is None or even.music != odd.music
    assert drawn != [draw_track(4, index, "film") for index in range(200)]
    assert drawn != [draw_track(3, index, "game") for index in range(200)]
    assert draw_format(3, 7, "film", [144], [15.0]).track == drawn[7]


@pytest.mark.parametrize("engine", ["bodycam", "film", "vizdoom", "openarena", "photographs"])
@pytest.mark.parametrize(("num_recordings", "most_apart"), [(40, 0.101), (120, 0.051)])
def test_every_engine_has_the_same_share_of_what_there_is(
    engine: str, num_recordings: int, most_apart: float
) -> None:
    drawn = [draw_track(20191009, index, engine) for index in range(num_recordings)]
    kinds = Counter(
        "absent" if one is None else "muted" if one.is_muted else "music" if one.music else "plain"
        for one in drawn
    )
    for kind, share in (("absent", 0.12), ("muted", 0.06), ("music", 0.12), ("plain", 0.7)):
        assert kinds[kind] / num_recordings == pytest.approx(share, abs=most_apart)
    there = [one for one in drawn if one is not None]
    assert sum(one.channels == 2 for one in there) / len(there) == pytest.approx(
        0.5, abs=2 * most_apart
    )
    assert sum(one.codec == "aac" for one in there) / len(there) == pytest.approx(
        0.6, abs=2 * most_apart
    )
    narrow = sum(one.bandwidth_hz is not None for one in there)
    assert narrow / len(there) == pytest.approx(0.5, abs=2 * most_apart)
    assert {(one.codec, one.rate_hz) for one in there} <= set(EVERY)
    assert len({one.rate_hz for one in there}) >= 6
