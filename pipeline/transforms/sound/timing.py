"""Sound out of step or out of tune with its pictures.

How sound follows pictures whose pace is edited is with them, in `transforms.edits.timing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.transforms.base import Parameters, amount, pick, signed_amount
from pipeline.transforms.sound.base import SoundTransform


def _draw_delay(rng: np.random.Generator, strength: float) -> Parameters:
    return {"delay_s": signed_amount(rng, strength, 0.6)}


def _delay(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """The track late, or early; silence where it has nothing."""
    shift = round(p["delay_s"] * SOUND_HZ)
    out = np.zeros_like(samples)
    if shift >= 0:
        out[shift:] = samples[: max(0, len(samples) - shift)]
    else:
        out[: max(0, len(samples) + shift)] = samples[-shift:]
    return out


def _draw_pitch(rng: np.random.Generator, strength: float) -> Parameters:
    return {"semitones": pick(rng, (-1, 1)) * amount(rng, strength, 0.3, 6)}


def _pitch(samples: Samples, p: Mapping[str, Any]) -> Samples:
    """Higher or lower at the same pace, by overlapped pieces of time, as FFmpeg's `atempo` has it.

    Re-uploaders do so to pass by fingerprints of sound.
    """
    import av

    ratio = 2 ** (p["semitones"] / 12)
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_abuffer(
        sample_rate=SOUND_HZ, format="s16", layout="mono", time_base=Fraction(1, SOUND_HZ)
    )
    graph.link_nodes(
        source,
        graph.add("asetrate", str(round(SOUND_HZ * ratio))),
        graph.add("aresample", str(SOUND_HZ)),
        graph.add("atempo", f"{1 / ratio:.6f}"),
        graph.add("aformat", "sample_fmts=s16:channel_layouts=mono"),
        graph.add("abuffersink"),
    ).configure()
    frame = av.AudioFrame.from_ndarray(samples[None].copy(), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, 0, Fraction(1, SOUND_HZ)
    graph.push(frame)
    graph.push(None)
    heard: list[Samples] = []
    while True:
        try:
            heard.append(graph.pull().to_ndarray()[0])
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    out = np.concatenate(heard)[: len(samples)]
    return np.pad(out, (0, len(samples) - len(out)))


TRANSFORMS = (
    SoundTransform("delay", _draw_delay, _delay, hides=True),
    SoundTransform("pitch", _draw_pitch, _pitch),
)
