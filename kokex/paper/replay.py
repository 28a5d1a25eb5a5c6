"""The replayed market: candles from columns in memory, instant by instant."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, groupby, islice, repeat
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
        self._even = _even([of.open_ns for of in replayed.values()], span_ns)
        super().__init__(instruments, span_ns, _instants(replayed), iter(funding), exchange, post)

    def history(self) -> Sequence[Candle]:
        return self._history

    def skim(self, until_ns: int, scouts: Mapping[str, Sequence[Scout]]) -> tuple[int, int]:
        """Lets the instants up to a time pass of which there is nothing to tell; how many, and when the last closed.

        `scouts` look at an instrument's candles. While an order works each instant is told, and so is each that does
        not follow on the one before with a candle of every instrument: a gap is the feed's to see.
        """
        if self._busy or self._whole_ns < 0 or not self._rows:
            return 0, 0
        latest_ns = until_ns - self.span_ns
        if self._due is not None:
            latest_ns = min(latest_ns, self._due.due_ns - 1 - self.span_ns)
        most = max(0, (latest_ns - self._whole_ns) // self.span_ns + 1)
        looks = [(i, look) for i, each in enumerate(self.instruments) for look in scouts.get(each.symbol, ())]
        even, last = self._even, NOTHING
        ahead = chain((self._rows,), self._instants)
        for rows in islice(ahead, most):
            if not even and self._breaks_off(last, rows):
                return self._skimmed(last, rows)
            for i, look in looks:
                if look(rows[i]):
                    return self._skimmed(last, rows)
            last = rows
        return self._skimmed(last, next(ahead, NOTHING))

    def _breaks_off(self, last: Instant, rows: Instant) -> bool:
        """An instant lacks a candle, or does not follow on `last`, the one before."""
        expected_ns = last[0].open_ns + self.span_ns if last else self._whole_ns
        return len(rows) != len(self.instruments) or rows[0].open_ns != expected_ns

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


def _even(times: Sequence[Sequence[int]], span_ns: int) -> bool:
    """Whether no candle is missing anywhere, so that nobody has to look."""
    first = times[0]
    whole = list(range(first[0], first[0] + len(first) * span_ns, span_ns)) if first else []
    return all(list(each) == whole for each in times)


def _instants(columns: Mapping[str, Columns]) -> Iterator[Instant]:
    """The hot path of a backtest: as long as the instruments have no gaps of their own, it all runs in C."""
    candles = [map(Candle, repeat(symbol), *of) for symbol, of in columns.items()]
    times = [of.open_ns for of in columns.values()]
    if all(time == times[0] for time in times):
        return zip(*candles, strict=True)
    opened = attrgetter("open_ns")
    return (tuple(rows) for _, rows in groupby(merge(*candles, key=opened), key=opened))
