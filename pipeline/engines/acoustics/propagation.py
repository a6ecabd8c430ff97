"""From a source to the microphone: straight, by mirrored images, and by what is left after them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pipeline.engines.acoustics.air import Air
from pipeline.engines.acoustics.blast import directivity, weak_shock
from pipeline.engines.acoustics.room import Facade, Room
from pipeline.engines.acoustics.signals import OCTAVES_HZ, RATE_HZ, Vector, add, num_samples

_KERNEL = 256
"""Samples of the filter that a path is."""
_ORDER = 4
"""Most walls that an image is mirrored in; what comes later is in the late part."""
_NEAREST_M = 0.15
_LATE_ONSET_S = 0.008
_SCATTER_M = 10.0
_WALL_GAIN, _WALL_HZ = 0.25, 150.0
_INSIDE_LATE = 0.7
_LEAK = 0.35
_OUTSIDE = Room("outside", 0.5, ground=0.8)
_GROUND_SHARES = np.array([1, 1, 1, 0.95, 0.9, 0.8, 0.65])
_FACADE_SHARES = np.array([0.95, 1, 1, 1, 0.95, 0.85, 0.7])


@dataclass(frozen=True)
class SoundSource:
    """Where a sound comes from and where to it goes."""

    offset_m: Vector
    """Place (3,) seen from the microphone: right (x), ahead (y), up (z)."""
    aim: Vector | None = None
    """Unit vector (3,) of the line of fire of a muzzle; None sounds alike all round."""
    is_shock: bool = False
    """Whether it is so strong a blast that it loses more on the way than 1 / r."""


@dataclass(frozen=True)
class _Paths:
    """Ways from a source to the microphone, the straight one first; (N, 3), (N,), (N, F)."""

    images_m: Vector
    departures: Vector
    gains: Vector

    @property
    def lengths_m(self) -> Vector:
        return np.maximum(np.linalg.norm(self.images_m, axis=1), _NEAREST_M)


@dataclass(frozen=True)
class Space:
    """A room with its air, a microphone in it, and its own late part."""

    room: Room
    air: Air
    height_m: float
    """Of the microphone above the ground."""
    late: Vector
    around: Space | None = None

    @classmethod
    def of(cls, room: Room, air: Air, height_m: float, rng: np.random.Generator) -> Space:
        """A space whose late part is drawn once, since a room does not change."""
        around = None if room.around is None else cls.of(room.around, air, height_m, rng)
        return cls(room, air, height_m, late_part(rng, room), around)

    def response(self, source: SoundSource) -> Vector:
        """Pressure at the microphone of an impulse of 1 Pa at 1 m from the source.

        The first sample is when the impulse is sent. Early paths carry the loss of their own
        length of air; the late part that of the straight path. What lies outside a box is heard
        through its walls.
        """
        if not self.room.encloses(source.offset_m):
            return self._through_walls(source)
        paths = self._paths(source.offset_m)
        lengths = paths.lengths_m
        gains = 1 / lengths
        if source.aim is not None:
            gains = gains * directivity(paths.departures @ source.aim)
        if source.is_shock:
            gains = gains * weak_shock(lengths)
        delays = lengths / self.air.speed_m_s * RATE_HZ
        tail = self._late_gain(lengths[0], source) * self._through_air(lengths[0])
        first = int(delays[0])
        out = np.zeros(max(int(delays.max()) + _KERNEL, first + len(tail)) + 1)
        spectra = gains[:, None] * paths.gains * self.air.gain(_frequencies(), lengths[:, None])
        whole = np.floor(delays).astype(int)
        late_by = (delays - whole + _KERNEL // 2)[:, None]
        spectra = spectra * np.exp(-2j * np.pi * _frequencies() / RATE_HZ * late_by)
        for kernel, start in zip(fft.irfft(spectra, _KERNEL), whole.tolist(), strict=True):
            add(out, kernel, start - _KERNEL // 2)
        if len(tail):
            # Nothing is late before the first reflections have had time to arrive.
            if self.room.size_m is not None:
                path_s = self.room.mean_path_m / self.air.speed_m_s
                since = np.arange(len(tail)) / RATE_HZ + lengths[0] / self.air.speed_m_s
                onset = np.clip(since / (_ORDER * path_s), 0, 1) ** 2
            else:
                onset = -np.expm1(-np.arange(len(tail)) / RATE_HZ / _LATE_ONSET_S)
            add(out, tail * onset, first)
        if self.around is not None:
            # Through open windows, out and back: without the straight path.
            back = self.around.response(source)
            back[: first + _KERNEL] = 0
            longer = np.zeros(max(len(out), len(back)))
            add(longer, out, 0)
            add(longer, _LEAK * back, 0)
            return longer
        return out

    def scattered(self, distance_m: float) -> float:
        """Pressure of the late part as a share of what arrives straight from a distance."""
        plain = SoundSource(np.array([0.0, distance_m, 0.0]))
        return self._late_gain(distance_m, plain) * distance_m

    def _through_walls(self, source: SoundSource) -> Vector:
        around = self.around or Space(_OUTSIDE, self.air, self.height_m, np.zeros(0))
        outside = around.response(source)
        length = fft.next_fast_len(len(outside) + len(self.late), real=True)
        # Mass law: a wall lets less through by 6 dB an octave.
        frequency = np.fft.rfftfreq(length, 1 / RATE_HZ)
        wall = _WALL_GAIN / np.sqrt(1 + (frequency / _WALL_HZ) ** 2)
        inside = _INSIDE_LATE * fft.rfft(self.late, length)
        return np.asarray(fft.irfft(fft.rfft(outside, length) * wall * (1 + inside), length))

    def _through_air(self, distance_m: float) -> Vector:
        """The late part as the air of a distance dulls it."""
        count = len(self.late)
        if not count:
            return self.late
        length = fft.next_fast_len(count, real=True)
        frequency = np.fft.rfftfreq(length, 1 / RATE_HZ)
        spectrum = fft.rfft(self.late, length) * self.air.gain(frequency, distance_m)
        return np.asarray(fft.irfft(spectrum, length)[:count])

    def _late_gain(self, distance_m: float, source: SoundSource) -> float:
        """Root of the energy of the late part, of a source of 1 Pa at 1 m."""
        if self.room.size_m is not None:
            energy = self.room.diffuse_energy()
            # What left the source before the listener's distance was passed has decayed since.
            decayed = 13.8 * distance_m / self.air.speed_m_s / self.room.rt60_s
            energy *= np.exp(-decayed)
        else:
            # Between walls and trees what scatters thins out as 1 / r in energy, not as 1 / r².
            energy = self.room.scattering**2 / (_SCATTER_M * max(distance_m, 1.0))
        gain = np.sqrt(energy)
        if source.aim is not None:
            gain *= _mean_directivity()
        if source.is_shock:
            gain *= float(weak_shock(max(distance_m, _SCATTER_M)))
        return float(gain)

    def _paths(self, offset_m: Vector) -> _Paths:
        if self.room.size_m is None:
            return _open_paths(self.room, offset_m, self.height_m)
        return _box_paths(self.room, offset_m, self.height_m)


def late_part(rng: np.random.Generator, room: Room) -> Vector:
    """Noise (N,) that decays in each octave as a room's does; none where nothing answers.

    Its energy is that of an impulse at 500 Hz, and less in octaves that decay faster.
    """
    if room.size_m is None and room.scattering == 0:
        return np.zeros(0)
    count = num_samples(1.3 * float(room.decays_s.max()))
    length = fft.next_fast_len(count, real=True)
    spectrum = fft.rfft(rng.standard_normal(length))
    frequency = np.log2(np.maximum(np.fft.rfftfreq(length, 1 / RATE_HZ), 1.0))
    centres = np.log2(OCTAVES_HZ)
    time_s = np.arange(count) / RATE_HZ
    late = np.zeros(count)
    for number, decay in enumerate(room.decays_s.tolist()):
        # Octaves cross over within half an octave to either side; the outer ones go on.
        share = np.clip(1 - np.abs(frequency - centres[number]), 0, 1)
        if number == 0:
            share = np.where(frequency < centres[0], 1.0, share)
        if number == len(centres) - 1:
            share = np.where(frequency > centres[-1], 1.0, share)
        late += fft.irfft(spectrum * np.sqrt(share), length)[:count] * 10 ** (-3 * time_s / decay)
    return np.asarray(late * np.sqrt(13.8 / (room.rt60_s * RATE_HZ)))


def _box_paths(room: Room, offset_m: Vector, height_m: float) -> _Paths:
    """Images of a source in a box (Allen and Berkley, 1979), mirrored up to `_ORDER` times."""
    size, listener = room.holding(offset_m, height_m)
    source = listener + offset_m
    parity, cell = _box_orders()
    images = (1 - 2 * parity) * source + 2 * cell * size - listener
    count = np.abs(2 * cell - parity).sum(axis=1)
    # A ray that is mirrored an odd number of times along an axis left the other way along it.
    departures = -images * (1 - 2 * parity)
    departures /= np.maximum(np.linalg.norm(departures, axis=1, keepdims=True), 1e-9)
    gains = room.wall_gain(_frequencies())[None] ** count[:, None]
    return _Paths(images, departures, gains)


@cache
def _box_orders() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    reach = np.arange(-_ORDER // 2, _ORDER // 2 + 1)
    grid = np.meshgrid(*([np.arange(2)] * 3), *([reach] * 3), indexing="ij")
    both = np.stack([one.ravel() for one in grid], axis=1)
    parity, cell = both[:, :3], both[:, 3:]
    order = np.abs(2 * cell - parity).sum(axis=1)
    kept = np.flatnonzero(order <= _ORDER)
    kept = kept[np.argsort(order[kept], kind="stable")]
    return parity[kept], cell[kept]


def _open_paths(room: Room, offset_m: Vector, height_m: float) -> _Paths:
    """The straight path, facades once and twice, and each of them by the ground too."""
    chains: list[tuple[Vector, tuple[Facade, ...]]] = [(offset_m, ())]
    for _ in range(2):
        chains += [
            (found, (*chain, facade))
            for image, chain in chains
            for facade in room.facades
            if facade not in chain and (found := _mirrored(image, facade)) is not None
        ]
    chains = list({chain: (image, chain) for image, chain in chains}.values())
    images, departures, gains = [], [], []
    facade_gain, ground_gain = _octaves(_FACADE_SHARES), room.ground * _octaves(_GROUND_SHARES)
    for image, chain in chains:
        gain = np.ones(len(_frequencies()))
        # The way it left the source is the way back, mirrored in each facade that it met.
        departure = -image
        for facade in reversed(chain):
            gain = gain * facade.reflection * facade_gain
            departure = departure - 2 * float(departure @ facade.normal) * facade.normal
        images += [image, np.array([image[0], image[1], -2 * height_m - image[2]])]
        departures += [departure, departure * np.array([1, 1, -1])]
        gains += [gain, gain * ground_gain]
    ways = np.array(departures)
    ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-9)
    return _Paths(np.array(images), ways, np.array(gains))


def _mirrored(image: Vector, facade: Facade) -> Vector | None:
    """The image of an image behind a facade; None where that lies behind the facade already."""
    ahead = float(image @ facade.normal)
    if ahead >= facade.distance_m:
        return None
    return np.asarray(image + 2 * (facade.distance_m - ahead) * facade.normal)


def _octaves(shares: Vector) -> Vector:
    """Shares in octaves at the frequencies of a kernel."""
    return np.interp(np.log(np.maximum(_frequencies(), 1)), np.log(OCTAVES_HZ), shares)


@cache
def _frequencies() -> Vector:
    return np.asarray(np.fft.rfftfreq(_KERNEL, 1 / RATE_HZ), np.float64)


@cache
def _mean_directivity() -> float:
    """Root of the mean power of a muzzle's blast over all directions."""
    return float(np.sqrt(np.mean(directivity(np.linspace(-1, 1, 2001)) ** 2)))
