"""Flashes of one source frame: how many are left in canonical clips, by rate and by way of keeping.

    python benchmarks/flashes.py
    python benchmarks/flashes.py --scenes 12 --out docs/results/benchmarks/flashes.json
    python benchmarks/flashes.py ../shared/footage

Makes scenes of its own: photographs before which a camera pans and shakes, dim and bright, with
noise, passing lamps and cuts, in H.264 of low and high bit rates. Each is written at every rate,
with a flash of one frame in each clip, at a time drawn for it, and without; a flash fills 1 to 6 %
of the picture. What is shown then is compared between ways:

- on time: the frame on the screen at each time of the grid, and no other;
- kept: as ingest does it;
- brightest: the frame of each interval whose picture is brightest;
- peak-hold: the frame on time, with the maximum of the interval wherever one frame alone rises;
- 30 a second: on time, on a grid twice as fine, which costs twice the clips.

A flash is left where its frame is shown. A probe learns from clips of 15 frames a second what a
flash looks like, and says how well it is told at every rate; another is asked for the rate, from
what clips show around their brightest moment. Scenes are never divided between folds. FOLDER holds
video files, in which pictures that `kept` exchanges are counted. Thresholds were set on scenes
below number 100, which are therefore not among those that are made by default.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from outcome import Cell, Outcome, Table, write
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline import app
from pipeline.config import ClipFormat
from pipeline.footage import canonical, foreign
from pipeline.footage.foreign import flashes
from pipeline.footage.foreign.picture import ScreenFrame
from pipeline.footage.windows import Window
from pipeline.store import video

RATES: dict[str, float | None] = {
    **{f"{rate:g}": rate for rate in (15, 24, 25, 30, 50, 60, 120)},
    "variable": None,
}
"""Frames a second of the files; None for frames of 1/60 to 1/20 s."""
HEIGHT, WIDTH = 180, 320
DURATION_S, CLIP_S = 2.2, 16 / 15
SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".ts"}
Frames = Iterable[tuple[ScreenFrame, bool]]
Way = Callable[[Frames], Iterator[ScreenFrame]]


def on_time(frames: Frames) -> Iterator[ScreenFrame]:
    """What is on the screen at the times of the grid."""
    return (picture for picture, is_on_screen in frames if is_on_screen)


def _intervals(frames: Frames) -> Iterator[list[ScreenFrame]]:
    """The picture at each time of the grid, and those passed over until the next."""
    held: list[ScreenFrame] = []
    for picture, is_on_screen in frames:
        if is_on_screen and held:
            yield held
            held = []
        if is_on_screen or held:
            held.append(picture)
    if held:
        yield held


def brightest(frames: Frames) -> Iterator[ScreenFrame]:
    """The brightest of each interval."""
    for held in _intervals(frames):
        found = max(held, key=lambda one: float(_luma(one).mean()))
        yield replace(held[0], frame=found.frame, number=found.number)


def peak_hold(frames: Frames) -> Iterator[ScreenFrame]:
    """The picture on time, with what rises in one frame of the interval alone put over it."""
    for held in _intervals(frames):
        stack = [one.frame.to_ndarray() for one in held]
        luma = np.stack([_luma(one) for one in held]).astype(np.int16)
        peak = luma.argmax(0)
        second = np.partition(luma, -2, 0)[-2] if len(held) > 1 else luma[0]
        rises = (luma.max(0) - second > 24) & (peak > 0)
        rises = cv2.morphologyEx(rises.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5))) > 0
        if not rises.any():
            yield held[0]
            continue
        image = stack[0].copy()
        height, width = rises.shape
        rows = np.array(stack)[:, :height]
        image[:height][rises] = np.take_along_axis(rows, peak[None], 0)[0][rises]
        # Colour differences follow in their quarter of the rows.
        number = held[int(np.bincount(peak[rises]).argmax())].number
        _put_colours(image, stack, peak, rises, height, width)
        frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
        yield replace(held[0], frame=frame, number=number)


def _put_colours(
    image: NDArray[np.uint8],
    stack: list[NDArray[np.uint8]],
    peak: NDArray[np.int64],
    rises: NDArray[np.bool_],
    height: int,
    width: int,
) -> None:
    size = height // 2, width // 2
    half, where = peak[::2, ::2][: size[0], : size[1]], rises[::2, ::2][: size[0], : size[1]]
    planes = [one[height:].reshape(2, *size) for one in stack]
    own = image[height:].reshape(2, *size)
    for plane in (0, 1):
        every = np.stack([one[plane] for one in planes])
        own[plane][where] = np.take_along_axis(every, half[None], 0)[0][where]


def _luma(picture: ScreenFrame) -> NDArray[np.uint8]:
    plane = picture.frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


WAYS: dict[str, tuple[Way, float]] = {
    "on time": (on_time, 15.0),
    "kept": (flashes.keep, 15.0),
    "brightest": (brightest, 15.0),
    "peak-hold": (peak_hold, 15.0),
    "30 a second": (on_time, 30.0),
}
"""How pictures are chosen, and how many a second."""


@dataclass(frozen=True)
class Flash:
    """Where on the picture and when a firearm flashes: pixels, and a share of the duration."""

    x: float
    y: float
    radius: float
    power: float
    at: float


class Scene:
    """A photograph before which a camera moves; the same at every rate."""

    def __init__(self, number: int) -> None:
        rng = self._rng = np.random.default_rng([20261129, number])
        names = ("astronaut", "chelsea", "coffee", "rocket", "brick", "grass", "gravel", "camera")
        images = [_photograph(names[k % len(names)]) for k in (number, number + 3)]
        level = np.exp(rng.uniform(np.log(0.12), np.log(1.1)))
        self._images = [np.clip(image * level, 0, 1) for image in images]
        self._pan = rng.normal(0, 1, 2) * rng.choice((0.0, 30.0, 160.0))
        self._shake = rng.uniform(0, 5, 2), rng.uniform(1, 7, 2), rng.uniform(0, 6, 2)
        self._noise = rng.uniform(0.5, 9)
        self._noises = rng.normal(0, 1, (HEIGHT + 64, WIDTH + 64, 1)).astype(np.float32)
        self._cut_at = rng.uniform(0.2, 0.8) if number % 4 == 0 else 2.0
        self._lamps = [
            (rng.uniform(-0.5, 1) * WIDTH, rng.uniform(0.2, 0.9) * HEIGHT, rng.uniform(150, 1000))
            for _ in range(number % 3)
        ]
        self._flashes = [self._draw_flash(rng) for _ in range(2)]
        self.bits_per_pixel = np.exp(rng.uniform(np.log(0.03), np.log(0.4)))

    @staticmethod
    def _draw_flash(rng: np.random.Generator) -> Flash:
        area = np.exp(rng.uniform(np.log(0.01), np.log(0.06)))
        return Flash(
            WIDTH / 2 + rng.uniform(-0.35, 0.35) * HEIGHT,
            rng.uniform(0.2, 0.8) * HEIGHT,
            np.sqrt(area * HEIGHT * WIDTH / np.pi),
            rng.uniform(0.7, 1.5),
            rng.uniform(0, 1),
        )

    def picture(self, time_s: float, seed: int, flash: Flash | None) -> NDArray[np.uint8]:
        """The uint8 (H, W, 3) RGB picture at a time."""
        image = self._images[int(time_s > self._cut_at * DURATION_S)]
        width_px, rate_hz, phase = self._shake
        moved = self._pan * time_s + width_px * np.sin(2 * np.pi * rate_hz * time_s + phase)
        wrap = cv2.BORDER_REFLECT
        matrix = np.array([[1, 0, -moved[0] - 40], [0, 1, -moved[1] - 40]], np.float32)
        shown = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), borderMode=wrap)
        for left, y, speed in self._lamps:
            shown = shown + 0.9 * _spot(left + speed * time_s, y, 6.0)[..., None]
        if flash is not None:
            glow = _spot(flash.x, flash.y, flash.radius)[..., None]
            shown = shown * (1 + 0.25 * flash.power) + glow * flash.power * (1.0, 0.85, 0.6)
        rng = np.random.default_rng(seed)
        top, left = rng.integers(0, 64, 2)
        noise = self._noises[top : top + HEIGHT, left : left + WIDTH] * rng.choice((-1, 1))
        return np.asarray((255 * np.clip(shown, 0, 1) + self._noise * noise).clip(0, 255), np.uint8)

    def write(self, path: Path, rate: float | None, *, flashing: bool) -> list[int]:
        """Write a file, and return the numbers of the frames that flash, one a clip."""
        rng = np.random.default_rng(int(self._flashes[0].at * 1e9))
        steps = rng.uniform(1 / 60, 1 / 20, 200) if rate is None else np.full(400, 1 / rate)
        times = np.concatenate([[0.0], np.cumsum(steps)])
        times = times[times < DURATION_S]
        flashes: dict[int, Flash] = {}
        for clip, flash in enumerate(self._flashes if flashing else ()):
            here = np.flatnonzero((times >= clip * CLIP_S) & (times < (clip + 1) * CLIP_S - 0.04))
            flashes[int(here[int(flash.at * len(here))])] = flash
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=round(rate or 40))
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 90000)
            stream.thread_count = 1
            stream.bit_rate = round(self.bits_per_pixel * WIDTH * HEIGHT * len(times) / DURATION_S)
            stream.options = {"preset": "veryfast"}
            for k, time_s in enumerate(times):
                image = self.picture(time_s, k, flashes.get(k))
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = round(time_s * 90000), Fraction(1, 90000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return list(flashes)


def _photograph(name: str) -> NDArray[np.float32]:
    image = getattr(skimage.data, name)()
    image = np.stack([image] * 3, -1) if image.ndim == 2 else image[..., :3]
    return np.asarray(cv2.resize(image, (WIDTH + 160, HEIGHT + 110)) / 255, np.float32)


def _spot(x: float, y: float, radius: float) -> NDArray[np.float32]:
    """A bright disc with a soft edge, float32 (H, W), 0 to 1."""
    down, across = np.ogrid[:HEIGHT, :WIDTH]
    away = np.sqrt((down - y) ** 2 + (across - x) ** 2).astype(np.float32) / np.float32(radius)
    return np.clip(2.0 - 1.6 * away, 0, 1)


def features(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What a clip (T, H, W, 3) shows around its brightest moment, and how it moves there."""
    luma = frames.astype(np.float32).mean(-1)
    cells = luma.reshape(len(luma), 32, 4, 32, 4).mean((2, 4)).reshape(len(luma), -1)
    usual = np.median(cells, 0)
    rise = np.sort(cells - usual, 1)[:, ::-1]
    strength = rise[:, :16].mean(1)
    peak = int(strength.argmax())
    around = [strength[k] if 0 <= k < len(strength) else 0.0 for k in range(peak - 2, peak + 3)]
    change = np.abs(np.diff(cells, axis=0)).mean(1)
    ordered = np.sort(strength)[::-1]
    return np.array(
        [
            *around,
            float(np.count_nonzero(rise[peak] > 24)),
            float(np.count_nonzero(strength > strength[peak] / 2)),
            *ordered[1:4],
            strength[peak] - np.median(strength),
            change[peak - 1] if peak else 0.0,
            change[peak] if peak < len(change) else 0.0,
            float(np.median(change)),
        ]
    )


