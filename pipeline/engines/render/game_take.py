"""The appearance of games: a script through a pinhole, with arcade motion, sprites and a HUD."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.acoustics import mix, surroundings
from pipeline.engines.render.appearance import arcade
from pipeline.engines.render.appearance.effects import FLASH_COLOUR, CameraPose
from pipeline.engines.render.appearance.hud import SKINS, Hud, HudState, Skin
from pipeline.engines.render.appearance.lens import PinholeLens
from pipeline.engines.render.appearance.lights import Shining
from pipeline.engines.render.appearance.menus import Menu, draw_menu
from pipeline.engines.render.events import draw_incidents
from pipeline.engines.render.motion import CAMERA_IN_BODY, rotations
from pipeline.engines.render.people.weapons import PISTOL, WEAPONS, HeldWeapon
from pipeline.engines.render.people.wearer import WearerArms
from pipeline.engines.render.raytrace import CameraSample, PointLight, RowPoses, Traced, Tracer
from pipeline.engines.render.script import DesignCell, Script
from pipeline.engines.render.sound import Listener
from pipeline.engines.render.world.geometry import rotation
from pipeline.engines.take import VideoFormat

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

NUM_SAMPLES = 2
_EYE_M = 1.62
_EYE_IN_BODY = np.array((0.0, 0.0, 1.55))
_ARMED_SHARE = 0.8
_BARE_SHARE = 0.35
_HIDDEN_WEAPON_SHARE = 0.1
_MENU_SHARE = 0.2
_STEP_HZ = 2.1
_HIT_SHOWN_S = 0.15
_SCORE_SHOWN_S = 0.5


class ArcadePlayer:
    """Mouse-driven view and weapon: smooth paths, quick corrections, no shake."""

    def __init__(self, rng: np.random.Generator, script: Script, weapon: HeldWeapon | None) -> None:
        self._handling_at = script.handling_at
        self._movement, self._discharges = script.movement, script.own_discharges_s
        self._duration_s = script.duration_s
        self._weapon, self._lowered = weapon, not script.weapon_raised
        count = int(rng.integers(1, 4))
        self._flick_starts = np.sort(rng.uniform(0, script.duration_s, count))
        self._flicks = np.radians(rng.normal(0, (4.0, 1.5), (count, 2)))
        self._phase, self._rate_hz = rng.uniform(0, 6), rng.uniform(0.18, 0.35)
        self._recoil = np.radians(rng.uniform(0.8, 2.0))

    def heading(self, time_s: float) -> float:
        """Return the yaw of the view."""
        look = np.radians(self._movement.look_deg)
        swing = look * np.sin(2 * np.pi * self._rate_hz * time_s + self._phase)
        return float(self._movement.heading + swing + self._flicked(time_s)[0])

    def _flicked(self, time_s: float) -> Vector:
        """Sum corrections of the aim, each done in a tenth of a second and then undone."""
        since = time_s - self._flick_starts
        gone = np.clip(since / 0.1, 0, 1) - np.clip((since - 0.5) / 0.3, 0, 1)
        return np.asarray((gone[:, None] * self._flicks).sum(0))

    def kick(self, time_s: float) -> float:
        """Return the recoil left from past discharges, about 1 right after one."""
        return float(sum(np.exp(-(time_s - t) / 0.09) for t in self._discharges if t <= time_s))

    def view(self, time_s: float) -> tuple[Vector, Vector]:
        """Return the turn (3, 3) of the player's body and the place of the eye."""
        movement = self._movement
        walked = time_s if movement.stop_s is None else min(time_s, movement.stop_s)
        ahead = np.array((-np.sin(movement.heading), np.cos(movement.heading), 0))
        place = np.array((*movement.start, _EYE_M)) + ahead * movement.speed * walked
        place[2] += 0.02 * abs(np.sin(np.pi * _STEP_HZ * time_s)) * self._walking(time_s)
        pitch = self._recoil * self.kick(time_s) + self._flicked(time_s)[1]
        turn = rotations(np.array([pitch]), np.array([self.heading(time_s)]), np.zeros(1))[0]
        return turn, place

    def _walking(self, time_s: float) -> float:
        stop = self._movement.stop_s
        return float(self._movement.speed > 0 and (stop is None or time_s < stop))

    def steps_s(self) -> tuple[float, ...]:
        """Return when a foot strikes the ground: where the view bobs lowest."""
        times = np.arange(1 / _STEP_HZ, self._duration_s, 1 / _STEP_HZ)
        return tuple(t for t in times.tolist() if self._walking(t))

    def weapon_pose(self, time_s: float) -> tuple[Vector, Vector]:
        """Return axes and place of the weapon model in the body's frame: low on the right."""
        assert self._weapon is not None
        sway = self._walking(time_s) + 0.15
        phase = np.pi * _STEP_HZ * time_s
        ahead = 0.44 if self._weapon is PISTOL else 0.22
        kick = self.kick(time_s)
        bob = np.array((0.012 * np.sin(phase), 0, 0.009 * np.sin(2 * phase))) * sway
        place = np.array((0.13, ahead - 0.05 * kick, 1.40 + 0.01 * kick)) + bob
        if self._lowered:
            return rotation(pitch=-0.5, yaw=0.6), place - (0, 0.06, 0.03)
        handling = self._handling_at(time_s)
        pitch, yaw, roll = handling.angles + np.array((0.02 + 0.12 * kick, 0.06, 0))
        return rotation(pitch=pitch, roll=roll, yaw=yaw), place + handling.place


