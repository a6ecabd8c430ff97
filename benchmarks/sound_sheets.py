"""Contact sheets of sound: of every kind of event, microphone, room and film, and of each engine.

    python benchmarks/sound_sheets.py --out .work/sound_sheets
    python benchmarks/sound_sheets.py --clips data/clips

A picture shows a spectrogram, up to 12 kHz upwards, in 70 dB from dark to bright, with the waveform
below; 1.6 s (three for what lasts) of what is rendered. With `--clips`, the output of `ingest`,
there is a sheet of each collection instead, as training hears it: a row of files with discharges, a
row of files without, and a long recording of each. Clips with a discharge are red below, and times
that no clip shows are grey.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
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
from pipeline.store.manifest import Clip, read_format, read_manifest
from pipeline.store.pcm import wave_of
from pipeline.store.sound import SOUND_HZ, num_samples, read_sound

_RATE_HZ, _WINDOW, _HOP = 24_000, 512, 120
_WIDE, _TALL, _WAVE = 240, 120, 30
_RANGE_DB = 70.0
_FAINTEST_DB = -20.0
_OTHER, _DISCHARGE, _NO_CLIP = range(3)
_GROUNDS = np.array([(24, 24, 24), (110, 20, 20), (90, 90, 90)], np.uint8)
_COLUMNS, _LONG_S = 8, 20.0
Picture = NDArray[np.uint8]


def spectrogram(
    samples: NDArray[np.int16],
    title: str,
    ground: NDArray[np.uint8] | None = None,
    wide: int = _WIDE,
) -> Picture:
    """A spectrogram over its waveform, uint8 (H, `wide`, 3) RGB.

    Args:
        samples: int16 (n,) at 24 kHz, which may all be zero.
        title: stands on it.
        ground: (n,) places in `_GROUNDS`, of what the waveform stands on; the first if not given.
        wide: in pixels.
    """
    wave = wave_of(samples)
    frames = np.lib.stride_tricks.sliding_window_view(wave, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)) ** 2
    level = 10 * np.log10(power + 1e-9)
    grey = np.clip((level - max(level.max(), _FAINTEST_DB)) / _RANGE_DB + 1, 0, 1).T[::-1]
    small = cv2.resize((255 * grey).astype(np.uint8), (wide, _TALL), interpolation=cv2.INTER_AREA)
    shown = cv2.applyColorMap(small, cv2.COLORMAP_MAGMA)[:, :, ::-1]
    places = np.zeros(1, np.uint8) if ground is None else ground
    row = _GROUNDS[places[np.arange(wide) * len(places) // wide]]
    below = np.repeat(row[None], _WAVE, axis=0)
    for column, part in enumerate(np.array_split(wave, wide)):
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


def _heard(folder: Path, clips: Sequence[Clip], wide: int) -> Picture:
    """The sound of the clips of a file, each at its time."""
    form = read_format(folder)
    length = num_samples(form.num_frames, form.fps)
    starts = [round((clip.start_s - clips[0].start_s) * SOUND_HZ) for clip in clips]
    samples = np.zeros(starts[-1] + length, np.int16)
    ground = np.full(samples.size, _NO_CLIP, np.uint8)
    for start, clip in zip(starts, clips, strict=True):
        sound = read_sound(folder, clip)
        samples[start : start + length] = 0 if sound is None else sound
        ground[start : start + length] = _DISCHARGE if clip.discharge else _OTHER
    return spectrogram(samples, Path(clips[0].path).stem, ground, wide)


def of_collection(folder: Path, clips: Sequence[Clip]) -> Image.Image:
    """Files with discharges, a row of files without, spread over all; then a long one of each."""
    by_path: dict[str, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: (clip.path, clip.start_s)):
        by_path.setdefault(clip.path, []).append(clip)
    groups: dict[tuple[bool, bool], list[list[Clip]]] = {}
    for file in by_path.values():
        if any(clip.sound_size for clip in file):
            is_long = file[-1].start_s - file[0].start_s > _LONG_S
            groups.setdefault((is_long, any(clip.discharge for clip in file)), []).append(file)
    rows = []
    for (is_long, _), files in sorted(groups.items(), key=lambda one: (one[0][0], not one[0][1])):
        columns = 1 if is_long else _COLUMNS
        spread = np.linspace(0, len(files) - 1, min(len(files), columns)).round().astype(int)
        cells = [_heard(folder, files[place], _COLUMNS // columns * _WIDE) for place in spread]
        rows.append(np.asarray(sheet(cells, columns)))
    return Image.fromarray(np.concatenate(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(".work/sound_sheets"))
    parser.add_argument("--clips", type=Path, help="what ingest wrote, instead of what is rendered")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sheets: dict[str, Callable[[], Image.Image]] = {
        "kinds": kinds,
        "places": places,
        "captures": captures,
    }
    if arguments.clips is not None:
        clips = groupby(read_manifest(arguments.clips), key=lambda clip: clip.collection)
        sheets = {name: partial(of_collection, arguments.clips, list(own)) for name, own in clips}
    for name, drawn in sheets.items():
        picture = drawn()
        picture.save(arguments.out / f"{name}.png")
        print(arguments.out / f"{name}.png", picture.size)


if __name__ == "__main__":
    main()
