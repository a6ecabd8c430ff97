"""A long recording by a cinema camera: people act for some seconds, between views of their set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.engines.render import set_ups
from pipeline.engines.render.appearance import cinema
from pipeline.engines.render.appearance.cinema import FilmLab
from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.episodes import Episode, LongScript, draw_fires
from pipeline.engines.render.film_take import NUM_SAMPLES, FilmTake, style_of
from pipeline.engines.render.people.actors import Role
from pipeline.engines.render.raytrace import Aperture, CameraSample, RowPoses, Traced, Tracer
from pipeline.engines.render.script import Script, write_episode
from pipeline.engines.render.set_ups import SetUp, SetUpRanges
from pipeline.engines.render.sound import Listener
from pipeline.engines.render.world.lighting import LitWorld, light_at
from pipeline.engines.take import UnusableDraw, VideoFormat

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_LASTS_S, _CLEAR_S = (3.0, 5.0), 3.0
_VIEW_S = 2.6, 8.0
_NUM_TRIES = 6
_FINER = 1.25
_PAN_SHARE, _PAN_RAD_S = 0.4, (0.01, 0.07)
_NEAR_M, _NEAR_SHARE, _OUTLINE, _NUM_CHOICES = 0.5, 0.06, 0.1, 5


@dataclass(frozen=True)
class _StandIn:
    """Nobody, where an actor might stand."""

    role: Role

    def place(self, time_s: float) -> Vector:
        """Return the point between the feet, (3,)."""
        return np.array((*self.role.place, 0.0))


@dataclass(frozen=True)
class _View:
    """A set-up that shows nobody, with its lens, and the exposure that suits what it sees."""

    set_up: SetUp
    lens: PinholeLens
    exposure: float


class LongFilmTake:
    """Films a place for minutes, with cuts, as one production would; `frames()` is the result.

    Of its set-ups some show people, traced frame by frame as `FilmTake` does, and the others show
    what is there without anybody, traced once.
    """

    origin: ClassVar[str] = "film"
    family: ClassVar[str] = "cinema"
    can_bar: ClassVar[bool] = False
    viewpoint = "cinematic"
    overlay = "none"

    def __init__(self, place: Script, format: VideoFormat) -> None:
        self.format = format
        rng = self._rng = place.rng("film")
        self._style = style_of(place.cell)
        self._stock = cinema.draw_stock(rng, self._style)
        self._place = place
        self._size = format.width, cinema.picture_height(self._stock, format.width, format.height)
        self._takes: list[FilmTake] = []
        episodes = []
        fires = draw_fires(rng, place)
        every_s = place.duration_s / len(fires)
        for number, firing in enumerate(fires):
            lasts_s = format.num_frames(rng.uniform(*_LASTS_S)) / format.fps
            first_s = number * every_s + _CLEAR_S
            start_s = rng.uniform(first_s, first_s + every_s - 2 * _CLEAR_S - lasts_s)
            start_s = format.num_frames(start_s) / format.fps
            take = self._staged(number, lasts_s, firing)
            self._takes.append(take)
            episodes.append(Episode(start_s, start_s, start_s + lasts_s, take.script))
        self.script = LongScript(place, tuple(episodes))

    @property
    def model(self) -> str:
        """The name of the style."""
        return self._style.name

    def listeners(self) -> list[Listener]:
        """Return the boom of every episode; one film fires blanks in all of them or in none."""
        listeners = [take.listener() for take in self._takes]
        return [replace(one, fires_blanks=listeners[0].fires_blanks) for one in listeners]

    def frames(self) -> NDArray[np.uint8]:
        """Render uint8 (T, H, W, 3).

        Raises:
            UnusableDraw: no set-up was found that shows anything, or all is dark.
        """
        fps, height = self.format.fps, self.format.height
        lab = FilmLab(self._rng, self._style, self._stock, *self._size)
        frames = np.empty(
            (self.format.num_frames(self._place.duration_s), height, self.format.width, 3), np.uint8
        )
        done, before = 0, None
        for episode, take in zip(self.script.episodes, self._takes, strict=True):
            first = round(episode.start_s * fps)
            before = self._film_views(lab, frames[done:first], before)
            acted = take.frames()
            done = first + len(acted)
            frames[first:done] = acted
        self._film_views(lab, frames[done:], before)
        cinema.refuse_blank(frames)
        return frames

    def _staged(self, number: int, lasts_s: float, firing: bool) -> FilmTake:
        """Draw an episode of which set-ups show somebody."""
        for attempt in range(_NUM_TRIES):
            name = number + attempt * 1000
            script = write_episode(self._place, name, lasts_s, firing=firing, bystander=False)
            take = FilmTake(script, self.format, self._stock)
            if take.can_be_shown():
                return take
        raise UnusableDraw("no_set_up")

    def _film_views(
        self, lab: FilmLab, frames: NDArray[np.uint8], before: SetUpRanges | None
    ) -> SetUpRanges | None:
        """Fill frames with views of the set, and return the kind of the last one."""
        first, shortest = 0, round(_VIEW_S[0] * self.format.fps)
        while first < len(frames):
            last = first + round(self._rng.uniform(*_VIEW_S) * self.format.fps)
            if last + shortest > len(frames):
                last = len(frames)
            view = self._find_view(before)
            self._film_view(lab, frames[first:last], view)
            first, before = last, view.set_up.kind
        return before

    def _film_view(self, lab: FilmLab, frames: NDArray[np.uint8], view: _View) -> None:
        """Fill frames with what one set-up shows, as its camera pans or sways."""
        (width, height), lens = self._size, view.lens
        times_s = (np.arange(len(frames)) + cinema.SHUTTER_SHARE / 2) / self.format.fps
        (first,), _ = view.set_up.poses([0.0])
        turned = np.einsum("ji,njk->nik", first, view.set_up.poses(times_s)[0])
        corners = lens.directions(*np.meshgrid([0, width], [0, height])).reshape(-1, 3)
        seen = np.einsum("nij,cj->nci", turned, corners)
        reach = np.abs(seen[..., :2] / seen[..., 2:]).max(axis=(0, 1))
        focal = _FINER * lens.pixels_per_radian
        across, down = (2 * int(np.ceil(focal * one)) + 4 for one in reach)
        wide = PinholeLens(across, down, float(np.degrees(2 * np.arctan(across / 2 / focal))))
        still = self._still(view, wide, across, down)
        into = _projection(focal, across, down)
        out_of = np.linalg.inv(_projection(lens.pixels_per_radian, width, height))
        for frame, turn in zip(frames, turned, strict=True):
            image = cv2.warpPerspective(
                still,
                into @ turn @ out_of,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            picture = lab.develop(np.asarray(image, np.float32), view.exposure)
            picture = cinema.letterbox(picture, self.format.height)
            frame[:] = (255 * picture + 0.5).astype(np.uint8)

    def _still(self, view: _View, lens: PinholeLens, width: int, height: int) -> Array:
        """Trace what a set-up shows and more around it, as its lens and the air soften it."""
        set_up, world = view.set_up, self._place.world
        traced = _traced(self._rng, world, set_up, lens, (width, height), NUM_SAMPLES)
        nobody = np.zeros((height, width), np.bool_)
        image = cinema.clear_sparks(traced.radiance, nobody)
        scale, focus_m = lens.pixels_per_radian, set_up.focus_m(0.0)
        circle = cinema.confusion(traced.depth, set_up.aperture_m, focus_m, scale)
        image = cinema.smooth_defocus(image, circle)
        light = 0.3 * light_at(world, set_up.focus)
        return cinema.add_haze(image, traced.depth, self._stock.haze_per_m, light)

    def _find_view(self, before: SetUpRanges | None) -> _View:
        """Draw set-ups with nothing right before the lens, and return that of most outlines."""
        rng, (width, height), plan = self._rng, self._size, self._place.plan
        small = set_ups.preview_size(width, height)
        spots = [*plan.places, *plan.shooting_places]
        found: list[tuple[float, _View]] = []
        for _ in range(set_ups.MOST_TRIES):
            if len(found) == _NUM_CHOICES:
                break
            spot = spots[rng.integers(len(spots))]
            nobody = _StandIn(Role("idle", spot, float(rng.uniform(0, 2 * np.pi))))
            set_up = set_ups.draw_set_up(rng, nobody, 0.0, self._place.world, before)
            if set_up is None:
                continue
            set_up = _panned(rng, set_up)
            lens = set_up.lens(*small)
            traced = _traced(rng, self._place.world, set_up, lens, small, 1)
            if float((traced.depth < _NEAR_M).mean()) > _NEAR_SHARE:
                continue
            (turn,), (place,) = set_up.poses([0.0])
            focus = place - turn[:, 2] * float(np.median(traced.depth))
            set_up = replace(set_up, focus=focus, focus_velocity=np.zeros(3))
            everything = np.ones(traced.depth.shape, np.bool_)
            exposure = cinema.expose(self._stock, traced.radiance, everything)
            steps = np.abs(np.diff(np.log(traced.depth), axis=1))
            view = _View(set_up, set_up.lens(width, height), exposure)
            found.append((float((steps > _OUTLINE).mean()), view))
        if not found:
            raise UnusableDraw("no_set_up")
        return max(found, key=lambda one: one[0])[1]


def _panned(rng: np.random.Generator, set_up: SetUp) -> SetUp:
    """Return a set-up whose camera goes nowhere, and pans in some."""
    towards = set_up.target - set_up.place
    pan = np.zeros(3)
    if rng.random() < _PAN_SHARE:
        aside = np.array((towards[1], -towards[0], 0.0))
        pan = aside * rng.choice([-1, 1]) * rng.uniform(*_PAN_RAD_S)
    return replace(set_up, velocity=np.zeros(3), target_velocity=pan)


def _traced(
    rng: np.random.Generator,
    world: LitWorld,
    set_up: SetUp,
    lens: PinholeLens,
    size: tuple[int, int],
    num_samples: int,
) -> Traced:
    """Trace what a set-up shows at first, without anybody, of a size (width, height)."""
    poses = RowPoses(*set_up.poses(np.zeros(size[1])), *set_up.poses(np.zeros(size[1])))
    aperture = Aperture(set_up.aperture_m, set_up.focus_m(0.0))
    samples = [CameraSample(poses, (), aperture)] * num_samples
    return Tracer(world, lens, *size).trace(rng, samples, None, np.zeros((0, 2), np.float32), None)


def _projection(focal: float, width: int, height: int) -> Vector:
    """Return the matrix (3, 3) from camera axes to indices of pixels, up to a factor."""
    middle = width / 2 - 0.5, height / 2 - 0.5
    return np.array([[focal, 0, -middle[0]], [0, -focal, -middle[1]], [0, 0, -1]])
