"""`record`: draw a scene, play it in a process of its own, label it from its telemetry."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.engines.take import Dropped, Take
from pipeline.engines.vizdoom.scene import TIC_HZ, Scene, draw_scene
from pipeline.engines.vizdoom.telemetry import Telemetry, discharge_tics, problem

if TYPE_CHECKING:
    from pipeline.config import VizdoomSettings

log = logging.getLogger(__name__)

PLAYER = (sys.executable, "-m", "pipeline.engines.vizdoom")
_PROJECT_ROOT = Path(__file__).resolve().parents[3]
_OWN_SHARED_MEMORY = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
_OWN_NAMESPACES = ("unshare", "-rnm", "sh", "-c", _OWN_SHARED_MEMORY, "sh")


def record(seed: int, index: int, settings: VizdoomSettings) -> list[Take]:
    """Record one take, deterministic in its arguments.

    A draw that cannot be labelled from telemetry, or shows nothing worth watching, is replaced
    by the next of at most `settings.max_attempts` draws. Even indices are meant to shoot.

    Raises:
        Dropped: the last draw's problem; or `engine_crashed`, `engine_timed_out` at once.
    """
    assert settings.max_attempts > 0
    for attempt in range(settings.max_attempts):
        rng = np.random.default_rng([seed, index, attempt])
        scene = draw_scene(rng, settings.duration_s, shoots=index % 2 == 0)
        frames, telemetry = play_apart(scene, settings.timeout_s)
        reason = problem(telemetry, num_tics=int(scene.frame_tics[-1]) + 1)
        if reason is None:
            return [_take(index, scene, frames, telemetry)]
    raise Dropped(reason)


def play_apart(scene: Scene, timeout_s: float) -> tuple[np.ndarray, Telemetry]:
    """Play `scene` in a process of its own, since a bad map takes the whole process with it.

    Returns frames uint8 (T,H,W,3) RGB and the telemetry of every tic played. What the
    engine writes goes to a temporary folder, which is also its home and working folder.

    Raises:
        Dropped: `engine_crashed` or `engine_timed_out`.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vizdoom-"))
        result = Path(folder) / "result.npz"
        errors = stack.enter_context((Path(folder) / "stderr").open("w+b"))
        process = subprocess.Popen(
            [*_sandbox(), *PLAYER, json.dumps(asdict(scene)), str(result)],
            cwd=folder,
            env=os.environ | {"HOME": folder, "PYTHONPATH": str(_PROJECT_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            exit_code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Dropped("engine_timed_out") from None
        finally:
            _end_group(process)
        if exit_code != 0:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            log.warning("vizdoom ended with status %d: %s", exit_code, "".join(last))
            raise Dropped("engine_crashed")
        with np.load(result, allow_pickle=False) as arrays:
            telemetry = Telemetry(*(arrays[field.name] for field in fields(Telemetry)))
            return arrays["frames"], telemetry


@cache
def _sandbox() -> tuple[str, ...]:
    """Command prefix for no network and shared memory that dies with the process.

    Empty where the kernel grants no namespaces; a crash then leaves 11 MB in /dev/shm.
    """
    granted = shutil.which("unshare") and subprocess.run(
        [*_OWN_NAMESPACES, "true"], capture_output=True, check=False
    )
    return _OWN_NAMESPACES if granted and granted.returncode == 0 else ()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what the player started too: the engine is a process of its own, and may hang."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _take(index: int, scene: Scene, frames: np.ndarray, telemetry: Telemetry) -> Take:
    even_height, even_width = scene.height // 2 * 2, scene.width // 2 * 2
    name = f"vizdoom-{index:05d}"
    return Take(
        name=name,
        frames=np.ascontiguousarray(frames[:, :even_height, :even_width]),
        fps=scene.fps,
        origin="game",
        source=scene.source,
        recording=name,
        discharges_s=tuple(float(tic) / TIC_HZ for tic in discharge_tics(telemetry)),
        viewpoint="first-person",
        licence=scene.licence,
        authority="rendered by the ViZDoom engine; no real people",
        notes=f"{scene.scenario or scene.iwad} {scene.game_map}",
        crf=scene.crf,
        keyint=scene.keyint,
    )
