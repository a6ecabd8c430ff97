"""Writes a collection of what is on screens and is no footage: test cards, patterns, logos, desks.

    python benchmarks/still_screens.py FOLDER

Test cards and moving patterns are those of FFmpeg, each in several shapes, which are one recording.
Logos, titles, desktops, flat screens and snow are drawn by seeds, so that each run gives the same
pictures; nothing of them is anybody's. Each file lasts for two seconds, and `source` says which
kind it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.footage.collection import IndexRow, write_index

FPS, NUM_FRAMES = 15, 30
HEIGHT, WIDTH = 240, 320
NUM_DRAWN = 100
CARDS = (
    "testsrc",
    "testsrc2",
    "smptebars",
    "smptehdbars",
    "pal75bars",
    "pal100bars",
    "rgbtestsrc",
    "yuvtestsrc",
    "colorspectrum",
    "zoneplate",
)
PATTERNS = ("mandelbrot", "life", "cellauto", "gradients", "sierpinski")
SIZES = ("320x240", "426x240", "240x240")
WORDS = ("NEWS", "LIVE", "ON AIR", "SPORT", "CITY", "RADIO", "WEATHER", "SOON", "WORLD", "TODAY")
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)

Frame = NDArray[np.uint8]


def from_ffmpeg(source: str) -> Iterator[Frame]:
    """The pictures of a source of FFmpeg, as its filters name it."""
    graph = av.filter.Graph()
    name, _, options = source.partition("=")
    made, sink = graph.add(name, options), graph.add("buffersink")
    made.link_to(sink)
    graph.configure()
    for _ in range(NUM_FRAMES):
        frame = graph.pull()
        assert isinstance(frame, av.VideoFrame)
        yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def _ground(rng: np.random.Generator) -> Frame:
    """One colour, or two that run into each other."""
    first, last = np.array(_colour(rng)), np.array(_colour(rng))
    share = np.linspace(0, rng.integers(0, 2), HEIGHT)[:, None, None]
    return np.broadcast_to(first + share * (last - first), (HEIGHT, WIDTH, 3)).astype(np.uint8)


def _write(
    image: Frame, text: str, at: tuple[int, int], size: float, ink: tuple[int, int, int], font: int
) -> None:
    cv2.putText(image, text, at, font, size, ink, max(1, round(2 * size)), cv2.LINE_AA)


def logo(rng: np.random.Generator) -> Frame:
    """A form with a word in it on an even ground."""
    image = _ground(rng).copy()
    middle = int(rng.integers(90, 230)), int(rng.integers(80, 160))
    radius, ink = int(rng.integers(25, 75)), _colour(rng)
    kind = rng.integers(0, 3)
    if kind == 0:
        cv2.circle(image, middle, radius, ink, -1 if rng.random() < 0.7 else 8, cv2.LINE_AA)
    elif kind == 1:
        corner = middle[0] - 2 * radius, middle[1] - radius // 2
        cv2.rectangle(image, corner, (middle[0] + radius, middle[1] + radius), ink, -1)
    else:
        turns = rng.uniform(0, 2 * np.pi) + 2 * np.pi / 5 * np.arange(int(rng.integers(3, 7)))
        points = np.array(middle) + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        cv2.fillPoly(image, [np.rint(points).astype(np.int32)], ink, cv2.LINE_AA)
    font = _FONTS[rng.integers(0, len(_FONTS))]
    word = WORDS[rng.integers(0, len(WORDS))]
    at = middle[0] - radius, middle[1] + int(rng.integers(-radius, radius))
    _write(image, word, at, float(rng.uniform(0.7, 2)), _colour(rng), font)
    return image


def title(rng: np.random.Generator) -> Frame:
    """Lines of text, as of credits or of a slide."""
    image = _ground(rng).copy()
    ink, font = _colour(rng), _FONTS[rng.integers(0, len(_FONTS))]
    size = float(rng.uniform(0.4, 0.9))
    left = int(rng.integers(8, 80))
    for line in range(int(rng.integers(2, 10))):
        words = rng.choice(WORDS, int(rng.integers(1, 5)))
        _write(image, " ".join(words), (left, 24 + int(line * 34 * size)), size, ink, font)
    return image


def desktop(rng: np.random.Generator) -> Frame:
    """Windows with a bar and lines in them before a ground, as a static screen."""
    image = _ground(rng).copy()
    cv2.rectangle(image, (0, HEIGHT - 14), (WIDTH, HEIGHT), _colour(rng), -1)
    for _ in range(int(rng.integers(1, 5))):
        left, top = int(rng.integers(0, 200)), int(rng.integers(0, 140))
        right, bottom = left + int(rng.integers(80, 220)), top + int(rng.integers(60, 160))
        paper = tuple(int(one) for one in rng.integers(170, 256, 3))
        cv2.rectangle(image, (left, top), (right, bottom), paper, -1)
        cv2.rectangle(image, (left, top), (right, top + 10), _colour(rng), -1)
        for y in range(top + 18, min(bottom, HEIGHT) - 4, 8):
            end = left + 6 + int(rng.integers(10, max(11, right - left - 10)))
            cv2.line(image, (left + 6, y), (end, y), (60, 60, 60), 2)
    return image


def flat(rng: np.random.Generator) -> Frame:
    """Black, white, or one colour that may run into another one."""
    image = _ground(rng)
    return image if rng.random() < 0.5 else np.full_like(image, rng.choice([0, 16, 235, 255]))


def snow(rng: np.random.Generator) -> Iterator[Frame]:
    """A television without a station."""
    size = int(rng.integers(1, 5))
    for _ in range(NUM_FRAMES):
        grey = rng.integers(0, 256, (HEIGHT // size, WIDTH // size), np.uint8)
        large = cv2.resize(grey, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        yield np.repeat(large[:, :, None], 3, axis=2)


def files() -> Iterator[tuple[str, str, str, Iterator[Frame]]]:
    """Kind, recording, name and pictures of each."""
    for number, size in enumerate(SIZES):
        for card in CARDS:
            yield "test card", card, f"{card}-{size}", from_ffmpeg(f"{card}=s={size}:r={FPS}")
        for pattern in PATTERNS:
            seeds = "" if pattern in ("mandelbrot", "sierpinski") else f":seed={number + 1}"
            source = f"{pattern}=s={size}:r={FPS}{seeds}"
            yield "moving pattern", pattern, f"{pattern}-{size}", from_ffmpeg(source)
    drawn = {"logo": logo, "title": title, "desktop": desktop, "flat": flat}
    for kind, draw in drawn.items():
        for seed in range(NUM_DRAWN):
            image = draw(np.random.default_rng([len(kind), seed]))
            name = f"{kind}-{seed:03d}"
            yield kind, name, name, iter([image] * NUM_FRAMES)
    for seed in range(NUM_DRAWN // 5):
        yield "snow", f"snow-{seed:03d}", f"snow-{seed:03d}", snow(np.random.default_rng(seed))


def write(path: Path, frames: Iterator[Frame]) -> None:
    """Write pictures as a video of H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for number, one in enumerate(frames):
            if not number:
                stream.height, stream.width = one.shape[:2]
            frame = av.VideoFrame.from_ndarray(one, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True)
    rows = []
    for kind, recording, name, frames in files():
        write(folder / f"{name}.mp4", frames)
        rows.append(IndexRow(f"{name}.mp4", "generated", kind, False, "CC0-1.0", recording))
    write_index(folder, rows)
    print(f"{folder}: {len(rows)} files")


if __name__ == "__main__":
    main()
