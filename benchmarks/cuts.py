"""Precision and recall of cuts on made edits, and false cuts on flashes, strobes and fast turns.

    python benchmarks/cuts.py [FOLDER]

FOLDER is a footage collection; its real and game recordings are taken as free of cuts. Without one,
recordings of the body-camera engine are made. PySceneDetect's detectors see the same frames
(`pip install --no-deps scenedetect`: with its dependencies it replaces the OpenCV in use).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.footage import foreign, pictures, scenes
from pipeline.footage.collection import read_index

FPS = 15.0
WIDTH, HEIGHT = 320, 180
MAX_FRAMES = 300
# An answer this near to the truth is right; a fade is right anywhere inside it.
TOLERANCE_FRAMES = 1
LIMITS = foreign.DecodingLimits(max_pixels=36_000_000, max_duration_s=7200)

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Edit:
    """Frames uint8 (T, H, W, 3) RGB, and the first and last frame at which each cut may be told."""

    kind: str
    frames: Frames
    cuts: tuple[tuple[int, int], ...] = ()


def read_scenes(folder: Path) -> list[Frames]:
    """The recordings of a collection that no editor has touched, as small frames."""
    rows = [row for row in read_index(folder) if row.origin != "film"]
    found = []
    for row in rows:
        with foreign.Video(folder / row.path, LIMITS) as source:
            frames: list[Frames] = []
            for picture in source.pictures(FPS):
                if len(frames) == MAX_FRAMES:
                    break
                frames.append(
                    picture.frame.to_ndarray(
                        format="rgb24", width=WIDTH, height=HEIGHT, interpolation="AREA"
                    )
                )
        if len(frames) >= 40:
            found.append(np.stack(frames))
    return found


def make_scenes(folder: Path) -> list[Frames]:
    """Recordings of the body-camera engine."""
    from pipeline.engines.render.camera_take import BodyCameraTake
    from pipeline.engines.render.script import write_script
    from pipeline.engines.take import VideoFormat

    del folder
    found = []
    for number in range(12):
        script = write_script("bodycam", 3, number, 4.0)
        take = BodyCameraTake(script, VideoFormat(WIDTH, HEIGHT, FPS, kbit_s=1000, keyint=60))
        found.append(np.stack(list(take.frames()))[: int(4 * FPS)])
    return found


def edited(found: list[Frames], num_edits: int, fade_frames: int, seed: int) -> Iterator[Edit]:
    """Pieces of 1 to 4 s of different recordings, one after the other."""
    rng = np.random.default_rng(seed)
    for _ in range(num_edits):
        chosen = rng.choice(len(found), min(8, len(found)), replace=False)
        pieces, cuts, at = [], [], 0
        for scene in (found[index] for index in chosen):
            length = int(rng.integers(15, min(60, len(scene))))
            start = int(rng.integers(0, len(scene) - length + 1))
            piece = scene[start : start + length].copy()
            if fade_frames:
                _fade(piece, fade_frames)
            if at:
                cuts.append((at - fade_frames, at + fade_frames))
            pieces.append(piece)
            at += length
        kind = f"fade {fade_frames}" if fade_frames else "hard cuts"
        yield Edit(kind, np.concatenate(pieces), tuple(cuts))


def _fade(piece: Frames, num_frames: int) -> None:
    for step in range(num_frames):
        gain = step / num_frames
        piece[step] = (piece[step] * gain).astype(np.uint8)
        piece[-1 - step] = (piece[-1 - step] * gain).astype(np.uint8)


def flashes(scene: Frames, rng: np.random.Generator) -> Edit:
    """Muzzle and camera flashes of one to three frames, some of which drown the picture."""
    frames = scene.astype(np.float32)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    for start in range(8, len(frames) - 8, 9):
        middle = rng.uniform(0.2, 0.8, 2) * (HEIGHT, WIDTH)
        blob = np.exp(
            -((y - middle[0]) ** 2 + (x - middle[1]) ** 2) / (2 * rng.uniform(20, 90) ** 2)
        )
        for step in range(int(rng.integers(1, 4))):
            light = blob[..., None] * np.array([255, 235, 190]) * rng.uniform(0.8, 2)
            frames[start + step] = frames[start + step] * rng.uniform(1, 4) + light
    return Edit("flashes", frames.clip(0, 255).astype(np.uint8))


def strobe(scene: Frames, rng: np.random.Generator) -> Edit:
    """Dark and lit by turns."""
    frames = scene.astype(np.float32)
    period = int(rng.integers(1, 4))
    for number in range(len(frames)):
        frames[number] *= 0.06 if number // period % 2 else 1.6
    return Edit("strobe", frames.clip(0, 255).astype(np.uint8))


def jolts(scene: Frames, rng: np.random.Generator) -> Edit:
    """A still camera that is knocked, by up to a quarter of the picture, while a flash goes off."""
    frames, margin = scene.copy(), HEIGHT // 6
    for start in range(6, len(frames) - 6, 12):
        frames[start] = (frames[start] * 2.0 + 40).clip(0, 255)
    shifts = rng.integers(-margin // 2, margin // 2 + 1, (len(frames) // 12 + 2, 2))
    moved = []
    for number, image in enumerate(frames):
        down, across = shifts[(number + 6) // 12] + margin
        part = image[down : HEIGHT - 2 * margin + down, across : WIDTH - 2 * margin + across]
        moved.append(cv2.resize(part, (WIDTH, HEIGHT)))
    return Edit("jolts", np.stack(moved))


def turns(scene: Frames, rng: np.random.Generator) -> Edit:
    """A window that sweeps over each picture, with the blur of its own speed."""
    sweep, width, height = [], WIDTH * 2 // 5, HEIGHT * 4 // 5
    at, speed = 0.0, 0.0
    for number, frame in enumerate(scene):
        if number % 12 == 0:
            speed = float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.3) * width)
        blurred = cv2.blur(frame, (max(1, int(abs(speed) / 2)), 1))
        if not 0 <= at + speed <= WIDTH - width:
            speed = -speed
        at = float(np.clip(at + speed, 0, WIDTH - width))
        top = int(rng.uniform(0.3, 0.7) * (HEIGHT - height))
        sweep.append(
            cv2.resize(blurred[top : top + height, int(at) : int(at) + width], (WIDTH, HEIGHT))
        )
    return Edit("turns", np.stack(sweep))


def discern(frames: Frames) -> list[int]:
    samples = (
        scenes.SampledFrame(
            number, pictures.thumbnail(av.VideoFrame.from_ndarray(image).reformat(format="yuv420p"))
        )
        for number, image in enumerate(frames)
    )
    return [number for number, kind in scenes.divide(samples) if kind == "cut"]


def scenedetect(make: Callable[[], Any]) -> Callable[[Frames], list[int]]:
    from scenedetect import FrameTimecode

    def detect(frames: Frames) -> list[int]:
        detector = make()
        cuts = []
        for number, image in enumerate(frames):
            cuts += detector.process_frame(FrameTimecode(number, FPS), image[:, :, ::-1])
        cuts += detector.post_process(FrameTimecode(len(frames) - 1, FPS))
        return [cut.frame_num for cut in cuts]

    return detect


def score(edit: Edit, found: list[int]) -> tuple[int, int, int]:
    """Right, missed and false cuts; several answers inside one fade count as one."""
    right, used = 0, set()
    for first, last in edit.cuts:
        hits = {cut for cut in found if first - TOLERANCE_FRAMES <= cut <= last + TOLERANCE_FRAMES}
        right += bool(hits)
        used |= hits
    return right, len(edit.cuts) - right, len(set(found) - used)


def main() -> None:
    from scenedetect import AdaptiveDetector, ContentDetector

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--edits", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = read_scenes(options.folder) if options.folder else make_scenes(Path(work))
    rng = np.random.default_rng(5)
    edits = [
        *edited(found, options.edits, 0, seed=1),
        *edited(found, options.edits // 2, 6, seed=2),
        *(Edit("as filmed", scene) for scene in found),
        *(make(scene, rng) for make in (flashes, strobe, jolts, turns) for scene in found),
    ]
    detectors = {
        "discern": discern,
        "ContentDetector": scenedetect(ContentDetector),
        "AdaptiveDetector": scenedetect(AdaptiveDetector),
    }
    print(f"{'detector':18} {'footage':10} precision  recall  false a minute  ms a frame")
    for name, detect in detectors.items():
        for kind in dict.fromkeys(edit.kind for edit in edits):
            start = time.process_time()
            chosen = [edit for edit in edits if edit.kind == kind]
            sums = np.sum([score(edit, detect(edit.frames)) for edit in chosen], axis=0)
            num_frames = sum(len(edit.frames) for edit in chosen)
            cost = (time.process_time() - start) / num_frames * 1e3
            right, missed, false = sums
            precision = f"{right / max(1, right + false):9.3f}" if right + missed else " " * 9
            recall = f"{right / (right + missed):7.3f}" if right + missed else " " * 7
            minutes = num_frames / FPS / 60
            print(f"{name:18} {kind:10} {precision} {recall} {false / minutes:15.2f} {cost:11.2f}")


if __name__ == "__main__":
    main()
