from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import ClipFormat
from pipeline.footage import canonical, foreign, stretches
from pipeline.footage.canonical import Canonical
from pipeline.footage.foreign import mixing
from pipeline.footage.foreign.mixing import Heard, SoundBlock
from pipeline.footage.foreign.sound import Sound
from pipeline.footage.sound import ClipSound, clip_sounds
from pipeline.store import sound
from pipeline.store.sound import SOUND_HZ
from tests.made import write_with_sound

CLIP = ClipFormat(num_frames=16, size=32, fps=15.0, crf=18)
LIMITS = foreign.DecodingLimits(max_pixels=4096 * 4096, max_duration_s=600)
FPS, SECONDS, RATE = 30, 5, 48_000
FLASHES = (15, 60, 105)
NUM_SAMPLES = sound.num_samples(CLIP.num_frames, CLIP.fps)
# Container, codec of the sound, of the pictures, rate of the sound.
FORMATS = [
    ("mp4", "aac", "libx264", 48_000),
    ("mp4", "aac", "libx264", 44_100),
    ("mp4", "aac", "libx264", 16_000),
    ("mp4", "libmp3lame", "libx264", 48_000),
    ("mp4", "ac3", "libx264", 48_000),
    ("mov", "pcm_s16le", "libx264", 44_100),
    ("mov", "pcm_s24le", "mjpeg", 48_000),
    ("mkv", "flac", "libx264", 48_000),
    ("mkv", "aac", "libx264", 48_000),
    ("webm", "libopus", "libvpx", 48_000),
    ("avi", "pcm_s16le", "mjpeg", 22_050),
    ("flv", "aac", "libx264", 44_100),
    ("ts", "aac", "libx264", 48_000),
    ("ts", "mp2", "mpeg2video", 48_000),
    ("mpg", "mp2", "mpeg1video", 48_000),
    ("wmv", "wmav2", "wmv2", 44_100),
]


def flashing() -> np.ndarray:
    rng = np.random.default_rng(0)
    frames = rng.integers(30, 60, (FPS * SECONDS, 64, 96, 3), dtype=np.uint8)
    frames[list(FLASHES)] = 250
    return frames


