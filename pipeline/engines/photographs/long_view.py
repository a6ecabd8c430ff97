"""What a camera sees of a photograph over minutes: somebody walks, stands, and looks around."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.photographs.view import AHEAD_M, WALK_M_S, PhotographView, Zooming
from pipeline.engines.render.appearance.lens import Lens
from pipeline.engines.render.gaze import Gaze
from pipeline.engines.render.motion import Mount, Movement
from pipeline.engines.render.surround import Surround

Array = NDArray[np.float32]
Vector = NDArray[np.float64]

_SPREAD_RAD, _FLAT_SPREAD_RAD = 0.9, 0.07
_STILL_SHARE, _WALKER_SHARE, _WALK_SHARE = 0.4, 0.65, 0.6
"""Of standing cameras that never pan, of carried ones that walk, of the time between turns."""
_SHORTEST_WALK_S = 2.5
_ZOOM_SHARE, _ZOOMS_S, _ZOOM_EVERY_S = 0.35, (1.0, 5.0), (6.0, 25.0)
_BACK_S = 0.9
_LEAST_AHEAD = np.float32(0.05)


@dataclass(frozen=True)
class Zooms:
    """A scale of the picture that goes from one of `scales` to the next between `times_s`."""

    times_s: tuple[float, ...]
    scales: tuple[float, ...]

    @property
    def first(self) -> float:
        """The scale at the start."""
        return self.scales[0]

    @property
    def last(self) -> float:
        """The largest scale."""
        return max(self.scales)

    def at(self, time_s: float) -> float:
        """Return the scale at a time in seconds, 1 for the field of view of the lens."""
        return float(np.exp(np.interp(time_s, self.times_s, np.log(self.scales))))


class LongView(PhotographView):
    """What one camera of a fleet sees of a photograph over minutes, about a heading.

    It turns now and then and holds still in between; who walks stops before a turn. A walk is
    a zoom, which the turn takes back.
    """

    @cached_property
    def _surround(self) -> Surround:
        width, height = self._format.width, self._format.height
        return Surround(self._all_round, self._lens, width, height, self._most_zoom)

    def radiance(self, start_s: float, exposure_s: float) -> Array:
        """Return the mean radiance (H, W, 3) of an exposure, whose rows are read one by one."""
        height, zoom = self._format.height, self._zoom.at(start_s)
        rows_s = start_s + self.readout_s * np.arange(height) / height
        num_samples = self._num_samples(start_s, exposure_s, zoom)
        turns = [
            self._motion.camera(rows_s + exposure_s * (number + 0.5) / num_samples)[0]
            for number in range(num_samples)
        ]
        return self._surround.radiance(turns, [(0.5, 0.5)] * num_samples, zoom)

    def _all_round(self, lens: Lens, size: int, turn: Vector) -> Array:
        x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
        rays = (lens.directions(x, y) @ turn.T).astype(np.float32)
        if self._source.is_flat:
            rays[..., 1] = np.maximum(rays[..., 1], _LEAST_AHEAD)
        return self._picture.radiance(rays)

    def _draw_movement(self, rng: np.random.Generator, mount: Mount, duration_s: float) -> Movement:
        flat = self._source.is_flat
        gaze = Gaze(rng, 0.0, _FLAT_SPREAD_RAD if flat else _SPREAD_RAD)
        if mount.where != "fixed" or rng.random() >= _STILL_SHARE:
            gaze.around(duration_s, home=0.0 if flat else None)
        walks: list[tuple[float, float]] = []
        if mount.where != "fixed" and rng.random() < _WALKER_SHARE:
            ends = [0.0, *(one.end_s for one in gaze.turns)]
            starts = [*(one.start_s for one in gaze.turns), duration_s]
            walks = [
                (start_s, end_s)
                for start_s, end_s in zip(ends, starts, strict=True)
                if end_s - start_s > _SHORTEST_WALK_S and rng.random() < _WALK_SHARE
            ]
        return Movement(
            start=(0.0, 0.0),
            heading=0.0,
            speed=float(rng.uniform(*WALK_M_S)) if walks else 0.0,
            steadiness=float(np.exp(rng.normal(0, 0.35))),
            turns=tuple(gaze.turns),
            walks_s=tuple(walks),
        )

    def _draw_zoom(self, rng: np.random.Generator, duration_s: float) -> Zooming:
        most, points = self._most_zoom, [(0.0, 1.0)]
        if self._movement.walks_s:
            for start_s, end_s in self._movement.walks_s:
                ahead_m = np.exp(rng.uniform(*np.log(AHEAD_M)))
                scale = min(most, float(np.exp(self._movement.speed * (end_s - start_s) / ahead_m)))
                points += [(start_s, 1.0), (end_s, scale), (end_s + _BACK_S, 1.0)]
        elif rng.random() < _ZOOM_SHARE:
            time_s, scale = 0.0, 1.0
            while (time_s := time_s + float(rng.uniform(*_ZOOM_EVERY_S))) < duration_s:
                points.append((time_s, scale))
                scale = float(np.exp(rng.uniform(0, np.log(most))))
                time_s += float(rng.uniform(*_ZOOMS_S))
                points.append((time_s, scale))
        times_s, scales = zip(*points, strict=True)
        return Zooms(times_s, scales)
