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

    def skim(self, until_ns: int, scout: Callable[[Instant], bool]) -> tuple[int, int]:
        """Lets the instants up to a time pass of which there is nothing to tell; how many, and when the last closed.

        `scout` takes an instant in and says whether its message must follow. While an order works each is told, and
        so is each that does not follow on the one before with a candle of every instrument: a gap is the feed's to see.
        """
        if self._busy or self._whole_ns < 0:
            return 0, 0
        rows, following, span_ns, whole = self._rows, self._instants, self.span_ns, len(self.instruments)
        latest_ns = until_ns - span_ns
        if self._due is not None:
            latest_ns = min(latest_ns, self._due.due_ns - 1 - span_ns)
        ahead, last = chain((rows,), following), NOTHING
        for open_ns, rows in zip(range(self._whole_ns, latest_ns + 1, span_ns), ahead, strict=False):
            if len(rows) != whole or rows[0].open_ns != open_ns or scout(rows):
                break
            last = rows
        else:
            rows = next(ahead, NOTHING)
        if not last:
            return 0, 0
        open_ns = last[0].open_ns + span_ns
        passed = (open_ns - self._whole_ns) // span_ns
        for row in last:
            self._marks[row.instrument] = row.close
        self._passed += passed
        self._whole_ns = open_ns
        self._show(rows)
        return passed, open_ns


def _instants(columns: Mapping[str, Columns]) -> Iterator[Instant]:
    """The hot path of a backtest: as long as the instruments have no gaps of their own, it all runs in C."""
    candles = [map(Candle, repeat(symbol), *of) for symbol, of in columns.items()]
    times = [of.open_ns for of in columns.values()]
    if all(time == times[0] for time in times):
        return zip(*candles, strict=True)
    opened = attrgetter("open_ns")
    return (tuple(rows) for _, rows in groupby(merge(*candles, key=opened), key=opened))
