"""The numbers of a finished run, each with one definition.

`DEFINITIONS` says in one line what `docs/metrics.md` says in full; the line travels with the report, so that
nobody has to guess which of the field's Sharpe ratios this one is.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext

import msgspec
from msgspec import Struct, field

from kokex.market.instruments import notional
from kokex.market.money import EXACT
from kokex.messages import Fill, Funding, Instrument
from kokex.research.equity import DAY_NS, Curve
from kokex.research.exact import plain
from kokex.research.round_trips import OpenPosition, RoundTrip, round_trips

DAYS_A_YEAR = 365  # crypto trades every day
CALENDAR_YEAR_NS = 365.25 * DAY_NS

DEFINITIONS = {
    "net": "gross - fees + funding of the closed round trips",
    "final_equity": "cash and positions at the last close; counts open positions too",
    "max_drawdown": "largest fall of equity at candle closes below the highest before it, the start included",
    "profit_factor": "sum of positive nets / |sum of negative nets|; null without a losing round trip",
    "exposure": "share of candle closes with a position",
    "turnover": "notional traded / starting cash",
    "cagr": "(final equity / starting cash)^(1 / years of 365.25 days) - 1; null under one day",
    "sharpe_daily": "mean / standard deviation (ddof 0) of daily simple returns x sqrt(365), risk-free rate 0; "
    "null with fewer than 2 returns or no deviation",
    "sortino_daily": "mean / sqrt(mean(min(return, 0)^2)) of daily simple returns x sqrt(365); "
    "null with fewer than 2 returns or no negative one",
}


class Report(Struct, frozen=True, kw_only=True):
    """What a run was worth. Money is in quote currency and exact; a number that is undefined is None.

    Trips are closed round trips only; `final_equity` and what follows from the equity curve count everything.
    """

    candles: int  # of all instruments
    round_trips: int
    wins: int  # round trips with net > 0
    gross: Decimal  # sold minus bought
    fees: Decimal  # paid, positive
    funding: Decimal  # received positive, paid negative
    net: Decimal
    final_equity: Decimal
    max_drawdown: Decimal
    max_drawdown_pct: float  # 0..100, of the highest equity before the fall
    profit_factor: float | None
    exposure: float  # 0..1
    turnover: float
    cagr: float | None
    sharpe_daily: float | None
    sortino_daily: float | None
    open_position: OpenPosition | tuple[OpenPosition, ...] | None  # several: one for each instrument
    load_s: float = 0.0  # reading and warming up; these three are the caller's to measure
    wall_s: float = 0.0  # from the first candle to the last
    cpu_s: float = 0.0
    notes: tuple[str, ...] = ()  # what a reader must know of how the run was made
    definitions: dict[str, str] = field(default_factory=DEFINITIONS.copy)


def report(
    curve: Curve, fills: Iterable[Fill], fundings: Iterable[Funding], instruments: Mapping[str, Instrument]
) -> Report:
    """The report of the account whose equity is `curve` and whose bookings are `fills` and `fundings`."""
    fills = tuple(fills)
    closed, still_open = round_trips(fills, fundings, instruments, curve.marks)
    largest, share = curve.max_drawdown()
    returns = curve.daily_returns()
    return Report(
        candles=curve.candles,
        round_trips=len(closed),
        wins=sum(trip.net > 0 for trip in closed),
        gross=_total(trip.gross for trip in closed),
        fees=_total(trip.fees for trip in closed),
        funding=_total(trip.funding for trip in closed),
        net=_total(trip.net for trip in closed),
        final_equity=plain(curve.final),
        max_drawdown=plain(largest),
        max_drawdown_pct=share,
        profit_factor=_profit_factor(closed),
        exposure=curve.held / len(curve.equity) if curve.equity else 0.0,
        turnover=float(_traded(fills, instruments) / curve.amount(curve.start)),
        cagr=_cagr(curve),
        sharpe_daily=sharpe(returns),
        sortino_daily=sortino(returns),
        open_position=tuple(still_open) if len(still_open) > 1 else next(iter(still_open), None),
    )


def to_json(report: Report) -> bytes:
    """One JSON object; money as plain JSON numbers with exactly the decimal's digits."""
    return msgspec.json.Encoder(decimal_format="number").encode(report)


def sharpe(returns: list[float]) -> float | None:
    """Annualised Sharpe ratio (Sharpe 1994) of daily returns, risk-free rate 0, population deviation."""
    if len(returns) < 2:
        return None
    deviation = statistics.pstdev(returns)  # exact inside: equal returns deviate by exactly nothing
    return statistics.fmean(returns) / deviation * math.sqrt(DAYS_A_YEAR) if deviation else None


def sortino(returns: list[float]) -> float | None:
    """Annualised Sortino ratio (Sortino and Price 1994) of daily returns, target 0, over all days."""
    if len(returns) < 2:
        return None
    downside = math.sqrt(statistics.fmean(min(one, 0.0) ** 2 for one in returns))
    return statistics.fmean(returns) / downside * math.sqrt(DAYS_A_YEAR) if downside else None


def _total(amounts: Iterable[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return plain(sum(amounts, Decimal(0)))


def _traded(fills: Iterable[Fill], instruments: Mapping[str, Instrument]) -> Decimal:
    return _total(notional(instruments[fill.instrument], fill.size, fill.price) for fill in fills)


def _profit_factor(trips: Iterable[RoundTrip]) -> float | None:
    nets = [trip.net for trip in trips]
    lost = -_total(net for net in nets if net < 0)
    return float(_total(net for net in nets if net > 0) / lost) if lost else None


def _cagr(curve: Curve) -> float | None:
    elapsed = curve.close_ns[-1] - curve.first_ns if curve.close_ns else 0
    if elapsed < DAY_NS or curve.final <= 0:
        return None
    try:
        return float(curve.final / curve.amount(curve.start)) ** (CALENDAR_YEAR_NS / elapsed) - 1
    except OverflowError:  # a day's fortune, compounded for a year
        return None