@dataclass(frozen=True)
class Clip:
    """A canonical clip of a scene, and whether a frame of it flashed in the source."""

    scene: int
    rate: str
    flashing: bool
    seen: NDArray[np.float64]


@dataclass
class Found:
    """What one way gave."""

    left: dict[str, list[bool]]
    exchanged: dict[str, list[float]]
    clips: list[Clip] = field(default_factory=list)
    cpu_s: float = 0.0

    def add(self, other: Found) -> None:
        """Take up what another scene gave."""
        for rate in RATES:
            self.left[rate] += other.left[rate]
            self.exchanged[rate] += other.exchanged[rate]
        self.clips += other.clips
        self.cpu_s += other.cpu_s


def run(first: int, scenes: int, workers: int) -> dict[str, Found]:
    """What every way gives, of so many scenes from number `first` on."""
    found = {way: Found({rate: [] for rate in RATES}, {rate: [] for rate in RATES}) for way in WAYS}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn) as pool:
        for number, made in enumerate(pool.map(run_scene, range(first, first + scenes))):
            for way, one in made.items():
                found[way].add(one)
            print(f"scene {number + 1} of {scenes}", flush=True)
    return found


def run_scene(scene: int) -> dict[str, Found]:
    """Write a scene at every rate, and see it in every way."""
    cfg = app.compose("ingest")
    limits = foreign.DecodingLimits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    found = {way: Found({rate: [] for rate in RATES}, {rate: [] for rate in RATES}) for way in WAYS}
    made = Scene(scene)
    for (name, rate), flashing in itertools.product(RATES.items(), (False, True)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "file.mp4")
            numbers = made.write(path, rate, flashing=flashing)
            usual: list[int] = []
            for way, (choose, fps) in WAYS.items():
                shown: list[int] = []
                start = time.process_time()
                windows = _windows(path, replace(cfg.clip, fps=fps), limits, choose, shown)
                found[way].cpu_s += time.process_time() - start
                usual = usual or shown
                if flashing:
                    found[way].left[name] += [number in shown for number in numbers]
                elif len(shown) == len(usual):
                    changed = np.mean(np.array(shown) != np.array(usual))
                    found[way].exchanged[name].append(float(changed))
                if fps != cfg.clip.fps:
                    continue
                for window in windows:
                    ends = [*usual, 1 << 30]
                    first, last = window.start_frame, window.start_frame + cfg.clip.num_frames
                    here = [ends[first] <= number < ends[last] for number in numbers]
                    if any(here) or not flashing:
                        seen = features(video.decode(window.mp4))
                        found[way].clips.append(Clip(scene, name, flashing, seen))
    return found