class GameTake:
    """Plays a script in one arcade skin; `frames()` is the result."""

    origin: ClassVar[str] = "game"
    family: ClassVar[str] = "arcade"
    can_bar: ClassVar[bool] = True
    viewpoint = "first-person"

    def __init__(self, script: Script, format: VideoFormat) -> None:
        self.script, self.format = script, format
        width, height = format.width, format.height
        self.skin: Skin = SKINS[script.cell.rotate(len(SKINS))]
        self._size = width, height
        self._rng = rng = script.rng("game")
        self._graphics = arcade.draw_graphics(rng, self.skin)
        self._lens = PinholeLens(
            width // self.skin.pixel, height // self.skin.pixel, self._graphics.fov_deg
        )
        self._tracer = Tracer(
            script.world, self._lens, width // self.skin.pixel, height // self.skin.pixel
        )
        self._crowd = script.crowd()
        weapon = script.weapon
        if weapon is None and rng.random() < _ARMED_SHARE:
            weapon = WEAPONS[rng.integers(len(WEAPONS))]
        self._weapon = weapon
        self._player = ArcadePlayer(rng, script, weapon)
        self.arms: WearerArms | None = None
        if weapon is not None and rng.random() >= _HIDDEN_WEAPON_SHARE:
            cube = script.world.light_cube((*script.movement.start, 1.5))
            self.arms = WearerArms(rng, weapon, cube)
        self._light = script.world.light_cube((*script.movement.start, 1.5)).mean(0)
        self._magazine = int(rng.integers(12, 31))
        self._power = rng.uniform(1.5, 4.0)
        self._hits: dict[float, Vector] = {}
        self.hud = None if rng.random() < _BARE_SHARE else Hud(rng, self.skin, width, height)
        self.menu: Menu | None = None
        if not script.discharges_s and rng.random() < _MENU_SHARE:
            self.menu = draw_menu(rng, self.skin, width, height, script.duration_s)

    @staticmethod
    def is_bystander(cell: DesignCell) -> bool:
        """No player is a bystander."""
        return False

    @property
    def model(self) -> str:
        """The name of the skin."""
        return self.skin.name

    @property
    def has_own_weapon(self) -> bool:
        """Whether the player's weapon is shown."""
        return self.arms is not None

    @property
    def overlay(self) -> str:
        """What lies over the picture."""
        return "none" if self.hud is None else "hud"

    def listener(self) -> Listener:
        """Return the player, who hears a mix from where the eye is."""
        menu, rng = self.menu, self.script.rng("sound game")
        return Listener(
            capture=mix.draw(rng, "game"),
            place=lambda time_s: self._player.view(time_s)[1],
            muzzle=None if self._weapon is None else self._own_muzzle_with_axis,
            level_db=surroundings.draw_level_db(rng),
            steps_s=self._player.steps_s(),
            recorded_s=(lambda time_s: time_s) if menu is None else menu.recorded_time,
        )

    def frames(self) -> NDArray[np.uint8]:
        """Render uint8 (T, H, W, 3)."""
        exposure = arcade.expose(self._graphics, self._trace(0.0).radiance)
        menu, frames = self.menu, []
        for index in range(self.format.num_frames(self.script.duration_s)):
            time_s = index / self.format.fps
            world_s = time_s if menu is None else menu.world_time(time_s)
            picture = self._picture(world_s, exposure)
            if self.hud is not None and not (menu and menu.open_at(time_s)):
                colour, cover = self.hud.draw(self._hud_state(world_s))
                picture = picture * (1 - cover) + colour * cover
            if menu is not None and menu.open_at(time_s):
                picture = menu.draw(picture, time_s)
            frames.append((255 * np.clip(picture, 0, 1) + 0.5).astype(np.uint8))
        result = np.stack(frames)
        self.script.blank(result, self.format.fps)
        return result

    def _picture(self, time_s: float, exposure: float) -> Array:
        traced = self._trace(time_s)
        turn, place = self._player.view(time_s)
        view = CameraPose(turn @ CAMERA_IN_BODY, place, self._lens)
        radiance, frame_s = traced.radiance, 1 / self.format.fps
        shining = self._shining(time_s, len(radiance))
        light = self._light * self._room(time_s)
        draw_incidents(self.script, shining, radiance, traced.depth, view, time_s, frame_s, light)
        picture = arcade.tone(radiance, exposure, self._graphics)
        if self.skin.outlines:
            arcade.outline(picture, traced.depth, traced.surface)
        arcade.hit_marks(picture, traced.depth, view, list(self._hits.values()))
        for number, (start_s, own) in enumerate(self._flashing(time_s)):
            frame = int((time_s - start_s) * self.format.fps)
            muzzle, end = self._flight(start_s, own, time_s, traced, view)
            if frame == 0:
                arcade.tracer(picture, traced.depth, view, muzzle, end)
            size = 0.14 if own else 0.22
            arcade.flash_star(picture, view, muzzle, size, self.script.index + number, frame)
        return arcade.pixelate(picture, self.skin.pixel)

    def _flight(
        self, start_s: float, own: bool, time_s: float, traced: Traced, view: CameraPose
    ) -> tuple[Vector, Vector]:
        """Return where a discharge's flash is and where its bullet goes."""
        if not own:
            actor = next(a for a in self.script.actors if start_s in a.role.discharges_s)
            muzzle, axis = actor.muzzle(start_s)
            reach = (self.script.plan.backstop_y - muzzle[1]) / max(float(axis[1]), 0.3)
            return muzzle, muzzle + axis * reach
        if start_s not in self._hits:
            height, width = traced.depth.shape
            reach = float(traced.depth[height // 2, width // 2])
            self._hits[start_s] = view.place - view.turn[:, 2] * min(reach, 60.0)
        return self._own_muzzle(time_s), self._hits[start_s]

    def _own_muzzle(self, time_s: float) -> Vector:
        assert self._weapon is not None
        turn, eye = self._player.view(time_s)
        axes, place = self._player.weapon_pose(time_s)
        return np.asarray(
            eye + turn @ (place - _EYE_IN_BODY + axes @ np.array(self._weapon.muzzle))
        )

    def _own_muzzle_with_axis(self, time_s: float) -> tuple[Vector, Vector]:
        turn, _ = self._player.view(time_s)
        axes, _ = self._player.weapon_pose(time_s)
        return self._own_muzzle(time_s), np.asarray(turn @ axes[:, 1])

    def _flashing(self, time_s: float) -> list[tuple[float, bool]]:
        """Return the discharges whose flash shows in the frame at `time_s`, and whose they are."""
        shown_s = self.skin.flash_frames / self.format.fps
        own = set(self.script.own_discharges_s)
        return [(t, t in own) for t in self.script.discharges_s if 0 <= time_s - t < shown_s]

    def _trace(self, time_s: float) -> Traced:
        turn, eye = self._player.view(time_s)
        height = self._size[1] // self.skin.pixel
        rows = (height, 1)
        poses = RowPoses(
            np.tile(turn @ CAMERA_IN_BODY, (*rows, 1)),
            np.tile(eye, rows),
            np.tile(turn, (*rows, 1)),
            np.tile(eye - turn @ _EYE_IN_BODY, rows),
        )
        lights = []
        for start_s, own in self._flashing(time_s):
            place = self._own_muzzle(time_s) if own else self._other_muzzle(start_s)
            lights.append(
                PointLight(
                    np.tile(place, rows),
                    np.tile(turn[:, 1], rows),
                    np.ones(height),
                    FLASH_COLOUR * self._power,
                )
            )
        lights += [one.light for one in self._shining(time_s, height)]
        room = self._room(time_s)
        lights = [replace(light, row_weight=light.row_weight / room) for light in lights]
        people, feet = self._crowd.at(time_s)
        arms = None
        if self.arms is not None:
            left_hand = self.script.handling_at(time_s).left_hand
            arms = self.arms.holding(*self._player.weapon_pose(time_s), turn, left_hand)
        samples = [CameraSample(poses, tuple(lights))] * NUM_SAMPLES
        traced = self._tracer.trace(self._rng, samples, people, feet, arms, jittered=False)
        return replace(traced, radiance=traced.radiance * np.float32(room))

    def _shining(self, time_s: float, height: int) -> list[Shining]:
        """Return the lights of incidents as a game shows them: for whole frames."""
        shining = self.script.shining(time_s, 0.0, 1 / self.format.fps, height)
        return [one.full() for one in shining]

    def _room(self, time_s: float) -> float:
        return float(self.script.room_light([time_s])[0])

    def _other_muzzle(self, start_s: float) -> Vector:
        actor = next(a for a in self.script.actors if start_s in a.role.discharges_s)
        return actor.muzzle(start_s)[0]

    def _hud_state(self, time_s: float) -> HudState:
        own = [t for t in self.script.own_discharges_s if t <= time_s]
        since = time_s - own[-1] if own else np.inf
        return HudState(
            time_s=time_s,
            ammo=self._magazine - len(own) % self._magazine,
            score=50 if since < _SCORE_SHOWN_S else 0,
            hit=since < _HIT_SHOWN_S,
            spread=min(1.0, self._player.kick(time_s)),
            heading=self._player.heading(time_s),
        )
