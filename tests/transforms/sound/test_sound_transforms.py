from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from pipeline import app
from pipeline.store.sound import SOUND_HZ
from pipeline.transforms import registry
from pipeline.transforms.sound.base import SoundTransform
from tests.transforms.replaying import replayed

LENGTH = 25_600
EVERY = list(registry.SOUND)


def bursts() -> NDArray[np.int16]:
    """int16 (LENGTH,): two bursts of noise that fade, over quiet noise."""
    rng = np.random.default_rng(0)
    at = np.arange(LENGTH)
    fading = np.where(at < 6000, 0.0, np.exp(-((at - 6000) % 10_000) / 2500))
    return (rng.normal(0, 2500, LENGTH) * fading + rng.normal(0, 40, LENGTH)).astype(np.int16)


SOUND = bursts()


def varied(transform: SoundTransform, strength: float, seed: int) -> NDArray[np.int16]:
    drawn = transform.draw(np.random.default_rng(seed), strength)
    return transform.apply(SOUND, json.loads(json.dumps(drawn)))


def by_name(name: str) -> SoundTransform:
    return registry.SOUND_TRANSFORMS[name]


def rms(samples: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(float)))))


def share_above(samples: NDArray[np.int16], hz: float) -> float:
    frequency, power = signal.welch(samples.astype(float), SOUND_HZ, nperseg=1024)
    return float(power[frequency > hz].sum() / power.sum())


def digest() -> str:
    """Of all transforms at two strengths."""
    total = hashlib.sha256()
    for transform in EVERY:
        for strength in (0.3, 1.0):
            total.update(varied(transform, strength, 5).tobytes())
    return total.hexdigest()


def test_names_are_unique_and_what_the_issue_asks_for_is_there() -> None:
    names = [transform.name for transform in EVERY]
    assert len(names) == len(set(names))
    assert not set(names) & set(registry.TRANSFORMS)
    assert set(names) == {
        "gain",
        "automatic_gain",
        "clipping",
        "mute",
        "band",
        "sound_codec",
        "room",
        "wind",
        "music",
        "speech",
        "swapped",
        "delay",
        "pitch",
    }


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: t.name)
def test_every_strength_keeps_length_and_type_and_replays_from_its_record(
    transform: SoundTransform,
) -> None:
    for strength, changed in replayed(transform, SOUND, registry.apply_to_sound):
        assert changed.dtype == np.int16
        if strength:
            assert not np.array_equal(changed, SOUND)


@pytest.mark.parametrize("transform", EVERY, ids=lambda t: t.name)
def test_silence_and_another_length_work_too(transform: SoundTransform) -> None:
    drawn = transform.draw(np.random.default_rng(1), 1.0)
    for length in (LENGTH, 9_600):
        assert transform.apply(np.zeros(length, np.int16), drawn).shape == (length,)


def test_another_process_makes_the_same_bytes() -> None:
    code = "from tests.transforms.sound.test_sound_transforms import digest; print(digest())"
    environment: dict[str, Any] = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "PATH": ""}
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=app.PROJECT,
        env=environment,
    )
    assert result.stdout.strip() == digest()


def test_gain_and_automatic_gain_change_levels() -> None:
    louder = by_name("gain").apply(SOUND, {"gain_db": 6.0})
    assert rms(louder) == pytest.approx(2 * rms(SOUND), rel=0.02)
    agc = {"most_db": 30.0, "target_dbfs": -20.0, "attack_s": 0.005, "release_s": 0.3}
    raised = by_name("automatic_gain").apply(SOUND, agc)
    assert rms(raised[:5000]) > 8 * rms(SOUND[:5000]), "what is quiet is raised"
    assert rms(raised[6000:7000]) < 8 * rms(SOUND[6000:7000]), "what is loud is not"


def test_clipping_leaves_the_peak_and_a_smaller_crest() -> None:
    clipped = by_name("clipping").apply(SOUND, {"over_db": 12.0})
    assert abs(int(np.abs(clipped.astype(int)).max()) - int(np.abs(SOUND.astype(int)).max())) <= 1
    assert rms(clipped) > 2 * rms(SOUND)


