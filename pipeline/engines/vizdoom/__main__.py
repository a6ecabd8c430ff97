"""Play one scene in a process of its own: `python -m pipeline.engines.vizdoom SCENE FOLDER`.

SCENE is a `GameScene` as JSON. FOLDER receives `frames.npy`, uint8 (T, H, W, 3) RGB of the file's
size, shrunk as they come, and `told.npz`: `num_frames` that were drawn of these, `sound` int16
(N, 2) at `scene.SOUND_HZ`, and one array for each field of `Telemetry`. All are short where
the episode ended early.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from vizdoom import Button, GameState

from pipeline.engines.vizdoom.agent import Agent
from pipeline.engines.vizdoom.game import BUTTONS, PROJECTILES, PUFF, SOUND_TICS, start
from pipeline.engines.vizdoom.scene import SOUND_HZ, TIC_HZ, GameScene
from pipeline.engines.vizdoom.telemetry import FRAMES, TOLD, Telemetry, TicReading

_NOTHING = [0.0] * len(BUTTONS)
_MIN_WARM_UP_TICS, _MAX_WARM_UP_TICS = 2 * TIC_HZ + 1, 4 * TIC_HZ
_LOOK_EVERY = 4
_TIC_SAMPLES = SOUND_HZ // TIC_HZ


def play(
    scene: GameScene, folder: Path, frames: NDArray[np.uint8]
) -> tuple[int, NDArray[np.int16], Telemetry]:
    """Warm up unseen, then record into `frames`, uint8 (T,H,W,3) of the file's size.

    Returns how many frames were drawn, the sound (N, 2), and the telemetry of every tic. Once the
    last frame is drawn, the player lets go of everything until its time is over.

    Pictures cost most of what a game costs. So a tic is drawn, and told of, where a frame shows it,
    or where a firearm may be fired; until the next such tic all stays as it was told.
    """
    rng = np.random.default_rng([scene.seed, 2])
    warm_up = int(rng.integers(_MIN_WARM_UP_TICS, _MAX_WARM_UP_TICS))
    agent = Agent(scene)
    num_heard_tics = scene.num_heard_tics
    is_framed = np.zeros(num_heard_tics, bool)
    frame_tics, num_tics = scene.frame_tics, scene.num_tics
    is_framed[frame_tics] = is_framed[-1] = True

    def is_drawn(tic: int) -> bool:
        if tic < 0:
            return (tic + warm_up) % _LOOK_EVERY == 0
        return bool(is_framed[tic]) or agent.may_fire(tic)

    sound: list[NDArray[np.int16]] = []
    rows: list[TicReading] = []
    trigger, num_frames, heard_tic = 0.0, 0, -1
    game = start(scene, folder)
    for tic in range(-warm_up, num_heard_tics):
        if is_drawn(tic):
            state = game.get_state()
            if state is None or game.is_player_dead():
                break
            agent.look(state)
            told = _told(state, agent)
            if tic >= 0:
                sound.append(_heard(state, tic - heard_tic))
                heard_tic = tic
                last = int(np.searchsorted(frame_tics, tic, "right"))
                frames[num_frames:last] = _seen(state, scene, tic)
                num_frames = last
        if tic >= 0:
            rows.append(told._replace(trigger=trigger))
        if tic == num_heard_tics - 1:
            break
        buttons = agent.act(tic, told) if tic < num_tics - 1 else _NOTHING
        trigger = buttons[BUTTONS.index(Button.ATTACK)]
        for at, command in scene.commands:
            if at == tic:
                game.send_game_command(command)
        game.set_action(buttons)
        game.advance_action(1, is_drawn(tic + 1))
    game.close()
    heard = np.concatenate(sound) if sound else np.zeros((0, 2), np.int16)
    return num_frames, heard, Telemetry.of(rows)


def _seen(state: GameState, scene: GameScene, tic: int) -> NDArray[np.uint8]:
    """What a frame shows, at the file's size, of which the engine's is a multiple."""
    on_map = any(first <= tic < last for first, last in scene.map_tics)
    seen = state.automap_buffer if on_map else state.screen_buffer
    assert seen is not None
    return np.asarray(
        cv2.resize(seen, tuple(scene.shown_size), interpolation=cv2.INTER_AREA), np.uint8
    )


def _heard(state: GameState, num_tics: int) -> NDArray[np.int16]:
    """Sound of the latest tics, each heard while what it leaves is shown."""
    assert state.audio_buffer is not None
    assert num_tics <= SOUND_TICS
    return np.array(state.audio_buffer[-num_tics * _TIC_SAMPLES :], np.int16)


def _told(state: GameState, agent: Agent) -> TicReading:
    assert state.game_variables is not None
    ammo, slot, damage_taken, x, y = state.game_variables.tolist()
    names = [thing.name for thing in state.objects or []]
    return TicReading(
        ammo=ammo,
        slot=slot,
        trigger=0.0,
        damage_taken=damage_taken,
        num_projectiles=sum(map(PROJECTILES.__contains__, names)),
        num_puffs=names.count(PUFF),
        reach=agent.reach,
        brightness=float(state.screen_buffer[::8, ::8].mean()),
        x=x,
        y=y,
    )


def main(scene_json: str, folder_name: str) -> None:
    """Entry point of the process; `told.npz` is written only when the engine survived."""
    folder = Path(folder_name)
    scene = GameScene(**json.loads(scene_json))
    width, height = scene.shown_size
    frames = np.lib.format.open_memmap(
        folder / FRAMES, "w+", np.uint8, (scene.num_frames, height, width, 3)
    )
    num_frames, sound, telemetry = play(scene, folder, frames)
    frames.flush()
    np.savez(folder / TOLD, num_frames=num_frames, sound=sound, **asdict(telemetry))


if __name__ == "__main__":
    main(*sys.argv[1:])