def clicking(rate: int, channels: int = 2, level: float = 0.9) -> np.ndarray:
    """A quiet rising tone, and a click with every flash."""
    t = np.arange(rate * SECONDS) / rate
    one = 0.02 * np.sin(2 * np.pi * (200 + 100 * t) * t)
    for number in FLASHES:
        n = np.arange(rate // 200)
        first = number * rate // FPS
        one[first : first + n.size] += level * np.exp(-n / (rate / 1200)) * np.cos(n * 0.9)
    return np.stack([one] * channels)


def made(path: Path, **options: bool) -> Canonical:
    return canonical.canonicalise(path, CLIP, CLIP.num_frames, LIMITS, **options)


def heard(path: Path, zeros_s: tuple[float, ...] = (0.0,)) -> tuple[np.ndarray, Sound]:
    """The whole track on a player's clock, which begins with `zeros_s`, as float in −1 to 1."""
    with Sound(path, LIMITS, zeros_s) as track:
        starts = range(0, (SECONDS - 1) * SOUND_HZ, SOUND_HZ)
        clips = list(clip_sounds(track.heard(), track.damaged, starts, SOUND_HZ))
    return np.concatenate([one.samples for one in clips]) / 32768, track


def clicks_s(samples: np.ndarray) -> list[float]:
    steps = np.abs(np.diff(samples))
    found: list[float] = []
    for i in np.flatnonzero(steps > 0.35 * steps.max()):
        if not found or i / SOUND_HZ > found[-1] + 0.5:
            found.append((i + 1) / SOUND_HZ)
    return found


def flashes_s(path: Path) -> tuple[list[float], tuple[float, ...]]:
    """When the file shows its flashes by a player's clock, and where that begins."""
    with foreign.Video(path, LIMITS) as source:
        list(source.pictures(15))
        (zero_s,) = source.zeros_s
    with av.open(str(path)) as file:
        levels = [
            (frame.time, frame.to_ndarray(format="gray").mean()) for frame in file.decode(video=0)
        ]
    found = [
        time_s - zero_s
        for (_, before), (time_s, level) in pairwise(levels)
        if level > 150 >= before and time_s is not None
    ]
    return found, (zero_s,)


@pytest.mark.parametrize(("container", "codec", "video_codec", "rate"), FORMATS)
def test_clicks_stay_within_5_ms_of_the_flashes(
    tmp_path: Path, container: str, codec: str, video_codec: str, rate: int
) -> None:
    path = tmp_path / f"clip.{container}"
    write_with_sound(
        path, flashing(), clicking(rate), codec=codec, video_codec=video_codec, rate=rate
    )
    flashes, zeros_s = flashes_s(path)
    samples, track = heard(path, zeros_s)
    assert len(flashes) == len(FLASHES)
    assert clicks_s(samples) == pytest.approx(flashes, abs=0.005)
    assert (track.rate, track.channels) == (rate, 2)
    assert not track.damaged


@pytest.mark.parametrize("codec", ["aac", "libmp3lame"])
@pytest.mark.parametrize(
    "options",
    [
        {"movflags": "frag_keyframe+empty_moov"},
        {"movflags": "frag_keyframe+empty_moov+delay_moov"},
        {"use_editlist": "0"},
    ],
)
def test_clicks_stay_within_5_ms_of_the_flashes_without_edit_lists(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / "clip.mp4"
    write_with_sound(path, flashing(), clicking(RATE), codec=codec, container_options=options)
    flashes, zeros_s = flashes_s(path)
    samples, _ = heard(path, zeros_s)
    assert clicks_s(samples) == pytest.approx(flashes, abs=0.005)


def test_samples_of_24_khz_come_through_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(-20_000, 20_000, SECONDS * SOUND_HZ)
    path = tmp_path / "clip.mkv"
    write_with_sound(path, flashing(), values[None] / 32768, codec="flac", rate=SOUND_HZ)
    samples, _ = heard(path)
    np.testing.assert_array_equal(samples * 32768, values[: samples.size])


def test_a_tone_keeps_its_level_pitch_and_phase_across_clips(tmp_path: Path) -> None:
    t = np.arange(44_100 * SECONDS) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 1000 * t)
    path = tmp_path / "clip.mov"
    write_with_sound(path, flashing(), tone[None], codec="pcm_s16le", rate=44_100)
    samples, _ = heard(path)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(samples.size) / SOUND_HZ)
    np.testing.assert_allclose(samples[100:], expected[100:], atol=0.004)


def test_all_channels_are_heard_alike(tmp_path: Path) -> None:
    six = clicking(RATE, 6)
    six[1:] = 0
    path = tmp_path / "clip.mov"
    write_with_sound(path, flashing(), six, codec="pcm_s16le", rate=RATE)
    alone, track = heard(path)
    assert track.channels == 6
    assert np.abs(alone).max() == pytest.approx(np.abs(six[0]).max() / 6, rel=0.2)


@pytest.mark.parametrize(
    ("container", "codec", "channels"),
    [
        ("mp4", "aac", 8),
        ("mkv", "aac", 8),
        ("mkv", "libopus", 8),
        ("mov", "alac", 8),
        ("mov", "pcm_s24le", 7),
    ],
)
def test_tracks_of_seven_and_eight_channels_are_heard(
    tmp_path: Path, container: str, codec: str, channels: int
) -> None:
    path = tmp_path / f"clip.{container}"
    write_with_sound(path, flashing(), clicking(RATE, channels, 0.5), codec=codec)
    flashes, zeros_s = flashes_s(path)
    samples, track = heard(path, zeros_s)
    assert track.channels == channels
    assert not track.damaged
    assert clicks_s(samples) == pytest.approx(flashes, abs=0.005)


@pytest.mark.parametrize(("channels", "tag"), [(6, 124 << 16 | 6), (8, 127 << 16 | 8)])
def test_channels_in_an_order_of_their_own_are_heard(
    tmp_path: Path, channels: int, tag: int
) -> None:
    path = tmp_path / "clip.mov"
    write_with_sound(path, flashing(), clicking(RATE, channels), codec="pcm_s16le")
    usual, _ = heard(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"chan") + 8
    # QuickTime's kAudioChannelLayoutTag_MPEG_5_1_D and _7_1_B, which begin with the centre.
    data[place : place + 4] = tag.to_bytes(4, "big")
    path.write_bytes(data)
    samples, track = heard(path)
    assert track.channels == channels
    np.testing.assert_array_equal(samples, usual)


