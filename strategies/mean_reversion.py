"""Betting on the way back."""

from typing import Literal

from kokex.market.hysteresis import significance
from kokex.market.indicators import ATR, RSI, Bollinger
from kokex.messages import Candle, Signal
from strategies.spec import Parameter, Strategy


class MeanReversion(Strategy):
    """Against a close outside the Bollinger bands that the RSI calls overdone; out again at the middle band.

    The idea is wrong `stop` true ranges beyond the close it began at, and given up there.
    """

    name = "mean_reversion"
    doc = "a close outside the Bollinger bands, overdone by the RSI, goes back to the middle"
    parameters = (
        Parameter("length", 20, 2, 5_000, "candles in the bands"),
        Parameter("width", 2.0, 0.5, 6.0, "standard deviations from the middle band to the outer ones"),
        Parameter("rsi", 14, 2, 1_000, "length of the RSI"),
        Parameter("oversold", 35.0, 1.0, 50.0, "RSI below this is overdone; above 100 less this on the other side"),
        Parameter("stop", 3.0, 0.1, 50.0, "average true ranges (of `rsi` candles) to the invalidation price"),
    )

    def __init__(self, *, length: int, width: float, rsi: int, oversold: float, stop: float) -> None:
        self._bands, self._rsi, self._atr = Bollinger(length, width), RSI(rsi), ATR(rsi)
        self._oversold, self._stop = oversold, stop
        self.warmup = max(self._bands.warmup, self._rsi.warmup, self._atr.warmup)
        self._signal = self._none = Signal(0, reason="within the bands")

    def update(self, candle: Candle) -> Signal | None:
        close = candle.close
        middle, rsi, atr = self._bands.update(close), self._rsi.update(close), self._atr.update(candle)
        if middle is None or rsi is None or atr is None:
            return None
        held, wrong_at = self._signal.side, self._signal.invalidation
        if wrong_at is not None and (held * (close - middle) >= 0 or held * (close - wrong_at) <= 0):
            self._signal = self._none
        elif close < self._bands.lower and rsi < self._oversold and held == 0:
            self._signal = self._against(1, close, rsi, atr)
        elif close > self._bands.upper and rsi > 100 - self._oversold and held == 0:
            self._signal = self._against(-1, close, rsi, atr)
        return self._signal

    def _against(self, side: Literal[-1, 1], close: float, rsi: float, atr: float) -> Signal:
        return Signal(
            side,
            strength=significance(abs(rsi - 50), 50 - self._oversold, 0.0) if self._oversold < 50 else 1.0,
            invalidation=close - side * self._stop * atr,
            reason=f"close {'below the lower' if side > 0 else 'above the upper'} band, RSI {rsi:.0f}",
        )
