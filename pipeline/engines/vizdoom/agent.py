"""A scripted player: walks where there is room, turns to monsters, fires in bursts."""

from __future__ import annotations

import math

import numpy as np
from vizdoom import Button, GameState, Label

from pipeline.engines.vizdoom.game import BUTTONS, MONSTERS
from pipeline.engines.vizdoom.scene import TIC_HZ, Scene

_NUM_COLUMNS = 16
_NEAR = 3.0
_CLEAR = 8.0
_AIMED_DEG = 6.0
_MIN_TARGET_PIXELS = 40
_STUCK_TICS = 10
_STUCK_SHARE = 0.05
# Until a wall ahead gives the player another goal; sooner, the view would tremble.
_LATEST_TICS = 8
_STANDING_SHARE = 0.6
_FIRST_WEAPON_TIC = -2 * TIC_HZ


class Agent:
    """Chooses the buttons of every tic from what the engine shows; deterministic by scene."""

    def __init__(self, scene: Scene, num_tics: int) -> None:
        self._scene = scene
        self._num_tics = num_tics
        self._rng = np.random.default_rng([scene.seed, 1])
        self._fire_plan = _bursts(self._rng, num_tics) if scene.shoots else np.zeros(num_tics)
        self._turn_deg = 0.0
        self._goal_deg = 0.0
        self._goal_tics = 0
        self._stands = False
        self._strafe = 0
        self._stuck_tics = 0
        self._position = (math.inf, math.inf)
        self._escape = 1.0 if self._rng.random() < 0.5 else -1.0

    def act(self, state: GameState, tic: int) -> list[float]:
        """Button values in the order of `game.BUTTONS`; tics below 0 are the warm-up."""
        pressed: dict[Button, float] = {}
        target = self._target(state) if self._scene.tracks_targets else None
        if target is None:
            self._explore(state, pressed)
        else:
            self._aim(state, target, pressed)
        self._choose_weapon(tic, pressed)
        if tic >= 0 and self._fire_plan[tic]:
            aimed = target is not None and abs(self._bearing_deg(state, target)) < _AIMED_DEG
            pressed[Button.ATTACK] = float(aimed or self._scene.fires_blindly)
        return [pressed.get(button, 0.0) for button in BUTTONS]

    def _target(self, state: GameState) -> Label | None:
        seen = [
            label
            for label in state.labels or []
            if label.object_name in MONSTERS and label.width * label.height > _MIN_TARGET_PIXELS
        ]
        return max(seen, key=lambda label: label.width * label.height, default=None)

    def _bearing_deg(self, state: GameState, target: Label) -> float:
        offset = (target.x + target.width / 2) / (self._scene.width / 2) - 1
        return math.degrees(math.atan(offset * math.tan(math.radians(self._scene.fov_deg / 2))))

    def _aim(self, state: GameState, target: Label, pressed: dict[Button, float]) -> None:
        wanted = 0.5 * self._bearing_deg(state, target) + self._rng.normal(0, 0.7)
        self._turn(wanted, pressed, smoothing=0.3)
        if target.width < 0.2 * self._scene.width:
            pressed[Button.MOVE_FORWARD_BACKWARD_DELTA] = self._scene.pace
        self._sidestep(pressed)

    def _explore(self, state: GameState, pressed: dict[Button, float]) -> None:
        room = room_by_column(state)
        ahead = float(room[6:10].min())
        self._goal_tics -= 1
        if ahead < _CLEAR:
            self._goal_tics = min(self._goal_tics, _LATEST_TICS)
        if self._goal_tics <= 0:
            self._goal_deg = self._most_open_deg(room)
            self._goal_tics = int(self._rng.integers(10, 40))
            self._stands = self._rng.random() < _STANDING_SHARE
        pressed[Button.MOVE_FORWARD_BACKWARD_DELTA] = 0.0 if self._stands else self._scene.pace
        if ahead < _NEAR:
            pressed[Button.MOVE_FORWARD_BACKWARD_DELTA] = 0.0
            self._turn(self._escape * self._scene.max_turn_deg, pressed, smoothing=0.4)
        else:
            self._turn(0.2 * self._goal_deg, pressed, smoothing=0.6)
            self._goal_deg -= self._turn_deg
        self._sidestep(pressed)
        self._break_free(state, pressed)

    def _most_open_deg(self, room: np.ndarray) -> float:
        column = int(np.argmax(room * self._rng.uniform(0.5, 1, len(room))))
        offset = (column + 0.5) / (len(room) / 2) - 1
        return math.degrees(math.atan(offset * math.tan(math.radians(self._scene.fov_deg / 2))))

    def _break_free(self, state: GameState, pressed: dict[Button, float]) -> None:
        """Against something the depth buffer does not show: try a door, back off, turn."""
        assert state.game_variables is not None
        x, y = state.game_variables[-2:]
        moved = math.dist((x, y), self._position)
        self._position = (float(x), float(y))
        still = moved < _STUCK_SHARE * self._scene.pace
        self._stuck_tics = self._stuck_tics + 1 if still and not self._stands else 0
        if self._stuck_tics > _STUCK_TICS:
            pressed[Button.USE] = float(self._stuck_tics % 12 == 0)
            backs_off = self._stuck_tics > 2 * _STUCK_TICS
            pressed[Button.MOVE_FORWARD_BACKWARD_DELTA] = -self._scene.pace if backs_off else 0.0
            self._turn(self._escape * self._scene.max_turn_deg, pressed, smoothing=0.4)

    def _sidestep(self, pressed: dict[Button, float]) -> None:
        if self._rng.random() < 0.03:
            self._strafe = int(self._rng.choice((-1, 0, 0, 0, 1)))
        if self._strafe:
            pressed[Button.MOVE_LEFT_RIGHT_DELTA] = self._strafe * self._scene.pace

    def _turn(self, wanted_deg: float, pressed: dict[Button, float], smoothing: float) -> None:
        most = self._scene.max_turn_deg
        limited = float(np.clip(wanted_deg, -most, most))
        self._turn_deg = smoothing * self._turn_deg + (1 - smoothing) * limited
        pressed[Button.TURN_LEFT_RIGHT_DELTA] = self._turn_deg

    def _choose_weapon(self, tic: int, pressed: dict[Button, float]) -> None:
        slots = self._scene.slots
        part = max(0, tic) * len(slots) // self._num_tics
        starts_at = -(-part * self._num_tics // len(slots))
        if tic == _FIRST_WEAPON_TIC or tic == starts_at > 0:
            pressed[BUTTONS[BUTTONS.index(Button.SELECT_WEAPON1) + slots[part] - 1]] = 1.0


def _bursts(rng: np.random.Generator, num_tics: int) -> np.ndarray:
    """Where the trigger is held, bool (N,): bursts with pauses long enough to be negatives."""
    held = np.zeros(num_tics, bool)
    start = int(rng.uniform(0.2, 1.8) * TIC_HZ)
    while start < num_tics:
        stop = start + int(rng.uniform(0.1, 1.1) * TIC_HZ)
        held[start:stop] = True
        start = stop + int(rng.uniform(0.6, 2.6) * TIC_HZ)
    return held


def room_by_column(state: GameState) -> np.ndarray:
    """Depth (0 near, 255 far) along the horizon in 16 columns, float64 (16,)."""
    depth = state.depth_buffer
    assert depth is not None
    height, width = depth.shape
    horizon = depth[height * 9 // 20 : height * 11 // 20, : width // _NUM_COLUMNS * _NUM_COLUMNS]
    columns = horizon.reshape(len(horizon), _NUM_COLUMNS, -1)
    return np.asarray(columns.mean(axis=(0, 2)), np.float64)
