"""Set-up of the ViZDoom process: which map, which picture, who may fire."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import vizdoom
from vizdoom import Button, DoomGame, GameVariable, ScreenResolution

from pipeline.engines.vizdoom.scene import FUSED_BARREL, GameScene, spending

BUTTONS = (
    Button.ATTACK,
    Button.MOVE_FORWARD_BACKWARD_DELTA,
    Button.MOVE_LEFT_RIGHT_DELTA,
    Button.USE,
    Button.TURN_LEFT_RIGHT_DELTA,
    Button.LOOK_UP_DOWN_DELTA,
    Button.SELECT_WEAPON1,
    Button.SELECT_WEAPON2,
    Button.SELECT_WEAPON3,
    Button.SELECT_WEAPON4,
    Button.SELECT_WEAPON5,
    Button.SELECT_WEAPON6,
    Button.SELECT_WEAPON7,
)
VARIABLES = (
    GameVariable.SELECTED_WEAPON_AMMO,
    GameVariable.SELECTED_WEAPON,
    GameVariable.DAMAGE_TAKEN,
    GameVariable.POSITION_X,
    GameVariable.POSITION_Y,
)

# A revenant is one of them because its missiles leave the puffs that tell of bullets.
FIREARM_MONSTERS = (
    "Revenant",
    "ZombieMan",
    "ShotgunGuy",
    "ChaingunGuy",
    "WolfensteinSS",
    "SpiderMastermind",
    "Arachnotron",
    "Cyberdemon",
)
FIREBALL_MONSTERS = (
    "DoomImp",
    "Cacodemon",
    "HellKnight",
    "BaronOfHell",
    "Fatso",
    "PainElemental",
    "Archvile",
    "LostSoul",
)
MELEE_MONSTERS = ("Demon", "Spectre", "MarineChainsawVzd")
PROJECTILES = frozenset(
    (
        "Rocket",
        "PlasmaBall",
        "BFGBall",
        "ArachnotronPlasma",
        "DoomImpBall",
        "CacodemonBall",
        "BaronBall",
        "FatShot",
        "RevenantTracer",
        "ArchvileFire",
    )
)
PUFF = "BulletPuff"
SOUND_TICS = 8
"""Tics whose sound the game hands over at once, at most."""
_DISARMED = "Disarmed"
MONSTERS = frozenset(
    prefix + name
    for prefix in ("", _DISARMED)
    for name in FIREARM_MONSTERS + FIREBALL_MONSTERS + MELEE_MONSTERS
)
_PICKUPS = frozenset(
    (
        "ArmorBonus",
        "Clip",
        "ClipBox",
        "HealthBonus",
        "Medikit",
        "Shell",
        "ShellBox",
        "Shotgun",
        "Stimpack",
        "RocketAmmo",
        "Cell",
    )
)
_FIRST_TIC = 14
_CHEATS = ("god", "give weapons", "give ammo", "cl_showsecretmessage 0")


def start(scene: GameScene, folder: Path) -> DoomGame:
    """Start the engine on `scene`, armed and unhurtable, at a random place of the map.

    `folder` receives the engine's own files. Monsters never fire firearms, so that the player's
    discharges are all there are, and throw nothing either unless the scene has `fireballs`.
    """
    install = Path(vizdoom.__file__).parent
    game = DoomGame()
    game.set_doom_config_path(str(folder / "vizdoom.ini"))
    game.set_doom_game_path(str(install / scene.iwad))
    if scene.scenario is not None:
        game.set_doom_scenario_path(str(install / "scenarios" / scene.scenario))
    game.set_doom_map(scene.game_map)
    game.set_seed(scene.seed)
    _set_picture(game, scene)
    game.set_available_buttons(list(BUTTONS))
    game.set_available_game_variables(list(VARIABLES))
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_window_visible(False)
    game.set_episode_start_time(_FIRST_TIC)
    game.set_episode_timeout(0)

    actors = folder / "actors.wad"
    disarmed = FIREARM_MONSTERS + (() if scene.fireballs else FIREBALL_MONSTERS)
    actors.write_bytes(_actors_wad(disarmed))
    game.add_game_args(f"+sv_cheats 1 -file {actors}")
    _set_sound(game)
    if not scene.monsters:
        game.add_game_args("-nomonsters")
    game.init()
    looks = (f"fov {scene.fov_deg}", f"r_visibility {scene.visibility}")
    for command in (*_CHEATS, *spending(scene.ammo_share), *looks):
        game.send_game_command(command)
    _move_to_random_pickup(game, np.random.default_rng(scene.seed))
    return game


def _set_sound(game: DoomGame) -> None:
    game.set_audio_buffer_enabled(True)
    game.set_audio_sampling_rate(vizdoom.SamplingRate.SR_44100)
    game.set_audio_buffer_size(SOUND_TICS)
    # With effects on, versions of OpenAL Soft end the process (ViZDoom issue 472).
    game.add_game_args("+snd_efx 0")


def _set_picture(game: DoomGame, scene: GameScene) -> None:
    resolution = f"RES_{scene.width}X{scene.height}"
    game.set_screen_resolution(getattr(ScreenResolution, resolution))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_render_hud(scene.hud != "none")
    game.set_render_minimal_hud(scene.hud == "minimal")
    game.set_render_crosshair(scene.crosshair)
    game.set_render_weapon(scene.weapon_visible)
    game.set_render_messages(False)
    game.set_render_decals(True)
    game.set_render_particles(True)
    game.set_render_effects_sprites(True)
    game.set_render_corpses(True)
    game.set_render_screen_flashes(True)
    game.set_labels_buffer_enabled(scene.tracks_targets)
    game.set_depth_buffer_enabled(True)
    game.set_objects_info_enabled(True)
    if scene.map_tics:
        game.set_automap_buffer_enabled(True)
        game.set_automap_mode(vizdoom.AutomapMode.WHOLE)
        game.set_automap_rotate(scene.seed % 2 == 0)
        game.set_automap_render_textures(scene.seed % 3 == 0)


def _actors_wad(disarmed: tuple[str, ...]) -> bytes:
    """A PWAD whose DECORATE lump takes the attacks from monsters, and has a barrel with a fuse.

    The melee attack goes too: an imp whose victim steps back throws a fireball in the middle of
    it.
    """
    no_attack = "{ States { Melee: Stop Missile: Stop } }"
    actors = [
        *(f"ACTOR {_DISARMED}{name} : {name} replaces {name} {no_attack}" for name in disarmed),
        f"ACTOR {FUSED_BARREL} : ExplosiveBarrel {{ States {{",
        *("Spawn:", "BAR1 ABABAB 10", "Goto Death", "}", "}"),
    ]
    decorate = "".join(f"{line}\n" for line in actors).encode()
    header_size = 12
    header = b"PWAD" + struct.pack("<II", 1, header_size + len(decorate))
    return header + decorate + struct.pack("<II8s", header_size, len(decorate), b"DECORATE")


def _move_to_random_pickup(game: DoomGame, rng: np.random.Generator) -> None:
    """Leave the map's one start: a pickup lies where a player can stand, often near monsters."""
    state = game.get_state()
    assert state is not None and state.objects is not None
    spots = [(o.position_x, o.position_y) for o in state.objects if o.name in _PICKUPS]
    if spots:
        x, y = spots[int(rng.integers(len(spots)))]
        game.send_game_command(f"warp {x:.0f} {y:.0f}")
