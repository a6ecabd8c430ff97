"""Long recordings: somebody stands for minutes, looks around, and sees what happens."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.engines.render.gaze import LONGEST_TURN_S, Gaze
from pipeline.engines.render.motion import Movement
from pipeline.engines.render.script import DesignCell, Script, write_episode

Vector = NDArray[np.float64]

SHORTEST_S = 20.0
"""Of a recording that has room for an episode and for turning to it and away."""
_FIRING_SHARE = 0.6
_EVERY_S = 32.0
_CLEAR_S = 6.0
"""Between an episode and the ends of the time that each has for itself."""
_LASTS_S = 1.6, 2.8
_SPREAD_RAD = 0.9
_AWAY_RAD = 1.8, np.pi
_PERSON_M, _MIDDLE_M, _EYE_M = 0.9, 0.95, 1.4
_UP = np.array((0.0, 0.0, 1.0))
_MARGIN_RAD = 0.06
_STEADINESS = 0.35, 1.2
_NUM_TRIES = 24


@dataclass(frozen=True)
class Episode:
    """Something that happens before a camera which turns to it and away again.

    The view arrives at `start_s`, which is time 0 of the `script`, and turns away when that ends;
    between `from_s` and `to_s` the people of the script are there.
    """

    start_s: float
    from_s: float
    to_s: float
    script: Script


@dataclass(frozen=True)
class LongScript:
    """One long recording's truth; times in seconds from its start."""

    place: Script
    """Gives the scene; what it says of people does not happen."""
    episodes: tuple[Episode, ...]

    @property
    def discharges_s(self) -> tuple[float, ...]:
        """Start times of all discharges, in order."""
        found = [e.start_s + t for e in self.episodes for t in e.script.discharges_s]
        return tuple(round(time_s, 4) for time_s in sorted(found))

    def room_light(self, times_s: ArrayLike) -> Vector:
        """Return the factor (N,) on what the scene's own lamps light, as somebody switches them."""
        times = np.asarray(times_s, float)
        factors = [one.script.room_light(times - one.start_s) for one in self.episodes]
        return np.asarray(np.prod(factors, axis=0))

    @property
    def recording(self) -> str:
        """Its name, which is that of its file too."""
        return f"{self.place.engine.replace(' ', '-')}-{self.place.index:05d}"


def cell_of(index: int) -> DesignCell:
    """Return the cell of a long recording: scenes and fleets in turn, three of five with fire."""
    return DesignCell(scene=2 * index % 7, firing=index % 5 in (0, 2, 3), block=index // 7)


def draw_fires(rng: np.random.Generator, place: Script) -> list[bool]:
    """Draw of each episode of a long recording, which share its time evenly, whether it fires."""
    count = max(1, int(place.duration_s / _EVERY_S))
    fires = rng.random(count) < _FIRING_SHARE
    fires[rng.integers(count)] = True
    return [bool(place.cell.firing and one) for one in fires]


def write_watched(place: Script, half_rad: float) -> tuple[LongScript, Movement]:
    """Draw what happens at a place over a long recording, and how its camera moves.

    Nobody is in sight when people come and when they leave.

    Args:
        place: the scene, and a bystander who carries the camera.
        half_rad: how far from its axis the camera sees.
    """
    rng = place.rng("looks")
    fires = draw_fires(rng, place)
    every_s = place.duration_s / len(fires)
    gaze = Gaze(rng, place.movement.heading, _SPREAD_RAD)
    # A photograph has something to see on every side; a scene has it where its wearer faces.
    home = None if place.plan.backdrop is not None else place.movement.heading
    episodes: list[Episode] = []
    for number, firing in enumerate(fires):
        lasts_s = float(rng.uniform(*_LASTS_S))
        first_s = number * every_s + _CLEAR_S
        start_s = float(rng.uniform(first_s, first_s + every_s - 2 * _CLEAR_S - lasts_s))
        script = write_episode(place, number, lasts_s, firing=firing, bystander=True)
        before, after = (_away_from(rng, script, half_rad) for _ in range(2))
        heading = script.movement.heading
        to_s, back_s = (gaze.turn_s(one - heading) for one in (before, after))
        gaze.around(start_s - 2 * LONGEST_TURN_S, home)
        gaze.turn_to(before, start_s - 2 * LONGEST_TURN_S, LONGEST_TURN_S)
        gaze.turn_to(heading, start_s - to_s, to_s)
        gaze.turn_to(after, start_s + lasts_s, back_s)
        episodes.append(Episode(start_s, start_s - to_s, gaze.time_s, script))
    gaze.around(place.duration_s, home)
    startles = [e.start_s + t for e in episodes for t in e.script.movement.startles_s]
    movement = replace(
        place.movement,
        speed=0.0,
        look_deg=0.0,
        duck_s=None,
        steadiness=float(rng.uniform(*_STEADINESS)),
        startles_s=tuple(startles),
        turns=tuple(gaze.turns),
        pivots=True,
    )
    return LongScript(place, tuple(episodes)), movement


def people_at(script: Script, time_s: float) -> list[Vector]:
    """Return the middles (3,) of a script's people at a time of it."""
    return [actor.place(time_s) + _MIDDLE_M * _UP for actor in script.actors]


def is_in_sight(
    point: Vector, radius_m: float, view: tuple[Vector, Vector], half_rad: float
) -> bool:
    """Tell whether a camera may see any of a ball.

    Args:
        point: its middle (3,).
        radius_m: of the ball.
        view: direction (3,) of the camera's axis, and its place (3,).
        half_rad: how far from its axis it sees.
    """
    ahead, eye = view
    offset = point - eye
    away = float(np.linalg.norm(offset))
    if away <= radius_m:
        return True
    off_axis = np.arccos(np.clip(offset @ ahead / away, -1, 1))
    return bool(off_axis - np.arcsin(radius_m / away) < half_rad + _MARGIN_RAD)


def _away_from(rng: np.random.Generator, script: Script, half_rad: float) -> float:
    """Draw a heading from which nobody of a script is seen, or the one opposite to them."""
    heading, eye = script.movement.heading, np.array((*script.movement.start, _EYE_M))
    people = [
        point
        for time_s in (-LONGEST_TURN_S, script.duration_s + LONGEST_TURN_S)
        for point in people_at(script, time_s)
    ]
    for _ in range(_NUM_TRIES):
        away = heading + float(rng.choice([-1, 1]) * rng.uniform(*_AWAY_RAD))
        view = np.array((-np.sin(away), np.cos(away), 0.0)), eye
        if not any(is_in_sight(point, _PERSON_M, view, half_rad) for point in people):
            return away
    return heading + np.pi
