"""From a script to the takes of its looks."""

from __future__ import annotations

from pipeline.config import RenderSettings
from pipeline.engines import damage
from pipeline.engines.render.camera_take import BodyCameraTake, fleet_of
from pipeline.engines.render.film_take import FilmTake
from pipeline.engines.render.game_take import GameTake
from pipeline.engines.render.script import Cell, Script, write_script
from pipeline.engines.take import Format, Take, draw_format

_RENDERED = "rendered by pipeline.engines.render; staged, no real event"
_PHOTOGRAPHED = (
    "photograph of a real place (Poly Haven, CC0), people and weapons "
    "rendered by pipeline.engines.render; staged, no real event"
)


def write(engine: str, seed: int, index: int, settings: RenderSettings) -> Script:
    """Draw the script of an engine's recording, for a camera that is worn or that stands."""
    bystander = engine != "film" and not fleet_of(Cell.of(index)).is_worn
    return write_script(engine, seed, index, settings.duration_s, bystander=bystander)


def real(script: Script, settings: RenderSettings) -> Take:
    """Film a script with a body camera.

    Raises:
        UserError: a height that cannot be encoded.
        Dropped: the camera sees little but its wearer, an obstacle or nothing.
    """
    look = BodyCameraTake(script, _format(script, settings))
    return _take(
        script, "real", f"{_kind(script, 'bodycam')}-{look.fleet.name}", look.viewpoint, look
    )


def game(script: Script, settings: RenderSettings) -> Take:
    """Play a script in a game's look.

    Raises:
        UserError: a height that cannot be encoded.
    """
    look = GameTake(script, _format(script, settings))
    return _take(script, "game", f"arcade-{look.skin.name}", "first-person", look)


def film(script: Script, settings: RenderSettings) -> Take:
    """Stage a script for a cinema camera.

    Raises:
        UserError: a height that cannot be encoded.
        Dropped: no set-up was found that shows a person unhidden, or all is dark.
    """
    look = FilmTake(script, _format(script, settings))
    return _take(script, "film", f"{_kind(script, 'cinema')}-{look.style.name}", "cinematic", look)


def _kind(script: Script, otherwise: str) -> str:
    return "location" if script.plan.backdrop is not None else otherwise


def _format(script: Script, settings: RenderSettings) -> Format:
    return draw_format(
        script.seed, script.index, script.engine, settings.heights, settings.rates_fps
    )


def _take(
    script: Script,
    origin: str,
    source: str,
    viewpoint: str,
    look: BodyCameraTake | GameTake | FilmTake,
) -> Take:
    incidents = [f"{one.kind} at {one.start_s:.1f} s" for one in script.incidents]
    frames = damage.suffer(
        look.frames(), script.stream(f"damage {origin}"), can_bar=origin != "film"
    )
    backdrop = script.plan.backdrop
    words = [
        *([f"place={backdrop.place}"] if backdrop is not None else []),
        f"light={script.plan.light}",
        f"weapon={_weapon(script, look)}",
        f"overlay={look.overlay}",
    ]
    return Take(
        name=f"{source}-{script.index:05d}",
        frames=frames,
        format=look.format,
        origin=origin,
        source=source,
        recording=script.recording,
        discharges_s=script.discharges_s,
        viewpoint=viewpoint,
        licence="CC0-1.0",
        authority=_RENDERED if backdrop is None else _PHOTOGRAPHED,
        notes=", ".join([f"scene={script.plan.kind}", *words, script.action, *incidents]),
    )


def _weapon(script: Script, look: BodyCameraTake | GameTake | FilmTake) -> str:
    """Who carries a weapon: the wearer or player, somebody else or nobody."""
    in_hand = look.arms is not None if isinstance(look, GameTake) else script.weapon is not None
    if in_hand:
        return "own"
    return "others" if any(actor.role.weapon for actor in script.actors) else "none"
