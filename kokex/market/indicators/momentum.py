"""How fast a price moves: relative strength and rate of change."""

from collections import deque

from kokex.market.indicators.exact import at_least


class RSI:
    """Relative strength index (Wilder 1978), 0..100; 0 as long as nothing ever moved, as in TA-Lib."""

    __slots__ = ("_gain", "_last", "_length", "_loss", "_missing", "warmup")

    def __init__(self, length: int = 14) -> None:
        """Raises ValueError for a length below 2."""
        self._length = at_least(2, length)
        self.warmup = length + 1
        self._missing = length + 1
        self._last = 0.0
        self._gain = 0.0  # averages; sums until they are full
        self._loss = 0.0

    def update(self, x: float) -> float | None:
        """The index with this close; None before `warmup` closes."""
        change = x - self._last
        self._last = x
        gain, loss = (change, 0.0) if change > 0 else (0.0, -change)
        if self._missing:
            self._missing -= 1
            if self._missing == self._length:
                return None  # the first close changed nothing
            self._gain += gain
            self._loss += loss
            if self._missing:
                return None
            self._gain /= self._length
            self._loss /= self._length
        else:
            rest = self._length - 1
            self._gain = (self._gain * rest + gain) / self._length
            self._loss = (self._loss * rest + loss) / self._length
        moved = self._gain + self._loss
        return 100.0 * (self._gain / moved) if moved else 0.0


class RateOfChange:
    """The relative change against the value `length` updates ago, as a fraction: 0.01 is one per cent."""

    __slots__ = ("_missing", "_ring", "warmup")

    def __init__(self, length: int) -> None:
        """Raises ValueError for a length below 1."""
        self.warmup = at_least(1, length) + 1
        self._missing = length
        self._ring = deque([0.0] * length, maxlen=length)

    def update(self, x: float) -> float | None:
        """The change to this value; 0 from a value of 0. None before `warmup` values."""
        before = self._ring[0]
        self._ring.append(x)
        if self._missing:
            self._missing -= 1
            return None
        return (x - before) / before if before else 0.0
