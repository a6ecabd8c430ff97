"""Play one scene in a process of its own: `python -m pipeline.engines.vizdoom SCENE RESULT`.

SCENE is a `Scene` as JSON, RESULT the .npz file to write: `frames` uint8 (T,H,W,3) RGB, `sound`
int16 (N, 2) at `scene.SOUND_HZ`, and one array for each field of `Telemetry`. All are short where
the episode ended early.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from vizdoom import Button, GameState

from pipeline.engines.vizdoom.agent import Agent, room_by_column
from pipeline.engines.vizdoom.game import BUTTONS, PROJECTILES, start
from pipeline.engines.vizdoom.scene import TIC_HZ, Scene
from pipeline.engines.vizdoom.telemetry import Telemetry

_NOTHING = [0.0] * len(BUTTONS)
_MIN_WARM_UP_TICS, _MAX_WARM_UP_TICS = 2 * TIC_HZ + 1, 4 * TIC_HZ


def play(scene: Scene, folder: Path) -> tuple[np.ndarray, np.ndarray, Telemetry]:
    """Warm up unseen, then record; frames uint8 (T,H,W,3), sound (N, 2), telemetry of every tic.

    Once the last frame is drawn, the player lets go of everything until its time is over.
    """
    num_tics = scene.num_tics
    warm_up = np.random.default_rng([scene.seed, 2]).integers(_MIN_WARM_UP_TICS, _MAX_WARM_UP_TICS)
    agent = Agent(scene, num_tics)
    frames = np.empty((len(scene.frame_tics), scene.height, scene.width, 3), np.uint8)
    sound: list[np.ndarray] = []
    rows: list[tuple[float, ...]] = []
    trigger = 0.0
    game = start(scene, folder)
    for tic in range(-int(warm_up), scene.num_heard_tics):
        state = game.get_state()
        if state is None or game.is_player_dead():
            break
        if tic >= 0:
            rows.append(_observe(state, trigger))
            assert state.audio_buffer is not None
            # What a tic does is heard while the picture that it leaves behind is shown.
            sound.append(state.audio_buffer.copy())
            on_map = scene.map_tics[0] <= tic < scene.map_tics[1]
            seen = state.automap_buffer if on_map else state.screen_buffer
            assert seen is not None
            frames[scene.frame_tics == tic] = seen
        buttons = agent.act(state, tic) if tic < num_tics - 1 else _NOTHING
        trigger = buttons[BUTTONS.index(Button.ATTACK)]
        for at, command in scene.commands:
            if at == tic:
                game.send_game_command(command)
        game.make_action(buttons, 1)
    game.close()
    heard = np.concatenate(sound) if sound else np.zeros((0, 2), np.int16)
    return frames[scene.frame_tics < len(rows)], heard, Telemetry.from_rows(rows)


def _observe(state: GameState, trigger: float) -> tuple[float, ...]:
    assert state.game_variables is not None
    ammo, slot, damage_taken, x, y = state.game_variables
    num_projectiles = sum(thing.name in PROJECTILES for thing in state.objects or [])
    return (
        float(ammo),
        float(slot),
        trigger,
        float(damage_taken),
        float(num_projectiles),
        float(room_by_column(state).max()),
        float(state.screen_buffer[::8, ::8].mean()),
        float(x),
        float(y),
    )


def main(scene_json: str, result: str) -> None:
    """Entry point of the process; writes `result` only when the engine survived."""
    scene = Scene(**json.loads(scene_json))
    frames, sound, telemetry = play(scene, Path(result).parent)
    np.savez(result, frames=frames, sound=sound, **asdict(telemetry))


if __name__ == "__main__":
    main(*sys.argv[1:])
