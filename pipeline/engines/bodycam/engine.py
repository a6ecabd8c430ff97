"""The engine's entry: index in, takes out."""

from __future__ import annotations

from pipeline.config import BodycamSettings
from pipeline.engines.bodycam.camera_take import BodyCameraTake
from pipeline.engines.bodycam.game_take import GameTake
from pipeline.engines.bodycam.script import Script, write_script
from pipeline.engines.take import Take
from pipeline.errors import UserError

_FILE_CRF = {"real": 20, "game": 18}
_FILE_KEYINT = 30
_SMALLEST_SIDE = 32


def record(seed: int, index: int, settings: BodycamSettings) -> list[Take]:
    """Render the recording of an index: a pure function of its arguments.

    The first take is the body camera's; `settings.game_share` of the indices have a second of
    the same events in a game's look, under the same recording name.

    Raises:
        UserError: a size that cannot be encoded, or no duration.
        Dropped: the camera sees little but its wearer, an obstacle or nothing.
    """
    if min(settings.width, settings.height) < _SMALLEST_SIDE or settings.duration_s <= 0:
        raise UserError(
            f"conf/synthesize.yaml: bodycam.width={settings.width}, height={settings.height}, "
            f"duration_s={settings.duration_s}: sides must be at least {_SMALLEST_SIDE} pixels "
            "and the duration positive"
        )
    if settings.width % 2 or settings.height % 2:
        raise UserError(
            f"conf/synthesize.yaml: bodycam.width={settings.width}, height={settings.height}: "
            "H.264 needs even sides; choose even numbers"
        )
    script = write_script(seed, index, settings.duration_s)
    camera = BodyCameraTake(script, settings.width, settings.height)
    source = f"bodycam-{camera.fleet.name}"
    takes = [_take(script, "real", source, camera)]
    if script.cell.has_game(settings.game_share):
        game = GameTake(script, settings.width, settings.height)
        takes.append(_take(script, "game", f"arcade-{game.skin.name}", game))
    return takes


def _take(script: Script, origin: str, source: str, look: BodyCameraTake | GameTake) -> Take:
    return Take(
        name=f"{source}-{script.index:05d}",
        frames=look.frames(),
        fps=look.fps,
        origin=origin,
        source=source,
        recording=script.recording,
        discharges_s=script.discharges_s,
        viewpoint="body" if origin == "real" else "first-person",
        licence="CC0-1.0",
        authority="rendered by pipeline.engines.bodycam; staged, no real event",
        notes=f"{script.plan.kind}, {script.plan.light}, {script.action}",
        crf=_FILE_CRF[origin],
        keyint=_FILE_KEYINT,
    )
