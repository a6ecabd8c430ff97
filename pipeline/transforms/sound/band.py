"""Leaves of the spectrum what microphones, lines and lossy codecs do."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import signal

from pipeline.store.pcm import Wave, samples_of, wave_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.transforms.base import Parameters, amount, pick
from pipeline.transforms.sound.base import SoundTransform


@dataclass(frozen=True)
class _Codec:
    """How a codec is asked of FFmpeg, and its bit rates from the mildest to the most severe."""

    encoder: str
    container: str
    rate_hz: int
    bit_rates: tuple[int, ...]


_CODECS = {
    "aac": _Codec("aac", "mp4", SOUND_HZ, (96_000, 64_000, 48_000, 32_000, 24_000, 16_000)),
    "opus": _Codec("libopus", "ogg", SOUND_HZ, (64_000, 40_000, 24_000, 16_000, 10_000, 6_000)),
    "mp3": _Codec("libmp3lame", "mp3", SOUND_HZ, (96_000, 64_000, 48_000, 32_000, 24_000, 16_000)),
    "amr": _Codec("libopencore_amrnb", "amr", 8_000, (12_200, 10_200, 7_950, 6_700, 5_150, 4_750)),
}


def _draw_band(rng: np.random.Generator, strength: float) -> Parameters:
    return {
        "low_hz": amount(rng, strength, 30, 400),
        "high_hz": amount(rng, strength, 10_500, 2_400),
    }


def _band(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Take away what lies below and above a band, by 24 dB an octave."""
    edges = (p["low_hz"], p["high_hz"])
    sections = signal.butter(4, edges, "bandpass", fs=SOUND_HZ, output="sos")
    return samples_of(np.asarray(signal.sosfilt(sections, wave_of(samples))))


def _draw_codec(rng: np.random.Generator, strength: float) -> Parameters:
    codec = pick(rng, tuple(_CODECS))
    rates = _CODECS[codec].bit_rates
    place = min(int(strength * rng.uniform(0.75, 1) * len(rates)), len(rates) - 1)
    return {"codec": codec, "bit_rate": rates[place]}


def _codec(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Encode and decode, in step with what was there before, but for 10 ms that AMR takes."""
    codec = _CODECS[p["codec"]]
    common = np.gcd(SOUND_HZ, codec.rate_hz)
    up, down = codec.rate_hz // common, SOUND_HZ // common
    wave = wave_of(samples)
    heard = _decoded(_encoded(signal.resample_poly(wave, up, down), codec, p["bit_rate"]), codec)
    out = np.asarray(signal.resample_poly(heard, down, up))[: len(samples)]
    return samples_of(np.pad(out, (0, len(samples) - len(out))))


def _encoded(wave: Wave, codec: _Codec, bit_rate: int) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=codec.container, options={"fflags": "+bitexact"}) as file:
        stream: Any = file.add_stream(codec.encoder, rate=codec.rate_hz, layout="mono")
        stream.bit_rate = bit_rate
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        whole = av.AudioFrame.from_ndarray(samples_of(wave)[None], format="s16", layout="mono")
        whole.sample_rate, whole.pts = codec.rate_hz, 0
        whole.time_base = Fraction(1, codec.rate_hz)
        # Opening it tells how many samples the encoder wants at once.
        stream.codec_context.open(strict=False)
        resampler = av.AudioResampler(
            format=stream.codec_context.format.name,
            layout="mono",
            rate=codec.rate_hz,
            frame_size=stream.codec_context.frame_size,
        )
        for frame in (*resampler.resample(whole), *resampler.resample(None)):
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return buffer.getvalue()


def _decoded(data: bytes, codec: _Codec) -> Wave:
    import av

    with av.open(io.BytesIO(data), "r") as file:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=codec.rate_hz)
        decoded = [one for frame in file.decode(audio=0) for one in resampler.resample(frame)]
        decoded += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in decoded]).astype(np.float64)


TRANSFORMS = (
    SoundTransform("band", _draw_band, _band),
    SoundTransform("sound_codec", _draw_codec, _codec),
)
