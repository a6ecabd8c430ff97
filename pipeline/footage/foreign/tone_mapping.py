"""Pictures of high dynamic range (PQ, HLG) as a screen of the usual range shows them.

Code values are light of a screen of 1,000 cd/m² by ITU-R BT.2100-2. Method A of Report
ITU-R BT.2446-1 maps that to 100 cd/m², and BT.2087-0 gives the colours of BT.2020 those of BT.709.
What is brighter than 1,000 cd/m² is cut off, as is what BT.709 has no colour for.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18
"""Transfer characteristics by their number in ITU-T H.273, as `av.VideoFrame.color_trc` has it."""

_PEAK, _SDR_PEAK = 1000.0, 100.0
_LUMA = np.array([0.2627, 0.6780, 0.0593])
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
_GAMMA, _SYSTEM_GAMMA = 2.4, 1.2
_PQ = (2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32)
_HLG = (0.17883277, 0.28466892, 0.55991073)


def tone_mapped(codes: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """The RGB of BT.709, uint8 (…, 3), of that of BT.2020, uint16 (…, 3) over the full range.

    Args:
        codes: as the file has them.
        transfer: `PQ` or `HLG`.
    """
    light = _light_of_codes(transfer)[codes]
    if transfer == HLG:
        # What a screen makes of the scene's light.
        light *= (light @ _LUMA)[..., None] ** (_SYSTEM_GAMMA - 1)
    mapped = _mapped(light ** (1 / _GAMMA)).clip(0, 1)
    shown = (mapped**_GAMMA @ _TO_BT709.T).clip(0, 1) ** (1 / _GAMMA)
    return np.asarray(np.rint(shown * 255), np.uint8)


@cache
def _light_of_codes(transfer: int) -> NDArray[np.float64]:
    """Light of every code, (65536,), 1 being the most: of the screen for PQ, the scene for HLG."""
    codes = np.arange(2**16) / (2**16 - 1)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = _PQ
        root = codes ** (1 / m2)
        nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
        return np.minimum(nits / _PEAK, 1)
    a, b, c = _HLG
    return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)


def _mapped(bright: NDArray[np.float64]) -> NDArray[np.float64]:
    """R'G'B' (…, 3) with a gamma of 2.4 on a dimmer screen, by method A; may leave 0 to 1."""
    peak, sdr_peak = (1 + 32 * (nits / 10_000) ** (1 / _GAMMA) for nits in (_PEAK, _SDR_PEAK))
    luma = bright @ _LUMA
    even = np.log(1 + (peak - 1) * luma) / np.log(peak)
    knee = np.select(
        [even <= 0.7399, even < 0.9909],
        [1.0770 * even, -1.1510 * even**2 + 2.7811 * even - 0.6302],
        0.5 * even + 0.5,
    )
    dim = (sdr_peak**knee - 1) / (sdr_peak - 1)
    # Colours keep their saturation beside a luma that is less, and reds are held back.
    scale = dim / np.maximum(1.1 * luma, 1e-9)
    apart = scale[..., None] * (bright - luma[..., None])
    dim = dim - np.maximum(0.1 * apart[..., 0] / (2 - 2 * _LUMA[0]), 0)
    return dim[..., None] + apart
