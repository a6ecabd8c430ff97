"""`record`: draw a scene, play it in a process of its own, label it from its telemetry."""

from __future__ import annotations

import json
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.engines import damage, display, loudspeaker, process
from pipeline.engines.take import Take, UnusableDraw, VideoFormat, draw_format
from pipeline.engines.vizdoom import openal
from pipeline.engines.vizdoom.long_scene import draw_long_scene
from pipeline.engines.vizdoom.scene import SOUND_HZ, TIC_HZ, GameScene, draw_scene
from pipeline.engines.vizdoom.telemetry import (
    FRAMES,
    TOLD,
    Telemetry,
    discharge_tics,
    problem,
    problem_of_long,
)
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.config import GameSettings

PLAYER = (sys.executable, "-m", "pipeline.engines.vizdoom")
_PROJECT_ROOT = Path(__file__).resolve().parents[3]


def record(seed: int, index: int, settings: GameSettings) -> list[Take]:
    """Record one take, deterministic in its arguments.

    A draw that cannot be labelled from telemetry, or shows nothing worth watching, is replaced
    by the next of at most `settings.max_attempts` draws. Even indices are meant to shoot.

    Raises:
        UnusableDraw: the last draw's problem; or `engine_crashed`, `engine_timed_out` at once.
    """
    kind = _Kind("vizdoom", draw_scene, problem, settings.timeout_s)
    return _record(kind, seed, index, settings)


def record_long(seed: int, index: int, settings: GameSettings) -> list[Take]:
    """Record one take of minutes as `record` does, in one process of the game.

    That may run for as much longer than `settings.timeout_s` as the take lasts.
    """
    timeout_s = settings.timeout_s + settings.duration_s
    kind = _Kind("vizdoom-long", draw_long_scene, problem_of_long, timeout_s)
    return _record(kind, seed, index, settings)


@dataclass(frozen=True)
class _Kind:
    """How long and short takes differ."""

    name: str
    draw: Callable[..., GameScene]
    problem: Callable[[Telemetry, int], str | None]
    timeout_s: float


def _record(kind: _Kind, seed: int, index: int, settings: GameSettings) -> list[Take]:
    assert settings.max_attempts > 0
    form = draw_format(seed, index, kind.name, settings.heights, settings.rates_fps)
    for attempt in range(settings.max_attempts):
        rng = np.random.default_rng([seed, index, attempt, zlib.crc32(kind.name.encode())])
        scene = kind.draw(rng, form, settings.duration_s, shoots=index % 2 == 0)
        frames, sound, telemetry = play_apart(scene, kind.timeout_s)
        reason = kind.problem(telemetry.between(0, scene.num_tics), scene.num_tics)
        if reason is None:
            _check(sound, telemetry)
            frames = display.show(frames, rng)
            frames = damage.suffer(frames, form.fps, rng.spawn(1)[0])
            num_samples = form.num_samples(len(frames))
            heard = loudspeaker.record(sound, SOUND_HZ, num_samples, rng.spawn(1)[0])
            return [_take(f"{kind.name}-{index:05d}", form, scene, frames, heard, telemetry)]
    raise UnusableDraw(reason)


def play_apart(scene: GameScene, timeout_s: float) -> tuple[np.ndarray, np.ndarray, Telemetry]:
    """Play `scene` in a process of its own, since a bad map takes the whole process with it.

    Returns frames uint8 (T,H,W,3) RGB of the file's size, sound int16 (N, 2) at `scene.SOUND_HZ`,
    which begins with the first tic, and the telemetry of every tic played. What the engine writes
    goes to a temporary folder, which is also its home and working folder.

    Raises:
        UnusableDraw: `engine_crashed` or `engine_timed_out`.
        UserError: the library that makes the sound is not there.
    """
    with tempfile.TemporaryDirectory(prefix="vizdoom-") as name:
        folder = Path(name)
        command = [*PLAYER, json.dumps(asdict(scene)), str(folder)]
        environment = {"PYTHONPATH": str(_PROJECT_ROOT), **openal.environment(folder)}
        process.play(command, folder, timeout_s, environment)
        with np.load(folder / TOLD, allow_pickle=False) as told:
            telemetry = Telemetry(**{field.name: told[field.name] for field in fields(Telemetry)})
            frames = np.load(folder / FRAMES, allow_pickle=False)
            return frames[: told["num_frames"]], told["sound"], telemetry


def _check(sound: np.ndarray, telemetry: Telemetry) -> None:
    """Refuse silence in place of gunfire, which the game hands over when its library fails."""
    size = SOUND_HZ // TIC_HZ
    for tic in discharge_tics(telemetry):
        if not sound[tic * size : (tic + 2) * size].any():
            raise UserError(
                "vizdoom: a firearm was discharged and the game's sound is zero: its sound library "
                "does not work; install cyal==0.4.5, or set num_recordings of vizdoom and "
                "vizdoom.long to 0 in conf/synthesize.yaml"
            )


def _take(
    name: str,
    form: VideoFormat,
    scene: GameScene,
    frames: np.ndarray,
    sound: np.ndarray,
    telemetry: Telemetry,
) -> Take:
    return Take(
        name=name,
        frames=frames,
        sound=sound,
        format=form,
        origin="game",
        source=scene.source,
        recording=name,
        discharges_s=tuple(float(tic) / TIC_HZ for tic in discharge_tics(telemetry)),
        viewpoint="first-person",
        licence=scene.licence,
        authority="played by Discern's agent in the ViZDoom engine; no real people",
        notes=f"{scene.scenario or scene.iwad} {scene.game_map}, overlay={scene.overlay}",
    )
