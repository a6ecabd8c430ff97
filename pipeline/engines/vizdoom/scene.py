"""What one draw of the ViZDoom engine looks like, before anything is played."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TIC_HZ = 35
"""The game's clock: everything in a recording happens on a tic."""

PISTOL, SHOTGUN, CHAINGUN = 2, 3, 4
BULLET_SLOTS = (PISTOL, SHOTGUN, CHAINGUN)
"""Weapon slots that hold firearms; fists, rockets and plasma are never fired."""

_QUIET_SLOTS = (1, *BULLET_SLOTS, 5, 6, 7)
_QUIET_SLOT_ODDS = (0.1, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1)
_SIZES = ((320, 200), (320, 240), (320, 180), (400, 300), (400, 225), (512, 288), (640, 360))
_SIZE_ODDS = (0.15, 0.25, 0.15, 0.15, 0.1, 0.1, 0.1)
_RATES_FPS = (35.0, 30.0, 25.0, 24.0, 20.0, 17.5)
_HUDS = ("full", "minimal", "none")
_FREEDOOM1_MAPS = tuple(
    f"E{episode}M{number}" for episode in range(1, 5) for number in range(1, 10)
)
_FREEDOOM2_MAPS = tuple(f"MAP{number:02d}" for number in range(1, 33))
_SCENARIOS = (
    "deathmatch.wad",
    "defend_the_center.wad",
    "health_gathering_supreme.wad",
    "my_way_home.wad",
)


@dataclass(frozen=True)
class Scene:
    """Everything that decides the pixels of one recording.

    `scenario` is a file of ViZDoom's scenarios, or None for a map of the IWAD itself. With
    `shoots` the agent is meant to fire; whether it did is for the telemetry to say. With
    `fires_blindly` it does so without waiting for a target. `slots` are the weapons held, each
    for an equal part of the recording. `ammo_share` of what can be carried is there at the
    start, lest a full count on the HUD give away a recording without discharges. How the file
    is to be encoded travels along (`crf`, `keyint`).
    """

    seed: int
    iwad: str
    scenario: str | None
    game_map: str
    monsters: bool
    shoots: bool
    fires_blindly: bool
    tracks_targets: bool
    runs: bool
    slots: tuple[int, ...]
    ammo_share: float
    width: int
    height: int
    fps: float
    duration_s: float
    fov_deg: int
    hud: str
    crosshair: bool
    weapon_visible: bool
    crf: int
    keyint: int

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
        num_frames = int(self.duration_s * self.fps)
        return np.round(np.arange(num_frames) * TIC_HZ / self.fps).astype(np.int64)


def draw_scene(rng: np.random.Generator, duration_s: float, *, shoots: bool) -> Scene:
    """Draw a scene; those that are meant to shoot vary in the same ways as the others."""
    iwad, scenario, game_map = _draw_map(rng)
    width, height = _SIZES[int(rng.choice(len(_SIZES), p=_SIZE_ODDS))]
    return Scene(
        seed=int(rng.integers(1, 2**31)),
        iwad=iwad,
        scenario=scenario,
        game_map=game_map,
        monsters=bool(rng.random() < 0.8),
        shoots=shoots,
        fires_blindly=bool(rng.random() < 0.85),
        tracks_targets=bool(rng.random() < (0.8 if shoots else 0.6)),
        runs=bool(rng.random() < 0.4),
        slots=_draw_slots(rng, shoots),
        ammo_share=float(rng.uniform(0.4, 1.0)),
        width=width,
        height=height,
        fps=float(rng.choice(_RATES_FPS)),
        duration_s=duration_s,
        fov_deg=int(rng.integers(75, 106)),
        hud=str(rng.choice(_HUDS, p=(0.45, 0.2, 0.35))),
        crosshair=bool(rng.random() < 0.5),
        weapon_visible=bool(rng.random() < 0.9),
        crf=int(rng.integers(18, 31)),
        keyint=int(rng.choice((16, 30, 60, 120))),
    )


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
    slots, odds = (BULLET_SLOTS, None) if shoots else (_QUIET_SLOTS, _QUIET_SLOT_ODDS)
    return tuple(int(slot) for slot in rng.choice(slots, num_weapons, replace=False, p=odds))
