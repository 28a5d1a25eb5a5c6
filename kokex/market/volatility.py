"""The statistical baseline forecast: a random walk at the EWMA volatility of now, with Student-t tails.

The volatility is RiskMetrics' exponentially weighted one (J.P. Morgan 1996); how heavy the tails are is fitted to the
past returns over the volatility of their time. No drift is claimed, and each path is drawn with its mirror image, so
that there is no opinion on the direction by accident.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Protocol

from kokex.messages import ForecastStep, Outlook

DECAY = 0.94  # RiskMetrics' daily decay
_BURN_IN = 10  # returns that only warm the volatility up
_FREEDOMS = (2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 30.0)  # of Student's t, tried


class Uniform(Protocol):
    """Chance in [0, 1)."""

    def random(self) -> float: ...


def ewma(returns: Sequence[float], decay: float = DECAY) -> list[float]:
    """The volatility known before each return, and, last, the one after all: one longer than `returns`.

    var = decay * var + (1 - decay) * r^2, started at the mean square of the first returns.
    Raises ValueError without returns.
    """
    if not returns:
        raise ValueError("no returns to take a volatility from")
    start = returns[:_BURN_IN]
    variance = sum(r * r for r in start) / len(start)
    path = accumulate(returns, lambda var, r: decay * var + (1 - decay) * r * r, initial=variance)
    return [math.sqrt(var) for var in path]


def freedom_of(residuals: Sequence[float]) -> float:
    """The degrees of freedom that make residuals of unit variance the likeliest; infinite: normal."""
    mean_square = sum(r * r for r in residuals) / len(residuals) if residuals else 0.0
    if not mean_square:
        return math.inf
    squares = [r * r / mean_square for r in residuals]

    def likelihood(freedom: float) -> float:
        peak = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(math.pi * (freedom - 2))
        return len(squares) * peak - (freedom + 1) / 2 * sum(math.log1p(each / (freedom - 2)) for each in squares)

    normal = -0.5 * len(squares) * (1 + math.log(2 * math.pi))
    best, freedom = max((likelihood(each), each) for each in _FREEDOMS)
    return freedom if best > normal else math.inf


def walks(closes: Sequence[float], horizon: int, samples: int, chance: Uniform) -> tuple[list[list[float]], float]:
    """Cumulative log returns over the next `horizon` steps, `samples` paths of them; and the volatility of now.

    `closes` oldest first, above zero. Raises ValueError for fewer than three closes, no step or no sample.
    """
    if len(closes) < 3 or horizon < 1 or samples < 1:
        raise ValueError(f"cannot forecast {horizon} steps, {samples} samples from {len(closes)} closes")
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    *before, now = ewma(returns)
    skip = min(_BURN_IN, len(returns) // 2)
    freedom = freedom_of([r / sigma for r, sigma in zip(returns[skip:], before[skip:], strict=True) if sigma > 0])
    drawn = [list(accumulate(_shocks(now, freedom, horizon, chance))) for _ in range((samples + 1) // 2)]
    return (drawn + [[-each for each in path] for path in drawn])[:samples], now


def baseline(closes: Sequence[float], horizon: int, samples: int, chance: Uniform) -> Outlook:
    """Quantiles of the next `horizon` closes over `samples` paths. Raises ValueError as `walks` does."""
    paths, now = walks(closes, horizon, samples, chance)
    price = closes[-1]
    ends = [path[-1] for path in paths]
    return Outlook(
        steps=tuple(_quantiles(price, sorted(column)) for column in zip(*paths, strict=True)),
        p_up=(sum(end > 0 for end in ends) + 0.5 * ends.count(0.0)) / samples,
        volatility=now,
        range_low=price * sum(math.exp(min(0.0, *path)) for path in paths) / samples,
        range_high=price * sum(math.exp(max(0.0, *path)) for path in paths) / samples,
    )


def _shocks(volatility: float, freedom: float, count: int, chance: Uniform) -> list[float]:
    """Of Student's t at this volatility, by Bailey's polar method (1994); Box and Muller's where it is the normal."""
    draw, tau = chance.random, 2 * math.pi
    if math.isinf(freedom):
        return [volatility * math.sqrt(-2 * math.log(1 - draw())) * math.cos(tau * draw()) for _ in range(count)]
    scale, power = volatility * math.sqrt(freedom - 2), -2 / freedom
    return [scale * math.sqrt((1 - draw()) ** power - 1) * math.cos(tau * draw()) for _ in range(count)]


def _quantiles(price: float, column: Sequence[float]) -> ForecastStep:
    """Linear between order statistics, in logarithms: exp keeps the order."""
    last = len(column) - 1

    def at(q: float) -> float:
        low = int(q * last)
        high = min(low + 1, last)
        return price * math.exp(column[low] + (q * last - low) * (column[high] - column[low]))

    return ForecastStep(at(0.05), at(0.25), at(0.5), at(0.75), at(0.95))
