"""The installed game: whether it is there, its configuration, one match recorded and filmed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.engines import process
from pipeline.engines.openarena.events import FOLLOWED
from pipeline.engines.openarena.scene import MatchScene

ENGINE = Path("/usr/lib/ioquake3/ioquake3")
DATA = Path("/usr/lib/openarena")
_CLOCK_SOURCE = Path(__file__).with_name("clock.c")
_EGL_VENDOR = "/usr/share/glvnd/egl_vendor.d/50_mesa.json"
_NEEDED = (
    ("the engine ioquake3", str(ENGINE)),
    ("pak0.pk3", f"{DATA}/baseoa/pak0.pk3"),
    ("pak1-maps.pk3", f"{DATA}/baseoa/pak1-maps.pk3"),
    ("pak2-players.pk3", f"{DATA}/baseoa/pak2-players.pk3"),
    ("pak4-textures.pk3", f"{DATA}/baseoa/pak4-textures.pk3"),
    ("pak6-misc.pk3", f"{DATA}/baseoa/pak6-misc.pk3"),
    ("pak6-patch085.pk3", f"{DATA}/baseoa/pak6-patch085.pk3"),
    ("pak6-patch088.pk3", f"{DATA}/baseoa/pak6-patch088.pk3"),
    ("Mesa's software renderer", "/usr/lib/*/dri/swrast_dri.so"),
    ("EGL", "/usr/lib/*/libEGL.so.1"),
    ("Mesa's EGL", "/usr/lib/*/libEGL_mesa.so.0"),
    ("Mesa's entry in EGL's list", _EGL_VENDOR),
    ("the C library's headers", "/usr/include/dlfcn.h"),
)
"""What must be there, and where, as patterns of absolute paths."""
_ROOT = Path("/")
_COMPILER = "cc"

SOUND_HZ = 22_050
"""Samples a second of a film's sound."""
_TICK_MS = 33
# The engine reads its commands twice in each tick.
_WAITS_HZ = 2 * 1000 / _TICK_MS
_HOME = ".openarena"
# What the engine must know before it reads its configuration. It takes no more than 32 settings
# from its command line.
_COMMAND = {
    "com_basegame": "baseoa",
    "com_homepath": _HOME,
    "com_legacyprotocol": 71,
    "com_protocol": 71,
    "com_introplayed": 1,
    "ttycon": 0,
}
_ALWAYS: dict[str, str | float] = {
    "net_enabled": 0,
    "sv_master1": "",
    "sv_pure": 0,
    "cl_motd": 0,
    "cl_renderer": "opengl1",
    "r_mode": -1,
    "r_fullscreen": 0,
}
_MATCH: dict[str, str | float] = {
    "r_customwidth": 64,
    "r_customheight": 48,
    "r_picmip": 8,
    "cg_draw2D": 0,
    "s_initsound": 0,
    "com_maxfps": 1000,
    "fixedtime": _TICK_MS,
    "bot_enable": 1,
    "bot_minplayers": 0,
    "bot_nochat": 1,
    "timelimit": 0,
    "fraglimit": 0,
    "g_doWarmup": 0,
    "g_teamForceBalance": 0,
}
_FILM: dict[str, str | float] = {
    "fixedtime": 0,
    "com_maxfps": 0,
    "com_speeds": 1,
    "cg_debugEvents": 1,
    "cl_aviMotionJpeg": 0,
    "con_notifytime": -1,
    "cg_deferPlayers": 0,
    "cg_drawFPS": 0,
    "cg_drawFriend": 0,
    "cg_lagometer": 0,
    "com_blood": 0,
    "cg_gibs": 0,
    "nextdemo": "quit",
    # The game's own mixer alone writes into films, a frame's worth of samples a frame; what it
    # mixes ahead would come as much too late.
    "s_initsound": 1,
    "s_useOpenAL": 0,
    "s_sdlSpeed": SOUND_HZ,
    "s_sdlBits": 16,
    "s_sdlChannels": 2,
    "s_khz": SOUND_HZ // 1000,
    "s_volume": 0.8,
    "s_musicvolume": 0,
    "s_muteWhenUnfocused": 0,
    "s_muteWhenMinimized": 0,
    "s_mixahead": 0,
    "s_mixPreStep": 0,
}
_FIREARMS = {
    "Machinegun": ("INVENTORY_MACHINEGUN", "INVENTORY_BULLETS"),
    "Shotgun": ("INVENTORY_SHOTGUN", "INVENTORY_SHELLS"),
    "Chaingun": ("INVENTORY_CHAINGUN", "INVENTORY_BELT"),
}
_NO_FIREARMS = {
    "BFG10K": "bfg",
    "Grappling Hook": "grapplinghook",
    "Grenade Launcher": "grenadelauncher",
    "Lightning Gun": "lightning",
    "Nailgun": "nailgun",
    "Plasma Gun": "plasmagun",
    "Prox Launcher": "prox_launcher",
    "Railgun": "railgun",
    "Rocket Launcher": "rocketlauncher",
}
"""The game's name of what must not be there, and the class of its pickup."""


