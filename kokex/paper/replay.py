"""The replayed market: candles from columns in memory, instant by instant."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, groupby, repeat
from operator import attrgetter
from typing import NamedTuple

from kokex.messages import Candle, Instrument
from kokex.paper.exchange import Exchange
from kokex.paper.tape import FundingDue, Instant, Tape
from kokex.ports import Post

NOTHING: Instant = ()
Scout = Callable[[Candle], object]
"""Takes a candle in ahead of its message; something, or true, when the message must follow."""


class Columns(NamedTuple):
    """An instrument's candles as lists of equal length, oldest first, open times strictly rising."""

    open_ns: Sequence[int]
    open: Sequence[float]
    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]
    volume: Sequence[float]  # base currency


class ReplayMarket(Tape):
    """Replays `columns` (by symbol) in the order of their close times.

    `history`: closed candles before the first one, for warm-up. `funding`: rates by time, if there are any.
    Raises ValueError when an instrument has no columns or their lengths differ.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        columns: Mapping[str, Columns],
        span_ns: int,
        exchange: Exchange,
        post: Post,
        history: Sequence[Candle] = (),
        funding: Iterable[FundingDue] = (),
    ) -> None:
        for instrument in instruments:
            if instrument.symbol not in columns:
                raise ValueError(f"no candles for {instrument.symbol}")
            if len({len(column) for column in columns[instrument.symbol]}) != 1:
                raise ValueError(f"the columns of {instrument.symbol} differ in length")
        self._history = history
        replayed = {instrument.symbol: columns[instrument.symbol] for instrument in instruments}
        super().__init__(instruments, span_ns, _instants(replayed), iter(funding), exchange, post)

    def history(self) -> Sequence[Candle]:
        return self._history

    def skim(self, until_ns: int, scouts: Mapping[str, Sequence[Scout]]) -> tuple[int, int]:
        """Lets the instants up to a time pass of which there is nothing to tell; how many, and when the last closed.

        `scouts` look at an instrument's candles. While an order works each instant is told, and so is each that does
        not follow on the one before with a candle of every instrument: a gap is the feed's to see.
        """
        if self._busy or self._whole_ns < 0:
            return 0, 0
        latest_ns, whole = until_ns - self.span_ns, len(self.instruments)
        if self._due is not None:
            latest_ns = min(latest_ns, self._due.due_ns - 1 - self.span_ns)
        looks = {each.symbol: scouts.get(each.symbol, ()) for each in self.instruments}
        ahead, last = chain((self._rows,), self._instants), NOTHING
        for open_ns, rows in zip(range(self._whole_ns, latest_ns + 1, self.span_ns), ahead, strict=False):
            if len(rows) != whole or rows[0].open_ns != open_ns:
                return self._skimmed(last, rows)
            for row in rows:
                for look in looks[row.instrument]:
                    if look(row):
                        return self._skimmed(last, rows)
            last = rows
        return self._skimmed(last, next(ahead, NOTHING))

    def _skimmed(self, last: Instant, following: Instant) -> tuple[int, int]:
        """The instants up to `last` have passed."""
        if not last:
            return 0, 0
        before_ns, self._whole_ns = self._whole_ns, last[0].open_ns + self.span_ns
        for row in last:
            self._marks[row.instrument] = row.close
        passed = (self._whole_ns - before_ns) // self.span_ns
        self._passed += passed
        self._show(following)
        return passed, self._whole_ns


def _instants(columns: Mapping[str, Columns]) -> Iterator[Instant]:
    """The hot path of a backtest: as long as the instruments have no gaps of their own, it all runs in C."""
    candles = [map(Candle, repeat(symbol), *of) for symbol, of in columns.items()]
    times = [of.open_ns for of in columns.values()]
    if all(time == times[0] for time in times):
        return zip(*candles, strict=True)
    opened = attrgetter("open_ns")
    return (tuple(rows) for _, rows in groupby(merge(*candles, key=opened), key=opened))
