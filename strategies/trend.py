"""Following a trend that has left the noise."""

from kokex.market.hysteresis import significance
from kokex.market.indicators import ATR, EMA, RateOfChange
from kokex.messages import Candle, Signal
from strategies.spec import Parameter, Strategy


class Trend(Strategy):
    """With the trend once the averages are `band` true ranges apart and the price still moves that way.

    Out again when the averages meet. The idea is wrong `stop` true ranges behind the close it began at.
    """

    name = "trend"
    doc = "exponential averages part by more than the usual range, and the rate of change agrees"
    parameters = (
        Parameter("fast", 40, 2, 1_000, "length of the fast average"),
        Parameter("slow", 120, 3, 5_000, "length of the slow average"),
        Parameter("atr", 14, 2, 1_000, "length of the average true range"),
        Parameter("roc", 5, 1, 1_000, "candles of the rate of change"),
        Parameter("band", 1.0, 0.0, 10.0, "average true ranges between the averages that make a trend"),
        Parameter("stop", 3.0, 0.1, 50.0, "average true ranges to the invalidation price"),
    )

    def __init__(self, *, fast: int, slow: int, atr: int, roc: int, band: float, stop: float) -> None:
        if fast >= slow:
            raise ValueError(f"fast must be below slow: fast = {fast}, slow = {slow}")
        self._fast, self._slow, self._atr, self._roc = EMA(fast), EMA(slow), ATR(atr), RateOfChange(roc)
        self._band, self._stop = band, stop
        self.warmup = max(self._slow.warmup, self._atr.warmup, self._roc.warmup)
        self._signal = self._none = Signal(0, reason="no trend")

    def update(self, candle: Candle) -> Signal | None:
        close = candle.close
        fast, slow = self._fast.update(close), self._slow.update(close)
        atr, roc = self._atr.update(candle), self._roc.update(close)
        if fast is None or slow is None or atr is None or roc is None:
            return None
        apart = fast - slow
        if self._signal.side * apart <= 0:
            self._signal = self._none
        if self._signal.side == 0 and abs(apart) > self._band * atr and apart * roc > 0:
            way = 1 if apart > 0 else -1
            self._signal = Signal(
                way,
                strength=significance(abs(apart), self._band * atr, 0.0) if self._band * atr else 1.0,
                invalidation=close - way * self._stop * atr,
                reason=f"averages {abs(apart) / atr if atr else 0.0:.1f} true ranges apart, {roc:+.3%} lately",
            )
        return self._signal
