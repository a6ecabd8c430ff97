"""The appearance of films: a script staged for a cinema camera, with set-ups, cuts, a grade."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.acoustics import mix, surroundings
from pipeline.engines.render import set_ups
from pipeline.engines.render.appearance import cinema, effects
from pipeline.engines.render.appearance.cinema import STYLES, FilmLab, Stock, Style
from pipeline.engines.render.appearance.effects import Brass, CameraPose, Flash
from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.events import DischargeTraces, draw_events, draw_incidents
from pipeline.engines.render.hero import Hero
from pipeline.engines.render.kernels import PEOPLE, LampArrays
from pipeline.engines.render.people.actors import Actor
from pipeline.engines.render.raytrace import (
    Aperture,
    CameraSample,
    PointLight,
    RowPoses,
    Traced,
    Tracer,
)
from pipeline.engines.render.script import DesignCell, Script
from pipeline.engines.render.set_ups import EYES, SetUp, SetUpRanges
from pipeline.engines.render.sound import Listener
from pipeline.engines.render.world.lighting import LitWorld, light_at
from pipeline.engines.take import UnusableDraw, VideoFormat

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

NUM_SAMPLES = 4
_LEAD_SHARE = 0.85
_CHEST = np.array((0, 0, 1.25))
_DAYLIGHT = 1.0
_REFLECTED = 0.3
_BOOM_M, _BOOM_HEIGHT_M, _BLANKS_SHARE = (0.5, 2.5), (1.7, 2.4), 0.5
_GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class _Camera:
    """A set-up with its lens, and the exposure that suits what it sees."""

    set_up: SetUp
    lens: PinholeLens
    tracer: Tracer
    exposure: float


def lead(script: Script, hero: Hero) -> Actor:
    """Return whom the film is about: who fires, or would in the same scene with discharges.

    Were it otherwise, an armed person before the camera would tell that somebody fires.
    """
    if script.action == "others_hold":
        return next((actor for actor in script.actors if actor.role.weapon is not None), hero)
    return next((actor for actor in [*script.actors, hero] if actor.role.discharges_s), hero)


def style_of(cell: DesignCell) -> Style:
    """The style of the production that films the recordings of a cell."""
    return STYLES[cell.rotate(len(STYLES))]


class FilmTake:
    """Films a script as one production would; `frames()` is the result."""

    origin: ClassVar[str] = "film"
    family: ClassVar[str] = "cinema"
    can_bar: ClassVar[bool] = False
    viewpoint = "cinematic"

    def __init__(self, script: Script, format: VideoFormat, stock: Stock | None = None) -> None:
        """Stage a script for the film of a format, on a stock that is drawn if none is given."""
        self.script, self.format = script, format
        self.style = style_of(script.cell)
        rng = self._rng = script.rng("film")
        hero = Hero(rng, script)
        cast = self.cast = [*script.actors, hero]
        self._crowd = replace(script, actors=cast).crowd()
        self._hero, self._lead = hero, lead(script, hero)
        self._stock = stock or cinema.draw_stock(rng, self.style)
        self._size = format.width, cinema.picture_height(self._stock, format.width, format.height)
        self._light = light_at(script.world, self._lead.place(0.0) + _CHEST)
        self.events = self._stage_events()
        self.cuts_s = set_ups.draw_cuts(rng, script.discharges_s, script.duration_s, format.fps)
        """Start times in seconds of every set-up but the first."""

    @staticmethod
    def is_bystander(cell: DesignCell) -> bool:
        """The camera of a film has an actor to follow."""
        return False

    @property
    def model(self) -> str:
        """The name of the style."""
        return self.style.name

    @property
    def has_own_weapon(self) -> bool:
        """Whether the hero carries a weapon."""
        return self.script.weapon is not None

    def _stage_events(self) -> DischargeTraces:
        """Make the script's flashes larger and longer, as blanks do, and add smoke and brass.

        A flash outlasts the time in which the shutter is closed, so every one is seen.
        """
        rng, script, level = self._rng, self.script, float(self._light.mean())
        events = draw_events(replace(script, actors=self.cast, own_discharges_s=()), None, rng)
        closed_s = (1 - cinema.SHUTTER_SHARE) / self.format.fps
        flashes = [
            replace(
                flash,
                duration_s=max(rng.uniform(0.03, 0.06), 1.5 * closed_s),
                power=level * rng.uniform(0.9, 3.2),
                size=rng.uniform(0.9, 2.6),
            )
            for flash in events.flashes
        ]
        puffs = [
            replace(puff, opacity=1.4 * puff.opacity, life_s=1.6 * puff.life_s)
            for puff in events.puffs
        ]
        cases = list(events.cases)
        for actor in self.cast:
            for start_s in actor.role.discharges_s:
                assert actor.role.weapon is not None
                axes, place = actor.weapon_pose(start_s + 0.03)
                throw = np.array((rng.uniform(1.4, 2.6), rng.uniform(-0.8, 0.2), 1.8))
                port = place + axes @ np.array(actor.role.weapon.ejection)
                cases.append(Brass(start_s + 0.03, port, axes @ throw))
        return DischargeTraces(flashes, puffs, cases)

    @property
    def overlay(self) -> str:
        """What lies over the picture: films show no text."""
        return "none"

    def listener(self) -> Listener:
        """Return a boom above whom the film is about, whose steps are laid under the picture."""
        rng = self.script.rng("sound film")
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(*_BOOM_M)
        above = np.array((away * np.sin(turn), away * np.cos(turn), rng.uniform(*_BOOM_HEIGHT_M)))
        return Listener(
            capture=mix.draw(rng, "film"),
            place=lambda time_s: self._lead.place(time_s) + above,
            muzzle=None if self.script.weapon is None else self._hero.muzzle,
            level_db=surroundings.draw_level_db(rng),
            steps_s=self._lead.steps_s(self.script.duration_s),
            fires_blanks=bool(rng.random() < _BLANKS_SHARE),
        )

    def frames(self) -> NDArray[np.uint8]:
        """Render uint8 (T, H, W, 3).

        Raises:
            UnusableDraw: no set-up was found that shows a person unhidden, or all is dark.
        """
        fps, starts = self.format.fps, (0.0, *self.cuts_s)
        lab, cameras = self._filming
        frames = []
        for index in range(self.format.num_frames(self.script.duration_s)):
            start_s = index / fps
            camera = cameras[int(np.searchsorted(starts, start_s + 1e-6, side="right")) - 1]
            picture = lab.develop(self._radiance(camera, start_s), camera.exposure)
            picture = cinema.letterbox(picture, self.format.height)
            frames.append((255 * picture + 0.5).astype(np.uint8))
        result = np.stack(frames)
        cinema.refuse_blank(result)
        self.script.blank(result, fps)
        return result

    def can_be_shown(self) -> bool:
        """Whether there are set-ups that show somebody, without which `frames` raises."""
        try:
            return bool(self._filming)
        except UnusableDraw:
            return False

    @cached_property
    def _filming(self) -> tuple[FilmLab, list[_Camera]]:
        """The lab, and a camera for every set-up.

        Raises:
            UnusableDraw: no set-up was found that shows a person unhidden.
        """
        lab = FilmLab(self._rng, self.style, self._stock, *self._size)
        starts = (0.0, *self.cuts_s)
        ends = (*self.cuts_s, self.script.duration_s)
        cameras: list[_Camera] = []
        for span in zip(starts, ends, strict=True):
            cameras.append(self._find_camera(*span, cameras[-1].set_up.kind if cameras else None))
        return lab, cameras

    def _find_camera(self, start_s: float, stop_s: float, before: SetUpRanges | None) -> _Camera:
        """Draw set-ups until one shows its person from outside of everything."""
        rng, (width, height) = self._rng, self._size
        small = set_ups.preview_size(width, height)
        for _ in range(set_ups.MOST_TRIES):
            person = self._lead
            if rng.random() > _LEAD_SHARE:
                person = self.cast[rng.integers(len(self.cast))]
            set_up = set_ups.draw_set_up(rng, person, start_s, self.script.world, before)
            if set_up is None:
                continue
            world = self._relit(person, set_up)
            lens = set_up.lens(*small)
            tracer = Tracer(world, lens, *small)
            previews = []
            for time_s in np.linspace(start_s, stop_s, 3):
                traced = self._trace(tracer, set_up, time_s, 0.0, (), num_samples=1)
                if not set_ups.shows(person, set_up, lens, traced, float(time_s)):
                    break
                previews.append(traced)
            else:
                lens = set_up.lens(width, height)
                exposure = cinema.expose(
                    self._stock,
                    np.concatenate([traced.radiance for traced in previews]),
                    np.concatenate([traced.surface == PEOPLE for traced in previews]),
                )
                return _Camera(set_up, lens, Tracer(world, lens, width, height), exposure)
        raise UnusableDraw("no_set_up")

    def _relit(self, person: Actor, set_up: SetUp) -> LitWorld:
        """Add a key and a rim lamp for people, weaker by daylight.

        Still surfaces keep their baked light, as if the lamps were flagged off them.
        """
        world, rng = self.script.world, self._rng
        key, rim = rng.uniform(1.0, 2.8), rng.uniform(0.8, 3.0)
        side = float(rng.choice([-1, 1]))
        if set_up.kind is EYES:
            return world
        if world.sky.sun_light.max() > _DAYLIGHT:
            key, rim = _REFLECTED * key, _REFLECTED * rim
        chest = person.place(set_up.start_s) + _CHEST
        towards = (set_up.place - chest) * (1, 1, 0)
        towards = towards / np.linalg.norm(towards)
        aside = side * np.array((towards[1], -towards[0], 0))
        up = np.array((0, 0, 1.0))
        ways = (0.9 * towards + 1.1 * aside + 0.75 * up, -1.5 * towards - 0.6 * aside + 0.8 * up)
        level = float(self._light.mean())
        old = world.lamps
        columns = [[*column] for column in old]
        for way, share, colour in zip(
            ways, (key, rim), (self.style.key, self.style.rim), strict=True
        ):
            centre = chest + way * min(1.0, set_ups.free_share(world, chest, way))
            square = float(((centre - chest) ** 2).sum())
            wide = np.cross(up, way)
            wide = 0.5 * wide / np.linalg.norm(wide)
            lamp = (centre, wide, 0.5 * up, np.zeros(3), np.array(colour) * level * share * square)
            for column, value in zip(columns, lamp, strict=True):
                column.append(value)
        relit = copy.copy(world)
        relit.lamps = LampArrays(*(np.array(column, np.float32) for column in columns))
        return relit

    def _radiance(self, camera: _Camera, start_s: float) -> Array:
        exposure_s = cinema.SHUTTER_SHARE / self.format.fps
        middle_s = start_s + exposure_s / 2
        script, set_up, height = self.script, camera.set_up, self._size[1]
        lit = []
        for flash in self.events.flashes:
            weight = effects.row_overlap(flash, start_s, 0.0, exposure_s, height)
            if weight.any():
                lit.append((flash, weight))
        shining = script.shining(start_s, 0.0, exposure_s, height)
        room = float(script.room_light([middle_s])[0])
        lights = [self._flash_light(flash, weight / room) for flash, weight in lit]
        lights += [replace(one.light, row_weight=one.light.row_weight / room) for one in shining]
        traced = self._trace(camera.tracer, set_up, start_s, exposure_s, tuple(lights), NUM_SAMPLES)
        depth, scale = traced.depth, camera.lens.pixels_per_radian
        circle = cinema.confusion(depth, set_up.aperture_m, set_up.focus_m(middle_s), scale)
        image = cinema.clear_sparks(traced.radiance * np.float32(room), traced.surface == PEOPLE)
        image = cinema.smooth_defocus(image, circle)
        (turn,), (place,) = set_up.poses([middle_s])
        view = CameraPose(turn, place, camera.lens)
        light = self._light * room + sum(
            0.4 * flash.power * effects.FLASH_COLOUR * weight.mean() for flash, weight in lit
        )
        effects.draw_puffs(image, depth, view, self.events.puffs, middle_s, light)
        image = cinema.add_haze(image, depth, self._stock.haze_per_m, 0.3 * light)
        effects.draw_brass(image, depth, view, self.events.cases, middle_s, exposure_s, light)
        for flash, weight in lit:
            effects.draw_flash(image, depth, view, flash, weight)
        draw_incidents(script, shining, image, depth, view, middle_s, exposure_s, light)
        return image

    def _flash_light(self, flash: Flash, weight: Vector) -> PointLight:
        return PointLight(
            np.tile(flash.place, (len(weight), 1)),
            np.tile(flash.axis, (len(weight), 1)),
            weight,
            effects.FLASH_COLOUR * flash.power,
            spill=0.05 * self.script.plan.bounce,
        )

    def _trace(
        self,
        tracer: Tracer,
        set_up: SetUp,
        start_s: float,
        exposure_s: float,
        lights: tuple[PointLight, ...],
        num_samples: int,
    ) -> Traced:
        """Trace a frame in two halves of its exposure, so that people blur as they move."""
        parts: list[Traced] = []
        num_parts = min(2, num_samples)
        in_part = num_samples // num_parts
        rows = np.arange(tracer.height) * _GOLDEN % 1
        for part in range(num_parts):
            middle_s = start_s + exposure_s * (part + 0.5) / num_parts
            aperture = Aperture(set_up.aperture_m, set_up.focus_m(middle_s))
            samples = []
            for k in range(part * in_part, (part + 1) * in_part):
                turn, place = set_up.poses(start_s + exposure_s * (k + rows) / num_samples)
                samples.append(CameraSample(RowPoses(turn, place, turn, place), lights, aperture))
            people, feet = self._crowd.at(middle_s)
            parts.append(tracer.trace(self._rng, samples, people, feet, None))
        radiance = sum(part.radiance for part in parts) / np.float32(num_parts)
        return Traced(np.asarray(radiance, np.float32), parts[0].depth, parts[0].surface)
