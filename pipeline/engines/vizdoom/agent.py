"""A scripted player: walks where there is room, turns to monsters, fires in bursts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from vizdoom import Button, GameState

from pipeline.engines.vizdoom.game import BUTTONS, MONSTERS
from pipeline.engines.vizdoom.scene import TIC_HZ, GameScene
from pipeline.engines.vizdoom.telemetry import TRIGGER_TICS, TicReading

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
_READY_TICS = 3


@dataclass
class _Target:
    """A monster to aim at: its angle to the right of where the player looks, and its width."""

    bearing_deg: float
    width: float
    """A share of the width of the picture."""


class Agent:
    """Chooses the buttons of every tic from what it saw last; deterministic by scene.

    How it moves is the same however often it looks.
    """

    def __init__(self, scene: GameScene) -> None:
        self._scene = scene
        self._num_tics = scene.num_tics
        self._rng = np.random.default_rng([scene.seed, 1])
        self._fire_plan = np.zeros(scene.num_tics, bool)
        for first, last in scene.engagements:
            part = self._fire_plan[first:last]
            part[:] = _bursts(self._rng, len(part))
        self._room = np.zeros(_NUM_COLUMNS)
        self._target: _Target | None = None
        self._turn_deg = 0.0
        self._goal_deg = 0.0
        self._goal_tics = 0
        self._stands = False
        self._strafe = 0
        self._stuck_tics = 0
        self._place = (math.inf, math.inf)
        self._escape = 1.0 if self._rng.random() < 0.5 else -1.0

    def may_fire(self, tic: int) -> bool:
        """Whether it fires at a tic, has just done so, or is about to."""
        first, last = max(0, tic - TRIGGER_TICS), max(0, tic + _READY_TICS)
        return bool(self._fire_plan[first:last].any())

    def look(self, state: GameState) -> None:
        """See what the engine shows."""
        self._room = _room_by_column(state)
        self._target = self._seek(state) if self._scene.tracks_targets else None

    @property
    def reach(self) -> float:
        """How far the view reaches along the horizon (0 near, 255 far)."""
        return float(self._room.max())

    def act(self, tic: int, told: TicReading) -> list[float]:
        """Button values in the order of `game.BUTTONS`; tics below 0 are the warm-up.

        `told` is what the game told last.
        """
        pressed: dict[Button, float] = {}
        target = self._target
        is_aimed = target is not None and abs(target.bearing_deg) < _AIMED_DEG
        if target is None:
            self._explore((told.x, told.y), pressed)
        else:
            self._aim(target, pressed)
        self._choose_weapon(tic, pressed)
        if tic >= 0 and self._fire_plan[tic] and told.slot in self._scene.fired_slots:
            pressed[Button.ATTACK] = float(is_aimed or self._scene.fires_blindly)
        return [pressed.get(button, 0.0) for button in BUTTONS]

    def _seek(self, state: GameState) -> _Target | None:
        seen = [
            label
            for label in state.labels or []
            if label.object_name in MONSTERS and label.width * label.height > _MIN_TARGET_PIXELS
        ]
        if not seen:
            return None
        largest = max(seen, key=lambda label: label.width * label.height)
        across = (largest.x + largest.width / 2) / self._scene.width
        return _Target(self._bearing_deg(across), largest.width / self._scene.width)

    def _bearing_deg(self, across: float) -> float:
        """Angle to the right of the view's middle, of a place that is 0 left to 1 right in it."""
        half = math.tan(math.radians(self._scene.fov_deg / 2))
        return math.degrees(math.atan((2 * across - 1) * half))

    def _aim(self, target: _Target, pressed: dict[Button, float]) -> None:
        wanted = 0.5 * target.bearing_deg + self._rng.normal(0, 0.7)
        self._turn(wanted, pressed, smoothing=0.3)
        target.bearing_deg -= self._turn_deg
        if target.width < 0.2:
            pressed[Button.MOVE_FORWARD_BACKWARD_DELTA] = self._scene.pace
        self._sidestep(pressed)

    def _explore(self, place: tuple[float, float], pressed: dict[Button, float]) -> None:
        ahead = float(self._room[6:10].min())
        self._goal_tics -= 1
        if ahead < _CLEAR:
            self._goal_tics = min(self._goal_tics, _LATEST_TICS)
        if self._goal_tics <= 0:
            self._goal_deg = self._most_open_deg()
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
        self._break_free(place, pressed)

    def _most_open_deg(self) -> float:
        column = int(np.argmax(self._room * self._rng.uniform(0.5, 1, _NUM_COLUMNS)))
        return self._bearing_deg((column + 0.5) / _NUM_COLUMNS)

    def _break_free(self, place: tuple[float, float], pressed: dict[Button, float]) -> None:
        """Against something the depth buffer does not show: try a door, back off, turn."""
        moved = math.dist(place, self._place)
        self._place = place
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


def _room_by_column(state: GameState) -> np.ndarray:
    """Depth (0 near, 255 far) along the horizon in 16 columns, float64 (16,)."""
    depth = state.depth_buffer
    assert depth is not None
    height, width = depth.shape
    horizon = depth[height * 9 // 20 : height * 11 // 20, : width // _NUM_COLUMNS * _NUM_COLUMNS]
    columns = horizon.reshape(len(horizon), _NUM_COLUMNS, -1)
    return np.asarray(columns.mean(axis=(0, 2)), np.float64)
