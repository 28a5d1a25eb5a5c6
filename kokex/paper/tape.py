"""What the simulated and the replayed market share: candles that happen one instant at a time.

The order of events of a candle [open, close), see docs/paper.md:

    open_ns + 1   the exchange sees the open price, if an order waits for it
    close_ns      the exchange sees the whole candle, if it has orders in the instrument;
                  funding that is due is booked; the candles go to the feed

Whether there is an open event at all is decided as late as possible, in `next_at`, which the driver
calls once everything at the previous instant was handled. A decision made on the close of one candle
can so be filled at the open of the next, and an idle exchange costs a backtest one look-up in a set.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from kokex.messages import Candle, Candles, Instrument
from kokex.paper.exchange import Exchange
from kokex.ports import Post

Instant = tuple[Candle, ...]  # candles that open, and close, together


class FundingDue(NamedTuple):
    """A funding rate and when it is paid; positive: longs pay shorts."""

    due_ns: int
    instrument: str
    rate: Decimal


class Tape:
    """A `ports.Market` over an iterator of instants.

    `funding` must rise by `due_ns`; a rate is booked at the first close at or after it is due.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        span_ns: int,
        instants: Iterator[Instant],
        funding: Iterator[FundingDue],
        exchange: Exchange,
        post: Post,
    ) -> None:
        self.instruments = tuple(instruments)
        self.span_ns = span_ns
        self._instants = instants
        self._funding = funding
        self._exchange = exchange
        self._busy = exchange.busy
        self._marks = exchange.marks
        self._post = post
        self._due = next(funding, None)
        self._opening = False  # the next event is the open
        self._opened = False  # the open of this instant is past
        self._rows: Instant = ()
        self._close_ns: int | None = None
        self._passed = 0  # instants since the last that was told of
        self._whole_ns = -1  # when that closed, if it had a candle of every instrument
        self._advance()

    def history(self) -> Sequence[Candle]:
        return ()

    def next_at(self) -> int | None:
        if self._busy and not self._opened:
            awaits = self._exchange.awaits
            for row in self._rows:
                if awaits(row.instrument, row.open_ns):
                    self._opening = True
                    return row.open_ns + 1
        self._opening = False
        return self._close_ns

    def take(self) -> None:
        """What `next_at` last announced happens. Does nothing once the market is exhausted."""
        rows = self._rows
        if self._opening:
            self._opening = False
            self._opened = True
            for row in rows:
                if row.instrument in self._busy:
                    self._exchange.on_open(row.instrument, row.open, row.volume, row.open_ns)
            return
        close_ns = self._close_ns
        if close_ns is None:
            return
        marks, busy = self._marks, self._busy
        if busy:
            for row in rows:
                if row.instrument in busy:
                    self._exchange.on_candle(row, close_ns)
        for row in rows:
            marks[row.instrument] = row.close
        if self._due is not None:
            self._fund(close_ns)
        self._post("feed", Candles(close_ns=close_ns, span_ns=self.span_ns, rows=rows, passed=self._passed))
        self._passed = 0
        self._whole_ns = close_ns if len(rows) == len(self.instruments) else -1
        self._advance()

    def _fund(self, close_ns: int) -> None:
        """Books the funding that is due by the close."""
        while self._due is not None and self._due.due_ns <= close_ns:
            if self._exchange.holds(self._due.instrument):
                self._exchange.on_funding(self._due.instrument, self._due.rate, self._due.due_ns)
            self._due = next(self._funding, None)

    def _advance(self) -> None:
        self._show(next(self._instants, ()))

    def _show(self, rows: Instant) -> None:
        """These candles are the next to close."""
        self._opened = False
        self._rows = rows
        self._close_ns = rows[0].open_ns + self.span_ns if rows else None
