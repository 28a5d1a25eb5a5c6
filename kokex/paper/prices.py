"""The price process of the simulated market: what makes it look like one, in a screen of arithmetic.

Log returns with four of the stylised facts of asset returns (Cont 2001, "Empirical properties of asset returns"):

- volatility clusters: the log of volatility is an AR(1) process (Taylor's stochastic volatility, 1982);
- fat tails: one shock in thirty is three times as wide;
- jumps: rare, several standard deviations wide, and they leave the volatility raised (Merton 1976, with feedback);
- trends that come and go: the drift is an AR(1) process as well;

and every pair shares a common shock, so that pairs move together. Persistence is counted in candles, not in
seconds, and the width grows with the square root of the span: the market is as lively at 1 s as at 1 min.
"""

from math import exp, sqrt

from msgspec import Struct

from kokex.ports import Chance

BASE = 1.4e-4  # median volatility of one second; with clusters, tails and jumps it averages near 2.5e-4
KEEP_VOLATILITY = 0.5 ** (1 / 120)  # half-lives in candles
KEEP_TREND = 0.5 ** (1 / 40)
VOLATILITY_WIDTH = 0.45  # standard deviations of the two AR(1) processes
TREND_WIDTH = 0.08
COMMON = 0.6  # correlation of two pairs' shocks, its square root
OWN = sqrt(1 - COMMON**2)
WIDE, WIDE_ODDS = 3.0, 1 / 30
JUMP_ODDS = 1 / 600
CALM_NOTIONAL = 250_000.0  # quote currency traded in a quiet second
STEPS = (0.2, 0.55, 0.55, 0.55)  # of one candle: to its open, twice inside, to its close; squares add up to about 1

_VOLATILITY_SHOCK = VOLATILITY_WIDTH * sqrt(1 - KEEP_VOLATILITY**2)
_TREND_SHOCK = TREND_WIDTH * sqrt(1 - KEEP_TREND**2)


class Bar(Struct, frozen=True, gc=False):
    """One candle of a pair before it is rounded to an instrument's tick."""

    open: float
    high: float
    low: float
    close: float
    volume: float  # base currency


class Path(Struct, gc=False):
    """Where a pair's price stands: all there is to continue it."""

    price: float
    volatility: float = 0.0  # log of its ratio to the median
    trend: float = 0.0  # drift of a candle, in standard deviations


def common_shocks(chance: Chance) -> tuple[float, ...]:
    """The shock of each step that all pairs share."""
    return tuple([chance.gauss(0.0, COMMON) for _ in STEPS])


def advance(path: Path, span_s: float, common: tuple[float, ...], chance: Chance) -> Bar:
    """Draws the next candle and moves `path` to its close."""
    gauss, uniform = chance.gauss, chance.random
    path.volatility = KEEP_VOLATILITY * path.volatility + gauss(0.0, _VOLATILITY_SHOCK)
    path.trend = KEEP_TREND * path.trend + gauss(0.0, _TREND_SHOCK)
    sigma = BASE * sqrt(span_s) * exp(path.volatility)
    jump = 0.0
    if uniform() < JUMP_ODDS:
        jump = sigma * (6.0 + 8.0 * uniform()) * (1.0 if uniform() < 0.5 else -1.0)
        path.volatility += 0.6
    price = before = path.price
    points: list[float] = []
    for share, shock in zip(STEPS, common, strict=True):
        width = WIDE if uniform() < WIDE_ODDS else 1.0
        price *= exp(share * sigma * (path.trend + width * (shock + gauss(0.0, OWN))))
        points.append(price)
    if jump:
        price *= exp(jump)
        points[-1] = price
    path.price = price
    activity = (0.5 + abs(price / before - 1.0) / sigma) * exp(path.volatility + gauss(0.0, 0.4))
    return Bar(points[0], max(points), min(points), price, CALM_NOTIONAL * span_s * activity / price)


def funding_rate(path: Path, chance: Chance) -> float:
    """The rate of one funding period: around one basis point, more when the price trends upwards."""
    return max(-0.003, min(0.003, 1e-4 + 3e-4 * path.trend + chance.gauss(0.0, 5e-5)))