def test_a_track_of_more_channels_is_refused_and_leaves_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_with_sound(path, flashing(), clicking(RATE, 16), codec="pcm_s16le")
    found = made(path)
    assert "sound_refused" in found.marks
    assert found.track.channels == 16
    assert {window.presence for window in found.windows} == {"absent"}


@pytest.mark.parametrize(("channels", "is_exact"), [(2, True), (2, False), (6, True)])
def test_a_channel_that_cancels_another_is_turned_over(
    tmp_path: Path, channels: int, is_exact: bool
) -> None:
    both = clicking(RATE, channels)
    both[1::2] *= -1 if is_exact else -0.9
    path = tmp_path / "clip.mkv"
    write_with_sound(path, flashing(), both, codec="flac")
    found = made(path)
    assert {window.presence for window in found.windows} == {"present"}
    assert "sound_cancels" in found.track.marks
    alone = tmp_path / "alone.mkv"
    write_with_sound(alone, flashing(), np.abs(both).mean(0)[None] * np.sign(both[0]), codec="flac")
    expected = made(alone)
    for window, other in zip(found.windows, expected.windows, strict=True):
        assert window.flac is not None
        assert other.flac is not None
        difference = sound.decode(window.flac).astype(int) - sound.decode(other.flac)
        assert np.abs(difference).max() <= 1
    # Others' fingerprints are of the mean.
    assert (found.track.chromaprint != expected.track.chromaprint) == is_exact


def test_channels_that_differ_without_cancelling_are_mixed_as_ever(tmp_path: Path) -> None:
    one = clicking(RATE, 1)[0]
    noise = 0.05 * np.random.default_rng(5).standard_normal((2, one.size))
    for number, both in enumerate(
        [np.stack([one, np.zeros_like(one)]), noise, np.stack([one, -0.5 * one])]
    ):
        path, mixed = tmp_path / f"clip{number}.mkv", tmp_path / f"mixed{number}.mkv"
        whole = np.rint(both * 2**15) / 2**15
        write_with_sound(path, flashing(), whole, codec="pcm_f32le")
        write_with_sound(mixed, flashing(), whole.mean(axis=0)[None], codec="pcm_f32le")
        found = made(path)
        assert not found.track.marks
        assert [w.flac for w in found.windows] == [w.flac for w in made(mixed).windows]