def test_mute_silences_its_share() -> None:
    muted = by_name("mute").apply(SOUND, {"share": 0.5, "at": 0.5})
    silent = np.flatnonzero(muted == 0)
    assert rms(muted[LENGTH // 4 + 200 : 3 * LENGTH // 4 - 200]) == 0
    assert np.array_equal(muted[:6000], SOUND[:6000])
    assert silent.size < 0.6 * LENGTH
    assert not by_name("mute").apply(SOUND, {"share": 0.97, "at": 0.5}).any()


def test_a_band_takes_away_what_is_above_it() -> None:
    low = by_name("band").apply(SOUND, {"low_hz": 300.0, "high_hz": 3000.0})
    assert share_above(SOUND, 4500) > 0.5
    assert share_above(low, 4500) < 0.01


@pytest.mark.parametrize(
    ("codec", "bit_rate", "least"),
    [("aac", 48_000, 0.6), ("opus", 40_000, 0.6), ("mp3", 64_000, 0.8)],
)
def test_codecs_keep_sound_in_step(codec: str, bit_rate: int, least: float) -> None:
    coded = by_name("sound_codec").apply(SOUND, {"codec": codec, "bit_rate": bit_rate})
    one, other = SOUND.astype(float), coded.astype(float)
    found = signal.correlate(other, one)
    assert int(np.argmax(found)) - (LENGTH - 1) == 0
    assert found.max() > least * np.sum(one**2)
    assert not np.array_equal(coded, SOUND)


def test_a_telephone_codec_keeps_its_band_and_its_time() -> None:
    coded = by_name("sound_codec").apply(SOUND, {"codec": "amr", "bit_rate": 12_200})
    assert share_above(coded, 4500) < 0.01
    levels = [np.convolve(np.abs(x.astype(float)), np.ones(240), "same") for x in (coded, SOUND)]
    lag = int(np.argmax(signal.correlate(*levels))) - (LENGTH - 1)
    assert abs(lag) < 0.015 * SOUND_HZ


def test_a_room_answers_after_the_sound_and_not_before() -> None:
    click = np.zeros(LENGTH, np.int16)
    click[8000:8010] = 20_000
    room = {"room": "stairwell", "reverberant_db": 0.0, "seed": 1}
    heard = by_name("room").apply(click, room)
    assert rms(heard[:7900]) == 0
    assert rms(heard[8200:14_000]) > 20


@pytest.mark.parametrize("name", ["wind", "music", "speech"])
def test_what_is_laid_over_has_its_level(name: str) -> None:
    drawn = by_name(name).draw(np.random.default_rng(0), 0.5) | {"snr_db": 0.0}
    added = by_name(name).apply(SOUND, drawn).astype(float) - SOUND
    assert rms(added) == pytest.approx(rms(SOUND), rel=0.1)


def test_a_swapped_track_is_another_from_its_place_on() -> None:
    p = {"share": 0.5, "kind": "voices", "level_db": 0.0, "seed": 3}
    swapped = by_name("swapped").apply(SOUND, p)
    assert np.array_equal(swapped[: LENGTH // 2], SOUND[: LENGTH // 2])
    alike = np.corrcoef(swapped[LENGTH // 2 :], SOUND[LENGTH // 2 :])[0, 1]
    assert abs(alike) < 0.1


@pytest.mark.parametrize("delay_s", [0.1, -0.1])
def test_a_delay_moves_all(delay_s: float) -> None:
    moved = by_name("delay").apply(SOUND, {"delay_s": delay_s})
    found = signal.correlate(moved.astype(float), SOUND.astype(float))
    assert int(np.argmax(found)) - (LENGTH - 1) == round(delay_s * SOUND_HZ)


@pytest.mark.parametrize("semitones", [-5.0, 3.0])
def test_pitch_moves_a_tone_and_leaves_the_pace(semitones: float) -> None:
    at = np.arange(LENGTH)
    tone = 8000 * np.sin(2 * np.pi * 1000 * at / SOUND_HZ) * (at > LENGTH // 2)
    moved = by_name("pitch").apply(tone.astype(np.int16), {"semitones": semitones})
    frequency, power = signal.welch(moved.astype(float), SOUND_HZ, nperseg=8192)
    wanted = 1000 * 2 ** (semitones / 12)
    assert frequency[np.argmax(power)] == pytest.approx(wanted, rel=0.01)
    begins = int(np.flatnonzero(np.abs(moved.astype(int)) > 2000)[0])
    assert abs(begins - LENGTH // 2) < 0.03 * SOUND_HZ


def test_of_the_pictures_transforms_those_of_time_change_the_sound_alike() -> None:
    following = {name for name, one in registry.TRANSFORMS.items() if one.follow is not None}
    assert following == {"speed"}
    frames = np.zeros((16, 8, 8, 3), np.uint8)
    frames[10] = 255
    click = np.zeros(LENGTH, np.int16)
    click[10 * 1600 + 700 : 10 * 1600 + 900] = 20_000
    for seed in range(4):
        drawn = registry.TRANSFORMS["speed"].draw(np.random.default_rng(seed), 0.8)
        steps = [{"transform": "speed", "parameters": drawn}]
        bright = registry.apply(frames, steps)[:, 0, 0, 0].astype(float)
        heard = np.abs(registry.apply_to_sound(click, steps).astype(float))
        flash_s = float(np.sum((np.arange(16) + 0.5) * bright) / bright.sum() / 15)
        sound_s = float(np.sum(np.arange(LENGTH) * heard) / heard.sum() / SOUND_HZ)
        assert abs(flash_s - sound_s) < 1 / 15
    hud = [{"transform": "hud", "parameters": {}}]
    assert np.array_equal(registry.apply_to_sound(SOUND, hud), SOUND)


def test_steps_of_sound_leave_pictures_as_they_are() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    steps = [{"transform": "gain", "parameters": {"gain_db": 3.0}}]
    assert np.array_equal(registry.apply(frames, steps), frames)
