"""The crossing of two simple moving averages."""

from kokex.market.indicators import CrossingAverages
from kokex.messages import Candle, Signal
from strategies.spec import Parameter, Strategy


class SmaCross(Strategy):
    """Long from the close at which the fast average comes to stand above the slow one, short on the reverse.

    The averages are compared exactly: equal ones are not a crossing and change nothing. Which of the two stands
    above when both are first known is no crossing either; only when they begin equal is the first move one.
    """

    name = "sma_cross"
    doc = "a fast simple moving average crosses a slow one"
    parameters = (
        Parameter("fast", 10, 1, 10_000, "candles in the fast average"),
        Parameter("slow", 30, 2, 100_000, "candles in the slow average"),
    )

    def __init__(self, *, fast: int, slow: int) -> None:
        if fast >= slow:
            raise ValueError(f"fast must be below slow: fast = {fast}, slow = {slow}")
        averages = CrossingAverages(fast, slow)
        self.warmup = averages.warmup
        self._compare = averages.update
        self._above: bool | None = None  # the fast one, when last they differed
        self._signal: Signal | None = None
        self._long = Signal(1, reason=f"{fast}-candle average crossed above the {slow}-candle one")
        self._short = Signal(-1, reason=f"{fast}-candle average crossed below the {slow}-candle one")

    def update(self, candle: Candle) -> Signal | None:
        spread = self._compare(candle.close)
        if not spread:  # equal, or not yet known
            if spread is not None and self._signal is None:
                self._signal = Signal(0, reason="averages began equal")
            return self._signal
        above = spread > 0
        if above is not self._above:
            if self._signal is None:
                self._signal = Signal(0, reason="no crossing yet")
            else:
                self._signal = self._long if above else self._short
            self._above = above
        return self._signal
