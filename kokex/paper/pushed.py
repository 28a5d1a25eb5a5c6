"""A market that arrives: the paper exchange matched against live candles while they form.

A running candle is told again and again. What happened between two tellings is a small candle of its own, from the
price last told to the price told now; its high is a new high of the running candle or one of its two ends, its low
likewise. Orders that were there at the last telling see that small candle, and every order then sees the price told
now, as it sees an open. So a market order fills at the first price told after it arrived, and a stop trades within
the second in which it was touched; nothing is matched against a price from before its arrival.
"""

from decimal import Decimal
from typing import NamedTuple, final

from kokex.messages import Candle
from kokex.paper.exchange import Exchange


class _Told(NamedTuple):
    """What was last told of an instrument."""

    candle: Candle
    at: int


class _Due(NamedTuple):
    rate: Decimal
    due_ns: int


@final
class PushedMarket:
    """Drives `exchange` by what is told. Times may only rise; what is told late is not told."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._told: dict[str, _Told] = {}
        self._funding: dict[str, _Due] = {}

    def candle(self, candle: Candle, at: int) -> None:
        """The candle as it stands at `at`, which is its close at the latest when it is told afterwards."""
        symbol = candle.instrument
        told = self._told.get(symbol)
        if told and (at < told.at or candle.open_ns < told.candle.open_ns):
            return
        self._told[symbol] = _Told(candle, at)
        self._settle(symbol, at)
        if symbol not in self._exchange.busy:
            self._exchange.marks[symbol] = candle.close
            return
        volume = candle.volume
        if told:
            part = _between(told, candle)
            volume = part.volume
            self._exchange.on_candle(part, at)
        self._exchange.on_open(symbol, candle.close, volume, at)

    def rate(self, instrument: str, rate: Decimal, due_ns: int, at: int) -> None:
        """The funding rate that will be paid at `due_ns`, as it is known at `at`."""
        self._settle(instrument, at)
        if due_ns > at:
            self._funding[instrument] = _Due(rate, due_ns)

    def _settle(self, instrument: str, at: int) -> None:
        """Books the funding that fell due, at the rate last told before."""
        due = self._funding.get(instrument)
        if due and due.due_ns <= at:
            del self._funding[instrument]
            if self._exchange.holds(instrument):
                self._exchange.on_funding(instrument, due.rate, due.due_ns)


def _between(told: _Told, candle: Candle) -> Candle:
    """The small candle from what was told before to what is told now; it opens when the one before was told."""
    before = told.candle
    if candle.open_ns != before.open_ns:  # a new one: all of it, and the way there
        start, high, low, volume = before.close, candle.high, candle.low, candle.volume
    else:
        start = before.close
        high = candle.high if candle.high > before.high else start
        low = candle.low if candle.low < before.low else start
        volume = max(0.0, candle.volume - before.volume)
    high, low = max(high, start, candle.close), min(low, start, candle.close)
    return Candle(candle.instrument, told.at, start, high, low, candle.close, volume)
