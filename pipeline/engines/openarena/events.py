"""What the game printed about its events, and the part of a match that follows from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLLOWED = 1
"""Number of the player whose eyes the camera has; 0 is the spectator who records."""

_EVENT = re.compile(r"ent:\s*(\d+)\s+event:\s*\d+ (\w+)")
_FIRE = "EV_FIRE_WEAPON"
_IMPACTS = frozenset(("EV_BULLET_HIT_FLESH", "EV_BULLET_HIT_WALL", "EV_SHOTGUN"))
_OTHER_WEAPONS = re.compile(
    r"EV_(MISSILE_\w+|GRENADE_\w+|RAILTRAIL|PROXIMITY_\w+|LIGHTNINGBOLT|KAMIKAZE)"
)
_AT_ONCE_S = 0.2
_CALM_S = 0.5
_DEATH_S = 4.0
_ARRIVAL_S = 2.0
# As long as `footage.labels` gives a discharge to be over, echo and all.
_ECHO_S = 2.0
_QUIET_S = 8.0


@dataclass(frozen=True)
class FrameEvents:
    """One value a frame of the film, bool (T,) each, of everything near enough to be seen.

    `own_fire` is the followed player's, `other_fire` that of anybody else, `impact` a hit of
    what a firearm fired. `other_weapon` is an attack with what is no firearm: with the map's
    launchers gone, a blow of the gauntlet, which the game tells as a weapon fired too. `death`
    is the followed player's.
    """

    own_fire: NDArray[np.bool_]
    other_fire: NDArray[np.bool_]
    impact: NDArray[np.bool_]
    other_weapon: NDArray[np.bool_]
    death: NDArray[np.bool_]

    @property
    def fire(self) -> NDArray[np.bool_]:
        """Frames in which a firearm is discharged by anybody."""
        return self.own_fire | self.other_fire

    @property
    def discharge(self) -> NDArray[np.bool_]:
        """`fire` without blows, and what is fired in the frame of one only where that is known.

        It is of the followed player, if a bullet strikes in the very frame.
        """
        return (self.own_fire & self.impact) | (self.fire & ~self.other_weapon)

    def __len__(self) -> int:
        return len(self.own_fire)


def read(printed: str) -> FrameEvents:
    """Read the output of a game with `cg_debugEvents` and `com_speeds`.

    Each frame ends with a line of `com_speeds`; the first precedes the first frame of the film.
    """
    rows: list[tuple[bool, bool, bool, bool, bool]] = []
    events: list[tuple[int, str]] = []
    for line in printed.splitlines():
        if event := _EVENT.match(line):
            events.append((int(event[1]), event[2]))
        elif line.startswith("frame:"):
            rows.append(_row(events))
            events = []
    return FrameEvents(*np.array(rows[1:], bool).reshape(-1, 5).T)


def _row(events: list[tuple[int, str]]) -> tuple[bool, bool, bool, bool, bool]:
    return (
        any(what == _FIRE and who == FOLLOWED for who, what in events),
        any(what == _FIRE and who != FOLLOWED for who, what in events),
        any(what in _IMPACTS for _, what in events),
        any(_OTHER_WEAPONS.fullmatch(what) for _, what in events),
        any(what.startswith("EV_DEATH") and who == FOLLOWED for who, what in events),
    )


def windows(
    timeline: FrameEvents, fps: float, num_frames: int, *, shoots: bool
) -> NDArray[np.int64]:
    """First frames of all parts of `num_frames` frames that can be labelled, int64 (N,).

    With `shoots` the followed player fires, and whoever else does, does it within 0.2 s of one
    of the player's own discharges, lest a part show only those that are far or hidden. Without,
    nobody fires and nothing is hit, in it or in the half second before. No part shows another
    weapon's attack, or the view of a player who is dead.
    """
    if len(timeline) < num_frames:
        return np.empty(0, np.int64)
    own, other = timeline.own_fire, timeline.other_fire
    unfit = timeline.other_weapon | _spread(timeline.death, fps, 0, _DEATH_S)
    unfit[: round(_ARRIVAL_S * fps)] = True
    if not shoots:
        unfit |= _spread(timeline.fire | timeline.impact, fps, 0, _CALM_S)
        return np.flatnonzero(_sums(unfit, num_frames) == 0)
    unfit |= other & ~_spread(own, fps, _AT_ONCE_S, _AT_ONCE_S)
    fits = _sums(unfit, num_frames) == 0
    before_the_end = max(1, num_frames - round(_CALM_S * fps))
    fits &= _sums(own, before_the_end)[: len(fits)] > 0
    # At its ends the part could show another's discharge and leave out the player's own.
    end = min(num_frames, max(1, round(_AT_ONCE_S * fps)))
    others = _sums(other, end) > 0
    fits &= ~(others[: len(fits)] | others[num_frames - end :])
    return np.flatnonzero(fits)


def long_windows(
    timeline: FrameEvents, fps: float, num_frames: int, *, shoots: bool
) -> NDArray[np.int64]:
    """First frames of all parts of `num_frames` frames, minutes long, that can be labelled.

    Every stretch of such a part has a label of its own, so what is fired in any of its frames has
    to be known, and whatever was fired before it is over. With `shoots` the followed player alone
    may have a firearm, and fires it before and after eight seconds or more of quiet; without,
    nobody does. A shot of anybody else, a hit of what nobody is told to have fired, or a
    weapon fired of which nobody can say whether it was the gauntlet, is in no part.
    """
    if len(timeline) < num_frames:
        return np.empty(0, np.int64)
    own = timeline.own_fire & timeline.discharge
    unfit = timeline.other_fire & ~timeline.other_weapon
    if shoots:
        unfit |= timeline.own_fire & ~own
        unfit |= timeline.impact & ~_spread(own, fps, _AT_ONCE_S, _AT_ONCE_S)
    else:
        unfit |= own | timeline.impact
    fired = own | unfit
    unfit[: round(_ARRIVAL_S * fps)] = True
    fits = _sums(unfit, num_frames) == 0
    fits &= ~_spread(fired, fps, 0, _ECHO_S)[: len(fits)]
    if shoots:
        before = np.concatenate([[False], _spread(own, fps, 0, _QUIET_S)[:-1]])
        shots = np.append(np.flatnonzero(own), len(own))
        engagements = np.append(-1, np.flatnonzero(own & ~before))
        starts = np.arange(len(fits))
        ends = starts + max(1, num_frames - round(_CALM_S * fps))
        first_shot = shots[np.searchsorted(shots, starts)]
        fits &= engagements[np.searchsorted(engagements, ends) - 1] > first_shot
    return np.flatnonzero(fits)


def _spread(
    happens: NDArray[np.bool_], fps: float, before_s: float, after_s: float
) -> NDArray[np.bool_]:
    """Frames from `before_s` before to `after_s` after those in which something happens."""
    before, after = round(before_s * fps), round(after_s * fps)
    near = np.convolve(happens, np.ones(before + after + 1))
    return np.asarray(near[before : before + len(happens)] > 0)


def _sums(happens: NDArray[np.bool_], num_frames: int) -> NDArray[np.int64]:
    """How often something happens in `num_frames` frames from each first frame on."""
    totals = np.concatenate([[0], np.cumsum(happens)])
    return np.asarray(totals[num_frames:] - totals[:-num_frames])
