"""Fingerprints of sound: Chromaprint's default algorithm, in numpy, and the same of a narrow band.

Chromaprint is the fingerprint of AcoustID, by Lukáš Lalinský; its tool `fpcalc` writes the same
strings. It is written again here because no package that pip can install brings its library, which
elsewhere comes with the whole of a second FFmpeg, to be loaded into the process that reads foreign
files. How it works is told in "How does Chromaprint work?" (oxygene.sk, 2011); the filters and
thresholds, which were learned, are those of `fingerprinter_configuration.cpp`,
CHROMAPRINT_ALGORITHM_TEST2.

Telephones, small loudspeakers and rooms leave little of the lowest notes, which Chromaprint counts
like all others. So the notes of a narrow band are counted apart, by the same filters: items that
nobody else makes.
"""

from __future__ import annotations

import base64
from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 11_025
ITEM_SAMPLES = 4096 // 3
"""From one item of a fingerprint to the next: 0.124 s."""
ITEM_S = ITEM_SAMPLES / RATE_HZ
NARROW_HZ = (440, 3300)
"""The notes that narrow items are of, within those of a telephone."""

_FRAME = 4096
_NUM_NOTES = 12
_WHOLE_HZ, _BASE_HZ = (28, 3520), 440 / 16
_SMOOTHING = (0.25, 0.75, 1.0, 0.75, 0.25)
_LEAST_NORM = 0.01
_SAMPLES_AT_ONCE = 30 * RATE_HZ
_GRAY = np.array([0, 1, 3, 2], np.uint32)
_ALGORITHM = 1
_MOST_PLAIN = 7
# Of each two bits: which parts of a rectangle are compared, its lowest note, its notes, its rows
# in time, and the thresholds of the logarithm of their ratio.
_FILTERS = (
    (0, 4, 3, 15, (1.98215, 2.35817, 2.63523)),
    (4, 4, 6, 15, (-1.03809, -0.651211, -0.282167)),
    (1, 0, 4, 16, (-0.298702, 0.119262, 0.558497)),
    (3, 8, 2, 12, (-0.105439, 0.0153946, 0.135898)),
    (3, 4, 4, 8, (-0.142891, 0.0258736, 0.200632)),
    (4, 0, 3, 5, (-0.826319, -0.590612, -0.368214)),
    (1, 2, 2, 9, (-0.557409, -0.233035, 0.0534525)),
    (2, 7, 3, 4, (-0.0646826, 0.00620476, 0.0784847)),
    (2, 6, 2, 16, (-0.192387, -0.029699, 0.215855)),
    (2, 1, 3, 2, (-0.0397818, -0.00568076, 0.0292026)),
    (5, 10, 1, 15, (-0.53823, -0.369934, -0.190235)),
    (3, 6, 2, 10, (-0.124877, 0.0296483, 0.139239)),
    (2, 1, 1, 14, (-0.101475, 0.0225617, 0.231971)),
    (3, 5, 6, 4, (-0.0799915, -0.00729616, 0.063262)),
    (1, 9, 2, 12, (-0.272556, 0.019424, 0.302559)),
    (3, 4, 2, 14, (-0.164292, -0.0321188, 0.0846339)),
)
_WIDEST = max(rows for _, _, _, rows, _ in _FILTERS)
SPAN_S = (_FRAME + (_WIDEST + len(_SMOOTHING) - 2) * ITEM_SAMPLES) / RATE_HZ
"""Seconds of sound that an item is of, from its beginning on."""

Band = tuple[int, int]
"""From and up to which frequency notes are counted, in Hz."""