def half_turned(level: float = 0.2) -> np.ndarray:
    """Two channels of noise which are equal for 2 s, cancel each other for 1.5 s, and are equal."""
    one = level * np.random.default_rng(7).standard_normal(RATE * SECONDS)
    both = np.stack([one, one])
    both[1, 2 * RATE : 2 * RATE + 3 * RATE // 2] *= -0.99
    return np.clip(np.rint(both * 2**15), -32768, 32767) / 2**15


def mixed(channels: np.ndarray, samples_a_frame: int, marks: set[str]) -> list[Heard]:
    firsts = range(0, channels.shape[1], samples_a_frame)
    return list(
        mixing.mix(
            [
                SoundBlock(
                    first / RATE, RATE, channels[:, first : first + samples_a_frame], not first
                )
                for first in firsts
            ],
            marks,
        )
    )


def joined(found: list[Heard]) -> np.ndarray:
    return np.concatenate([one.samples for one in found])


def test_channels_that_cancel_each_other_for_a_while_are_heard_all_the_while() -> None:
    both = half_turned()
    marks: set[str] = set()
    found = mixed(both, 1_024, marks)
    assert marks == {"sound_cancels"}
    piece = RATE // 4
    assert [one.start_s for one in found] == [
        first / RATE for first in range(0, both.shape[1], piece)
    ]
    assert [one.begins for one in found] == [True] + [False] * (len(found) - 1)
    samples = joined(found)
    # It is found in pieces of a quarter of a second, into which the one is faded from the other.
    fade = RATE // 100
    begin, end = 2 * RATE, 2 * RATE + 3 * RATE // 2
    turned = (both[0] - both[1]) / 2
    np.testing.assert_array_equal(samples[:begin], both[0][:begin])
    np.testing.assert_allclose(samples[begin + fade : end], turned[begin + fade : end])
    np.testing.assert_array_equal(samples[end + fade :], both[0][end + fade :])
    np.testing.assert_array_equal(
        np.concatenate([one.of_mean().samples for one in found]), both.mean(axis=0)
    )


# FFmpeg writes PCM and FLAC in frames of 21 to 96 ms, and a file may have one for all.
@pytest.mark.parametrize("samples_a_frame", [1, 1_000, 4_608, RATE // 4, RATE * SECONDS])
def test_what_is_heard_does_not_depend_on_how_a_file_divides_it(samples_a_frame: int) -> None:
    both = half_turned()[:, 3 * RATE // 2 + 77 : 3 * RATE - 311]
    found, expected = mixed(both, samples_a_frame, set()), mixed(both, 1_024, set())
    np.testing.assert_array_equal(joined(found), joined(expected))
    assert [one.start_s for one in found] == [one.start_s for one in expected]


def test_packets_of_single_samples_are_mixed_in_time_that_grows_as_they_do() -> None:
    both = half_turned()[:, :RATE]
    began_s = time.process_time()
    mixed(both, 1, set())
    assert time.process_time() - began_s < 5


def test_a_third_channel_is_heard_beside_two_that_cancel_each_other() -> None:
    random = np.random.default_rng(11)
    loud = 0.3 * random.standard_normal(RATE)
    for level in (0.003, 0.03, 0.3):
        other = level * random.standard_normal(RATE)
        for order in itertools.permutations([loud, -loud, other]):
            marks: set[str] = set()
            samples = joined(mixed(np.stack(order), 1_024, marks))
            assert marks == {"sound_cancels"}
            shares = np.linalg.lstsq(np.stack([loud, other]).T, samples)[0]
            np.testing.assert_allclose(np.abs(shares), [2 / 3, 1 / 3], atol=1e-6)


def test_a_channel_that_cancels_two_others_together_is_turned_over() -> None:
    one, two = 0.1 * np.random.default_rng(13).standard_normal((2, RATE))
    marks: set[str] = set()
    samples = joined(mixed(np.stack([one, two, -one - two]), 1_024, marks))
    assert marks == {"sound_cancels"}
    np.testing.assert_allclose(samples, 2 * (one + two) / 3)


def test_opposite_offsets_cancel_no_sound() -> None:
    hiss = 1e-5 * np.random.default_rng(12).standard_normal((2, RATE))
    marks: set[str] = set()
    offsets = np.array([[0.2], [-0.2]])
    samples = joined(mixed(hiss + offsets, 1_024, marks))
    assert not marks
    assert np.abs(samples).max() < 1e-4
    # Sound that does cancel itself is heard beside them.
    tone = 0.1 * np.sin(np.arange(RATE))
    joined(mixed(np.stack([tone, -tone]) + offsets, 1_024, marks))
    assert marks == {"sound_cancels"}


def test_no_click_stands_where_a_channel_is_turned_over() -> None:
    t = np.arange(RATE * SECONDS) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 100 * t + 1)
    both = np.stack([tone, np.clip(2 - t, -1, 1) * tone])
    marks: set[str] = set()
    samples = joined(mixed(both, 1_024, marks))
    assert marks == {"sound_cancels"}
    assert np.abs(np.diff(samples)).max() < 2 * np.abs(np.diff(tone)).max()
    np.testing.assert_allclose(samples[-RATE:], tone[-RATE:])


def test_the_same_channel_stays_turned_over_whichever_is_louder() -> None:
    one = 0.1 * np.random.default_rng(8).standard_normal(RATE * SECONDS)
    second = np.arange(one.size) // RATE
    other = -np.where(second % 2, 1.02, 0.98) * one
    samples = joined(mixed(np.stack([one, other]), 1_024, set()))
    np.testing.assert_allclose(samples, (one - other) / 2)


def test_hiss_that_cancels_itself_is_no_sound_that_does() -> None:
    hiss = 1e-4 * np.random.default_rng(9).standard_normal(RATE)
    marks: set[str] = set()
    samples = joined(mixed(np.stack([hiss, -hiss]), 1_024, marks))
    assert not marks
    assert not samples.any()


@pytest.mark.parametrize("value", [9e307, -1.7e308, 1e300, 2e9, np.inf, np.nan])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_no_recorder_writes_are_damage_and_no_silence(
    tmp_path: Path, value: float, channels: int
) -> None:
    path = tmp_path / "clip.mkv"
    values = clicking(RATE, channels)
    values[:, 2 * RATE : 5 * RATE // 2] = value
    write_with_sound(path, flashing(), values, codec="pcm_f64le")
    found = made(path)
    assert "sound_damaged" in found.marks
    usual = tmp_path / "usual.mkv"
    write_with_sound(usual, flashing(), clicking(RATE, channels), codec="pcm_f64le")
    for window, expected in zip(found.windows, made(usual).windows, strict=True):
        start_s = window.start_frame / CLIP.fps
        is_hit = start_s < 2.5 and start_s + 16 / 15 > 2.0
        assert window.presence == ("damaged" if is_hit else "present")
        if is_hit:
            assert window.flac is not None
        else:
            assert window.flac == expected.flac
    if not np.isnan(value):
        samples, _ = heard(path)
        assert np.abs(samples[2 * SOUND_HZ + 100 : 5 * SOUND_HZ // 2 - 100]).min() > 0.9


def test_a_track_far_beyond_full_scale_is_heard_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    noise = 3e4 * np.random.default_rng(10).standard_normal((2, RATE * SECONDS))
    write_with_sound(path, flashing(), noise, codec="pcm_f64le")
    found = made(path)
    assert {window.presence for window in found.windows} == {"present"}
    samples, _ = heard(path)
    assert np.sqrt(np.mean(samples**2)) > 0.9


def test_sound_that_starts_late_is_heard_late_and_its_clip_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_with_sound(path, flashing(), clicking(RATE), codec="flac", sound_start_s=0.6)
    samples, _ = heard(path)
    assert clicks_s(samples) == pytest.approx([f / FPS + 0.6 for f in FLASHES[:2]], abs=0.005)
    windows = made(path).windows
    assert [window.presence for window in windows[:3]] == ["incomplete", "present", "present"]


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_is_told_from_quiet_sound(tmp_path: Path, level: float) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "clip.mov"
    noise = level * rng.standard_normal((1, RATE * SECONDS))
    write_with_sound(path, flashing(), noise, codec="pcm_s16le")
    windows = made(path).windows
    assert {window.presence for window in windows} == {"quiet" if level else "silent"}
    assert all((window.flac is not None) == bool(level) for window in windows)


def test_a_file_without_a_track_gives_the_clips_that_it_gave(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    both = made(write_with_sound(path, flashing(), clicking(RATE), codec="aac"))
    mute = made(without_track(path, tmp_path / "mute.mp4"))
    without = made(path, with_sound=False)
    assert mute.windows
    assert {window.presence for window in mute.windows} == {"absent"}
    assert not any(window.flac for window in (*mute.windows, *without.windows))
    assert "sound_ends_early" not in (*both.marks, *mute.marks, *without.marks)
    assert all(window.flac for window in both.windows)
    for other in (mute, without):
        assert [window.mp4 for window in other.windows] == [window.mp4 for window in both.windows]
    assert (both.track.codec, both.track.rate_hz, both.track.channels) == ("aac", RATE, 2)
    assert without.track.codec is None


def test_a_canonical_clip_holds_the_sound_of_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_with_sound(path, flashing(), clicking(RATE), codec="flac")
    for window in made(path).windows:
        assert window.flac is not None
        samples = sound.decode(window.flac)
        assert samples.size == NUM_SAMPLES == 25_600
        start_s = window.start_frame / CLIP.fps
        inside = [f / FPS for f in FLASHES if start_s <= f / FPS < start_s + 16 / 15]
        if inside:
            assert start_s + clicks_s(samples / 32768)[0] == pytest.approx(inside[0], abs=0.001)


def test_damage_in_the_track_marks_its_clips_and_leaves_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_with_sound(path, flashing(), clicking(RATE), codec="flac")
    before = made(path)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        packets = [
            p for p in file.demux(audio=0) if p.pts is not None and 1.9 < p.pts * p.time_base < 2.2
        ]
        places = [packet.pos for packet in packets]
    for place in places:
        data[place + 12 : place + 60] = bytes(48)
    path.write_bytes(data)
    after = made(path)
    assert [window.mp4 for window in after.windows] == [window.mp4 for window in before.windows]
    damaged = [window.start_frame for window in after.windows if window.presence == "damaged"]
    assert damaged
    assert all(frame < 2.3 * 15 and frame + 16 > 1.8 * 15 for frame in damaged)
    assert "sound_damaged" in after.marks


def test_packets_without_a_byte_are_no_damage_to_the_sound(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.nut", tmp_path / "clip.nut"
    write_with_sound(whole, flashing(), clicking(RATE), codec="flac", video_codec="mjpeg")
    with av.open(str(whole)) as file, av.open(str(path), "w") as copy:
        streams = [copy.add_stream_from_template(stream) for stream in file.streams]
        for packet in file.demux():
            if packet.dts is None:
                continue
            stream = streams[packet.stream_index]
            empty = av.Packet(b"")
            empty.pts = empty.dts = packet.dts + 1
            empty.time_base = packet.time_base
            for one in [packet, empty] if stream.type == "audio" else [packet]:
                one.stream = stream
                copy.mux(one)
    found = made(path)
    assert "sound_damaged" not in found.marks
    assert {window.presence for window in found.windows} == {"present"}


@pytest.mark.parametrize(("sound_s", "is_marked"), [(2.0, True), (3.9, True), (4.1, False)])
def test_a_track_that_ends_well_before_its_pictures_is_marked(
    tmp_path: Path, sound_s: float, is_marked: bool
) -> None:
    path, heard = tmp_path / "clip.mkv", clicking(RATE)[:, : round(sound_s * RATE)]
    found = made(write_with_sound(path, flashing(), heard, codec="flac"))
    assert found.duration_s == pytest.approx(SECONDS, abs=0.01)
    assert ("sound_ends_early" in found.marks) == is_marked


def test_a_rate_that_no_recorder_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_with_sound(
        path,
        flashing(),
        clicking(384_000, 1)[:, : 384_000 * SECONDS],
        codec="pcm_s16le",
        rate=384_000,
    )
    found = made(path)
    assert "sound_refused" in found.marks
    assert "sound_ends_early" not in found.marks
    assert {window.presence for window in found.windows} == {"absent"}


def test_two_recordings_joined_byte_by_byte_keep_their_sound_in_step(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    write_with_sound(path, flashing(), clicking(RATE), codec="mp2", video_codec="mpeg2video")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(path.read_bytes() * 2)
    with foreign.Video(joined, LIMITS) as source:
        pictures = list(source.pictures(30))
        zeros_s = source.zeros_s
    assert len(zeros_s) == 2
    levels = [picture.frame.to_ndarray(format="gray").mean() for picture in pictures]
    flashes = [
        later.index / 30
        for later, (before, level) in zip(pictures[1:], pairwise(levels), strict=True)
        if level > 150 >= before
    ]
    with Sound(joined, LIMITS, zeros_s) as track:
        (whole,) = clip_sounds(track.heard(), track.damaged, [0], (2 * SECONDS - 1) * SOUND_HZ)
    found = clicks_s(whole.samples / 32768)
    # Pictures are told on a grid of 1/30 s here.
    assert len(found) == len(flashes) == 6
    assert found == pytest.approx(flashes, abs=1 / 30)


def without_track(path: Path, to: Path) -> Path:
    with av.open(str(path)) as file, av.open(str(to), "w") as copy:
        stream = copy.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return to


def parts(*lengths: tuple[float, int, bool], rate: int = 48_000) -> list[Heard]:
    return [Heard(start_s, rate, np.full(n, 0.25), begins) for start_s, n, begins in lengths]


def cut(heard: Iterable[Heard], num_clips: int) -> list[ClipSound]:
    return list(clip_sounds(heard, [], range(0, num_clips * 24_000, 24_000), 24_000))


def test_a_hole_is_incomplete_and_a_tiny_one_is_no_click() -> None:
    tiny = cut(parts((0, 24_000, True), (0.51, 24_000, True)), 1)[0]
    assert tiny.presence == "present"
    assert np.abs(np.diff(tiny.samples[100:-500].astype(int))).max() < 200
    wide = cut(parts((0, 24_000, True), (0.7, 24_000, True)), 1)[0]
    assert wide.presence == "incomplete"
    assert not wide.samples[12_500:16_000].any()


@pytest.mark.parametrize("apart_s", [0.045, 0.01, -0.01, -0.045])
def test_what_follows_a_tiny_hole_or_overlap_is_heard_at_its_time(apart_s: float) -> None:
    """Also where it is longer than a frame of the decoder, which is 21 ms of AAC here."""
    t = np.arange(48_000) / 48_000
    tone = 0.5 * np.sin(2 * np.pi * 300 * t)
    starts = [0.0, *(0.5 + apart_s + number * 1_024 / 48_000 for number in range(30))]
    values = [tone[:24_000], *np.split(tone[: 30 * 1_024], 30)]
    pieces = [
        Heard(start_s, 48_000, samples, number < 2)
        for number, (start_s, samples) in enumerate(zip(starts, values, strict=True))
    ]
    (one,) = cut(pieces, 1)
    assert one.presence == "present"
    first = 24_000 * 6 // 10
    later = (np.arange(first, first + 8_000) / SOUND_HZ) - 0.5 - apart_s
    expected = 0.5 * np.sin(2 * np.pi * 300 * later)
    np.testing.assert_allclose(one.samples[first : first + 8_000] / 32768, expected, atol=0.02)


def test_a_change_of_rate_in_the_middle_is_heard_through() -> None:
    heard = parts((0, 24_000, True)) + parts((0.5, 11_025, True), rate=22_050)
    (one,) = cut(heard, 1)
    assert one.presence == "present"
    assert np.abs(one.samples[200:-200] / 32768 - 0.25).max() < 0.15


def write_flac_of_rates(path: Path, rates: Iterable[int], every_s: float = 0.0) -> Path:
    """Write pictures and a track of FLAC frames of these rates, which follow each other or not."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        track = container.add_stream("flac", rate=RATE, layout="mono", format="s16")
        for number, image in enumerate(flashing()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        noise = np.random.default_rng(0).integers(-9_000, 9_000, (1, 256), np.int16)
        start_s = 0.0
        for rate in rates:
            encoder = av.CodecContext.create("flac", "w")
            assert isinstance(encoder, av.AudioCodecContext)
            encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
            encoder.time_base = Fraction(1, rate)
            encoder.options = {"strict": "-2", "frame_size": "256"}
            sound = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
            sound.sample_rate, sound.pts = rate, 0
            for made_of in [*encoder.encode(sound), *encoder.encode(None)]:
                if made_of.size:
                    packet = av.Packet(bytes(made_of))
                    packet.stream, packet.time_base = track, Fraction(1, 1_000_000)
                    packet.pts = packet.dts = round(start_s * 1e6)
                    container.mux(packet)
            start_s += every_s or 256 / rate
    return path


def test_a_track_whose_rate_changes_all_the_time_is_damaged_from_there_on(
    tmp_path: Path,
) -> None:
    path = write_flac_of_rates(tmp_path / "clip.mkv", range(40_000, 40_100))
    with Sound(path, LIMITS, (0.0,)) as track:
        heard_rates = {one.rate for one in track.heard()}
    assert len(heard_rates) == 31
    assert {"sound_changes", "sound_damaged"} <= track.marks
    start_s = sum(256 / rate for rate in range(40_000, 40_031))
    ((damaged_s, until_s),) = track.damaged
    assert damaged_s == pytest.approx(start_s, abs=0.06)
    assert until_s == float("inf")


def test_a_rate_that_changes_now_and_then_is_heard_through(tmp_path: Path) -> None:
    rates = [RATE if number % 2 else 44_100 for number in range(40)]
    path = write_flac_of_rates(tmp_path / "clip.mkv", rates, every_s=1.0)
    with Sound(path, LIMITS, (0.0,)) as track:
        assert sum(one.samples.size for one in track.heard()) == 40 * 256
    assert not track.damaged


def test_filters_of_odd_rates_are_not_kept_for_ever() -> None:
    for rate in range(40_001, 40_100, 5):
        cut(parts((0, 400, True), rate=rate), 1)
    assert stretches._taps.cache_info().currsize <= 8


def test_no_more_is_read_than_the_last_clip_needs() -> None:
    read = 0

    def endless() -> Iterator[Heard]:
        nonlocal read
        while True:
            yield Heard(read * 0.1, 48_000, np.zeros(4_800), read == 0)
            read += 1

    cut(endless(), 2)
    assert read < 30


def test_clips_do_not_depend_on_how_the_track_is_divided() -> None:
    rng = np.random.default_rng(3)
    values = 0.3 * rng.standard_normal(44_100 * 3)
    whole = [Heard(0.0, 44_100, values, True)]
    pieces = [
        Heard(i / 44_100, 44_100, values[i : i + 1_024], i == 0)
        for i in range(0, values.size, 1_024)
    ]
    for a, b in zip(cut(whole, 2), cut(pieces, 2), strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)


def test_an_odd_rate_is_resampled() -> None:
    t = np.arange(44_101 * 2) / 44_101
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    (one,) = cut([Heard(0.0, 44_101, tone, True)], 1)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / SOUND_HZ)
    np.testing.assert_allclose(one.samples[50:] / 32768, expected[50:], atol=0.01)
