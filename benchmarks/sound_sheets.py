"""Contact sheets of rendered sound: spectrograms of every kind of event, microphone, room and film.

    python benchmarks/sound_sheets.py --out .work/sound_sheets

A picture shows 1.6 s (three for what lasts) at 24 kHz: up to 12 kHz upwards, in 70 dB from dark to
bright, with the waveform below.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from judge_sound import draw_scene
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.engines.acoustics import microphone
from pipeline.engines.acoustics.render import render
from pipeline.engines.acoustics.room import ROOMS
from pipeline.engines.acoustics.scene import FilmMix, Microphone, SoundEvent, SoundScene
from pipeline.engines.acoustics.signals import generator
from pipeline.engines.acoustics.sources import KINDS
from pipeline.engines.acoustics.weapons import WEAPONS
from pipeline.store.pcm import wave_of

_RATE_HZ, _WINDOW, _HOP = 24_000, 512, 120
_WIDE, _TALL, _WAVE = 240, 120, 30
_RANGE_DB = 70.0
Picture = NDArray[np.uint8]


def spectrogram(samples: NDArray[np.int16], title: str) -> Picture:
    """A spectrogram over its waveform, uint8 (H, W, 3) RGB."""
    wave = wave_of(samples)
    frames = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)) ** 2
    level = 10 * np.log10(power + 1e-9)
    grey = np.clip((level - level.max()) / _RANGE_DB + 1, 0, 1).T[::-1]
    small = cv2.resize((255 * grey).astype(np.uint8), (_WIDE, _TALL), interpolation=cv2.INTER_AREA)
    shown = cv2.applyColorMap(small, cv2.COLORMAP_MAGMA)[:, :, ::-1]
    below = np.full((_WAVE, _WIDE, 3), 24, np.uint8)
    parts = np.array_split(wave, _WIDE)
    for column, part in enumerate(parts):
        high, low = (round((1 - part.max()) * (_WAVE - 1) / 2), round((1 - part.min()) * 14.5))
        below[high : low + 1, column] = (120, 200, 255)
    picture = Image.fromarray(np.concatenate([shown, below]))
    ImageDraw.Draw(picture).text((3, 1), title, fill=(255, 255, 255))
    return np.asarray(picture)


def sheet(cells: Sequence[Picture], columns: int) -> Image.Image:
    """Pictures in rows."""
    blank = np.zeros_like(cells[0])
    padded = [*cells, *[blank] * (-len(cells) % columns)]
    rows = [np.concatenate(padded[k : k + columns], 1) for k in range(0, len(padded), columns)]
    return Image.fromarray(np.concatenate(rows))


def of_kind(kind: str, number: int) -> Picture:
    """An event of a kind, as the benchmark's judge is given it."""
    scene, room = draw_scene(kind, number, seed=7)
    away = float(np.linalg.norm(scene.events[0].offset_m)) if scene.events else 0.0
    lasts = 3.0 if kind in ("thunder", "firecrackers", "rocket", "hammer", "backfire") else 1.6
    event = replace(scene.events[0], time_s=0.35)
    scene = replace(scene, events=(event,), duration_s=lasts + away / 340)
    samples = render(scene, _RATE_HZ)[-round(lasts * _RATE_HZ) :]
    return spectrogram(samples, f"{kind} {room} {away:.1f} m")


def kinds() -> Image.Image:
    """Four of every kind, a kind a row."""
    return sheet([of_kind(kind, number) for kind in KINDS for number in (1, 3, 5, 7)], 8)


def _scene(capture: Microphone | FilmMix, room: str, weapon: str = "pistol_9mm") -> SoundScene:
    event = SoundEvent(0.4, "discharge", (1.0, 4.0, 0.0), (0.5, 1.0, 0.0), weapon)
    return SoundScene(1.6, (3, 1), (event,), capture, ROOMS[room])


def places() -> Image.Image:
    """One discharge in every room, then of every weapon."""
    plain = Microphone(gain_db=0.0, overload_db=150.0)
    cells = [spectrogram(render(_scene(plain, room), _RATE_HZ), room) for room in ROOMS]
    cells += [
        spectrogram(render(_scene(plain, "street", weapon), _RATE_HZ), weapon) for weapon in WEAPONS
    ]
    return sheet(cells, 5)


def captures() -> Image.Image:
    """One discharge by drawn microphones of every family, and in mixes of films."""
    cells = []
    for family in microphone.FAMILIES:
        for number in range(5):
            drawn = microphone.draw(generator((number,), "sheet", family), family)
            cells.append(spectrogram(render(_scene(drawn, "street"), _RATE_HZ), family))
    for number, music in enumerate((None, -6.0, 0.0, 6.0, 0.0)):
        film = FilmMix(layers=number < 4, music_db=music)
        samples = render(_scene(film, "street"), _RATE_HZ)
        cells.append(spectrogram(samples, f"film, music {music}"))
    return sheet(cells, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(".work/sound_sheets"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, picture in (("kinds", kinds()), ("places", places()), ("captures", captures())):
        picture.save(arguments.out / f"{name}.png")
        print(arguments.out / f"{name}.png", picture.size)


if __name__ == "__main__":
    main()
