"""What one draw of the ViZDoom engine looks like, before anything is played."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.engines.take import VideoFormat

TIC_HZ = 35
"""The game's clock: everything in a recording happens on a tic."""

SOUND_HZ = 44_100
"""Samples a second of the game's sound, 1,260 a tic."""

FISTS, PISTOL, SHOTGUN, CHAINGUN, ROCKETS, PLASMA, BFG = range(1, 8)
BULLET_SLOTS = (PISTOL, SHOTGUN, CHAINGUN)
"""Weapon slots that hold firearms."""

MOST_BULLETS, MOST_SHELLS = 200, 50
"""What a player can carry, half of what is carried in a backpack."""
_MOST_AMMO = {"Clip": MOST_BULLETS, "Shell": MOST_SHELLS, "RocketAmmo": 50, "Cell": 300}

QUIET_SLOTS = (FISTS, *BULLET_SLOTS, ROCKETS, PLASMA, BFG)
_QUIET_SLOT_ODDS = (0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1)
_SIZES = (
    (256, 144),
    (256, 160),
    (320, 180),
    (320, 200),
    (320, 240),
    (320, 256),
    (400, 300),
    (512, 288),
    (512, 320),
    (512, 384),
    (640, 360),
    (640, 400),
    (640, 480),
    (1280, 720),
    (1280, 800),
    (1280, 960),
    (1280, 1024),
)
_FINENESS = (2.0, 2.5)
"""Uploads are smaller than what a player saw: scaling down takes the jagged edges."""

# Some players stroll and look about, others run and whirl: were all as fast as the game lets them
# be, their files would be larger than those of people who walk. A walk of the game is a pace of
# 25, and turns are a tic's.
_PACES = (4.0, 40.0)
_MAX_TURNS_DEG = (1.5, 8.0)
_VISIBILITIES = (5.0, 30.0)

_HUDS = ("full", "minimal", "none")
_FREEDOOM1_MAPS = tuple(
    f"E{episode}M{number}" for episode in range(1, 5) for number in range(1, 10)
)
_FREEDOOM2_MAPS = tuple(f"MAP{number:02d}" for number in range(1, 33))
_SCENARIOS = (
    "basic.wad",
    "deadly_corridor.wad",
    "deathmatch.wad",
    "defend_the_center.wad",
    "defend_the_line.wad",
    "health_gathering.wad",
    "health_gathering_supreme.wad",
    "my_way_home.wad",
    "predict_position.wad",
    "simpler_basic.wad",
    "take_cover.wad",
)
ITEMS = ("ArmorBonus", "BlueArmor", "GreenArmor", "HealthBonus", "Medikit", "Soulsphere")
WEAPONS = ("Chaingun", "Chainsaw", "PlasmaRifle", "RocketLauncher", "Shotgun", "SuperShotgun")
FUSED_BARREL = "FusedBarrel"
"""What explodes by itself, two seconds after it was summoned."""
MENUS = ("menu_main", "menu_options", "menu_newgame", "menu_display")


@dataclass(frozen=True)
class GameScene:
    """Everything that decides the pixels of one recording.

    `scenario` is a file of ViZDoom's scenarios, or None for a map of the IWAD itself. From the
    first to the second tic of each of the `engagements` the player fires in bursts, if what it
    holds is one of `fired_slots`; whether it did is for the telemetry to say. With `fires_blindly`
    it does not wait for a target. With `fireballs` monsters attack with what is no firearm.
    `slots` are the weapons held, each for an equal part of the recording. `ammo_share` of what can
    be carried is there at the start, lest a full count on the HUD give away a recording without
    discharges. `width` and `height` are the engine's own, at least those of the file, `shown_size`.
    `visibility` is how far light reaches. The player moves at a `pace`, and turns by
    `max_turn_deg` a tic at most. `commands` are given to the game at their tics, and the player
    looks at the map from the first to the second of each pair of `map_tics`.
    """

    seed: int
    iwad: str
    scenario: str | None
    game_map: str
    monsters: bool
    engagements: tuple[tuple[int, int], ...]
    fired_slots: tuple[int, ...]
    fires_blindly: bool
    fireballs: bool
    tracks_targets: bool
    pace: float
    max_turn_deg: float
    slots: tuple[int, ...]
    ammo_share: float
    width: int
    height: int
    shown_size: tuple[int, int]
    fps: float
    num_frames: int
    fov_deg: int
    hud: str
    crosshair: bool
    weapon_visible: bool
    visibility: float
    commands: tuple[tuple[int, str], ...]
    map_tics: tuple[tuple[int, int], ...]

    @property
    def overlay(self) -> str:
        """What lies over the picture."""
        return "none" if self.hud == "none" and not self.crosshair else "hud"

    @property
    def source(self) -> str:
        """The game that the recording comes from."""
        if self.scenario is not None:
            return "vizdoom-scenarios"
        return {"freedoom1.wad": "freedoom-phase1", "freedoom2.wad": "freedoom-phase2"}[self.iwad]

    @property
    def licence(self) -> str:
        """Licence of what is seen: the Freedoom assets, and ViZDoom's map where it is one."""
        return "BSD-3-Clause" if self.scenario is None else "BSD-3-Clause AND MIT"

    @property
    def frame_tics(self) -> np.ndarray:
        """Tic that each frame shows: the one nearest to its time, int64 (T,)."""
        return np.round(np.arange(self.num_frames) * TIC_HZ / self.fps).astype(np.int64)

    @property
    def num_tics(self) -> int:
        """Tics that are shown, or lie between those that are."""
        return int(self.frame_tics[-1]) + 1

    @property
    def num_heard_tics(self) -> int:
        """Tics that begin before the last frame has been shown for as long as the others."""
        return max(self.num_tics, math.ceil(self.num_frames * TIC_HZ / self.fps - 1e-6))