class Chromaprint:
    """Makes the fingerprint of sound that comes piece by piece, and holds half a minute of it."""

    def __init__(self) -> None:
        self._held = np.zeros(0)
        self._notes: dict[Band, list[NDArray[np.float64]]] = {_WHOLE_HZ: [], NARROW_HZ: []}

    def add(self, samples: NDArray[np.float64]) -> None:
        """Go on with samples, float64 (n,) in −1 to 1 at `RATE_HZ`."""
        self._held = np.concatenate([self._held, samples])
        while self._held.size >= _SAMPLES_AT_ONCE:
            self._take(self._held[:_SAMPLES_AT_ONCE])

    def items(self) -> NDArray[np.uint32]:
        """The fingerprint of all samples.

        Returns:
            uint32 (n,), an item for every `ITEM_SAMPLES` and none for the last 2.6 seconds: item i
            is of the 2.7 seconds that begin with sample `i * ITEM_SAMPLES`.
        """
        return self._items_of(_WHOLE_HZ)

    def narrow_items(self) -> NDArray[np.uint32]:
        """The fingerprint, uint32 (n,) as of `items`, of what lies between `NARROW_HZ` alone."""
        return self._items_of(NARROW_HZ)

    def _items_of(self, band: Band) -> NDArray[np.uint32]:
        self._take(self._held)
        notes = np.concatenate([np.zeros((0, _NUM_NOTES)), *self._notes[band]])
        num_rows = len(notes) - len(_SMOOTHING) + 1
        if num_rows < _WIDEST:
            return np.zeros(0, np.uint32)
        smooth = sum(share * notes[at : at + num_rows] for at, share in enumerate(_SMOOTHING))
        norm = np.sqrt(np.square(smooth).sum(axis=1, keepdims=True))
        rows = np.where(norm < _LEAST_NORM, 0.0, smooth / np.maximum(norm, _LEAST_NORM))
        return _items(rows)

    def _take(self, samples: NDArray[np.float64]) -> None:
        num_frames = max(0, (samples.size - _FRAME) // ITEM_SAMPLES + 1)
        if num_frames:
            frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::ITEM_SAMPLES]
            energy = np.square(np.abs(np.fft.rfft(frames * np.hamming(_FRAME))))
            for band, notes in self._notes.items():
                first, starts_with = _notes_of_bins(band)
                notes.append(energy[:, first : first + len(starts_with)] @ starts_with)
        self._held = self._held[num_frames * ITEM_SAMPLES :]


@cache
def _notes_of_bins(band: Band) -> tuple[int, NDArray[np.float64]]:
    """The first bin of a spectrum that counts, and the note of each from there: 0 or 1, (n, 12)."""
    first, end = (round(hz * _FRAME / RATE_HZ) for hz in band)
    octaves = np.log2(np.arange(first, end) * RATE_HZ / _FRAME / _BASE_HZ)
    notes = (_NUM_NOTES * (octaves - np.floor(octaves))).astype(int)
    return first, np.eye(_NUM_NOTES)[notes]


def _items(rows: NDArray[np.float64]) -> NDArray[np.uint32]:
    """The items of the strengths of notes, (T, 12), to (T − 15,)."""
    sums = np.pad(rows, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    num_items = len(rows) - _WIDEST + 1
    items = np.zeros(num_items, np.uint32)

    def area(time: int, note: int, end: int, top: int) -> NDArray[np.float64]:
        late, early = sums[end : end + num_items], sums[time : time + num_items]
        return np.asarray(late[:, top] - late[:, note] - early[:, top] + early[:, note])

    for kind, low, notes, width, thresholds in _FILTERS:
        high, half, middle = low + notes, width // 2, low + notes // 2
        third, band = width // 3, notes // 3
        whole = area(0, low, width, high)
        if kind == 0:
            one = whole
        elif kind == 1:
            one = area(0, middle, width, high)
        elif kind == 2:
            one = area(half, low, width, high)
        elif kind == 3:
            one = area(0, middle, half, high) + area(half, low, width, middle)
        elif kind == 4:
            one = area(0, low + band, width, low + 2 * band)
        else:
            one = area(third, low, 2 * third, high)
        other = np.zeros_like(whole) if kind == 0 else whole - one
        # What is equal by symmetry is noise of rounding otherwise, which processors do not share.
        value = np.round(np.log1p(np.maximum(one, 0)) - np.log1p(np.maximum(other, 0)), 9)
        items = items << np.uint32(2) | _GRAY[np.searchsorted(thresholds, value, side="right")]
    return items


def is_sound(items: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which items (n,) are of any sound; those of digital silence are all the same."""
    return np.asarray(items != _items(np.zeros((_WIDEST, _NUM_NOTES)))[0])


def encoded(items: NDArray[np.uint32]) -> str:
    """Write a fingerprint as `fpcalc` and AcoustID do: differences, packed, in base64 for URLs."""
    plain: list[int] = []
    beyond: list[int] = []
    before = np.concatenate([np.zeros(1, np.uint32), items[:-1]])
    for changes in (items ^ before[: items.size]).tolist():
        last = 0
        for place in (at for at in range(1, 33) if changes >> (at - 1) & 1):
            step, last = place - last, place
            plain.append(min(step, _MOST_PLAIN))
            beyond += [step - _MOST_PLAIN] if step >= _MOST_PLAIN else []
        plain.append(0)
    data = bytes([_ALGORITHM]) + items.size.to_bytes(3, "big") + _packed(plain, 3)
    return base64.urlsafe_b64encode(data + _packed(beyond, 5)).decode().rstrip("=")


def _packed(values: list[int], num_bits: int) -> bytes:
    """Numbers of so many bits one after the other, the lowest bit first."""
    bits = np.array(values, np.uint8)[:, None] >> np.arange(num_bits, dtype=np.uint8) & 1
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()