def _windows(
    path: Path, clip: ClipFormat, limits: foreign.DecodingLimits, choose: Way, shown: list[int]
) -> Sequence[Window]:
    """The clips of a file; the numbers of all its frames that are shown are put into `shown`."""

    def chosen(frames: Frames) -> Iterator[ScreenFrame]:
        for picture in choose(frames):
            shown.append(picture.number)
            yield picture

    with patch.object(flashes, "keep", chosen):
        made = canonical.canonicalise(path, clip, clip.num_frames, limits, with_sound=False)
    return made.windows


def tells_flashes(clips: Sequence[Clip]) -> dict[str, float]:
    """AUROC, at every rate, of a probe of flashes that learned from other scenes at 15 a second."""
    scores = np.zeros(len(clips))
    seen, truth = (
        np.stack([clip.seen for clip in clips]),
        np.array([clip.flashing for clip in clips]),
    )
    rates, scenes = (
        np.array([getattr(clip, name) for clip in clips]) for name in ("rate", "scene")
    )
    for train, test in GroupKFold(4).split(seen, groups=scenes):
        known = train[rates[train] == "15"]
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
        scores[test] = probe.fit(seen[known], truth[known]).decision_function(seen[test])
    return {name: roc_auc_score(truth[rates == name], scores[rates == name]) for name in RATES}


