"""Air: the speed of sound, and how much of it is lost on the way (ISO 9613-1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

PRESSURE_PA = 101_325.0
_KELVIN = 273.15
_REFERENCE_K, _TRIPLE_K = 293.15, 273.16


@dataclass(frozen=True)
class Air:
    """Still air at sea level."""

    temperature_c: float = 20.0
    """Temperature, -20 to 50 °C."""
    humidity_percent: float = 50.0
    """Relative humidity, 10 to 100."""

    @property
    def speed_m_s(self) -> float:
        """Speed of sound, 331.3 √(T / 273.15 K)."""
        return float(331.3 * np.sqrt((self.temperature_c + _KELVIN) / _KELVIN))

    def loss_db_m(self, frequency_hz: ArrayLike) -> Vector:
        """Loss in dB a metre at each frequency (ISO 9613-1:1993, equations 3 to 5)."""
        f = np.maximum(np.asarray(frequency_hz, np.float64), 1e-3)
        kelvin = self.temperature_c + _KELVIN
        t = kelvin / _REFERENCE_K
        saturation = 10 ** (-6.8346 * (_TRIPLE_K / kelvin) ** 1.261 + 4.6151)
        h = self.humidity_percent * saturation
        oxygen = 24 + 4.04e4 * h * (0.02 + h) / (0.391 + h)
        nitrogen = t**-0.5 * (9 + 280 * h * np.exp(-4.170 * (t ** (-1 / 3) - 1)))
        relaxing = 0.01275 * np.exp(-2239.1 / kelvin) / (oxygen + f * f / oxygen)
        relaxing += 0.1068 * np.exp(-3352.0 / kelvin) / (nitrogen + f * f / nitrogen)
        return np.asarray(8.686 * f * f * (1.84e-11 * t**0.5 + t**-2.5 * relaxing))

    def gain(self, frequency_hz: ArrayLike, distance_m: ArrayLike) -> Vector:
        """Gain in pressure after metres of air, by broadcasting both."""
        loss = self.loss_db_m(frequency_hz) * np.asarray(distance_m, np.float64)
        return np.asarray(10 ** (-loss / 20))
