"""How far values spread: true range, bands, realised volatility, unusual volume.

What is a variance at heart is computed from exact integer sums: nothing is left over from a huge move once it
has left the window, and a flat window has a deviation of exactly zero.
"""

import math
from collections import deque

from kokex.market.indicators.exact import Window, at_least
from kokex.messages import Candle

_FIXED_POINT = 2.0**64  # log returns are held in units of 2**-64: no drift, error below 1e-19


class ATR:
    """Average true range (Wilder 1978): the mean of the first `length` true ranges, then smoothed by 1/length."""

    __slots__ = ("_close", "_length", "_missing", "_value", "warmup")

    def __init__(self, length: int = 14) -> None:
        """Raises ValueError for a length below 1."""
        self._length = at_least(1, length)
        self.warmup = length + 1
        self._missing = length + 1
        self._close = 0.0
        self._value = 0.0

    def update(self, candle: Candle) -> float | None:
        """The average with this candle; None before `warmup` candles (the first has no true range)."""
        high, low, before = candle.high, candle.low, self._close
        self._close = candle.close
        true_range = max(high - low, abs(high - before), abs(low - before))
        if not self._missing:
            self._value = (self._value * (self._length - 1) + true_range) / self._length
            return self._value
        self._missing -= 1
        if self._missing == self._length:
            return None
        self._value += true_range
        if self._missing:
            return None
        self._value /= self._length
        return self._value


class Bollinger:
    """Bollinger bands: a simple moving average, and `width` population standard deviations around it."""

    __slots__ = ("_window", "deviation", "lower", "middle", "upper", "warmup", "width")

    def __init__(self, length: int = 20, width: float = 2.0) -> None:
        """Raises ValueError for a length below 1."""
        self._window = Window(length)
        self.warmup = length
        self.width = width
        self.middle = self.upper = self.lower = self.deviation = 0.0  # with the last value returned

    def update(self, x: float) -> float | None:
        """The middle band; `upper`, `lower` and `deviation` hold the rest. None before `warmup` values."""
        if not self._window.push(x):
            return None
        self.middle = middle = self._window.mean()
        self.deviation = deviation = self._window.deviation()
        self.upper = middle + self.width * deviation
        self.lower = middle - self.width * deviation
        return middle


class RealisedVolatility:
    """The root mean square of the last `length` log returns: per candle, not annualised.

    Realised variance is the sum of squared returns (Andersen and Bollerslev 1998); no mean is subtracted.
    """

    __slots__ = ("_last", "_length", "_missing", "_squares", "_total", "warmup")

    def __init__(self, length: int) -> None:
        """Raises ValueError for a length below 1."""
        self._length = at_least(1, length)
        self.warmup = length + 1
        self._missing = length + 1
        self._last = 0.0
        self._squares = deque([0] * length, maxlen=length)  # in units of 2**-128
        self._total = 0

    def update(self, x: float) -> float | None:
        """The volatility with this close (above zero); None before `warmup` closes."""
        change = math.log(x / self._last) if self._last else 0.0
        self._last = x
        whole = int(change * _FIXED_POINT)
        square = whole * whole
        self._total += square - self._squares[0]
        self._squares.append(square)
        if self._missing:
            self._missing -= 1
            if self._missing:
                return None
        return math.sqrt(self._total / self._length) / _FIXED_POINT


class VolumeZScore:
    """How unusual the newest volume is among the last `length`, itself included, in standard deviations.

    Being part of its own window it stays within sqrt(length - 1). 0 when all volumes are equal.
    """

    __slots__ = ("_window", "warmup")

    def __init__(self, length: int) -> None:
        """Raises ValueError for a length below 2."""
        self._window = Window(at_least(2, length))
        self.warmup = length

    def update(self, volume: float) -> float | None:
        """The score of this volume; None before `warmup` volumes."""
        if not self._window.push(volume):
            return None
        deviation = self._window.deviation()
        return self._window.excess() / deviation if deviation else 0.0