def missing() -> str | None:
    """Say in one line what this machine lacks to play the game, or None."""
    absent = [what for what, pattern in _NEEDED if not any(_ROOT.glob(pattern.removeprefix("/")))]
    if shutil.which(_COMPILER) is None:
        absent.append("a C compiler")
    if not absent:
        return None
    return f"OpenArena needs {', '.join(absent)}; `make games` installs what is missing"


def programs() -> list[Path]:
    """The files of the game that decide what a match looks like: its executable, and its data."""
    engine = [ENGINE, *sorted(ENGINE.parent.glob("*.so"))]
    return [*engine, *sorted((DATA / "baseoa").glob("*.pk3"))]


def record_match(scene: MatchScene, folder: Path, timeout_s: float) -> None:
    """Play the match unseen and keep it as a demo in the home folder `folder`.

    Raises:
        UnusableDraw: `engine_crashed` or `engine_timed_out`.
    """
    base = folder / _HOME / "baseoa"
    for path, text in bot_files(scene).items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_text(text)
    no_pickups = {f"disable_weapon_{name}": 1 for name in _NO_FIREARMS.values()}
    commands = [f"devmap {scene.game_map}", "wait 20", "team s"]
    for bot in scene.bots:
        commands += [f"addbot {bot.name} {bot.skill} {bot.team}".rstrip(), "wait 5"]
    commands += ["wait 20", f"follow {FOLLOWED}", "wait 20", "record match"]
    commands += [f"wait {round(scene.match_s * _WAITS_HZ)}", "stoprecord", "wait 5", "quit"]
    match = {**_MATCH, **no_pickups, "g_gametype": scene.game_type}
    _play(scene, folder, match, commands, timeout_s)


def film_match(
    scene: MatchScene, folder: Path, size: tuple[int, int], fps: float, timeout_s: float
) -> tuple[str, Path]:
    """Film the demo that `record_match` left, in (width, height) pixels.

    Returns what the game printed, and the uncompressed film (AVI), with sound.

    Raises:
        UnusableDraw: `engine_crashed` or `engine_timed_out`.
    """
    film = {"r_customwidth": size[0], "r_customheight": size[1], "cl_aviFrameRate": fps}
    commands = ["demo match; video film"]
    printed = _play(scene, folder, {**_FILM, **scene.picture, **film}, commands, timeout_s)
    return printed, folder / _HOME / "baseoa" / "videos" / "film.avi"


def bot_files(scene: MatchScene) -> dict[str, str]:
    """The files by which the bots of a scene choose their weapons, by their paths in the game."""
    shared, armed = "botfiles/fuzw.c", weapon_choice(scene.weights)
    if all(bot.has_firearms for bot in scene.bots):
        return {shared: armed}
    known = '#include "inv.h"\n'
    own = {
        f"botfiles/bots/{bot.name.lower()}_w.c": known + armed
        for bot in scene.bots
        if bot.has_firearms
    }
    return {shared: weapon_choice(dict.fromkeys(scene.weights, 0) | {"Gauntlet": 1}), **own}


def weapon_choice(weights: Mapping[str, int]) -> str:
    """The bots' file of how gladly they take each weapon, in place of the game's own.

    That one has them walk with the gauntlet in hand, so that a gun would tell of a fight.
    """
    guns = [
        f'weight "{name}" {{ switch({gun}) {{ case 1: return 0; default: '
        f"{{ switch({ammo}) {{ case 1: return 0; default: return {weights[name]}; }} }} }} }}"
        for name, (gun, ammo) in _FIREARMS.items()
    ]
    others = [f'weight "{name}" {{ return 0; }}' for name in _NO_FIREARMS]
    gauntlet = f'weight "Gauntlet" {{ return {weights["Gauntlet"]}; }}'
    return "\n".join([*guns, *others, gauntlet, ""])


def configuration(values: Mapping[str, str | float]) -> str:
    """Console commands that set variables."""
    return "".join(f'set {name} "{value}"\n' for name, value in values.items())


def _play(
    scene: MatchScene,
    folder: Path,
    values: Mapping[str, str | float],
    commands: Sequence[str],
    timeout_s: float,
) -> str:
    base = folder / _HOME / "baseoa"
    (base / "autoexec.cfg").write_text(configuration({**_ALWAYS, **values}))
    (base / "play.cfg").write_text("\n".join([*commands, ""]))
    clock = folder / "clock.so"
    if not clock.exists():
        build = [_COMPILER, "-shared", "-fPIC", "-o", str(clock), str(_CLOCK_SOURCE), "-ldl"]
        process.play(build, folder, timeout_s, {})
    known = [part for name, value in _COMMAND.items() for part in ("+set", name, str(value))]
    known += ["+set", "fs_basepath", str(DATA)]
    # `env` comes last, so that time stands still for the game alone.
    command = ["env", f"LD_PRELOAD={clock}", str(ENGINE), *known, "+exec", "play.cfg"]
    environment = {
        "MATCH_SEED": str(scene.seed),
        "SDL_VIDEODRIVER": "offscreen",
        "SDL_AUDIODRIVER": "dummy",
        "__EGL_VENDOR_LIBRARY_FILENAMES": _EGL_VENDOR,
        "GALLIUM_DRIVER": "llvmpipe",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "LP_NUM_THREADS": "1",
    }
    return process.play(command, folder, timeout_s, environment)