def tells_rate(clips: Sequence[Clip], columns: slice) -> float:
    """Mean AUROC of telling each rate from all others in scenes that the probe does not know."""
    seen = np.stack([clip.seen[columns] for clip in clips])
    rates, scenes = (
        np.array([getattr(clip, name) for clip in clips]) for name in ("rate", "scene")
    )
    probe = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
    folds = GroupKFold(4)
    odds = cross_val_predict(probe, seen, rates, groups=scenes, cv=folds, method="predict_proba")
    names = sorted(set(rates))
    return float(np.mean([roc_auc_score(rates == n, odds[:, k]) for k, n in enumerate(names)]))


def exchanged(folder: Path) -> Table:
    """How many pictures of files are exchanged, and what that costs."""
    cfg = app.compose("ingest")
    limits = foreign.DecodingLimits(cfg.max_pixels, cfg.max_duration_s, cfg.max_output_mb)
    rows: list[Sequence[Cell]] = []
    for path in sorted(one for one in folder.rglob("*") if one.suffix in SUFFIXES):
        numbers: list[list[int]] = []
        cpu_s = []
        for way in ("on time", "kept"):
            choose, fps = WAYS[way]
            start = time.process_time()
            try:
                with patch.object(flashes, "keep", choose), foreign.Video(path, limits) as source:
                    numbers.append([picture.number for picture in source.pictures(fps)])
            except foreign.DecodeError as error:
                print(f"{path.name}: {error.reason}")
                break
            cpu_s.append(time.process_time() - start)
        else:
            num_changed = sum(a != b for a, b in zip(*numbers, strict=True))
            ratio = round(cpu_s[1] / cpu_s[0], 3)
            name = str(path.relative_to(folder))
            rows.append((name, round(source.fps or 0, 2), len(numbers[0]), num_changed, ratio))
            print(*rows[-1], flush=True)
    columns = ("file", "frames a second", "pictures", "exchanged", "CPU of decoding against before")
    return Table("Pictures exchanged in files", columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of video files, instead of scenes")
    parser.add_argument("--scenes", type=int, default=32, help="to make")
    parser.add_argument("--first", type=int, default=1000, help="their numbers begin with it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="file of JSON for docs/results.md")
    arguments = parser.parse_args()
    if arguments.folder:
        tables = [exchanged(arguments.folder)]
    else:
        tables = _tables(run(arguments.first, arguments.scenes, arguments.workers))
    for table in tables:
        print(table.title, table.columns, *table.rows, sep="\n")
    if arguments.out:
        setting = f"{arguments.scenes} scenes at every rate, two flashes of one frame in each."
        write(arguments.out, Outcome(Path(__file__).name, setting, tables))


def _tables(found: dict[str, Found]) -> list[Table]:
    usual = found["on time"].cpu_s
    left: list[Sequence[Cell]] = [
        [way, *(round(float(np.mean(one.left[rate])), 3) for rate in RATES)]
        for way, one in found.items()
    ]
    changed: list[Sequence[Cell]] = [
        [way, *(round(float(np.mean(one.exchanged[rate])), 4) for rate in RATES)]
        for way, one in found.items()
        if any(one.exchanged.values())
    ]
    told: list[Sequence[Cell]] = [
        [way, *(round(one_rate, 3) for one_rate in tells_flashes(one.clips).values())]
        for way, one in found.items()
        if one.clips
    ]
    columns = slice(0, 10), slice(0, None)
    costs: list[Sequence[Cell]] = []
    for way, one in found.items():
        row: list[Cell] = [way, round(one.cpu_s / usual, 3)]
        for flashing in (True, False):
            clips = [clip for clip in one.clips if clip.flashing is flashing]
            row += [round(tells_rate(clips, part), 3) if clips else None for part in columns]
        costs.append(row)
    rates = [f"{rate} fps" if rate != "variable" else rate for rate in RATES]
    return [
        Table("Flashes of one frame that are left, as a share", ["way", *rates], left),
        Table(
            "Pictures that are others where nothing flashes, as a share", ["way", *rates], changed
        ),
        Table("AUROC of telling clips with a flash", ["way", *rates], told),
        Table(
            "Cost, and AUROC of telling the rate",
            [
                *("way", "CPU of ingest against on time"),
                *("rate by the flash", "rate by flash and motion"),
                *("without flashes, by brightness", "without flashes, by brightness and motion"),
            ],
            costs,
        ),
    ]


if __name__ == "__main__":
    main()
