"""What the sound tracks of files are like, drawn from one distribution for every engine."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from pipeline.engines.acoustics import music
from pipeline.engines.acoustics.dynamics import limit
from pipeline.engines.acoustics.signals import RATE_HZ, generator, rms
from pipeline.store.pcm import wave_of
from pipeline.store.video import SoundTrack

SOUND_HZ = RATE_HZ
"""Samples a second of what an engine hands over, before the file's own rate is drawn."""

_ABSENT, _MUTED, _COVERED = 0.12, 0.06, 0.12
"""Shares of files without a track, with one of digital silence, and with music over the rest."""
# As mp4 holds them and FFmpeg writes them: MP3 below 16 kHz belongs to no standard of mp4, and Opus
# is always played at 48 kHz, whatever the band that was given to it.
_CODECS = (
    ("aac", 0.6, (8_000, 16_000, 22_050, 32_000, 44_100, 48_000)),
    ("libmp3lame", 0.2, (16_000, 22_050, 32_000, 44_100, 48_000)),
    ("libopus", 0.2, (8_000, 16_000, 24_000, 48_000)),
)
_STEREO = 0.5
_BITS_PER_SAMPLE = (0.8, 2.6)
# Half of all tracks have no less than their rate allows; the others went through something narrow.
_NARROW, _BANDWIDTHS_HZ = 0.5, (3_400.0, 11_000.0)
# Of what is heard most of the time, whatever the engine made of it. Not of the loudest or of the
# mean, which a discharge decides: what is quiet in its file would then tell of it.
_BACKGROUNDS_DBFS = (-58.0, -26.0)
_MOST_GAIN_DB = 45.0
_CEILING = 0.97
_BLOCK = SOUND_HZ // 20
_SILENT = 10 ** (-90 / 20)
_MUSIC_DBFS = (-26.0, -12.0)
_TEMPOS_BPM = (70.0, 160.0)
_LEFT_DB = (-30.0, 0.0)
_REMOVED = 0.4
_AUDIBLE_DB = -12.0
# Powers of the one number whose multiples fill seven dimensions most evenly: g ** 8 = g + 1.
_STEPS = 1.0969815577985598 ** -np.arange(1.0, 8.0)


@dataclass(frozen=True)
class Music:
    """A music bed over what was recorded."""

    seed: tuple[int, ...]
    tempo_bpm: float
    level_dbfs: float
    """RMS of the bed."""
    left_db: float | None
    """By how much what was recorded is made quieter under it; None where nothing of it is left."""


@dataclass(frozen=True)
class TrackFormat:
    """How a file's sound is processed and encoded."""

    codec: str
    """FFmpeg's name of the encoder."""
    rate_hz: int
    channels: int
    kbit_s: int
    background_dbfs: float
    """Level to which what is heard most of the time is brought, as devices and platforms do."""
    bandwidth_hz: float | None
    """Where a low-pass begins; None for none."""
    is_muted: bool
    music: Music | None

    @property
    def is_dubbed(self) -> bool:
        """Whether so little of what was recorded is left that nobody knows what is heard."""
        cover = self.music
        return cover is not None and (cover.left_db is None or cover.left_db < _AUDIBLE_DB)


def draw_track(seed: int, index: int, engine: str) -> TrackFormat | None:
    """Draw the track of the files of a recording; None for files without one.

    The draws are spread evenly as those of pictures are. Recordings 2k and 2k + 1 share a draw:
    engines make one of them with discharges and one without, and not even chance may tie a track
    to a discharge.
    """
    offsets = np.random.default_rng([seed, zlib.crc32(engine.encode()), zlib.crc32(b"track")])
    draws = (offsets.random(len(_STEPS)) + index // 2 * _STEPS) % 1
    what, codec, rate, bits, band, level, stereo = (float(draw) for draw in draws)
    if what < _ABSENT:
        return None
    place = int(np.searchsorted(np.cumsum([odds for _, odds, _ in _CODECS[:-1]]), codec, "right"))
    name, _, rates_hz = _CODECS[place]
    rate_hz = rates_hz[int(rate * len(rates_hz))]
    channels = 2 if stereo < _STEREO else 1
    is_muted = what < _ABSENT + _MUTED
    is_covered = not is_muted and what < _ABSENT + _MUTED + _COVERED
    return TrackFormat(
        codec=name,
        rate_hz=rate_hz,
        channels=channels,
        kbit_s=round(_log_between(_BITS_PER_SAMPLE, bits) * rate_hz * channels / 1000),
        background_dbfs=_between(_BACKGROUNDS_DBFS, level),
        bandwidth_hz=_log_between(_BANDWIDTHS_HZ, band / _NARROW) if band < _NARROW else None,
        is_muted=is_muted,
        music=_draw_music((seed, zlib.crc32(engine.encode()), index)) if is_covered else None,
    )


def _draw_music(seed: tuple[int, ...]) -> Music:
    rng = generator(seed, "cover")
    is_removed = bool(rng.random() < _REMOVED)
    return Music(
        seed=seed,
        tempo_bpm=float(rng.uniform(*_TEMPOS_BPM)),
        level_dbfs=float(rng.uniform(*_MUSIC_DBFS)),
        left_db=None if is_removed else float(rng.uniform(*_LEFT_DB)),
    )


def _between(limits: tuple[float, float], share: float) -> float:
    low, high = limits
    return low + share * (high - low)


def _log_between(limits: tuple[float, float], share: float) -> float:
    low, high = np.log(limits)
    return float(np.exp(low + share * (high - low)))


def processed(sound: NDArray[np.int16], form: TrackFormat) -> SoundTrack:
    """What a file of a format makes of a recording's sound, ready to be encoded.

    Nothing is moved in time: filters have no phase, and resampling has no delay.

    Args:
        sound: int16 (N,) mono at `SOUND_HZ`.
        form: of the file.
    """
    wave = _levelled(wave_of(sound), form.background_dbfs)
    if form.is_muted:
        wave = np.zeros_like(wave)
    if form.music is not None:
        wave = _under(form.music, wave)
    if form.bandwidth_hz is not None:
        sections = signal.butter(4, form.bandwidth_hz, fs=SOUND_HZ, output="sos")
        wave = signal.sosfiltfilt(sections, wave)
    ratio = Fraction(form.rate_hz, SOUND_HZ)
    wave = signal.resample_poly(wave, ratio.numerator, ratio.denominator)
    mono = np.clip(wave, -1, 1).astype(np.float32)
    return SoundTrack(np.stack([mono] * form.channels), form.rate_hz, form.codec, form.kbit_s)


def _levelled(wave: NDArray[np.float64], background_dbfs: float) -> NDArray[np.float64]:
    """Sound (N,) whose median level is brought to another, and its peaks below full scale.

    What is silent, as before a device was switched on, does not count.
    """
    blocks = np.array_split(wave, max(1, len(wave) // _BLOCK))
    levels = np.array([rms(block) for block in blocks])
    heard = levels[levels > _SILENT]
    if not len(heard):
        return wave
    gain = 10 ** (background_dbfs / 20) / float(np.median(heard))
    return limit(min(gain, 10 ** (_MOST_GAIN_DB / 20)) * wave, _CEILING)


def _under(cover: Music, wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sound (N,) with a bed over it."""
    bed = music.bed(generator(cover.seed, "music"), len(wave) / SOUND_HZ, cover.tempo_bpm)
    left = 0.0 if cover.left_db is None else 10 ** (cover.left_db / 20)
    covered: NDArray[np.float64] = left * wave + 10 ** (cover.level_dbfs / 20) * bed[: len(wave)]
    return covered
