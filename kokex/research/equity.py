"""The equity curve: cash and positions marked at each candle close, exactly.

Between two bookings cash and positions do not change, so the curve is made run by run: a run without a
position is one number repeated, a run with one is cash + quantity x close. All of it is integers in one power
of ten that writes every amount without rounding (see `exact`).

A booking counts in every mark at or after its instant, but not in the mark of that very instant when it was
known only later (`in_order`): a fill at the next candle's open is no part of the close that led to it. The last
mark counts everything booked.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from itertools import accumulate, pairwise
from operator import sub
from typing import NamedTuple

from msgspec import Struct

from kokex.market.instruments import exact, quantity
from kokex.market.money import EXACT
from kokex.market.positions import change
from kokex.messages import Fill, Funding, Instrument
from kokex.research.exact import decimals, scaled, scaled_prices
from kokex.research.round_trips import in_order

DAY_NS = 86_400_000_000_000


class Closes(Struct, frozen=True):
    """One instrument's candles as columns of equal length, oldest first."""

    open_ns: Sequence[int]
    closes: Sequence[float]
    span_ns: int


class Curve(Struct, frozen=True):
    """Equity at each instant at which a candle closed. Amounts are integers: quote currency x 10**places."""

    start: int  # the cash at the start
    close_ns: list[int]  # rising
    equity: list[int]  # one for each instant
    places: int
    held: int  # instants with a position
    candles: int  # of all instruments
    first_ns: int  # the first candle's open
    marks: dict[str, Decimal]  # each instrument's last close

    def amount(self, equity: int) -> Decimal:
        """In quote currency, exact."""
        return Decimal(equity).scaleb(-self.places, EXACT)

    @property
    def final(self) -> Decimal:
        """Cash and positions at the last close: everything counted."""
        return self.amount(self.equity[-1] if self.equity else self.start)

    def points(self) -> list[tuple[int, float]]:
        """(instant, equity in quote currency), for drawing; the first is the start."""
        scale = 10**self.places
        marks = zip(self.close_ns, self.equity, strict=True)
        return [(self.first_ns, self.start / scale), *((at, equity / scale) for at, equity in marks)]

    def max_drawdown(self) -> tuple[Decimal, float]:
        """The largest fall below the highest equity before it: (quote currency, percent of that highest).

        Each is the largest of its kind; they need not be of the same fall.
        """
        peaks = list(accumulate(self.equity, max, initial=self.start))[1:]
        falls = list(map(sub, peaks, self.equity))
        largest = max(falls, default=0)
        share = max((fall / peak for fall, peak in zip(falls, peaks, strict=True) if fall), default=0.0)
        return self.amount(largest), 100 * share

    def daily_returns(self) -> list[float]:
        """Simple returns from UTC day end to UTC day end; the first is measured from the starting cash.

        A day's end is its last mark at or before midnight (the candle that closes at midnight is the old
        day's); a day without a candle keeps the equity before it; the last day ends with the data. Empty when
        equity was not positive at some day's end, since returns are then undefined.
        """
        if not self.close_ns:
            return []
        first, last = self.close_ns[0] - 1, self.close_ns[-1] - 1
        midnights = range((first // DAY_NS + 1) * DAY_NS, (last // DAY_NS + 2) * DAY_NS, DAY_NS)
        ends = [self.start, *(self.equity[bisect_right(self.close_ns, midnight) - 1] for midnight in midnights)]
        if min(ends) <= 0:
            return []
        return [(end - before) / before for before, end in pairwise(ends)]


class _Run(NamedTuple):
    """Instants start..stop (exclusive) with one state of the account."""

    start: int
    stop: int
    cash: Decimal
    held: dict[str, Decimal]  # instrument -> quantity in base currency, negative when short, never zero


def equity_curve(
    cash: Decimal,
    fills: Iterable[Fill],
    fundings: Iterable[Funding],
    series: Mapping[str, Closes],
    instruments: Mapping[str, Instrument],
) -> Curve:
    """Marks an account that began with `cash` at every instant at which a candle of `series` closed.

    An instrument without a candle at an instant keeps its last close (before its first one: that first one).
    Raises ValueError when `cash` is not positive or an instrument traded has no candles.
    """
    if cash <= 0:
        raise ValueError(f"an equity curve starts with some cash, not {cash}")
    instants = _instants(series.values())
    with localcontext(EXACT):
        runs = _runs(cash, in_order(fills, fundings), instants, series, instruments)
        prices = {
            symbol: _held_prices(_aligned(series[symbol], instants), symbol, runs)
            for symbol in sorted({symbol for run in runs for symbol in run.held})
        }
        places = max(
            decimals(cash),
            *(decimals(run.cash) for run in runs),
            *(decimals(held) + prices[symbol][1] for run in runs for symbol, held in run.held.items()),
        )
        equity = _marked(runs, prices, places)
    return Curve(
        start=scaled(cash, places),
        close_ns=instants,
        equity=equity,
        places=places,
        held=sum(run.stop - run.start for run in runs if run.held),
        candles=sum(len(one.closes) for one in series.values()),
        first_ns=min((one.open_ns[0] for one in series.values() if one.open_ns), default=0),
        marks={symbol: exact(one.closes[-1]) for symbol, one in series.items() if one.closes},
    )


def _instants(series: Iterable[Closes]) -> list[int]:
    """Every instant at which some candle closed, rising."""
    closings = [[at + one.span_ns for at in one.open_ns] for one in series]
    return closings[0] if len(closings) == 1 else sorted(set[int]().union(*closings))


def _runs(
    cash: Decimal,
    bookings: Iterable[tuple[int, Fill | Funding]],
    instants: Sequence[int],
    series: Mapping[str, Closes],
    instruments: Mapping[str, Instrument],
) -> list[_Run]:
    """The account's states between bookings, with the instants that each one covers."""
    runs: list[_Run] = []
    held: dict[str, Decimal] = {}
    start = 0
    for at, booking in bookings:
        stop = bisect_left(instants, at, start, max(start, len(instants) - 1))
        if stop > start:
            runs.append(_Run(start, stop, cash, held.copy()))
            start = stop
        if isinstance(booking, Funding):
            cash += booking.amount
            continue
        symbol = booking.instrument
        if symbol not in series or not series[symbol].closes:
            raise ValueError(f"{symbol} was traded but has no candles to mark it with")
        traded = quantity(instruments[symbol], change(booking))
        cash -= traded * booking.price + booking.fee
        held[symbol] = held.get(symbol, Decimal(0)) + traded
        if not held[symbol]:
            del held[symbol]
    runs.append(_Run(start, len(instants), cash, held))
    return runs


def _aligned(one: Closes, instants: Sequence[int]) -> Sequence[float]:
    """The instrument's last close at every instant."""
    if len(one.closes) == len(instants):
        return one.closes  # instants hold all of its closings, so these are they
    close_at = {at + one.span_ns: close for at, close in zip(one.open_ns, one.closes, strict=True)}
    last = one.closes[0]
    return [last := close_at.get(at, last) for at in instants]


def _held_prices(closes: Sequence[float], symbol: str, runs: Iterable[_Run]) -> tuple[list[int], int]:
    """The closes of the runs that hold the instrument, one after another, as (integers, places)."""
    prices: list[float] = []
    for run in runs:
        if symbol in run.held:
            prices += closes[run.start : run.stop]
    return scaled_prices(prices)


def _marked(runs: Iterable[_Run], prices: Mapping[str, tuple[list[int], int]], places: int) -> list[int]:
    """Equity at each instant x 10**places."""
    equity: list[int] = []
    used = dict.fromkeys(prices, 0)
    for run in runs:
        length = run.stop - run.start
        marked = [scaled(run.cash, places)] * length
        for symbol, held in run.held.items():
            closes, written = prices[symbol]
            begin, used[symbol] = used[symbol], used[symbol] + length
            units = scaled(held, places - written)
            marked = [total + units * close for total, close in zip(marked, closes[begin : used[symbol]], strict=True)]
        equity += marked
    return equity
