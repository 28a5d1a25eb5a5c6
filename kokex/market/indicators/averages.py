"""Moving averages: simple (exact), a pair of simple ones, exponential, and MACD."""

from collections import deque
from collections.abc import Callable
from math import floor

from kokex.market.indicators.exact import UNAMBIGUOUS, DecimalScale, at_least, rescaled


class SMA:
    """Simple moving average of the last `length` values, correctly rounded, without drift."""

    __slots__ = ("_divisor", "_missing", "_ring", "_scale", "_total", "_unit", "warmup")

    def __init__(self, length: int) -> None:
        """Raises ValueError for a length below 1."""
        self.warmup = at_least(1, length)
        self._scale = DecimalScale()
        self._unit = self._scale.unit
        self._divisor = length * self._unit
        self._ring = deque([0] * length, maxlen=length)
        self._total = 0
        self._missing = length - 1

    def update(self, x: float) -> float | None:
        """The average with this value; None before `warmup` values. Raises ValueError for NaN and infinity."""
        scale = self._scale
        # `scale.whole(x)`, written out: a call here would cost a third of the update.
        unit = scale.fast
        scaled = x * unit
        if 0.0 <= scaled < UNAMBIGUOUS and (new := floor(scaled + 0.5)) / unit == x:
            new *= scale.lift
        else:
            new = scale.written(x)
            if scale.unit is not self._unit:
                self._rescale()
        ring = self._ring
        self._total = total = self._total + new - ring[0]
        ring.append(new)
        if self._missing:
            self._missing -= 1
            return None
        return total / self._divisor

    def _rescale(self) -> None:
        factor = self._scale.unit // self._unit
        self._unit = self._scale.unit
        self._divisor *= factor
        self._ring = rescaled(self._ring, factor)
        self._total *= factor


class CrossingAverages:
    """Two simple moving averages of one series, compared without any rounding.

    Both share one conversion, and comparing needs no division: fast average against slow average is
    fast sum * slow length against slow sum * fast length.
    """

    __slots__ = ("update", "warmup")

    def __init__(self, fast: int, slow: int) -> None:
        """Raises ValueError unless 1 <= fast < slow."""
        at_least(1, fast)
        self.warmup = at_least(fast + 1, slow)
        # Above zero when the fast average is above the slow one, zero when they are equal, below when below.
        # None before `warmup` values. Raises ValueError for NaN and infinity.
        self.update = _crossing(fast, slow)


def _crossing(fast: int, slow: int) -> Callable[[float], int | None]:
    """A closure, because it reaches its state in half the steps of a method: most candles of a backtest end here."""
    scale = DecimalScale()
    unit, quick, lift = scale.unit, scale.fast, scale.lift
    fast_ring, slow_ring = deque([0] * fast), deque([0] * slow)
    spread = 0  # fast sum * slow - slow sum * fast
    missing = slow - 1

    def update(x: float) -> int | None:
        nonlocal unit, quick, lift, fast_ring, slow_ring, spread, missing
        # `scale.whole(x)`, written out: a call here would cost a third of the update.
        scaled = x * quick
        if scaled >= 0.0 and scaled < UNAMBIGUOUS and (new := floor(scaled + 0.5)) / quick == x:
            new *= lift
        else:
            new = scale.written(x)
            quick, lift = scale.fast, scale.lift
            if scale.unit is not unit:
                factor = scale.unit // unit
                fast_ring, slow_ring = rescaled(fast_ring, factor), rescaled(slow_ring, factor)
                unit, spread = scale.unit, spread * factor
        spread += (new - fast_ring.popleft()) * slow - (new - slow_ring.popleft()) * fast
        fast_ring.append(new)
        slow_ring.append(new)
        if missing:
            missing -= 1
            return None
        return spread

    return update


class EMA:
    """Exponential moving average with weight 2 / (length + 1), started at the mean of the first values."""

    __slots__ = ("_missing", "_value", "_weight", "warmup")

    def __init__(self, length: int) -> None:
        """Raises ValueError for a length below 1."""
        self.warmup = at_least(1, length)
        self._weight = 2.0 / (length + 1)
        self._missing = length
        self._value = 0.0

    def update(self, x: float) -> float | None:
        """The average with this value; None before `warmup` values."""
        if self._missing:
            self._missing -= 1
            self._value += x  # a sum until it is full
            if self._missing:
                return None
            self._value /= self.warmup
            return self._value
        self._value += (x - self._value) * self._weight
        return self._value


class MACD:
    """Moving average convergence and divergence (Appel): the fast EMA less the slow one, and an EMA of that.

    The fast average starts late, so that both start on the same value, as in TA-Lib.
    """

    __slots__ = ("_fast", "_late", "_signal", "_slow", "histogram", "signal", "warmup")

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        """Raises ValueError unless 1 <= fast < slow and 1 <= signal."""
        self._late = at_least(fast + 1, slow) - fast
        self._fast = EMA(fast)
        self._slow = EMA(slow)
        self._signal = EMA(signal)
        self.warmup = slow + signal - 1
        self.signal = 0.0  # with the last value that `update` returned
        self.histogram = 0.0

    def update(self, x: float) -> float | None:
        """The MACD line; `signal` and `histogram` hold the other two. None before `warmup` values."""
        slow = self._slow.update(x)
        if self._late:
            self._late -= 1
            return None
        fast = self._fast.update(x)
        if fast is None or slow is None:
            return None
        line = fast - slow
        signal = self._signal.update(line)
        if signal is None:
            return None
        self.signal = signal
        self.histogram = line - signal
        return line