def draw_scene(
    rng: np.random.Generator, form: VideoFormat, duration_s: float, *, shoots: bool
) -> GameScene:
    """Draw a scene; those that are meant to shoot vary in the same ways as the others."""
    iwad, scenario, game_map = _draw_map(rng)
    width, height = _size(form, float(rng.choice(_FINENESS)))
    num_tics = int(duration_s * TIC_HZ)
    commands, map_tics = _draw_incidents(rng, num_tics, shoots)
    return GameScene(
        seed=int(rng.integers(1, 2**31)),
        iwad=iwad,
        scenario=scenario,
        game_map=game_map,
        monsters=bool(rng.random() < 0.8),
        engagements=((0, num_tics),) if shoots else (),
        fired_slots=BULLET_SLOTS,
        fires_blindly=bool(rng.random() < 0.85),
        fireballs=shoots,
        tracks_targets=bool(rng.random() < (0.8 if shoots else 0.6)),
        pace=_log_uniform(rng, _PACES),
        max_turn_deg=_log_uniform(rng, _MAX_TURNS_DEG),
        slots=_draw_slots(rng, shoots),
        ammo_share=float(rng.uniform(0.4, 1.0)),
        width=width,
        height=height,
        shown_size=(form.width, form.height),
        fps=form.fps,
        num_frames=form.num_frames(duration_s),
        fov_deg=int(rng.integers(75, 106)),
        hud=str(rng.choice(_HUDS, p=(0.45, 0.2, 0.35))),
        crosshair=bool(rng.random() < 0.5),
        weapon_visible=bool(rng.random() < 0.9),
        visibility=_log_uniform(rng, _VISIBILITIES),
        commands=commands,
        map_tics=map_tics,
    )


def _draw_incidents(
    rng: np.random.Generator, num_tics: int, shoots: bool
) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, int], ...]]:
    """Draw what interrupts a walk: things picked up, a menu that is opened, the map.

    A player who fires picks up no ammunition, which could hide a discharge, and has eyes for
    neither menu nor map.
    """
    start, stop = sorted(int(tic) for tic in rng.integers(0, num_tics, 2))
    incident = rng.random()
    if incident < 0.25:
        return ((start, f"summon {rng.choice(ITEMS)}"),), ()
    if shoots or incident > 0.65:
        return (), ()
    if incident < 0.45:
        weapon = rng.choice(WEAPONS)
        return ((0, f"take {weapon}"), (start, f"summon {weapon}")), ()
    if incident < 0.55:
        return ((start, str(rng.choice(MENUS))), (stop, "closemenu")), ()
    return (), ((start, stop),)


def spending(ammo_share: float) -> list[str]:
    """Commands that leave a share of the ammunition of a player who has all that can be carried."""
    return [f"take {kind} {round((1 - ammo_share) * most)}" for kind, most in _MOST_AMMO.items()]


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return round(float(np.exp(rng.uniform(*np.log(limits)))), 2)


def _size(form: VideoFormat, fineness: float) -> tuple[int, int]:
    """Return the engine's size of a file's aspect ratio that is nearest to so many times as fine.

    At least as fine as the file, where the engine has such a size.
    """
    aspect = form.width / form.height
    alike = [size for size in _SIZES if abs(size[0] / size[1] - aspect) < 0.04]
    large = [size for size in alike if size[1] >= form.height] or alike[-1:]
    return min(large, key=lambda size: abs(np.log(size[1] / (fineness * form.height))))


def _draw_map(rng: np.random.Generator) -> tuple[str, str | None, str]:
    family = rng.random()
    if family < 0.4:
        return "freedoom1.wad", None, str(rng.choice(_FREEDOOM1_MAPS))
    if family < 0.8:
        return "freedoom2.wad", None, str(rng.choice(_FREEDOOM2_MAPS))
    return "freedoom2.wad", str(rng.choice(_SCENARIOS)), "MAP01"


def _draw_slots(rng: np.random.Generator, shoots: bool) -> tuple[int, ...]:
    """One weapon or, in a third of the scenes, a few that are switched between."""
    num_weapons = int(rng.choice((1, 2, 3), p=(0.67, 0.23, 0.1)))
    slots, odds = (BULLET_SLOTS, None) if shoots else (QUIET_SLOTS, _QUIET_SLOT_ODDS)
    return tuple(int(slot) for slot in rng.choice(slots, num_weapons, replace=False, p=odds))
