"""A small moving scene, and a small sound, to try transforms on where there is no footage."""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image, ImageDraw

from pipeline.store.pcm import LARGEST, samples_of, wave_of
from pipeline.store.sound import SOUND_HZ, Samples
from pipeline.store.video import Frames

_SUPERSAMPLING = 4
_CHART = (
    (190, 40, 45),
    (230, 160, 40),
    (240, 225, 90),
    (50, 150, 80),
    (45, 90, 180),
    (120, 60, 140),
)
_HORIZON = 0.56


def testcard(num_frames: int, size: int) -> Frames:
    """A walker passes a house with a tree; a ball bounces, the camera pans.

    Returns:
        uint8 (T, size, size, 3) RGB.
    """
    return np.stack([_frame(number / num_frames, size) for number in range(num_frames)])


def _frame(moment: float, size: int) -> np.ndarray:
    n = size * _SUPERSAMPLING
    rows = np.linspace(0, 1, n)[:, None, None]
    sky = np.array([110, 165, 225]) * (1 - rows) + np.array([225, 235, 240]) * rows
    image = Image.fromarray(np.broadcast_to(sky, (n, n, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    pan = 0.1 * moment

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return ((x - pan) * n, y * n, (x - pan + w) * n, (y + h) * n)

    draw.ellipse(box(0.72, 0.06, 0.13, 0.13), (255, 245, 200))
    for x in (0.1, 0.18, 0.26):
        draw.ellipse(box(x - 0.3 * pan, 0.1, 0.16, 0.07), (250, 250, 250))
    draw.ellipse(box(-0.3, 0.42, 0.9, 0.5), (120, 150, 110))
    draw.ellipse(box(0.5, 0.46, 0.9, 0.5), (100, 135, 100))
    _pavement(draw, n, pan)
    draw.rectangle(box(0.08, 0.26, 0.42, 0.36), (205, 190, 165))
    draw.polygon(
        [*(((x - pan) * n, y * n) for x, y in ((0.04, 0.27), (0.29, 0.1), (0.54, 0.27)))],
        (150, 70, 55),
    )
    draw.rectangle(box(0.25, 0.42, 0.09, 0.2), (95, 60, 40))
    for x in (0.12, 0.39):
        draw.rectangle(box(x, 0.35, 0.08, 0.11), (70, 95, 120))
        draw.line(box(x + 0.04, 0.35, 0, 0.11), (235, 235, 230), n // 120)
        draw.line(box(x, 0.405, 0.08, 0), (235, 235, 230), n // 120)
    draw.rectangle(box(0.83, 0.36, 0.035, 0.28), (90, 65, 45))
    draw.ellipse(box(0.71, 0.14, 0.28, 0.3), (60, 115, 60))
    draw.ellipse(box(0.76, 0.17, 0.12, 0.12), (85, 145, 75))
    for index, ink in enumerate(_CHART):
        draw.rectangle(box(0.56 + 0.03 * index, 0.47, 0.03, 0.07), ink)
    draw.rectangle(box(0.64, 0.54, 0.015, 0.1), (70, 70, 75))
    _walker(draw, n, 0.3 + 0.3 * moment, moment)
    bounce = abs(np.sin(3 * np.pi * moment))
    ball = (0.78 - 0.5 * moment - pan / 2, 0.86 - 0.2 * bounce)
    draw.ellipse([(v - 0.05) * n for v in ball] + [(v + 0.05) * n for v in ball], (225, 80, 40))
    draw.arc(
        [(v - 0.05) * n for v in ball] + [(v + 0.05) * n for v in ball],
        720 * moment,
        720 * moment + 150,
        (250, 240, 230),
        n // 60,
    )
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def _pavement(draw: ImageDraw.ImageDraw, n: int, pan: float) -> None:
    depth = _HORIZON + (1 - _HORIZON) * np.linspace(0, 1, 9) ** 1.8
    for row, (top, bottom) in enumerate(itertools.pairwise(depth)):
        near, far = (bottom - _HORIZON) * 1.1 + 0.05, (top - _HORIZON) * 1.1 + 0.05
        for column in range(-9, 12):
            left = column - 4 * pan
            right = left + 1
            corners = (
                (left, far, top),
                (right, far, top),
                (right, near, bottom),
                (left, near, bottom),
            )
            shade = 150 if (row + column) % 2 else 118
            outline = [((0.5 + x * w) * n, y * n) for x, w, y in corners]
            draw.polygon(outline, (shade, shade, shade - 8))


def _walker(draw: ImageDraw.ImageDraw, n: int, x: float, moment: float) -> None:
    swing = 0.07 * np.sin(4 * np.pi * moment)
    foot, hip, neck = 0.86, 0.68, 0.5

    def limb(points: list[tuple[float, float]], ink: tuple[int, int, int], width: float) -> None:
        draw.line([(a * n, b * n) for a, b in points], ink, round(width * n), joint="curve")

    for side in (-1, 1):
        limb([(x, hip), (x + side * swing, foot)], (45, 50, 80), 0.035)
    limb([(x, neck), (x, hip)], (60, 120, 130), 0.07)
    for side in (-1, 1):
        limb([(x, neck + 0.03), (x - 0.8 * side * swing, hip - 0.02)], (60, 120, 130), 0.024)
    head = ((x - 0.032) * n, (neck - 0.085) * n, (x + 0.032) * n, (neck - 0.01) * n)
    draw.ellipse(head, (215, 165, 125))
    draw.chord(head, 180, 360, (70, 45, 30))


def sound_scene(duration_s: float) -> Samples:
    """Quiet noise, a click, a burst that fades, and a tone that rises: int16 (n,) at `SOUND_HZ`."""
    rng = np.random.default_rng(0)
    at_s = np.arange(round(duration_s * SOUND_HZ)) / SOUND_HZ
    since_s = at_s - 0.45 * duration_s
    burst = np.where(since_s < 0, 0.0, np.exp(-np.maximum(since_s, 0) / 0.08))
    wave = 0.004 * rng.standard_normal(at_s.size) + 0.3 * burst * rng.standard_normal(at_s.size)
    wave += 0.05 * np.sin(2 * np.pi * (400 + 900 * at_s / duration_s) * at_s)
    click = round(0.2 * duration_s * SOUND_HZ)
    wave[click : click + 24] += 0.6
    return samples_of(wave * LARGEST)


def spectrogram(samples: Samples) -> Image.Image:
    """The spectrum over time of int16 (n,): 0 to 12 kHz upwards, 80 dB from black to white."""
    window, hop = 512, 64
    wave = wave_of(samples)
    frames = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop] * np.hanning(window)
    level_db = 20 * np.log10(np.abs(np.fft.rfft(frames)).T[::-1] / (window / 4) + 1e-9)
    grey = np.clip((level_db + 80) / 80, 0, 1)
    image = Image.fromarray(np.rint(255 * grey).astype(np.uint8))
    return image.resize((390, 130), Image.Resampling.LANCZOS)
